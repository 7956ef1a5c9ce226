/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An HTTP client, clocks and a log of the test's own: requests are kept until the test answers
 * them, time passes when the test says so, and what was logged can be read. */
#ifndef NMID_TESTS_FAKE_CLIENT_H
#define NMID_TESTS_FAKE_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include "loop/client.h"

#define FAKE_S INT64_C(1000000)
#define FAKE_WALL                                                                                  \
    INT64_C(1795410000000000) /* where the wall clock begins: 2026-11-23T05:00:00Z                 \
                               */
#define FAKE_CALLS 2048

/* One request under way. */
struct client_call {
    char method[16], url[512];
    char headers[20000]; /* "Name: value\n" each */
    char body[4096];
    char ca_file[128], want[64];
    unsigned timeout_ms;
    size_t body_max;
    client_done_fn *done;
    void *arg;
    size_t slot;
};

extern int64_t fake_now, fake_wall; /* what the clocks say */
extern bool fake_refuse;            /* client_start() fails */
extern unsigned fake_started;       /* requests so far */
extern char fake_log[65536];        /* "error: ...\n" and so on */

void fake_reset(void);
void fake_pass(int64_t us); /* both clocks */

/* The n-th of the requests under way, oldest first; NULL: there are not so many. */
struct client_call *fake_call(size_t n);
size_t fake_count(void);

/* The value of a header of a request, in a static buffer; NULL when it is not there. */
const char *fake_header(const struct client_call *call, const char *name);

/* Answers and ends it. wanted and body may be NULL; status 0: no answer. */
void fake_answer(struct client_call *call, unsigned status, const char *wanted, const char *body);
void fake_answer_cut(struct client_call *call, unsigned status, const char *wanted);

/* How many times this stands in the log. */
unsigned fake_logged(const char *text);

#endif

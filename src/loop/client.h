/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An HTTP client on the loop: libcurl's multi interface, no threads of ours. One request is one
 * try: no redirect is followed, no proxy is used (whatever the environment says), nothing is kept
 * of the answer but its status, and, if asked for, its body and one header. TLS peers are
 * verified unless a setting says not to. Headers are never logged. */
#ifndef NMID_LOOP_CLIENT_H
#define NMID_LOOP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include "loop/loop.h"

struct client;
struct client_call; /* one request under way */

/* Initialises libcurl for the process (once, before any thread that uses it). */
struct client *client_new(struct loop *loop, struct fault *fault);

/* Cancels what is under way; NULL-safe. Not from within a done function. */
void client_free(struct client *client);

struct client_header {
    const char *name, *value; /* a token; without CR, LF and NUL */
};

/* Everything is copied. */
struct client_request {
    const char *method; /* "POST" ... */
    const char *url;    /* http or https */
    const struct client_header *headers;
    size_t header_count;
    const void *body;
    size_t body_len;
    const char *ca_file;         /* or NULL: the system's; with one, only it is trusted */
    bool insecure;               /* the peer's certificate is not verified */
    unsigned timeout_ms;         /* of the whole, from the look-up of the name on */
    size_t body_max;             /* an answer's body is kept up to this length; 0: nothing is */
    const char *want;            /* a header of the answer to keep, or NULL; static */
    const char *user, *password; /* HTTP basic; or NULL */
};

struct client_answer {
    unsigned status;  /* 0: there was no answer */
    const char *why;  /* what went wrong, when status is 0 */
    const char *body; /* with a NUL behind it; "" unless body_max */
    size_t body_len;
    bool cut;           /* the body is longer than body_max: what is here is a piece of it */
    const char *wanted; /* the value of the header, or NULL */
};

/* done(arg, answer) comes exactly once, from a later turn of the loop, unless the call is cancelled
 * before. The status is that of a complete answer (or of one whose body was too long to be read to
 * its end). answer is borrowed, and wiped afterwards, as the request is: both may hold tokens.
 * After done the call is gone. */
typedef void client_done_fn(void *arg, const struct client_answer *answer);

/* NULL with a fault: then done does not come. */
struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault);

/* Ends the call without its done; NULL-safe. Allowed from within another call's done. */
void client_cancel(struct client_call *call);

#endif

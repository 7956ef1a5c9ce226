/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A contract for the tests of the server itself: it answers late, from a timer and nothing else,
 * or never, or echoes what it was sent. Mounted by late_start() on a rig with all the others. */
#ifndef NMID_TESTS_HTTP_LATE_H
#define NMID_TESTS_HTTP_LATE_H

#include "http_rig.h"

#define HOST   "Host: localhost\r\n"
#define LINE   "GET /healthz HTTP/1.1\r\n"
#define HEALTH LINE HOST "\r\n"
#define POST   "POST /late/echo HTTP/1.1\r\n" HOST
#define LATE   "GET /late/answer HTTP/1.1\r\n" HOST "\r\n"
#define NEVER  "GET /late/never HTTP/1.1\r\n" HOST "\r\n"

#define BIG    "GET /late/big HTTP/1.1\r\n" HOST "\r\n"
#define ECHO   "POST /late/echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"

/* GET /late/answer is answered 50 ms after as many have come as are wanted: {"late": n}. */
struct late {
    struct http_exchange *exchange[64]; /* NULL: answered or gone */
    struct loop_timer *timer;
    unsigned count, wanted, gone, never;
};

extern struct rig rig;
extern struct late late;

/* change may be NULL. */
void late_start(void (*change)(struct conf_limits *limits));
void late_stop(void);

/* For cmocka. */
int late_setup(void **state);
int late_teardown(void **state);

/* Until the counter, which the loop's thread raises, is there (5 s at most: then it aborts). */
void late_await(const unsigned *counter, unsigned wanted);

#endif

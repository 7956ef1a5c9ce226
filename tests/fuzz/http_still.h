/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server that stands still: the real loop, HTTP server, contracts, engine, journal and audit, all
 * in one thread, for harnesses that fuzz it through a socket. The loop runs until nothing moves any
 * more; the pools' work is done between its turns. The one thing that is not real is the driver,
 * which counts. Nodes: "n1", "n2" and "locked" deliver, "bad" fails, "doubt" ends unknown,
 * "stopped" is SHUTOFF. */
#ifndef NMID_TESTS_HTTP_STILL_H
#define NMID_TESTS_HTTP_STILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define STILL_NODES 6

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct still {
    const char *answers; /* what the client got so far; answers_len bytes */
    size_t answers_len;
    bool ended;      /* the server closed the client's connection */
    unsigned starts; /* driver->start() calls */
};

extern struct still still;

/* Starts it, once. */
void still_start(void);

/* The one client. listener 0: a UNIX socket; 1: one that takes itself for 127.0.0.1, and so refuses
 * foreign names. still_send() returns when nothing moves any more; still_throw() at once. After
 * still_close() nothing may be left of the connection. */
void still_connect(unsigned listener);
void still_send(const char *bytes, size_t len);
void still_throw(const char *bytes, size_t len);
void still_close(void);

/* Another client asks whether the server is well. */
void still_check_next(unsigned listener);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections: who may have one, how many, for how long, and whose place is given to another. */
#ifndef NMID_HTTP_CONNECTION_H
#define NMID_HTTP_CONNECTION_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/limits.h"

struct listener;
struct connection;

/* Connections that wait, in the order in which they began to: strangers' (none of their requests was
 * ever authenticated) for their clients; strangers' whose credentials are being checked; and,
 * between two requests, those of callers that are known. When all places are taken, the first of
 * these gives up its own. */
enum wait_of { WAIT_NONE, WAIT_STRANGER, WAIT_CHECKED, WAIT_KNOWN, WAITS };

struct places {
    size_t taken; /* without those that were cut */
    struct connection *first[WAITS], *last[WAITS];
};

struct address_count {
    unsigned connections;
    char text[64];
};

struct connection {
    struct listener *listener;
    int fd;
    struct loop_timer *timer;
    enum limit deadline; /* what the timer counts */
    bool known;          /* a request of it was authenticated */
    bool begun;          /* a request line came */
    bool cut;            /* nothing that still comes from it counts */
    enum wait_of wait;   /* which list it stands in */
    struct connection *before, *behind;
    struct address_count *count; /* NULL: exempt */
    struct peer *peer;           /* of a UNIX socket, once asked for; else NULL */
    struct secure *secure;       /* or NULL: no TLS */
    char address[64];
};

/* So many connections of each kind as this process may have files for; fewer than wanted are in the
 * log. Without a file, nobody would be accepted and nobody cut: slow clients would keep all out. */
unsigned connections_fitting(unsigned wanted);

/* libmicrohttpd's callbacks; cls is the listener. */
enum MHD_Result connection_on_accept(void *cls, const struct sockaddr *address, socklen_t len);
void connection_on_notify(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code);

/* Arms the connection's timer (0: disarms it): when it fires, the connection is cut, and that limit
 * was reached. */
void connection_deadline(struct connection *connection, unsigned seconds, enum limit limit);

/* It waits for its client, or for who it is, from now on, and gives up its place when others need it;
 * and no more. */
void connection_waits(struct connection *connection);
void connection_is_checked(struct connection *connection);
void connection_works(struct connection *connection);

#endif

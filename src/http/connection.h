/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections: who may have one, how many, for how long, and whose place is given to another. */
#ifndef NMID_HTTP_CONNECTION_H
#define NMID_HTTP_CONNECTION_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include "core/limits.h"

struct http_server;
struct listener;
struct connection;

/* Connections that wait, in the order in which they began to: strangers' (none of their requests
 * was ever authenticated) for their clients; strangers' whose credentials are being checked; and those
 * of callers that are known: between two requests, and from the beginning when somebody was let in
 * from their address within the last day. When all places are taken, the first of these gives up its
 * own: so no flood from elsewhere takes the place of a caller who has just connected. */
enum wait_of { WAIT_NONE, WAIT_STRANGER, WAIT_CHECKED, WAIT_KNOWN, WAITS };

struct places {
    size_t taken; /* without those that were cut */
    struct connection *first[WAITS], *last[WAITS];
};

/* An address, while it has connections; and for a day after somebody was let in from it. */
struct address_count {
    unsigned connections;
    int64_t known_us; /* when somebody was last let in, of clock_mono_us(); 0: nobody was */
    char text[64];
    TAILQ_ENTRY(address_count) entry; /* of those without connections, the oldest first */
};
TAILQ_HEAD(addresses_left, address_count);

struct connection {
    struct listener *listener;
    int fd;
    struct loop_timer *timer;
    enum limit deadline; /* what the timer counts */
    struct MHD_Connection *mhd;
    bool known;          /* a request of it was authenticated */
    bool begun;          /* a request line came */
    bool late;           /* its deadline was put off: what it had sent was not read yet */
    bool refused;        /* by libmicrohttpd, for its request line; and that was told */
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

/* Somebody was let in on it. */
void connection_is_known(struct connection *connection);

/* The addresses that are remembered are forgotten; when no connection is left. */
void connection_forget(struct http_server *server);

/* It waits for its client, or for who it is, from now on, and gives up its place when others need
 * it; and no more. */
void connection_waits(struct connection *connection);
void connection_is_checked(struct connection *connection);
void connection_works(struct connection *connection);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server, its listeners and its connections, as the files of this folder share them. */
#ifndef NMID_HTTP_STATE_H
#define NMID_HTTP_STATE_H

#include <microhttpd.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/map.h"
#include "core/conf.h"
#include "http/connection.h"
#include "http/server.h"

struct mount {
    const struct http_contract *contract;
    void *self;
    struct mount *next;
};

struct http_server {
    struct loop *loop;
    struct conf_limits limits;
    struct limits *counts; /* borrowed; or NULL */
    size_t memory;         /* of a connection, as its daemon has it; 0: none is started */
    struct mount *mounts;
    struct listener *listeners;
    struct map *addresses;           /* struct address_count by text */
    struct addresses_left left;      /* those of them that have no connections */
    size_t left_count;
    struct http_exchange *exchanges; /* every one that is not completed */
    TAILQ_HEAD(all_turns, turns) turns; /* of those who wait for one: whose is next, first */
    bool listed;                        /* somebody had one in this turn of the loop */
    size_t connections;      /* all that stand, also those that were cut and are not closed yet */
    struct places places[2]; /* of TCP; of UNIX sockets, so that a flood does not shut them out */
    bool refusing, ending;
    loop_fn *drained;
    void *drained_arg;
    struct loop_timer *drain_timer;
    struct tls_failures *failures;        /* handshakes' */
    struct loop_timer *certificate_timer; /* once a day */
};

/* One listening socket and its libmicrohttpd daemon. */
struct listener {
    struct http_server *server;
    struct listener *next;
    size_t number;     /* in the order of http_server_listen() */
    struct auth *auth; /* borrowed */
    struct tls *tls;   /* counted; NULL: plain HTTP */
    struct tls_session *ended;        /* the last one; or NULL */
    struct secure *shaking, *held;    /* connections in a handshake; those that wait in it */
    struct MHD_Daemon *daemon;
    struct loop_watch *watch; /* of the daemon's epoll descriptor */
    struct loop_timer *timer; /* when the daemon wants to run without an event */
    bool dirty;               /* the daemon must run before the loop waits */
    bool closed;              /* accepts no more */
    unsigned refused;         /* request lines, in this MHD_run(); it is not known yet whose */
    bool loopback;            /* TCP on a loopback address */
    char address[64];         /* numeric; "" for a UNIX socket */
    char label[80];           /* the same with its port: "127.0.0.1:8623" */
    char *path;               /* of a UNIX socket */
    dev_t path_dev;
    ino_t path_ino;
};

/* The daemon must run again before the loop waits: libmicrohttpd sees neither its resumes nor a
 * place that came free at the connection limit by itself. */
void listener_mark(struct listener *listener);
void listener_close_socket(struct listener *listener); /* stops accepting; removes a UNIX socket */
void listener_free(struct listener *listener);

/* Opens and binds a socket that listens; -1 with a fault. */
int socket_open(const struct conf_listener *conf, struct listener *listener, struct fault *fault);

/* libmicrohttpd's callbacks; cls is the listener. */
enum MHD_Result exchange_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_len, void **context);
void *exchange_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
void exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code);

/* The next turn of the loop has come: one of those who wait has a turn. */
void lists_turn(struct http_server *server);

/* Ends what is open without an answer, so that the daemons can be stopped. */
void exchange_end_all(struct http_server *server);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP server: listeners, limits and the mounted contracts, on libmicrohttpd inside the loop.
 * libmicrohttpd is known only in this folder. For main.c; contracts need exchange.h alone. */
#ifndef NMID_HTTP_SERVER_H
#define NMID_HTTP_SERVER_H

#include "base/fault.h"
#include "core/conf.h"
#include "http/exchange.h"
#include "loop/loop.h"

struct auth;
struct http_server;

/* limits are copied. */
struct http_server *http_server_new(struct loop *loop, const struct conf_limits *limits,
                                    struct fault *fault);

/* New limits after a reload, for what comes in from now on; how many connections a listener may
 * have, and the memory of each, stay as they were when it was opened. */
void http_server_configure(struct http_server *server, const struct conf_limits *limits);

/* The contract is borrowed until http_server_free(); self is handed to its handlers. */
int http_server_mount(struct http_server *server, const struct http_contract *contract, void *self,
                      struct fault *fault);

/* Binds and listens; logs "listening on 127.0.0.1:PORT" or "listening on unix:PATH". auth is
 * borrowed: who asks here is found out by it. */
int http_server_listen(struct http_server *server, const struct conf_listener *listener,
                       struct auth *auth, struct fault *fault);

/* Another auth, after a reload, for the listener that was opened as number n, from 0. Checks that
 * the old one has under way are still its own: it answers them when it is freed. */
void http_server_set_auth(struct http_server *server, size_t n, struct auth *auth);

/* Accepts no more connections; answers in progress are finished, then connections close. */
void http_server_refuse(struct http_server *server);

/* As refuse, then calls done(arg) once every answer in progress has been sent, or two seconds
 * later. */
void http_server_drain(struct http_server *server, loop_fn *done, void *arg);

/* Exchanges that are still open end here: their gone functions hear it, so the
 * contracts must still be there. Calls nobody afterwards. The loop must not run again: its
 * before-wait hooks cannot be taken back. NULL-safe. */
void http_server_free(struct http_server *server);

#endif

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
struct limits;
struct tls;

/* limits are copied. */
struct http_server *http_server_new(struct loop *loop, const struct conf_limits *limits,
                                    struct fault *fault);

/* New limits after a reload, for what comes in from now on; the memory of each connection stays as
 * it was when its listener was opened, and so does the most that header_bytes can be. */
void http_server_configure(struct http_server *server, const struct conf_limits *limits);

/* Those in force: what was configured, as far as memory and descriptors allow it. */
const struct conf_limits *http_server_limits(const struct http_server *server);

/* The contract is borrowed until http_server_free(); self is handed to its handlers. */
int http_server_mount(struct http_server *server, const struct http_contract *contract, void *self,
                      struct fault *fault);

/* Binds and listens; logs "listening on 127.0.0.1:PORT", with TLS also the certificate, or "listening
 * on unix:PATH". auth is borrowed: who asks here is found out by it. */
int http_server_listen(struct http_server *server, const struct conf_listener *listener,
                       struct auth *auth, struct fault *fault);

/* Another auth, after a reload, for the listener that was opened as number n, from 0. Checks that
 * the old one has under way are still its own: it answers them when it is freed. */
void http_server_set_auth(struct http_server *server, size_t n, struct auth *auth);

/* May the listener that was opened as number n have these certificates? 0, or -1 with FAULT_CONF when
 * one that is out of date would put out a good one: to be asked before a reload changes anything. */
int http_server_check_tls(const struct http_server *server, size_t n, const struct conf_tls *next,
                          struct fault *fault);

/* Other certificates, after a reload, for the listener that was opened as number n: connections that
 * stand keep theirs. tls is counted by the server. A listener that was opened without TLS stays
 * without (its tls is NULL), and the other way round: that changes only with a restart. */
void http_server_set_tls(struct http_server *server, size_t n, struct tls *tls);

/* What callers may take, and how often they wanted more: borrowed until http_server_free(); without
 * one nothing is counted. */
void http_server_set_limits(struct http_server *server, struct limits *limits);

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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told of the listeners' TLS: in the log, which certificate is in force and that it expires
 * soon; in /metrics, until when it is good, and how many handshakes failed. And which certificate
 * may not come into force. */
#ifndef NMID_HTTP_CERTIFICATES_H
#define NMID_HTTP_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/tls_failures.h"

struct conf_tls;
struct fault;
struct http_exchange;
struct http_server;
struct listener;

/* Once a day, from now on, each certificate that expires within 30 days is in the log. */
int certificates_watch(struct http_server *server, struct fault *fault);

/* "listening on 127.0.0.1:8623", and with which certificate; that it has another one now. */
void certificates_log_listening(const struct listener *listener);
void certificates_log_change(const struct listener *listener);

/* 0: the listener may have these next. -1 with FAULT_CONF: they, or all of the
 * clients' CAs, are out of date, and what is in force is not: every client that comes would fail. */
int certificates_check_next(const struct listener *listener, const struct conf_tls *next,
                            struct fault *fault);

/* Of the exchange's server: handshakes that have failed since the start. */
uint64_t http_tls_failures(const struct http_exchange *exchange, enum tls_cause cause);

/* The listener that was opened as number n, from 0: its address and port, and when its certificate
 * expires, in seconds since 1970. *ret_label is NULL for one without TLS. False: there is none. */
bool http_tls_expires(const struct http_exchange *exchange, size_t n, const char **ret_label,
                      int64_t *ret_when_s);

#endif

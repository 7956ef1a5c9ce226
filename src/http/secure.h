/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS of a listener and of its connections, between libmicrohttpd and core/tls.h. */
#ifndef NMID_HTTP_SECURE_H
#define NMID_HTTP_SECURE_H

#include <microhttpd.h>
#include "base/fault.h"

struct connection;
struct listener;
struct secure; /* a connection's part */
struct tls;

/* What libmicrohttpd is told when the listener starts: flags and options (none without TLS). -1
 * with a fault when it knows no TLS. */
int secure_options(const struct listener *listener, struct MHD_OptionItem options[2],
                   unsigned *ret_flags, struct fault *fault);

/* Other certificates, for connections to come. tls is counted; NULL: none. */
void secure_switch(struct listener *listener, struct tls *tls);

/* Of a connection's life: it begins; it ends, and its socket is still open. */
void secure_begin(struct connection *connection, struct MHD_Connection *mhd);
void secure_end(struct connection *connection);

/* After each MHD_run(): connections whose handshake waits for the client are taken out of
 * libmicrohttpd's hands until the client goes on. */
void secure_hold(struct listener *listener);

/* Gives all of them back, so that the listener can end. */
void secure_release(struct listener *listener);

/* At each request. -1 with FAULT_UNAUTHORIZED: its client's certificate is not good any more. */
int secure_check(struct connection *connection, struct fault *fault);

/* The subject of its client's certificate, or NULL. */
const char *secure_subject(const struct connection *connection);

#endif

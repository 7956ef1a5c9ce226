/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libmicrohttpd refuses by itself, because it does not fit into a connection's memory: a head of
 * a megabyte never comes to our guards. It counts as the limits that such a head is over, too. */
#ifndef NMID_HTTP_REFUSED_H
#define NMID_HTTP_REFUSED_H

struct http_exchange;
struct listener;

/* A line of libmicrohttpd's log. */
void refused_line(struct listener *listener, const char *line);

/* An exchange is over. */
void refused_exchange(const struct http_exchange *exchange);

/* After each MHD_run(). */
void refused_settle(struct listener *listener);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routes: which handler a method and a path belong to, and the decoding of what the path and the
 * query hold. Decoding comes after the split, so that %2f never makes a segment. Pure. */
#ifndef NMID_HTTP_ROUTE_H
#define NMID_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include "http/exchange.h"

#define ROUTE_PARAMS_MAX    4
#define ROUTE_ARGUMENTS_MAX 64

struct route_param {
    const char *name; /* in the pattern: name_len bytes */
    size_t name_len;
    char *text, *raw; /* owned */
};

struct route_match {
    struct route_param params[ROUTE_PARAMS_MAX];
    size_t count;
};

/* True when path (as sent, without the query) matches; then *ret_match is filled: free it with
 * route_match_free(). False also when memory is out. */
bool route_matches(const char *pattern, const char *path, struct route_match *ret_match);
void route_match_free(struct route_match *match);

/* len bytes, percent-decoded (with plus, '+' is a space); NULL when what comes out is not UTF-8,
 * has a NUL or a control character, when a '%' is malformed, or memory is out. */
char *route_decode(const char *text, size_t len, bool plus);

/* "a=1&b=2" into pairs. -1 when malformed or too many (nothing to free). */
int route_query(const char *query, struct http_argument **ret_arguments, size_t *ret_count);
void route_query_free(struct http_argument *arguments, size_t count);

/* True when path lies at or below prefix. */
bool route_below(const char *prefix, const char *path);

#endif

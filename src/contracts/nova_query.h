/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The query of a list of servers: filters, order, page. A filter that nmid cannot apply is an
 * error: left out, it would list machines that nobody asked for, and the next command of a script
 * may send each of them an NMI. */
#ifndef NMID_CONTRACTS_NOVA_QUERY_H
#define NMID_CONTRACTS_NOVA_QUERY_H

#include <regex.h>
#include "contracts/nova_state.h"

#define NOVA_FILTERS_MAX  16
#define NOVA_SORTS_MAX    8
#define NOVA_LIMIT_MAX    1000 /* Nova's default for [api] max_limit */
#define NOVA_PATTERN_MAX  255

struct nova_filter {
    const char *field, *value;
    bool pattern; /* then it is regex that counts */
    regex_t regex;
};

struct nova_query {
    struct nova_filter filters[NOVA_FILTERS_MAX];
    size_t filter_count;
    struct {
        const char *field; /* NULL: of no consequence, since no two servers differ in it */
        bool descending;
    } sorts[NOVA_SORTS_MAX];
    size_t sort_count, direction_count;
    bool has_status, has_locked, locked, all_tenants, deleted;
    unsigned statuses; /* with has_status: NODE_STATUS_BIT()s; 0: there is no such status */
    size_t limit;
    const char *marker; /* or NULL */
};

/* Strings stay borrowed. 0, or -1 with FAULT_MALFORMED in Nova's words; nova_query_clear() in
 * either case. */
int nova_query_parse(const struct http_argument *arguments, size_t count, unsigned minor,
                     struct nova_query *ret_query, struct fault *fault);
void nova_query_clear(struct nova_query *query);

bool nova_query_matches(const struct nova_query *query, const struct nova_server *server);

/* For qsort_r(), with the query. */
int nova_query_compare(const void *a, const void *b, void *query);

#endif

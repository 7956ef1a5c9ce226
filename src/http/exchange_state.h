/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An exchange from within this folder: what is known of the request, and of the answer. */
#ifndef NMID_HTTP_EXCHANGE_STATE_H
#define NMID_HTTP_EXCHANGE_STATE_H

#include "http/guard.h"
#include "http/route.h"
#include "http/state.h"

struct http_exchange {
    struct http_server *server;
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct http_exchange *next, **link;
    const char *method;    /* libmicrohttpd's */
    const char *target_at; /* where libmicrohttpd has it */
    char *target;          /* a copy: the path; its query is cut off once checked */
    struct http_argument *arguments;
    size_t argument_count;
    struct route_match match;
    const struct mount *mount;      /* of the route */
    const struct http_route *route; /* NULL: there is none */
    char allow[64];                 /* the methods of the routes whose path fits */
    struct guard_body coming;
    char *body;
    size_t body_len, body_size, skipped;
    bool checked, dispatched, queued, suspended, close, too_large, dead;
    struct auth_call *check;    /* of the credentials, while it waits */
    struct identity *identity;  /* counted; NULL until it is known */
    struct principal principal; /* its, with the address of this connection */
    struct account *account;    /* its, while this is under way; or NULL */
    size_t held;                /* bytes of the answer, that the account has */
    struct MHD_Response *response;
    unsigned status;
    char request_id[48];
    struct {
        char *name, *value;
    } headers[16];
    size_t header_count;
    struct loop_watch *watch; /* has the client left? */
    struct turns *turns; /* its account's, while it waits for one; or NULL */
    TAILQ_ENTRY(http_exchange) turn;
    unsigned turns_had;
    loop_fn *turn_fn;
    void *turn_arg;
    http_gone_fn *gone;
    void *gone_arg;
};

/* True for a libmicrohttpd before 1.0: lenient, and it parses in place. */
bool fields_are_in_place(void);

/* Collects the header fields. True when they and the request line lie in memory as the lines of a
 * clean head do. */
struct request_line {
    const char *method, *target, *version; /* where libmicrohttpd has them */
    size_t target_len;
};
bool fields_collect(struct MHD_Connection *mhd, const struct request_line *line,
                    struct guard_field fields[GUARD_FIELDS_MAX], size_t *ret_count,
                    size_t *ret_bytes);

/* Finds the route, and who asks unless the route is open; then exchange_handle() calls the handler,
 * or answers 404 or 405 in the words of the contract that owns the path: credentials come first, as
 * in Nova. */
void exchange_dispatch(struct http_exchange *exchange);
void exchange_authenticate(struct http_exchange *exchange);
void exchange_handle(struct http_exchange *exchange);

/* Calls its route's handler: now, or when it is its turn. */
void exchange_call(struct http_exchange *exchange);

/* It waits for no turn any more. */
void exchange_leave(struct http_exchange *exchange);

/* Nobody is to answer it any more: whoever was going to hears it. */
void exchange_over(struct http_exchange *exchange);

/* The name of the contract that owns the path, or NULL. And an error in its words. */
const char *exchange_contract(const struct http_exchange *exchange);
void exchange_refuse(struct http_exchange *exchange, unsigned status, const struct fault *fault);

#endif

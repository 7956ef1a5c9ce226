/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits: what one caller may take of nmid, and how often each limit was reached. One object for the
 * process; the HTTP server, auth and the engine share it. Sizes and times are kept by the server
 * itself, which only counts here. Every function allows NULL: nothing is limited or counted then. */
#ifndef NMID_CORE_LIMITS_H
#define NMID_CORE_LIMITS_H

#include <stdint.h>
#include "base/fault.h"
#include "core/conf_listen.h"
#include "core/principal.h"

/* Each has the name of its setting. */
enum limit {
    LIMIT_CONNECTIONS,
    LIMIT_CONNECTIONS_PER_ADDRESS,
    LIMIT_URL_BYTES,
    LIMIT_HEADER_BYTES,
    LIMIT_TOKEN_BYTES,
    LIMIT_BODY_BYTES,
    LIMIT_REQUEST_S,
    LIMIT_IDLE_S,
    LIMIT_REQUESTS_PER_PRINCIPAL,
    LIMIT_ANSWER_BYTES_PER_PRINCIPAL,
    LIMIT_ACTIONS_PER_MINUTE,
    LIMIT_LOGIN_FAILURES_PER_ADDRESS,
    LIMIT_LOGIN_FAILURES_PER_USER,
    LIMIT_QUEUE,
    LIMIT_QUEUE_S,
    LIMITS
};

struct limits;
struct account; /* what one principal has of nmid now */

/* conf is copied. NULL with a fault when memory is out. */
struct limits *limits_new(const struct conf_limits *conf, struct fault *fault);
void limits_free(struct limits *limits);
void limits_configure(struct limits *limits, const struct conf_limits *conf);

/* Counts that a limit was reached, and warns of it, each limit at most once a minute, with who did:
 * the client of an address (or NULL: it is not known), or a principal. And how often that has been
 * since the start. */
void limits_reached(struct limits *limits, enum limit limit, const char *address);
void limits_reached_by(struct limits *limits, enum limit limit, const struct principal *principal);
/* The same for a head of more than so many fields: it counts as header_bytes, and is told as what it
 * is. */
void limits_fields_reached(struct limits *limits, unsigned most, const char *address);
uint64_t limits_count(const struct limits *limits, enum limit limit);
const char *limit_name(enum limit limit); /* "connections_per_address" ... */

/* A request of a principal begins: the account that limits_leave() wants, or NULL with
 * FAULT_TOO_MANY or FAULT_MEMORY. NULL without a fault when limits is NULL. The principal is that of
 * its way of authentication, user id (or name) and project: whoever has two roles has one account. */
struct account *limits_enter(struct limits *limits, const struct principal *principal,
                             struct fault *fault);
void limits_leave(struct limits *limits, struct account *account);

/* An answer of so many bytes waits to be read by the account's principal, until limits_drop_answer()
 * of as many: 0, or -1 with FAULT_TOO_MANY. What is small (16 KiB) always may, and what is alone. */
int limits_hold_answer(struct limits *limits, struct account *account, size_t bytes,
                       struct fault *fault);
void limits_drop_answer(struct account *account, size_t bytes);

/* Before a list is made for an account: 0, or -1 with FAULT_TOO_MANY when its principal has as much to
 * read as it may, so that the list, were it long, would be thrown away. */
int limits_may_list(struct limits *limits, const struct account *account, struct fault *fault);

/* One more action of a principal: 0, or -1 with FAULT_TOO_MANY, whose message says when to come
 * again. The minute slides: what was taken comes back evenly. */
int limits_take_action(struct limits *limits, const struct principal *principal,
                       struct fault *fault);

#endif

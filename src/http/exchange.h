/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An exchange: one request and its answer, as a contract sees them; and what a contract is.
 * A handler runs when the whole request has arrived and has passed the guards. It answers now, or
 * returns and answers later, exactly once; the exchange is gone for it with http_answer(). */
#ifndef NMID_HTTP_EXCHANGE_H
#define NMID_HTTP_EXCHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "core/conf_auth.h"
#include "loop/loop.h"

struct http_exchange;

typedef void http_handler_fn(void *self, struct http_exchange *exchange);

enum http_kind {
    HTTP_USUAL,
    HTTP_OPEN, /* to everybody: no credentials are asked for, and there is no principal */
    /* Its answer may be long: it takes turns with others, and is refused while its caller has too much
     * of earlier answers to read. */
    HTTP_LIST,
    HTTP_BATCH, /* an order for many nodes: it takes turns too, before its caller's lists; never so refused */
};

/* "{x}" in a pattern takes one whole segment of the path, not empty. GET serves HEAD too. */
struct http_route {
    const char *method, *pattern;
    http_handler_fn *handler;
    enum http_kind kind;
};

struct http_contract {
    const char *name;
    const char *prefix;              /* "/v2.1": whose paths this contract words; "" for the rest */
    const struct http_route *routes; /* the last has a NULL method */
    /* Answers an error in the contract's words; status is HTTP's, or 0: what the contract has for
     * the fault's code. Also for 401, 404, 405, 413 ... of paths below the prefix that never reach
     * a handler. */
    void (*error)(void *self, struct http_exchange *exchange, unsigned status,
                  const struct fault *fault);
};

/* ---- The request; all strings live until the answer ---- */

const char *http_method(const struct http_exchange *exchange); /* "HEAD" comes as "GET" */
const char *http_path(const struct http_exchange *exchange);   /* as sent, without the query */

/* A segment that the pattern took, percent-decoded. "" when it cannot name anything: it decodes to
 * a slash, a NUL, a control character or no UTF-8, or is a dot segment. NULL when the pattern has no
 * such name. */
const char *http_param(const struct http_exchange *exchange, const char *name);
const char *http_param_raw(const struct http_exchange *exchange, const char *name); /* as sent */

/* Query arguments, decoded, in their order. */
struct http_argument {
    char *name, *value;
};
const struct http_argument *http_arguments(const struct http_exchange *exchange, size_t *ret_count);

/* The value of a header (its first, when there are several), or NULL; and all its values joined
 * with commas (RFC 9110, 5.3): NULL when absent or longer than size - 1. */
const char *http_header(const struct http_exchange *exchange, const char *name);
char *http_header_joined(const struct http_exchange *exchange, const char *name, char *buffer,
                         size_t size);

const char *http_body(const struct http_exchange *exchange, size_t *ret_len);

/* Who asks: as the listener's way of authentication told, before the handler. And which way that
 * is, for the words of a 401. */
const struct principal *http_principal(const struct http_exchange *exchange);
enum auth_strategy http_auth_strategy(const struct http_exchange *exchange);
const char *http_address(const struct http_exchange *exchange); /* "127.0.0.1", "::1", "unix" */

/* "https://HOST": what the client called this server by, for links in answers; "" when it did not
 * say. A proxy that ends TLS says so in X-Forwarded-Proto, as OpenStack's middleware takes it: a link
 * back to plain HTTP would send the next page's token in the clear. It goes to nobody but who sent
 * those headers. */
#define HTTP_BASE_MAX 512
const char *http_base_url(const struct http_exchange *exchange, char url[HTTP_BASE_MAX]);

bool http_stopping(const struct http_exchange *exchange);       /* no new connections are taken */

/* How many connections stand: over TCP, or (local) over UNIX sockets. */
size_t http_connections(const struct http_exchange *exchange, bool local);

/* ---- The answer ---- */

void http_set_request_id(struct http_exchange *exchange, const char *id); /* default: a new one */
/* The same header with the same value, added again, is there once. */
void http_add_header(struct http_exchange *exchange, const char *name, const char *value);

/* Answers; body may be NULL (empty), its reference is taken over. */
void http_answer(struct http_exchange *exchange, unsigned status, json_t *body);

/* The same with a body of another type; text is copied. */
void http_answer_text(struct http_exchange *exchange, unsigned status, const char *type,
                      const char *text);

/* For a handler that could not answer at once: calls fn(arg), which answers, when it is the exchange's
 * turn; of a route that takes none, before this returns. Not if it is gone before. */
void http_turn(struct http_exchange *exchange, loop_fn *fn, void *arg);

/* Calls gone(arg) once if the client leaves before the answer, if a list is refused when its turn comes,
 * or the server ends: the exchange is over then and must not be touched any more. (A client that closes only its own side of the
 * connection while it waits counts as one that left: libmicrohttpd cannot answer it.) */
typedef void http_gone_fn(void *arg);
void http_on_gone(struct http_exchange *exchange, http_gone_fn *gone, void *arg);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of an exchange, as libmicrohttpd's callbacks tell it: request line, head (the guards),
 * pieces of the body, the whole request (the handler), the answer, the end. */
#include "http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/log.h"
#include "base/uuid.h"
#include "core/auth.h"
#include "http/exchange_state.h"
#include "http/refused.h"
#include "http/secure.h"

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

/* ---- The request line ---- */

void *exchange_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct listener *listener = cls;
    struct http_server *server = listener->server;
    struct connection *connection = connection_of(mhd);
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (connection == NULL || exchange == NULL ||
        (exchange->target = strdup(target != NULL ? target : "")) == NULL) {
        free(exchange);
        return NULL; /* the handler then ends the connection */
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->mhd = mhd;
    exchange->target_at = target;
    exchange->link = &server->exchanges;
    exchange->next = server->exchanges;
    if (exchange->next != NULL)
        exchange->next->link = &exchange->next;
    server->exchanges = exchange;
    /* Its first request has the time that began with the connection: a TLS handshake is a part. */
    if (connection->begun)
        connection_deadline(connection, server->limits.request_s, LIMIT_REQUEST_S);
    connection->begun = true;
    if (connection->known)
        connection_works(connection);
    return exchange;
}

/* ---- The head ---- */

static int refuse(struct http_exchange *exchange, unsigned status, enum fault_code code,
                  const char *why)
{
    struct fault fault = {0};
    fault_set(&fault, code, "%s", why);
    exchange->close = true;
    exchange_refuse(exchange, status, &fault);
    return -1;
}

static int refuse_size(struct http_exchange *exchange, unsigned status, enum limit limit,
                       const char *why)
{
    limits_reached(exchange->server->counts, limit, exchange->connection->address);
    return refuse(exchange, status, FAULT_TOO_LARGE, why);
}

static int refuse_fields(struct http_exchange *exchange)
{
    char why[64];
    snprintf(why, sizeof why, "The request has more than %d header fields.", GUARD_FIELDS_MAX);
    limits_fields_reached(exchange->server->counts, GUARD_FIELDS_MAX,
                          exchange->connection->address);
    return refuse(exchange, 431, FAULT_TOO_LARGE, why);
}

/* What is hashed, looked up, or sent on to Keystone. */
static bool is_credential(const struct guard_field *field)
{
    static const char *const names[] = {"Authorization", "X-Auth-Token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (field->name_len == strlen(names[i]) &&
            strncasecmp(field->name, names[i], field->name_len) == 0)
            return true;
    }
    return false;
}

static int check_sizes(struct http_exchange *exchange, const struct guard_field *fields,
                       size_t count, size_t bytes)
{
    const struct conf_limits *limits = &exchange->server->limits;
    size_t target_len = strlen(exchange->target);
    if (target_len > limits->url_bytes)
        return refuse_size(exchange, 414, LIMIT_URL_BYTES, "The request target is too long.");
    for (size_t i = 0; i < count && i < GUARD_FIELDS_MAX; i++) {
        if (fields[i].value_len > limits->token_bytes && is_credential(&fields[i]))
            return refuse_size(exchange, 431, LIMIT_TOKEN_BYTES,
                               "The request's credentials are too large.");
    }
    if (bytes + target_len + 20 > limits->header_bytes)
        return refuse_size(exchange, 431, LIMIT_HEADER_BYTES,
                           "The request's headers are too large.");
    return count > GUARD_FIELDS_MAX ? refuse_fields(exchange) : 0;
}

/* Cuts the query off the target and takes it apart. */
static int split_target(struct http_exchange *exchange)
{
    char *query = strchr(exchange->target, '?');
    if (query == NULL)
        return 0;
    *query++ = '\0';
    if (route_query(query, &exchange->arguments, &exchange->argument_count) == 0)
        return 0;
    return refuse(exchange, 400, FAULT_MALFORMED, "The query is malformed.");
}

static int check_head(struct http_exchange *exchange, const char *method, const char *version)
{
    const struct http_server *server = exchange->server;
    const struct listener *listener = exchange->connection->listener;
    struct guard_field fields[GUARD_FIELDS_MAX];
    size_t count = 0, bytes = 0;
    unsigned status = 400;
    struct fault fault = {0};
    const struct request_line line = {
        .method = method,
        .target = exchange->target_at,
        .version = version,
        .target_len = strlen(exchange->target),
    };
    bool clean = fields_collect(exchange->mhd, &line, fields, &count, &bytes);
    if (check_sizes(exchange, fields, count, bytes) < 0)
        return -1;
    const struct guard_head head = {
        .method = method,
        .target = exchange->target,
        .version = version,
        .fields = fields,
        .count = count,
        .refuse_foreign = listener->loopback && auth_strategy(listener->auth) == AUTH_NONE,
        .same_origin = auth_strategy(listener->auth) == AUTH_HTTP_BASIC ||
                       auth_strategy(listener->auth) == AUTH_CLIENT_CERTIFICATE,
        .own_address = listener->address,
    };
    if (guard_check(&head, &exchange->coming, &status, &fault) < 0)
        return refuse(exchange, status, fault.code, fault.message);
    if (!clean)
        return refuse(exchange, 400, FAULT_MALFORMED, "The request's head is malformed.");
    if (split_target(exchange) < 0)
        return -1;
    /* libmicrohttpd takes line ends within a chunked body that no RFC has, and does not tell: whoever
     * stands before us may see its end elsewhere. So nothing that comes after it is a request. */
    exchange->close = exchange->coming.chunked;
    if (exchange->coming.length > server->limits.body_bytes)
        return refuse_size(exchange, 413, LIMIT_BODY_BYTES, "The request's body is too large.");
    return 0;
}

/* ---- The body ---- */

/* Libmicrohttpd takes no answer in the middle of a body: what comes over the limit is read and thrown
 * away, so that a client that means well gets its 413; who sends yet more is cut off. */
#define SKIPPED_MAX ((size_t)1024 * 1024)

static int skip_body(struct http_exchange *exchange, size_t len)
{
    if (!exchange->too_large)
        limits_reached(exchange->server->counts, LIMIT_BODY_BYTES,
                       exchange->connection->address);
    exchange->too_large = true;
    exchange->skipped += len;
    return exchange->skipped > SKIPPED_MAX ? -1 : 0;
}

static int take_body(struct http_exchange *exchange, const char *data, size_t len)
{
    if (exchange->response != NULL)
        return 0;
    size_t limit = exchange->server->limits.body_bytes;
    if (exchange->too_large || len > limit - exchange->body_len)
        return skip_body(exchange, len);
    if (exchange->body_len + len >= exchange->body_size) {
        size_t size = (exchange->body_len + len) * 2 + 1;
        if (size > limit + 1)
            size = limit + 1;
        if (exchange->coming.length > 0)
            size = (size_t)exchange->coming.length + 1;
        char *body = realloc(exchange->body, size);
        if (body == NULL)
            return -1;
        exchange->body = body;
        exchange->body_size = size;
    }
    memcpy(exchange->body + exchange->body_len, data, len);
    exchange->body_len += len;
    exchange->body[exchange->body_len] = '\0';
    return 0;
}

/* ---- The handler ---- */

static void resume(struct http_exchange *exchange)
{
    exchange->suspended = false;
    loop_watch_free(exchange->watch);
    exchange->watch = NULL;
    MHD_resume_connection(exchange->mhd);
    listener_mark(exchange->connection->listener);
}

void exchange_over(struct http_exchange *exchange)
{
    http_gone_fn *gone = exchange->gone;
    exchange_leave(exchange);
    auth_cancel(exchange->check);
    exchange->check = NULL;
    exchange->gone = NULL;
    if (gone != NULL)
        gone(exchange->gone_arg);
}

/* The client left while it was to wait: its place is given back now. */
static void on_disconnect(void *arg, unsigned events)
{
    struct http_exchange *exchange = arg;
    (void)events;
    exchange_over(exchange);
    exchange->dead = true;
    resume(exchange);
}

static void suspend(struct http_exchange *exchange)
{
    exchange->suspended = true;
    /* The engine has deadlines of its own, and the kernel watches the client. */
    connection_deadline(exchange->connection, 0, LIMIT_REQUEST_S);
    MHD_suspend_connection(exchange->mhd);
    exchange->watch = loop_watch_new(exchange->server->loop, exchange->connection->fd,
                                     LOOP_DISCONNECT, on_disconnect, exchange, NULL);
}

static void on_request(struct http_exchange *exchange)
{
    exchange->dispatched = true;
    connection_works(exchange->connection);
    if (exchange->too_large)
        refuse(exchange, 413, FAULT_TOO_LARGE, "The request's body is too large.");
    else
        exchange_dispatch(exchange);
    if (exchange->response == NULL && !exchange->dead)
        suspend(exchange);
}

static enum MHD_Result queue_answer(struct http_exchange *exchange)
{
    const struct conf_limits *limits = &exchange->server->limits;
    unsigned seconds = limits->idle_s > limits->request_s ? limits->idle_s : limits->request_s;
    connection_deadline(exchange->connection, seconds, LIMIT_IDLE_S); /* it may not read it */
    if (!exchange->connection->known)
        connection_waits(exchange->connection);
    struct MHD_Response *response = exchange->response;
    exchange->queued = true;
    return MHD_queue_response(exchange->mhd, exchange->status, response);
}

enum MHD_Result exchange_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_len, void **context)
{
    struct http_exchange *exchange = *context;
    (void)cls;
    (void)mhd;
    (void)url;
    if (exchange == NULL || exchange->dead || exchange->server->ending ||
        exchange->connection->cut)
        return MHD_NO;
    if (!exchange->checked) {
        exchange->checked = true;
        exchange->method = strcmp(method, "HEAD") == 0 ? "GET" : method;
        int verdict = check_head(exchange, method, version);
        if (verdict == 0)
            return MHD_YES;
    } else if (*data_len > 0) {
        if (take_body(exchange, data, *data_len) < 0)
            return MHD_NO;
        *data_len = 0;
        return MHD_YES;
    } else if (!exchange->dispatched) {
        on_request(exchange);
    }
    if (exchange->dead)
        return MHD_NO;
    if (exchange->response == NULL || exchange->queued)
        return MHD_YES;
    return queue_answer(exchange);
}

/* ---- The answer ---- */

void http_set_request_id(struct http_exchange *exchange, const char *id)
{
    snprintf(exchange->request_id, sizeof exchange->request_id, "%s", id);
}

void http_add_header(struct http_exchange *exchange, const char *name, const char *value)
{
    size_t max = sizeof exchange->headers / sizeof exchange->headers[0];
    for (size_t i = 0; i < exchange->header_count; i++) {
        if (strcmp(exchange->headers[i].name, name) == 0 &&
            strcmp(exchange->headers[i].value, value) == 0)
            return;
    }
    if (exchange->header_count == max)
        return;
    char *copy_name = strdup(name), *copy_value = strdup(value);
    if (copy_name == NULL || copy_value == NULL) {
        free(copy_name);
        free(copy_value);
        return;
    }
    exchange->headers[exchange->header_count].name = copy_name;
    exchange->headers[exchange->header_count++].value = copy_value;
}

/* Takes text over; NULL is no body. */
static struct MHD_Response *response_new(char *text)
{
    if (text == NULL)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(text);
    return response;
}

static void add_headers(struct http_exchange *exchange, struct MHD_Response *response,
                        const char *type)
{
    if (exchange->request_id[0] == '\0') {
        memcpy(exchange->request_id, "req-", 4);
        uuid_random(exchange->request_id + 4);
    }
    MHD_add_response_header(response, "X-Openstack-Request-Id", exchange->request_id);
    MHD_add_response_header(response, "Content-Type", type);
    for (size_t i = 0; i < exchange->header_count; i++)
        MHD_add_response_header(response, exchange->headers[i].name, exchange->headers[i].value);
    if (exchange->close || exchange->server->refusing)
        MHD_add_response_header(response, "Connection", "close");
}

static void answer(struct http_exchange *exchange, unsigned status, const char *type,
                   struct MHD_Response *response)
{
    exchange->gone = NULL;
    exchange->status = status;
    exchange->response = response;
    if (response != NULL)
        add_headers(exchange, response, type);
    else
        exchange->dead = true; /* out of memory: the connection ends */
    if (exchange->suspended)
        resume(exchange);
}

/* Whoever asks for much and reads nothing is told so, in a few words, instead. But what came of something
 * that was done is told whatever it takes. */
static void answer_text(struct http_exchange *exchange, unsigned status, const char *type,
                        char *text)
{
    struct fault fault = {0};
    size_t len = text == NULL ? 0 : strlen(text);
    bool read = strcmp(exchange->method, "GET") == 0;
    if (read && limits_hold_answer(exchange->server->counts, exchange->account, len, &fault) < 0) {
        free(text);
        exchange_refuse(exchange, 0, &fault);
        return;
    }
    exchange->held = read ? len : 0;
    answer(exchange, status, type, response_new(text));
}

void http_answer(struct http_exchange *exchange, unsigned status, json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII);
    bool lost = body != NULL && text == NULL;
    json_decref(body);
    if (lost)
        answer(exchange, status, "application/json", NULL);
    else
        answer_text(exchange, status, "application/json", text);
}

void http_answer_text(struct http_exchange *exchange, unsigned status, const char *type,
                      const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        answer(exchange, status, type, NULL);
    else
        answer_text(exchange, status, type, copy);
}

void http_on_gone(struct http_exchange *exchange, http_gone_fn *gone, void *arg)
{
    exchange->gone = gone;
    exchange->gone_arg = arg;
}

/* ---- The end ---- */

static void exchange_free(struct http_exchange *exchange)
{
    *exchange->link = exchange->next;
    if (exchange->next != NULL)
        exchange->next->link = exchange->link;
    loop_watch_free(exchange->watch);
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    for (size_t i = 0; i < exchange->header_count; i++) {
        free(exchange->headers[i].name);
        free(exchange->headers[i].value);
    }
    limits_drop_answer(exchange->account, exchange->held);
    limits_leave(exchange->server->counts, exchange->account);
    identity_unref(exchange->identity);
    route_match_free(&exchange->match);
    route_query_free(exchange->arguments, exchange->argument_count);
    free(exchange->target);
    free(exchange->body);
    free(exchange);
}

void exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code)
{
    struct listener *listener = cls;
    struct http_exchange *exchange = *context;
    (void)mhd;
    (void)code;
    if (exchange == NULL)
        return;
    struct connection *connection = exchange->connection;
    refused_exchange(exchange);
    exchange_over(exchange);
    exchange_free(exchange);
    *context = NULL;
    connection_deadline(connection, listener->server->limits.idle_s, LIMIT_IDLE_S);
    if (connection->wait == WAIT_NONE)
        connection_waits(connection);
    if (listener->server->drained != NULL)
        loop_wake(listener->server->loop);
}

void exchange_end_all(struct http_server *server)
{
    for (struct http_exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        exchange_over(exchange);
        if (!exchange->suspended)
            continue;
        exchange->dead = true;
        resume(exchange);
    }
    /* The resumed connections meet MHD_NO in their handler, and end. */
    for (struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next) {
        secure_release(listener);
        MHD_run(listener->daemon);
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which contract's handler gets a request, the words for what none gets, and what a handler may
 * ask of its request. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/exchange_state.h"

/* The contract with the longest prefix above this path words its errors. */
static const struct mount *mount_of(const struct http_exchange *exchange)
{
    const struct mount *best = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s", exchange->target);
    path[strcspn(path, "?")] = '\0';
    for (const struct mount *mount = exchange->server->mounts; mount != NULL; mount = mount->next) {
        const char *prefix = mount->contract->prefix;
        if (route_below(prefix, path) &&
            (best == NULL || strlen(prefix) > strlen(best->contract->prefix)))
            best = mount;
    }
    return best;
}

void exchange_refuse(struct http_exchange *exchange, unsigned status, const struct fault *fault)
{
    const struct mount *mount = mount_of(exchange);
    if (mount != NULL)
        mount->contract->error(mount->self, exchange, status, fault);
    else
        http_answer(exchange, status != 0 ? status : (unsigned)fault_row(fault->code)->agent,
                    json_pack("{s:{s:s, s:s}}", "error", "code", fault_name(fault->code), "message",
                              fault->message));
}

const char *exchange_contract(const struct http_exchange *exchange)
{
    const struct mount *mount = mount_of(exchange);
    return mount != NULL ? mount->contract->name : NULL;
}

static void allow_add(struct http_exchange *exchange, const char *method)
{
    char *allow = exchange->allow;
    size_t len = strlen(allow);
    if (strstr(allow, method) != NULL)
        return;
    snprintf(allow + len, sizeof exchange->allow - len, "%s%s%s", len > 0 ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

static void look_in_contract(struct http_exchange *exchange, const struct mount *mount)
{
    for (const struct http_route *route = mount->contract->routes; route->method != NULL; route++) {
        struct route_match match;
        if (!route_matches(route->pattern, exchange->target, &match))
            continue;
        allow_add(exchange, route->method);
        if (strcmp(route->method, exchange->method) != 0) {
            route_match_free(&match);
            continue;
        }
        exchange->mount = mount;
        exchange->route = route;
        exchange->match = match;
        return;
    }
}

void exchange_dispatch(struct http_exchange *exchange)
{
    for (const struct mount *mount = exchange->server->mounts;
         mount != NULL && exchange->route == NULL; mount = mount->next)
        look_in_contract(exchange, mount);
    if (exchange->route != NULL && exchange->route->kind == HTTP_OPEN)
        exchange_handle(exchange);
    else
        exchange_authenticate(exchange);
}

void exchange_handle(struct http_exchange *exchange)
{
    struct fault fault = {0};
    if (exchange->route != NULL) {
        exchange_call(exchange);
    } else if (exchange->allow[0] != '\0') {
        http_add_header(exchange, "Allow", exchange->allow);
        fault_set(&fault, FAULT_METHOD, "The method %s is not allowed for this resource.",
                  exchange->method);
        exchange_refuse(exchange, 405, &fault);
    } else {
        fault_set(&fault, FAULT_NOT_FOUND, "The resource could not be found.");
        exchange_refuse(exchange, 404, &fault);
    }
}

/* ---- What a handler asks ---- */

const char *http_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_path(const struct http_exchange *exchange)
{
    return exchange->target;
}

static const struct route_param *param_of(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->match.count; i++) {
        const struct route_param *param = &exchange->match.params[i];
        if (param->name_len == strlen(name) && memcmp(param->name, name, param->name_len) == 0)
            return param;
    }
    return NULL;
}

const char *http_param(const struct http_exchange *exchange, const char *name)
{
    const struct route_param *param = param_of(exchange, name);
    return param == NULL ? NULL : param->text;
}

const char *http_param_raw(const struct http_exchange *exchange, const char *name)
{
    const struct route_param *param = param_of(exchange, name);
    return param == NULL ? NULL : param->raw;
}

const struct http_argument *http_arguments(const struct http_exchange *exchange, size_t *ret_count)
{
    *ret_count = exchange->argument_count;
    return exchange->arguments;
}

const char *http_header(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

struct join {
    const char *name;
    char *buffer;
    size_t size, len;
    bool found, overflow;
};

static enum MHD_Result on_join(void *cls, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    struct join *join = cls;
    (void)kind;
    if (strcasecmp(name, join->name) != 0)
        return MHD_YES;
    int written = snprintf(join->buffer + join->len, join->size - join->len, "%s%s",
                           join->found ? "," : "", value != NULL ? value : "");
    join->found = true;
    if (written < 0 || (size_t)written >= join->size - join->len) {
        join->overflow = true;
        return MHD_NO;
    }
    join->len += (size_t)written;
    return MHD_YES;
}

char *http_header_joined(const struct http_exchange *exchange, const char *name, char *buffer,
                         size_t size)
{
    struct join join = {.name = name, .buffer = buffer, .size = size};
    MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, on_join, &join);
    return join.found && !join.overflow ? buffer : NULL;
}

const char *http_base_url(const struct http_exchange *exchange, char url[HTTP_BASE_MAX])
{
    const char *host = http_header(exchange, "Host");
    const char *proto = http_header(exchange, "X-Forwarded-Proto");
    bool secure = exchange->connection->listener->tls != NULL ||
                  (proto != NULL && strcmp(proto, "https") == 0);
    if (host == NULL || host[0] == '\0' || strlen(host) > 300)
        url[0] = '\0';
    else
        snprintf(url, HTTP_BASE_MAX, "%s://%s", secure ? "https" : "http", host);
    return url;
}

const char *http_body(const struct http_exchange *exchange, size_t *ret_len)
{
    *ret_len = exchange->body_len;
    return exchange->body != NULL ? exchange->body : "";
}

const struct principal *http_principal(const struct http_exchange *exchange)
{
    return &exchange->principal;
}

const char *http_address(const struct http_exchange *exchange)
{
    return exchange->connection->address;
}

bool http_stopping(const struct http_exchange *exchange)
{
    return exchange->server->refusing;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every answer of the Ironic contract has: its version headers, and errors in Ironic's form, a
 * string that holds JSON. Never a Retry-After: python-ironicclient crashes on it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/body.h"
#include "contracts/ironic_api_state.h"
#include "contracts/ironic_version.h"

/* Wraps an error's JSON into a string; takes inner over. */
static void answer_wrapped(struct http_exchange *exchange, unsigned status, json_t *inner)
{
    char *text = inner == NULL ? NULL : json_dumps(inner, JSON_ENSURE_ASCII);
    json_decref(inner);
    http_answer(exchange, status, json_pack("{s:s}", "error_message", text != NULL ? text : ""));
    free(text);
}

static void answer_fault(struct http_exchange *exchange, unsigned status, json_t *faultstring)
{
    answer_wrapped(exchange, status,
                   json_pack("{s:s, s:o, s:n}", "faultcode", status < 500 ? "Client" : "Server",
                             "faultstring", faultstring, "debuginfo"));
}

/* What Ironic's framework answers before any of its handlers. */
static void answer_plain(struct http_exchange *exchange, unsigned status, const char *title,
                         const struct fault *fault)
{
    answer_wrapped(exchange, status,
                   json_pack("{s:i, s:s, s:o}", "code", (int)status, "title", title, "description",
                             body_text(fault->message)));
}

/* ---- Versions ---- */

static const char *asked_version(const struct http_exchange *exchange, char buffer[64])
{
    if (http_header(exchange, IRONIC_VERSION_HEADER) == NULL)
        return NULL;
    const char *text = http_header_joined(exchange, IRONIC_VERSION_HEADER, buffer, 64);
    return text != NULL ? text : "junk"; /* too long to be one */
}

/* All three, whatever comes of the request: a client that reads them in vain crashes. */
static int add_version_headers(struct http_exchange *exchange, unsigned *ret_minor,
                               struct fault *fault)
{
    char asked[64], version[16];
    unsigned minor = 1;
    int result = ironic_version_parse(asked_version(exchange, asked), &minor, fault);
    snprintf(version, sizeof version, "1.%u", minor);
    http_add_header(exchange, "X-OpenStack-Ironic-API-Minimum-Version", IRONIC_VERSION_MINIMUM);
    http_add_header(exchange, "X-OpenStack-Ironic-API-Maximum-Version", IRONIC_VERSION_MAXIMUM);
    http_add_header(exchange, IRONIC_VERSION_HEADER, version);
    *ret_minor = minor;
    return result;
}

bool ironic_take_version(struct http_exchange *exchange, unsigned *ret_minor)
{
    struct fault fault = {0};
    if (add_version_headers(exchange, ret_minor, &fault) == 0)
        return true;
    answer_plain(exchange, 406, "Not Acceptable", &fault);
    return false;
}

/* ---- Errors ---- */

/* http_basic and keystonemiddleware stand before Ironic, and have words of their own. Ironic has no
 * client certificates: their refusal has the form of http_basic's, without WWW-Authenticate. */
static void answer_unauthorized(struct http_exchange *exchange, const struct fault *fault)
{
    enum auth_strategy strategy = http_auth_strategy(exchange);
    if (strategy == AUTH_HTTP_BASIC || strategy == AUTH_CLIENT_CERTIFICATE)
        http_answer(exchange, 401,
                    json_pack("{s:{s:o, s:i}}", "error", "message", body_text(fault->message),
                              "code", 401));
    else if (strategy == AUTH_KEYSTONE)
        http_answer(exchange, 401,
                    json_pack("{s:{s:i, s:s, s:s}}", "error", "code", 401, "title", "Unauthorized",
                              "message", "The request you have made requires authentication."));
    else
        answer_fault(exchange, 401, body_text(fault->message));
}

void ironic_error(void *self, struct http_exchange *exchange, unsigned status,
                  const struct fault *fault)
{
    unsigned minor;
    (void)self;
    add_version_headers(exchange, &minor, NULL);
    if (status == 0)
        status = (unsigned)fault_row(fault->code)->ironic;
    if (fault->code == FAULT_UNAUTHORIZED)
        answer_unauthorized(exchange, fault);
    else if (fault->code == FAULT_NOT_FOUND)
        answer_plain(exchange, status, "Not Found", fault);
    else if (fault->code == FAULT_METHOD)
        answer_plain(exchange, status, "Method Not Allowed", fault);
    else
        answer_fault(exchange, status, body_text(fault->message));
}

void ironic_malformed(struct http_exchange *exchange, const char *format, ...)
{
    struct fault fault = {.code = FAULT_MALFORMED};
    va_list args;
    va_start(args, format);
    vsnprintf(fault.message, sizeof fault.message, format, args);
    va_end(args);
    ironic_error(NULL, exchange, 400, &fault);
}

void ironic_not_acceptable(struct http_exchange *exchange, unsigned since)
{
    struct fault fault = {0};
    if (since == 0)
        fault_set(&fault, FAULT_MALFORMED, "Request not acceptable.");
    else
        fault_set(&fault, FAULT_MALFORMED,
                  "Request not acceptable. The minimal required API version should be 1.%u", since);
    ironic_error(NULL, exchange, 406, &fault);
}

static const char *ident_shown(const struct http_exchange *exchange)
{
    const char *ident = http_param(exchange, "id");
    return ident != NULL && ident[0] != '\0' ? ident : http_param_raw(exchange, "id");
}

void ironic_refuse(struct http_exchange *exchange, const char *rule, const struct fault *fault)
{
    struct fault told = {0};
    if (fault->code == FAULT_NODE_NOT_FOUND)
        fault_set(&told, fault->code, "Node %.255s could not be found.", ident_shown(exchange));
    else if (fault->code == FAULT_FORBIDDEN)
        fault_set(&told, fault->code,
                  "Access was denied to the following resource: baremetal:node:%s", rule);
    ironic_error(NULL, exchange, 0, told.code != FAULT_NONE ? &told : fault);
}

/* ---- What is asked ---- */

/* RFC 3986's unreserved characters: Ironic's rule for a name, and a UUID keeps it too. */
const char *ironic_take_ident(struct http_exchange *exchange)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    const char *ident = http_param(exchange, "id");
    size_t len = strlen(ident);
    if (len > 0 && len <= NODE_NAME_MAX && strspn(ident, good) == len)
        return ident;
    /* Ironic has two names for it. */
    ironic_malformed(exchange, "Expected UUID or name for %s: %.255s",
                     strcmp(http_method(exchange), "GET") == 0 ? "node" : "node_ident",
                     ident_shown(exchange));
    return NULL;
}

/* At most so many bytes of names: what is sent back is bounded. */
#define UNEXPECTED_MAX 300

static void add_unexpected(char *text, const char *name)
{
    size_t len = strlen(text);
    if (len < UNEXPECTED_MAX - 8)
        snprintf(text + len, UNEXPECTED_MAX - len, "%s%.100s", len > 0 ? ", " : "", name);
}

bool ironic_no_arguments(struct http_exchange *exchange, const json_t *body)
{
    char names[UNEXPECTED_MAX] = "";
    size_t count = 0;
    const struct http_argument *arguments = http_arguments(exchange, &count);
    for (size_t i = 0; i < count; i++)
        add_unexpected(names, arguments[i].name);
    json_t *object = (json_t *)body; /* jansson's iterators are not const, and change nothing */
    for (void *i = json_object_iter(object); i != NULL;
         i = json_object_iter_next(object, i), count++)
        add_unexpected(names, json_object_iter_key(i));
    if (count > 0)
        ironic_malformed(exchange, "Unexpected arguments: %s", names);
    return count == 0;
}

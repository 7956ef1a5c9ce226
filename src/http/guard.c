/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guards, one short function per rule. Each was seen to get through libmicrohttpd 0.9.75. */
#include "http/guard.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_alpha(text[i]) && !is_digit(text[i]) && !is_one_of(text[i], "!#$%&'*+-.^_`|~"))
            return false;
    }
    return len > 0;
}

static bool field_is(const struct guard_field *field, const char *name)
{
    return field->name_len == strlen(name) && strncasecmp(field->name, name, field->name_len) == 0;
}

/* How many fields have this name; *ret_first is the first one. */
static size_t fields_named(const struct guard_head *head, const char *name,
                           const struct guard_field **ret_first)
{
    size_t found = 0;
    for (size_t i = 0; i < head->count; i++) {
        if (field_is(&head->fields[i], name) && found++ == 0)
            *ret_first = &head->fields[i];
    }
    return found;
}

static int check_version(const struct guard_head *head, struct fault *fault)
{
    if (strcmp(head->version, "HTTP/1.1") == 0 || strcmp(head->version, "HTTP/1.0") == 0)
        return 0;
    return fault_set(fault, FAULT_MALFORMED, "The HTTP version is not 1.0 or 1.1.");
}

static int check_method(const struct guard_head *head, struct fault *fault)
{
    size_t len = strlen(head->method);
    if (len > 0 && len <= 16 && strspn(head->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len &&
        strcmp(head->method, "CONNECT") != 0)
        return 0;
    return fault_set(fault, FAULT_MALFORMED, "The method is not one that this server knows.");
}

/* Origin form only, of the characters that a URI may have (RFC 3986, 3.3 and 3.4). */
static int check_target(const struct guard_head *head, struct fault *fault)
{
    const char *p = head->target;
    if (*p != '/')
        return fault_set(fault, FAULT_MALFORMED, "The request target is not a path.");
    for (; *p != '\0'; p++) {
        if (*p == '%' && is_hex(p[1]) && is_hex(p[2])) {
            p += 2;
            continue;
        }
        if (!is_alpha(*p) && !is_digit(*p) && !is_one_of(*p, "/?-._~!$&'()*+,;=:@"))
            return fault_set(fault, FAULT_MALFORMED,
                             "The request target has a character that a URI may not have.");
    }
    return 0;
}

static int check_fields(const struct guard_head *head, struct fault *fault)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct guard_field *field = &head->fields[i];
        if (!is_token(field->name, field->name_len))
            return fault_set(fault, FAULT_MALFORMED, "A header's name is malformed.");
        for (size_t k = 0; k < field->value_len; k++) {
            unsigned char c = (unsigned char)field->value[k];
            if ((c < 0x20 && c != '\t') || c == 0x7f)
                return fault_set(fault, FAULT_MALFORMED,
                                 "A header's value has a control character.");
        }
    }
    return 0;
}

static int check_length(const struct guard_head *head, struct guard_body *body, struct fault *fault)
{
    const struct guard_field *length = NULL;
    size_t found = fields_named(head, "Content-Length", &length);
    if (found > 1)
        return fault_set(fault, FAULT_MALFORMED, "There is more than one Content-Length.");
    if (found == 0)
        return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < length->value_len; i++) {
        if (!is_digit(length->value[i]) || i >= 18)
            return fault_set(fault, FAULT_MALFORMED, "The Content-Length is not a number.");
        value = value * 10 + (uint64_t)(length->value[i] - '0');
    }
    if (length->value_len == 0)
        return fault_set(fault, FAULT_MALFORMED, "The Content-Length is not a number.");
    body->length = value;
    return 0;
}

static int check_encoding(const struct guard_head *head, struct guard_body *body,
                          struct fault *fault)
{
    const struct guard_field *encoding = NULL, *length = NULL;
    size_t found = fields_named(head, "Transfer-Encoding", &encoding);
    if (found == 0)
        return 0;
    if (fields_named(head, "Content-Length", &length) > 0)
        return fault_set(fault, FAULT_MALFORMED,
                         "There is a Content-Length with a Transfer-Encoding.");
    if (found > 1 || encoding->value_len != strlen("chunked") ||
        strncasecmp(encoding->value, "chunked", encoding->value_len) != 0)
        return fault_set(fault, FAULT_MALFORMED, "The Transfer-Encoding is not chunked.");
    if (strcmp(head->version, "HTTP/1.0") == 0)
        return fault_set(fault, FAULT_MALFORMED, "HTTP/1.0 has no Transfer-Encoding.");
    body->chunked = true;
    return 0;
}

/* Splits "host", "host:port", "[v6]", "[v6]:port"; the host without its brackets. */
static bool host_split(const char *value, size_t len, const char **ret_host, size_t *ret_len)
{
    const char *end = value + len, *host = value, *rest;
    if (len > 0 && value[0] == '[') {
        rest = memchr(value, ']', len);
        if (rest == NULL)
            return false;
        host = value + 1;
        *ret_len = (size_t)(rest - host);
        rest++;
    } else {
        rest = memchr(value, ':', len);
        if (rest == NULL)
            rest = end;
        *ret_len = (size_t)(rest - host);
    }
    *ret_host = host;
    if (rest == end)
        return true;
    if (*rest++ != ':' || end - rest > 5)
        return false;
    for (; rest < end; rest++) {
        if (!is_digit(*rest))
            return false;
    }
    return true;
}

/* 127.x.x.x, each x a number to 255. */
static bool is_loopback_v4(const char *host, size_t len)
{
    unsigned part = 0, value = 0, digits = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && is_digit(host[i])) {
            value = value * 10 + (unsigned)(host[i] - '0');
            if (++digits > 3 || value > 255)
                return false;
        } else if (i == len || host[i] == '.') {
            if (digits == 0 || (part == 0 && value != 127))
                return false;
            part++;
            value = digits = 0;
        } else {
            return false;
        }
    }
    return part == 4;
}

static bool text_is(const char *text, size_t len, const char *other)
{
    return other != NULL && len == strlen(other) && strncasecmp(text, other, len) == 0;
}

bool guard_host_is_ours(const char *value, size_t len, const char *own_address)
{
    const char *host = NULL;
    size_t host_len = 0;
    if (!host_split(value, len, &host, &host_len))
        return false;
    if (len > 0 && value[0] == '[')
        return text_is(host, host_len, "::1") || text_is(host, host_len, own_address);
    return text_is(host, host_len, "localhost") || is_loopback_v4(host, host_len) ||
           text_is(host, host_len, own_address);
}

/* Of two of these, which would count? The one that a proxy before us has looked at, or the other? */
static int check_single(const struct guard_head *head, struct fault *fault)
{
    static const char *const names[] = {"Authorization", "X-Auth-Token",     "Idempotency-Key",
                                        "Content-Type",  "Content-Encoding", "Origin"};
    const struct guard_field *first = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fields_named(head, names[i], &first) > 1)
            return fault_set(fault, FAULT_MALFORMED, "There is more than one %s.", names[i]);
    }
    return 0;
}

/* What is asked of the body or of the server, and is not to be had: 415 (RFC 9110, 8.4) and 417
 * (10.1.1). Who read the body before us may have decoded it. */
static int check_wishes(const struct guard_head *head, const struct guard_body *body,
                        unsigned *ret_status, struct fault *fault)
{
    const struct guard_field *coding = NULL, *expect = NULL;
    if (fields_named(head, "Content-Encoding", &coding) > 0 &&
        !text_is(coding->value, coding->value_len, "identity")) {
        *ret_status = 415;
        return fault_set(fault, FAULT_MALFORMED, "The body has a Content-Encoding.");
    }
    *ret_status = 417;
    if (fields_named(head, "Expect", &expect) == 0 || strcmp(head->version, "HTTP/1.0") == 0)
        return 0;
    if (!text_is(expect->value, expect->value_len, "100-continue"))
        return fault_set(fault, FAULT_MALFORMED, "The Expect is not 100-continue.");
    /* libmicrohttpd 0.9.75 would ask for a body all the same, and cannot answer when another request
     * is there already: this one would be carried out, and its outcome lost. */
    if (!body->chunked && body->length == 0)
        return fault_set(fault, FAULT_MALFORMED, "There is an Expect without a body.");
    return 0;
}

/* RFC 9110, 7.2: a host and perhaps a port; or nothing. */
static bool host_is_valid(const char *value, size_t len)
{
    const char *host = NULL;
    size_t host_len = 0;
    if (!host_split(value, len, &host, &host_len))
        return false;
    bool literal = len > 0 && value[0] == '[';
    for (size_t i = 0; i < host_len; i++) {
        if (literal ? !is_hex(host[i]) && !is_one_of(host[i], ":.")
                    : !is_alpha(host[i]) && !is_digit(host[i]) &&
                          !is_one_of(host[i], "-._~!$&'()*+,;=%"))
            return false;
    }
    return !literal || host_len > 0;
}

static int check_host(const struct guard_head *head, unsigned *ret_status, struct fault *fault)
{
    const struct guard_field *host = NULL;
    size_t found = fields_named(head, "Host", &host);
    if (found > 1)
        return fault_set(fault, FAULT_MALFORMED, "There is more than one Host.");
    if (found == 0 && strcmp(head->version, "HTTP/1.1") == 0)
        return fault_set(fault, FAULT_MALFORMED, "There is no Host.");
    if (found != 0 && !host_is_valid(host->value, host->value_len))
        return fault_set(fault, FAULT_MALFORMED, "The Host is malformed.");
    if (found == 0 || !head->refuse_foreign ||
        guard_host_is_ours(host->value, host->value_len, head->own_address))
        return 0;
    *ret_status = 421;
    return fault_set(fault, FAULT_FORBIDDEN, "The Host is not one that this server answers to.");
}

/* Is this, of an Origin, the site that was asked? */
static bool is_own_site(const struct guard_head *head, const char *site, size_t len)
{
    const struct guard_field *host = NULL;
    if (head->refuse_foreign)
        return guard_host_is_ours(site, len, head->own_address);
    return fields_named(head, "Host", &host) == 1 && host->value_len == len &&
           strncasecmp(host->value, site, len) == 0;
}

/* A page of another site may send what a form can; its browser says so in Origin. */
static int check_origin(const struct guard_head *head, unsigned *ret_status, struct fault *fault)
{
    const struct guard_field *origin = NULL;
    if ((!head->refuse_foreign && !head->same_origin) ||
        fields_named(head, "Origin", &origin) == 0)
        return 0;
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(schemes[i]);
        if (origin->value_len > len && memcmp(origin->value, schemes[i], len) == 0 &&
            is_own_site(head, origin->value + len, origin->value_len - len))
            return 0;
    }
    *ret_status = 403;
    return fault_set(fault, FAULT_FORBIDDEN, "The request comes from a page of another site.");
}

int guard_check(const struct guard_head *head, struct guard_body *ret_body, unsigned *ret_status,
                struct fault *fault)
{
    struct guard_body body = {0};
    *ret_status = 400;
    if (check_version(head, fault) < 0 || check_method(head, fault) < 0 ||
        check_target(head, fault) < 0 || check_fields(head, fault) < 0 ||
        check_length(head, &body, fault) < 0 || check_encoding(head, &body, fault) < 0 ||
        check_single(head, fault) < 0 || check_wishes(head, &body, ret_status, fault) < 0)
        return -1;
    *ret_status = 400;
    if (check_host(head, ret_status, fault) < 0 || check_origin(head, ret_status, fault) < 0)
        return -1;
    *ret_body = body;
    return 0;
}

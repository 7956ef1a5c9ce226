/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LETTERS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS      "0123456789"
#define NAME_MAX    253 /* of a host */
#define LABEL_BYTES LETTERS DIGITS "-_."
/* pchar, "/" and "?" of RFC 3986, but "@" in a path: some readers take what is before it for a
 * user. */
#define PATH_BYTES LETTERS DIGITS "-._~!$&'()*+,;=:/%"

static int malformed(struct fault *fault, const char *what)
{
    return fault_set(fault, FAULT_MALFORMED, "%s", what);
}

static int add(struct url *url, const char *bytes, size_t len)
{
    size_t have = strlen(url->text);
    if (len >= sizeof url->text - have)
        return -1;
    memcpy(url->text + have, bytes, len);
    url->text[have + len] = '\0';
    return 0;
}

static void add_lower(struct url *url, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char byte = bytes[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte - 'A' + 'a');
        add(url, &byte, 1);
    }
}

/* "[...]" with an IPv6 address in it, which is added in its one canonical form: its length, or 0.
 */
static size_t take_literal(struct url *url, const char *text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    const char *end = strchr(text, ']');
    size_t len = end == NULL ? 0 : (size_t)(end - text) - 1;
    if (end == NULL || len >= sizeof address)
        return 0;
    memcpy(address, text + 1, len);
    address[len] = '\0';
    if (inet_pton(AF_INET6, address, &binary) != 1)
        return 0;
    inet_ntop(AF_INET6, &binary, address, sizeof address);
    add(url, "[", 1);
    add(url, address, strlen(address));
    add(url, "]", 1);
    return len + 2;
}

/* A name or an IPv4 address: its length, or 0. What ends in a number is an address, and only its
 * usual form is taken: "0x7f.1" and "2130706433" are 127.0.0.1 to some readers. */
static size_t take_name(struct url *url, const char *text)
{
    char name[NAME_MAX + 1];
    struct in_addr binary;
    size_t len = strspn(text, LABEL_BYTES);
    if (len == 0 || len > NAME_MAX || text[0] == '.' || text[0] == '-' || text[len - 1] == '.')
        return 0;
    memcpy(name, text, len);
    name[len] = '\0';
    const char *dot = strrchr(name, '.'), *last = dot == NULL ? name : dot + 1;
    bool number = strspn(last, DIGITS) == strlen(last) || strncasecmp(last, "0x", 2) == 0;
    if (strstr(name, "..") != NULL || (number && inet_pton(AF_INET, name, &binary) != 1))
        return 0;
    add_lower(url, name, len);
    return len;
}

/* After "://": the host and the port. */
static int take_host(struct url *url, const char **text, struct fault *fault)
{
    size_t len = (*text)[0] == '[' ? take_literal(url, *text) : take_name(url, *text);
    unsigned long port = 0;
    if (len == 0)
        return malformed(fault, "a host must follow the scheme");
    *text += len;
    if ((*text)[0] == ':') {
        size_t digits = strspn(*text + 1, DIGITS);
        port = strtoul(*text + 1, NULL, 10);
        if (digits == 0 || digits > 5 || port == 0 || port > 65535)
            return malformed(fault, "its port is no number from 1 to 65535");
        *text += 1 + digits;
    }
    if (port != 0 && port != (url->encrypted ? 443 : 80)) {
        char number[16];
        snprintf(number, sizeof number, ":%lu", port);
        add(url, number, strlen(number));
    }
    if ((*text)[0] != '\0' && (*text)[0] != '/' && (*text)[0] != '?')
        return malformed(fault, strchr(*text, '@') != NULL
                                    ? "it must not have a user"
                                    : "its host has a character that may not be there");
    url->origin_len = (unsigned)strlen(url->text);
    return 0;
}

static int hex_value(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit | 0x20);
    return found == NULL ? -1 : (int)(found - digits);
}

/* Percent signs are followed by two digits; in a path they hide neither a slash, a dot, a control
 * character nor another percent sign. */
static int check_escapes(const char *text, size_t len, bool path, struct fault *fault)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%')
            continue;
        int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low < 0)
            return malformed(fault, "\"%\" must be followed by two hexadecimal digits");
        int byte = high * 16 + low;
        if (path && (byte < ' ' || byte == 0x7f || strchr("/\\.%;?#", byte) != NULL))
            return malformed(fault, "its path hides a delimiter behind \"%\"");
    }
    return 0;
}

/* No segment may be "." or "..", with or without parameters behind a semicolon. */
static int check_segments(const char *path, size_t len, struct fault *fault)
{
    for (size_t at = 0; at < len; at++) { /* at a slash */
        const char *segment = path + at + 1;
        size_t size = 0;
        while (at + 1 + size < len && segment[size] != '/')
            size++;
        const char *semicolon = memchr(segment, ';', size);
        size_t name = semicolon == NULL ? size : (size_t)(semicolon - segment);
        if ((name == 1 || name == 2) && strspn(segment, ".") >= name)
            return malformed(fault, "its path must not have segments \".\" and \"..\"");
        at += size;
    }
    return 0;
}

static int take_path(struct url *url, const char *text, struct fault *fault)
{
    size_t len = strspn(text, PATH_BYTES);
    if (text[0] == '?' || text[0] == '\0')
        add(url, "/", 1);
    if (check_escapes(text, len, true, fault) < 0 || check_segments(text, len, fault) < 0)
        return -1;
    if (text[len] == '?') {
        size_t query = strspn(text + len, PATH_BYTES "?@");
        if (check_escapes(text + len, query, false, fault) < 0)
            return -1;
        len += query;
    }
    if (text[len] == '#')
        return malformed(fault, "it must not have a fragment (\"#\")");
    if (text[len] != '\0')
        return malformed(fault, "it has a character that must be written with \"%\"");
    return add(url, text, len) < 0 ? malformed(fault, "it is longer than 2048 bytes") : 0;
}

int url_parse(const char *text, struct url *ret_url, struct fault *fault)
{
    struct url url = {.text = ""};
    if (strlen(text) >= URL_TEXT)
        return malformed(fault, "it is longer than 2048 bytes");
    if (strncasecmp(text, "https://", 8) == 0)
        url.encrypted = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return malformed(fault, "it must begin with http:// or https://");
    const char *rest = text + (url.encrypted ? 8 : 7);
    add_lower(&url, text, (size_t)(rest - text));
    if (take_host(&url, &rest, fault) < 0 || take_path(&url, rest, fault) < 0)
        return -1;
    *ret_url = url;
    return 0;
}

bool url_below(const struct url *url, const struct url *prefix)
{
    size_t len = strlen(prefix->text);
    if (url->origin_len != prefix->origin_len || strncmp(url->text, prefix->text, len) != 0)
        return false;
    return prefix->text[len - 1] == '/' || strchr("/?", url->text[len]) != NULL;
}

bool url_is_loopback(const struct url *url)
{
    const char *host = strstr(url->text, "://") + 3;
    size_t len = strcspn(host, ":/");
    return (len == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "[::1]", 5) == 0 ||
           (strspn(host, "0123456789.") == len && strncmp(host, "127.", 4) == 0);
}

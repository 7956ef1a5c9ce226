/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/route.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* jansson knows what UTF-8 is. */
static bool is_utf8(const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);
    json_decref(value);
    return value != NULL;
}

char *route_decode(const char *text, size_t len, bool plus)
{
    char *out = malloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; out != NULL && i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
            c = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f) {
            free(out);
            return NULL;
        }
        out[n++] = (char)c;
    }
    if (out == NULL || !is_utf8(out, n)) {
        free(out);
        return NULL;
    }
    out[n] = '\0';
    return out;
}

void route_match_free(struct route_match *match)
{
    for (size_t i = 0; i < match->count; i++) {
        free(match->params[i].text);
        free(match->params[i].raw);
    }
    match->count = 0;
}

/* Can it be a name? Not a dot segment, however it is written: a proxy that collapses these sees
 * another path. */
static bool is_name(const char *text)
{
    return strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool take_param(struct route_match *match, const char *name, size_t name_len,
                       const char *segment, size_t len)
{
    if (match->count == ROUTE_PARAMS_MAX)
        return false;
    struct route_param *param = &match->params[match->count];
    param->name = name + 1;
    param->name_len = name_len - 2;
    param->text = route_decode(segment, len, false);
    if (param->text == NULL || !is_name(param->text)) {
        free(param->text);
        param->text = strdup("");
    }
    param->raw = strndup(segment, len);
    match->count++;
    return param->text != NULL && param->raw != NULL;
}

bool route_matches(const char *pattern, const char *path, struct route_match *ret_match)
{
    struct route_match match = {.count = 0};
    bool same = true;
    while (same && *pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t pattern_len = strcspn(pattern, "/"), path_len = strcspn(path, "/");
        if (pattern[0] == '{')
            same = path_len > 0 && take_param(&match, pattern, pattern_len, path, path_len);
        else
            same = pattern_len == path_len && memcmp(pattern, path, path_len) == 0;
        pattern += pattern_len;
        path += path_len;
    }
    if (!same || *pattern != '\0' || *path != '\0') {
        route_match_free(&match);
        return false;
    }
    *ret_match = match;
    return true;
}

void route_query_free(struct http_argument *arguments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(arguments[i].name);
        free(arguments[i].value);
    }
    free(arguments);
}

int route_query(const char *query, struct http_argument **ret_arguments, size_t *ret_count)
{
    struct http_argument *arguments = calloc(ROUTE_ARGUMENTS_MAX, sizeof *arguments);
    size_t count = 0;
    while (arguments != NULL && *query != '\0') {
        size_t len = strcspn(query, "&");
        if (len > 0) {
            const char *equals = memchr(query, '=', len);
            size_t name_len = equals != NULL ? (size_t)(equals - query) : len;
            size_t value_len = equals != NULL ? len - name_len - 1 : 0;
            if (count == ROUTE_ARGUMENTS_MAX)
                goto malformed;
            struct http_argument *argument = &arguments[count++];
            argument->name = route_decode(query, name_len, true);
            argument->value = route_decode(query + len - value_len, value_len, true);
            if (argument->name == NULL || argument->value == NULL)
                goto malformed;
        }
        query += len;
        query += *query == '&';
    }
    if (arguments == NULL)
        return -1;
    *ret_arguments = arguments;
    *ret_count = count;
    return 0;

malformed:
    route_query_free(arguments, count);
    return -1;
}

bool route_below(const char *prefix, const char *path)
{
    size_t len = strlen(prefix);
    return strncmp(prefix, path, len) == 0 && (len == 0 || path[len] == '\0' || path[len] == '/');
}

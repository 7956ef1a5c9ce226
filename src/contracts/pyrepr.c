/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/pyrepr.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
    char *text;
    size_t size, len;
    bool full;
};

static void put(struct out *out, const char *bytes, size_t len)
{
    if (out->full || len >= out->size - out->len) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->len, bytes, len);
    out->len += len;
    out->text[out->len] = '\0';
}

static void put_format(struct out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_format(struct out *out, const char *format, ...)
{
    char piece[64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    put(out, piece, len < 0 ? 0 : (size_t)len);
}

/* How many bytes the character at p has; the text is valid UTF-8. */
static size_t char_len(const char *p)
{
    unsigned char c = (unsigned char)*p;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static void put_text(struct out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = char_len(text + i);
        put(out, text + i, n);
        i += n;
    }
}

static void put_quoted(struct out *out, const char *text, size_t len)
{
    bool single = memchr(text, '\'', len) != NULL, both = single && memchr(text, '"', len) != NULL;
    const char *quote = single && !both ? "\"" : "'";
    put(out, quote, 1);
    for (size_t i = 0; i < len;) {
        size_t n = char_len(text + i);
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' || c == '\r' || c == '\t')
            put_format(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x20 || c == 0x7f)
            put_format(out, "\\x%02x", c);
        else if (c == '\\' || (c == '\'' && *quote == '\''))
            put_format(out, "\\%c", c);
        else
            put(out, text + i, n);
        i += n;
    }
    put(out, quote, 1);
}

/* The shortest decimal that reads back as the same number. */
static void put_real(struct out *out, double value)
{
    char piece[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(piece, sizeof piece, "%.*g", precision, value);
        if (strtod(piece, NULL) == value)
            break;
    }
    put_format(out, "%s%s", piece, strpbrk(piece, ".en") == NULL ? ".0" : "");
}

static void put_value(struct out *out, const json_t *value, int depth);

static void put_object(struct out *out, const json_t *value, int depth)
{
    const char *separator = "";
    json_t *object = (json_t *)value; /* jansson's iterators are not const, and change nothing */
    put(out, "{", 1);
    for (void *i = json_object_iter(object); i != NULL && !out->full;
         i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        put_format(out, "%s", separator);
        put_quoted(out, key, strlen(key));
        put(out, ": ", 2);
        put_value(out, json_object_iter_value(i), depth + 1);
        separator = ", ";
    }
    put(out, "}", 1);
}

static void put_array(struct out *out, const json_t *value, int depth)
{
    put(out, "[", 1);
    for (size_t i = 0; i < json_array_size(value) && !out->full; i++) {
        if (i > 0)
            put(out, ", ", 2);
        put_value(out, json_array_get(value, i), depth + 1);
    }
    put(out, "]", 1);
}

static void put_value(struct out *out, const json_t *value, int depth)
{
    if (depth > 64)
        out->full = true;
    else if (json_is_object(value))
        put_object(out, value, depth);
    else if (json_is_array(value))
        put_array(out, value, depth);
    else if (json_is_string(value))
        put_quoted(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        put_format(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        put_real(out, json_real_value(value));
    else
        put_format(out, "%s",
                   json_is_true(value)    ? "True"
                   : json_is_false(value) ? "False"
                                          : "None");
}

char *pyrepr(const json_t *value, int quoted, char *text, size_t size)
{
    struct out out = {.text = text, .size = size - 3};
    text[0] = '\0';
    if (json_is_string(value) && !quoted)
        put_text(&out, json_string_value(value), json_string_length(value));
    else
        put_value(&out, value, 0);
    if (out.full)
        memcpy(text + out.len, "...", 4);
    return text;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Escaping for terminals. UTF-8 as in RFC 3629; which characters are unsafe: the C0 and C1 controls
 * and DEL (ECMA-48), and Unicode's bidirectional controls and line separators. */
#include "cli/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The length of the character at text (1 to 4), 0 when it is no UTF-8. */
static size_t utf8_read(const unsigned char *text, uint32_t *ret_point)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t i = 0; i < 4; i++) {
        if ((text[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t point = text[0] & (unsigned char)~forms[i].mask;
        for (size_t k = 1; k <= i; k++) {
            if ((text[k] & 0xc0) != 0x80) /* the NUL at the end too */
                return 0;
            point = point << 6 | (text[k] & 0x3f);
        }
        if (point < forms[i].least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return 0;
        *ret_point = point;
        return i + 1;
    }
    return 0;
}

static bool point_safe(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } unsafe[] = {{0x00, 0x1f},     {0x7f, 0x9f},      {0xad, 0xad},     {0x61c, 0x61c},
                  {0x200b, 0x200f}, {0x2028, 0x202e},  {0x2060, 0x206f}, {0xfeff, 0xfeff},
                  {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++)
        if (point >= unsafe[i].first && point <= unsafe[i].last)
            return false;
    return true;
}

/* Walks text; prints to file unless that is NULL; returns the columns. */
static size_t text_walk(FILE *file, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t columns = 0;
    while (*at != '\0') {
        uint32_t point = 0;
        size_t length = utf8_read(at, &point);
        bool safe = length > 0 && point_safe(point);
        if (length == 0)
            length = 1;
        columns += safe ? 1 : 4 * length;
        if (file != NULL && safe)
            fwrite(at, 1, length, file);
        for (size_t i = 0; file != NULL && !safe && i < length; i++)
            fprintf(file, "\\x%02x", at[i]);
        at += length;
    }
    return columns;
}

void text_put(FILE *file, const char *text)
{
    text_walk(file, text);
}

size_t text_width(const char *text)
{
    return text_walk(NULL, text);
}

void text_put_padded(FILE *file, const char *text, size_t width)
{
    for (size_t columns = text_walk(file, text); columns < width; columns++)
        fputc(' ', file);
}

static int json_put(FILE *file, const json_t *json, size_t flags)
{
    char *bytes = json_dumps(json, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (bytes == NULL)
        return -1;
    /* jansson escapes everything but DEL, which can only stand inside a string. */
    for (const char *at = bytes; *at != '\0'; at++) {
        if (*at == 0x7f)
            fputs("\\u007f", file);
        else
            fputc(*at, file);
    }
    free(bytes);
    return 0;
}

int text_put_json(FILE *file, const json_t *json)
{
    int rc = json_put(file, json, JSON_INDENT(2));
    if (rc == 0)
        fputc('\n', file);
    return rc;
}

int text_put_json_line(FILE *file, const json_t *json)
{
    return json_put(file, json, 0);
}

json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    char *copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *at = copy; *at != '\0';) {
        uint32_t point = 0;
        size_t length = utf8_read((const unsigned char *)at, &point);
        if (length == 0)
            *at = '?';
        at += length == 0 ? 1 : length;
    }
    json = json_string(copy);
    free(copy);
    return json;
}

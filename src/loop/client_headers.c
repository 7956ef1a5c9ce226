/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "loop/client_headers.h"

#include <stdio.h>
#include <string.h>
#include "base/vault.h"

/* A line with room for len bytes and a NUL. */
static struct curl_slist *line_new(size_t len)
{
    struct curl_slist *line = vault_take(sizeof *line + len + 1);
    if (line != NULL)
        line->data = (char *)(line + 1);
    return line;
}

static void line_add(struct curl_slist **list, struct curl_slist *line)
{
    line->next = *list;
    *list = line;
}

int client_headers_add(struct curl_slist **list, const char *name, const char *value)
{
    /* "NAME;" is how libcurl is told of an empty value, "NAME:" of none at all. */
    const char *between = value == NULL ? ":" : value[0] == '\0' ? ";" : ": ";
    const char *text = value == NULL ? "" : value;
    size_t len = strlen(name) + strlen(between) + strlen(text);
    struct curl_slist *line = line_new(len);
    if (line == NULL)
        return -1;
    snprintf(line->data, len + 1, "%s%s%s", name, between, text);
    line_add(list, line);
    return 0;
}

/* Byte at of "USER:PASSWORD"; 0 behind its end. */
static unsigned byte_of(const char *user, size_t user_len, const char *password,
                        size_t password_len, size_t at)
{
    if (at < user_len)
        return (unsigned char)user[at];
    if (at == user_len)
        return ':';
    at -= user_len + 1;
    return at < password_len ? (unsigned char)password[at] : 0;
}

int client_headers_add_basic(struct curl_slist **list, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char begin[] = "Authorization: Basic ";
    size_t user_len = strlen(user), password_len = strlen(password);
    size_t len = user_len + 1 + password_len;
    struct curl_slist *line = line_new(sizeof begin - 1 + (len + 2) / 3 * 4);
    if (line == NULL)
        return -1;
    memcpy(line->data, begin, sizeof begin - 1);
    char *out = line->data + sizeof begin - 1;
    for (size_t at = 0; at < len; at += 3) {
        unsigned group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | byte_of(user, user_len, password, password_len, at + i);
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = at + 1 < len ? digits[group >> 6 & 63] : '=';
        *out++ = at + 2 < len ? digits[group & 63] : '=';
    }
    line_add(list, line);
    return 0;
}

void client_headers_free(struct curl_slist *list)
{
    for (struct curl_slist *next; list != NULL; list = next) {
        next = list->next;
        vault_give(list);
    }
}

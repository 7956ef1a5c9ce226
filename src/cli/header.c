/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No secret stays behind in memory that nobody wipes. */
#include "cli/header.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct secret *header_basic(const char *user, const struct secret *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char begin[] = "Authorization: Basic ";
    size_t user_len = strlen(user), raw_len = user_len + 1 + password->len;
    size_t len = sizeof begin - 1;
    unsigned char *raw = malloc(raw_len);
    char *text = malloc(len + (raw_len + 2) / 3 * 4);
    struct secret *header = NULL;
    if (raw != NULL && text != NULL) {
        memcpy(raw, user, user_len);
        raw[user_len] = ':';
        memcpy(raw + user_len + 1, password->bytes, password->len);
        memcpy(text, begin, len);
        for (size_t i = 0; i < raw_len; i += 3) {
            unsigned group = (unsigned)raw[i] << 16;
            group |= i + 1 < raw_len ? (unsigned)raw[i + 1] << 8 : 0;
            group |= i + 2 < raw_len ? raw[i + 2] : 0;
            text[len++] = digits[group >> 18];
            text[len++] = digits[group >> 12 & 63];
            text[len++] = i + 1 < raw_len ? digits[group >> 6 & 63] : '=';
            text[len++] = i + 2 < raw_len ? digits[group & 63] : '=';
        }
        header = secret_new(text, len);
        secret_wipe(raw, raw_len);
        secret_wipe(text, len);
    }
    free(raw);
    free(text);
    return header;
}

struct secret *header_token(const char *token, size_t len, const char *source, struct fault *fault)
{
    static const char begin[] = "X-Auth-Token: ";
    static char room[sizeof begin - 1 + TOKEN_MAX];
    bool good = len > 0 && len <= TOKEN_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = token[i] > ' ' && token[i] < 0x7f;
    if (!good) {
        fault_set(fault, FAULT_USAGE,
                  "%s has no token in it: a line of 1 to %d characters without blanks", source,
                  TOKEN_MAX);
        return NULL;
    }
    memcpy(room, begin, sizeof begin - 1);
    memcpy(room + sizeof begin - 1, token, len);
    struct secret *header = secret_new(room, sizeof begin - 1 + len);
    secret_wipe(room, sizeof room);
    if (header == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    return header;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing: the bytes are the value of an Authorization header. What is taken is written anew from
 * what was understood, and must be the same text: so there is one reading of each header. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/htpasswd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void encode(const char *pair, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(pair);
    for (size_t i = 0; i < len; i += 3) {
        const unsigned char *p = (const unsigned char *)pair + i;
        unsigned bits = (unsigned)p[0] << 16 | (i + 1 < len ? (unsigned)p[1] << 8 : 0) |
                        (i + 2 < len ? p[2] : 0);
        for (unsigned j = 0; j < 4; j++)
            *out++ = i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    *out = '\0';
}

static void compare(const char *header, const struct basic_login *login)
{
    char pair[sizeof login->user + sizeof login->password + 1], again[sizeof pair * 2];
    require(login->user[0] != '\0' && strchr(login->user, ':') == NULL);
    snprintf(pair, sizeof pair, "%s:%s", login->user, login->password);
    encode(pair, again);
    require(strncasecmp(header, "Basic ", 6) == 0);
    header += 6 + strspn(header + 6, " ");
    size_t len = strlen(again);
    require(strncmp(header, again, len) == 0);
    require(strspn(header + len, " ") == strlen(header + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct basic_login login;
    struct fault fault = {0};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (basic_login_parse(text, &login, &fault) == 0)
        compare(text, &login);
    else
        require(fault.code == FAULT_UNAUTHORIZED && fault.message[0] != '\0');
    free(text);
    return 0;
}

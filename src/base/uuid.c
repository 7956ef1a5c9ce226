/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/uuid.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/secret.h"

bool uuid_valid(const char *text)
{
    for (int i = 0; i < UUID_TEXT - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return text[UUID_TEXT - 1] == '\0';
}

void uuid_random(char text[UUID_TEXT])
{
    unsigned char b[16];
    secret_random(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40; /* version 4 */
    b[8] = (b[8] & 0x3f) | 0x80; /* variant */
    snprintf(text, UUID_TEXT,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

void uuid_copy(char text[UUID_TEXT], const char *from)
{
    for (int i = 0; i < UUID_TEXT - 1; i++)
        text[i] = (char)tolower((unsigned char)from[i]);
    text[UUID_TEXT - 1] = '\0';
}

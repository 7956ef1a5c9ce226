/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UUIDs as text: 36 characters, lower case (RFC 9562, section 4). */
#ifndef NMID_BASE_UUID_H
#define NMID_BASE_UUID_H

#include <stdbool.h>

#define UUID_TEXT 37 /* 36 characters and a NUL */

/* True when text is a UUID in the 8-4-4-4-12 form, either case. */
bool uuid_valid(const char *text);

/* A random UUID (version 4). */
void uuid_random(char text[UUID_TEXT]);

/* Copies a valid UUID in lower case. */
void uuid_copy(char text[UUID_TEXT], const char *from);

#endif

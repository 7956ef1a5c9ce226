/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text from elsewhere on its way to a terminal. Control characters, bytes that are not UTF-8 and
 * the invisible characters that reorder a line come out as \xNN, so that no answer of a server can
 * drive the terminal or look like another line. */
#ifndef NMID_CLI_TEXT_H
#define NMID_CLI_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* Prints text so escaped. */
void text_put(FILE *file, const char *text);

/* How many columns text_put() takes, one for each character. */
size_t text_width(const char *text);

/* Prints text and fills up to width columns. */
void text_put_padded(FILE *file, const char *text, size_t width);

/* Prints json indented, in ASCII, with a newline. -1 when memory is out. */
int text_put_json(FILE *file, const json_t *json);

/* The same on one line, without the newline. */
int text_put_json_line(FILE *file, const json_t *json);

/* A JSON string of text; bytes that are not UTF-8 become '?'. NULL when memory is out. */
json_t *text_json(const char *text);

#endif

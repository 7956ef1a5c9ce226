/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables for people: a header, aligned columns two spaces apart, nothing after the last one. */
#ifndef NMID_CLI_TABLE_H
#define NMID_CLI_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

struct table;

/* A table with these column titles (borrowed, at most TABLE_COLUMNS_MAX, ended by a NULL).
 * NULL when memory is out. */
struct table *table_new(const char *const *titles);
void table_free(struct table *table); /* NULL-safe */

/* Adds a row: one cell for each column, copied; NULL and "" print as "-". -1: no memory. */
int table_add(struct table *table, const char *const *cells);

/* Prints it, every cell escaped as text_put() does. */
void table_print(const struct table *table, FILE *file);

/* Prints the rows so far, under the header when they are the first, and forgets them. Columns never
 * become narrower, so that a long list can come in parts. */
void table_flush(struct table *table, FILE *file);

/* Prints an object as "key: value" lines, nested objects as "key.key: value". */
void table_print_object(const json_t *object, FILE *file);

#endif

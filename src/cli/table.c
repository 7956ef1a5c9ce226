/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables and key-value lines for people. */
#include "cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "cli/text.h"

#define KEY_MAX 256 /* a longer chain of keys is cut */

struct table {
    const char *const *titles;
    size_t columns, rows, room;
    bool begun;   /* the header is out */
    char **cells; /* rows * columns; owned */
    size_t widths[TABLE_COLUMNS_MAX];
};

struct table *table_new(const char *const *titles)
{
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->titles = titles;
    while (titles[table->columns] != NULL && table->columns < TABLE_COLUMNS_MAX) {
        table->widths[table->columns] = text_width(titles[table->columns]);
        table->columns++;
    }
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

int table_add(struct table *table, const char *const *cells)
{
    if (table->rows == table->room) {
        size_t room = table->room == 0 ? 64 : table->room * 2;
        char **grown = reallocarray(table->cells, room * table->columns, sizeof *grown);
        if (grown == NULL)
            return -1;
        table->cells = grown;
        table->room = room;
    }
    char **row = table->cells + table->rows * table->columns;
    for (size_t i = 0; i < table->columns; i++) {
        row[i] = strdup(cells[i] == NULL || cells[i][0] == '\0' ? "-" : cells[i]);
        if (row[i] == NULL) {
            while (i > 0)
                free(row[--i]);
            return -1;
        }
    }
    for (size_t i = 0; i < table->columns; i++) {
        size_t width = text_width(row[i]);
        if (width > table->widths[i])
            table->widths[i] = width;
    }
    table->rows++;
    return 0;
}

static void row_print(const struct table *table, const char *const *cells, FILE *file)
{
    for (size_t i = 0; i + 1 < table->columns; i++) {
        text_put_padded(file, cells[i], table->widths[i]);
        fputs("  ", file);
    }
    text_put(file, cells[table->columns - 1]);
    fputc('\n', file);
}

void table_print(const struct table *table, FILE *file)
{
    row_print(table, table->titles, file);
    for (size_t i = 0; i < table->rows; i++)
        row_print(table, (const char *const *)table->cells + i * table->columns, file);
}

void table_flush(struct table *table, FILE *file)
{
    if (!table->begun)
        row_print(table, table->titles, file);
    table->begun = true;
    for (size_t i = 0; i < table->rows; i++)
        row_print(table, (const char *const *)table->cells + i * table->columns, file);
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    table->rows = 0;
}

/* A value that is no object: strings bare, the rest as JSON. */
static void value_print(const json_t *value, FILE *file)
{
    if (json_is_string(value)) {
        text_put(file, json_string_value(value));
    } else if (json_is_null(value)) {
        fputc('-', file);
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        text_put(file, text == NULL ? "?" : text);
        free(text);
    }
}

/* jansson's parser limits the depth, and the length of the key ends the recursion before that. */
static void object_print(const json_t *object, const char *prefix, FILE *file)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        char path[KEY_MAX];
        int length =
            snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", key);
        if (json_is_object(value) && json_object_size(value) > 0 && length < KEY_MAX) {
            object_print(value, path, file);
            continue;
        }
        text_put(file, path);
        fputs(": ", file);
        value_print(value, file);
        fputc('\n', file);
    }
}

void table_print_object(const json_t *object, FILE *file)
{
    object_print(object, "", file);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of one driver_info. A list, as there are a dozen. Any value may be a secret until its
 * driver says otherwise: none is ever printed, all are wiped. */
#include "core/info.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/conf_file.h"
#include "core/info_parts.h"

#define SECRET_FILE_MAX 4096

enum item_type { ITEM_STRING, ITEM_INTEGER, ITEM_BOOLEAN };

struct item {
    struct item *next;
    char *key;
    char *text; /* ITEM_STRING */
    long long number;
    unsigned line;
    enum item_type type;
    bool taken;
};

struct info {
    const char *file, *section;
    unsigned line;
    unsigned secret_line;
    struct item *first, **end;
};

struct info *info_new(const char *file, unsigned line)
{
    struct info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return NULL;
    info->file = file;
    info->section = "";
    info->line = line;
    info->end = &info->first;
    return info;
}

void info_set_section(struct info *info, const char *section)
{
    info->section = section;
}

static struct item *item_add(struct info *info, const char *key, enum item_type type, unsigned line)
{
    struct item *item = calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    item->key = strdup(key);
    if (item->key == NULL) {
        free(item);
        return NULL;
    }
    item->type = type;
    item->line = line;
    *info->end = item;
    info->end = &item->next;
    return item;
}

int info_add_string(struct info *info, const char *key, const char *value, unsigned line)
{
    char *text = strdup(value);
    if (text == NULL)
        return -1;
    struct item *item = item_add(info, key, ITEM_STRING, line);
    if (item == NULL) {
        secret_wipe(text, strlen(text));
        free(text);
        return -1;
    }
    item->text = text;
    return 0;
}

int info_add_integer(struct info *info, const char *key, long long value, unsigned line)
{
    struct item *item = item_add(info, key, ITEM_INTEGER, line);
    if (item == NULL)
        return -1;
    item->number = value;
    return 0;
}

int info_add_boolean(struct info *info, const char *key, bool value, unsigned line)
{
    struct item *item = item_add(info, key, ITEM_BOOLEAN, line);
    if (item == NULL)
        return -1;
    item->number = value;
    return 0;
}

void info_free(struct info *info)
{
    if (info == NULL)
        return;
    for (struct item *item = info->first, *next; item != NULL; item = next) {
        next = item->next;
        if (item->text != NULL)
            secret_wipe(item->text, strlen(item->text));
        secret_wipe(&item->number, sizeof item->number);
        free(item->text);
        free(item->key);
        free(item);
    }
    free(info);
}

static struct item *item_find(const struct info *info, const char *key)
{
    for (struct item *item = info->first; item != NULL; item = item->next) {
        if (strcmp(item->key, key) == 0)
            return item;
    }
    return NULL;
}

static struct item *item_take(struct info *info, const char *key)
{
    struct item *item = item_find(info, key);
    if (item != NULL)
        item->taken = true;
    return item;
}

int info_complain(const struct info *info, const char *key, struct report *report,
                  const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const struct item *item = item_find(info, key);
    return report_add(report, info->file, item == NULL ? info->line : item->line, "%s%s: %s",
                      info->section, key, message);
}

int info_take_string(struct info *info, const char *key, size_t max, char **ret_value,
                     struct report *report)
{
    const struct item *item = item_take(info, key);
    if (item == NULL)
        return 0;
    if (item->type != ITEM_STRING)
        return info_complain(info, key, report, "expected a string (in double quotes)");
    if (strlen(item->text) > max)
        return info_complain(info, key, report, "longer than %zu bytes", max);
    char *value = strdup(item->text);
    if (value == NULL)
        return info_complain(info, key, report, "out of memory");
    *ret_value = value;
    return 1;
}

/* The number of an item; false when it is none. */
static bool item_integer(const struct item *item, long long *ret_number)
{
    if (item->type == ITEM_INTEGER) {
        *ret_number = item->number;
        return true;
    }
    if (item->type != ITEM_STRING)
        return false;
    const char *digits = item->text[0] == '-' ? item->text + 1 : item->text;
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    long long number = strtoll(item->text, NULL, 10);
    if (errno != 0)
        return false;
    *ret_number = number;
    return true;
}

int info_take_integer(struct info *info, const char *key, long long min, long long max,
                      long long *ret_value, struct report *report)
{
    const struct item *item = item_take(info, key);
    long long number;
    if (item == NULL)
        return 0;
    if (!item_integer(item, &number) || number < min || number > max)
        return info_complain(info, key, report, "expected an integer from %lld to %lld", min, max);
    *ret_value = number;
    return 1;
}

int info_take_boolean(struct info *info, const char *key, bool *ret_value, struct report *report)
{
    const struct item *item = item_take(info, key);
    if (item == NULL)
        return 0;
    if (item->type == ITEM_BOOLEAN)
        *ret_value = item->number != 0;
    else if (item->type == ITEM_STRING && strcasecmp(item->text, "true") == 0)
        *ret_value = true;
    else if (item->type == ITEM_STRING && strcasecmp(item->text, "false") == 0)
        *ret_value = false;
    else
        return info_complain(info, key, report, "expected true or false");
    return 1;
}

/* The secret in a file of its own: its whole content, less one newline at the end. */
static int secret_from_text(struct info *info, const char *key, size_t max,
                            const struct conf_text *text, const char *path,
                            struct secret **ret_value, struct report *report)
{
    size_t len = text->len;
    if (len > 0 && text->bytes[len - 1] == '\n')
        len--;
    if (text->public)
        return info_complain(info, key, report,
                             "%s holds a secret and is readable by others: chmod o-r %s", path,
                             path);
    if (len == 0)
        return info_complain(info, key, report, "%s is empty", path);
    if (memchr(text->bytes, '\0', len) != NULL)
        return info_complain(info, key, report, "%s holds a NUL byte", path);
    if (len > max)
        return info_complain(info, key, report, "%s holds more than %zu bytes", path, max);
    struct secret *secret = secret_new(text->bytes, len);
    if (secret == NULL)
        return info_complain(info, key, report, "out of memory");
    *ret_value = secret;
    return 1;
}

static int take_secret_file(struct info *info, const char *key, size_t max,
                            struct secret **ret_value, struct report *report)
{
    const struct item *item = item_find(info, key);
    struct conf_text text;
    struct fault fault = {0};
    if (item->type != ITEM_STRING || item->text[0] == '\0')
        return info_complain(info, key, report, "expected the path of a file (in double quotes)");
    char *path;
    if (conf_path(info->file, item->text, &path, &fault) < 0)
        return info_complain(info, key, report, "%s", fault.message);
    int result;
    if (conf_file_read(path, SECRET_FILE_MAX, &text, &fault) < 0) {
        /* The path only where it looks like one: who wrote the password itself here must not find
         * it in a log. */
        bool named =
            (item->text[0] == '/' || item->text[0] == '$') && strchr(item->text + 1, '/') != NULL;
        result = info_complain(info, key, report, "%s%s%s", named ? path : "", named ? ": " : "",
                               fault.message);
    } else {
        result = secret_from_text(info, key, max, &text, path, ret_value, report);
        conf_text_wipe(&text);
    }
    free(path);
    return result;
}

int info_take_secret(struct info *info, const char *key, size_t max, struct secret **ret_value,
                     struct report *report)
{
    char file_key[128];
    snprintf(file_key, sizeof file_key, "%s_file", key);
    const struct item *item = item_take(info, key);
    const struct item *file_item = item_take(info, file_key);
    if (item != NULL && info->secret_line == 0)
        info->secret_line = item->line;
    if (item != NULL && file_item != NULL)
        return info_complain(info, file_key, report, "stands beside %s: expected one of them", key);
    if (file_item != NULL)
        return take_secret_file(info, file_key, max, ret_value, report);
    if (item == NULL)
        return 0;
    if (item->type != ITEM_STRING)
        return info_complain(info, key, report, "expected a string (in double quotes)");
    size_t len = strlen(item->text);
    if (len > max)
        return info_complain(info, key, report, "longer than %zu bytes", max);
    struct secret *secret = secret_new(item->text, len);
    if (secret == NULL)
        return info_complain(info, key, report, "out of memory");
    *ret_value = secret;
    return 1;
}

int info_skip(struct info *info, const char *key)
{
    return item_take(info, key) != NULL;
}

size_t info_report_unknown(const struct info *info, struct report *report)
{
    size_t count = 0;
    for (const struct item *item = info->first; item != NULL; item = item->next) {
        if (item->taken)
            continue;
        report_add(report, info->file, item->line, "%.64s: unknown key", item->key);
        count++;
    }
    return count;
}

unsigned info_secret_line(const struct info *info)
{
    return info->secret_line;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking the keys of one libconfig group, with a type and limits, each mistake with its place. A
 * key that was taken is marked in its setting's hook. No message prints a value. */
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/conf_file.h"
#include "core/conf_parts.h"

static char taken_mark; /* its address marks what was taken */

static config_setting_t *find(const struct conf_block *block, const char *key)
{
    return config_setting_get_member(block->group, key);
}

struct config_setting_t *block_take(struct conf_block *block, const char *key)
{
    config_setting_t *setting = find(block, key);
    if (setting != NULL)
        config_setting_set_hook(setting, &taken_mark);
    return setting;
}

unsigned block_line(const struct conf_block *block, const char *key)
{
    const config_setting_t *setting = find(block, key);
    return config_setting_source_line(setting == NULL ? block->group : setting);
}

static int vreport(const struct conf_block *block, struct report *report, const char *key,
                   const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static int vreport(const struct conf_block *block, struct report *report, const char *key,
                   const char *format, va_list args)
{
    char message[900];
    vsnprintf(message, sizeof message, format, args);
    return report_add(report, block->reader->file, block_line(block, key), "%s%.64s: %s",
                      block->path, key, message);
}

int block_complain(const struct conf_block *block, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vreport(block, block->reader->errors, key, format, args);
    va_end(args);
    return -1;
}

int block_warn(const struct conf_block *block, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vreport(block, block->reader->warnings, key, format, args);
    va_end(args);
    return -1;
}

int block_string(struct conf_block *block, const char *key, const char **ret_value)
{
    const config_setting_t *setting = block_take(block, key);
    if (setting == NULL)
        return 0;
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return block_complain(block, key, "expected a string (in double quotes)");
    const char *value = config_setting_get_string(setting);
    *ret_value = value == NULL ? "" : value;
    return 1;
}

int block_path(struct conf_block *block, const char *key, char **ret_path)
{
    const char *value;
    int got = block_string(block, key, &value);
    if (got <= 0)
        return got;
    if (value[0] == '\0')
        return block_complain(block, key, "expected a path");
    char *path;
    struct fault fault = {0};
    if (conf_path(block->reader->file, value, &path, &fault) < 0)
        return block_complain(block, key, "%s", fault.message);
    free(*ret_path);
    *ret_path = path;
    return 1;
}

/* A decimal integer; hexadecimal ones are refused, because libconfig cuts them to 32 bits. */
static bool get_integer(const config_setting_t *setting, long long *ret_value)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return false;
    if (config_setting_get_format(setting) != CONFIG_FORMAT_DEFAULT)
        return false;
    *ret_value = config_setting_get_int64(setting);
    return true;
}

int block_unsigned(struct conf_block *block, const char *key, unsigned min, unsigned max,
                   unsigned *ret_value)
{
    const config_setting_t *setting = block_take(block, key);
    long long value;
    if (setting == NULL)
        return 0;
    if (!get_integer(setting, &value) || value < (long long)min || value > (long long)max)
        return block_complain(block, key, "expected a decimal integer from %u to %u", min, max);
    *ret_value = (unsigned)value;
    return 1;
}

int block_boolean(struct conf_block *block, const char *key, bool *ret_value)
{
    const config_setting_t *setting = block_take(block, key);
    if (setting == NULL)
        return 0;
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return block_complain(block, key, "expected true or false");
    *ret_value = config_setting_get_bool(setting) != 0;
    return 1;
}

int block_group(struct conf_block *block, const char *key, const char *path,
                struct conf_block *ret_group)
{
    config_setting_t *setting = block_take(block, key);
    if (setting == NULL)
        return 0;
    if (!config_setting_is_group(setting))
        return block_complain(block, key, "expected a group { ... }");
    *ret_group = (struct conf_block){block->reader, setting, path};
    return 1;
}

int block_list(struct conf_block *block, const char *key, struct config_setting_t **ret_list)
{
    config_setting_t *setting = block_take(block, key);
    if (setting == NULL)
        return 0;
    /* An empty array may stand for an empty list; one with elements holds no groups. */
    if (!config_setting_is_list(setting) &&
        !(config_setting_is_array(setting) && config_setting_length(setting) == 0))
        return block_complain(block, key, "expected a list ( { ... }, { ... } )");
    *ret_list = setting;
    return 1;
}

int block_list_group(const struct conf_block *block, struct config_setting_t *list, unsigned i,
                     const char *path, struct conf_block *ret_group)
{
    config_setting_t *setting = config_setting_get_elem(list, i);
    if (setting == NULL || !config_setting_is_group(setting)) {
        unsigned line = config_setting_source_line(setting == NULL ? list : setting);
        return report_add(block->reader->errors, block->reader->file, line,
                          "%s%s: expected a group { ... }", block->path, config_setting_name(list));
    }
    *ret_group = (struct conf_block){block->reader, setting, path};
    return 1;
}

void block_finish(const struct conf_block *block)
{
    unsigned count = (unsigned)config_setting_length(block->group);
    for (unsigned i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(block->group, i);
        if (config_setting_get_hook(setting) == NULL)
            block_complain(block, config_setting_name(setting), "unknown key");
    }
}

bool conf_word(const char *text, size_t max)
{
    size_t len = 0;
    for (; text[len] != '\0'; len++) {
        if (text[len] <= ' ' || text[len] > '~')
            return false;
    }
    return len >= 1 && len <= max;
}

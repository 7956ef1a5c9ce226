/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Secrets of the configuration: KEY or KEY_file, with the rules and words of a driver's passwords;
 * and what else several groups read alike. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/conf_parts.h"
#include "core/info.h"
#include "core/info_parts.h"

#define NAMES_MAX 64
#define PROJECT_ID_MAX 255
#define NAME_MAX_LEN 255

/* Hands the key to info, when it is there. */
static int give(struct conf_block *block, const char *key, struct info *info)
{
    const config_setting_t *setting = block_take(block, key);
    if (setting == NULL)
        return 0;
    unsigned line = config_setting_source_line(setting);
    const char *text = config_setting_get_string(setting);
    /* What is no string: info has the words for it. */
    int result = config_setting_type(setting) == CONFIG_TYPE_STRING
                     ? info_add_string(info, key, text == NULL ? "" : text, line)
                     : info_add_boolean(info, key, false, line);
    return result < 0 ? block_complain(block, key, "out of memory") : 0;
}

int block_secret(struct conf_block *block, const char *key, size_t max,
                 struct secret **ret_secret)
{
    struct conf_reader *reader = block->reader;
    char file_key[64];
    int result = -1;
    snprintf(file_key, sizeof file_key, "%s_file", key);
    struct info *info = info_new(reader->file, config_setting_source_line(block->group));
    if (info == NULL)
        return block_complain(block, key, "out of memory");
    info_set_section(info, block->path);
    if (give(block, key, info) == 0 && give(block, file_key, info) == 0)
        result = info_take_secret(info, key, max, ret_secret, reader->errors);
    if (reader->secret_line == 0)
        reader->secret_line = info_secret_line(info);
    info_free(info);
    return result;
}

void block_word(struct conf_block *block, const char *key, const char *const *words,
                const char *expected, unsigned *value)
{
    const char *text;
    if (block_string(block, key, &text) <= 0)
        return;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return;
        }
    }
    block_complain(block, key, "expected %s", expected);
}

void conf_names_clear(struct conf_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct conf_names){0};
}

/* 1 to 255 bytes, none of them a control character. */
static bool is_name(const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    }
    return len > 0 && len <= NAME_MAX_LEN;
}

int block_names(struct conf_block *block, const char *key, struct conf_names *ret_names)
{
    config_setting_t *list = block_take(block, key);
    if (list == NULL)
        return 0;
    bool is_list = config_setting_is_array(list) || config_setting_is_list(list);
    int count = is_list ? config_setting_length(list) : 0;
    if (count < 1 || count > NAMES_MAX)
        return block_complain(block, key, "expected a list of 1 to %d names, as [\"a\", \"b\"]",
                              NAMES_MAX);
    struct conf_names names = {.names = calloc((size_t)count, sizeof *names.names)};
    for (int i = 0; names.names != NULL && i < count; i++) {
        const char *text = config_setting_get_string_elem(list, i);
        if (!is_name(text)) {
            conf_names_clear(&names);
            return block_complain(block, key, "expected a list of names, each 1 to %d characters",
                                  NAME_MAX_LEN);
        }
        if ((names.names[i] = strdup(text)) == NULL)
            break;
        names.count++;
    }
    if (names.count < (size_t)count) {
        conf_names_clear(&names);
        return block_complain(block, key, "out of memory");
    }
    conf_names_clear(ret_names);
    *ret_names = names;
    return 1;
}

void block_project_id(struct conf_block *block, char **ret_project_id)
{
    const char *value;
    if (block_string(block, "project_id", &value) <= 0)
        return;
    if (!conf_word(value, PROJECT_ID_MAX))
        block_complain(block, "project_id",
                       "expected 1 to %d printable ASCII characters without blank", PROJECT_ID_MAX);
    else if ((*ret_project_id = strdup(value)) == NULL)
        block_complain(block, "project_id", "out of memory");
}

void conf_list_add(char *list, size_t size, const char *name)
{
    size_t len = strlen(list);
    snprintf(list + len, size - len, "%s%s", len > 0 ? ", " : "", name);
}

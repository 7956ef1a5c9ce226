/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nodes = ( { ... }, ... ): the machines. A node with mistakes still goes into the table with what
 * is good of it, so that others that collide with it are found in the same run. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/conf_parts.h"
#include "core/driver.h"
#include "core/info.h"
#include "core/info_parts.h"

#define DRIVER_DEFAULT "ipmi"

static void read_uuid(struct conf_block *block, const char *key, char uuid[UUID_TEXT])
{
    const char *value;
    if (block_string(block, key, &value) <= 0)
        return;
    if (uuid_valid(value))
        uuid_copy(uuid, value);
    else
        block_complain(block, key,
                       "expected a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, hexadecimal)");
}

static char *copy(const struct conf_block *block, const char *key, const char *value)
{
    char *text = strdup(value);
    if (text == NULL)
        block_complain(block, key, "out of memory");
    return text;
}

static void read_name(struct conf_block *block, struct node *node)
{
    const char *value;
    if (block_string(block, "name", &value) <= 0)
        return;
    if (!conf_word(value, NODE_NAME_MAX) || strchr(value, '/') != NULL)
        block_complain(block, "name",
                       "expected 1 to %d printable ASCII characters without blank and slash",
                       NODE_NAME_MAX);
    else if (uuid_valid(value) && strcasecmp(value, node->uuid) != 0)
        block_complain(block, "name", "expected a name, not another UUID than the node's own");
    else
        node->name = copy(block, "name", value);
}

static void read_status(struct conf_block *block, struct node *node)
{
    const char *value;
    char names[256] = "";
    if (block_string(block, "status", &value) <= 0)
        return;
    int status = node_status_parse(value);
    if (status >= 0) {
        node->status = (enum node_status)status;
        return;
    }
    for (int i = 0; i < NODE_STATUSES; i++)
        conf_list_add(names, sizeof names, node_status_name((enum node_status)i));
    block_complain(block, "status", "expected one of %s", names);
}

static void read_driver(struct conf_block *block, struct node *node)
{
    const struct driver *const *driver;
    const char *value = DRIVER_DEFAULT;
    char names[256] = "";
    if (block_string(block, "driver", &value) < 0)
        return;
    for (driver = block->reader->drivers; *driver != NULL; driver++) {
        if (strcmp((*driver)->name, value) == 0) {
            node->driver = *driver;
            return;
        }
        conf_list_add(names, sizeof names, (*driver)->name);
    }
    block_complain(block, "driver", "unknown driver: expected one of %s", names);
}

/* One key of driver_info as its driver will take it. */
static void add_info(const struct conf_block *block, struct info *info,
                     const config_setting_t *setting)
{
    const char *key = config_setting_name(setting);
    unsigned line = config_setting_source_line(setting);
    int type = config_setting_type(setting);
    int result = 0;
    if (type == CONFIG_TYPE_STRING)
        result = info_add_string(info, key, config_setting_get_string(setting), line);
    else if (type == CONFIG_TYPE_BOOL)
        result = info_add_boolean(info, key, config_setting_get_bool(setting) != 0, line);
    else if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
             config_setting_get_format(setting) == CONFIG_FORMAT_DEFAULT)
        result = info_add_integer(info, key, config_setting_get_int64(setting), line);
    else
        block_complain(block, key,
                       "expected a string (in double quotes), a decimal integer, true "
                       "or false");
    if (result < 0)
        block_complain(block, key, "out of memory");
}

static void read_info(struct conf_block *block, struct node *node)
{
    struct conf_reader *reader = block->reader;
    struct conf_block group;
    int got = block_group(block, "driver_info", "", &group);
    if (got == 0 && (node->driver == NULL || node->driver->has_nmi)) /* noop needs no keys */
        block_complain(block, "driver_info", "missing: expected a group with the driver's keys");
    if (got <= 0 || node->driver == NULL)
        return;
    struct info *info = info_new(reader->file, config_setting_source_line(group.group));
    if (info == NULL) {
        block_complain(block, "driver_info", "out of memory");
        return;
    }
    unsigned count = (unsigned)config_setting_length(group.group);
    for (unsigned i = 0; i < count; i++)
        add_info(&group, info, config_setting_get_elem(group.group, i));
    node->driver->parse(info, &node->driver_info, &node->target, reader->errors);
    info_report_unknown(info, reader->errors);
    if (reader->secret_line == 0)
        reader->secret_line = info_secret_line(info);
    info_free(info);
}

/* Tells of one collision and takes the key away, so that the next try finds the next one. */
static void collide(const struct conf_block *block, struct node *node, const struct node *other,
                    const char *what)
{
    if (strcmp(what, "BMC") == 0) {
        block_complain(block, "driver_info", "the BMC %s is that of %s (%s:%u) already",
                       node->target, node_label(other), other->file, other->line);
        free(node->target);
        node->target = NULL;
        return;
    }
    block_complain(block, what, "taken by the node %s (%s:%u)", node_label(other), other->file,
                   other->line);
    if (strcmp(what, "name") == 0) {
        free(node->name);
        node->name = NULL;
    } else if (strcmp(what, "instance_uuid") == 0) {
        node->instance_uuid[0] = '\0';
    } else {
        uuid_random(node->uuid);
    }
}

static void add_node(const struct conf_block *block, struct node *node)
{
    struct node_table *nodes = block->reader->conf->nodes;
    const struct node *other;
    const char *what;
    while (node_table_add(nodes, node, &other, &what) < 0) {
        if (other == NULL) {
            block_complain(block, "uuid", "out of memory");
            node_unref(node);
            return;
        }
        collide(block, node, other, what);
    }
}

static void read_node(struct conf_block *block)
{
    struct node *node = node_new();
    char *file = strdup(block->reader->file);
    if (node == NULL || file == NULL) {
        block_complain(block, "uuid", "out of memory");
        free(file);
        node_unref(node);
        return;
    }
    node->file = file;
    node->line = config_setting_source_line(block->group);
    read_uuid(block, "uuid", node->uuid);
    if (config_setting_get_member(block->group, "uuid") == NULL)
        block_complain(block, "uuid", "missing: every node needs one");
    read_name(block, node);
    read_uuid(block, "instance_uuid", node->instance_uuid);
    block_project_id(block, &node->project_id);
    read_status(block, node);
    conf_warn_overruled(block);
    block_boolean(block, "locked", &node->locked);
    read_driver(block, node);
    read_info(block, node);
    block_finish(block);
    if (node->uuid[0] == '\0')
        uuid_random(node->uuid); /* a stand-in: this load has failed */
    add_node(block, node);
}

void conf_read_nodes(struct conf_block *root)
{
    struct config_setting_t *list;
    struct conf_block block;
    if (block_list(root, "nodes", &list) <= 0)
        return;
    unsigned count = (unsigned)config_setting_length(list);
    for (unsigned i = 0; i < count; i++) {
        if (block_list_group(root, list, i, "", &block) > 0)
            read_node(&block);
    }
}

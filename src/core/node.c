/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes and their table. One map finds a node by whatever a client may call it (UUID, instance
 * UUID, name), another by its BMC; an array keeps the order of the configuration. */
#include "core/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/map.h"
#include "core/driver.h"

struct node_table {
    struct map *idents;
    struct map *targets;
    struct node **nodes;
    size_t count, room;
};

static const char *const status_names[NODE_STATUSES] = {
    [NODE_ACTIVE] = "ACTIVE",
    [NODE_BUILD] = "BUILD",
    [NODE_ERROR] = "ERROR",
    [NODE_PAUSED] = "PAUSED",
    [NODE_RESCUED] = "RESCUED",
    [NODE_RESIZED] = "RESIZED",
    [NODE_SHELVED] = "SHELVED",
    [NODE_SHELVED_OFFLOADED] = "SHELVED_OFFLOADED",
    [NODE_SHUTOFF] = "SHUTOFF",
    [NODE_SUSPENDED] = "SUSPENDED",
    [NODE_SOFT_DELETED] = "SOFT_DELETED",
    [NODE_DELETED] = "DELETED",
    [NODE_UNKNOWN] = "UNKNOWN",
};

struct node *node_new(void)
{
    struct node *node = calloc(1, sizeof *node);
    if (node != NULL)
        node->references = 1;
    return node;
}

struct node *node_ref(struct node *node)
{
    node->references++;
    return node;
}

void node_unref(struct node *node)
{
    if (node == NULL)
        return;
    assert(node->references > 0);
    if (--node->references > 0)
        return;
    if (node->driver != NULL && node->driver_info != NULL)
        node->driver->info_free(node->driver_info);
    free(node->name);
    free(node->project_id);
    free(node->target);
    free((char *)node->file);
    free(node);
}

const char *node_status_name(enum node_status status)
{
    if ((unsigned)status >= NODE_STATUSES)
        return status_names[NODE_UNKNOWN];
    return status_names[status];
}

int node_status_parse(const char *name)
{
    for (int i = 0; i < NODE_STATUSES; i++) {
        if (strcmp(status_names[i], name) == 0)
            return i;
    }
    return -1;
}

const char *node_label(const struct node *node)
{
    return node->name != NULL ? node->name : node->uuid;
}

struct node_table *node_table_new(void)
{
    struct node_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->idents = map_new();
    table->targets = map_new();
    if (table->idents == NULL || table->targets == NULL) {
        node_table_free(table);
        return NULL;
    }
    return table;
}

void node_table_free(struct node_table *table)
{
    if (table == NULL)
        return;
    /* The maps borrow their keys from the nodes: they go first. */
    if (table->idents != NULL)
        map_free(table->idents);
    if (table->targets != NULL)
        map_free(table->targets);
    for (size_t i = 0; i < table->count; i++)
        node_unref(table->nodes[i]);
    free(table->nodes);
    free(table);
}

/* A node has up to four keys: three idents and its BMC. Absent ones are skipped. */
struct node_key {
    const char *what;
    struct map *map;
    const char *key;
};
#define NODE_KEYS 4

static void node_keys(const struct node_table *table, const struct node *node,
                      struct node_key keys[NODE_KEYS])
{
    const char *instance = node->instance_uuid[0] != '\0' ? node->instance_uuid : NULL;
    const char *name = node->name;
    if (name != NULL && strcasecmp(name, node->uuid) == 0)
        name = NULL; /* its own UUID is a key already */
    if (instance != NULL && strcmp(instance, node->uuid) == 0)
        instance = NULL;
    keys[0] = (struct node_key){"uuid", table->idents, node->uuid};
    keys[1] = (struct node_key){"name", table->idents, name};
    keys[2] = (struct node_key){"instance_uuid", table->idents, instance};
    keys[3] = (struct node_key){"BMC", table->targets, node->target};
}

static int table_grow(struct node_table *table)
{
    if (table->count < table->room)
        return 0;
    size_t room = table->room == 0 ? 64 : table->room * 2;
    struct node **nodes = reallocarray(table->nodes, room, sizeof(struct node *));
    if (nodes == NULL)
        return -1;
    table->nodes = nodes;
    table->room = room;
    return 0;
}

/* Puts all keys of a node or none. */
static int table_put(struct node *node, const struct node_key keys[NODE_KEYS])
{
    for (int i = 0; i < NODE_KEYS; i++) {
        if (keys[i].key == NULL || map_put(keys[i].map, keys[i].key, node) == 0)
            continue;
        while (--i >= 0) {
            if (keys[i].key != NULL)
                map_remove(keys[i].map, keys[i].key);
        }
        return -1;
    }
    return 0;
}

int node_table_add(struct node_table *table, struct node *node, const struct node **ret_other,
                   const char **ret_what)
{
    struct node_key keys[NODE_KEYS];
    node_keys(table, node, keys);
    for (int i = 0; i < NODE_KEYS; i++) {
        struct node *other = keys[i].key == NULL ? NULL : map_get(keys[i].map, keys[i].key);
        if (other != NULL) {
            *ret_other = other;
            *ret_what = keys[i].what;
            return -1;
        }
    }
    if (table_grow(table) < 0 || table_put(node, keys) < 0) {
        *ret_other = NULL;
        *ret_what = "memory";
        return -1;
    }
    table->nodes[table->count++] = node;
    return 0;
}

struct node *node_table_find(const struct node_table *table, const char *ident)
{
    char uuid[UUID_TEXT];
    if (!uuid_valid(ident))
        return map_get(table->idents, ident);
    uuid_copy(uuid, ident);
    return map_get(table->idents, uuid);
}

bool node_answers_to(const struct node *node, const char *ident)
{
    return strcasecmp(node->uuid, ident) == 0 ||
           (node->name != NULL && strcmp(node->name, ident) == 0);
}

size_t node_table_count(const struct node_table *table)
{
    return table->count;
}

struct node *node_table_at(const struct node_table *table, size_t i)
{
    return i < table->count ? table->nodes[i] : NULL;
}

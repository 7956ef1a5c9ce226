/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Ironic said of the configured nodes, by node and by instance. */
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "core/ironic_state.h"

struct node *known_configured(const struct conf *conf, const char *ident)
{
    struct node *node = node_table_find(conf->nodes, ident);
    return node != NULL && node_answers_to(node, ident) ? node : NULL;
}

static struct known *known_get(struct ironic *ironic, const char *uuid)
{
    struct known *known = map_get(ironic->known, uuid);
    if (known != NULL)
        return known;
    if ((known = calloc(1, sizeof *known)) == NULL)
        return NULL;
    uuid_copy(known->node.uuid, uuid);
    known->asked_at = IRONIC_NEVER;
    known->found = true; /* so that the first absence is told */
    if (map_put(ironic->known, known->node.uuid, known) < 0) {
        free(known);
        return NULL;
    }
    return known;
}

static void instance_unlink(struct ironic *ironic, struct known *known)
{
    if (known->node.instance_uuid[0] != '\0' &&
        map_get(ironic->instances, known->node.instance_uuid) == known)
        map_remove(ironic->instances, known->node.instance_uuid);
    known->node.instance_uuid[0] = '\0';
}

/* An instance is on one node only: of two that are said to have it, the older news is out of date.
 */
static int instance_link(struct ironic *ironic, struct known *known)
{
    const char *instance = known->node.instance_uuid;
    if (instance[0] == '\0')
        return 0;
    struct known *other = map_get(ironic->instances, instance);
    if (other != NULL && other != known) {
        struct known *older = other->asked_at > known->asked_at ? known : other;
        instance_unlink(ironic, older);
        older->asked_at = IRONIC_NEVER;
        if (older == known)
            return 0;
    }
    return map_put(ironic->instances, instance, known);
}

/* Keeps the key of the map where it is. */
static void known_fill(struct known *known, struct ironic_node *node)
{
    struct ironic_node empty = {0};
    struct ironic_node *from = node != NULL ? node : &empty;
    char uuid[UUID_TEXT];
    memcpy(uuid, known->node.uuid, sizeof uuid);
    ironic_node_clear(&known->node);
    known->node = *from;
    memcpy(known->node.uuid, uuid, sizeof uuid);
    *from = empty;
}

int known_set(struct ironic *ironic, const char *uuid, struct ironic_node *node, int64_t asked_at)
{
    struct known *known = known_get(ironic, uuid);
    if (known == NULL)
        return -1;
    if (known->asked_at > asked_at)
        return 0;
    if (node == NULL && known->found)
        log_warning("node %s: Ironic has no such node, or does not show it to nmid's user: its "
                    "status is UNKNOWN, and it is nobody's",
                    uuid);
    instance_unlink(ironic, known);
    known_fill(known, node);
    known->found = node != NULL;
    known->asked_at = asked_at;
    if (instance_link(ironic, known) < 0) {
        known->node.instance_uuid[0] = '\0';
        known->asked_at = IRONIC_NEVER;
        return -1;
    }
    return 0;
}

int known_set_all(struct ironic *ironic, struct ironic_node *nodes, size_t count, int64_t asked_at)
{
    const struct node_table *table = ironic->conf->nodes;
    struct map *found = map_new();
    int result = found == NULL ? -1 : 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = map_put(found, nodes[i].uuid, &nodes[i]);
    for (size_t i = 0; result == 0 && i < node_table_count(table); i++) {
        const char *uuid = node_table_at(table, i)->uuid;
        result = known_set(ironic, uuid, map_get(found, uuid), asked_at);
    }
    map_free(found);
    return result;
}

void known_clear(struct ironic *ironic)
{
    size_t position = 0;
    for (struct known *known;
         ironic->known != NULL && (known = map_next(ironic->known, &position)) != NULL;) {
        ironic_node_clear(&known->node);
        free(known);
    }
    map_free(ironic->known);
    map_free(ironic->instances);
    ironic->known = ironic->instances = NULL;
}

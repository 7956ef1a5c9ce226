/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A node: one machine, its names, its status and the way to its BMC. And the table of all nodes.
 * Nodes are immutable and counted: an action keeps the node it began with across a reload. */
#ifndef NMID_CORE_NODE_H
#define NMID_CORE_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/uuid.h"

struct driver;

/* The states of a server in Nova's words (vm_state, upper case). */
enum node_status {
    NODE_ACTIVE,
    NODE_BUILD,
    NODE_ERROR,
    NODE_PAUSED,
    NODE_RESCUED,
    NODE_RESIZED,
    NODE_SHELVED,
    NODE_SHELVED_OFFLOADED,
    NODE_SHUTOFF,
    NODE_SUSPENDED,
    NODE_SOFT_DELETED,
    NODE_DELETED,
    NODE_UNKNOWN,
    NODE_STATUSES
};

#define NODE_STATUS_BIT(status) (1u << (status))
#define NODE_NAME_MAX 255

struct node {
    unsigned references;
    char uuid[UUID_TEXT];          /* lower case */
    char *name;                    /* or NULL */
    char instance_uuid[UUID_TEXT]; /* or "" */
    char *project_id;              /* or NULL */
    enum node_status status;
    bool locked;
    const struct driver *driver;
    void *driver_info; /* the driver's own, from driver->parse(); freed with the node */
    char *target;      /* what identifies the BMC, e.g. "10.0.0.1:623"; unique; owned */
    const char *file;  /* where it stands in the configuration; owned */
    unsigned line;
};

struct node_table;

/* A node with one reference; NULL when memory is out. */
struct node *node_new(void);
struct node *node_ref(struct node *node);
void node_unref(struct node *node); /* NULL-safe; frees with the last reference */

/* "ACTIVE" ...; the status of a name, or -1. */
const char *node_status_name(enum node_status status);
int node_status_parse(const char *name);

/* The name a person knows it by: its name, else its UUID. */
const char *node_label(const struct node *node);

struct node_table *node_table_new(void);
void node_table_free(struct node_table *table); /* drops its references; NULL-safe */

/* Adds a node and takes over the caller's reference. When UUID, name, instance UUID or BMC target
 * is taken (names and UUIDs share one space), *ret_other is the earlier node, *ret_what says which
 * ("uuid", "name", "instance_uuid", "BMC"), nothing is added and -1 is returned. */
int node_table_add(struct node_table *table, struct node *node, const struct node **ret_other,
                   const char **ret_what);

/* Finds by UUID (any case), instance UUID or name, in constant time; borrowed, or NULL. */
struct node *node_table_find(const struct node_table *table, const char *ident);

/* True when ident is its UUID (any case) or its name, and not only its instance's UUID. */
bool node_answers_to(const struct node *node, const char *ident);

/* Nodes in the order of the configuration. */
size_t node_table_count(const struct node_table *table);
struct node *node_table_at(const struct node_table *table, size_t i);

#endif

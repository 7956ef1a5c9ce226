/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic's answers about nodes, from JSON to what nmid needs of them; and Ironic's provision states
 * in Nova's words. Pure. */
#ifndef NMID_CORE_IRONIC_PARSE_H
#define NMID_CORE_IRONIC_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "base/uuid.h"
#include "core/node.h"

/* The fields that nmid asks for, and API version 1.65: the first that knows them all. */
#define IRONIC_FIELDS     "uuid,provision_state,instance_uuid,owner,lessee,reservation"
#define IRONIC_VERSION    "1.65"
#define IRONIC_STATE_MAX  64   /* of a provision state's name, with its NUL */
#define IRONIC_PAGE_LIMIT 1000 /* nodes in one answer */

/* What Ironic says of a node. Strings are owned; NULL where it says nothing. */
struct ironic_node {
    char uuid[UUID_TEXT]; /* lower case */
    char provision_state[IRONIC_STATE_MAX];
    enum node_status status;
    char instance_uuid[UUID_TEXT]; /* lower case; or "" */
    char *owner, *lessee;          /* projects */
    char *reservation;             /* the conductor that works on it */
};
void ironic_node_clear(struct ironic_node *node);

struct ironic_page {
    struct ironic_node *nodes;
    size_t count;
    bool more; /* there is another page behind the last of these nodes */
};
void ironic_page_clear(struct ironic_page *page);

/* GET /v1/nodes/UUID and GET /v1/nodes. -1 with FAULT_STATE_SOURCE and what is wrong with it. */
int ironic_parse_node(const char *text, size_t len, struct ironic_node *ret_node,
                      struct fault *fault);
int ironic_parse_page(const char *text, size_t len, struct ironic_page *ret_page,
                      struct fault *fault);

/* Is this body of a 404 Ironic's own, which says that there is no node of this UUID? Anything else
 * may be a proxy's, or a wrong URL's. */
bool ironic_parse_absent(const char *text, size_t len, const char *uuid);

/* The status of a provision state; NODE_UNKNOWN for those that nmid does not know. */
enum node_status ironic_status(const char *provision_state);

#endif

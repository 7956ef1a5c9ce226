/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access: which node is meant, and whether the caller may do this to it. A part of engine.h. */
#ifndef NMID_CORE_ACCESS_H
#define NMID_CORE_ACCESS_H

#include <stdbool.h>
#include "base/fault.h"
#include "core/conf_auth.h"

struct action;
struct engine;
struct node;
struct node_state;

/* What somebody wants to do to a node; all borrowed for the call. */
struct access {
    const char *ident; /* UUID, instance UUID or name */
    const struct principal *caller;
    enum policy_rule rule;
    const char *operation; /* for the audit: "inject_nmi", "show", "lock" ...; static */
    const char *contract;  /* static */
    const char *detail;    /* for the audit, when it is allowed: what is set; or NULL */
};

/* The node, and its state, when it is there, the caller may see it and the rule allows what is
 * wanted; borrowed. Else NULL with FAULT_NODE_NOT_FOUND (another project's looks absent),
 * FAULT_FORBIDDEN or FAULT_STATE_SOURCE. The decision is in the audit: a refusal always, what is
 * allowed unless it is an injection (engine_submit() records that). */
struct node *engine_find(struct engine *engine, const struct access *access,
                         struct node_state *ret_state, struct fault *fault);

/* The same for what concerns no node in particular (a list, the audit): 0, or -1 with
 * FAULT_FORBIDDEN. ident is NULL. */
int engine_may(struct engine *engine, const struct access *access, struct fault *fault);

/* May the caller see the node, and has it the role to read? For each node of a list. */
bool engine_shows(const struct engine *engine, const struct node *node,
                  const struct principal *caller);

/* The same for an action: it goes with its node, or, when there is no such node any more or its
 * owner is not known now, with the project of who asked for it. */
bool engine_shows_action(const struct engine *engine, const struct action *action,
                         const struct principal *caller);

#endif

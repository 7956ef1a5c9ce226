/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy: who may do what to which node. Rules have OpenStack's terms: admin, owner,
 * admin_or_owner; an owner needs the role member to act and reader to read, as in Nova's and
 * Ironic's secure RBAC. Pure: no state but what it is given. */
#ifndef NMID_CORE_POLICY_H
#define NMID_CORE_POLICY_H

#include "core/conf.h"
#include "core/node.h"
#include "core/principal.h"

/* The projects that a node belongs to: its owner's, and its lessee's; NULL where there is none. */
#define OWNERS 2
struct owners {
    const char *project_ids[OWNERS];
};

#define POLICY_RULE_TEXT 48

/* Sets roles (with those that they imply) and administrator from the names of roles, as the
 * policy maps them. system must be set already. */
void policy_assign(const struct conf_policy *policy, const char *const *role_names, size_t count,
                   struct principal *principal);

/* True when the principal's project is one of the node's, or its scope is the whole system. */
bool policy_owns(const struct principal *caller, const struct owners *owners);

/* May the caller know of the node at all? Administrators and its owners may; for all others it must
 * look absent (404, as in Nova and Ironic). */
bool policy_sees(const struct principal *caller, const struct owners *owners);

/* May the caller do this to a node that it sees (owners NULL: to no node in particular)? 0, or -1
 * with FAULT_FORBIDDEN. */
int policy_check(const struct conf_policy *policy, enum policy_rule rule,
                 const struct principal *caller, const struct owners *owners, struct fault *fault);

/* "inject_nmi": the rule's name in nmid.conf. And "inject_nmi:admin_or_owner", for the audit. */
const char *policy_rule_name(enum policy_rule rule);
const char *policy_rule_text(const struct conf_policy *policy, enum policy_rule rule,
                             char text[POLICY_RULE_TEXT]);

/* A locked node is for administrators only (Nova: locked servers). 0, or -1 with FAULT_LOCKED. */
int policy_check_lock(const struct principal *caller, const struct node *node, bool locked,
                      struct fault *fault);

#endif

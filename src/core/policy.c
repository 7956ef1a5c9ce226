/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/policy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum role role; /* what an owner needs */
} rules[POLICY_RULES] = {
    [POLICY_INJECT_NMI] = {"inject_nmi", ROLE_MEMBER},
    [POLICY_FORCE] = {"force", ROLE_MEMBER},
    [POLICY_PROBE] = {"probe", ROLE_MEMBER},
    [POLICY_READ] = {"read", ROLE_READER},
    [POLICY_LOCK] = {"lock", ROLE_MEMBER},
    [POLICY_AUDIT] = {"audit", ROLE_READER},
    [POLICY_METRICS] = {"metrics", ROLE_READER},
};

static const char *const checks[] = {
    [POLICY_ADMIN] = "admin",
    [POLICY_OWNER] = "owner",
    [POLICY_ADMIN_OR_OWNER] = "admin_or_owner",
};

/* As oslo.policy compares the names of roles: whatever their case. */
static bool is_named(const struct conf_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcasecmp(names->names[i], name) == 0)
            return true;
    }
    return false;
}

void policy_assign(const struct conf_policy *policy, const char *const *role_names, size_t count,
                   struct principal *principal)
{
    unsigned roles = 0;
    for (size_t i = 0; i < count; i++) {
        for (unsigned role = 0; role < ROLES; role++) {
            if (is_named(&policy->roles[role], role_names[i]))
                roles |= ROLE_BIT(role);
        }
    }
    if (roles & ROLE_BIT(ROLE_ADMIN))
        roles |= ROLE_BIT(ROLE_MEMBER);
    if (roles & ROLE_BIT(ROLE_MEMBER))
        roles |= ROLE_BIT(ROLE_READER);
    principal->roles = roles;
    principal->administrator =
        (roles & ROLE_BIT(ROLE_ADMIN)) && (principal->system || !policy->system_admin_only);
}

bool policy_owns(const struct principal *caller, const struct owners *owners)
{
    if (caller->system)
        return true;
    if (caller->project_id == NULL || caller->project_id[0] == '\0')
        return false;
    for (size_t i = 0; i < OWNERS; i++) {
        if (owners->project_ids[i] != NULL &&
            strcmp(caller->project_id, owners->project_ids[i]) == 0)
            return true;
    }
    return false;
}

bool policy_sees(const struct principal *caller, const struct owners *owners)
{
    return caller->administrator || policy_owns(caller, owners);
}

/* ---- The refusal's words ---- */

/* The role as nmid.conf calls it: by its own name, where that is among its names. */
static const char *role_name(const struct conf_policy *policy, enum role role)
{
    static const char *const own[ROLES] = {
        [ROLE_READER] = "reader", [ROLE_MEMBER] = "member", [ROLE_ADMIN] = "admin"};
    const struct conf_names *names = &policy->roles[role];
    return names->count == 0 || is_named(names, own[role]) ? own[role] : names->names[0];
}

/* What the caller lacks, when it is not the role: where the role would have to count. */
static const char *lack(bool admin, const struct principal *caller)
{
    if (admin)
        return " in a project";
    return caller->project_id == NULL || caller->project_id[0] == '\0' ? " without a project"
                                                                       : " in another project";
}

/* What it takes, and what the caller has. */
static int refuse(const struct conf_policy *policy, enum policy_rule rule,
                  const struct principal *caller, const struct owners *owners, struct fault *fault)
{
    bool admin = policy->checks[rule] == POLICY_ADMIN;
    enum role role = admin ? ROLE_ADMIN : rules[rule].role;
    const char *has = "no role that counts";
    for (unsigned i = 0; i < ROLES; i++) {
        if (caller->roles & ROLE_BIT(i))
            has = role_name(policy, i); /* the highest */
    }
    const char *where = "";
    if (admin && policy->system_admin_only)
        where = " with system scope";
    else if (!admin && owners != NULL)
        where = " in the node's project";
    return fault_set(fault, FAULT_FORBIDDEN,
                     "Policy doesn't allow %s to be performed: it takes the role %.64s%s, and you "
                     "have %.64s%s.",
                     rules[rule].name, role_name(policy, role), where, has,
                     caller->roles & ROLE_BIT(role) ? lack(admin, caller) : "");
}

int policy_check(const struct conf_policy *policy, enum policy_rule rule,
                 const struct principal *caller, const struct owners *owners, struct fault *fault)
{
    enum policy_check check = policy->checks[rule];
    bool as_owner = (caller->roles & ROLE_BIT(rules[rule].role)) != 0 &&
                    (owners == NULL || policy_owns(caller, owners));
    if ((check != POLICY_OWNER && caller->administrator) || (check != POLICY_ADMIN && as_owner))
        return 0;
    return refuse(policy, rule, caller, owners, fault);
}

const char *policy_rule_name(enum policy_rule rule)
{
    return rules[rule].name;
}

const char *policy_rule_text(const struct conf_policy *policy, enum policy_rule rule,
                             char text[POLICY_RULE_TEXT])
{
    snprintf(text, POLICY_RULE_TEXT, "%s:%s", rules[rule].name, checks[policy->checks[rule]]);
    return text;
}

int policy_check_lock(const struct principal *caller, const struct node *node, bool locked,
                      struct fault *fault)
{
    if (!locked || caller->administrator)
        return 0;
    return fault_set(fault, FAULT_LOCKED, "Instance %s is locked", node->uuid);
}

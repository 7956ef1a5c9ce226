/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy = { ... } and audit = { ... }, their defaults and ranges, as nmid.conf(5) lists them. */
#include <stdlib.h>
#include <string.h>
#include "core/conf_parts.h"
#include "core/policy.h"

static const enum policy_check default_checks[POLICY_RULES] = {
    [POLICY_INJECT_NMI] = POLICY_ADMIN_OR_OWNER,
    [POLICY_FORCE] = POLICY_ADMIN,
    [POLICY_PROBE] = POLICY_ADMIN_OR_OWNER,
    [POLICY_READ] = POLICY_ADMIN_OR_OWNER,
    [POLICY_LOCK] = POLICY_ADMIN,
    [POLICY_AUDIT] = POLICY_ADMIN,
    [POLICY_METRICS] = POLICY_ADMIN,
};

static const char *const default_roles[ROLES] = {
    [ROLE_READER] = "reader",
    [ROLE_MEMBER] = "member",
    [ROLE_ADMIN] = "admin",
};

static const char *const role_keys[ROLES] = {
    [ROLE_READER] = "reader_roles",
    [ROLE_MEMBER] = "member_roles",
    [ROLE_ADMIN] = "admin_roles",
};

int conf_policy_defaults(struct conf *conf)
{
    struct conf_policy *policy = &conf->policy;
    memcpy(policy->checks, default_checks, sizeof policy->checks);
    for (unsigned i = 0; i < ROLES; i++) {
        policy->roles[i].names = calloc(1, sizeof *policy->roles[i].names);
        if (policy->roles[i].names == NULL ||
            (policy->roles[i].names[0] = strdup(default_roles[i])) == NULL)
            return -1;
        policy->roles[i].count = 1;
    }
    conf->audit = (struct conf_audit){.records = 1000000, .days = 365, .refusals = 100};
    return 0;
}

void conf_policy_clear(struct conf_policy *policy)
{
    for (unsigned i = 0; i < ROLES; i++)
        conf_names_clear(&policy->roles[i]);
}

static void read_audit(struct conf_block *root, struct conf_audit *audit)
{
    struct conf_block block;
    if (block_group(root, "audit", "audit.", &block) <= 0)
        return;
    block_unsigned(&block, "records", 1000, 100000000, &audit->records);
    block_unsigned(&block, "days", 0, 36500, &audit->days);
    block_unsigned(&block, "refusals", 1, 100000, &audit->refusals);
    block_boolean(&block, "reads", &audit->reads);
    block_finish(&block);
}

void conf_read_policy(struct conf_block *root)
{
    static const char *const words[] = {"admin", "owner", "admin_or_owner", NULL};
    struct conf_policy *policy = &root->reader->conf->policy;
    struct conf_block block;
    read_audit(root, &root->reader->conf->audit);
    if (block_group(root, "policy", "policy.", &block) <= 0)
        return;
    for (unsigned i = 0; i < POLICY_RULES; i++) {
        unsigned check = policy->checks[i];
        block_word(&block, policy_rule_name(i), words, "\"admin\", \"owner\" or \"admin_or_owner\"",
                   &check);
        policy->checks[i] = (enum policy_check)check;
    }
    for (unsigned i = 0; i < ROLES; i++)
        block_names(&block, role_keys[i], &policy->roles[i]);
    block_boolean(&block, "system_admin_only", &policy->system_admin_only);
    block_finish(&block);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access: which node is meant, and whether the caller may do this to it. Every way to a node goes
 * through here, and what is decided here is in the audit. */
#include "core/audit.h"
#include "core/engine_state.h"
#include "core/node_state.h"

/* -1 when it cannot be recorded: what is allowed must then not be done. */
static int record(struct engine *engine, const struct access *access, const struct node *node,
                  const char *rule, const struct fault *fault)
{
    struct audit_record record = {
        .caller = access->caller,
        .contract = access->contract,
        .operation = access->operation,
        .node_uuid = node != NULL ? node->uuid : NULL,
        .node_name = node != NULL ? node->name : NULL,
        .ident = access->ident,
        .rule = rule,
        .allowed = fault == NULL,
        .change = access->rule == POLICY_LOCK,
        .read = access->rule == POLICY_READ || access->rule == POLICY_METRICS,
        .code = fault != NULL ? fault->code : FAULT_NONE,
        .message = fault != NULL ? fault->message : access->detail,
    };
    if (record.allowed && record.read && !engine->conf->audit.reads)
        return 0;
    return audit_record(engine->audit, &record);
}

static int record_allowed(struct engine *engine, const struct access *access,
                          const struct node *node, struct fault *fault)
{
    char rule[POLICY_RULE_TEXT];
    policy_rule_text(&engine->conf->policy, access->rule, rule);
    if (record(engine, access, node, rule, NULL) == 0)
        return 0;
    fault_set(fault, FAULT_JOURNAL, "nmid cannot record this now; nothing was done");
    record(engine, access, node, "daemon", fault);
    return -1;
}

int engine_check_rule(struct engine *engine, const struct access *access, const struct node *node,
                      const struct node_state *state, struct fault *fault)
{
    char rule[POLICY_RULE_TEXT];
    struct fault local = {0};
    if (fault == NULL)
        fault = &local;
    if (policy_check(&engine->conf->policy, access->rule, access->caller,
                     state != NULL ? &state->owners : NULL, fault) == 0)
        return 0;
    policy_rule_text(&engine->conf->policy, access->rule, rule);
    record(engine, access, node, rule, fault);
    return -1;
}

struct node *engine_find(struct engine *engine, const struct access *access,
                         struct node_state *ret_state, struct fault *fault)
{
    struct fault local = {0};
    if (fault == NULL)
        fault = &local;
    struct node *node = NULL;
    if (engine_node_by_ident(engine, access->ident, &node, fault) < 0 ||
        (node != NULL && engine_node_state(engine, node, ret_state, fault) < 0)) {
        record(engine, access, node, "state-source", fault);
        return NULL;
    }
    if (node == NULL || !policy_sees(access->caller, &ret_state->owners)) {
        fault_set(fault, FAULT_NODE_NOT_FOUND, "no node %.80s", access->ident);
        record(engine, access, node, node == NULL ? "node" : "owner", fault);
        return NULL;
    }
    if (engine_check_rule(engine, access, node, ret_state, fault) < 0)
        return NULL;
    if (access->rule != POLICY_INJECT_NMI && record_allowed(engine, access, node, fault) < 0)
        return NULL;
    return node;
}

int engine_may(struct engine *engine, const struct access *access, struct fault *fault)
{
    if (engine_check_rule(engine, access, NULL, NULL, fault) < 0)
        return -1;
    return record_allowed(engine, access, NULL, fault);
}

bool engine_shows(const struct engine *engine, const struct node *node,
                  const struct principal *caller)
{
    struct node_state state;
    return engine_node_state(engine, node, &state, NULL) == 0 &&
           policy_sees(caller, &state.owners) &&
           policy_check(&engine->conf->policy, POLICY_READ, caller, &state.owners, NULL) == 0;
}

bool engine_shows_action(const struct engine *engine, const struct action *action,
                         const struct principal *caller)
{
    const struct node *node = node_table_find(engine->conf->nodes, action->node->uuid);
    const struct owners asker = {{action->project_id, NULL}};
    struct node_state state;
    if (node != NULL && engine_node_state(engine, node, &state, NULL) == 0)
        return engine_shows(engine, node, caller);
    return policy_sees(caller, &asker) &&
           policy_check(&engine->conf->policy, POLICY_READ, caller, &asker, NULL) == 0;
}

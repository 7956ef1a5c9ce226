/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /agent/v1/audit: who did what, or was refused. Looking is a decision too, and is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "contracts/agent_state.h"
#include "core/audit.h"

#define LIMIT     100
#define LIMIT_MAX 1000

enum argument { NODE, ACTION, KEY, USER, PROJECT, DECISION, SINCE, UNTIL, LIMIT_AT, MARKER, ARGUMENTS };

static const char *const names[] = {
    [NODE] = "node",     [ACTION] = "action",     [KEY] = "key",
    [USER] = "user",
    [PROJECT] = "project", [DECISION] = "decision", [SINCE] = "since",
    [UNTIL] = "until",   [LIMIT_AT] = "limit",    [MARKER] = "marker",
    [ARGUMENTS] = NULL,
};

/* An exchange that waits for its page. */
struct search {
    struct http_exchange *exchange;
    struct audit_list *list;
};

/* Not by turns: the audit is read one page at a time anyhow, and pages that waited would be megabytes. */
static void on_page(void *arg, json_t *records, const struct fault *fault)
{
    struct search *search = arg;
    if (records != NULL)
        http_answer(search->exchange, 200, records);
    else
        agent_fault(search->exchange, fault);
    free(search);
}

static void on_gone(void *arg)
{
    struct search *search = arg;
    audit_list_cancel(search->list);
    free(search);
}

static bool take_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    size_t len = strlen(text);
    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return *ret_number >= 1 && *ret_number <= max;
}

static bool take_time(struct http_exchange *exchange, const char *name, const char *text,
                      int64_t *ret_wall_us)
{
    if (text == NULL || when_parse(text, ret_wall_us) == 0)
        return true;
    agent_malformed(exchange, "\"%s\" must be a time as 2026-11-22T21:28:23Z, or a day.", name);
    return false;
}

static bool is_decision(const char *text)
{
    return strcmp(text, "allowed") == 0 || strcmp(text, "refused") == 0 ||
           strcmp(text, "suppressed") == 0;
}

/* False when the error is answered. */
static bool take_query(struct http_exchange *exchange, const char *const *values,
                       struct audit_query *query)
{
    uint64_t limit = LIMIT;
    if (values[DECISION] != NULL && !is_decision(values[DECISION])) {
        agent_malformed(exchange, "\"decision\" must be allowed, refused or suppressed.");
        return false;
    }
    if (values[LIMIT_AT] != NULL && !take_number(values[LIMIT_AT], LIMIT_MAX, &limit)) {
        agent_malformed(exchange, "\"limit\" must be a number from 1 to %d.", LIMIT_MAX);
        return false;
    }
    if (values[MARKER] != NULL && !take_number(values[MARKER], INT64_MAX, &query->marker)) {
        agent_malformed(exchange, "\"marker\" must be the serial of a record.");
        return false;
    }
    query->limit = (size_t)limit;
    query->node_ident = values[NODE];
    query->action_id = values[ACTION];
    query->key = values[KEY];
    query->user = values[USER];
    query->project_id = values[PROJECT];
    query->decision = values[DECISION];
    return take_time(exchange, "since", values[SINCE], &query->since) &&
           take_time(exchange, "until", values[UNTIL], &query->until);
}

/* Who is no administrator, where the rule lets others read at all, sees what their own project did.
 * False when that cannot be what was asked for. */
static bool narrow(const struct principal *caller, struct audit_query *query)
{
    if (caller->administrator || caller->system)
        return true;
    query->own = true;
    if (caller->project_id == NULL ||
        (query->project_id != NULL && strcmp(query->project_id, caller->project_id) != 0))
        return false;
    query->project_id = caller->project_id;
    return true;
}

static void search_start(struct agent *agent, struct http_exchange *exchange,
                         const struct audit_query *query)
{
    struct fault fault = {0};
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL) {
        fault_set(&fault, FAULT_MEMORY, "out of memory");
    } else {
        search->exchange = exchange;
        search->list =
            audit_list(engine_audit(agent->engine), query, on_page, search, &fault);
    }
    if (search == NULL || search->list == NULL) {
        free(search);
        agent_fault(exchange, &fault);
        return;
    }
    http_on_gone(exchange, on_gone, search);
}

void agent_on_audit(void *self, struct http_exchange *exchange)
{
    struct agent *agent = self;
    struct fault fault = {0};
    const char *values[ARGUMENTS] = {NULL};
    struct audit_query query = {0};
    const struct access access = {NULL, http_principal(exchange), POLICY_AUDIT, "audit",
                                  agent_contract.name, NULL};
    if (!agent_arguments(exchange, names, values) || !take_query(exchange, values, &query))
        return;
    if (engine_may(agent->engine, &access, &fault) < 0) {
        agent_fault(exchange, &fault);
        return;
    }
    if (!narrow(access.caller, &query) || engine_audit(agent->engine) == NULL) {
        http_answer(exchange, 200, json_pack("{s:[], s:n}", "records", "next"));
        return;
    }
    if (query.node_ident != NULL) {
        const struct node *node = node_table_find(engine_nodes(agent->engine), query.node_ident);
        query.node_uuid = node != NULL && !query.own ? node->uuid : NULL;
    }
    search_start(agent, exchange, &query);
}

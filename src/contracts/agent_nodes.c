/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes as the agent shows them, and their probe. */
#include <stdlib.h>

#include "base/clock.h"
#include "contracts/agent_state.h"
#include "contracts/body.h"
#include "core/auth.h"
#include "core/driver.h"
#include "core/journal_more.h"
#include "core/policy.h"

static json_t *text_or_null(const char *text)
{
    return text == NULL || *text == '\0' ? json_null() : body_text(text);
}

/* Where a lock or a status comes from. */
static const char *source(bool set_at_run_time)
{
    return set_at_run_time ? "run-time" : "configuration";
}

json_t *agent_node_json(const struct agent *agent, const struct node *node)
{
    const struct journal_override *set =
        journal_override(engine_journal(agent->engine), node->uuid);
    bool has_lock = set != NULL && set->has_lock, has_status = set != NULL && set->has_status;
    json_t *info = node->driver->info_json != NULL ? node->driver->info_json(node->driver_info)
                                                   : json_object();
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:s, s:s, s:b, s:s, s:s, s:o, s:o}", "uuid", node->uuid, "name",
        text_or_null(node->name), "instance_uuid", text_or_null(node->instance_uuid), "project_id",
        text_or_null(node->project_id), "status",
        node_status_name(engine_status(agent->engine, node)), "status_source", source(has_status),
        "locked", (int)engine_locked(agent->engine, node), "lock_source", source(has_lock),
        "driver", node->driver->name, "driver_info", info, "bmc", text_or_null(node->target));
}

void agent_on_list_nodes(void *self, struct http_exchange *exchange)
{
    static const char *const names[] = {NULL};
    struct agent *agent = self;
    struct principal caller;
    if (!agent_arguments(exchange, names, NULL))
        return;
    auth_none(http_address(exchange), &caller);
    const struct node_table *table = engine_nodes(agent->engine);
    json_t *nodes = json_array();
    for (size_t i = 0; i < node_table_count(table); i++) {
        const struct node *node = node_table_at(table, i);
        if (policy_sees(&caller, node))
            json_array_append_new(nodes, agent_node_json(agent, node));
    }
    http_answer(exchange, 200, json_pack("{s:o}", "nodes", nodes));
}

struct node *agent_take_node(struct agent *agent, struct http_exchange *exchange)
{
    struct fault fault = {0};
    struct principal caller;
    auth_none(http_address(exchange), &caller);
    struct node *node = engine_find(agent->engine, http_param(exchange, "id"), &caller, &fault);
    if (node == NULL)
        agent_fault(exchange, &fault);
    return node;
}

void agent_on_get_node(void *self, struct http_exchange *exchange)
{
    const struct node *node = agent_take_node(self, exchange);
    if (node != NULL)
        http_answer(exchange, 200, agent_node_json(self, node));
}

/* ---- Probe ---- */

struct probe {
    struct http_exchange *exchange; /* NULL: nobody is left to answer */
    struct node *node;              /* counted */
    int64_t begun;
};

static void probe_free(struct probe *probe)
{
    node_unref(probe->node);
    free(probe);
}

static void on_probed(void *arg, json_t *result, const struct fault *fault)
{
    struct probe *probe = arg;
    if (probe->exchange != NULL && result == NULL) {
        agent_fault(probe->exchange, fault);
    } else if (probe->exchange != NULL) {
        json_t *answer = json_pack("{s:s, s:o}", "node_uuid", probe->node->uuid, "node_name",
                                   text_or_null(probe->node->name));
        json_object_update(answer, result);
        json_object_set_new(answer, "elapsed_ms",
                            json_integer((clock_mono_us() - probe->begun) / 1000));
        http_answer(probe->exchange, 200, answer);
    }
    probe_free(probe);
}

static void on_gone(void *arg)
{
    struct probe *probe = arg;
    probe->exchange = NULL; /* a probe cannot be called back: on_probed() frees it */
}

void agent_on_probe(void *self, struct http_exchange *exchange)
{
    struct agent *agent = self;
    struct fault fault = {0};
    struct node *node = agent_take_node(agent, exchange);
    struct probe *probe = node == NULL ? NULL : calloc(1, sizeof *probe);
    if (node == NULL)
        return;
    if (probe == NULL) {
        fault_set(&fault, FAULT_MEMORY, "out of memory");
        agent_fault(exchange, &fault);
        return;
    }
    probe->exchange = exchange;
    probe->node = node_ref(node);
    probe->begun = clock_mono_us();
    http_on_gone(exchange, on_gone, probe);
    if (engine_probe(agent->engine, node, on_probed, probe, &fault) < 0) {
        agent_fault(exchange, &fault);
        probe_free(probe);
    }
}

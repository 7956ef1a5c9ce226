/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes as the agent shows them, and their probe. */
#include <stdlib.h>

#include "base/clock.h"
#include "contracts/agent_state.h"
#include "contracts/body.h"
#include "contracts/ready.h"
#include "core/driver.h"
#include "core/node_state.h"

static json_t *text_or_null(const char *text)
{
    return text == NULL || *text == '\0' ? json_null() : body_text(text);
}

/* Where the BMC is concerns those who run the machine. To a lessee it is what a server is to Nova's
 * user; Ironic does not show driver_info to a lessee either. */
static bool sees_bmc(const struct principal *caller, const struct owners *owners)
{
    const struct owners owner = {{owners->project_ids[0], NULL}};
    return caller->administrator || policy_owns(caller, &owner);
}

json_t *agent_node_json(const struct agent *agent, const struct node *node,
                        const struct principal *caller)
{
    struct node_state state;
    if (engine_node_state(agent->engine, node, &state, NULL) < 0)
        return NULL;
    bool whole = sees_bmc(caller, &state.owners);
    json_t *info = whole && node->driver->info_json != NULL
                       ? node->driver->info_json(node->driver_info)
                       : json_object();
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:b, s:s, s:s, s:o, s:o}", "uuid", node->uuid,
                     "name", text_or_null(node->name), "instance_uuid",
                     text_or_null(state.instance_uuid), "project_id",
                     text_or_null(state.owners.project_ids[0]), "status",
                     node_status_name(state.status), "status_source", state.status_source, "locked",
                     (int)state.locked, "lock_source", state.lock_source, "driver",
                     node->driver->name, "driver_info", info, "bmc", text_or_null(whole ? node->target : NULL));
}

/* A list without the nodes whose owner is not known would be taken for the whole: then there is
 * none. */
static json_t *visible_nodes(const struct agent *agent, const struct principal *caller,
                             struct fault *fault)
{
    const struct node_table *table = engine_nodes(agent->engine);
    if (engine_states_known(agent->engine, fault) < 0)
        return NULL;
    json_t *nodes = json_array();
    for (size_t i = 0; i < node_table_count(table); i++) {
        const struct node *node = node_table_at(table, i);
        if (engine_shows(agent->engine, node, caller))
            json_array_append_new(nodes, agent_node_json(agent, node, caller));
    }
    if (nodes == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    return nodes;
}

void agent_on_list_nodes(void *self, struct http_exchange *exchange)
{
    static const char *const names[] = {NULL};
    struct agent *agent = self;
    struct fault fault = {0};
    const struct access access = {NULL, http_principal(exchange), POLICY_READ, "list",
                                  agent_contract.name, NULL};
    if (!agent_arguments(exchange, names, NULL))
        return;
    if (!ready_for(agent->engine, exchange, NULL, 0, agent_on_list_nodes, self))
        return;
    json_t *nodes = NULL;
    if (engine_may(agent->engine, &access, &fault) < 0 ||
        (nodes = visible_nodes(agent, access.caller, &fault)) == NULL)
        agent_fault(exchange, &fault);
    else
        http_answer(exchange, 200, json_pack("{s:o}", "nodes", nodes));
}

struct node *agent_take_node(struct agent *agent, struct http_exchange *exchange,
                             enum policy_rule rule, const char *operation, const char *detail,
                             http_handler_fn *again)
{
    struct fault fault = {0};
    struct node_state state;
    const struct access access = {http_param(exchange, "id"), http_principal(exchange), rule,
                                  operation, agent_contract.name, detail};
    if (!ready_for(agent->engine, exchange, &access.ident, 1, again, agent))
        return NULL;
    struct node *node = engine_find(agent->engine, &access, &state, &fault);
    if (node == NULL)
        agent_fault(exchange, &fault);
    return node;
}

void agent_on_get_node(void *self, struct http_exchange *exchange)
{
    const struct node *node =
        agent_take_node(self, exchange, POLICY_READ, "show", NULL, agent_on_get_node);
    if (node != NULL)
        http_answer(exchange, 200, agent_node_json(self, node, http_principal(exchange)));
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
    struct node *node =
        agent_take_node(agent, exchange, POLICY_PROBE, "probe", NULL, agent_on_probe);
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

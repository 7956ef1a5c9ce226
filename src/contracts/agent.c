/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "contracts/agent_state.h"
#include "contracts/body.h"
#include "core/callback.h"

#define BIT(status) NODE_STATUS_BIT(NODE_##status)

/* ---- Errors ---- */

void agent_error(void *self, struct http_exchange *exchange, unsigned status,
                 const struct fault *fault)
{
    (void)self;
    if (status == 0)
        status = (unsigned)fault_row(fault->code)->agent;
    json_t *id = fault->action_id[0] != '\0' ? json_string(fault->action_id) : json_null();
    http_answer(exchange, status,
                json_pack("{s:{s:s, s:o, s:o}}", "error", "code", fault_name(fault->code),
                          "message", body_text(fault->message), "action_id", id));
}

void agent_fault(struct http_exchange *exchange, const struct fault *fault)
{
    agent_error(NULL, exchange, 0, fault);
}

void agent_malformed(struct http_exchange *exchange, const char *format, ...)
{
    struct fault fault = {.code = FAULT_MALFORMED};
    va_list args;
    va_start(args, format);
    vsnprintf(fault.message, sizeof fault.message, format, args);
    va_end(args);
    agent_fault(exchange, &fault);
}

bool agent_arguments(struct http_exchange *exchange, const char *const *names, const char **values)
{
    size_t count = 0;
    const struct http_argument *arguments = http_arguments(exchange, &count);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (names[k] != NULL && strcmp(names[k], arguments[i].name) != 0)
            k++;
        if (names[k] == NULL || values[k] != NULL) {
            agent_malformed(exchange, "%s argument: %.100s",
                            names[k] == NULL ? "Unexpected" : "Repeated", arguments[i].name);
            return false;
        }
        values[k] = arguments[i].value;
    }
    return true;
}

/* ---- The body of a POST ---- */

static const struct {
    const char *name;
    unsigned statuses;
} actions[] = {
    {"inject_nmi", BIT(ACTIVE) | BIT(ERROR)},
    {"trigger_crash_dump", BIT(ACTIVE) | BIT(PAUSED) | BIT(RESCUED) | BIT(RESIZED) | BIT(ERROR)},
};

static bool take_name(struct http_exchange *exchange, struct agent_order *order)
{
    const char *name = json_string_value(json_object_get(order->body, "action"));
    if (name == NULL) {
        agent_malformed(exchange, "\"action\" must be there, and a string.");
        return false;
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            order->request.name = actions[i].name;
            order->request.statuses = actions[i].statuses;
            return true;
        }
    }
    agent_malformed(exchange, "There is no such action: %.100s", name);
    return false;
}

static bool check_keys(struct http_exchange *exchange, const struct agent_order *order,
                       bool with_nodes)
{
    const char *key;
    json_t *value;
    json_object_foreach(order->body, key, value)
    {
        if (strcmp(key, "action") != 0 && strcmp(key, "force") != 0 &&
            strcmp(key, "callback_url") != 0 && (!with_nodes || strcmp(key, "nodes") != 0)) {
            agent_malformed(exchange, "Unexpected key: %.100s", key);
            return false;
        }
        if (strcmp(key, "force") == 0 && !json_is_boolean(value)) {
            agent_malformed(exchange, "\"force\" must be true or false.");
            return false;
        }
    }
    return true;
}

json_t *agent_take_body(struct http_exchange *exchange)
{
    size_t len = 0;
    struct fault fault = {0};
    json_t *body = NULL;
    const char *text = http_body(exchange, &len);
    if (!body_is_json(http_header(exchange, "Content-Type")))
        fault_set(&fault, FAULT_MEDIA_TYPE, "The body must be application/json.");
    else
        body = body_parse(text, len, &fault);
    if (body != NULL && !json_is_object(body))
        fault_set(&fault, FAULT_MALFORMED, "The body must be a JSON object.");
    if (fault.code == FAULT_NONE)
        return body;
    json_decref(body);
    agent_fault(exchange, &fault);
    return NULL;
}

static bool take_callback_url(struct agent *agent, struct http_exchange *exchange,
                              struct agent_order *order)
{
    const json_t *url = json_object_get(order->body, "callback_url");
    struct fault fault = {0};
    if (url == NULL)
        return true;
    order->request.callback_url = json_string_value(url);
    if (order->request.callback_url == NULL)
        fault_set(&fault, FAULT_MALFORMED, "\"callback_url\" must be a string.");
    else
        callbacks_check_url(engine_callbacks(agent->engine), order->request.callback_url, &fault);
    if (fault.code == FAULT_NONE)
        return true;
    agent_fault(exchange, &fault);
    return false;
}

bool agent_take_order(struct agent *agent, struct http_exchange *exchange, bool with_nodes,
                      struct agent_order *order)
{
    struct fault fault = {0};
    order->body = agent_take_body(exchange);
    if (order->body == NULL || !check_keys(exchange, order, with_nodes) ||
        !take_name(exchange, order) || !take_callback_url(agent, exchange, order))
        return false;
    order->request.contract = agent_contract.name;
    order->request.caller = http_principal(exchange);
    order->request.force = json_is_true(json_object_get(order->body, "force"));
    order->fingerprint = body_fingerprint(order->body);
    order->request.fingerprint = order->fingerprint;
    if (order->fingerprint == NULL)
        fault_set(&fault, FAULT_MEMORY, "out of memory");
    if (order->fingerprint == NULL ||
        body_key(exchange, order->key, &order->request.idempotency_key, &fault) < 0) {
        agent_fault(exchange, &fault);
        return false;
    }
    return true;
}

void agent_order_clear(struct agent_order *order)
{
    json_decref(order->body);
    free(order->fingerprint);
}

/* ---- Health ---- */

static void add_counts(const struct agent *agent, json_t *answer)
{
    struct engine_counts counts;
    engine_counts(agent->engine, &counts);
    json_t *numbers =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "nodes",
                  (json_int_t)node_table_count(engine_nodes(agent->engine)), "queued",
                  (json_int_t)counts.queued, "in_flight", (json_int_t)counts.in_flight, "delivered",
                  (json_int_t)counts.delivered, "failed", (json_int_t)counts.failed, "unknown",
                  (json_int_t)counts.unknown);
    json_object_update(answer, numbers);
    json_decref(numbers);
}

static void on_healthz(void *self, struct http_exchange *exchange)
{
    /* Whoever has credentials learns here whether to bring them, and need not be refused first. */
    static const char *const strategies[] = {
        [AUTH_NONE] = "none",
        [AUTH_HTTP_BASIC] = "http_basic",
        [AUTH_KEYSTONE] = "keystone",
        [AUTH_CLIENT_CERTIFICATE] = "client_certificate"};
    /* "instance" is the journal's: the history, and with it every Idempotency-Key, is of one instance,
     * so a client that repeats a request must see whether it still speaks to the same. */
    const struct agent *agent = self;
    json_t *answer = json_pack("{s:s, s:s, s:s, s:s}", "status", "ok", "version", agent->version,
                               "instance", journal_instance(engine_journal(agent->engine)), "auth",
                               strategies[http_auth_strategy(exchange)]);
    /* How many nodes there are, and that one has just got an interrupt, is nobody's business who
     * has no credentials: /metrics has a rule for it. */
    if (http_auth_strategy(exchange) == AUTH_NONE)
        add_counts(agent, answer);
    http_answer(exchange, 200, answer);
}

static void on_readyz(void *self, struct http_exchange *exchange)
{
    const struct agent *agent = self;
    struct fault fault = {0};
    if (http_stopping(exchange))
        fault_set(&fault, FAULT_STOPPING, "nmid is shutting down");
    else
        journal_check(engine_journal(agent->engine), &fault);
    if (fault.code == FAULT_NONE)
        http_answer(exchange, 200, json_pack("{s:s}", "status", "ready"));
    else
        http_answer(exchange, 503,
                    json_pack("{s:s, s:o}", "status", fault_name(fault.code), "message",
                              body_text(fault.message)));
}

/* ---- The contract ---- */

static const struct http_route routes[] = {
    {"GET", "/healthz", on_healthz, HTTP_OPEN},
    {"GET", "/readyz", on_readyz, HTTP_OPEN},
    {"POST", "/agent/v1/nodes/{id}/actions", agent_on_post_action, HTTP_USUAL},
    {"POST", "/agent/v1/nodes/{id}/probe", agent_on_probe, HTTP_USUAL},
    {"PUT", "/agent/v1/nodes/{id}/lock", agent_on_put_lock, HTTP_USUAL},
    {"DELETE", "/agent/v1/nodes/{id}/lock", agent_on_delete_lock, HTTP_USUAL},
    {"PUT", "/agent/v1/nodes/{id}/status", agent_on_put_status, HTTP_USUAL},
    {"DELETE", "/agent/v1/nodes/{id}/status", agent_on_delete_status, HTTP_USUAL},
    {"GET", "/agent/v1/nodes/{id}", agent_on_get_node, HTTP_USUAL},
    {"GET", "/agent/v1/nodes", agent_on_list_nodes, HTTP_LIST},
    {"GET", "/agent/v1/actions/{id}", agent_on_get_action, HTTP_USUAL},
    {"GET", "/agent/v1/actions", agent_on_list_actions, HTTP_LIST},
    {"POST", "/agent/v1/actions", agent_on_post_batch, HTTP_BATCH},
    {"GET", "/agent/v1/batches/{id}", agent_on_get_batch, HTTP_LIST},
    {"GET", "/agent/v1/audit", agent_on_audit, HTTP_LIST},
    {"GET", "/metrics", agent_on_metrics, HTTP_USUAL},
    {NULL, NULL, NULL, HTTP_USUAL},
};

const struct http_contract agent_contract = {
    .name = "agent",
    .prefix = "",
    .routes = routes,
    .error = agent_error,
};

struct agent *agent_new(struct loop *loop, struct engine *engine, size_t history,
                        const char *version, struct fault *fault)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent != NULL) {
        agent->batches = map_new();
        agent->makers = map_new();
        agent->newest_end = &agent->oldest;
    }
    if (agent == NULL || agent->batches == NULL || agent->makers == NULL) {
        agent_free(agent);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    agent->loop = loop;
    agent->engine = engine;
    agent->history = history;
    agent->version = version;
    return agent;
}

void agent_free(struct agent *agent)
{
    if (agent == NULL)
        return;
    agent_drop_batches(agent);
    agent_drop_changes(agent);
    map_free(agent->batches);
    map_free(agent->makers);
    free(agent);
}

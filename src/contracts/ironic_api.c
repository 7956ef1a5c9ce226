/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic's management call. Wording and order are those of Ironic 21.4 as it answers: the version
 * first, then the arguments, the node and policy. The answer waits for the outcome.
 *
 * Its clients repeat by themselves: python-ironicclient six times over 11 s, nova-compute up to 60
 * times over 120 s, after a lost connection, a 409 or a 503. So a 409 is answered only while
 * somebody else is at work on the node, a 503 never, and a caller who asks again shortly gets what
 * came of the first request. */
#include "contracts/ironic_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "contracts/body.h"
#include "contracts/ironic_api_state.h"
#include "contracts/ironic_version.h"
#include "contracts/ready.h"
#include "core/driver.h"

#define INJECT_NMI_MINOR 29 /* since when Ironic has it */
#define REPEAT_S         15 /* more than the 11 s of python-ironicclient */
#define BIT(status)      NODE_STATUS_BIT(NODE_##status)

/* One request that waits for its action's outcome. */
struct pending {
    struct http_exchange *exchange;
    struct action_wait *wait;
    bool repeat;
};

/* ---- The outcome ---- */

static void answer_undelivered(struct http_exchange *exchange, const struct action *action,
                               bool repeat)
{
    const char *why = action->message != NULL ? action->message : "";
    const char *again = repeat ? " (This is what came of an earlier request; nothing was sent for "
                                 "this one.)"
                               : "";
    struct fault fault = {0};
    if (action->outcome == OUTCOME_FAILED)
        fault_set(&fault, action->code, "%.380s%s", why, again);
    else
        fault_set(&fault, action->code,
                  "It is unknown whether the NMI was delivered (action %s): %.200s. Do not send it "
                  "again: a second NMI destroys the dump that the first one may have begun.%s",
                  action->id, why, again);
    ironic_error(NULL, exchange, 0, &fault);
}

static void on_outcome(void *arg, struct action *action)
{
    struct pending *pending = arg;
    struct http_exchange *exchange = pending->exchange;
    bool repeat = pending->repeat;
    free(pending);
    http_set_request_id(exchange, action->id);
    http_add_header(exchange, "Openstack-Request-Id", action->id); /* as Ironic calls it */
    if (action->outcome == OUTCOME_DELIVERED)
        http_answer(exchange, 204, NULL);
    else
        answer_undelivered(exchange, action, repeat);
}

/* The action goes on: only its answer has nobody to go to. */
static void on_gone(void *arg)
{
    struct pending *pending = arg;
    engine_wait_cancel(pending->wait);
    free(pending);
}

static void await_outcome(struct ironic_api *api, struct http_exchange *exchange,
                          struct action *action, bool repeat)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (pending != NULL) {
        pending->exchange = exchange;
        pending->repeat = repeat;
        pending->wait = engine_wait(api->engine, action, ACTION_FINISHED, on_outcome, pending);
    }
    if (pending != NULL && pending->wait != NULL) {
        http_on_gone(exchange, on_gone, pending);
        return;
    }
    free(pending);
    struct fault fault = {0};
    http_set_request_id(exchange, action->id);
    fault_set(&fault, FAULT_MEMORY,
              "out of memory; action %s goes on, its outcome is not known; do not send it again",
              action->id);
    ironic_error(NULL, exchange, 500, &fault);
}

/* ---- The request ---- */

/* The body: none, or {}. False when the error is answered. */
static bool take_nothing(struct http_exchange *exchange)
{
    size_t len = 0;
    const char *text = http_body(exchange, &len);
    if (strspn(text, " \t\r\n") >= len)
        return ironic_no_arguments(exchange, NULL);
    json_t *body = body_parse(text, len, NULL);
    bool good = json_is_object(body);
    if (!good)
        ironic_malformed(exchange, "The body must be empty, or {}.");
    else
        good = ironic_no_arguments(exchange, body);
    json_decref(body);
    return good;
}

/* A refusal whose reason Ironic words otherwise. The node was found before: it may be named. */
static void answer_refusal(struct ironic_api *api, struct http_exchange *exchange,
                           const char *ident, const struct fault *fault)
{
    struct node *node = NULL;
    struct fault told = {0};
    if (fault->code == FAULT_UNSUPPORTED)
        engine_node_by_ident(api->engine, ident, &node, NULL);
    if (node != NULL) {
        fault_set(&told, FAULT_UNSUPPORTED,
                  "Driver %s does not support inject_nmi (disabled or not implemented).",
                  node->driver->name);
        fault = &told;
    }
    ironic_refuse(exchange, "inject_nmi", fault);
}

static void on_inject_nmi(void *self, struct http_exchange *exchange);

static void submit(struct ironic_api *api, struct http_exchange *exchange, const char *ident)
{
    char key[ACTION_KEY_MAX + 1];
    struct fault fault = {0};
    struct action *action = NULL;
    bool repeat = false;
    struct request request = {
        .node_ident = ident,
        .name = "inject_nmi",
        .contract = ironic_contract.name,
        .caller = http_principal(exchange),
        .statuses = BIT(ACTIVE) | BIT(ERROR),
        .fingerprint = "{}", /* no body is the same as an empty one */
        .repeat_s = REPEAT_S,
    };
    if (body_key(exchange, key, &request.idempotency_key, &fault) < 0) {
        ironic_error(NULL, exchange, 0, &fault);
        return;
    }
    if (!ready_for(api->engine, exchange, &request.node_ident, 1, on_inject_nmi, api))
        return;
    if (engine_submit(api->engine, &request, &action, &repeat, &fault) < 0)
        answer_refusal(api, exchange, ident, &fault);
    else
        await_outcome(api, exchange, action, repeat);
}

static void on_inject_nmi(void *self, struct http_exchange *exchange)
{
    unsigned minor = 0;
    const char *ident;
    if (!ironic_take_version(exchange, &minor) || (ident = ironic_take_ident(exchange)) == NULL ||
        !take_nothing(exchange))
        return;
    if (minor >= INJECT_NMI_MINOR) {
        submit(self, exchange, ident);
        return;
    }
    struct fault absent = {0};
    fault_set(&absent, FAULT_NODE_NOT_FOUND, "Resource could not be found.");
    ironic_error(NULL, exchange, 404, &absent);
}

/* ---- The version document ---- */

static void on_version(void *self, struct http_exchange *exchange)
{
    char url[HTTP_BASE_MAX], link[HTTP_BASE_MAX + 16], nodes[HTTP_BASE_MAX + 16];
    unsigned minor;
    (void)self;
    if (!ironic_take_version(exchange, &minor) || !ironic_no_arguments(exchange, NULL))
        return;
    http_base_url(exchange, url);
    snprintf(link, sizeof link, "%s/v1/", url);
    snprintf(nodes, sizeof nodes, "%s/v1/nodes/", url);
    http_answer(exchange, 200,
                json_pack("{s:s, s:[{s:s, s:s}], s:[{s:s, s:s}],"
                          " s:{s:s, s:[{s:s, s:s}], s:s, s:s, s:s}}",
                          "id", "v1", "links", "href", link, "rel", "self", "nodes", "href", nodes,
                          "rel", "self", "version", "id", "v1", "links", "href", link, "rel",
                          "self", "status", "CURRENT", "min_version", IRONIC_VERSION_MINIMUM,
                          "version", IRONIC_VERSION_MAXIMUM));
}

/* ---- The contract ---- */

static const struct http_route routes[] = {
    {"GET", "/v1", on_version, HTTP_OPEN},
    {"GET", "/v1/", on_version, HTTP_OPEN},
    {"GET", "/v1/nodes", ironic_on_list, HTTP_LIST},
    {"GET", "/v1/nodes/", ironic_on_list, HTTP_LIST},
    {"GET", "/v1/nodes/detail", ironic_on_detail, HTTP_LIST},
    {"GET", "/v1/nodes/{id}", ironic_on_node, HTTP_USUAL},
    {"GET", "/v1/nodes/{id}/validate", ironic_on_validate, HTTP_USUAL},
    {"PUT", "/v1/nodes/{id}/management/inject_nmi", on_inject_nmi, HTTP_USUAL},
    {NULL, NULL, NULL, HTTP_USUAL},
};

const struct http_contract ironic_contract = {
    .name = "ironic",
    .prefix = "/v1",
    .routes = routes,
    .error = ironic_error,
};

struct ironic_api *ironic_api_new(struct engine *engine, struct fault *fault)
{
    struct ironic_api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    api->engine = engine;
    return api;
}

void ironic_api_free(struct ironic_api *api)
{
    free(api);
}

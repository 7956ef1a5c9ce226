/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nova's server action. Wording and order are those of Nova 26 (Zed) as it answers: the version
 * first, then the body, the node, policy, lock and status. The answer waits for the outcome. */
#include "contracts/nova.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "contracts/body.h"
#include "contracts/nova_state.h"
#include "contracts/pyrepr.h"
#include "contracts/ready.h"

#define HEADER_MAX  1024
#define BIT(status) NODE_STATUS_BIT(NODE_##status)

/* One request that waits for its action's outcome. */
struct pending {
    struct http_exchange *exchange;
    struct action_wait *wait;
};

static const struct nova_action {
    const char *name;
    unsigned since; /* minor version */
    unsigned statuses;
} actions[] = {
    {"inject_nmi", 1, BIT(ACTIVE) | BIT(ERROR)},
    {"trigger_crash_dump", 17,
     BIT(ACTIVE) | BIT(PAUSED) | BIT(RESCUED) | BIT(RESIZED) | BIT(ERROR)},
};

/* ---- Errors ---- */

static const char *fault_key(unsigned status)
{
    static const struct {
        unsigned status;
        const char *key;
    } keys[] = {
        {400, "badRequest"},     {401, "unauthorized"},       {403, "forbidden"},
        {404, "itemNotFound"},   {405, "badMethod"},          {409, "conflictingRequest"},
        {413, "overLimit"},      {415, "badMediaType"},       {429, "overLimit"},
        {501, "notImplemented"}, {503, "serviceUnavailable"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].status == status)
            return keys[i].key;
    }
    return "computeFault";
}

/* What stands before Nova answers these: keystonemiddleware, in words of its own. */
static const char *middleware_words(const struct http_exchange *exchange, enum fault_code code)
{
    if (code == FAULT_UNAUTHORIZED && http_auth_strategy(exchange) == AUTH_KEYSTONE)
        return "The request you have made requires authentication.";
    return code == FAULT_IDENTITY ? "The Keystone service is temporarily unavailable." : NULL;
}

void nova_error(void *self, struct http_exchange *exchange, unsigned status,
                const struct fault *fault)
{
    const char *words = middleware_words(exchange, fault->code);
    (void)self;
    if (status == 0)
        status = (unsigned)fault_row(fault->code)->nova;
    if (words != NULL && status == 401) {
        http_answer(exchange, status,
                    json_pack("{s:{s:i, s:s, s:s}}", "error", "code", 401, "title", "Unauthorized",
                              "message", words));
        return;
    }
    http_answer(exchange, status,
                json_pack("{s:{s:i, s:o}}", fault_key(status), "code", (int)status, "message",
                          body_text(words != NULL ? words : fault->message)));
}

void nova_fault(struct http_exchange *exchange, const struct fault *fault)
{
    const char *ident = http_param(exchange, "id");
    if (fault->code != FAULT_NODE_NOT_FOUND || ident == NULL) {
        nova_error(NULL, exchange, 0, fault);
        return;
    }
    struct fault absent = {0};
    fault_set(&absent, fault->code, "Instance %.255s could not be found.",
              ident[0] != '\0' ? ident : http_param_raw(exchange, "id"));
    nova_error(NULL, exchange, 404, &absent);
}

void nova_refusal(struct http_exchange *exchange, const char *rule, const struct fault *fault)
{
    struct fault forbidden = {0};
    if (fault->code == FAULT_FORBIDDEN) {
        fault_set(&forbidden, FAULT_FORBIDDEN,
                  "Policy doesn't allow os_compute_api:servers:%s to be performed.", rule);
        fault = &forbidden;
    }
    nova_fault(exchange, fault);
}

static void answer_malformed(struct http_exchange *exchange)
{
    struct fault fault = {0};
    fault_set(&fault, FAULT_MALFORMED, "Malformed request body");
    nova_error(NULL, exchange, 400, &fault);
}

/* ---- The outcome ---- */

static void answer_outcome(struct http_exchange *exchange, const struct action *action)
{
    const char *why = action->message != NULL ? action->message : "";
    struct fault fault = {0};
    http_set_request_id(exchange, action->id);
    if (action->outcome == OUTCOME_DELIVERED) {
        http_answer(exchange, 202, NULL);
    } else if (action->outcome == OUTCOME_FAILED) {
        fault_set(&fault, action->code, "%s", why);
        nova_error(NULL, exchange, (unsigned)fault_row(action->code)->nova, &fault);
    } else {
        fault_set(&fault, action->code,
                  "It is unknown whether the NMI was delivered (action %s): %.300s. Do not send it "
                  "again: a second NMI destroys the dump that the first one may have begun.",
                  action->id, why);
        nova_error(NULL, exchange, 400, &fault);
    }
}

static void on_outcome(void *arg, struct action *action)
{
    struct pending *pending = arg;
    struct http_exchange *exchange = pending->exchange;
    free(pending);
    answer_outcome(exchange, action);
}

/* The action goes on: only its answer has nobody to go to. */
static void on_gone(void *arg)
{
    struct pending *pending = arg;
    engine_wait_cancel(pending->wait);
    free(pending);
}

static void await_outcome(struct nova *nova, struct http_exchange *exchange, struct action *action)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (pending != NULL) {
        pending->exchange = exchange;
        pending->wait = engine_wait(nova->engine, action, ACTION_FINISHED, on_outcome, pending);
    }
    if (pending != NULL && pending->wait != NULL) {
        http_on_gone(exchange, on_gone, pending);
        return;
    }
    free(pending);
    struct fault fault = {0};
    http_set_request_id(exchange, action->id);
    fault_set(&fault, FAULT_MEMORY, "out of memory; action %s goes on, its outcome is not known",
              action->id);
    nova_error(NULL, exchange, 500, &fault);
}

/* ---- The request ---- */

static void add_version_headers(struct http_exchange *exchange, const char *version)
{
    char standard[MICROVERSION_TEXT + 16];
    snprintf(standard, sizeof standard, "compute %s", version);
    http_add_header(exchange, "OpenStack-API-Version", standard);
    http_add_header(exchange, "X-OpenStack-Nova-API-Version", version);
    http_add_header(exchange, "Vary", "OpenStack-API-Version");
    http_add_header(exchange, "Vary", "X-OpenStack-Nova-API-Version");
}

/* Endpoints used to have the project in the path. Who has one may only name that. */
static bool take_project(struct http_exchange *exchange)
{
    const char *asked = http_param(exchange, "project_id");
    const char *own = http_principal(exchange)->project_id;
    struct fault fault = {0};
    if (asked != NULL && asked[0] == '\0') {
        fault_set(&fault, FAULT_NOT_FOUND, "The resource could not be found.");
        nova_error(NULL, exchange, 404, &fault);
        return false;
    }
    if (asked == NULL || own == NULL || strcmp(asked, own) == 0)
        return true;
    fault_set(&fault, FAULT_MALFORMED,
              "Malformed request URL: URL's project_id '%.80s' doesn't match Context's project_id "
              "'%.80s'",
              asked, own);
    nova_error(NULL, exchange, 400, &fault);
    return false;
}

bool nova_take_version(struct http_exchange *exchange, struct microversion *version)
{
    char standard[HEADER_MAX], legacy[HEADER_MAX];
    unsigned status = 400;
    struct fault fault = {0};
    int result = microversion_parse(
        http_header_joined(exchange, "OpenStack-API-Version", standard, sizeof standard),
        http_header_joined(exchange, "X-OpenStack-Nova-API-Version", legacy, sizeof legacy),
        version, &status, &fault);
    if (version->text[0] != '\0')
        add_version_headers(exchange, version->text);
    if (result < 0)
        nova_error(NULL, exchange, status, &fault);
    return result == 0 && take_project(exchange);
}

static const struct nova_action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    }
    return NULL;
}

static void answer_no_action(struct http_exchange *exchange, const char *name)
{
    json_t *message = json_sprintf("There is no such action: %s", name);
    http_answer(exchange, 400,
                json_pack("{s:{s:i, s:o}}", "badRequest", "code", 400, "message", message));
}

static void answer_not_null(struct http_exchange *exchange, const char *name, const json_t *value)
{
    char plain[256], quoted[256];
    json_t *message = json_sprintf(
        "Invalid input for field/attribute %s. Value: %s. %s is not of type 'null'", name,
        pyrepr(value, 0, plain, sizeof plain), pyrepr(value, 1, quoted, sizeof quoted));
    http_answer(exchange, 400,
                json_pack("{s:{s:i, s:o}}", "badRequest", "code", 400, "message", message));
}

/* The action that the body asks for; NULL when the error is answered. */
static const struct nova_action *take_action(struct http_exchange *exchange, const json_t *body,
                                             const struct microversion *version)
{
    void *only = json_is_object(body) && json_object_size(body) == 1
                     ? json_object_iter((json_t *)body)
                     : NULL;
    if (only == NULL) {
        answer_malformed(exchange);
        return NULL;
    }
    const char *name = json_object_iter_key(only);
    const struct nova_action *action = find_action(name);
    if (action == NULL) {
        answer_no_action(exchange, name);
        return NULL;
    }
    if (version->minor < action->since) {
        struct fault fault = {0};
        fault_set(&fault, FAULT_NOT_FOUND, "The resource could not be found.");
        nova_error(NULL, exchange, 404, &fault);
        return NULL;
    }
    if (!json_is_null(json_object_iter_value(only))) {
        answer_not_null(exchange, name, json_object_iter_value(only));
        return NULL;
    }
    return action;
}

static void on_action(void *self, struct http_exchange *exchange);

static void submit(struct nova *nova, struct http_exchange *exchange,
                   const struct nova_action *what, const json_t *body)
{
    char key[ACTION_KEY_MAX + 1];
    struct fault fault = {0};
    struct action *action = NULL;
    bool repeat = false;
    struct request request = {
        .node_ident = http_param(exchange, "id"),
        .name = what->name,
        .contract = nova_contract.name,
        .caller = http_principal(exchange),
        .statuses = what->statuses,
    };
    if (body_key(exchange, key, &request.idempotency_key, &fault) < 0) {
        nova_fault(exchange, &fault);
        return;
    }
    if (!ready_for(nova->engine, exchange, &request.node_ident, 1, on_action, nova))
        return;
    char *fingerprint = body_fingerprint(body);
    request.fingerprint = fingerprint;
    if (fingerprint == NULL)
        fault_set(&fault, FAULT_MEMORY, "out of memory");
    if (fingerprint == NULL || engine_submit(nova->engine, &request, &action, &repeat, &fault) < 0)
        nova_refusal(exchange, what->name, &fault);
    else
        await_outcome(nova, exchange, action);
    free(fingerprint);
}

static void on_action(void *self, struct http_exchange *exchange)
{
    struct microversion version;
    size_t len = 0;
    if (!nova_take_version(exchange, &version))
        return;
    const char *text = http_body(exchange, &len);
    json_t *body =
        body_is_json(http_header(exchange, "Content-Type")) ? body_parse(text, len, NULL) : NULL;
    if (body == NULL) {
        answer_malformed(exchange);
        return;
    }
    const struct nova_action *action = take_action(exchange, body, &version);
    if (action != NULL)
        submit(self, exchange, action, body);
    json_decref(body);
}

static const struct http_route routes[] = {
    {"POST", "/v2.1/servers/{id}/action", on_action, HTTP_USUAL},
    {"PUT", "/v2.1/servers/{id}/action", on_action, HTTP_USUAL},
    {"GET", "/v2.1", nova_on_version, HTTP_OPEN},
    {"GET", "/v2.1/", nova_on_version, HTTP_OPEN},
    {"GET", "/v2.1/servers", nova_on_list, HTTP_LIST},
    {"GET", "/v2.1/servers/detail", nova_on_detail, HTTP_LIST},
    {"GET", "/v2.1/servers/{id}", nova_on_show, HTTP_USUAL},
    {"POST", "/v2.1/{project_id}/servers/{id}/action", on_action, HTTP_USUAL},
    {"PUT", "/v2.1/{project_id}/servers/{id}/action", on_action, HTTP_USUAL},
    {"GET", "/v2.1/{project_id}/servers", nova_on_list, HTTP_LIST},
    {"GET", "/v2.1/{project_id}/servers/detail", nova_on_detail, HTTP_LIST},
    {"GET", "/v2.1/{project_id}/servers/{id}", nova_on_show, HTTP_USUAL},
    {NULL, NULL, NULL, HTTP_USUAL},
};

const struct http_contract nova_contract = {
    .name = "nova",
    .prefix = "/v2.1",
    .routes = routes,
    .error = nova_error,
};

struct nova *nova_new(struct engine *engine, struct fault *fault)
{
    struct nova *nova = calloc(1, sizeof *nova);
    if (nova == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    nova->engine = engine;
    return nova;
}

void nova_free(struct nova *nova)
{
    free(nova);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lock and status of a node, set at run time. The answer comes when the change is on disk, and not
 * before; changes of one node are made one after the other, so that none undoes another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "contracts/agent_state.h"
#include "contracts/body.h"
#include "contracts/ready.h"
#include "core/journal_more.h"
#include "core/node_state.h"

enum part { PART_LOCK, PART_STATUS };

struct change {
    struct agent *agent;            /* NULL: it went before the journal was done */
    struct change *next;            /* in the order of the requests */
    struct http_exchange *exchange; /* NULL: nobody is left to answer */
    struct node *node;              /* counted */
    enum part part;
    struct journal_override to; /* of it that part */
    bool under_way;
    char what[64], who[160];
};

static void change_start(struct change *change);

static void change_free(struct change *change)
{
    node_unref(change->node);
    free(change);
}

static void change_unlink(struct change *change)
{
    struct change **link = &change->agent->changes;
    while (*link != change)
        link = &(*link)->next;
    *link = change->next;
}

static struct change *change_of(struct change *first, const struct node *node)
{
    while (first != NULL && strcmp(first->node->uuid, node->uuid) != 0)
        first = first->next;
    return first;
}

/* What the change made of the node. Meanwhile its state may have to be asked for anew. */
static void answer_node(void *self, struct http_exchange *exchange)
{
    struct agent *agent = self;
    struct fault fault = {0};
    const char *ident = http_param(exchange, "id");
    struct node *node = NULL;
    if (!ready_for(agent->engine, exchange, &ident, 1, answer_node, self))
        return;
    json_t *shown = engine_node_by_ident(agent->engine, ident, &node, NULL) == 0 && node != NULL
                        ? agent_node_json(agent, node, http_principal(exchange))
                        : NULL;
    if (shown != NULL) {
        http_answer(exchange, 200, shown);
        return;
    }
    fault_set(&fault, FAULT_STATE_SOURCE,
              "the change is made; what the node is like now cannot be told, for Ironic cannot be "
              "asked");
    agent_fault(exchange, &fault);
}

static void change_answer(struct change *change, bool ok)
{
    struct fault fault = {0};
    if (change->exchange == NULL || change->agent == NULL)
        return;
    if (ok) {
        answer_node(change->agent, change->exchange);
        return;
    }
    fault_set(&fault, FAULT_JOURNAL, "the change could not be recorded; %s is as it was",
              node_label(change->node));
    agent_fault(change->exchange, &fault);
}

/* The journal has it, or could not take it. */
static void on_recorded(void *arg, bool ok)
{
    struct change *change = arg, *next = NULL;
    if (ok)
        log_info("node %s: %s (%s)", node_label(change->node), change->what, change->who);
    else
        log_error("node %s: %s (%s): could not be recorded, nothing changed",
                  node_label(change->node), change->what, change->who);
    change_answer(change, ok);
    if (change->agent != NULL) {
        change_unlink(change);
        next = change_of(change->agent->changes, change->node);
    }
    change_free(change);
    if (next != NULL)
        change_start(next);
}

static void change_start(struct change *change)
{
    struct journal *journal = engine_journal(change->agent->engine);
    const struct journal_override *now = journal_override(journal, change->node->uuid);
    struct journal_override next = now != NULL ? *now : (struct journal_override){0};
    if (change->part == PART_LOCK) {
        next.has_lock = change->to.has_lock;
        next.locked = change->to.locked;
    } else {
        next.has_status = change->to.has_status;
        next.status = change->to.status;
    }
    change->under_way = true;
    if (journal_set_override(journal, change->node->uuid, &next, on_recorded, change) < 0)
        on_recorded(change, false);
}

static void on_gone(void *arg)
{
    struct change *change = arg;
    change->exchange = NULL; /* what was asked for is done all the same */
}

static void change_add(struct agent *agent, struct change *change)
{
    bool first = change_of(agent->changes, change->node) == NULL;
    struct change **end = &agent->changes;
    while (*end != NULL)
        end = &(*end)->next;
    *end = change;
    http_on_gone(change->exchange, on_gone, change);
    if (first)
        change_start(change);
}

void agent_drop_changes(struct agent *agent)
{
    for (struct change *change = agent->changes, *next; change != NULL; change = next) {
        next = change->next;
        change->agent = NULL;
        if (!change->under_way)
            change_free(change); /* else on_recorded() does */
    }
    agent->changes = NULL;
}

/* ---- The requests ---- */

/* The node, when this caller may change it; else as agent_take_node(). */
static struct node *take_node(struct agent *agent, struct http_exchange *exchange,
                              const char *operation, const char *detail, http_handler_fn *again)
{
    struct fault fault = {0};
    struct node *node = agent_take_node(agent, exchange, POLICY_LOCK, operation, detail, again);
    if (node == NULL || !http_stopping(exchange))
        return node;
    fault_set(&fault, FAULT_STOPPING, "nmid is shutting down; nothing changed");
    agent_fault(exchange, &fault);
    return NULL;
}

static const char *operation_of(enum part part, const struct journal_override *to)
{
    if (part == PART_STATUS)
        return "status";
    return to->has_lock && !to->locked ? "unlock" : "lock";
}

/* For the log. */
static void describe(enum part part, const struct journal_override *to, char *text, size_t size)
{
    if (part == PART_STATUS && to->has_status)
        snprintf(text, size, "status %s", node_status_name(to->status));
    else if (part == PART_STATUS)
        snprintf(text, size, "the status of the configuration again");
    else
        snprintf(text, size, "%s",
                 !to->has_lock ? "the lock of the configuration again"
                 : to->locked  ? "locked"
                               : "unlocked");
}

/* For the audit, whose records outlive the configuration: with what that says now. The node is
 * looked up before it is known whether the caller may; nobody else is told of it. */
static void describe_more(const struct agent *agent, const char *ident, enum part part,
                          const struct journal_override *to, char *text, size_t size)
{
    struct node *node = NULL;
    describe(part, to, text, size);
    size_t len = strlen(text);
    if (part == PART_STATUS && to->has_status)
        snprintf(text + len, size - len, " (run-time)");
    else if (part == PART_LOCK && !to->has_lock &&
             engine_node_by_ident(agent->engine, ident, &node, NULL) == 0 && node != NULL)
        snprintf(text + len, size - len, " (%s)", node->locked ? "locked" : "unlocked");
}

static void change_request(struct agent *agent, struct http_exchange *exchange,
                           http_handler_fn *again, enum part part,
                           const struct journal_override *to)
{
    const struct principal *caller = http_principal(exchange);
    char detail[96];
    describe_more(agent, http_param(exchange, "id"), part, to, detail, sizeof detail);
    struct node *node = take_node(agent, exchange, operation_of(part, to), detail, again);
    struct change *change = node == NULL ? NULL : calloc(1, sizeof *change);
    if (node == NULL)
        return;
    if (change == NULL) {
        struct fault fault = {0};
        fault_set(&fault, FAULT_MEMORY, "out of memory");
        agent_fault(exchange, &fault);
        return;
    }
    *change = (struct change){
        .agent = agent, .exchange = exchange, .node = node_ref(node), .part = part, .to = *to};
    describe(part, to, change->what, sizeof change->what);
    snprintf(change->who, sizeof change->who, "user %.64s from %.64s",
             caller->user != NULL ? caller->user : "-",
             caller->address != NULL ? caller->address : "-");
    change_add(agent, change);
}

/* The value of the body's one key; *ret_body is to be freed. False when the error is answered. No
 * body, or none of the key: *ret_value is NULL. */
static bool take_value(struct http_exchange *exchange, const char *key, json_t **ret_body,
                       json_t **ret_value)
{
    size_t len = 0;
    http_body(exchange, &len);
    *ret_value = NULL;
    *ret_body = len > 0 ? agent_take_body(exchange) : json_object();
    if (*ret_body == NULL && len > 0)
        return false;
    *ret_value = json_object_get(*ret_body, key);
    if (json_object_size(*ret_body) == (*ret_value != NULL ? 1 : 0))
        return true;
    agent_malformed(exchange, "The only key is \"%s\".", key);
    json_decref(*ret_body);
    return false;
}

/* PUT .../lock: no body or {"locked": true}; null is the configuration's. */
void agent_on_put_lock(void *self, struct http_exchange *exchange)
{
    json_t *body = NULL, *value = NULL;
    if (!take_value(exchange, "locked", &body, &value))
        return;
    struct journal_override to = {.has_lock = !json_is_null(value),
                                  .locked = value == NULL || json_is_true(value)};
    if (value == NULL || json_is_boolean(value) || json_is_null(value))
        change_request(self, exchange, agent_on_put_lock, PART_LOCK, &to);
    else
        agent_malformed(exchange, "\"locked\" must be true, false or null.");
    json_decref(body);
}

static bool no_body(struct http_exchange *exchange)
{
    size_t len = 0;
    http_body(exchange, &len);
    if (len == 0)
        return true;
    agent_malformed(exchange, "A DELETE has no body.");
    return false;
}

void agent_on_delete_lock(void *self, struct http_exchange *exchange)
{
    struct journal_override to = {.has_lock = true, .locked = false};
    if (no_body(exchange))
        change_request(self, exchange, agent_on_delete_lock, PART_LOCK, &to);
}

static void no_such_status(struct http_exchange *exchange, const char *name)
{
    char list[256] = "";
    for (int status = 0, length = 0; status < NODE_STATUSES; status++)
        length += snprintf(list + length, sizeof list - (size_t)length, "%s%s",
                           status == 0 ? "" : ", ", node_status_name((enum node_status)status));
    agent_malformed(exchange, "There is no such status: %.100s (there are %s)", name, list);
}

void agent_on_put_status(void *self, struct http_exchange *exchange)
{
    json_t *body = NULL, *value = NULL;
    if (!take_value(exchange, "status", &body, &value))
        return;
    const char *name = json_string_value(value);
    int status = name != NULL ? node_status_parse(name) : -1;
    struct journal_override to = {.has_status = name != NULL,
                                  .status = status < 0 ? NODE_UNKNOWN : (enum node_status)status};
    if (name != NULL && status < 0)
        no_such_status(exchange, name);
    else if (name == NULL && !json_is_null(value))
        agent_malformed(exchange, "\"status\" must be there, and a string or null.");
    else
        change_request(self, exchange, agent_on_put_status, PART_STATUS, &to);
    json_decref(body);
}

void agent_on_delete_status(void *self, struct http_exchange *exchange)
{
    struct journal_override to = {0};
    if (no_body(exchange))
        change_request(self, exchange, agent_on_delete_status, PART_STATUS, &to);
}

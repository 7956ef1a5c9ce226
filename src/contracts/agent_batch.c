/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches: one request for many nodes, an action for each. A batch is a list of actions and no
 * more: it lives in memory, as long as there is room in the history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "contracts/agent_state.h"
#include "contracts/body.h"
#include "contracts/ready.h"
#include "core/node_state.h"

#define BATCH_NODES_MAX 65536
#define BATCH_ID_TEXT   (6 + UUID_TEXT)

struct entry {
    struct batch *batch;
    struct action *action;    /* counted; NULL when there is no such node */
    struct action_wait *wait; /* for *accepted* */
    json_t *refused;          /* what stands for the action of a node that is not there */
};

/* Who makes batches: a project, or a user without one. */
struct maker {
    size_t batches, entries; /* that are kept */
    char name[];
};

struct batch {
    char id[BATCH_ID_TEXT];
    struct maker *maker;
    char *project_id; /* of who made it; or NULL */
    struct batch *next;
    struct http_exchange *exchange; /* NULL once answered */
    size_t waiting, count;
    struct entry entries[];
};

static void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        engine_wait_cancel(batch->entries[i].wait);
        action_unref(batch->entries[i].action);
        json_decref(batch->entries[i].refused);
    }
    free(batch->project_id);
    free(batch);
}

static void maker_leave(struct agent *agent, struct maker *maker)
{
    if (--maker->batches > 0)
        return;
    map_remove(agent->makers, maker->name);
    free(maker);
}

/* The caller, with one batch more; NULL when memory is out. */
static struct maker *maker_join(struct agent *agent, const struct principal *caller)
{
    const char *project = caller->project_id, *name = project != NULL ? project : caller->user;
    size_t len = name == NULL ? 0 : strlen(name);
    struct maker *maker = calloc(1, sizeof *maker + 1 + len + 1);
    if (maker == NULL)
        return NULL;
    maker->name[0] = project != NULL ? 'p' : 'u';
    memcpy(maker->name + 1, name != NULL ? name : "", len);
    struct maker *known = map_get(agent->makers, maker->name);
    if (known != NULL || map_put(agent->makers, maker->name, maker) < 0) {
        free(maker);
        maker = known;
    }
    if (maker != NULL)
        maker->batches++;
    return maker;
}

static void drop(struct agent *agent, struct batch **at)
{
    struct batch *batch = *at;
    *at = batch->next;
    if (agent->newest_end == &batch->next)
        agent->newest_end = at;
    agent->entries -= batch->count;
    batch->maker->entries -= batch->count;
    maker_leave(agent, batch->maker);
    map_remove(agent->batches, batch->id);
    batch_free(batch);
}

void agent_drop_batches(struct agent *agent)
{
    while (agent->oldest != NULL)
        drop(agent, &agent->oldest);
}

/* Which batch goes when there is no room: the oldest, but first the oldest of somebody who takes up
 * more than a quarter of it, for a batch costs its maker nothing. Not one that is to be answered. */
static struct batch **find_victim(struct agent *agent)
{
    struct batch **oldest = NULL;
    for (struct batch **at = &agent->oldest; *at != NULL; at = &(*at)->next) {
        if ((*at)->exchange != NULL)
            continue;
        if ((*at)->maker->entries > agent->history / 4)
            return at;
        if (oldest == NULL)
            oldest = at;
    }
    return oldest;
}

/* Takes the batch over, still empty. */
static int batch_keep(struct agent *agent, struct batch *batch, const struct principal *caller)
{
    struct batch **victim;
    while (agent->entries > agent->history && (victim = find_victim(agent)) != NULL)
        drop(agent, victim);
    if ((batch->maker = maker_join(agent, caller)) == NULL)
        return -1;
    if (map_put(agent->batches, batch->id, batch) < 0) {
        maker_leave(agent, batch->maker);
        return -1;
    }
    *agent->newest_end = batch;
    agent->newest_end = &batch->next;
    return 0;
}

/* For a reader: without the nodes that it may not see (any more). NULL: for who made it. */
static json_t *batch_json(const struct batch *batch, const struct engine *engine,
                          const struct principal *reader)
{
    json_t *actions = json_array();
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = &batch->entries[i];
        if (reader != NULL && entry->action != NULL &&
            !engine_shows_action(engine, entry->action, reader))
            continue;
        json_t *shown = entry->action == NULL ? json_incref(entry->refused)
                        : reader == NULL      ? action_json(entry->action)
                                              : agent_action_json(entry->action, reader);
        json_array_append_new(actions, shown);
    }
    return json_pack("{s:s, s:o}", "id", batch->id, "actions", actions);
}

/* Four megabytes, when all its names are unknown. */
static void batch_answer(void *arg)
{
    struct batch *batch = arg;
    char location[32 + BATCH_ID_TEXT];
    struct http_exchange *exchange = batch->exchange;
    batch->exchange = NULL;
    snprintf(location, sizeof location, "/agent/v1/batches/%s", batch->id);
    http_add_header(exchange, "Location", location);
    http_answer(exchange, 202, batch_json(batch, NULL, NULL));
}

/* One more entry is on disk, or could not be put there. */
static void on_accepted(void *arg, struct action *action)
{
    struct entry *entry = arg;
    struct batch *batch = entry->batch;
    (void)action;
    entry->wait = NULL;
    if (--batch->waiting == 0 && batch->exchange != NULL)
        http_turn(batch->exchange, batch_answer, batch);
}

/* An accepted batch goes on though its client left. */
static void on_gone(void *arg)
{
    struct batch *batch = arg;
    batch->exchange = NULL;
}

/* ---- Making one ---- */

/* A finished action in all but the record: there is no node to record it on. */
static json_t *refused_json(const struct request *request, const char *ident,
                            const struct fault *fault)
{
    char now[CLOCK_TEXT_MAX];
    clock_text(clock_wall_us(), now);
    return json_pack("{s:n, s:n, s:o, s:s, s:s, s:{s:s, s:s?, s:s}, s:b, s:s, s:s, s:s, s:o, s:{}, "
                     "s:s, s:n, s:s}",
                     "id", "node_uuid", "node_name", body_text(ident), "action", request->name,
                     "contract", request->contract, "caller", "user", request->caller->user,
                     "project_id", request->caller->project_id, "address", request->caller->address,
                     "force", (int)request->force, "state", "finished", "outcome", "failed", "code",
                     fault_name(fault->code), "message", body_text(fault->message), "evidence",
                     "created_at", now, "sent_at", "finished_at", now);
}

/* A node that is named twice, by whatever names, counts once. */
static bool is_new(struct map *seen, const struct node *node, const char *ident)
{
    const char *key = node != NULL ? node->uuid : ident;
    if (map_get(seen, key) != NULL)
        return false;
    return map_put(seen, key, seen) == 0;
}

static void entry_submit(struct agent *agent, struct batch *batch, const struct request *request)
{
    struct entry *entry = &batch->entries[batch->count++];
    struct action *action = NULL;
    struct fault fault = {0}, second = {0};
    bool repeat = false;
    entry->batch = batch;
    if (engine_submit(agent->engine, request, &action, &repeat, &fault) < 0)
        action = engine_record_refusal(agent->engine, request, &fault, &second);
    if (action == NULL) {
        entry->refused = refused_json(request, request->node_ident, &fault);
        return;
    }
    entry->action = action_ref(action);
    entry->wait = engine_wait(agent->engine, action, ACTION_ACCEPTED, on_accepted, entry);
    if (entry->wait != NULL)
        batch->waiting++;
}

/* Two names of a node that the caller may not see are two: it must not learn that they are one. */
static const struct node *find_visible(const struct agent *agent, const char *ident,
                                       const struct principal *caller)
{
    struct node *node = NULL;
    if (engine_node_by_ident(agent->engine, ident, &node, NULL) < 0 || node == NULL)
        return NULL;
    return engine_shows(agent->engine, node, caller) ? node : NULL;
}

/* Every node's action goes down the ladder here, in the order of the list. */
static void batch_submit(struct agent *agent, struct batch *batch, struct agent_order *order,
                         const json_t *nodes, struct map *seen)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *ident = json_string_value(json_array_get(nodes, i));
        const struct node *node = find_visible(agent, ident, order->request.caller);
        if (!is_new(seen, node, ident))
            continue;
        order->request.node_ident = ident;
        entry_submit(agent, batch, &order->request);
    }
}

static bool check_nodes(struct http_exchange *exchange, const json_t *nodes)
{
    size_t count = json_array_size(nodes);
    bool good = json_is_array(nodes) && count > 0 && count <= BATCH_NODES_MAX;
    for (size_t i = 0; good && i < count; i++)
        good = json_string_length(json_array_get(nodes, i)) > 0;
    if (!good)
        agent_malformed(exchange, "\"nodes\" must be a list of 1 to %d UUIDs or names.",
                        BATCH_NODES_MAX);
    return good;
}

static struct batch *batch_new(size_t nodes, const struct principal *caller)
{
    struct batch *batch = calloc(1, sizeof *batch + nodes * sizeof batch->entries[0]);
    if (batch == NULL)
        return NULL;
    memcpy(batch->id, "batch-", 6);
    uuid_random(batch->id + 6);
    if (caller->project_id != NULL)
        batch->project_id = strdup(caller->project_id);
    return batch;
}

/* ready_for() these nodes; `at` gives their idents. */
typedef const char *ident_fn(const void *list, size_t i);
static bool all_ready(struct agent *agent, struct http_exchange *exchange, const void *list,
                      size_t count, ident_fn *at, http_handler_fn *again)
{
    const char **idents = calloc(count + 1, sizeof *idents);
    if (idents == NULL) {
        struct fault fault = {0};
        fault_set(&fault, FAULT_MEMORY, "out of memory; nothing was sent");
        agent_fault(exchange, &fault);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        idents[i] = at(list, i);
    bool ready = ready_for(agent->engine, exchange, idents, count, again, agent);
    free(idents);
    return ready;
}

static const char *ident_of(const void *nodes, size_t i)
{
    return json_string_value(json_array_get(nodes, i));
}

static bool nodes_ready(struct agent *agent, struct http_exchange *exchange, const json_t *nodes)
{
    return all_ready(agent, exchange, nodes, json_array_size(nodes), ident_of, agent_on_post_batch);
}

static void make_batch(struct agent *agent, struct http_exchange *exchange,
                       struct agent_order *order)
{
    const json_t *nodes = json_object_get(order->body, "nodes");
    if (!check_nodes(exchange, nodes) || !nodes_ready(agent, exchange, nodes))
        return;
    struct map *seen = map_new();
    struct batch *batch = batch_new(json_array_size(nodes), order->request.caller);
    if (batch == NULL || seen == NULL ||
        batch_keep(agent, batch, order->request.caller) < 0) {
        struct fault fault = {0};
        fault_set(&fault, FAULT_MEMORY, "out of memory; nothing was sent");
        agent_fault(exchange, &fault);
        if (batch != NULL)
            batch_free(batch);
        map_free(seen);
        return;
    }
    batch->exchange = exchange;
    batch_submit(agent, batch, order, nodes, seen);
    agent->entries += batch->count;
    batch->maker->entries += batch->count;
    map_free(seen);
    if (batch->waiting > 0)
        http_on_gone(exchange, on_gone, batch);
    else
        batch_answer(batch);
}

void agent_on_post_batch(void *self, struct http_exchange *exchange)
{
    struct agent_order order = {0};
    if (agent_take_order(self, exchange, true, &order))
        make_batch(self, exchange, &order);
    agent_order_clear(&order);
}

static const char *uuid_of(const void *entries, size_t i)
{
    const struct entry *entry = (const struct entry *)entries + i;
    return entry->action != NULL ? entry->action->node->uuid : "";
}

static bool batch_ready(struct agent *agent, struct http_exchange *exchange,
                        const struct batch *batch)
{
    return batch == NULL || http_principal(exchange)->administrator ||
           all_ready(agent, exchange, batch->entries, batch->count, uuid_of, agent_on_get_batch);
}

void agent_on_get_batch(void *self, struct http_exchange *exchange)
{
    struct agent *agent = self;
    struct fault fault = {0};
    const struct access access = {NULL, http_principal(exchange), POLICY_READ, "show-batch",
                                  agent_contract.name, NULL};
    const struct batch *batch = map_get(agent->batches, http_param(exchange, "id"));
    const struct owners maker = {{batch != NULL ? batch->project_id : NULL, NULL}};
    if (batch != NULL && !policy_sees(access.caller, &maker))
        batch = NULL;
    if (!batch_ready(agent, exchange, batch))
        return;
    if (engine_may(agent->engine, &access, &fault) == 0 && batch != NULL) {
        http_answer(exchange, 200, batch_json(batch, agent->engine, access.caller));
        return;
    }
    fault_set(&fault, FAULT_NOT_FOUND, "There is no batch %.80s.", http_param_raw(exchange, "id"));
    agent_fault(exchange, &fault);
}

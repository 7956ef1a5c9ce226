/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One action: its POST, its long poll, and the history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "contracts/agent_state.h"
#include "contracts/ready.h"
#include "core/node_state.h"

#define WAIT_MAX_S 300
#define LIMIT_MAX  1000

/* An exchange that waits for a state of its action. */
struct poll {
    struct http_exchange *exchange;
    struct action *action; /* counted */
    struct action_wait *wait;
    struct loop_timer *timer; /* of a long poll */
    unsigned status;          /* of the answer: 202 after a POST, 200 else */
};

static void answer_out_of_memory(struct http_exchange *exchange)
{
    struct fault fault = {0};
    fault_set(&fault, FAULT_MEMORY, "out of memory");
    agent_fault(exchange, &fault);
}

/* An action goes with its node, and the node may have been another project's, or an administrator
 * may have asked: who that was, and from where, is not its present owner's to know. */
static bool sees_who(const struct action *action, const struct principal *caller)
{
    return caller->administrator || caller->system ||
           (action->project_id != NULL && caller->project_id != NULL &&
            strcmp(action->project_id, caller->project_id) == 0);
}

json_t *agent_action_json(const struct action *action, const struct principal *caller)
{
    json_t *json = action_json(action);
    if (!sees_who(action, caller))
        json_object_set_new(json, "caller",
                            json_pack("{s:n, s:n, s:n}", "user", "project_id", "address"));
    return json;
}

static void answer_action(struct http_exchange *exchange, unsigned status, struct action *action)
{
    http_set_request_id(exchange, action->id);
    http_answer(exchange, status, agent_action_json(action, http_principal(exchange)));
}

/* The answer to a POST, when *accepted* is on disk or could not be put there. */
static void answer_accepted(struct http_exchange *exchange, struct action *action)
{
    char location[64 + ACTION_ID_TEXT];
    if (!action->recorded) { /* it ended before it was, or could not be */
        struct fault fault = {0};
        fault_set(&fault, FAULT_JOURNAL, "the action could not be recorded; nothing was sent");
        memcpy(fault.action_id, action->id, sizeof action->id);
        http_set_request_id(exchange, action->id);
        agent_fault(exchange, &fault);
        return;
    }
    snprintf(location, sizeof location, "/agent/v1/actions/%s", action->id);
    http_add_header(exchange, "Location", location);
    answer_action(exchange, 202, action);
}

static void poll_free(struct poll *poll)
{
    loop_timer_free(poll->timer);
    action_unref(poll->action);
    free(poll);
}

static void poll_answer(struct poll *poll)
{
    if (poll->status == 202)
        answer_accepted(poll->exchange, poll->action);
    else
        answer_action(poll->exchange, poll->status, poll->action);
    poll_free(poll);
}

static void on_state(void *arg, struct action *action)
{
    struct poll *poll = arg;
    (void)action;
    poll->wait = NULL;
    poll_answer(poll);
}

static void on_poll_timer(void *arg)
{
    struct poll *poll = arg;
    engine_wait_cancel(poll->wait);
    poll_answer(poll);
}

static void on_gone(void *arg)
{
    struct poll *poll = arg;
    engine_wait_cancel(poll->wait);
    poll_free(poll);
}

/* Answers when the action reaches the state, or after wait_s (0: no such limit). */
static void poll_start(struct agent *agent, struct http_exchange *exchange, struct action *action,
                       enum action_state state, unsigned status, unsigned wait_s)
{
    struct poll *poll = calloc(1, sizeof *poll);
    if (poll == NULL) {
        answer_out_of_memory(exchange);
        return;
    }
    poll->exchange = exchange;
    poll->action = action_ref(action);
    poll->status = status;
    if (wait_s > 0)
        poll->timer = loop_timer_new(agent->loop, on_poll_timer, poll, NULL);
    if (wait_s == 0 || poll->timer != NULL)
        poll->wait = engine_wait(agent->engine, action, state, on_state, poll);
    if (poll->wait == NULL) {
        poll_free(poll);
        answer_out_of_memory(exchange);
        return;
    }
    if (poll->timer != NULL)
        loop_timer_set(poll->timer, clock_mono_us() + (int64_t)wait_s * 1000000);
    http_on_gone(exchange, on_gone, poll);
}

void agent_on_post_action(void *self, struct http_exchange *exchange)
{
    struct agent *agent = self;
    struct agent_order order = {0};
    struct action *action = NULL;
    bool repeat = false;
    struct fault fault = {0};
    const char *ident = http_param(exchange, "id");
    if (agent_take_order(agent, exchange, false, &order) &&
        ready_for(agent->engine, exchange, &ident, 1, agent_on_post_action, self)) {
        order.request.node_ident = ident;
        if (engine_submit(agent->engine, &order.request, &action, &repeat, &fault) < 0)
            agent_fault(exchange, &fault);
        else
            poll_start(agent, exchange, action, ACTION_ACCEPTED, 202, 0);
    }
    agent_order_clear(&order);
}

/* ---- GET of one ---- */

/* A whole number from 0 to max in text. */
static bool take_number(const char *text, unsigned max, unsigned *ret_number)
{
    unsigned value = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 6 || strspn(text, "0123456789") != len)
        return false;
    value = (unsigned)strtoul(text, NULL, 10);
    *ret_number = value;
    return value <= max;
}

void agent_on_get_action(void *self, struct http_exchange *exchange)
{
    static const char *const names[] = {"wait", NULL};
    struct agent *agent = self;
    const char *values[1] = {NULL};
    unsigned wait_s = 0;
    if (!agent_arguments(exchange, names, values))
        return;
    if (values[0] != NULL && !take_number(values[0], WAIT_MAX_S, &wait_s)) {
        agent_malformed(exchange, "\"wait\" must be a number of seconds from 0 to %d.", WAIT_MAX_S);
        return;
    }
    const struct principal *caller = http_principal(exchange);
    struct action *action = engine_action(agent->engine, http_param(exchange, "id"));
    const char *uuid = action != NULL ? action->node->uuid : NULL;
    if (action != NULL && !caller->administrator &&
        !ready_for(agent->engine, exchange, &uuid, 1, agent_on_get_action, self))
        return;
    struct fault fault = {0};
    const struct access access = {NULL, caller, POLICY_READ, "show-action", agent_contract.name,
                                  NULL};
    if (engine_may(agent->engine, &access, &fault) < 0 || action == NULL ||
        !engine_shows_action(agent->engine, action, caller)) {
        fault_set(&fault, FAULT_NOT_FOUND, "There is no action %.80s.",
                  http_param_raw(exchange, "id"));
        agent_fault(exchange, &fault);
    } else if (wait_s == 0 || action->durable == ACTION_FINISHED || http_stopping(exchange)) {
        answer_action(exchange, 200, action);
    } else {
        poll_start(agent, exchange, action, ACTION_FINISHED, 200, wait_s);
    }
}

/* ---- History ---- */

struct listing {
    const struct agent *agent;
    const struct principal *caller;
    struct journal_query query;
    char uuid[UUID_TEXT]; /* of the node that is asked for */
    json_t *actions;
    char last[ACTION_ID_TEXT];
    size_t limit, seen;
};

static void on_each(void *arg, struct action *action)
{
    struct listing *listing = arg;
    if (listing->seen++ == listing->limit)
        return; /* one more than asked for: there is a next page */
    memcpy(listing->last, action->id, sizeof listing->last);
    json_array_append_new(listing->actions, agent_action_json(action, listing->caller));
}

/* What the caller may not see is no part of its history: it neither fills a page nor ends one. */
static bool is_shown(void *arg, const struct action *action)
{
    const struct listing *listing = arg;
    return engine_shows_action(listing->agent->engine, action, listing->caller);
}

static bool take_state(const char *text, enum action_state *ret_state)
{
    for (enum action_state state = ACTION_ACCEPTED; state <= ACTION_FINISHED; state++) {
        if (strcmp(text, action_state_name(state)) == 0) {
            *ret_state = state;
            return true;
        }
    }
    return false;
}

/* May the caller read this history: of a node, or of one that only the history knows, or of all.
 * False when the error is answered. */
static bool may_list(struct listing *listing, struct http_exchange *exchange, const char *ident)
{
    struct engine *engine = listing->agent->engine;
    struct fault fault = {0};
    struct node_state state;
    const struct access access = {ident, listing->caller, POLICY_READ, "list-actions",
                                  agent_contract.name, NULL};
    if (ident == NULL) {
        if (engine_may(engine, &access, &fault) == 0)
            return true;
    } else {
        const struct node *node = engine_find(engine, &access, &state, &fault);
        if (node != NULL || (fault.code == FAULT_NODE_NOT_FOUND && uuid_valid(ident))) {
            uuid_copy(listing->uuid, node != NULL ? node->uuid : ident);
            listing->query.node_uuid = listing->uuid;
            return true;
        }
    }
    agent_fault(exchange, &fault);
    return false;
}

/* Where a page begins: an action that is there, and that the caller sees. */
static bool check_marker(const struct listing *listing, struct http_exchange *exchange)
{
    const char *marker = listing->query.marker;
    const struct action *action =
        marker == NULL ? NULL : engine_action(listing->agent->engine, marker);
    if (marker == NULL ||
        (action != NULL && engine_shows_action(listing->agent->engine, action, listing->caller)))
        return true;
    agent_malformed(exchange, "There is no action to continue from: %.80s", marker);
    return false;
}

static void answer_list(struct listing *listing, struct http_exchange *exchange)
{
    listing->actions = json_array();
    listing->query.limit = listing->limit + 1;
    listing->query.match = is_shown;
    listing->query.match_arg = listing;
    journal_list(engine_journal(listing->agent->engine), &listing->query, on_each, listing);
    json_t *next = listing->seen > listing->limit ? json_string(listing->last) : json_null();
    http_answer(exchange, 200, json_pack("{s:o, s:o}", "actions", listing->actions, "next", next));
}

void agent_on_list_actions(void *self, struct http_exchange *exchange)
{
    static const char *const names[] = {"node", "state", "limit", "marker", NULL};
    struct agent *agent = self;
    const char *values[4] = {NULL};
    unsigned limit = 100;
    enum action_state state = ACTION_NEW;
    if (!agent_arguments(exchange, names, values))
        return;
    if (values[1] != NULL && !take_state(values[1], &state)) {
        agent_malformed(exchange, "\"state\" must be accepted, sent or finished.");
        return;
    }
    if (values[2] != NULL && (!take_number(values[2], LIMIT_MAX, &limit) || limit == 0)) {
        agent_malformed(exchange, "\"limit\" must be a number from 1 to %d.", LIMIT_MAX);
        return;
    }
    struct listing listing = {.agent = agent,
                              .caller = http_principal(exchange),
                              .query = {.marker = values[3], .state = state},
                              .limit = limit};
    bool all = values[0] == NULL;
    if (!(all && listing.caller->administrator) &&
        !ready_for(agent->engine, exchange, values, all ? 0 : 1, agent_on_list_actions, self))
        return;
    if (may_list(&listing, exchange, values[0]) && check_marker(&listing, exchange))
        answer_list(&listing, exchange);
}

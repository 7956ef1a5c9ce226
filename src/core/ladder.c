/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ladder: the steps that a request takes, in this order, before anything is sent. Each is a
 * short function; the first that refuses ends the climb. */
#include "core/engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/audit.h"
#include "core/engine_state.h"
#include "core/limits.h"
#include "core/node_state.h"

static struct occupation *occupation_of(const struct engine *engine, const struct node *node)
{
    struct occupation *occupation = map_get(engine->occupied, node->uuid);
    if (occupation == NULL && node->target != NULL)
        occupation = map_get(engine->occupied, node->target);
    return occupation;
}

/* Scope of an Idempotency-Key: caller, node and key, each with its length before it, so that no two
 * scopes run together, whatever is in a name. */
static char *key_scope(const struct request *request, const struct node *node)
{
    char *scope = NULL;
    const char *name = request->caller->user ? request->caller->user : "";
    const char *user = request->caller->user_id ? request->caller->user_id : name;
    const char *project = request->caller->project_id ? request->caller->project_id : "";
    if (asprintf(&scope, "%zu:%s,%zu:%s,%s,%s", strlen(user), user, strlen(project), project,
                 node->uuid, request->idempotency_key) < 0)
        return NULL;
    return scope;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* By name where the action has no id of a user: one of before a restart has none. */
static bool is_callers(const struct action *action, const struct principal *caller)
{
    return same_text(action->project_id, caller->project_id) &&
           (action->user_id != NULL ? same_text(action->user_id, caller->user_id)
                                    : same_text(action->user, caller->user));
}

/* A client that lost its answer asks again in the same words: what it gets is that answer. Also
 * when it was a failure, or the client's own repeats would be as many attempts. */
static struct action *find_own(const struct engine *engine, const struct request *request,
                               const struct node *node)
{
    if (request->repeat_s == 0)
        return NULL;
    int64_t since = clock_mono_us() - (int64_t)request->repeat_s * 1000000;
    for (struct action *action = journal_newest(engine->journal, node->uuid); action != NULL;
         action = action->earlier) {
        if (action->state == ACTION_FINISHED && action->finished_mono < since)
            return NULL;
        if (is_callers(action, request->caller))
            return action;
    }
    return NULL;
}

/* 1: *ret_action is the earlier action that this request repeats. 0: it is no repeat. */
static int find_repeat(struct engine *engine, const struct request *request,
                       const struct node *node, const char *scope, struct action **ret_action,
                       struct fault *fault)
{
    struct action *earlier =
        scope == NULL ? find_own(engine, request, node) : journal_find_key(engine->journal, scope);
    if (earlier == NULL)
        return 0;
    if (scope == NULL) {
        *ret_action = earlier;
        return 1;
    }
    const char *a = request->fingerprint ? request->fingerprint : "";
    const char *b = earlier->fingerprint ? earlier->fingerprint : "";
    if (strcmp(a, b) != 0) {
        memcpy(fault->action_id, earlier->id, sizeof earlier->id);
        return fault_set(fault, FAULT_KEY_REUSED,
                         "the Idempotency-Key was used for another request (action %s)",
                         earlier->id);
    }
    *ret_action = earlier;
    return 1;
}

static int check_status(const struct request *request, const struct node *node,
                        const struct node_state *state, struct fault *fault)
{
    if (request->force || (request->statuses & NODE_STATUS_BIT(state->status)) != 0)
        return 0;
    char text[32];
    snprintf(text, sizeof text, "%s", node_status_name(state->status));
    for (char *p = text; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return fault_set(fault, FAULT_STATUS, "Cannot '%s' instance %s while it is in vm_state %s",
                     request->name, node->uuid, text);
}

static int check_driver(const struct node *node, struct fault *fault)
{
    if (node->driver->has_nmi)
        return 0;
    return fault_set(fault, FAULT_UNSUPPORTED,
                     "the driver %s of node %s has no way to inject an NMI", node->driver->name,
                     node_label(node));
}

int engine_check_in_flight(const struct engine *engine, const struct node *node,
                           struct fault *fault)
{
    const struct occupation *occupation = occupation_of(engine, node);
    if (occupation == NULL)
        return 0;
    if (occupation->action == NULL)
        return fault_set(fault, FAULT_IN_FLIGHT, "a probe of %s is under way; try again",
                         node_label(node));
    memcpy(fault->action_id, occupation->action->id, sizeof occupation->action->id);
    /* After a reload the BMC's action may be of another node, which the caller may not know. */
    bool same = strcmp(occupation->node->uuid, node->uuid) == 0;
    return fault_set(fault, FAULT_IN_FLIGHT,
                     "an NMI for %s is already under way (action %s); nothing more was sent",
                     same ? node_label(node) : "another node of the same BMC",
                     occupation->action->id);
}

/* Somebody else works on the machine, and a panic would come in the middle of it. Who, a conductor's
 * host, is for administrators. */
static int check_reservation(const struct node *node, const struct node_state *state,
                             const struct principal *caller, struct fault *fault)
{
    if (state->reservation == NULL)
        return 0;
    return fault_set(fault, FAULT_IN_FLIGHT,
                     "node %s is reserved by %.100s at Ironic; nothing was sent", node_label(node),
                     caller->administrator ? state->reservation : "somebody");
}

static int check_hold_off(const struct engine *engine, const struct node *node,
                          const struct action *last, bool force, struct fault *fault)
{
    if (last == NULL || force)
        return 0;
    int64_t now = clock_mono_us(), hold_off_s = engine->conf->hold_off_s;
    if (last->finished_mono <= now - hold_off_s * 1000000)
        return 0;
    int64_t age_s = (now - last->finished_mono) / 1000000;
    int64_t left_s = hold_off_s - age_s;
    char again[CLOCK_TEXT_MAX];
    memcpy(fault->action_id, last->id, sizeof last->id);
    return fault_set(
        fault, FAULT_HOLD_OFF,
        "an NMI %s to %s %lld s ago (action %s); another one would destroy the dump that it began, "
        "so nothing was sent; allowed again in %lld s (%s)",
        last->outcome == OUTCOME_DELIVERED && last->durable == ACTION_FINISHED
            ? "was delivered"
            : "may have been delivered",
        node_label(node), (long long)age_s, last->id, (long long)left_s,
        clock_text(clock_wall_us() + left_s * 1000000, again));
}

/* The hold-off once more, at the moment of beginning and by the address. */
int action_resolved(struct action *action, const char *target, struct fault *fault)
{
    bool known = action->resolved != NULL || strcmp(target, action->node->target) == 0;
    if (!known && (action->resolved = strdup(target)) == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory; nothing was sent");
    const struct action *last = journal_last_target(action->engine->journal, target);
    return check_hold_off(action->engine, action->node, last, action->force, fault);
}

int engine_check_daemon(const struct engine *engine, struct fault *fault)
{
    if (engine->draining)
        return fault_set(fault, FAULT_STOPPING, "nmid is shutting down; nothing was sent");
    if (engine->lost)
        return fault_set(fault, FAULT_JOURNAL,
                         "out of memory: an outcome was not recorded, and nmid does nothing more "
                         "until it is started again");
    return journal_check(engine->journal, fault);
}

static int check_queue(const struct engine *engine, const struct principal *caller,
                       struct fault *fault)
{
    unsigned most = engine->conf->limits.queue;
    if (engine->queued < most)
        return 0;
    limits_reached_by(engine->limits, LIMIT_QUEUE, caller);
    return fault_set(fault, FAULT_OVERLOADED,
                     "%zu %s already (limits.queue is %u); nothing was sent", engine->queued,
                     engine->queued == 1 ? "action waits" : "actions wait", most);
}

bool engine_take_request(struct engine *engine, struct action *action,
                         const struct request *request)
{
    action->engine = engine;
    action->force = request->force;
    if (request->fingerprint != NULL)
        action->fingerprint = strdup(request->fingerprint);
    if (request->callback_url != NULL)
        action->callback_url = strdup(request->callback_url);
    return (request->fingerprint == NULL || action->fingerprint != NULL) &&
           (request->callback_url == NULL || action->callback_url != NULL);
}

/* One climb: what was found on the way. */
struct climb {
    struct node *node;
    struct node_state state;
    const char *rung; /* for the audit: what decided */
};

/* Who may: the node, and the rules. Nothing that depends on the node comes before. */
static int climb_policy(struct engine *engine, const struct request *request, struct climb *climb,
                        struct fault *fault)
{
    struct access access = {request->node_ident, request->caller, POLICY_INJECT_NMI, request->name,
                            request->contract, NULL};
    climb->node = engine_find(engine, &access, &climb->state, fault);
    if (climb->node == NULL || !request->force)
        return climb->node == NULL ? -1 : 0;
    access.rule = POLICY_FORCE;
    return engine_check_rule(engine, &access, climb->node, &climb->state, fault);
}

/* The node's condition and nmid's own. */
static int climb_rest(struct engine *engine, const struct request *request, struct climb *climb,
                      struct fault *fault)
{
    const struct node *node = climb->node;
    climb->rung = "lock";
    if (policy_check_lock(request->caller, node, climb->state.locked, fault) < 0)
        return -1;
    climb->rung = "status";
    if (check_status(request, node, &climb->state, fault) < 0)
        return -1;
    climb->rung = "driver";
    if (check_driver(node, fault) < 0)
        return -1;
    climb->rung = "in-flight";
    if (check_reservation(node, &climb->state, request->caller, fault) < 0 ||
        engine_check_in_flight(engine, node, fault) < 0)
        return -1;
    climb->rung = "hold-off";
    if (check_hold_off(engine, node, journal_last_nmi(engine->journal, node), request->force,
                       fault) < 0)
        return -1;
    climb->rung = "daemon";
    if (engine_check_daemon(engine, fault) < 0 || check_queue(engine, request->caller, fault) < 0)
        return -1;
    /* The last: what was refused for another reason, or is a repeat, takes nothing. */
    climb->rung = "limit";
    return limits_take_action(engine->limits, request->caller, fault);
}

static int record_decision(struct engine *engine, const struct request *request,
                           const struct climb *climb, struct action *action, bool repeat,
                           const struct fault *fault)
{
    char rule[POLICY_RULE_TEXT];
    bool allowed = fault == NULL;
    policy_rule_text(&engine->conf->policy, request->force ? POLICY_FORCE : POLICY_INJECT_NMI,
                     rule);
    const char *earlier = fault != NULL && fault->action_id[0] != '\0' ? fault->action_id : NULL;
    struct audit_record record = {
        .caller = request->caller,
        .contract = request->contract,
        .operation = request->name,
        .node_uuid = climb->node->uuid,
        .node_name = climb->node->name,
        .ident = request->node_ident,
        .rule = allowed ? rule : climb->rung,
        .action_id = action != NULL ? action->id : earlier,
        .key = request->idempotency_key,
        .ret_serial = action != NULL && !repeat ? &action->audit_serial : NULL,
        .allowed = allowed,
        .repeat = repeat,
        .force = request->force,
        .code = allowed ? FAULT_NONE : fault->code,
        .message = allowed ? NULL : fault->message,
    };
    return audit_record(engine->audit, &record);
}

static int refuse(struct engine *engine, const struct request *request, const struct climb *climb,
                  const struct fault *fault)
{
    record_decision(engine, request, climb, NULL, false, fault);
    return -1;
}

/* The last rung: an action that the journal knows, and that waits for the window. Takes over scope.
 */
static struct action *accept_action(struct engine *engine, const struct request *request,
                                    const struct climb *climb, char *scope, struct fault *fault)
{
    struct action *action =
        action_new(climb->node, request->name, request->contract, request->caller);
    if (action == NULL) {
        free(scope);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    action->key_scope = scope;
    if (!engine_take_request(engine, action, request) ||
        engine_occupy(engine, climb->node, action) == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory; nothing was sent");
        action_unref(action);
        return NULL;
    }
    /* Before the action: what is recorded may then not happen, but nothing happens unrecorded. */
    if (record_decision(engine, request, climb, action, false, NULL) < 0) {
        fault_set(fault, FAULT_MEMORY, "out of memory; nothing was sent");
        engine_vacate(engine, climb->node);
        action_unref(action);
        return NULL;
    }
    action->state = ACTION_ACCEPTED;
    if (journal_write(engine->journal, action, ACTION_ACCEPTED) < 0) {
        fault_set(fault, FAULT_JOURNAL, "the action could not be recorded; nothing was sent");
        engine_vacate(engine, climb->node);
        action_unref(action);
        return NULL;
    }
    return action; /* the journal holds it from here on; this reference goes to the caller */
}

/* Every rung is passed. Takes over scope. */
static struct action *allow(struct engine *engine, const struct request *request,
                            struct climb *climb, char *scope, struct fault *fault)
{
    struct action *action = accept_action(engine, request, climb, scope, fault);
    if (action == NULL) {
        climb->rung = "daemon";
        refuse(engine, request, climb, fault);
        return NULL;
    }
    engine_enqueue(engine, action);
    return action;
}

int engine_submit(struct engine *engine, const struct request *request, struct action **ret_action,
                  bool *ret_repeat, struct fault *fault)
{
    struct fault local = {0};
    struct climb climb = {.rung = "key"};
    if (fault == NULL)
        fault = &local;
    if (climb_policy(engine, request, &climb, fault) < 0)
        return -1;

    char *scope = NULL;
    if (request->idempotency_key != NULL && (scope = key_scope(request, climb.node)) == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory; nothing was sent");
        return refuse(engine, request, &climb, fault);
    }
    int repeat = find_repeat(engine, request, climb.node, scope, ret_action, fault);
    if (repeat > 0) {
        free(scope);
        record_decision(engine, request, &climb, *ret_action, true, NULL);
        *ret_repeat = true;
        return 0;
    }
    if (repeat < 0 || climb_rest(engine, request, &climb, fault) < 0) {
        free(scope);
        return refuse(engine, request, &climb, fault);
    }
    struct action *action = allow(engine, request, &climb, scope, fault);
    if (action == NULL)
        return -1;
    *ret_action = action;
    *ret_repeat = false;
    action_unref(action);
    engine_pump(engine);
    return 0;
}

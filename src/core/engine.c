/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine. engine_submit() is the ladder; the window lets so many actions out at once (both in
 * files of their own); a driver takes each to its one action_finish(); the journal hears of every
 * state before anybody else. */
#include "core/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/audit.h"
#include "core/callback.h"
#include "core/engine_state.h"
#include "core/ironic.h"
#include "core/node_state.h"

static void on_before_wait(void *arg);

/* ---- Life ---- */

struct engine *engine_new(struct loop *loop, const struct conf *conf,
                          const struct driver *const *drivers, struct journal *journal,
                          struct fault *fault)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || (engine->occupied = map_new()) == NULL) {
        free(engine);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    engine->loop = loop;
    engine->conf = conf;
    engine->journal = journal;
    wait_queue_init(&engine->waits, loop);
    journal_on_done(journal, engine_on_journal, engine);
    for (size_t i = 0; drivers[i] != NULL && i < DRIVERS_MAX; i++) {
        engine->instances[i] = drivers[i]->open(loop, &conf->ipmi, fault);
        if (engine->instances[i] == NULL) {
            engine_free(engine);
            return NULL;
        }
        engine->drivers[i] = drivers[i];
    }
    if (loop_before_wait(loop, on_before_wait, engine, fault) < 0 ||
        engine_source_begin(engine, fault) < 0 || engine_queue_begin(engine, fault) < 0 ||
        engine_record_begin(engine, fault) < 0) {
        engine_free(engine);
        return NULL;
    }
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    for (size_t i = 0; i < DRIVERS_MAX && engine->drivers[i] != NULL; i++)
        engine->drivers[i]->close(engine->instances[i]);
    while (engine->waits.due != NULL)
        wait_cancel(engine->waits.due);
    journal_on_done(engine->journal, NULL, NULL);
    engine_record_end(engine);
    engine_queue_end(engine);
    ironic_free(engine->ironic);
    map_free(engine->occupied);
    free(engine);
}

void engine_reload(struct engine *engine, const struct conf *conf)
{
    engine->conf = conf;
    engine_source_reload(engine);
    callbacks_configure(engine->callbacks, &conf->callback);
    for (size_t i = 0; i < DRIVERS_MAX && engine->drivers[i] != NULL; i++)
        engine->drivers[i]->configure(engine->instances[i], &conf->ipmi);
    engine_pump(engine); /* the window may have grown, limits.queue_s be another */
}

void *engine_instance(const struct engine *engine, const struct driver *driver)
{
    for (size_t i = 0; i < DRIVERS_MAX; i++) {
        if (engine->drivers[i] == driver)
            return engine->instances[i];
    }
    return NULL;
}

void engine_set_audit(struct engine *engine, struct audit *audit)
{
    engine->audit = audit;
    /* What engine_new() found of an earlier daemon, and ended. */
    for (struct action *action = engine->telling; action != NULL; action = action->next_telling)
        audit_outcome(audit, action);
}

struct audit *engine_audit(struct engine *engine)
{
    return engine->audit;
}

void engine_set_limits(struct engine *engine, struct limits *limits)
{
    engine->limits = limits;
}

struct limits *engine_limits(struct engine *engine)
{
    return engine->limits;
}

const struct conf *engine_conf(const struct engine *engine)
{
    return engine->conf;
}

struct callbacks *engine_callbacks(struct engine *engine)
{
    return engine->callbacks;
}

struct journal *engine_journal(struct engine *engine)
{
    return engine->journal;
}

const struct node_table *engine_nodes(const struct engine *engine)
{
    return engine->conf->nodes;
}

struct action *engine_action(struct engine *engine, const char *id)
{
    return journal_find(engine->journal, id);
}

void engine_counts(const struct engine *engine, struct engine_counts *ret_counts)
{
    *ret_counts = engine->counts;
    ret_counts->queued = engine->queued;
    ret_counts->in_flight = engine->in_window;
}

struct action_wait *engine_wait(struct engine *engine, struct action *action,
                                enum action_state state, action_wait_fn *fn, void *arg)
{
    return wait_add(&engine->waits, action, state, fn, arg);
}

void engine_wait_cancel(struct action_wait *wait)
{
    wait_cancel(wait);
}

/* ---- One action or probe at a time on a node and on a BMC ---- */

struct occupation *engine_occupy(struct engine *engine, struct node *node, struct action *action)
{
    struct occupation *occupation = calloc(1, sizeof *occupation);
    if (occupation == NULL)
        return NULL;
    occupation->engine = engine;
    occupation->node = node_ref(node);
    occupation->action = action;
    if (map_put(engine->occupied, node->uuid, occupation) < 0 ||
        (node->target != NULL && map_put(engine->occupied, node->target, occupation) < 0)) {
        map_remove(engine->occupied, node->uuid);
        node_unref(occupation->node);
        free(occupation);
        return NULL;
    }
    return occupation;
}

void engine_vacate(struct engine *engine, struct node *node)
{
    struct occupation *occupation = map_remove(engine->occupied, node->uuid);
    if (node->target != NULL)
        map_remove(engine->occupied, node->target);
    if (occupation != NULL)
        node_unref(occupation->node);
    free(occupation);
}

/* ---- What drivers call ---- */

void action_sending(struct action *action, loop_fn *go, void *arg)
{
    action->go = go;
    action->go_arg = arg;
    action->sends++;
    if (journal_write(action->engine->journal, action, ACTION_SENT) < 0)
        engine_on_journal(action->engine, action, ACTION_SENT, false);
}

void action_revoke(struct action *action)
{
    action->go = NULL;
}

void action_evidence(struct action *action, const char *key, json_t *value)
{
    if (action->evidence == NULL)
        action->evidence = json_object();
    if (action->evidence == NULL || json_object_set_new(action->evidence, key, value) < 0)
        log_warning("action %s: evidence %s lost, out of memory", action->id, key);
}

void action_finish(struct action *action, enum action_outcome outcome, enum fault_code code,
                   const char *format, ...)
{
    char message[FAULT_MESSAGE_MAX];
    va_list args;
    if (action->state == ACTION_FINISHED)
        abort(); /* a second completion would be a lie: better no daemon */
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    struct engine *engine = action->engine;
    action_ref(action);
    engine_queue_leave(engine, action);
    engine_vacate(engine, action->node);
    if (action->started)
        engine->in_window--;
    engine_finish(action, outcome, code, message);
    action_unref(action);
    engine_pump(engine);
}

/* ---- Probes, refusals of a batch, the end ---- */

static void on_probe_done(void *arg, json_t *result, const struct fault *fault)
{
    struct occupation *occupation = arg;
    engine_probe_fn *done = occupation->probe_done;
    void *done_arg = occupation->probe_arg;
    struct node *node = node_ref(occupation->node);
    engine_vacate(occupation->engine, node);
    node_unref(node);
    done(done_arg, result, fault);
}

int engine_probe(struct engine *engine, struct node *node, engine_probe_fn *done, void *arg,
                 struct fault *fault)
{
    struct fault local = {0};
    if (fault == NULL)
        fault = &local;
    if (node->driver->probe == NULL)
        return fault_set(fault, FAULT_UNSUPPORTED, "the driver %s of node %s cannot be probed",
                         node->driver->name, node_label(node));
    if (engine_check_daemon(engine, fault) < 0 || engine_check_in_flight(engine, node, fault) < 0)
        return -1;
    struct occupation *occupation = engine_occupy(engine, node, NULL);
    if (occupation == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    occupation->probe_done = done;
    occupation->probe_arg = arg;
    node->driver->probe(engine_instance(engine, node->driver), node, on_probe_done, occupation);
    return 0;
}

/* Without a line in the audit: engine_submit() has decided, and recorded that. */
static bool may_inject(struct engine *engine, const struct node *node,
                       const struct principal *caller)
{
    struct node_state state;
    return engine_node_state(engine, node, &state, NULL) == 0 &&
           policy_sees(caller, &state.owners) &&
           policy_check(&engine->conf->policy, POLICY_INJECT_NMI, caller, &state.owners, NULL) == 0;
}

struct action *engine_record_refusal(struct engine *engine, const struct request *request,
                                     const struct fault *refusal, struct fault *fault)
{
    struct node *node = NULL;
    if (engine_node_by_ident(engine, request->node_ident, &node, fault) < 0)
        return NULL;
    if (node == NULL || !may_inject(engine, node, request->caller))
        node = NULL;
    if (node == NULL)
        fault_set(fault, FAULT_NODE_NOT_FOUND, "no node %.80s", request->node_ident);
    if (node == NULL || journal_check(engine->journal, fault) < 0)
        return NULL;
    struct action *action = action_new(node, request->name, request->contract, request->caller);
    if (action == NULL || !engine_take_request(engine, action, request)) {
        action_unref(action);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    action->refusal = true;
    engine_finish(action, OUTCOME_FAILED, refusal->code, refusal->message);
    struct action *kept = journal_find(engine->journal, action->id);
    action_unref(action);
    if (kept == NULL)
        fault_set(fault, FAULT_JOURNAL, "the refusal could not be recorded");
    return kept;
}

static void on_before_wait(void *arg)
{
    struct engine *engine = arg;
    ironic_turn(engine->ironic);
    wait_queue_run(&engine->waits);
    if (!engine->draining || engine->drained == NULL || engine->in_window > 0 ||
        journal_pending(engine->journal) > 0 || engine->waits.due != NULL)
        return;
    loop_fn *drained = engine->drained;
    engine->drained = NULL;
    drained(engine->drained_arg);
}

/* Whoever waits for *sent* is about to be given up: his go() must not come any more. */
static void revoke_all(struct engine *engine)
{
    size_t position = 0;
    for (struct occupation *o; (o = map_next(engine->occupied, &position)) != NULL;) {
        if (o->action != NULL)
            o->action->go = NULL;
    }
}

void engine_drain(struct engine *engine, loop_fn *done, void *arg)
{
    static const char why[] = "nmid was stopped before the interrupt was sent";
    engine->draining = true;
    engine->drained = done;
    engine->drained_arg = arg;
    while (engine->queue != NULL)
        action_finish(engine->queue, OUTCOME_FAILED, FAULT_STOPPING, "%s", why);
    revoke_all(engine);
    for (size_t i = 0; i < DRIVERS_MAX && engine->drivers[i] != NULL; i++)
        engine->drivers[i]->abort(engine->instances[i], NULL, FAULT_STOPPING, why);
    loop_wake(engine->loop);
}

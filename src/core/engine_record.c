/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine and its journal: an action's end, what follows when something is recorded or cannot
 * be, and what an earlier daemon left behind. */
#include "core/engine.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/audit.h"
#include "core/callback.h"
#include "core/engine_state.h"

#define TELL_AFTER_US INT64_C(5000000) /* callers wait so long for *finished* on disk */

/* ---- Who waits for *finished* on disk ---- */

static struct action *take_telling(struct engine *engine)
{
    struct action *action = engine->telling;
    engine->telling = action->next_telling;
    if (engine->telling == NULL)
        engine->telling_end = &engine->telling;
    return action;
}

static void add_telling(struct engine *engine, struct action *action)
{
    while (engine->telling != NULL && engine->telling->durable == ACTION_FINISHED)
        action_unref(take_telling(engine));
    if (engine->telling == NULL)
        loop_timer_set(engine->tell, action->finished_mono + TELL_AFTER_US);
    action->next_telling = NULL;
    *engine->telling_end = action_ref(action);
    engine->telling_end = &action->next_telling;
}

static void count_outcome(struct engine *engine, enum action_outcome outcome)
{
    if (outcome == OUTCOME_DELIVERED)
        engine->counts.delivered++;
    else if (outcome == OUTCOME_FAILED)
        engine->counts.failed++;
    else
        engine->counts.unknown++;
}

/* Now everybody may know: callers, callbacks, /healthz. Once. */
static void tell(struct engine *engine, struct action *action)
{
    if (action->durable != ACTION_FINISHED) {
        action->durable = ACTION_FINISHED;
        count_outcome(engine, action->outcome);
        callbacks_told(engine->callbacks, action);
    }
    wait_reached(&engine->waits, action);
}

/* A disk that hangs must not keep the truth from who waits for it. */
static void on_tell(void *arg)
{
    struct engine *engine = arg;
    int64_t now = clock_mono_us();
    struct action *action;
    while ((action = engine->telling) != NULL &&
           (action->durable == ACTION_FINISHED || action->finished_mono + TELL_AFTER_US <= now)) {
        take_telling(engine);
        if (action->durable != ACTION_FINISHED) {
            log_warning("action %s: its outcome (%s) is told before it is recorded: the journal is "
                        "slow",
                        action->id, action_outcome_name(action->outcome));
            tell(engine, action);
        }
        action_unref(action);
    }
    if (action != NULL)
        loop_timer_set(engine->tell, action->finished_mono + TELL_AFTER_US);
}

/* ---- An end ---- */

/* *sent* was on disk, and then the datagram did not leave after all: the driver says so by its code.
 * sent_at is of a datagram that left, the earlier one if there was. */
static bool never_left(const struct action *action)
{
    return action->outcome == OUTCOME_FAILED && action->sends <= 1 &&
           (action->code == FAULT_DEADLINE || action->code == FAULT_SYSTEM);
}

/* The true outcome goes into the action first; then the journal hears of it. */
void engine_finish(struct action *action, enum action_outcome outcome, enum fault_code code,
                   const char *message)
{
    struct engine *engine = action->engine;
    action->go = NULL;
    action->state = ACTION_FINISHED;
    action->outcome = outcome;
    action->code = code;
    if (never_left(action))
        action->sent_at = 0;
    free(action->message); /* a row that was edited by hand may have had one */
    action->message = strdup(message);
    action->finished_at = clock_wall_us();
    action->finished_mono = clock_mono_us();
    free(action->evidence_text);
    action->evidence_text = NULL;
    if (action->evidence != NULL)
        action->evidence_text = json_dumps(action->evidence, JSON_COMPACT);
    json_decref(action->evidence);
    action->evidence = NULL;
    audit_outcome(engine->audit, action);
    if (journal_write(engine->journal, action, ACTION_FINISHED) == 0) {
        callbacks_finished(engine->callbacks, action);
        add_telling(engine, action);
        return;
    }
    engine->lost = true; /* out of memory: it will never be recorded, and not be held off */
    engine_on_journal(engine, action, ACTION_FINISHED, false);
}

/* ---- What the journal calls ---- */

/* *accepted* or *sent* could not be recorded: nothing may leave. */
static void give_up(struct engine *engine, struct action *action)
{
    static const char why[] = "the action could not be recorded; nothing was sent";
    if (action->state == ACTION_FINISHED)
        return;
    action->go = NULL; /* the driver may take its time, and *sent* may still succeed */
    if (action->started)
        action->node->driver->abort(engine_instance(engine, action->node->driver), action,
                                    FAULT_JOURNAL, why);
    else
        action_finish(action, OUTCOME_FAILED, FAULT_JOURNAL, why);
}

void engine_on_journal(void *arg, struct action *action, enum action_state state, bool ok)
{
    struct engine *engine = arg;
    /* What was not recorded is told with the end that it leads to, and not before: a driver may
     * take its time to give up. */
    if (ok && state != ACTION_FINISHED) {
        action->recorded = true;
        if (action->durable < state)
            action->durable = state;
    }
    if (!ok && state == ACTION_FINISHED) {
        /* The caller still hears the truth; but what cannot be remembered must not go on. */
        log_error("action %s: its outcome (%s) could not be recorded yet; new actions are refused",
                  action->id, action_outcome_name(action->outcome));
    } else if (!ok) {
        give_up(engine, action);
    } else if (state == ACTION_SENT && action->go != NULL) {
        loop_fn *go = action->go;
        action->go = NULL;
        action->state = ACTION_SENT;
        if (action->sent_at == 0)
            action->sent_at = clock_wall_us(); /* go() sends the datagram */
        go(action->go_arg);
    }
    if (state == ACTION_FINISHED)
        tell(engine, action);
    else
        wait_reached(&engine->waits, action);
}

/* ---- The start and the end ---- */

/* What an earlier daemon left. Its callers are gone; those that ask again hear this. */
static void recover(void *arg, struct action *action)
{
    action->engine = arg;
    if (action->state == ACTION_SENT) {
        action_evidence(action, "sends", json_integer(action->sends));
        engine_finish(
            action, OUTCOME_UNKNOWN, FAULT_DAEMON_STOPPED,
            "the daemon stopped between sending the interrupt and the BMC's answer: it may have "
            "been delivered; look at the machine before you send another");
    } else {
        engine_finish(action, OUTCOME_FAILED, FAULT_STOPPING,
                      "never sent: the daemon stopped before the interrupt was sent");
    }
}

int engine_record_begin(struct engine *engine, struct fault *fault)
{
    engine->telling_end = &engine->telling;
    engine->tell = loop_timer_new(engine->loop, on_tell, engine, fault);
    engine->callbacks =
        callbacks_new(engine->loop, engine->journal, &engine->conf->callback, fault);
    if (engine->tell == NULL || engine->callbacks == NULL)
        return -1;
    if (journal_unfinished(engine->journal, recover, engine) < 0)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    return 0;
}

void engine_record_end(struct engine *engine)
{
    while (engine->telling != NULL)
        action_unref(take_telling(engine));
    loop_timer_free(engine->tell);
    callbacks_free(engine->callbacks);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The window and the queue before it: first in, first out, for all nodes. So whoever stands first
 * has waited longest, and its deadline (limits.queue_s) is the next one: one timer is enough. An
 * action is in the queue, or was given to its driver, or is finished: never two of these. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/engine_state.h"
#include "core/limits.h"

#define SECOND        INT64_C(1000000)
#define TURN_US       INT64_C(1000)
#define FAILED_A_TURN 256 /* each is written to the journal and the audit: others have their turn */

/* ---- The queue ---- */

void engine_enqueue(struct engine *engine, struct action *action)
{
    action->next = NULL;
    action->queued_mono = clock_mono_us();
    action->link = engine->queue_end;
    *engine->queue_end = action_ref(action);
    engine->queue_end = &action->next;
    engine->queued++;
}

void engine_queue_leave(struct engine *engine, struct action *action)
{
    if (action->link == NULL)
        return;
    *action->link = action->next;
    if (action->next != NULL)
        action->next->link = action->link;
    else
        engine->queue_end = action->link;
    action->next = NULL;
    action->link = NULL;
    engine->queued--;
    action_unref(action);
}

/* ---- What becomes of the first one ---- */

/* The last moment at which it may still begin. */
static int64_t deadline_of(const struct engine *engine, const struct action *action)
{
    return action->queued_mono + engine->conf->limits.queue_s * SECOND;
}

/* Has a reload given this node another BMC, or none, while its action waited? Then its BMC may by
 * now be another machine's. */
static bool was_moved(const struct engine *engine, const struct node *node)
{
    const struct node *now = node_table_find(engine->conf->nodes, node->uuid);
    if (now == NULL || now->driver != node->driver || now->target == NULL || node->target == NULL)
        return now == NULL || now->driver != node->driver || now->target != node->target;
    return strcmp(now->target, node->target) != 0;
}

static void expire(struct engine *engine, struct action *action)
{
    unsigned queue_s = engine->conf->limits.queue_s;
    const struct principal caller = {.user = action->user,
                                     .user_id = action->user_id,
                                     .project_id = action->project_id,
                                     .address = action->address};
    limits_reached_by(engine->limits, LIMIT_QUEUE_S, &caller);
    action_finish(action, OUTCOME_FAILED, FAULT_OVERLOADED,
                  "it waited for its turn for more than %u s (limits.queue_s is %u); nothing was "
                  "sent: by now the machine may be another's, or up again",
                  queue_s, queue_s);
}

/* Fails the first one where it must not begin any more: true. A full window keeps nobody from
 * hearing that. */
static bool turn_away(struct engine *engine, struct action *action)
{
    if (clock_mono_us() > deadline_of(engine, action))
        expire(engine, action);
    else if (engine->in_window < engine->conf->ipmi.window && was_moved(engine, action->node))
        action_finish(action, OUTCOME_FAILED, FAULT_NODE_NOT_FOUND,
                      "a reload took the node away, or gave it another BMC, while its action "
                      "waited; nothing was sent");
    else
        return false;
    return true;
}

static void start(struct engine *engine, struct action *action)
{
    const struct driver *driver = action->node->driver;
    action_ref(action);
    engine_queue_leave(engine, action);
    engine->in_window++;
    action->started = true;
    driver->start(engine_instance(engine, driver), action);
    action_unref(action);
}

/* For the first one's deadline; at the earliest in another turn of the loop. */
static void arm(struct engine *engine)
{
    if (engine->queue == NULL || engine->draining) {
        loop_timer_clear(engine->expiry);
        return;
    }
    int64_t at = deadline_of(engine, engine->queue) + 1, soon = clock_mono_us() + TURN_US;
    loop_timer_set(engine->expiry, at > soon ? at : soon);
}

/* Not recursive: an action that finishes inside its own start() only makes room for the loop here.
 */
void engine_pump(struct engine *engine)
{
    unsigned failed = 0;
    if (engine->pumping)
        return;
    engine->pumping = true;
    while (!engine->draining && engine->queue != NULL && failed < FAILED_A_TURN) {
        if (turn_away(engine, engine->queue))
            failed++;
        else if (engine->in_window < engine->conf->ipmi.window)
            start(engine, engine->queue);
        else
            break;
    }
    engine->pumping = false;
    arm(engine);
}

/* ---- Life ---- */

static void on_expiry(void *arg)
{
    engine_pump(arg);
}

int engine_queue_begin(struct engine *engine, struct fault *fault)
{
    engine->queue_end = &engine->queue;
    engine->expiry = loop_timer_new(engine->loop, on_expiry, engine, fault);
    return engine->expiry == NULL ? -1 : 0;
}

void engine_queue_end(struct engine *engine)
{
    loop_timer_free(engine->expiry);
}

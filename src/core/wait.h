/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who waits for an action's state. Waits that are due fire together, from wait_queue_run(), so that
 * nobody is called from inside his own call. */
#ifndef NMID_CORE_WAIT_H
#define NMID_CORE_WAIT_H

#include "core/action.h"
#include "core/engine.h"

struct wait_queue {
    struct action_wait *due; /* first of a doubly linked list */
    struct action_wait **due_end;
    unsigned turn; /* counts wait_queue_run() */
    struct loop *loop;
};

void wait_queue_init(struct wait_queue *queue, struct loop *loop);

/* A wait on the action's list, or due at once. NULL when memory is out. */
struct action_wait *wait_add(struct wait_queue *queue, struct action *action,
                             enum action_state state, action_wait_fn *fn, void *arg);
void wait_cancel(struct action_wait *wait);

/* action->durable has risen: what waited for it becomes due. */
void wait_reached(struct wait_queue *queue, struct action *action);

/* Fires everything that is due. */
void wait_queue_run(struct wait_queue *queue);

#endif

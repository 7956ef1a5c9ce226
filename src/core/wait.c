/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/wait.h"

#include <stdlib.h>

struct action_wait {
    struct wait_queue *queue;
    struct action *action; /* counted */
    enum action_state state;
    action_wait_fn *fn;
    void *arg;
    struct action_wait *next, **link; /* on the action's list, or on the queue's */
    bool due;
    unsigned turn; /* of the queue, when it became due */
};

void wait_queue_init(struct wait_queue *queue, struct loop *loop)
{
    queue->turn = 0;
    queue->due = NULL;
    queue->due_end = &queue->due;
    queue->loop = loop;
}

static void list_remove(struct action_wait *wait)
{
    *wait->link = wait->next;
    if (wait->next != NULL)
        wait->next->link = wait->link;
    else if (wait->due)
        wait->queue->due_end = wait->link;
}

static void make_due(struct wait_queue *queue, struct action_wait *wait)
{
    wait->due = true;
    wait->turn = queue->turn;
    wait->next = NULL;
    wait->link = queue->due_end;
    *queue->due_end = wait;
    queue->due_end = &wait->next;
    loop_wake(queue->loop);
}

struct action_wait *wait_add(struct wait_queue *queue, struct action *action,
                             enum action_state state, action_wait_fn *fn, void *arg)
{
    struct action_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL)
        return NULL;
    wait->queue = queue;
    wait->action = action_ref(action);
    wait->state = state;
    wait->fn = fn;
    wait->arg = arg;
    if (action->durable >= state) {
        make_due(queue, wait);
        return wait;
    }
    wait->next = action->waits;
    wait->link = &action->waits;
    if (wait->next != NULL)
        wait->next->link = &wait->next;
    action->waits = wait;
    return wait;
}

static void wait_free(struct action_wait *wait)
{
    action_unref(wait->action);
    free(wait);
}

void wait_cancel(struct action_wait *wait)
{
    if (wait == NULL)
        return;
    list_remove(wait);
    wait_free(wait);
}

void wait_reached(struct wait_queue *queue, struct action *action)
{
    struct action_wait *next;
    /* State by state: one that was jumped over is still told before the later ones. */
    for (enum action_state state = ACTION_NEW; state <= action->durable; state++) {
        for (struct action_wait *wait = action->waits; wait != NULL; wait = next) {
            next = wait->next;
            if (wait->state == state) {
                list_remove(wait);
                make_due(queue, wait);
            }
        }
    }
}

void wait_queue_run(struct wait_queue *queue)
{
    struct action_wait *wait;
    /* What becomes due from here on is for the next turn. */
    queue->turn++;
    while ((wait = queue->due) != NULL && wait->turn != queue->turn) {
        list_remove(wait);
        wait->fn(wait->arg, wait->action);
        wait_free(wait);
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/delays.h"

#include <stdlib.h>
#include <sys/queue.h>
#include "base/clock.h"

struct delay {
    struct delays *delays;
    TAILQ_ENTRY(delay) entry;
    struct loop_timer *timer;
    loop_fn *fn;
    void *arg;
};

struct delays {
    struct loop *loop;
    TAILQ_HEAD(waiting, delay) waiting;
    size_t count, max;
    bool hurried;
};

struct delays *delays_new(struct loop *loop, size_t max, struct fault *fault)
{
    struct delays *delays = calloc(1, sizeof *delays);
    if (delays == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    delays->loop = loop;
    delays->max = max;
    TAILQ_INIT(&delays->waiting);
    return delays;
}

void delays_free(struct delays *delays)
{
    if (delays == NULL)
        return;
    while (!TAILQ_EMPTY(&delays->waiting))
        delay_cancel(TAILQ_FIRST(&delays->waiting));
    free(delays);
}

bool delays_full(const struct delays *delays)
{
    return delays->count >= delays->max;
}

void delay_cancel(struct delay *delay)
{
    struct delays *delays = delay->delays;
    TAILQ_REMOVE(&delays->waiting, delay, entry);
    delays->count--;
    loop_timer_free(delay->timer);
    free(delay);
}

/* fn may begin others, and cancel any but this one, which is over. */
static void delay_end(void *arg)
{
    struct delay *delay = arg;
    loop_fn *fn = delay->fn;
    void *fn_arg = delay->arg;
    delay_cancel(delay);
    fn(fn_arg);
}

struct delay *delay_start(struct delays *delays, int64_t us, loop_fn *fn, void *arg)
{
    struct delay *delay = delays->hurried || delays_full(delays) ? NULL : calloc(1, sizeof *delay);
    if (delay == NULL)
        return NULL;
    *delay = (struct delay){.delays = delays, .fn = fn, .arg = arg};
    delay->timer = loop_timer_new(delays->loop, delay_end, delay, NULL);
    if (delay->timer == NULL) {
        free(delay);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&delays->waiting, delay, entry);
    delays->count++;
    loop_timer_set(delay->timer, clock_mono_us() + us);
    return delay;
}

void delays_hurry(struct delays *delays)
{
    delays->hurried = true;
    while (!TAILQ_EMPTY(&delays->waiting))
        delay_end(TAILQ_FIRST(&delays->waiting));
}

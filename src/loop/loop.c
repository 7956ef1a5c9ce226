/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop on libuv. A uv handle is freed in its close callback, which is why each of ours is an
 * allocation of its own and loop_free() runs the loop until the last one is closed. */
#include "loop/loop.h"

#include <stdlib.h>
#include <uv.h>
#include "base/clock.h"

struct loop {
    uv_loop_t uv;
    uv_idle_t wake; /* active: the next wait returns at once */
    struct hook *hooks;
};

struct loop_timer {
    uv_timer_t uv;
    loop_fn *fn;
    void *arg;
};

struct loop_watch {
    uv_poll_t uv;
    loop_watch_fn *fn;
    void *arg;
};

/* What lives until loop_free(): signals and before-wait functions. */
struct hook {
    union {
        uv_handle_t handle;
        uv_signal_t signal;
        uv_prepare_t prepare;
    } uv;
    loop_fn *fn;
    void *arg;
    struct hook *next;
};

static int set_uv_fault(struct fault *fault, const char *what, int error)
{
    return fault_set(fault, FAULT_SYSTEM, "%s: %s", what, uv_strerror(error));
}

static void on_wake(uv_idle_t *wake)
{
    uv_idle_stop(wake);
}

struct loop *loop_new(struct fault *fault)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    int error = uv_loop_init(&loop->uv);
    if (error != 0) {
        set_uv_fault(fault, "event loop", error);
        free(loop);
        return NULL;
    }
    uv_idle_init(&loop->uv, &loop->wake);
    return loop;
}

static void close_free(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    for (struct hook *hook = loop->hooks; hook != NULL; hook = hook->next) {
        hook->uv.handle.data = hook;
        uv_close(&hook->uv.handle, close_free);
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
    loop_wake(loop);
}

void loop_wake(struct loop *loop)
{
    uv_idle_start(&loop->wake, on_wake);
}

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;
    timer->fn(timer->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fn = fn;
    timer->arg = arg;
    return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t at_us)
{
    /* uv timers count from the loop's own idea of now, which may lie behind: refresh it, and round
     * up, so that a timer is never early. */
    uv_update_time(timer->uv.loop);
    int64_t wait_us = at_us - clock_mono_us();
    uint64_t wait_ms = wait_us <= 0 ? 0 : ((uint64_t)wait_us + 999) / 1000 + 1;
    uv_timer_start(&timer->uv, on_timer, wait_ms, 0);
}

void loop_timer_clear(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer != NULL)
        uv_close((uv_handle_t *)&timer->uv, close_free);
}

static int events_to_uv(unsigned events)
{
    return ((events & LOOP_READABLE) ? UV_READABLE : 0) |
           ((events & LOOP_WRITABLE) ? UV_WRITABLE : 0) |
           ((events & LOOP_DISCONNECT) ? UV_DISCONNECT : 0);
}

static void on_watch(uv_poll_t *uv, int status, int events)
{
    struct loop_watch *watch = uv->data;
    unsigned ours = ((events & UV_READABLE) ? LOOP_READABLE : 0) |
                    ((events & UV_WRITABLE) ? LOOP_WRITABLE : 0) |
                    ((events & UV_DISCONNECT) ? LOOP_DISCONNECT : 0);
    if (status < 0)
        ours |= LOOP_DISCONNECT;
    watch->fn(watch->arg, ours);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, unsigned events, loop_watch_fn *fn,
                                  void *arg, struct fault *fault)
{
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    int error = uv_poll_init(&loop->uv, &watch->uv, fd);
    if (error != 0) {
        set_uv_fault(fault, "watching a descriptor", error);
        free(watch);
        return NULL;
    }
    watch->uv.data = watch;
    watch->fn = fn;
    watch->arg = arg;
    error = uv_poll_start(&watch->uv, events_to_uv(events), on_watch);
    if (error != 0) {
        set_uv_fault(fault, "watching a descriptor", error);
        loop_watch_free(watch);
        return NULL;
    }
    return watch;
}

int loop_watch_set(struct loop_watch *watch, unsigned events)
{
    return uv_poll_start(&watch->uv, events_to_uv(events), on_watch) == 0 ? 0 : -1;
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    uv_poll_stop(&watch->uv);
    uv_close((uv_handle_t *)&watch->uv, close_free);
}

static struct hook *hook_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    struct hook *hook = calloc(1, sizeof *hook);
    if (hook == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    hook->fn = fn;
    hook->arg = arg;
    hook->next = loop->hooks;
    loop->hooks = hook;
    return hook;
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct hook *hook = uv->data;
    (void)signum;
    hook->fn(hook->arg);
}

int loop_on_signal(struct loop *loop, int signum, loop_fn *fn, void *arg, struct fault *fault)
{
    struct hook *hook = hook_new(loop, fn, arg, fault);
    if (hook == NULL)
        return -1;
    uv_signal_init(&loop->uv, &hook->uv.signal);
    hook->uv.signal.data = hook;
    int error = uv_signal_start(&hook->uv.signal, on_signal, signum);
    return error == 0 ? 0 : set_uv_fault(fault, "watching a signal", error);
}

static void on_prepare(uv_prepare_t *uv)
{
    struct hook *hook = uv->data;
    hook->fn(hook->arg);
}

int loop_before_wait(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    struct hook *hook = hook_new(loop, fn, arg, fault);
    if (hook == NULL)
        return -1;
    uv_prepare_init(&loop->uv, &hook->uv.prepare);
    hook->uv.prepare.data = hook;
    uv_prepare_start(&hook->uv.prepare, on_prepare);
    return 0;
}

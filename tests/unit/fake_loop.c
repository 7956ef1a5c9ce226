/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"

#define MONO_START INT64_C(1000000000000)
#define WALL_START INT64_C(1790000000000000) /* in 2026 */

struct fake fake;

/* ---- Clocks ---- */

void fake_reset(void)
{
    fake = (struct fake){.mono = MONO_START, .wall = WALL_START};
}

int64_t clock_mono_us(void)
{
    return fake.mono;
}

int64_t clock_wall_us(void)
{
    return fake.wall;
}

char *clock_text(int64_t wall_us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "%lld us", (long long)wall_us);
    return text;
}

/* ---- The loop ---- */

struct hook {
    loop_fn *fn;
    void *arg;
    struct hook *next;
};

struct loop_timer {
    struct loop *loop;
    loop_fn *fn;
    void *arg;
    int64_t at;
    uint64_t order; /* of the setting; 0: disarmed */
    struct loop_timer *next, **link;
};

struct loop {
    struct loop_timer *timers;
    struct hook *hooks; /* the last first, as libuv calls them */
    uint64_t order;
    bool woken, stopped;
};

struct job {
    loop_fn *work, *done;
    void *arg;
    unsigned rank;
    bool worked;
    struct job *next;
};

/* One pool at a time has jobs: the journal's. */
struct pool {
    struct loop *loop;
    struct job *first, **end;
    struct pool *next, **link;
};

static struct pool *pools;

struct loop *loop_new(struct fault *fault)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    for (struct loop_timer *timer; (timer = loop->timers) != NULL;) {
        loop->timers = timer->next; /* forgotten: a leak, if it is not freed after all */
        timer->next = NULL;
        timer->link = &timer->next;
    }
    for (struct hook *hook = loop->hooks, *next; hook != NULL; hook = next) {
        next = hook->next;
        free(hook);
    }
    free(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void loop_wake(struct loop *loop)
{
    loop->woken = true;
}

/* The armed timer that is due first. */
static struct loop_timer *first_timer(const struct loop *loop)
{
    struct loop_timer *first = NULL;
    for (struct loop_timer *timer = loop->timers; timer != NULL; timer = timer->next) {
        if (timer->order != 0 && (first == NULL || timer->at < first->at ||
                                  (timer->at == first->at && timer->order < first->order)))
            first = timer;
    }
    return first;
}

static void run_timers(struct loop *loop)
{
    uint64_t until = loop->order; /* what is set from here on is for the next turn */
    for (struct loop_timer *timer; (timer = first_timer(loop)) != NULL;) {
        if (timer->at > fake.mono || timer->order > until)
            return;
        timer->order = 0;
        timer->fn(timer->arg);
    }
}

static void jump(const struct loop *loop)
{
    const struct loop_timer *timer = first_timer(loop);
    if (timer == NULL) {
        fputs("fake_loop: asleep for ever\n", stderr);
        abort();
    }
    fake.jumps++;
    if (timer->at > fake.mono) {
        fake.wall += timer->at - fake.mono;
        fake.mono = timer->at;
    }
}

/* A step of one job; false when there is none to take. */
static bool pool_step(struct pool *pool)
{
    struct job *job = pool->first;
    if (job == NULL || (fake.hold && !job->worked))
        return false;
    if (!job->worked) {
        job->worked = true;
        job->work(job->arg);
        return true;
    }
    pool->first = job->next;
    if (pool->first == NULL)
        pool->end = &pool->first;
    fake.jobs++;
    job->done(job->arg);
    free(job);
    return true;
}

void loop_run(struct loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped) {
        fake.turns++;
        run_timers(loop);
        bool stirred = loop->woken;
        loop->woken = false;
        for (struct hook *hook = loop->hooks; hook != NULL; hook = hook->next)
            hook->fn(hook->arg);
        for (struct pool *pool = pools; pool != NULL; pool = pool->next)
            stirred |= pool_step(pool);
        if (!stirred && !loop->woken && !loop->stopped)
            jump(loop);
    }
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

void fake_run_for(struct loop *loop, int64_t us)
{
    struct loop_timer *end = loop_timer_new(loop, stop_loop, loop, NULL);
    if (end == NULL)
        abort();
    loop_timer_set(end, fake.mono + us);
    loop_run(loop);
    loop_timer_free(end);
}

int loop_before_wait(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    struct hook *hook = calloc(1, sizeof *hook);
    if (hook == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    *hook = (struct hook){fn, arg, loop->hooks};
    loop->hooks = hook;
    return 0;
}

/* ---- Timers ---- */

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    *timer = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg};
    timer->link = &loop->timers;
    timer->next = loop->timers;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    loop->timers = timer;
    return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t at_us)
{
    timer->at = at_us;
    timer->order = ++timer->loop->order;
}

void loop_timer_clear(struct loop_timer *timer)
{
    timer->order = 0;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    free(timer);
}

/* ---- What nothing here has ---- */

struct loop_watch *loop_watch_new(struct loop *loop, int fd, unsigned events, loop_watch_fn *fn,
                                  void *arg, struct fault *fault)
{
    (void)loop;
    (void)fd;
    (void)events;
    (void)fn;
    (void)arg;
    fault_set(fault, FAULT_SYSTEM, "no descriptors here");
    return NULL;
}

int loop_watch_set(struct loop_watch *watch, unsigned events)
{
    (void)watch;
    (void)events;
    return -1;
}

void loop_watch_free(struct loop_watch *watch)
{
    (void)watch;
}

int loop_on_signal(struct loop *loop, int signum, loop_fn *fn, void *arg, struct fault *fault)
{
    (void)loop;
    (void)signum;
    (void)fn;
    (void)arg;
    return fault_set(fault, FAULT_SYSTEM, "no signals here");
}

/* ---- The pool ---- */

struct pool *pool_new(struct loop *loop, unsigned threads, size_t queue_max, struct fault *fault)
{
    struct pool *pool = calloc(1, sizeof *pool);
    (void)threads;
    (void)queue_max;
    if (pool == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    pool->loop = loop;
    pool->end = &pool->first;
    pool->link = &pools;
    pool->next = pools;
    if (pool->next != NULL)
        pool->next->link = &pool->next;
    pools = pool;
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    for (struct job *job; (job = pool->first) != NULL; free(job)) {
        pool->first = job->next;
        job->done(job->arg); /* of one that never ran, too */
    }
    *pool->link = pool->next;
    if (pool->next != NULL)
        pool->next->link = pool->link;
    free(pool);
}

int pool_submit(struct pool *pool, loop_fn *work, loop_fn *done, void *arg, struct fault *fault)
{
    return pool_submit_ranked(pool, POOL_RANKS - 1, work, done, arg, fault);
}

int pool_submit_ranked(struct pool *pool, unsigned rank, loop_fn *work, loop_fn *done, void *arg,
                       struct fault *fault)
{
    struct job **at = &pool->first, *job = calloc(1, sizeof *job);
    if (job == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    while (*at != NULL && ((*at)->worked || (*at)->rank <= rank))
        at = &(*at)->next;
    *job = (struct job){.work = work, .done = done, .arg = arg, .rank = rank, .next = *at};
    *at = job;
    if (job->next == NULL)
        pool->end = &job->next;
    return 0;
}

/* ---- The client ---- */

struct client {
    struct loop *loop;
    struct client_call *calls;
};

struct client_call {
    struct client *client;
    struct loop_timer *timer;
    unsigned status;
    client_done_fn *done;
    void *arg;
    struct client_call *next, **link;
};

struct client *client_new(struct loop *loop, struct fault *fault)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else
        client->loop = loop;
    return client;
}

void client_cancel(struct client_call *call)
{
    if (call == NULL)
        return;
    loop_timer_free(call->timer);
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    free(call);
}

void client_free(struct client *client)
{
    while (client != NULL && client->calls != NULL)
        client_cancel(client->calls);
    free(client);
}

static void on_answered(void *arg)
{
    struct client_call *call = arg;
    client_done_fn *done = call->done;
    void *done_arg = call->arg;
    unsigned status = call->status;
    client_cancel(call);
    const struct client_answer answer = {
        .status = status, .why = status == 0 ? "no answer" : NULL, .body = ""};
    done(done_arg, &answer);
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault)
{
    struct client_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    fake.posts++;
    *call = (struct client_call){.client = client, .done = done, .arg = arg};
    call->status = fake.answer == NULL ? 200 : fake.answer(request);
    call->timer = loop_timer_new(client->loop, on_answered, call, fault);
    loop_timer_set(call->timer, fake.mono + fake.answer_us);
    call->link = &client->calls;
    call->next = client->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    client->calls = call;
    return call;
}

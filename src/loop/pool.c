/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads with bounded queues. Jobs go from the first of `queues` that has one (under the lock),
 * through a thread to `finished` (under the lock), from where the loop, woken by an eventfd, calls
 * their done functions. */
#include "loop/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/eventfd.h>

struct job {
    loop_fn *work, *done;
    void *arg;
    struct job *next;
};

struct list {
    struct job *first, **end;
    size_t count;
};

struct pool {
    struct loop_watch *watch;
    int event_fd;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list queues[POOL_RANKS], finished;
    size_t queue_max; /* of each */
    unsigned threads;
    int stop;
    pthread_t thread[];
};

static void list_init(struct list *list)
{
    list->first = NULL;
    list->end = &list->first;
    list->count = 0;
}

static void list_add(struct list *list, struct job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
    list->count++;
}

static struct job *list_take(struct list *list)
{
    struct job *job = list->first;
    if (job != NULL) {
        list->first = job->next;
        if (list->first == NULL)
            list->end = &list->first;
        list->count--;
    }
    return job;
}

static struct job *take_first(struct pool *pool)
{
    struct job *job = NULL;
    for (unsigned rank = 0; rank < POOL_RANKS && job == NULL; rank++)
        job = list_take(&pool->queues[rank]);
    return job;
}

static void *run_thread(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        struct job *job = take_first(pool);
        if (job == NULL) {
            pthread_cond_wait(&pool->more, &pool->lock);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        job->work(job->arg);
        pthread_mutex_lock(&pool->lock);
        list_add(&pool->finished, job);
        uint64_t one = 1;
        ssize_t written = write(pool->event_fd, &one, sizeof one);
        (void)written; /* fails only when the counter is full: then the loop is awake anyway */
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void finish_jobs(struct pool *pool)
{
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        struct job *job = list_take(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
        if (job == NULL)
            return;
        job->done(job->arg);
        free(job);
    }
}

static void on_finished(void *arg, unsigned events)
{
    struct pool *pool = arg;
    uint64_t count;
    ssize_t got = read(pool->event_fd, &count, sizeof count);
    (void)got;
    (void)events;
    finish_jobs(pool);
}

struct pool *pool_new(struct loop *loop, unsigned threads, size_t queue_max, struct fault *fault)
{
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->thread[0]);
    if (pool == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    for (unsigned rank = 0; rank < POOL_RANKS; rank++)
        list_init(&pool->queues[rank]);
    list_init(&pool->finished);
    pool->queue_max = queue_max;
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->event_fd >= 0)
        pool->watch = loop_watch_new(loop, pool->event_fd, LOOP_READABLE, on_finished, pool, fault);
    while (pool->watch != NULL && pool->threads < threads) {
        if (pthread_create(&pool->thread[pool->threads], NULL, run_thread, pool) != 0)
            break;
        pool->threads++;
    }
    if (pool->threads == 0) {
        fault_set(fault, FAULT_SYSTEM, "no worker thread could be started");
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    for (struct job *job; (job = take_first(pool)) != NULL;)
        list_add(&pool->finished, job);
    finish_jobs(pool);
    loop_watch_free(pool->watch);
    if (pool->event_fd >= 0)
        close(pool->event_fd);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int pool_submit_ranked(struct pool *pool, unsigned rank, loop_fn *work, loop_fn *done, void *arg,
                       struct fault *fault)
{
    struct list *queue = &pool->queues[rank];
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    job->work = work;
    job->done = done;
    job->arg = arg;
    pthread_mutex_lock(&pool->lock);
    int full = queue->count >= pool->queue_max;
    if (!full) {
        list_add(queue, job);
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    if (full) {
        free(job);
        return fault_set(fault, FAULT_OVERLOADED, "too much waits for a worker");
    }
    return 0;
}

int pool_submit(struct pool *pool, loop_fn *work, loop_fn *done, void *arg, struct fault *fault)
{
    return pool_submit_ranked(pool, POOL_RANKS - 1, work, done, arg, fault);
}

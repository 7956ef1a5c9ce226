/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pool: work on a thread, its completion on the loop, a queue with an end. A test whose loop
 * does not stop is ended by alarm(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include "loop/pool.h"

#define ALARM_S 60
#define JOBS    200

static struct loop *loop;
static pthread_t main_thread;
static unsigned done_count, done_wanted;

struct job {
    atomic_uint worked;
    unsigned done;
    bool worked_on_main, done_elsewhere;
    unsigned place; /* among the completions */
    sem_t *running, *release;
    struct pool *pool; /* the completion submits `next` to it */
    struct job *next;
};

static void work(void *arg)
{
    struct job *job = arg;
    job->worked_on_main = pthread_equal(pthread_self(), main_thread);
    if (job->running != NULL)
        sem_post(job->running);
    if (job->release != NULL) {
        while (sem_wait(job->release) != 0)
            ;
    }
    atomic_fetch_add(&job->worked, 1);
}

static void done(void *arg)
{
    struct job *job = arg;
    job->done_elsewhere = !pthread_equal(pthread_self(), main_thread);
    job->done++;
    job->place = ++done_count;
    if (job->next != NULL)
        assert_int_equal(pool_submit(job->pool, work, done, job->next, NULL), 0);
    if (done_count == done_wanted)
        loop_stop(loop);
}

static void until_done(unsigned wanted)
{
    done_wanted = wanted;
    loop_run(loop);
    assert_int_equal(done_count, wanted);
}

static int setup(void **state)
{
    (void)state;
    main_thread = pthread_self();
    done_count = done_wanted = 0;
    loop = loop_new(NULL);
    assert_non_null(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static struct pool *pool_make(unsigned threads, size_t queue_max)
{
    struct fault fault = {0};
    struct pool *pool = pool_new(loop, threads, queue_max, &fault);
    assert_non_null(pool);
    return pool;
}

static void assert_whole(const struct job *job)
{
    assert_int_equal(job->worked, 1);
    assert_int_equal(job->done, 1);
    assert_false(job->worked_on_main);
    assert_false(job->done_elsewhere);
}

static void test_work_and_done(void **state)
{
    static struct job jobs[JOBS];
    struct pool *pool = pool_make(3, JOBS);
    (void)state;
    memset(jobs, 0, sizeof jobs);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(pool_submit(pool, work, done, &jobs[i], NULL), 0);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].done, 0); /* on the loop, not before */
    until_done(JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        assert_whole(&jobs[i]);
    pool_free(pool);
}

static void test_one_thread_is_in_order(void **state)
{
    static struct job jobs[JOBS];
    struct pool *pool = pool_make(1, JOBS);
    (void)state;
    memset(jobs, 0, sizeof jobs);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(pool_submit(pool, work, done, &jobs[i], NULL), 0);
    until_done(JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].place, i + 1);
    pool_free(pool);
}

/* While one works: of each rank as many as fit, the first rank first, in order within one. */
static void test_ranks(void **state)
{
    struct job first = {0}, jobs[6] = {{0}};
    static const unsigned ranks[] = {2, 1, 0, 2, 1, 0}, places[] = {6, 4, 2, 7, 5, 3};
    struct fault fault = {0};
    sem_t running, release;
    struct pool *pool = pool_make(1, 2);
    (void)state;
    sem_init(&running, 0, 0);
    sem_init(&release, 0, 0);
    first.running = &running;
    first.release = &release;
    assert_int_equal(pool_submit(pool, work, done, &first, NULL), 0);
    while (sem_wait(&running) != 0)
        ;
    for (int i = 0; i < 6; i++)
        assert_int_equal(pool_submit_ranked(pool, ranks[i], work, done, &jobs[i], NULL), 0);
    assert_int_equal(pool_submit_ranked(pool, 0, work, done, &jobs[0], &fault), -1);
    assert_int_equal(fault.code, FAULT_OVERLOADED);
    assert_int_equal(pool_submit(pool, work, done, &jobs[0], NULL), -1);
    sem_post(&release);
    until_done(7);
    for (int i = 0; i < 6; i++)
        assert_int_equal(jobs[i].place, places[i]);
    pool_free(pool);
    sem_destroy(&running);
    sem_destroy(&release);
}

/* Three threads work at once: each waits until the others have begun. */
static void test_threads_at_once(void **state)
{
    struct job jobs[3] = {0};
    sem_t running, release;
    struct pool *pool = pool_make(3, 3);
    (void)state;
    sem_init(&running, 0, 0);
    sem_init(&release, 0, 0);
    for (int i = 0; i < 3; i++) {
        jobs[i].running = &running;
        jobs[i].release = &release;
        assert_int_equal(pool_submit(pool, work, done, &jobs[i], NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        while (sem_wait(&running) != 0)
            ;
    }
    for (int i = 0; i < 3; i++)
        sem_post(&release);
    until_done(3);
    pool_free(pool);
    sem_destroy(&running);
    sem_destroy(&release);
}

/* One runs, two wait, the next is refused: neither of its functions is ever called. */
static void test_queue_is_bounded(void **state)
{
    struct job running = {0}, waiting[2] = {0}, refused = {0}, later = {0};
    sem_t runs, release;
    struct fault fault = {0};
    struct pool *pool = pool_make(1, 2);
    (void)state;
    sem_init(&runs, 0, 0);
    sem_init(&release, 0, 0);
    running.running = &runs;
    running.release = &release;
    assert_int_equal(pool_submit(pool, work, done, &running, NULL), 0);
    while (sem_wait(&runs) != 0)
        ;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pool_submit(pool, work, done, &waiting[i], NULL), 0);
    assert_int_equal(pool_submit(pool, work, done, &refused, &fault), -1);
    assert_int_equal(fault.code, FAULT_OVERLOADED);
    sem_post(&release);
    until_done(3);
    assert_int_equal(pool_submit(pool, work, done, &later, NULL), 0); /* there is room again */
    until_done(4);
    assert_whole(&running);
    assert_whole(&waiting[0]);
    assert_whole(&waiting[1]);
    assert_whole(&later);
    assert_int_equal(refused.worked, 0);
    assert_int_equal(refused.done, 0);
    pool_free(pool);
    sem_destroy(&runs);
    sem_destroy(&release);
}

/* A completion may submit more. */
static void test_done_submits(void **state)
{
    struct job first = {0}, second = {0};
    struct pool *pool = pool_make(1, 1);
    (void)state;
    first.pool = pool;
    first.next = &second;
    assert_int_equal(pool_submit(pool, work, done, &first, NULL), 0);
    until_done(2);
    assert_whole(&first);
    assert_whole(&second);
    pool_free(pool);
}

static atomic_bool freeing;
static pid_t main_tid;

/* 'S' while the thread sleeps in the kernel; see proc(5). */
static char main_state(void)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)main_tid);
    FILE *file = fopen(path, "r");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL)
        fclose(file);
    text[len] = '\0';
    const char *end = strrchr(text, ')');
    return end == NULL || end[1] == '\0' ? '?' : end[2];
}

/* Works until the main thread waits for it, in pool_free(). */
static void work_until_awaited(void *arg)
{
    struct job *job = arg;
    sem_post(job->running);
    while (!freeing || main_state() != 'S')
        sched_yield();
    atomic_fetch_add(&job->worked, 1);
}

/* Freed with one at work and many queued: what runs is awaited, what is queued is dropped, and
 * every done function is called exactly once, on the loop's thread, before pool_free() returns. */
static void test_free_busy(void **state)
{
    static struct job jobs[JOBS];
    sem_t runs;
    struct pool *pool = pool_make(1, JOBS);
    (void)state;
    memset(jobs, 0, sizeof jobs);
    sem_init(&runs, 0, 0);
    freeing = false;
    main_tid = gettid();
    jobs[0].running = &runs;
    assert_int_equal(pool_submit(pool, work_until_awaited, done, &jobs[0], NULL), 0);
    while (sem_wait(&runs) != 0)
        ;
    for (unsigned i = 1; i < JOBS; i++)
        assert_int_equal(pool_submit(pool, work, done, &jobs[i], NULL), 0);
    freeing = true;
    pool_free(pool);
    assert_int_equal(done_count, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].worked, i == 0 ? 1 : 0);
        assert_int_equal(jobs[i].done, 1);
        assert_int_equal(jobs[i].place, i + 1);
        assert_false(jobs[i].done_elsewhere);
    }
    sem_destroy(&runs);
}

static void test_free_idle(void **state)
{
    (void)state;
    pool_free(pool_make(4, 1));
    pool_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_work_and_done),    TEST(test_one_thread_is_in_order), TEST(test_threads_at_once),
        TEST(test_queue_is_bounded), TEST(test_done_submits),           TEST(test_free_busy),
        TEST(test_free_idle),        TEST(test_ranks),
    };
    alarm(ALARM_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

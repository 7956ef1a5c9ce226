/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop: timers, descriptors, signals, and the functions before the wait. A test whose loop does
 * not stop is ended by alarm(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "loop/loop.h"

#define MS       INT64_C(1000)
#define ALARM_S  60
#define FAR_AWAY (3600 * 1000 * MS)

static struct loop *loop;

static int setup(void **state)
{
    struct fault fault = {0};
    (void)state;
    loop = loop_new(&fault);
    assert_non_null(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    loop = NULL;
    return 0;
}

/* ---- Timers ---- */

struct tick {
    struct loop_timer *timer;
    int64_t due, fired_at;
    unsigned fired, stop_at; /* stops the loop when fired so often */
    unsigned again;          /* sets itself again so often */
    struct tick *clears, *frees;
    unsigned *sequence;
    unsigned place;
};

static void on_tick(void *arg)
{
    struct tick *tick = arg;
    tick->fired_at = clock_mono_us();
    assert_true(tick->fired_at >= tick->due); /* never early */
    tick->fired++;
    if (tick->sequence != NULL)
        tick->place = ++*tick->sequence;
    if (tick->again > 0) {
        tick->again--;
        tick->due = clock_mono_us() + 2 * MS;
        loop_timer_set(tick->timer, tick->due);
    }
    if (tick->clears != NULL)
        loop_timer_clear(tick->clears->timer);
    if (tick->frees != NULL) {
        loop_timer_free(tick->frees->timer);
        tick->frees->timer = NULL;
    }
    if (tick->fired == tick->stop_at)
        loop_stop(loop);
}

static void tick_new(struct tick *tick, int64_t due)
{
    memset(tick, 0, sizeof *tick);
    tick->due = due;
    tick->timer = loop_timer_new(loop, on_tick, tick, NULL);
    assert_non_null(tick->timer);
    if (due != 0)
        loop_timer_set(tick->timer, due);
}

static void test_timers_in_order(void **state)
{
    struct tick ticks[4];
    unsigned sequence = 0;
    static const int64_t after[4] = {30 * MS, 10 * MS, -5 * MS, 20 * MS};
    static const unsigned places[4] = {4, 2, 1, 3};
    int64_t now = clock_mono_us();
    (void)state;
    for (int i = 0; i < 4; i++) {
        tick_new(&ticks[i], now + after[i]); /* one that is past due comes too */
        ticks[i].sequence = &sequence;
    }
    ticks[0].stop_at = 1;
    loop_run(loop);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ticks[i].fired, 1); /* one-shot */
        assert_int_equal(ticks[i].place, places[i]);
        loop_timer_free(ticks[i].timer);
    }
    loop_timer_free(NULL);
}

/* Never early, down to the microsecond: due times all over the millisecond. */
static void test_timer_never_early(void **state)
{
    struct tick ticks[40];
    int64_t now = clock_mono_us();
    (void)state;
    for (int i = 0; i < 40; i++)
        tick_new(&ticks[i], now + 2 * MS + 137 * i);
    ticks[39].stop_at = 1;
    loop_run(loop);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(ticks[i].fired, 1); /* on_tick() compares the clock */
        loop_timer_free(ticks[i].timer);
    }
}

/* The loop's own idea of now may lie behind, when what it called took long. */
static void test_timer_after_long_work(void **state)
{
    struct tick tick;
    int64_t until = clock_mono_us() + 30 * MS;
    (void)state;
    while (clock_mono_us() < until)
        ; /* work */
    tick_new(&tick, clock_mono_us() + 10 * MS);
    tick.stop_at = 1;
    loop_run(loop);
    assert_int_equal(tick.fired, 1);
    loop_timer_free(tick.timer);
}

static void test_timer_own_hand(void **state)
{
    struct tick again, cleared, self, freed, moved, unarmed, last;
    int64_t now = clock_mono_us();
    (void)state;
    tick_new(&again, now + 1 * MS);
    again.again = 3;
    tick_new(&cleared, now + 8 * MS);
    again.clears = &cleared;
    tick_new(&self, now + 3 * MS);
    self.frees = &self;
    tick_new(&freed, now + 9 * MS);
    tick_new(&moved, now + FAR_AWAY);
    moved.due = now + 5 * MS;
    loop_timer_set(moved.timer, moved.due); /* a later word replaces the earlier */
    moved.frees = &freed;
    tick_new(&unarmed, 0);
    tick_new(&last, now + 60 * MS);
    last.stop_at = 1;
    loop_run(loop);
    assert_int_equal(again.fired, 4);
    assert_int_equal(cleared.fired, 0);
    assert_int_equal(self.fired, 1);
    assert_int_equal(freed.fired, 0);
    assert_int_equal(moved.fired, 1);
    assert_int_equal(unarmed.fired, 0);
    loop_timer_free(again.timer);
    loop_timer_free(cleared.timer);
    loop_timer_free(moved.timer);
    loop_timer_free(unarmed.timer);
    loop_timer_free(last.timer);
}

/* ---- Descriptors ---- */

struct heard {
    struct loop_watch *watch;
    int fd;
    unsigned calls, events;
    bool frees_itself, stops;
};

static void on_events(void *arg, unsigned events)
{
    struct heard *heard = arg;
    char byte;
    heard->calls++;
    heard->events |= events;
    if (events & LOOP_READABLE)
        assert_true(read(heard->fd, &byte, 1) >= 0);
    if (heard->frees_itself) {
        loop_watch_free(heard->watch);
        heard->watch = NULL;
    }
    if (heard->stops)
        loop_stop(loop);
}

static void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void test_watch(void **state)
{
    int fds[2];
    struct heard heard = {.stops = true};
    (void)state;
    open_pair(fds);
    heard.fd = fds[0];
    heard.watch = loop_watch_new(loop, fds[0], LOOP_READABLE, on_events, &heard, NULL);
    assert_non_null(heard.watch);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_run(loop);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.events, LOOP_READABLE);

    heard.events = 0; /* the same watch, for another event */
    assert_int_equal(loop_watch_set(heard.watch, LOOP_WRITABLE), 0);
    loop_run(loop);
    assert_int_equal(heard.events, LOOP_WRITABLE);

    heard.events = 0;
    assert_int_equal(loop_watch_set(heard.watch, LOOP_DISCONNECT), 0);
    close(fds[1]);
    loop_run(loop);
    assert_int_equal(heard.events, LOOP_DISCONNECT);
    loop_watch_free(heard.watch);
    loop_watch_free(NULL);
    close(fds[0]);
}

/* A watch that is freed, by itself or not, is never called again, whatever comes. */
static void test_watch_freed(void **state)
{
    int fds[2], others[2];
    struct heard self = {.frees_itself = true}, other = {0};
    struct tick last;
    (void)state;
    open_pair(fds);
    open_pair(others);
    self.fd = fds[0];
    other.fd = others[0];
    self.watch = loop_watch_new(loop, fds[0], LOOP_READABLE, on_events, &self, NULL);
    other.watch = loop_watch_new(loop, others[0], LOOP_READABLE, on_events, &other, NULL);
    assert_int_equal(write(fds[1], "xyz", 3), 3); /* readable for longer than one call */
    assert_int_equal(write(others[1], "x", 1), 1);
    loop_watch_free(other.watch);
    tick_new(&last, clock_mono_us() + 10 * MS);
    last.stop_at = 1;
    loop_run(loop);
    assert_int_equal(self.calls, 1);
    assert_int_equal(other.calls, 0);
    assert_int_equal(write(fds[0], "x", 1), 1); /* the descriptor stayed ours */
    loop_timer_free(last.timer);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(others[i]);
    }
}

static void test_watch_bad(void **state)
{
    struct heard heard = {0};
    struct fault fault = {0};
    (void)state;
    assert_null(loop_watch_new(loop, -1, LOOP_READABLE, on_events, &heard, &fault));
    assert_int_equal(fault.code, FAULT_SYSTEM);
    assert_string_not_equal(fault.message, "");
}

/* ---- Signals ---- */

static void on_count(void *arg)
{
    unsigned *count = arg;
    ++*count;
    loop_stop(loop);
}

static void test_signal(void **state)
{
    unsigned first = 0, second = 0;
    (void)state;
    assert_int_equal(loop_on_signal(loop, SIGUSR1, on_count, &first, NULL), 0);
    assert_int_equal(loop_on_signal(loop, SIGUSR2, on_count, &second, NULL), 0);
    raise(SIGUSR1);
    loop_run(loop);
    assert_int_equal(first, 1);
    raise(SIGUSR1); /* on each delivery, not just the first */
    loop_run(loop);
    assert_int_equal(first, 2);
    assert_int_equal(second, 0);
    raise(SIGUSR2);
    loop_run(loop);
    assert_int_equal(second, 1);
}

static void test_signal_bad(void **state)
{
    struct fault fault = {0};
    unsigned count = 0;
    (void)state;
    assert_int_equal(loop_on_signal(loop, SIGKILL, on_count, &count, &fault), -1);
    assert_int_equal(fault.code, FAULT_SYSTEM);
}

/* ---- Before the wait ---- */

struct turns {
    unsigned count, wakes, stop_at;
};

static void on_turn(void *arg)
{
    struct turns *turns = arg;
    turns->count++;
    if (turns->wakes > 0) {
        turns->wakes--;
        loop_wake(loop);
    }
    if (turns->count == turns->stop_at)
        loop_stop(loop);
}

/* Each wake is one more turn: nothing else is there that could end the wait. */
static void test_wake(void **state)
{
    struct turns turns = {.wakes = 100, .stop_at = 101};
    (void)state;
    assert_int_equal(loop_before_wait(loop, on_turn, &turns, NULL), 0);
    loop_run(loop);
    assert_int_equal(turns.count, 101);
    assert_int_equal(turns.wakes, 0);
}

/* ... and no more than one: a loop that was woken once sleeps again. */
static void test_wake_once(void **state)
{
    struct turns turns = {.wakes = 1};
    struct tick last;
    (void)state;
    assert_int_equal(loop_before_wait(loop, on_turn, &turns, NULL), 0);
    tick_new(&last, clock_mono_us() + 20 * MS);
    last.stop_at = 1;
    loop_run(loop);
    assert_in_range(turns.count, 2, 8); /* not a busy loop */
    loop_timer_free(last.timer);
}

struct waker {
    struct turns *turns;
    unsigned at_wake;
};

static void on_wake_from_timer(void *arg)
{
    struct waker *waker = arg;
    waker->at_wake = waker->turns->count;
    waker->turns->stop_at = waker->at_wake + 1;
    loop_wake(loop);
}

/* From wherever it is called, the before-wait functions come after it and before the loop sleeps.
 */
static void test_wake_from_timer(void **state)
{
    struct turns turns = {0};
    struct waker waker = {.turns = &turns};
    struct loop_timer *timer = loop_timer_new(loop, on_wake_from_timer, &waker, NULL);
    (void)state;
    assert_int_equal(loop_before_wait(loop, on_turn, &turns, NULL), 0);
    loop_timer_set(timer, clock_mono_us() + 2 * MS);
    loop_run(loop);
    assert_int_equal(turns.count, waker.at_wake + 1);
    loop_timer_free(timer);
}

/* ---- The loop itself ---- */

/* A stop that comes first is not lost; what was made before the run is still there after it. */
static void test_stop(void **state)
{
    struct turns turns = {.stop_at = 1};
    (void)state;
    assert_int_equal(loop_before_wait(loop, on_turn, &turns, NULL), 0);
    loop_stop(loop);
    loop_run(loop);
    assert_int_equal(turns.count, 0);
    loop_run(loop);
    assert_int_equal(turns.count, 1);
    turns.stop_at = 2;
    loop_wake(loop);
    loop_run(loop);
    assert_int_equal(turns.count, 2);
    loop_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_timers_in_order),
        TEST(test_timer_never_early),
        TEST(test_timer_own_hand),
        TEST(test_timer_after_long_work),
        TEST(test_watch),
        TEST(test_watch_freed),
        TEST(test_watch_bad),
        TEST(test_signal),
        TEST(test_signal_bad),
        TEST(test_wake),
        TEST(test_wake_once),
        TEST(test_wake_from_timer),
        TEST(test_stop),
    };
    alarm(ALARM_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

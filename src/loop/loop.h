/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop: one thread that owns all state. Timers, descriptors and signals, on libuv, which is
 * known nowhere else. All calls are for the loop's own thread. Times are clock_mono_us(). */
#ifndef NMID_LOOP_LOOP_H
#define NMID_LOOP_LOOP_H

#include <stdint.h>
#include "base/fault.h"

struct loop;
struct loop_timer;
struct loop_watch;

typedef void loop_fn(void *arg);
typedef void loop_watch_fn(void *arg, unsigned events);

#define LOOP_READABLE   1u
#define LOOP_WRITABLE   2u
#define LOOP_DISCONNECT 4u /* the peer closed or shut down its side */

struct loop *loop_new(struct fault *fault);

/* Everything made from the loop must be freed before; what is left is closed here. NULL-safe. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One-shot timers, disarmed when made. Resolution: a millisecond, never early.
 * The function may set, clear or free its own timer. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault);
void loop_timer_set(struct loop_timer *timer, int64_t at_us);
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL-safe */

/* Watches a descriptor, which stays the caller's: free the watch before closing it. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, unsigned events, loop_watch_fn *fn,
                                  void *arg, struct fault *fault);
int loop_watch_set(struct loop_watch *watch, unsigned events);
void loop_watch_free(struct loop_watch *watch); /* NULL-safe */

/* Calls fn on each delivery of a signal, from the loop. */
int loop_on_signal(struct loop *loop, int signum, loop_fn *fn, void *arg, struct fault *fault);

/* Calls fn in every turn, just before the loop waits. For work that collects during a turn
 * (libmicrohttpd's resumes; the journal's group commit). */
int loop_before_wait(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault);

/* Whatever calls this, the before-wait functions run once more before the loop sleeps. */
void loop_wake(struct loop *loop);

#endif

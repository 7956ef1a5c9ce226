/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pool: a few threads for one kind of work that blocks (name look-up, bcrypt, libvirt), with a
 * bounded queue. The work runs on a thread, its completion on the loop. */
#ifndef NMID_LOOP_POOL_H
#define NMID_LOOP_POOL_H

#include <stddef.h>
#include "loop/loop.h"

struct pool;

struct pool *pool_new(struct loop *loop, unsigned threads, size_t queue_max, struct fault *fault);

/* Waits for the work that runs, drops what is queued (their done functions are called first),
 * then frees. NULL-safe. */
void pool_free(struct pool *pool);

/* Runs work(arg) on a thread, then done(arg) on the loop. FAULT_OVERLOADED when the queue is full:
 * then neither is called. */
int pool_submit(struct pool *pool, loop_fn *work, loop_fn *done, void *arg, struct fault *fault);

/* The same from one of POOL_RANKS queues, each as long: what is in rank 0 is worked on first, then
 * 1; pool_submit() has the last. */
#define POOL_RANKS 3
int pool_submit_ranked(struct pool *pool, unsigned rank, loop_fn *work, loop_fn *done, void *arg,
                       struct fault *fault);

#endif

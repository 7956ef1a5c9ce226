/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A loop in simulated time: all of base/clock.h, loop/loop.h, loop/pool.h and loop/client.h, so
 * that the linker leaves the real ones in their archive. When there is nothing to do, the clock
 * jumps to the next timer: a day passes in the time that its work takes. One loop at a time. */
#ifndef NMID_TESTS_FAKE_LOOP_H
#define NMID_TESTS_FAKE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "loop/client.h"
#include "loop/loop.h"
#include "loop/pool.h"

#define FAKE_SECOND INT64_C(1000000)
#define FAKE_DAY    (86400 * FAKE_SECOND)

struct fake {
    int64_t mono, wall; /* now; a test may move either, when no loop runs */

    unsigned long turns; /* of the loop, in all */
    unsigned long jumps; /* of these, so many slept until a timer */

    /* The pools: a job's work is done in one turn, its completion comes in the next. */
    bool hold; /* the threads hang: no work is done */
    unsigned long jobs;

    /* The client: what a request is answered, and how long that takes. NULL: 200 at once. */
    unsigned (*answer)(const struct client_request *request);
    int64_t answer_us;
    unsigned long posts;
};

extern struct fake fake;

/* The clocks at their start, the counters 0. */
void fake_reset(void);

/* Runs the loop until so much simulated time has passed. */
void fake_run_for(struct loop *loop, int64_t us);

#endif

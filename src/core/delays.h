/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers that are held back for a while: at most so many at once, each with a timer of its own. */
#ifndef NMID_CORE_DELAYS_H
#define NMID_CORE_DELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include "loop/loop.h"

struct delays;
struct delay; /* one that waits */

/* At most max wait at once. NULL with a fault when memory is out. */
struct delays *delays_new(struct loop *loop, size_t max, struct fault *fault);
void delays_free(struct delays *delays); /* NULL-safe; what waits must be over or cancelled */

/* As many wait as may. */
bool delays_full(const struct delays *delays);

/* Calls fn(arg) once, us microseconds from now, in a turn of the loop. NULL when that cannot be,
 * for want of room or memory, or since everything is in a hurry: the caller then goes on at once.
 */
struct delay *delay_start(struct delays *delays, int64_t us, loop_fn *fn, void *arg);
void delay_cancel(struct delay *delay); /* fn is not called */

/* The process ends: calls what waits, now, and from now on nothing waits any more. */
void delays_hurry(struct delays *delays);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Points in time as people and clients write them: RFC 3339. */
#ifndef NMID_BASE_WHEN_H
#define NMID_BASE_WHEN_H

#include <stdint.h>

/* "2026-11-22T21:28:23Z", with a fraction of a second and an offset where there are any; or a day
 * alone, which is its midnight in UTC. 0, and the wall clock's microseconds (at least 1), or -1. */
int when_parse(const char *text, int64_t *ret_wall_us);

#endif

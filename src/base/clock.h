/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two clocks, both in microseconds: the monotonic one for every timer and deadline, the wall
 * clock only for what people read. */
#ifndef NMID_BASE_CLOCK_H
#define NMID_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_MAX 40 /* "2026-11-22T21:28:23.000000Z" and its NUL, with room to spare */

int64_t clock_mono_us(void); /* CLOCK_MONOTONIC */
int64_t clock_wall_us(void); /* CLOCK_REALTIME, since 1970 */

/* Writes an RFC 3339 UTC time with microseconds into text (CLOCK_TEXT_MAX bytes); returns text. */
char *clock_text(int64_t wall_us, char text[CLOCK_TEXT_MAX]);

#endif

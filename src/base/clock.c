/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return now_us(CLOCK_REALTIME);
}

char *clock_text(int64_t wall_us, char text[CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    char day[24];
    gmtime_r(&seconds, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, CLOCK_TEXT_MAX, "%s.%06dZ", day, (int)(wall_us % 1000000));
    return text;
}

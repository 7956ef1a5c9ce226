/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For LD_PRELOAD: sets a program's clocks. The file that CLOCK_SHIM names holds two numbers, the
 * seconds by which CLOCK_REALTIME and CLOCK_MONOTONIC are shifted; it is read at each call. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int shim_fd = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_SHIM");
    if (path != NULL)
        shim_fd = open(path, O_RDONLY | O_CLOEXEC);
}

/* The file is written in one piece, so it is read in one. */
static long shift_of(clockid_t id)
{
    char text[64], *rest = text;
    ssize_t len = shim_fd < 0 ? -1 : pread(shim_fd, text, sizeof text - 1, 0);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    long wall = strtol(text, &rest, 10), mono = strtol(rest, NULL, 10);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        return wall;
    return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_MONOTONIC_RAW ? mono
                                                                                              : 0;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, id, now);
    if (result == 0)
        now->tv_sec += shift_of(id);
    return (int)result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret_now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (ret_now != NULL)
        *ret_now = precise.tv_sec;
    return precise.tv_sec;
}

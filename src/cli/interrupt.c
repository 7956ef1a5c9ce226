/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals through a pipe to the one place that waits. */
#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int ends[2] = {-1, -1};
static volatile sig_atomic_t caught;

static void handler(int signal_number)
{
    int saved = errno;
    caught = signal_number;
    while (write(ends[1], "", 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}

int interrupt_open(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction before, action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        /* What nohup or a script had ignored stays ignored. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    return ends[0];
}

int interrupt_signal(void)
{
    return caught;
}

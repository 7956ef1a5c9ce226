/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The echo is off while the user types, and on again whatever ends it: a signal is held back until
 * the terminal is as it was. */
#include "cli/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "cli/text.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNALS (sizeof signals / sizeof signals[0])

static volatile sig_atomic_t caught;

static void handler(int signal_number)
{
    caught = signal_number;
}

struct taken {
    struct sigaction actions[SIGNALS];
    sigset_t mask;
};

/* From here on they come only while ppoll() waits: none is lost between a look and a wait. */
static void signals_take(struct taken *taken)
{
    struct sigaction action = {.sa_handler = handler};
    sigset_t blocked;
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&blocked, signals[i]);
    sigprocmask(SIG_BLOCK, &blocked, &taken->mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (sigaction(signals[i], NULL, &taken->actions[i]) == 0 &&
            taken->actions[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

static void signals_give_back(const struct taken *taken)
{
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &taken->actions[i], NULL);
    sigprocmask(SIG_SETMASK, &taken->mask, NULL);
}

/* One line, without its end. -1: the end of the input, or a signal (caught), or too long. */
static int line_read(const sigset_t *mask, char line[PROMPT_MAX + 1], size_t *ret_len,
                     struct fault *fault)
{
    size_t len = 0;
    bool too_long = false;
    for (;;) {
        char c;
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (ppoll(&input, 1, NULL, mask) < 0 && errno == EINTR && caught == 0)
            continue;
        if (caught != 0 || read(STDIN_FILENO, &c, 1) <= 0)
            return fault_set(fault, FAULT_USAGE, "no password was given");
        if (c == '\n')
            break;
        if (len < PROMPT_MAX)
            line[len++] = c;
        else
            too_long = true;
    }
    if (too_long || len == 0)
        return fault_set(fault, FAULT_USAGE, "a password has 1 to %d bytes", PROMPT_MAX);
    *ret_len = len;
    return 0;
}

struct secret *prompt_password(const char *question, struct fault *fault)
{
    struct termios before, silent;
    struct taken taken;
    struct secret *secret = NULL;
    char line[PROMPT_MAX + 1];
    size_t len = 0;
    int rc, signal_number;
    if (tcgetattr(STDIN_FILENO, &before) < 0) {
        fault_set(fault, FAULT_USAGE, "there is no terminal to ask for the password on");
        return NULL;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    do {
        struct fault why = {0};
        caught = 0;
        signals_take(&taken);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        text_put(stderr, question);
        fflush(stderr);
        rc = line_read(&taken.mask, line, &len, &why);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
        signals_give_back(&taken);
        signal_number = caught;
        if (signal_number != 0)
            raise(signal_number);
        else if (rc < 0)
            fault_set(fault, why.code, "%s", why.message);
        /* Here again after a stop, or when the signal is taken by somebody: asked anew. */
    } while (signal_number != 0);
    if (rc == 0 && (secret = secret_new(line, len)) == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    secret_wipe(line, sizeof line);
    return secret;
}

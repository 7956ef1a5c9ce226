/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trouble with a service that is asked again and again: it is in the log at most once a minute,
 * and when it is over; also when it comes and goes. */
#ifndef NMID_CORE_TROUBLE_H
#define NMID_CORE_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

struct trouble {
    bool there;
    bool told;         /* it stands in the log, and that it is over does not */
    int64_t logged_at; /* 0: never */
    unsigned unlogged; /* since */
};

/* Logs it as an error, unless that was done within the last minute. */
void trouble_note(struct trouble *trouble, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as a warning: it is somebody else's doing. */
void trouble_warn(struct trouble *trouble, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* " (8 times more since the last line)", or "" for 0. */
#define TROUBLE_MORE 64
const char *trouble_more(unsigned count, char text[TROUBLE_MORE]);

/* When there was trouble, and the log has it, logs that it is over. */
void trouble_over(struct trouble *trouble, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

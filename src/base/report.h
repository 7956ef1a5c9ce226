/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A report: every mistake of a configuration at once, each with its file and line. */
#ifndef NMID_BASE_REPORT_H
#define NMID_BASE_REPORT_H

#include <stddef.h>

struct report {
    char **lines; /* "FILE:LINE: what", in the order found; owned */
    size_t count;
    size_t dropped; /* lines past REPORT_MAX that were only counted */
};

#define REPORT_MAX 1000

/* Adds "FILE:LINE: message"; line 0 leaves the line out; file NULL leaves both out.
 * Always returns -1, so that a check can `return report_add(...)`. */
int report_add(struct report *report, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Frees the lines and empties the report; the struct itself is the caller's. */
void report_clear(struct report *report);

#endif

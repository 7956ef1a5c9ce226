/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of mistakes that `nmid -t` prints. */
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *line_format(const char *file, unsigned line, const char *message)
{
    char *text = NULL;
    int len;
    if (file == NULL)
        len = asprintf(&text, "%s", message);
    else if (line == 0)
        len = asprintf(&text, "%s: %s", file, message);
    else
        len = asprintf(&text, "%s:%u: %s", file, line, message);
    return len < 0 ? NULL : text;
}

int report_add(struct report *report, const char *file, unsigned line, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    if (report == NULL)
        return -1;
    if (report->count >= REPORT_MAX) {
        report->dropped++;
        return -1;
    }
    char **lines = reallocarray(report->lines, report->count + 1, sizeof *lines);
    if (lines == NULL) {
        report->dropped++;
        return -1;
    }
    report->lines = lines;
    char *text = line_format(file, line, message);
    if (text == NULL) {
        report->dropped++;
        return -1;
    }
    lines[report->count++] = text;
    return -1;
}

void report_clear(struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->lines[i]);
    free(report->lines);
    memset(report, 0, sizeof *report);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"

#define QUIET_US INT64_C(60000000)

const char *trouble_more(unsigned count, char text[TROUBLE_MORE])
{
    text[0] = '\0';
    if (count == 1)
        snprintf(text, TROUBLE_MORE, " (once more since the last line)");
    else if (count > 1)
        snprintf(text, TROUBLE_MORE, " (%u times more since the last line)", count);
    return text;
}

typedef void log_fn(const char *format, ...);

static void note(struct trouble *trouble, log_fn *log, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void note(struct trouble *trouble, log_fn *log, const char *format, va_list args)
{
    int64_t now = clock_mono_us();
    char text[1024], more[TROUBLE_MORE];
    trouble->there = true;
    if (trouble->logged_at != 0 && now - trouble->logged_at < QUIET_US) {
        trouble->unlogged++;
        return;
    }
    vsnprintf(text, sizeof text, format, args);
    log("%s%s", text, trouble_more(trouble->unlogged, more));
    *trouble = (struct trouble){.there = true, .told = true, .logged_at = now};
}

void trouble_note(struct trouble *trouble, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(trouble, log_error, format, args);
    va_end(args);
}

void trouble_warn(struct trouble *trouble, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(trouble, log_warning, format, args);
    va_end(args);
}

void trouble_over(struct trouble *trouble, const char *format, ...)
{
    char text[1024];
    bool told = trouble->told;
    trouble->there = trouble->told = false;
    if (!told)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_info("%s", text);
}

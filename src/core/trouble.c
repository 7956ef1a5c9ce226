/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"

#define QUIET_US INT64_C(60000000)

void trouble_note(struct trouble *trouble, const char *format, ...)
{
    int64_t now = clock_mono_us();
    char text[1024], more[64] = "";
    trouble->there = true;
    if (trouble->logged_at != 0 && now - trouble->logged_at < QUIET_US) {
        trouble->unlogged++;
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (trouble->unlogged > 0)
        snprintf(more, sizeof more, " (%u times more since the last line)", trouble->unlogged);
    log_error("%s%s", text, more);
    *trouble = (struct trouble){.there = true, .told = true, .logged_at = now};
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

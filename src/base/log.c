/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line per event on stderr. Where that is the system's journal the line begins with the
 * priority as sd-daemon(3) describes; elsewhere with the time. */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/record.h"

#define LINE_MAX_BYTES 2048

static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error: ";
    case LOG_LEVEL_WARNING:
        return "warning: ";
    case LOG_LEVEL_DEBUG:
        return "debug: ";
    case LOG_LEVEL_INFO:
        break;
    }
    return "";
}

/* Copies message to line from position at; a control character becomes \xNN, so that nothing that
 * came from a client can forge a line. */
static size_t line_append(char *line, size_t at, const char *message)
{
    static const char hex[] = "0123456789abcdef";
    for (const char *p = message; *p != '\0' && at < LINE_MAX_BYTES - 6; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f) {
            line[at++] = '\\';
            line[at++] = 'x';
            line[at++] = hex[c >> 4];
            line[at++] = hex[c & 15];
        } else {
            line[at++] = (char)c;
        }
    }
    return at;
}

/* One write, so that lines of several processes do not mix. When nobody reads, the line is lost,
 * and the next one that gets through says so: a log must never stop the daemon. (A pipe that is
 * writable takes 4096 bytes at once, pipe(7).) */
static void line_out(const char *line, size_t len)
{
    static unsigned lost;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) {
        lost++;
        return;
    }
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
    if (lost > 0) {
        unsigned count = lost;
        lost = 0;
        log_warning("%u lines of this log were lost: nobody read it", count);
    }
}

static void line_write(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void line_write(enum log_level level, const char *format, va_list args)
{
    if (level > threshold)
        return;
    char message[LINE_MAX_BYTES], line[LINE_MAX_BYTES], prefix[64], text[CLOCK_TEXT_MAX];
    vsnprintf(message, sizeof message, format, args);
    if (record_is_journal())
        snprintf(prefix, sizeof prefix, "<%d>", (int)level);
    else
        snprintf(prefix, sizeof prefix, "%s nmid: %s", clock_text(clock_wall_us(), text),
                 level_name(level));
    size_t len = line_append(line, 0, prefix);
    len = line_append(line, len, message);
    line[len++] = '\n';
    line_out(line, len);
}

#define DEFINE_LEVEL(function, level)                                                              \
    void function(const char *format, ...)                                                         \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        line_write(level, format, args);                                                           \
        va_end(args);                                                                              \
    }

DEFINE_LEVEL(log_error, LOG_LEVEL_ERROR)
DEFINE_LEVEL(log_warning, LOG_LEVEL_WARNING)
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO)
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG)

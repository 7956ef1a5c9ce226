/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log: one line per event on stderr; under systemd with its "<N>" priority prefix.
 * Never hand it a secret, a token or a body: it prints what it is given (control characters from
 * the network come out as \xNN). */
#ifndef NMID_BASE_LOG_H
#define NMID_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Lines above this level are dropped. Default: info. */
void log_set_level(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* driver_info: the keys of one node as they stand in the configuration, for its driver to take.
 * A driver takes each key it knows with a type and limits; what nobody took is an unknown key. */
#ifndef NMID_CORE_INFO_H
#define NMID_CORE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include "base/report.h"
#include "base/secret.h"

struct info;

/* For conf.c (and tests): an empty one for the block that begins at file:line. Borrowed: file. */
struct info *info_new(const char *file, unsigned line);
int info_add_string(struct info *info, const char *key, const char *value, unsigned line);
int info_add_integer(struct info *info, const char *key, long long value, unsigned line);
int info_add_boolean(struct info *info, const char *key, bool value, unsigned line);
void info_free(struct info *info); /* wipes every value; NULL-safe */

/* Each returns 1 when the key was there and good (then *ret_... is set), 0 when it was absent,
 * -1 when it was wrong: that is in the report already, with file, line, key and what was expected.
 * Integers and booleans may be written as strings too, as Ironic's clients store them. */
int info_take_string(struct info *info, const char *key, size_t max, char **ret_value,
                     struct report *report);
int info_take_integer(struct info *info, const char *key, long long min, long long max,
                      long long *ret_value, struct report *report);
int info_take_boolean(struct info *info, const char *key, bool *ret_value, struct report *report);

/* As info_take_string(), for KEY or KEY_file (a file whose content, less one newline, is the
 * secret; not readable by others). Never truncates: longer than max is an error that does not
 * print the value. */
int info_take_secret(struct info *info, const char *key, size_t max, struct secret **ret_value,
                     struct report *report);

/* Takes a key and ignores it: 1 when it was there. */
int info_skip(struct info *info, const char *key);

/* Reports each key that was not taken; returns how many. */
size_t info_report_unknown(const struct info *info, struct report *report);

/* file and line of a key (of the block when the key is absent), for a driver's own complaints. */
int info_complain(const struct info *info, const char *key, struct report *report,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

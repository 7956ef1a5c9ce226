/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the tests of the configuration: a small driver, a directory of their own, and one call that
 * compares a whole report. */
#ifndef NMID_TESTS_CONF_LAB_H
#define NMID_TESTS_CONF_LAB_H

#include <stddef.h>
#include <sys/types.h>
#include "base/report.h"
#include "core/conf.h"

/* No report may ever hold this; assert_report() looks at every line. */
#define LAB_SECRET "hunter2-swordfish"

struct lab {
    char dir[64];
    struct conf *conf;
    struct report errors, warnings;
};

/* A NULL-terminated table of one driver, "fake": address (required), port, password. */
extern const struct driver *const lab_drivers[];
extern int lab_infos; /* driver_infos of "fake" that are alive */

int lab_setup(void **state);
int lab_teardown(void **state);

/* Writes DIR/name. */
void lab_write(struct lab *lab, const char *name, const char *text, mode_t mode);

/* conf_load(DIR/nmid.conf). */
int lab_load(struct lab *lab);

/* conf_parse() of a text called "nmid.conf". */
int lab_parse(struct lab *lab, const char *text);

/* The report is these lines (NULL at the end), with "DIR/" for the lab's directory; and empties
 * it. */
void lab_assert(struct lab *lab, struct report *report, const char *const *lines);
#define LAB_ERRORS(lab, ...)                                                                       \
    lab_assert((lab), &(lab)->errors, (const char *const[]){__VA_ARGS__, NULL})
#define LAB_WARNINGS(lab, ...)                                                                     \
    lab_assert((lab), &(lab)->warnings, (const char *const[]){__VA_ARGS__, NULL})

#endif

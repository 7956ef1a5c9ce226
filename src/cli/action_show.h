/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One action for a person to read: its outcome, the evidence in sentences, then all the rest. */
#ifndef NMID_CLI_ACTION_SHOW_H
#define NMID_CLI_ACTION_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* -1 when memory is out. */
int action_show(const json_t *action, FILE *file);

#endif

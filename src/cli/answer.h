/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What nmid's answers mean: docs of contract 4 (the agent API). An answer is checked before
 * anything in it is believed. */
#ifndef NMID_CLI_ANSWER_H
#define NMID_CLI_ANSWER_H

#include <jansson.h>
#include "base/fault.h"
#include "cli/client.h"

/* The text of a member, "" when there is none or it is no text. */
const char *answer_text(const json_t *object, const char *key);

/* 0 when nmid said yes (2xx) with an object. -1: the fault has nmid's own words where it gave any
 * ({"error": {...}}), FAULT_PROTOCOL for what is no answer of nmid. */
int answer_check(const struct client_answer *answer, struct fault *fault);

/* The "error" object of a refusal, or NULL. */
const json_t *answer_error(const struct client_answer *answer);

/* The fault code of its name; FAULT_PROTOCOL for a name that this version does not know. */
enum fault_code answer_code(const char *name);

/* An array of objects under key, or NULL with FAULT_PROTOCOL. Borrowed. */
const json_t *answer_list(const json_t *body, const char *key, struct fault *fault);

#endif

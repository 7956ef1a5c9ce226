/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of contract 4 share. Include after cmocka.h. */
#ifndef NMID_TESTS_AGENT_CASE_H
#define NMID_TESTS_AGENT_CASE_H

#include "http_rig.h"

#define NMI "{\"action\": \"inject_nmi\"}"

extern struct rig rig;

int agent_setup(void **state);
int agent_teardown(void **state);

/* That it is this error in the agent's form; clears it. */
void expect_error(struct reply reply, int status, const char *code);

/* A GET of a path that is made as printf() makes it. */
struct reply get(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* POSTs one action; its id, in id. */
const char *post(const char *node, const char *headers, char id[64]);

/* Until the action has finished. */
void await(const char *id);

#endif

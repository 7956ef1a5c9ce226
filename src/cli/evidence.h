/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The evidence of an action, in words: what nmid saw of the interrupt and of the BMC. What this
 * version has no words for is shown as it came. */
#ifndef NMID_CLI_EVIDENCE_H
#define NMID_CLI_EVIDENCE_H

#include <jansson.h>
#include <stdio.h>

/* One sentence a line, each behind indent. */
void evidence_print(const json_t *evidence, const char *indent, FILE *file);

/* The same for one line among others: "sent once, SEL: nothing new"; "" when it tells nothing. */
void evidence_brief(const json_t *evidence, char *text, size_t size);

#endif

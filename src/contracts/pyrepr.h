/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How Python prints a JSON value: Nova's validation errors quote what was sent that way. */
#ifndef NMID_CONTRACTS_PYREPR_H
#define NMID_CONTRACTS_PYREPR_H

#include <jansson.h>
#include <stddef.h>

/* Writes repr(value) into text, cut with "..." where it does not fit; str() of a string when quoted
 * is 0. Returns text: always UTF-8. */
char *pyrepr(const json_t *value, int quoted, char *text, size_t size);

#endif

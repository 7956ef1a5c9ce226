/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every contract does with a body: JSON within bounds, its fingerprint, and the
 * Idempotency-Key. Pure but for body_key(). */
#ifndef NMID_CONTRACTS_BODY_H
#define NMID_CONTRACTS_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "http/exchange.h"

#define BODY_DEPTH_MAX 32

/* One JSON value and nothing else, no key twice, at most BODY_DEPTH_MAX deep: a new reference, or
 * NULL with FAULT_MALFORMED. */
json_t *body_parse(const char *text, size_t len, struct fault *fault);

/* True for "application/json", with or without parameters. A body of any other kind, or of none, is
 * what a page of another site can make a browser send. */
bool body_is_json(const char *content_type);

/* A JSON string of text that may be no UTF-8 (cut in the middle of a character, say): then what is
 * not ASCII becomes '?'. NULL when memory is out. */
json_t *body_text(const char *text);

/* Equal bodies have equal fingerprints, whatever their white space and order of keys. malloc'd;
 * NULL when memory is out. */
char *body_fingerprint(const json_t *body);

/* The Idempotency-Key: *ret_key is it, or NULL without one. -1 when it is malformed. The buffer has
 * ACTION_KEY_MAX + 1 bytes. */
int body_key(const struct http_exchange *exchange, char *buffer, const char **ret_key,
             struct fault *fault);

#endif

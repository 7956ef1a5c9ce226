/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Ironic contract's files share. */
#ifndef NMID_CONTRACTS_IRONIC_API_STATE_H
#define NMID_CONTRACTS_IRONIC_API_STATE_H

#include <stdint.h>
#include "contracts/ironic_api.h"
#include "core/node_state.h"

struct ironic_api {
    struct engine *engine;
};


/* Errors. status 0: the fault's own in this contract. */
void ironic_error(void *self, struct http_exchange *exchange, unsigned status,
                  const struct fault *fault);
void ironic_malformed(struct http_exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A refusal of a node: what was asked for goes by this name in Ironic's policy ("inject_nmi",
 * "get"). */
void ironic_refuse(struct http_exchange *exchange, const char *rule, const struct fault *fault);

/* "Request not acceptable.", a 406; with the version from which on it is. 0: not said. */
void ironic_not_acceptable(struct http_exchange *exchange, unsigned since);

/* The version asked for (its minor number); the answer's headers are set. False: a 406 is answered.
 */
bool ironic_take_version(struct http_exchange *exchange, unsigned *ret_minor);

/* The node that the path names, as it may stand there: a UUID or a name. NULL: a 400 is answered.
 */
const char *ironic_take_ident(struct http_exchange *exchange);

/* False, and a 400 is answered, when there are query arguments, or keys in body (NULL: none). */
bool ironic_no_arguments(struct http_exchange *exchange, const json_t *body);

/* ---- ironic_nodes.c ---- */

/* The fields that a node can have, in the order in which they are shown. */
typedef uint64_t ironic_fields;
#define IRONIC_FIELD(i) (UINT64_C(1) << (i))

/* The number of a field's name, or -1; from which minor version on there is one; may a list be
 * sorted by it? */
int ironic_field_find(const char *name, size_t len);
unsigned ironic_field_since(int field);
bool ironic_field_sorts(int field);

/* All fields of a version. */
ironic_fields ironic_fields_of(unsigned minor);

/* A field that is a text; NULL: it is null, or no text. Borrowed until the next turn of the loop.
 */
const char *ironic_field_text(int field, const struct node *node, const struct node_state *state);

/* In Ironic's words; and is this one of them? */
const char *ironic_provision_state(const struct node_state *state);
bool ironic_is_provision_state(const char *name);

/* A node as it is shown; a new reference. base: http_base_url(). */
json_t *ironic_node_json(const struct node *node, const struct node_state *state,
                         ironic_fields fields, unsigned minor, const char *base);

/* "fields=": a list with commas. False: the error is answered. */
bool ironic_take_fields(struct http_exchange *exchange, const char *list, unsigned minor,
                        ironic_fields *ret_fields);

void ironic_on_node(void *self, struct http_exchange *exchange);
void ironic_on_validate(void *self, struct http_exchange *exchange);

/* ---- ironic_list.c ---- */

void ironic_on_list(void *self, struct http_exchange *exchange);
void ironic_on_detail(void *self, struct http_exchange *exchange);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the agent contract's files share. */
#ifndef NMID_CONTRACTS_AGENT_STATE_H
#define NMID_CONTRACTS_AGENT_STATE_H

#include "base/map.h"
#include "base/uuid.h"
#include "contracts/agent.h"

struct agent {
    struct loop *loop;
    struct engine *engine;
    const char *version;
    struct map *batches; /* by id */
    struct map *makers;  /* of them, by name */
    struct batch *oldest, **newest_end;
    size_t entries, history;
    struct change *changes; /* of lock and status, not yet on disk */
};

/* What a POST of one action or of a batch asks for. */
struct agent_order {
    struct request request;
    char key[ACTION_KEY_MAX + 1];
    char *fingerprint; /* owned */
    json_t *body;      /* owned */
};

void agent_error(void *self, struct http_exchange *exchange, unsigned status,
                 const struct fault *fault);
void agent_fault(struct http_exchange *exchange, const struct fault *fault);
void agent_malformed(struct http_exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Query arguments by name (NULL-terminated): values[i] or NULL. False (answered) when there is one
 * that is not in names, or twice. */
bool agent_arguments(struct http_exchange *exchange, const char *const *names, const char **values);

/* The body, a JSON object: a new reference. NULL when the error is answered. */
json_t *agent_take_body(struct http_exchange *exchange);

/* The node of the path, borrowed, when the caller may do this to it. NULL when the error is
 * answered, or when the node's state is not there yet: then `again` is called with the exchange.
 * detail: what the audit says of it when it is allowed, or NULL. */
struct node *agent_take_node(struct agent *agent, struct http_exchange *exchange,
                             enum policy_rule rule, const char *operation, const char *detail,
                             http_handler_fn *again);

/* A node as this caller, who may see it, is shown it; a new reference. NULL when its state is not
 * known now. */
json_t *agent_node_json(const struct agent *agent, const struct node *node,
                        const struct principal *caller);

/* An action as this caller, who may see it, is shown it; a new reference. */
json_t *agent_action_json(const struct action *action, const struct principal *caller);

/* Reads the body of a POST; with_nodes: "nodes" may be there. False when the error is answered.
 * agent_order_clear() afterwards in either case. */
bool agent_take_order(struct agent *agent, struct http_exchange *exchange, bool with_nodes,
                      struct agent_order *order);
void agent_order_clear(struct agent_order *order);

void agent_on_post_action(void *self, struct http_exchange *exchange);
void agent_on_get_action(void *self, struct http_exchange *exchange);
void agent_on_list_actions(void *self, struct http_exchange *exchange);
void agent_on_post_batch(void *self, struct http_exchange *exchange);
void agent_on_get_batch(void *self, struct http_exchange *exchange);
void agent_on_list_nodes(void *self, struct http_exchange *exchange);
void agent_on_get_node(void *self, struct http_exchange *exchange);
void agent_on_probe(void *self, struct http_exchange *exchange);
void agent_on_put_lock(void *self, struct http_exchange *exchange);
void agent_on_delete_lock(void *self, struct http_exchange *exchange);
void agent_on_put_status(void *self, struct http_exchange *exchange);
void agent_on_delete_status(void *self, struct http_exchange *exchange);
void agent_on_audit(void *self, struct http_exchange *exchange);
void agent_on_metrics(void *self, struct http_exchange *exchange);

/* Forgets every batch; and every change that nobody is left to answer. */
void agent_drop_batches(struct agent *agent);
void agent_drop_changes(struct agent *agent);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of Nova's contract share. */
#ifndef NMID_CONTRACTS_NOVA_STATE_H
#define NMID_CONTRACTS_NOVA_STATE_H

#include "contracts/microversion.h"
#include "contracts/nova.h"
#include "core/node_state.h"

struct nova {
    struct engine *engine;
};

/* A node as a server. */
struct nova_server {
    const struct node *node;
    struct node_state state; /* its strings live until the next turn of the loop */
};

void nova_error(void *self, struct http_exchange *exchange, unsigned status,
                const struct fault *fault);

/* The same for what may be about the node of the path, which has Nova's words. */
void nova_fault(struct http_exchange *exchange, const struct fault *fault);

/* Refused by policy: names the rule as Nova does ("show"). Any other fault goes to nova_fault(). */
void nova_refusal(struct http_exchange *exchange, const char *rule, const struct fault *fault);

/* The version that the headers ask for, and a project in the path that is the caller's; false when
 * the error is answered. */
bool nova_take_version(struct http_exchange *exchange, struct microversion *version);

/* Its id: what is on it where something is (as in Nova), else the node's own UUID. An action takes
 * either. */
const char *nova_server_id(const struct nova_server *server);

/* The text of a field that one can filter or sort by (Nova's name for it); NULL: no such field. */
const char *nova_server_field(const struct nova_server *server, const char *name);

/* The states that a status of Nova's stands for, as NODE_STATUS_BIT()s; 0: no such status. */
unsigned nova_statuses(const char *status);

/* Name and id; everything that the version has, with what only an administrator is told. New
 * references, or NULL when memory is out. */
json_t *nova_server_brief(const struct nova_server *server);
json_t *nova_server_json(const struct nova_server *server, const struct microversion *version,
                         bool administrator);

void nova_on_version(void *self, struct http_exchange *exchange);
void nova_on_list(void *self, struct http_exchange *exchange);
void nova_on_detail(void *self, struct http_exchange *exchange);
void nova_on_show(void *self, struct http_exchange *exchange);

#endif

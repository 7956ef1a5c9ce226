/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The states of nodes may come from another service: a handler sees to it first that they are
 * fresh, and is called again when they are. */
#ifndef NMID_CONTRACTS_READY_H
#define NMID_CONTRACTS_READY_H

#include "core/engine.h"
#include "http/exchange.h"

/* True: go on. False: the exchange is looked after: `again` is called with self and it when the
 * states of these nodes (count 0: of all) are there and it is its turn (http_turn()), and then this is
 * true. */
bool ready_for(struct engine *engine, struct http_exchange *exchange, const char *const *idents,
               size_t count, http_handler_fn *again, void *self);

#endif

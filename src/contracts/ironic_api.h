/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 2, Ironic's node management: PUT /v1/nodes/{id}/management/inject_nmi, and what clients
 * read before and after. docs/contract-ironic.md has every row. (core/ironic.h is the way to a real
 * Ironic; this is nmid in its place.) */
#ifndef NMID_CONTRACTS_IRONIC_API_H
#define NMID_CONTRACTS_IRONIC_API_H

#include "core/engine.h"
#include "http/exchange.h"

struct ironic_api;

/* For http_server_mount(), with a struct ironic_api. */
extern const struct http_contract ironic_contract;

struct ironic_api *ironic_api_new(struct engine *engine, struct fault *fault);
void ironic_api_free(struct ironic_api *api); /* after http_server_free(); NULL-safe */

#endif

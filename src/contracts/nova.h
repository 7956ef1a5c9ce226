/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 1, Nova's server action: PUT or POST /v2.1/servers/{id}/action. docs/contract-nova.md
 * has every row. */
#ifndef NMID_CONTRACTS_NOVA_H
#define NMID_CONTRACTS_NOVA_H

#include "core/engine.h"
#include "http/exchange.h"

struct nova;

/* For http_server_mount(), with a struct nova. */
extern const struct http_contract nova_contract;

struct nova *nova_new(struct engine *engine, struct fault *fault);
void nova_free(struct nova *nova); /* after http_server_free(); NULL-safe */

#endif

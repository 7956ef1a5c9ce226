/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 4, the agent's own: actions, batches, history, nodes, probes, health. Also words the
 * errors of paths that no other contract owns. docs/contract-agent.md has every call. */
#ifndef NMID_CONTRACTS_AGENT_H
#define NMID_CONTRACTS_AGENT_H

#include "core/engine.h"
#include "http/exchange.h"
#include "loop/loop.h"

struct agent;

/* For http_server_mount(), with a struct agent. */
extern const struct http_contract agent_contract;

/* history: how many entries of batches are remembered. version: nmid's, borrowed. */
struct agent *agent_new(struct loop *loop, struct engine *engine, size_t history,
                        const char *version, struct fault *fault);

/* After http_server_free() and while the engine is still there; NULL-safe. */
void agent_free(struct agent *agent);

#endif

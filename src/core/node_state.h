/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A node's state as it counts now: status, lock, owners, and what reserves it. What was set at run
 * time wins; then Ironic, where state_source says so; then the configuration. */
#ifndef NMID_CORE_NODE_STATE_H
#define NMID_CORE_NODE_STATE_H

#include "core/engine.h"
#include "core/policy.h"

struct node_state {
    enum node_status status;
    const char *status_source; /* "run-time", "ironic", "configuration"; static */
    bool locked;
    const char *lock_source; /* "run-time", "configuration"; static */
    struct owners owners;
    const char *instance_uuid;   /* or NULL */
    const char *reservation;     /* who works on it (Ironic's), or NULL */
    const char *provision_state; /* Ironic's word for its status, or NULL */
};

/* 0 and *ret_state, whose strings are borrowed until the next turn of the loop; -1 with
 * FAULT_STATE_SOURCE when Ironic is to be asked and has not answered: then nothing may be done. */
int engine_node_state(const struct engine *engine, const struct node *node,
                      struct node_state *ret_state, struct fault *fault);

/* The node of an ident: UUID, name, or the UUID of the instance that is on it, as it counts now.
 * 0, and *ret_node is NULL when there is none; -1 with FAULT_STATE_SOURCE when only Ironic could
 * tell, and has not answered: then none is as good as another project's. */
int engine_node_by_ident(const struct engine *engine, const char *ident, struct node **ret_node,
                         struct fault *fault);

/* Are the states of all nodes known? 0, or -1 with FAULT_STATE_SOURCE: then a list would leave out
 * nodes without telling. */
int engine_states_known(const struct engine *engine, struct fault *fault);

/* Sees to it that the states of these nodes (by any ident; count 0: of all nodes) are fresh, where
 * they come from elsewhere. 0: they are, or never will be: go on, in this turn of the loop. 1:
 * done(arg) comes once, from a later turn, unless cancelled: then, or later, ask again no more and go
 * on by state_wait_use(). -1: a fault. */
struct state_wait;
int engine_refresh(struct engine *engine, const char *const *idents, size_t count, loop_fn *done,
                   void *arg, struct state_wait **ret_wait, struct fault *fault);
void state_wait_cancel(struct state_wait *wait);

/* After done(): calls fn(arg), within which what came for this wait counts, however long ago that was;
 * the wait ends with it. Lost: a reload has made that out of date, or done() came longer than that
 * ago: cancel it and ask again. */
bool state_wait_lost(const struct state_wait *wait, int64_t most_us);
void state_wait_use(struct state_wait *wait, loop_fn *fn, void *arg);

/* For engine.c. The source as the configuration has it: at the beginning, and after a reload. */
int engine_source_begin(struct engine *engine, struct fault *fault);
void engine_source_reload(struct engine *engine);

#endif

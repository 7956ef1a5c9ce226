/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/node_state.h"

#include <stddef.h>
#include "base/log.h"
#include "core/engine_state.h"
#include "core/ironic.h"
#include "core/journal_more.h"

/* ---- The source ---- */

int engine_source_begin(struct engine *engine, struct fault *fault)
{
    if (!engine->conf->state_source_ironic)
        return 0;
    engine->ironic = ironic_new(engine->loop, engine->conf, fault);
    return engine->ironic == NULL ? -1 : 0;
}

void engine_source_reload(struct engine *engine)
{
    struct fault fault = {0};
    if (engine->ironic != NULL)
        ironic_configure(engine->ironic, engine->conf);
    else if (engine_source_begin(engine, &fault) < 0)
        log_error("Ironic: %s; no node's state is known until the next reload", fault.message);
}

int engine_refresh(struct engine *engine, const char *const *idents, size_t count, loop_fn *done,
                   void *arg, struct state_wait **ret_wait, struct fault *fault)
{
    if (!engine->conf->state_source_ironic || engine->ironic == NULL)
        return 0;
    return ironic_refresh(engine->ironic, idents, count, done, arg, ret_wait, fault);
}

void state_wait_cancel(struct state_wait *wait)
{
    ironic_cancel(wait);
}

bool state_wait_lost(const struct state_wait *wait, int64_t most_us)
{
    return ironic_lost(wait, most_us);
}

void state_wait_use(struct state_wait *wait, loop_fn *fn, void *arg)
{
    ironic_use(wait, fn, arg);
}

/* Not why: that is the operator's, and in the log. */
static int unknown(struct fault *fault)
{
    return fault_set(fault, FAULT_STATE_SOURCE,
                     "Ironic, which tells the status and the owners of nodes, cannot be asked; "
                     "nothing was sent; try again later");
}

/* ---- A node's state ---- */

static void from_configuration(const struct node *node, struct node_state *state)
{
    *state = (struct node_state){
        .status = node->status,
        .status_source = "configuration",
        .locked = node->locked,
        .lock_source = "configuration",
        .owners = {{node->project_id, NULL}},
        .instance_uuid = node->instance_uuid[0] != '\0' ? node->instance_uuid : NULL,
    };
}

/* Its lock stays the configuration's: Ironic has no such thing as Nova's lock of a server. */
static void from_ironic(const struct conf_ironic *conf, const struct ironic_node *told,
                        struct node_state *state)
{
    state->status = told->status;
    state->status_source = "ironic";
    state->owners = (struct owners){{told->owner, told->lessee}};
    state->instance_uuid = told->instance_uuid[0] != '\0' ? told->instance_uuid : NULL;
    state->reservation = conf->ignore_reservation ? NULL : told->reservation;
    state->provision_state = told->provision_state[0] != '\0' ? told->provision_state : NULL;
}

static int ask_ironic(const struct engine *engine, const struct node *node,
                      struct node_state *state, struct fault *fault)
{
    static const struct ironic_node absent = {.status = NODE_UNKNOWN};
    const struct conf_ironic *conf = &engine->conf->ironic;
    const struct ironic_node *told = NULL;
    if (engine->ironic == NULL)
        return unknown(fault);
    switch (ironic_node(engine->ironic, node->uuid, &told)) {
    case IRONIC_KNOWN:
        from_ironic(conf, told, state);
        return 0;
    case IRONIC_ABSENT:
        from_ironic(conf, &absent, state);
        return 0;
    case IRONIC_FAILED:
        return conf->fail_open ? 0 : unknown(fault);
    case IRONIC_STALE:
        break;
    }
    return unknown(fault);
}

int engine_node_state(const struct engine *engine, const struct node *node,
                      struct node_state *ret_state, struct fault *fault)
{
    struct node_state state;
    from_configuration(node, &state);
    if (engine->conf->state_source_ironic && ask_ironic(engine, node, &state, fault) < 0)
        return -1;
    const struct journal_override *set = journal_override(engine->journal, node->uuid);
    if (set != NULL && set->has_lock) {
        state.locked = set->locked;
        state.lock_source = "run-time";
    }
    if (set != NULL && set->has_status) {
        state.status = set->status;
        state.status_source = "run-time";
    }
    *ret_state = state;
    return 0;
}

int engine_states_known(const struct engine *engine, struct fault *fault)
{
    const struct node_table *nodes = engine->conf->nodes;
    struct node_state state;
    for (size_t i = 0; engine->conf->state_source_ironic && i < node_table_count(nodes); i++) {
        if (engine_node_state(engine, node_table_at(nodes, i), &state, fault) < 0)
            return -1;
    }
    return 0;
}

/* ---- Which node ---- */

int engine_node_by_ident(const struct engine *engine, const char *ident, struct node **ret_node,
                         struct fault *fault)
{
    const struct node_table *nodes = engine->conf->nodes;
    struct node *node = node_table_find(nodes, ident);
    const char *uuid;
    if (!engine->conf->state_source_ironic || (node != NULL && node_answers_to(node, ident))) {
        *ret_node = node;
        return 0;
    }
    if (engine->ironic == NULL)
        return unknown(fault);
    switch (ironic_instance(engine->ironic, ident, &uuid)) {
    case IRONIC_KNOWN:
        *ret_node = node_table_find(nodes, uuid);
        return 0;
    case IRONIC_ABSENT:
        *ret_node = NULL;
        return 0;
    case IRONIC_FAILED:
        if (!engine->conf->ironic.fail_open)
            break;
        *ret_node = node; /* by the configuration's instance UUID */
        return 0;
    case IRONIC_STALE:
        break;
    }
    return unknown(fault);
}

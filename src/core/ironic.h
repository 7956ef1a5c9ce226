/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic as the source of states: what it says of the configured nodes, remembered for cache_s, and
 * asked for again when somebody needs it. Node states are read at once (ironic_node()); who wants
 * them fresh asks before, and waits (ironic_refresh()). */
#ifndef NMID_CORE_IRONIC_H
#define NMID_CORE_IRONIC_H

#include "core/conf.h"
#include "core/ironic_parse.h"
#include "loop/loop.h"

struct ironic;
struct state_wait;

/* conf is borrowed until ironic_configure() or ironic_free(). */
struct ironic *ironic_new(struct loop *loop, const struct conf *conf, struct fault *fault);

/* Who still waits hears nothing any more: cancel, or have nobody wait. NULL-safe. */
void ironic_free(struct ironic *ironic);

/* Another configuration: what was known is forgotten, and what somebody waits for is asked again.
 * With a configuration that is its own source of states, nobody waits any more. */
void ironic_configure(struct ironic *ironic, const struct conf *conf);

/* To be called in every turn of the loop before it waits: tells those who wait. NULL-safe. */
void ironic_turn(struct ironic *ironic);

/* As engine_refresh(), in node_state.h. */
int ironic_refresh(struct ironic *ironic, const char *const *idents, size_t count, loop_fn *done,
                   void *arg, struct state_wait **ret_wait, struct fault *fault);
void ironic_cancel(struct state_wait *wait); /* NULL-safe */
bool ironic_lost(const struct state_wait *wait, int64_t most_us);
void ironic_use(struct state_wait *wait, loop_fn *fn, void *arg);

/* What is known of something now. */
enum ironic_answer {
    IRONIC_KNOWN,
    IRONIC_ABSENT, /* Ironic has no such node */
    IRONIC_FAILED, /* it was asked and did not answer */
    IRONIC_STALE   /* it was not asked, or too long ago */
};

/* Of a configured node, by its UUID in lower case. *ret_node is borrowed until the next turn; set
 * when it is known. */
enum ironic_answer ironic_node(const struct ironic *ironic, const char *uuid,
                               const struct ironic_node **ret_node);

/* Which configured node has this instance (any text: what is no UUID is nobody's instance). */
enum ironic_answer ironic_instance(const struct ironic *ironic, const char *ident,
                                   const char **ret_uuid);

#endif

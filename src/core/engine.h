/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine: takes each request down the ladder (node, policy, repeat, lock, status, in flight,
 * hold-off, journal, window) to its driver, and its outcome back. At most one action (or probe) at
 * a time touches a BMC; an action begins exactly one driver->start(). */
#ifndef NMID_CORE_ENGINE_H
#define NMID_CORE_ENGINE_H

#include "core/access.h"
#include "core/action.h"
#include "core/conf.h"
#include "core/journal.h"
#include "loop/loop.h"

struct driver;
struct audit;
struct callbacks;
struct limits;

/* One plain request, as every contract makes it. Everything is borrowed for the call. */
struct request {
    const char *node_ident; /* UUID, instance UUID or name */
    const char *name;       /* "inject_nmi" or "trigger_crash_dump"; static */
    const char *contract;   /* static */
    const struct principal *caller;
    unsigned statuses;           /* NODE_STATUS_BIT()s that allow it */
    const char *idempotency_key; /* or NULL */
    const char *fingerprint;     /* what the key must be the same for, e.g. the body; or NULL */
    bool force;                  /* administrators: passes hold-off and status */
    const char *callback_url;    /* checked by callbacks_check_url(); or NULL */
    /* Without a key: repeats the caller's own action, under way or ended within so many seconds. */
    unsigned repeat_s;
};

/* conf is borrowed: it must live until engine_reload() or engine_free(). drivers: NULL-terminated;
 * each is opened here and closed by engine_free(). */
struct engine *engine_new(struct loop *loop, const struct conf *conf,
                          const struct driver *const *drivers, struct journal *journal,
                          struct fault *fault);
void engine_free(struct engine *engine); /* after engine_drain() has reported; NULL-safe */

/* Nodes and settings of a new configuration; actions in flight keep their node. */
void engine_reload(struct engine *engine, const struct conf *conf);

struct journal *engine_journal(struct engine *engine);
struct callbacks *engine_callbacks(struct engine *engine);

/* audit is borrowed until engine_free(); without one nothing is recorded. */
void engine_set_audit(struct engine *engine, struct audit *audit);
struct audit *engine_audit(struct engine *engine);

/* The same for what callers may take. */
void engine_set_limits(struct engine *engine, struct limits *limits);
struct limits *engine_limits(struct engine *engine);
const struct conf *engine_conf(const struct engine *engine);

const struct node_table *engine_nodes(const struct engine *engine);

/* Down the ladder. 0: *ret_action is the action (borrowed; *ret_repeat true when it is an earlier
 * one that this request repeats). -1: refused, nothing was sent, the fault says why. */
int engine_submit(struct engine *engine, const struct request *request, struct action **ret_action,
                  bool *ret_repeat, struct fault *fault);

/* Calls fn(arg, action) once, from a later turn of the loop, when the journal has the action in
 * this state or a later one (also when it has already); then the wait is gone. Cancel before arg
 * goes away. */
typedef void action_wait_fn(void *arg, struct action *action);
struct action_wait *engine_wait(struct engine *engine, struct action *action,
                                enum action_state state, action_wait_fn *fn, void *arg);
void engine_wait_cancel(struct action_wait *wait);

/* The action of an id, or NULL; borrowed. */
struct action *engine_action(struct engine *engine, const char *id);

/* Asks a node's BMC for a session and its power state, sends no interrupt. done(arg, result,
 * fault): result {"power","cipher_suite",...} is borrowed and NULL when fault is set. 0, or -1 with
 * a fault (then done is not called). */
typedef void engine_probe_fn(void *arg, json_t *result, const struct fault *fault);
int engine_probe(struct engine *engine, struct node *node, engine_probe_fn *done, void *arg,
                 struct fault *fault);

/* What a batch shows for a node that was refused: a finished action with outcome failed, and the
 * fault's code and message, recorded as any other. NULL (with a fault) when memory is out or there
 * is no such node: then there is nothing to record it on. */
struct action *engine_record_refusal(struct engine *engine, const struct request *request,
                                     const struct fault *refusal, struct fault *fault);

/* Refuses what is new, fails what was not sent, awaits what was, then calls done(arg). */
void engine_drain(struct engine *engine, loop_fn *done, void *arg);

struct engine_counts { /* for healthz and status pages */
    size_t queued, in_flight, delivered, failed, unknown;
};
void engine_counts(const struct engine *engine, struct engine_counts *ret_counts);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What engine*.c and ladder.c share, and nobody else. */
#ifndef NMID_CORE_ENGINE_STATE_H
#define NMID_CORE_ENGINE_STATE_H

#include "base/map.h"
#include "core/driver.h"
#include "core/engine.h"
#include "core/wait.h"

#define DRIVERS_MAX 8

/* What is under way on a node and its BMC: an action, or (action == NULL) a probe. */
struct occupation {
    struct node *node; /* counted */
    struct action *action;
    struct engine *engine;
    engine_probe_fn *probe_done;
    void *probe_arg;
};

struct engine {
    struct loop *loop;
    const struct conf *conf;
    struct journal *journal;
    const struct driver *drivers[DRIVERS_MAX];
    void *instances[DRIVERS_MAX];
    struct map *occupied; /* by UUID and by BMC target: the same struct occupation twice */
    struct wait_queue waits;
    struct action *queue, **queue_end; /* waits for the window, counted */
    struct loop_timer *expiry;         /* when the first of these has waited for too long */
    size_t queued, in_window;
    bool pumping, draining;
    bool lost; /* an end could not even be remembered: nothing new until a restart */
    struct action *telling, **telling_end; /* finished, not recorded yet; counted */
    struct loop_timer *tell;
    struct callbacks *callbacks;
    struct audit *audit;   /* borrowed; or NULL */
    struct limits *limits; /* borrowed; or NULL */
    struct ironic *ironic; /* or NULL: the configuration is the source of states */
    loop_fn *drained;
    void *drained_arg;
    struct engine_counts counts;
};

/* Marks node and BMC as taken (by an action, or by a probe when action is NULL); NULL when memory
 * is out. */
struct occupation *engine_occupy(struct engine *engine, struct node *node, struct action *action);
void engine_vacate(struct engine *engine, struct node *node);

/* engine_queue.c: queues an action for the window; takes it out when it is there, whatever its
 * place; lets out what the window has room for, and fails what has waited for too long. */
int engine_queue_begin(struct engine *engine, struct fault *fault);
void engine_queue_end(struct engine *engine); /* the queue is empty; allowed without a beginning */
void engine_enqueue(struct engine *engine, struct action *action);
void engine_queue_leave(struct engine *engine, struct action *action);
void engine_pump(struct engine *engine);

/* The driver's instance. */
void *engine_instance(const struct engine *engine, const struct driver *driver);

/* engine_record.c: an action's end, which the journal hears of before anybody else; the journal's
 * answers; what an earlier daemon left. */
void engine_finish(struct action *action, enum action_outcome outcome, enum fault_code code,
                   const char *message);
void engine_on_journal(void *arg, struct action *action, enum action_state state, bool ok);
int engine_record_begin(struct engine *engine, struct fault *fault);
void engine_record_end(struct engine *engine);

/* What an action keeps of its request; false when memory is out. */
bool engine_take_request(struct engine *engine, struct action *action,
                         const struct request *request);

/* A rule more, for a node that engine_find() gave (or, with NULLs, for none in particular); a
 * refusal is in the audit. */
struct node_state;
int engine_check_rule(struct engine *engine, const struct access *access, const struct node *node,
                      const struct node_state *state, struct fault *fault);

/* The rungs that a probe climbs too. */
int engine_check_in_flight(const struct engine *engine, const struct node *node,
                           struct fault *fault);
int engine_check_daemon(const struct engine *engine, struct fault *fault);

#endif

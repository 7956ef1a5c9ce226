/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the tests of the engine: a loop, a journal, an engine, nodes built by hand, and a driver that
 * does what it is told. Nothing sleeps: the loop runs until a count or a state is there, and a test
 * that waits in vain fails. */
#ifndef NMID_TESTS_ENGINE_RIG_H
#define NMID_TESTS_ENGINE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "core/driver.h"
#include "core/engine.h"
#include "state_dir.h"

#define RIG_FLIGHTS 64

/* Roles with those that they imply. */
#define RIG_READER ROLE_BIT(ROLE_READER)
#define RIG_MEMBER (RIG_READER | ROLE_BIT(ROLE_MEMBER))
#define RIG_ADMIN  (RIG_MEMBER | ROLE_BIT(ROLE_ADMIN))

/* The UUIDs of nodes that tests build: rig_uuid(0), rig_uuid(1) ... of 0 to 255. */
const char *rig_uuid(unsigned i);

/* What the driver was given to do. */
struct rig_flight {
    struct action *action; /* counted */
    unsigned goes;         /* how often go() came */
    bool asking;           /* inside action_sending() */
    unsigned aborts;
    enum fault_code abort_code;
    char abort_why[160];
};

struct rig {
    struct loop *loop;
    struct loop_timer *patience;
    struct conf *conf;
    struct journal *journal;
    char dir[STATE_DIR_MAX];
    struct engine *engine;
    loop_fn *last; /* called once, with last_arg, as the last thing before the loop waits */
    void *last_arg;
    loop_fn *freed; /* called in the teardown, when the engine is gone and the journal is not */
    void *freed_arg;

    /* The driver's orders. */
    bool finish_in_start; /* each start() ends as delivered within itself */
    bool slow_abort;      /* an abort is heard, but the action finishes later, by the test */
    bool deaf_go;         /* go() does nothing but count */

    /* What the driver saw. */
    struct rig_flight flights[RIG_FLIGHTS]; /* the first so many, in the order of start() */
    unsigned starts, goes, depth, depth_max;
    unsigned opens, configures, closes, infos; /* infos: driver_infos alive */
    unsigned window_seen;                      /* at the last open() or configure() */
    driver_probe_fn *probe_done;               /* of the probe under way */
    void *probe_arg;
    unsigned probes;
};

extern struct rig *rig_now;                  /* the rig of the test that runs */
extern const struct driver rig_driver;       /* "fake" */
extern const struct driver rig_driver_blind; /* "blind": it has no NMI, but can be probed */
extern const struct driver rig_driver_mute;  /* "mute": it cannot be probed */

/* cmocka fixtures: *state is a struct rig with an empty table, a window of 5, a hold-off of 300 s
 * and a queue limit of 1000; and no daemon left behind. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A node in the table: rig_uuid(i), "node-I", on "bmc-I"; ACTIVE, project "demo", driver "fake". */
struct node *rig_add_node(struct rig *rig, unsigned i);

/* The same with another BMC (NULL: none). */
struct node *rig_add_node_on(struct rig *rig, unsigned i, const char *target);

/* Another configuration: the settings of the first, an empty table. rig_add_node() fills the new
 * one; rig_reload() puts it in force and frees the old one. */
void rig_new_conf(struct rig *rig, struct conf **ret_old);
void rig_reload(struct rig *rig, struct conf *old);

/* inject_nmi by the administrator on rig_uuid(i), allowed while ACTIVE or ERROR. */
struct request rig_request(unsigned i);
extern const struct principal rig_admin, rig_demo, rig_other; /* of project "demo", "other" */

/* engine_find() by the rule `read`. */
struct node *rig_find(struct rig *rig, const char *ident, const struct principal *caller,
                      struct fault *fault);

/* engine_submit() that must be accepted, that must repeat, that must be refused (with this code;
 * ret_fault may be NULL). */
struct action *rig_submit(struct rig *rig, const struct request *request);
struct action *rig_repeat(struct rig *rig, const struct request *request);
void rig_refuse(struct rig *rig, const struct request *request, enum fault_code code,
                struct fault *ret_fault);

/* The loop runs until there, or the test fails. */
void rig_until_count(struct rig *rig, const unsigned *counter, unsigned at_least);
void rig_until_durable(struct rig *rig, const struct action *action, enum action_state state);

/* Some turns of the loop, for what must not happen. */
void rig_settle(struct rig *rig);

/* The driver's part, flight by flight: asks for *sent*; finishes; both, with the loop between. */
void rig_send(struct rig *rig, unsigned flight);
void rig_finish(struct rig *rig, unsigned flight, enum action_outcome outcome,
                enum fault_code code);
void rig_deliver(struct rig *rig, unsigned flight);

/* The probe under way ends; nothing when there is none. */
void rig_probe_done(struct rig *rig, json_t *result, const struct fault *fault);

/* Drains until done was called. */
void rig_drain(struct rig *rig);

#endif

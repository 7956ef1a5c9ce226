/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rig of the engine's tests. Its before-wait function is the loop's first, which libuv calls
 * last: there it looks whether what the test waits for has come, just before the loop would sleep.
 * So a wake-up that the engine forgot leaves the loop asleep until the patience is over. */
#include "engine_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/conf_parts.h"
#include "core/node_state.h"

#define PATIENCE_US  (20 * INT64_C(1000000))
#define SETTLE_TURNS 12

struct rig *rig_now;

const struct principal rig_admin = {
    .user = "root", .address = "127.0.0.1", .roles = RIG_ADMIN, .administrator = true};
const struct principal rig_demo = {
    .user = "alice", .project_id = "demo", .address = "127.0.0.2", .roles = RIG_MEMBER};
const struct principal rig_other = {
    .user = "bob", .project_id = "other", .address = "127.0.0.3", .roles = RIG_MEMBER};

/* ---- Running the loop ---- */

/* What rig_until_*() waits for. */
static struct goal {
    const unsigned *counter;
    unsigned at_least;
    const struct action *action;
    enum action_state state;
    unsigned turns; /* with neither: so many turns */
    bool missed;
} goal;

static bool goal_reached(void)
{
    if (goal.counter != NULL)
        return *goal.counter >= goal.at_least;
    if (goal.action != NULL)
        return goal.action->durable >= goal.state;
    return goal.turns == 0;
}

static void look(void *arg)
{
    struct rig *rig = arg;
    loop_fn *last = rig->last;
    rig->last = NULL;
    if (last != NULL)
        last(rig->last_arg);
    if (goal.turns > 0) {
        goal.turns--;
        loop_wake(rig->loop);
    }
    if (goal_reached())
        loop_stop(rig->loop);
}

static void give_up(void *arg)
{
    struct rig *rig = arg;
    goal.missed = true;
    loop_stop(rig->loop);
}

static void run(struct rig *rig, struct goal wanted)
{
    goal = wanted;
    loop_timer_set(rig->patience, clock_mono_us() + PATIENCE_US);
    loop_run(rig->loop);
    loop_timer_clear(rig->patience);
    if (goal.missed && goal.counter != NULL)
        fail_msg("waited in vain: the counter is %u, not %u", *goal.counter, goal.at_least);
    if (goal.missed)
        fail_msg("waited in vain for a state");
}

void rig_until_count(struct rig *rig, const unsigned *counter, unsigned at_least)
{
    run(rig, (struct goal){.counter = counter, .at_least = at_least});
}

void rig_until_durable(struct rig *rig, const struct action *action, enum action_state state)
{
    run(rig, (struct goal){.action = action, .state = state});
}

void rig_settle(struct rig *rig)
{
    run(rig, (struct goal){.turns = SETTLE_TURNS});
}

/* ---- The driver ---- */

static void free_info(void *info)
{
    rig_now->infos--;
    free(info);
}

static void *driver_open(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    (void)loop;
    (void)fault;
    rig_now->opens++;
    rig_now->window_seen = settings->window;
    return rig_now;
}

static void driver_configure(void *self, const struct conf_ipmi *settings)
{
    struct rig *rig = self;
    rig->configures++;
    rig->window_seen = settings->window;
}

static void driver_close(void *self)
{
    struct rig *rig = self;
    rig->closes++;
}

static void driver_start(void *self, struct action *action)
{
    struct rig *rig = self;
    if (++rig->depth > rig->depth_max)
        rig->depth_max = rig->depth;
    if (rig->starts < RIG_FLIGHTS)
        rig->flights[rig->starts].action = action_ref(action);
    rig->starts++;
    if (rig->finish_in_start)
        action_finish(action, OUTCOME_DELIVERED, FAULT_NONE, "delivered at once");
    rig->depth--;
}

static void flight_abort(struct rig *rig, struct rig_flight *flight, enum fault_code code,
                         const char *why)
{
    if (flight->action->state == ACTION_FINISHED || flight->goes > 0)
        return; /* what was sent goes on to its outcome */
    flight->aborts++;
    flight->abort_code = code;
    snprintf(flight->abort_why, sizeof flight->abort_why, "%s", why);
    if (!rig->slow_abort)
        action_finish(flight->action, OUTCOME_FAILED, code, "%s", why);
}

static void driver_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    struct rig *rig = self;
    assert_true(rig->starts <= RIG_FLIGHTS);
    for (unsigned i = 0; i < rig->starts; i++) {
        if (action == NULL || rig->flights[i].action == action)
            flight_abort(rig, &rig->flights[i], code, why);
    }
}

static void blind_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    (void)self;
    (void)action;
    (void)code;
    (void)why;
}

static void driver_probe(void *self, struct node *node, driver_probe_fn *done, void *arg)
{
    struct rig *rig = self;
    (void)node;
    assert_null(rig->probe_done);
    rig->probe_done = done;
    rig->probe_arg = arg;
    rig->probes++;
}

const struct driver rig_driver = {
    .name = "fake",
    .has_nmi = true,
    .info_free = free_info,
    .open = driver_open,
    .configure = driver_configure,
    .close = driver_close,
    .start = driver_start,
    .abort = driver_abort,
    .probe = driver_probe,
};

const struct driver rig_driver_blind = {
    .name = "blind",
    .has_nmi = false,
    .info_free = free_info,
    .open = driver_open,
    .configure = driver_configure,
    .close = driver_close,
    .start = driver_start,
    .abort = blind_abort,
    .probe = driver_probe,
};

const struct driver rig_driver_mute = {
    .name = "mute",
    .has_nmi = true,
    .info_free = free_info,
    .open = driver_open,
    .configure = driver_configure,
    .close = driver_close,
    .start = driver_start,
    .abort = blind_abort,
};

static const struct driver *const drivers[] = {&rig_driver_blind, &rig_driver_mute, &rig_driver,
                                               NULL};

/* ---- The fixture ---- */

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct fault fault = {0};
    assert_non_null(rig);
    log_set_level(LOG_LEVEL_ERROR - 1);
    rig_now = rig;
    rig->conf = calloc(1, sizeof *rig->conf);
    assert_non_null(rig->conf);
    rig->conf->nodes = node_table_new();
    assert_int_equal(conf_policy_defaults(rig->conf), 0);
    rig->conf->hold_off_s = 300;
    rig->conf->ipmi.window = 5;
    rig->conf->limits.queue = 1000;
    rig->conf->limits.queue_s = 300;
    rig->loop = loop_new(&fault);
    assert_non_null(rig->loop);
    assert_int_equal(loop_before_wait(rig->loop, look, rig, &fault), 0);
    rig->patience = loop_timer_new(rig->loop, give_up, rig, &fault);
    assert_non_null(rig->patience);
    state_dir_make(rig->dir);
    rig->journal = state_dir_journal(rig->dir, rig->loop, 1000, &fault);
    assert_non_null(rig->journal);
    rig->engine = engine_new(rig->loop, rig->conf, drivers, rig->journal, &fault);
    assert_non_null(rig->engine);
    assert_int_equal(rig->opens, 3);
    *state = rig;
    return 0;
}

static void conf_drop(struct conf *conf)
{
    node_table_free(conf->nodes);
    free(conf);
}

static void ignore(void *arg)
{
    (void)arg;
}

/* Ends what the test left under way, as a driver does that is closed. */
static void end_all(struct rig *rig)
{
    struct fault fault = {.code = FAULT_STOPPING, .message = "the test is over"};
    rig->slow_abort = false;
    engine_drain(rig->engine, ignore, NULL);
    for (unsigned i = 0; i < RIG_FLIGHTS && rig->flights[i].action != NULL; i++) {
        if (rig->flights[i].action->state != ACTION_FINISHED)
            rig_finish(rig, i, OUTCOME_FAILED, FAULT_STOPPING);
    }
    rig_probe_done(rig, NULL, &fault);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    end_all(rig);
    engine_free(rig->engine);
    assert_int_equal(rig->closes, 3);
    if (rig->freed != NULL)
        rig->freed(rig->freed_arg);
    for (unsigned i = 0; i < RIG_FLIGHTS; i++)
        action_unref(rig->flights[i].action);
    journal_free(rig->journal);
    state_dir_remove(rig->dir);
    loop_timer_free(rig->patience);
    loop_free(rig->loop);
    conf_policy_clear(&rig->conf->policy); /* one for all the configurations of a test */
    conf_drop(rig->conf);
    assert_int_equal(rig->infos, 0); /* every node is gone, so every count was right */
    free(rig);
    rig_now = NULL;
    return 0;
}

/* ---- Nodes ---- */

const char *rig_uuid(unsigned i)
{
    static char uuids[256][UUID_TEXT];
    assert_true(i < 256);
    snprintf(uuids[i], UUID_TEXT, "1be26c0b-03f2-4d2e-ae87-c02d7f33%04x", i);
    return uuids[i];
}

struct node *rig_add_node_on(struct rig *rig, unsigned i, const char *target)
{
    const struct node *other = NULL;
    const char *what = NULL;
    struct node *node = node_new();
    assert_non_null(node);
    memcpy(node->uuid, rig_uuid(i), UUID_TEXT);
    assert_true(asprintf(&node->name, "node-%u", i) > 0);
    node->project_id = strdup("demo");
    node->target = target == NULL ? NULL : strdup(target);
    node->driver = &rig_driver;
    node->driver_info = malloc(1);
    rig->infos++;
    assert_int_equal(node_table_add(rig->conf->nodes, node, &other, &what), 0);
    return node;
}

struct node *rig_add_node(struct rig *rig, unsigned i)
{
    char target[16];
    snprintf(target, sizeof target, "bmc-%u", i);
    return rig_add_node_on(rig, i, target);
}

void rig_new_conf(struct rig *rig, struct conf **ret_old)
{
    struct conf *conf = calloc(1, sizeof *conf);
    assert_non_null(conf);
    *conf = *rig->conf;
    conf->nodes = node_table_new();
    assert_non_null(conf->nodes);
    *ret_old = rig->conf;
    rig->conf = conf;
}

void rig_reload(struct rig *rig, struct conf *old)
{
    engine_reload(rig->engine, rig->conf);
    conf_drop(old);
}

/* ---- Requests ---- */

struct request rig_request(unsigned i)
{
    return (struct request){
        .node_ident = rig_uuid(i),
        .name = "inject_nmi",
        .contract = "agent",
        .caller = &rig_admin,
        .statuses = NODE_STATUS_BIT(NODE_ACTIVE) | NODE_STATUS_BIT(NODE_ERROR),
    };
}

struct node *rig_find(struct rig *rig, const char *ident, const struct principal *caller,
                      struct fault *fault)
{
    const struct access access = {ident, caller, POLICY_READ, "show", "agent", NULL};
    struct node_state state;
    return engine_find(rig->engine, &access, &state, fault);
}

static struct action *submit(struct rig *rig, const struct request *request, bool expect_repeat)
{
    struct action *action = NULL;
    struct fault fault = {0};
    bool repeat = !expect_repeat;
    if (engine_submit(rig->engine, request, &action, &repeat, &fault) < 0)
        fail_msg("refused: %s: %s", fault_name(fault.code), fault.message);
    assert_non_null(action);
    assert_int_equal(repeat, expect_repeat);
    assert_int_equal(fault.code, FAULT_NONE);
    return action;
}

struct action *rig_submit(struct rig *rig, const struct request *request)
{
    return submit(rig, request, false);
}

struct action *rig_repeat(struct rig *rig, const struct request *request)
{
    return submit(rig, request, true);
}

void rig_refuse(struct rig *rig, const struct request *request, enum fault_code code,
                struct fault *ret_fault)
{
    static struct action *const untouched = (struct action *)8;
    struct action *action = untouched;
    struct fault fault = {0};
    unsigned starts = rig->starts;
    for (int value = 0; value < 2; value++) {
        bool repeat = value != 0;
        memset(&fault, 0, sizeof fault);
        assert_int_equal(engine_submit(rig->engine, request, &action, &repeat, &fault), -1);
        assert_string_equal(fault_name(fault.code), fault_name(code));
        assert_int_equal(repeat, value); /* out parameters are untouched on failure */
    }
    assert_true(action == untouched);
    assert_string_not_equal(fault.message, "");
    assert_int_equal(engine_submit(rig->engine, request, &action, &(bool){false}, NULL), -1);
    assert_int_equal(rig->starts, starts);
    if (ret_fault != NULL)
        *ret_fault = fault;
}

/* ---- The driver's part ---- */

static void on_go(void *arg)
{
    struct rig_flight *flight = arg;
    assert_false(flight->asking); /* never from within action_sending() */
    flight->goes++;
    rig_now->goes++;
    if (rig_now->deaf_go)
        return;
    assert_int_equal(flight->action->state, ACTION_SENT);
    assert_true(flight->action->durable >= ACTION_SENT);
    assert_true(flight->action->sent_at >= flight->action->created_at);
}

void rig_send(struct rig *rig, unsigned flight)
{
    struct rig_flight *f = &rig->flights[flight];
    f->asking = true;
    action_sending(f->action, on_go, f);
    f->asking = false;
}

void rig_probe_done(struct rig *rig, json_t *result, const struct fault *fault)
{
    driver_probe_fn *done = rig->probe_done;
    rig->probe_done = NULL;
    if (done != NULL)
        done(rig->probe_arg, result, fault);
}

void rig_finish(struct rig *rig, unsigned flight, enum action_outcome outcome, enum fault_code code)
{
    action_finish(rig->flights[flight].action, outcome, code, "flight %u: %s", flight,
                  action_outcome_name(outcome));
}

void rig_deliver(struct rig *rig, unsigned flight)
{
    rig_send(rig, flight);
    rig_until_count(rig, &rig->flights[flight].goes, 1);
    rig_finish(rig, flight, OUTCOME_DELIVERED, FAULT_NONE);
    rig_until_durable(rig, rig->flights[flight].action, ACTION_FINISHED);
}

static void on_drained(void *arg)
{
    unsigned *drained = arg;
    ++*drained;
}

void rig_drain(struct rig *rig)
{
    unsigned drained = 0;
    engine_drain(rig->engine, on_drained, &drained);
    rig_until_count(rig, &drained, 1);
    rig_settle(rig);
    assert_int_equal(drained, 1);
}

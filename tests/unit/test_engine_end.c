/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine across a reload, with a probe, and when it is drained. */
#include "engine_rig.h"

#include "core/journal.h"

/* ---- Reload ---- */

/* An action in flight keeps the node that it began with (the address sanitizer sees to it). One that
 * still waits for the window does so only if its node has kept its BMC: else it fails, unsent. */
static void test_reload_in_flight(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    struct fault fault = {0};
    struct request request = rig_request(0), queued = rig_request(1), gone = rig_request(2),
                   moved = rig_request(3);
    rig->conf->ipmi.window = 1;
    struct node *node = rig_add_node(rig, 0);
    for (unsigned i = 1; i < 4; i++)
        rig_add_node(rig, i);
    struct action *action = rig_submit(rig, &request);
    struct action *waiting = rig_submit(rig, &queued);
    struct action *without_node = rig_submit(rig, &gone), *elsewhere = rig_submit(rig, &moved);
    rig_new_conf(rig, &old);
    rig->conf->ipmi.window = 7;
    rig_add_node(rig, 1);
    rig_add_node_on(rig, 3, "bmc-9");
    rig_reload(rig, old);
    assert_int_equal(rig->configures, 3);
    assert_int_equal(rig->window_seen, 7);
    assert_int_equal(without_node->outcome, OUTCOME_FAILED);
    assert_int_equal(without_node->code, FAULT_NODE_NOT_FOUND);
    assert_int_equal(elsewhere->outcome, OUTCOME_FAILED);
    assert_int_equal(elsewhere->sent_at, 0);
    assert_ptr_equal(action->node, node);
    assert_string_equal(node->name, "node-0");
    assert_string_equal(node->target, "bmc-0");
    assert_null(rig_find(rig, rig_uuid(0), &rig_admin, &fault));
    assert_int_equal(fault.code, FAULT_NODE_NOT_FOUND);

    assert_int_equal(rig->starts, 2); /* the window has grown */
    assert_ptr_equal(rig->flights[1].action, waiting);
    rig_deliver(rig, 0);
    assert_string_equal(waiting->node->name, "node-1");
    rig_deliver(rig, 1);
    assert_int_equal(rig->starts, 2);
}

/* A node that left with nothing under way is freed at once. */
static void test_reload_frees(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    rig_add_node(rig, 0);
    rig_new_conf(rig, &old);
    rig_add_node(rig, 1);
    rig_reload(rig, old);
    assert_int_equal(rig->infos, 1);
}

/* ---- Probes ---- */

struct probed {
    unsigned count;
    bool had_result;
    enum fault_code code;
};

static void on_probed(void *arg, json_t *result, const struct fault *fault)
{
    struct probed *probed = arg;
    probed->count++;
    probed->had_result = result != NULL;
    probed->code = fault == NULL ? FAULT_NONE : fault->code;
}

static void test_probe(void **state)
{
    struct rig *rig = *state;
    struct probed probed = {0};
    struct fault fault = {0};
    struct request request = rig_request(0);
    struct node *node = rig_add_node(rig, 0);
    json_t *result = json_pack("{s:s}", "power", "on");
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, &fault), 0);
    assert_int_equal(rig->probes, 1);
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, &fault);
    assert_string_equal(fault.action_id, "");
    assert_non_null(strstr(fault.message, "probe"));
    memset(&fault, 0, sizeof fault);
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, &fault), -1);
    assert_int_equal(fault.code, FAULT_IN_FLIGHT);
    assert_int_equal(rig->probes, 1);

    rig_probe_done(rig, result, NULL);
    json_decref(result);
    assert_int_equal(probed.count, 1);
    assert_true(probed.had_result);
    rig_submit(rig, &request);
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, NULL), -1);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);

    fault = (struct fault){.code = FAULT_PASSWORD, .message = "no"};
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, NULL),
                     0); /* hold-off: no matter */
    rig_probe_done(rig, NULL, &fault);
    assert_int_equal(probed.count, 2);
    assert_false(probed.had_result);
    assert_int_equal(probed.code, FAULT_PASSWORD);
}

/* A probe outlives its node, and its BMC stays taken under whatever name. */
static void test_probe_across_reload(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    struct probed probed = {0};
    struct fault fault = {.code = FAULT_UNREACHABLE};
    struct request heir = rig_request(1);
    struct node *node = rig_add_node(rig, 0);
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, NULL), 0);
    rig_new_conf(rig, &old);
    rig_add_node_on(rig, 1, "bmc-0");
    rig_reload(rig, old);
    assert_int_equal(rig->infos, 2);
    rig_refuse(rig, &heir, FAULT_IN_FLIGHT, NULL);
    rig_probe_done(rig, NULL, &fault);
    assert_int_equal(probed.count, 1);
    assert_int_equal(rig->infos, 1);
    rig_submit(rig, &heir);
}

static void test_probe_refused(void **state)
{
    struct rig *rig = *state;
    struct probed probed = {0};
    struct fault fault = {0};
    struct node *mute = rig_add_node(rig, 0), *node = rig_add_node(rig, 1);
    mute->driver = &rig_driver_mute;
    assert_int_equal(engine_probe(rig->engine, mute, on_probed, &probed, &fault), -1);
    assert_int_equal(fault.code, FAULT_UNSUPPORTED);
    memset(&fault, 0, sizeof fault);
    rig_drain(rig);
    assert_int_equal(engine_probe(rig->engine, node, on_probed, &probed, &fault), -1);
    assert_int_equal(fault.code, FAULT_STOPPING);
    assert_int_equal(rig->probes, 0);
    assert_int_equal(probed.count, 0);
}

/* ---- Draining ---- */

static unsigned drained;

static void on_drained(void *arg)
{
    struct rig *rig = arg;
    struct engine_counts counts;
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.queued, 0);
    assert_int_equal(counts.in_flight, 0);
    assert_int_equal(journal_pending(rig->journal), 0);
    drained++;
}

static void assert_stopped(const struct action *action)
{
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->outcome, OUTCOME_FAILED);
    assert_int_equal(action->code, FAULT_STOPPING);
    assert_int_equal(action->sent_at, 0);
}

/* One that was sent, one in its session, one that waits for *sent*, two in the queue. */
static void test_drain(void **state)
{
    struct rig *rig = *state;
    struct action *actions[5];
    rig->conf->ipmi.window = 3;
    for (unsigned i = 0; i < 5; i++) {
        struct request request = rig_request(i);
        rig_add_node(rig, i);
        actions[i] = rig_submit(rig, &request);
    }
    rig_send(rig, 0);
    rig_until_count(rig, &rig->goes, 1);
    rig_send(rig, 2);
    drained = 0;
    engine_drain(rig->engine, on_drained, rig);
    for (unsigned i = 1; i < 5; i++)
        assert_stopped(actions[i]);
    assert_int_equal(rig->flights[0].aborts, 0);
    assert_int_equal(rig->flights[1].abort_code, FAULT_STOPPING);
    assert_int_equal(rig->flights[2].aborts, 1);
    rig_settle(rig);
    assert_int_equal(drained, 0); /* what was sent is awaited */
    assert_int_equal(actions[0]->state, ACTION_SENT);
    assert_int_equal(rig->goes, 1);
    assert_int_equal(rig->starts, 3); /* the queued ones never began */

    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(drained, 0); /* and its *finished* on disk too */
    rig_until_count(rig, &drained, 1);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(actions[i]->durable, ACTION_FINISHED);
    rig_settle(rig);
    assert_int_equal(drained, 1);
}

/* A driver may take its time for an abort (it closes its session). What it asked for before must
 * not come any more: *sent* on disk is no leave for an action that was given up. */
static void test_drain_slowly(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);
    struct action *action = rig_submit(rig, &request);
    rig_until_durable(rig, action, ACTION_ACCEPTED);
    rig->slow_abort = true;
    rig_send(rig, 0);
    drained = 0;
    engine_drain(rig->engine, on_drained, rig);
    assert_int_equal(rig->flights[0].aborts, 1);
    rig_until_durable(rig, action, ACTION_SENT);
    rig_settle(rig);
    assert_int_equal(drained, 0);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(action->sent_at, 0);
    assert_int_equal(action->state, ACTION_ACCEPTED);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_STOPPING);
    rig_until_count(rig, &drained, 1);
    assert_stopped(action);
}

static void on_wait(void *arg, struct action *action)
{
    unsigned *fired = arg;
    assert_int_equal(drained, 0);
    assert_int_equal(action->state, ACTION_FINISHED);
    ++*fired;
}

/* Who waits for an outcome hears it before the engine reports that it is done. */
static void test_drain_after_waits(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    unsigned fired = 0;
    rig_add_node(rig, 0);
    struct action *action = rig_submit(rig, &request);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &fired);
    drained = 0;
    engine_drain(rig->engine, on_drained, rig);
    rig_until_count(rig, &drained, 1);
    assert_int_equal(fired, 1);
}

struct asker {
    struct rig *rig;
    unsigned fired;
};

static void on_wait_again(void *arg, struct action *action)
{
    struct asker *asker = arg;
    assert_int_equal(drained, 0);
    if (++asker->fired < 4)
        engine_wait(asker->rig->engine, action, ACTION_FINISHED, on_wait_again, asker);
}

/* ... also when he asks again. */
static void test_drain_after_more_waits(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct asker asker = {.rig = rig};
    rig_add_node(rig, 0);
    struct action *action = rig_submit(rig, &request);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait_again, &asker);
    drained = 0;
    engine_drain(rig->engine, on_drained, rig);
    rig_until_count(rig, &drained, 1);
    assert_int_equal(asker.fired, 4);
}

/* A reload has just made room in the window: the end of one queued action must not start another.
 */
static void test_drain_after_reload(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    rig->conf->ipmi.window = 1;
    for (unsigned i = 0; i < 4; i++) {
        struct request request = rig_request(i);
        rig_add_node(rig, i);
        rig_submit(rig, &request);
    }
    rig_new_conf(rig, &old);
    rig->conf->ipmi.window = 4;
    rig_reload(rig, old);
    unsigned started = rig->starts;
    rig_drain(rig);
    assert_int_equal(rig->starts, started);
}

static void drain_at_last(void *arg)
{
    struct rig *rig = arg;
    engine_drain(rig->engine, on_drained, rig);
}

/* Wherever in a turn it is asked for: the loop does not fall asleep over it. */
static void test_drain_wakes(void **state)
{
    struct rig *rig = *state;
    drained = 0;
    rig->last = drain_at_last;
    rig->last_arg = rig;
    rig_until_count(rig, &drained, 1);
}

static void test_drain_idle(void **state)
{
    struct rig *rig = *state;
    drained = 0;
    engine_drain(rig->engine, on_drained, rig);
    assert_int_equal(drained, 0);
    rig_until_count(rig, &drained, 1);
    rig_settle(rig);
    assert_int_equal(drained, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reload_in_flight),       TEST(test_reload_frees),       TEST(test_probe),
        TEST(test_probe_across_reload),    TEST(test_probe_refused),      TEST(test_drain),
        TEST(test_drain_slowly),           TEST(test_drain_after_waits),  TEST(test_drain_idle),
        TEST(test_drain_after_more_waits), TEST(test_drain_after_reload), TEST(test_drain_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

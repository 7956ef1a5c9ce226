/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ladder of engine_submit(): each rung, and their order. INTERFACES: "Order as in Nova:
 * credentials, body, node, policy, lock, status". */
#include "engine_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "core/journal.h"
#include "core/limits.h"

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = value == NULL ? NULL : strdup(value);
}

/* ---- Find, see ---- */

static void test_find(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct fault fault = {0};
    memcpy(node->instance_uuid, rig_uuid(200), UUID_TEXT);
    assert_ptr_equal(rig_find(rig, rig_uuid(0), &rig_admin, &fault), node);
    assert_ptr_equal(rig_find(rig, "node-0", &rig_demo, &fault), node);
    assert_ptr_equal(engine_nodes(rig->engine), rig->conf->nodes);
    assert_int_equal(fault.code, FAULT_NONE);

    struct request request = rig_request(0);
    request.node_ident = "node-0";
    struct action *action = rig_submit(rig, &request);
    assert_ptr_equal(action->node, node);
    assert_string_equal(action->name, "inject_nmi");
    assert_string_equal(action->contract, "agent");
    assert_string_equal(action->user, "root");
    assert_string_equal(action->address, "127.0.0.1");
    assert_null(action->project_id);
    assert_int_equal(action->state, ACTION_ACCEPTED);
    assert_int_equal(strncmp(action->id, "req-", 4), 0);
    assert_true(uuid_valid(action->id + 4));
    assert_ptr_equal(engine_action(rig->engine, action->id), action);
    assert_null(engine_action(rig->engine, "req-00000000-0000-0000-0000-000000000000"));
    assert_int_equal(rig->starts, 1);
}

/* Another project's node must look exactly like none. */
static void test_invisible(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    struct fault foreign, absent;
    struct principal homeless = {.user = "carol", .address = "127.0.0.4", .roles = RIG_MEMBER};

    request.caller = &rig_other;
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, &foreign);
    request.caller = &homeless;
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, &absent);
    assert_string_equal(foreign.message, absent.message);
    assert_string_equal(foreign.action_id, "");
    request.node_ident = rig_uuid(1);
    request.caller = &rig_other;
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, &absent);
    char *uuid = strstr(absent.message, rig_uuid(1));
    assert_non_null(uuid);
    memcpy(uuid, rig_uuid(0), UUID_TEXT - 1);
    assert_string_equal(foreign.message, absent.message);

    request = rig_request(0);
    request.caller = &homeless;
    set_text(&node->project_id, NULL); /* two that have none are no project together */
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, NULL);
    request.caller = &rig_demo;
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, NULL);
    set_text(&node->project_id, "demo");
    assert_string_equal(rig_submit(rig, &request)->project_id, "demo");
}

/* ---- Force, lock, status, driver ---- */

static void test_force_is_for_administrators(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    node->status = NODE_SHUTOFF;
    request.caller = &rig_demo;
    request.force = true;
    rig_refuse(rig, &request, FAULT_FORBIDDEN, NULL);
    request.caller = &rig_admin;
    assert_true(rig_submit(rig, &request)->force);
}

static void test_lock(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    struct fault fault;
    node->locked = true;
    request.caller = &rig_demo;
    rig_refuse(rig, &request, FAULT_LOCKED, &fault);
    assert_string_equal(fault.message, "Instance 1be26c0b-03f2-4d2e-ae87-c02d7f330000 is locked");
    request.caller = &rig_admin;
    rig_submit(rig, &request);
}

static void test_status(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct fault fault;
    rig->conf->hold_off_s = 0;
    struct node *node = rig_add_node(rig, 0);
    rig->finish_in_start = true;
    for (enum node_status status = 0; status < NODE_STATUSES; status++) {
        node->status = status;
        if (status == NODE_ACTIVE || status == NODE_ERROR)
            rig_submit(rig, &request);
        else
            rig_refuse(rig, &request, FAULT_STATUS, &fault);
    }
    assert_int_equal(rig->starts, 2);
    node->status = NODE_SHELVED_OFFLOADED;
    rig_refuse(rig, &request, FAULT_STATUS, &fault);
    assert_string_equal(fault.message,
                        "Cannot 'inject_nmi' instance 1be26c0b-03f2-4d2e-ae87-c02d7f330000 while "
                        "it is in vm_state shelved_offloaded");
}

static void test_driver_without_nmi(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    rig_add_node(rig, 0)->driver = &rig_driver_blind;
    rig_refuse(rig, &request, FAULT_UNSUPPORTED, NULL);
    request.force = true; /* force passes hold-off and status, no more */
    rig_refuse(rig, &request, FAULT_UNSUPPORTED, NULL);
}

/* ---- Repeats ---- */

static void test_repeat_in_flight_and_finished(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    struct fault fault;
    request.idempotency_key = "k1";
    request.fingerprint = "body";
    struct action *first = rig_submit(rig, &request);
    assert_ptr_equal(rig_repeat(rig, &request), first);
    rig_deliver(rig, 0);
    node->locked = true; /* whatever became of the node: the first outcome */
    node->status = NODE_SHUTOFF;
    assert_ptr_equal(rig_repeat(rig, &request), first);
    assert_int_equal(rig->starts, 1);

    request.fingerprint = "another body";
    rig_refuse(rig, &request, FAULT_KEY_REUSED, &fault);
    assert_string_equal(fault.action_id, first->id);
    assert_non_null(strstr(fault.message, first->id));
    request.fingerprint = NULL;
    rig_refuse(rig, &request, FAULT_KEY_REUSED, NULL);
}

/* Scope: caller, node, key. Two callers, two nodes or two keys are different requests. */
static void test_repeat_scope(void **state)
{
    struct rig *rig = *state;
    struct principal alice_elsewhere = rig_demo, bob_here = rig_demo, alice_moved = rig_demo;
    struct node *node = rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    struct request request = rig_request(0);
    alice_elsewhere.project_id = "other";
    bob_here.user = "bob";
    alice_moved.address = "192.0.2.1";
    request.idempotency_key = "k1";
    request.caller = &rig_demo;
    struct action *first = rig_submit(rig, &request);

    request.caller = &bob_here;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    set_text(&node->project_id, "other");
    request.caller = &alice_elsewhere;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    set_text(&node->project_id, "demo");
    request.caller = &rig_demo;
    request.idempotency_key = "k2";
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    request.idempotency_key = NULL;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);

    request.idempotency_key = "k1";
    request.caller = &alice_moved; /* an address is not who asks */
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request.node_ident = "node-0"; /* nor is a name another node */
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request.node_ident = rig_uuid(1);
    assert_ptr_not_equal(rig_submit(rig, &request), first);
    assert_int_equal(rig->starts, 2);
}

/* Where there is an id of the user, that is who asks: names may be given to another. */
static void test_repeat_by_user_id(void **state)
{
    struct rig *rig = *state;
    struct principal alice = rig_demo, renamed, another;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);
    alice.user_id = "5a1fb8";
    renamed = another = alice;
    renamed.user = "alice.smith";
    another.user_id = "77c0de";
    request.idempotency_key = "k1";
    request.caller = &alice;
    struct action *first = rig_submit(rig, &request);
    assert_string_equal(first->user, "alice");
    request.caller = &renamed;
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request.caller = &another;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    request.caller = &rig_demo; /* the same name, from a listener that knows no ids */
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
}

/* A refused request was not recorded: its key is still free. */
static void test_refused_key_is_free(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    request.idempotency_key = "k1";
    request.fingerprint = "one";
    node->status = NODE_SHUTOFF;
    rig_refuse(rig, &request, FAULT_STATUS, NULL);
    node->status = NODE_ACTIVE;
    request.fingerprint = "two";
    rig_submit(rig, &request);
}

/* ---- In flight ---- */

static void test_in_flight(void **state)
{
    struct rig *rig = *state;
    struct fault fault;
    rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    struct request request = rig_request(0), other = rig_request(1);
    struct action *first = rig_submit(rig, &request);
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, &fault);
    assert_string_equal(fault.action_id, first->id);
    assert_non_null(strstr(fault.message, first->id));
    request.force = true; /* never at-most-once */
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    rig_submit(rig, &other); /* another node, another BMC */

    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    request.force = false;
    assert_ptr_not_equal(rig_submit(rig, &request), first);
    assert_int_equal(rig->starts, 3);
}

/* A reload may give a node another BMC, and another node the BMC of an action in flight. */
static void test_in_flight_after_reload(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    struct fault fault;
    rig_add_node(rig, 0);
    struct request moved = rig_request(0), heir = rig_request(1), third = rig_request(2);
    struct action *first = rig_submit(rig, &moved);
    rig_new_conf(rig, &old);
    rig_add_node_on(rig, 0, "bmc-new");
    rig_add_node_on(rig, 1, "bmc-0");
    rig_add_node(rig, 2);
    rig_reload(rig, old);

    rig_refuse(rig, &moved, FAULT_IN_FLIGHT, &fault);
    assert_string_equal(fault.action_id, first->id);
    rig_refuse(rig, &heir, FAULT_IN_FLIGHT, &fault);
    assert_string_equal(fault.action_id, first->id);
    rig_submit(rig, &third);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    rig_submit(rig, &moved);
    rig_submit(rig, &heir);
    assert_int_equal(rig->starts, 4);
}

/* ---- Hold-off ---- */

/* One action on node 0 that ends so. */
static struct action *end_one(struct rig *rig, enum action_outcome outcome, enum fault_code code)
{
    struct request request = rig_request(0);
    struct action *action = rig_submit(rig, &request);
    unsigned flight = rig->starts - 1;
    rig_finish(rig, flight, outcome, code);
    rig_until_durable(rig, action, ACTION_FINISHED);
    return action;
}

static void test_hold_off(void **state)
{
    struct rig *rig = *state;
    struct fault fault;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);

    end_one(rig, OUTCOME_FAILED, FAULT_REFUSED);
    struct action *unknown = end_one(rig, OUTCOME_UNKNOWN, FAULT_NO_ANSWER); /* none after failed */
    rig_refuse(rig, &request, FAULT_HOLD_OFF, &fault);
    assert_string_equal(fault.action_id, unknown->id);
    assert_non_null(strstr(fault.message, unknown->id));
    assert_non_null(strstr(fault.message, "may have been delivered"));

    request.force = true;
    struct action *forced = rig_submit(rig, &request);
    rig_finish(rig, rig->starts - 1, OUTCOME_DELIVERED, FAULT_NONE);
    rig_until_durable(rig, forced, ACTION_FINISHED);
    request.force = false;
    rig_refuse(rig, &request, FAULT_HOLD_OFF, &fault);
    assert_string_equal(fault.action_id, forced->id);
    assert_non_null(strstr(fault.message, "was delivered"));
    assert_non_null(strstr(fault.message, "to node-0 0 s ago"));
    assert_non_null(strstr(fault.message, "allowed again in 300 s"));
}

/* It begins with the outcome, not with the journal's word for it. */
static void test_hold_off_at_once(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);
    rig_submit(rig, &request);
    rig_finish(rig, 0, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    rig_refuse(rig, &request, FAULT_HOLD_OFF, NULL);
}

static void test_hold_off_ends(void **state)
{
    struct rig *rig = *state;
    struct fault fault;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);
    struct action *action = end_one(rig, OUTCOME_DELIVERED, FAULT_NONE);
    action->finished_mono = clock_mono_us() - 299 * INT64_C(1000000);
    rig_refuse(rig, &request, FAULT_HOLD_OFF, &fault);
    assert_non_null(strstr(fault.message, "299 s ago"));
    assert_non_null(strstr(fault.message, "allowed again in 1 s"));
    action->finished_mono = clock_mono_us() - 300 * INT64_C(1000000);
    rig_submit(rig, &request);
}

static void test_no_hold_off(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    rig->conf->hold_off_s = 0;
    rig_add_node(rig, 0);
    end_one(rig, OUTCOME_DELIVERED, FAULT_NONE);
    rig_submit(rig, &request);
}

/* The dump is being written by the machine behind the BMC, whatever the node is called now. */
static void test_hold_off_by_target(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    struct fault fault;
    struct request moved = rig_request(0), heir = rig_request(1), third = rig_request(2);
    rig_add_node(rig, 0);
    struct action *action = end_one(rig, OUTCOME_DELIVERED, FAULT_NONE);
    rig_new_conf(rig, &old);
    rig_add_node_on(rig, 0, "bmc-new");
    rig_add_node_on(rig, 1, "bmc-0");
    rig_add_node_on(rig, 2, NULL);
    rig_reload(rig, old);
    rig_refuse(rig, &moved, FAULT_HOLD_OFF, &fault);
    assert_string_equal(fault.action_id, action->id);
    rig_refuse(rig, &heir, FAULT_HOLD_OFF, &fault);
    assert_string_equal(fault.action_id, action->id);
    rig_submit(rig, &third);
}

/* ---- How many actions a caller may begin ---- */

static void test_actions_per_minute(void **state)
{
    struct rig *rig = *state;
    struct fault fault = {0};
    const struct conf_limits conf = {.actions_per_minute = 3};
    struct limits *limits = limits_new(&conf, &fault);
    assert_non_null(limits);
    engine_set_limits(rig->engine, limits);
    for (unsigned i = 0; i < 5; i++)
        rig_add_node(rig, i);
    rig->finish_in_start = true;
    struct request request = rig_request(0), keyed = rig_request(1);
    struct action *first = rig_submit(rig, &request);
    rig_until_durable(rig, first, ACTION_FINISHED);
    for (unsigned i = 0; i < 10; i++) { /* what is refused for another reason takes none */
        rig_refuse(rig, &request, FAULT_HOLD_OFF, NULL);
        request.node_ident = "nothing";
        rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, NULL);
        request = rig_request(0);
    }
    keyed.idempotency_key = "k";
    struct action *second = rig_submit(rig, &keyed);
    for (unsigned i = 0; i < 10; i++) /* nor does a repeat */
        assert_ptr_equal(rig_repeat(rig, &keyed), second);
    request.repeat_s = 60;
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request = rig_request(0);
    request.force = true;
    rig_submit(rig, &request);
    rig_refuse(rig, &request, FAULT_TOO_MANY, &fault);
    assert_string_equal(fault.message,
                        "root has begun as many actions as limits.actions_per_minute (3) allows; "
                        "nothing was sent; the next may begin in 20 s");
    struct request other = rig_request(2);
    rig_refuse(rig, &other, FAULT_TOO_MANY, NULL);
    assert_ptr_equal(rig_repeat(rig, &keyed), second); /* still */
    other.caller = &rig_demo;
    rig_submit(rig, &other);
    assert_int_equal(rig->starts, 4);
    assert_true(limits_count(limits, LIMIT_ACTIONS_PER_MINUTE) >= 2);
    engine_set_limits(rig->engine, NULL);
    limits_free(limits);
}

/* ---- The daemon itself ---- */

static void test_stopping(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    rig_add_node(rig, 0);
    rig->conf->limits.queue = 0;
    rig_refuse(rig, &request, FAULT_OVERLOADED, NULL);
    rig_drain(rig);
    rig_refuse(rig, &request, FAULT_STOPPING, NULL);
    request.force = true;
    rig_refuse(rig, &request, FAULT_STOPPING, NULL);
}

static void test_queue_limit(void **state)
{
    struct rig *rig = *state;
    struct request requests[5];
    rig->conf->ipmi.window = 1;
    rig->conf->limits.queue = 2;
    for (unsigned i = 0; i < 5; i++) {
        rig_add_node(rig, i);
        requests[i] = rig_request(i);
    }
    for (unsigned i = 0; i < 3; i++) /* one in the window, two in the queue */
        rig_submit(rig, &requests[i]);
    rig_refuse(rig, &requests[3], FAULT_OVERLOADED, NULL);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_REFUSED);
    rig_submit(rig, &requests[3]);
    rig_refuse(rig, &requests[4], FAULT_OVERLOADED, NULL);
}

/* ---- The order ---- */

static void on_probed(void *arg, json_t *result, const struct fault *fault)
{
    (void)arg;
    (void)result;
    (void)fault;
}

/* A request that every rung refuses; then one reason after the other is taken away. */
static void test_order(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    struct request request = rig_request(0);
    struct node *node = rig_add_node(rig, 0);
    request.caller = &rig_demo;
    request.idempotency_key = "k1";
    request.fingerprint = "first";
    struct action *first = rig_submit(rig, &request);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE); /* it holds off what comes */

    rig_new_conf(rig, &old);
    node = rig_add_node(rig, 0);
    set_text(&node->project_id, "other");
    node->locked = true;
    node->status = NODE_SHUTOFF;
    node->driver = &rig_driver_blind;
    rig->conf->limits.queue = 0;
    rig_reload(rig, old);
    rig->conf->limits.queue = 1;
    assert_int_equal(engine_probe(rig->engine, node, on_probed, NULL, NULL), 0);
    rig->conf->limits.queue = 0;
    request.force = true;
    request.fingerprint = "second";
    request.statuses = NODE_STATUS_BIT(NODE_ACTIVE);

    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, NULL);
    set_text(&node->project_id, "demo");
    rig_refuse(rig, &request, FAULT_FORBIDDEN, NULL);
    request.force = false;
    rig_refuse(rig, &request, FAULT_KEY_REUSED, NULL);
    request.fingerprint = "first";
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request.idempotency_key = "k2";
    rig_refuse(rig, &request, FAULT_LOCKED, NULL);
    node->locked = false;
    rig_refuse(rig, &request, FAULT_STATUS, NULL);
    node->status = NODE_ACTIVE;
    rig_refuse(rig, &request, FAULT_UNSUPPORTED, NULL);
    node->driver = &rig_driver;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
}

/* Its lower half: in flight, hold-off, the daemon. */
static void test_order_below(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct fault fault = {.code = FAULT_UNREACHABLE};
    struct node *node = rig_add_node(rig, 0);
    struct action *first = rig_submit(rig, &request);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(engine_probe(rig->engine, node, on_probed, NULL, NULL), 0);
    rig->conf->limits.queue = 0;

    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    rig_probe_done(rig, NULL, &fault);
    rig_refuse(rig, &request, FAULT_HOLD_OFF, NULL);
    rig_drain(rig);
    rig_refuse(rig, &request, FAULT_HOLD_OFF, NULL);
    first->finished_mono -= 301 * INT64_C(1000000);
    rig_refuse(rig, &request, FAULT_STOPPING, NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find),
        TEST(test_invisible),
        TEST(test_force_is_for_administrators),
        TEST(test_lock),
        TEST(test_status),
        TEST(test_driver_without_nmi),
        TEST(test_repeat_in_flight_and_finished),
        TEST(test_repeat_scope),
        TEST(test_repeat_by_user_id),
        TEST(test_refused_key_is_free),
        TEST(test_in_flight),
        TEST(test_in_flight_after_reload),
        TEST(test_hold_off),
        TEST(test_hold_off_at_once),
        TEST(test_hold_off_ends),
        TEST(test_no_hold_off),
        TEST(test_hold_off_by_target),
        TEST(test_actions_per_minute),
        TEST(test_stopping),
        TEST(test_queue_limit),
        TEST(test_order),
        TEST(test_order_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

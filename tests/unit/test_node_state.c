/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine with Ironic as its source of states: what counts of the configuration, of Ironic and
 * of what was set at run time; and that nothing is done, and nothing told, when Ironic is silent.
 * Ironic is this file's own: four nodes, one word for what it knows of each. */
#include "engine_rig.h"

#include <stdlib.h>
#include "core/engine_state.h"
#include "core/ironic.h"
#include "core/journal_more.h"
#include "core/node_state.h"

#define NODES 4

/* ---- Ironic ---- */

static enum ironic_answer answers[NODES];
static struct ironic_node told[NODES];
static enum ironic_answer instance_answer; /* of what is no node's instance */
static unsigned news, frees, configures, turns, refreshes;
static bool no_memory;

struct ironic *ironic_new(struct loop *loop, const struct conf *conf, struct fault *fault)
{
    (void)loop;
    (void)conf;
    if (no_memory) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    news++;
    return (struct ironic *)(void *)&news;
}

void ironic_free(struct ironic *ironic)
{
    frees += ironic != NULL;
}

void ironic_configure(struct ironic *ironic, const struct conf *conf)
{
    (void)ironic;
    (void)conf;
    configures++;
}

void ironic_turn(struct ironic *ironic)
{
    turns += ironic != NULL;
}

int ironic_refresh(struct ironic *ironic, const char *const *idents, size_t count, loop_fn *done,
                   void *arg, struct state_wait **ret_wait, struct fault *fault)
{
    (void)ironic, (void)idents, (void)count, (void)done, (void)arg, (void)ret_wait, (void)fault;
    refreshes++;
    return 0;
}

void ironic_cancel(struct state_wait *wait)
{
    (void)wait;
}

bool ironic_lost(const struct state_wait *wait, int64_t most_us)
{
    (void)wait, (void)most_us;
    return false;
}

void ironic_use(struct state_wait *wait, loop_fn *fn, void *arg)
{
    (void)wait;
    fn(arg);
}

enum ironic_answer ironic_node(const struct ironic *ironic, const char *uuid,
                               const struct ironic_node **ret_node)
{
    assert_non_null(ironic);
    for (unsigned i = 0; i < NODES; i++) {
        if (strcmp(uuid, rig_uuid(i)) == 0) {
            *ret_node = &told[i];
            return answers[i];
        }
    }
    fail_msg("no such node");
    return IRONIC_STALE;
}

enum ironic_answer ironic_instance(const struct ironic *ironic, const char *ident,
                                   const char **ret_uuid)
{
    assert_non_null(ironic);
    for (unsigned i = 0; i < NODES; i++) {
        if (answers[i] == IRONIC_KNOWN && strcmp(told[i].instance_uuid, ident) == 0) {
            *ret_uuid = rig_uuid(i);
            return IRONIC_KNOWN;
        }
    }
    return instance_answer;
}

/* ---- The fixture ---- */

static const char instance[] = "5f3c9f1e-6b1a-4b7d-8e56-0a8b1a8b0a11";
static const char configured[] = "6f3c9f1e-6b1a-4b7d-8e56-0a8b1a8b0a22";
static char other_project[] = "other", tenant[] = "tenant", conductor[] = "conductor-1";
static const struct principal rig_tenant = {
    .user = "tina", .project_id = "tenant", .address = "127.0.0.4", .roles = RIG_MEMBER};

static int setup(void **state)
{
    news = frees = configures = turns = refreshes = 0;
    no_memory = false;
    instance_answer = IRONIC_ABSENT;
    if (rig_setup(state) < 0)
        return -1;
    struct rig *rig = *state;
    for (unsigned i = 0; i < NODES; i++) {
        rig_add_node(rig, i);
        answers[i] = IRONIC_KNOWN;
        told[i] = (struct ironic_node){
            .provision_state = "active", .status = NODE_ACTIVE, .owner = other_project};
    }
    rig->conf->state_source_ironic = true;
    engine_reload(rig->engine, rig->conf);
    assert_int_equal(news, 1);
    return 0;
}

static int teardown(void **state)
{
    int result = rig_teardown(state);
    assert_int_equal(frees, news);
    return result;
}

static struct node_state state_of(struct rig *rig, unsigned i)
{
    struct node_state state;
    const struct node *node = node_table_find(rig->conf->nodes, rig_uuid(i));
    assert_int_equal(engine_node_state(rig->engine, node, &state, NULL), 0);
    return state;
}

static void assert_find(struct rig *rig, const char *ident, const struct principal *caller,
                        enum fault_code code)
{
    struct fault fault = {0};
    const struct node *node = rig_find(rig, ident, caller, &fault);
    assert_int_equal(fault.code, code);
    assert_int_equal(node == NULL, code != FAULT_NONE);
}

/* ---- The tests ---- */

static void test_ironic_counts(void **state)
{
    struct rig *rig = *state;
    told[1].lessee = tenant;
    memcpy(told[1].instance_uuid, instance, sizeof instance);
    told[1].status = NODE_RESCUED;
    struct node_state got = state_of(rig, 1);
    assert_int_equal(got.status, NODE_RESCUED);
    assert_string_equal(got.status_source, "ironic");
    assert_string_equal(got.owners.project_ids[0], "other");
    assert_string_equal(got.owners.project_ids[1], "tenant");
    assert_string_equal(got.instance_uuid, instance);
    assert_string_equal(got.lock_source, "configuration");
    assert_string_equal(got.provision_state, "active");
    assert_find(rig, rig_uuid(1), &rig_demo, FAULT_NODE_NOT_FOUND); /* the configuration's owner */
    assert_find(rig, rig_uuid(1), &rig_other, FAULT_NONE);
    assert_find(rig, rig_uuid(1), &rig_tenant, FAULT_NONE);
    struct request request = rig_request(1);
    rig_refuse(rig, &request, FAULT_STATUS, NULL);
    told[1].status = NODE_ERROR;
    request.caller = &rig_tenant;
    rig_submit(rig, &request);
}

static void test_run_time_wins(void **state)
{
    struct rig *rig = *state;
    struct journal_override set = {
        .has_status = true, .status = NODE_SHUTOFF, .has_lock = true, .locked = true};
    assert_int_equal(journal_set_override(rig->journal, rig_uuid(1), &set, NULL, NULL), 0);
    while (journal_override(rig->journal, rig_uuid(1)) == NULL)
        rig_settle(rig);
    struct node_state got = state_of(rig, 1);
    assert_int_equal(got.status, NODE_SHUTOFF);
    assert_string_equal(got.status_source, "run-time");
    assert_true(got.locked);
    assert_string_equal(got.owners.project_ids[0], "other");
}

static void test_reservation(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(1);
    struct fault fault = {0};
    told[1].reservation = conductor;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, &fault);
    assert_non_null(strstr(fault.message, "conductor-1"));
    request.force = true; /* not even then: Ironic is at work on it */
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    request.force = false;
    rig->conf->ironic.ignore_reservation = true;
    rig_submit(rig, &request);
}

static void test_unknown_to_ironic(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(1);
    answers[1] = IRONIC_ABSENT;
    struct node_state got = state_of(rig, 1);
    assert_int_equal(got.status, NODE_UNKNOWN);
    assert_null(got.owners.project_ids[0]);
    rig_refuse(rig, &request, FAULT_STATUS, NULL);
    assert_find(rig, rig_uuid(1), &rig_demo, FAULT_NODE_NOT_FOUND);
    assert_find(rig, rig_uuid(1), &rig_other, FAULT_NODE_NOT_FOUND);
}

/* Ironic is down: nothing is done, and absent, foreign and own nodes are told in the same words. */
static void test_down(void **state)
{
    static const enum ironic_answer silent[] = {IRONIC_FAILED, IRONIC_STALE};
    struct rig *rig = *state;
    const char *const idents[] = {rig_uuid(1), "node-1", "no-such", instance};
    for (size_t i = 0; i < 2; i++) {
        answers[1] = instance_answer = silent[i];
        char message[FAULT_MESSAGE_MAX] = "";
        for (size_t j = 0; j < sizeof idents / sizeof idents[0]; j++) {
            const struct principal *callers[] = {&rig_other, &rig_demo, &rig_admin};
            for (size_t k = 0; k < 3; k++) {
                struct fault fault = {0};
                assert_null(rig_find(rig, idents[j], callers[k], &fault));
                assert_int_equal(fault.code, FAULT_STATE_SOURCE);
                if (message[0] != '\0')
                    assert_string_equal(fault.message, message);
                memcpy(message, fault.message, sizeof message);
            }
        }
        struct request request = rig_request(1);
        rig_refuse(rig, &request, FAULT_STATE_SOURCE, NULL);
        request.force = true;
        rig_refuse(rig, &request, FAULT_STATE_SOURCE, NULL);
        struct fault fault = {0};
        assert_int_equal(engine_states_known(rig->engine, &fault), -1);
        assert_int_equal(fault.code, FAULT_STATE_SOURCE);
    }
    assert_int_equal(rig->starts, 0);
    answers[1] = IRONIC_KNOWN;
    assert_int_equal(engine_states_known(rig->engine, NULL), 0);
}

static void test_fail_open(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(1);
    rig->conf->ironic.fail_open = true;
    answers[1] = instance_answer = IRONIC_FAILED;
    request.caller = &rig_demo;
    struct node_state got = state_of(rig, 1);
    assert_string_equal(got.status_source, "configuration");
    assert_find(rig, rig_uuid(1), &rig_other, FAULT_NODE_NOT_FOUND);
    assert_find(rig, "no-such", &rig_other, FAULT_NODE_NOT_FOUND);
    rig_submit(rig, &request);
    /* Nobody asked: that is no outage. */
    answers[2] = IRONIC_STALE;
    request = rig_request(2);
    rig_refuse(rig, &request, FAULT_STATE_SOURCE, NULL);
}

/* An instance is where Ironic says it is, whatever the configuration says. */
static void test_instances(void **state)
{
    struct rig *rig = *state;
    struct conf *old;
    rig_new_conf(rig, &old);
    rig->conf->state_source_ironic = true;
    struct node *node = NULL;
    for (unsigned i = 0; i < NODES; i++) {
        struct node *made = rig_add_node(rig, i);
        (void)made;
    }
    rig_reload(rig, old);
    assert_int_equal(configures, 1);
    memcpy(told[2].instance_uuid, instance, sizeof instance);
    assert_int_equal(engine_node_by_ident(rig->engine, instance, &node, NULL), 0);
    assert_string_equal(node->uuid, rig_uuid(2));
    assert_find(rig, instance, &rig_other, FAULT_NONE);
    struct request request = rig_request(1);
    request.node_ident = instance;
    assert_string_equal(rig_submit(rig, &request)->node->uuid, rig_uuid(2));
}

/* The configuration's instance UUID names a node only while Ironic is down and that is allowed. */
static void test_configured_instance(void **state)
{
    struct rig *rig = *state;
    struct node *node = NULL, *made = node_new();
    const struct node *other;
    const char *what;
    uuid_copy(made->uuid, "7f3c9f1e-6b1a-4b7d-8e56-0a8b1a8b0a33");
    uuid_copy(made->instance_uuid, configured);
    made->driver = &rig_driver;
    assert_int_equal(node_table_add(rig->conf->nodes, made, &other, &what), 0);
    assert_int_equal(engine_node_by_ident(rig->engine, configured, &node, NULL), 0);
    assert_null(node);
    instance_answer = IRONIC_FAILED;
    assert_int_equal(engine_node_by_ident(rig->engine, configured, &node, NULL), -1);
    rig->conf->ironic.fail_open = true;
    assert_int_equal(engine_node_by_ident(rig->engine, configured, &node, NULL), 0);
    assert_ptr_equal(node, made);
    memcpy(told[2].instance_uuid, configured, sizeof configured); /* it has moved */
    assert_int_equal(engine_node_by_ident(rig->engine, configured, &node, NULL), 0);
    assert_string_equal(node->uuid, rig_uuid(2));
}

static void test_turns(void **state)
{
    struct rig *rig = *state;
    struct state_wait *wait;
    turns = 0;
    rig_settle(rig);
    assert_true(turns > 0);
    assert_int_equal(engine_refresh(rig->engine, NULL, 0, NULL, NULL, &wait, NULL), 0);
    assert_int_equal(refreshes, 1);
    rig->conf->state_source_ironic = false;
    assert_int_equal(engine_refresh(rig->engine, NULL, 0, NULL, NULL, &wait, NULL), 0);
    assert_int_equal(refreshes, 1);
    assert_string_equal(state_of(rig, 1).status_source, "configuration");
}

/* No memory for it at a reload: then nothing is known, and nothing is done. */
static void test_no_source(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(1);
    struct ironic *before = rig->engine->ironic;
    rig->engine->ironic = NULL;
    no_memory = true;
    engine_reload(rig->engine, rig->conf);
    assert_null(rig->engine->ironic);
    rig_refuse(rig, &request, FAULT_STATE_SOURCE, NULL);
    assert_find(rig, "no-such", &rig_admin, FAULT_STATE_SOURCE);
    rig->engine->ironic = before;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ironic_counts), TEST(test_run_time_wins),
        TEST(test_reservation),   TEST(test_unknown_to_ironic),
        TEST(test_down),          TEST(test_fail_open),
        TEST(test_instances),     TEST(test_configured_instance),
        TEST(test_turns),         TEST(test_no_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks again, without a key, by a contract whose clients do so by themselves: struct request's
 * repeat_s, from engine_submit() on down. */
#include "engine_rig.h"

#include "base/clock.h"
#include "core/journal.h"

#define REPEAT_S 15

static struct request repeatable(unsigned i, const struct principal *caller)
{
    struct request request = rig_request(i);
    request.caller = caller;
    request.repeat_s = REPEAT_S;
    return request;
}

static void age(struct action *action, int64_t seconds)
{
    action->finished_mono -= seconds * 1000000;
}

/* While it is under way, and for 15 s after: whatever became of the node. */
static void test_same_caller(void **state)
{
    struct rig *rig = *state;
    struct node *node = rig_add_node(rig, 0);
    struct principal moved = rig_demo;
    struct request request = repeatable(0, &rig_demo);
    rig->conf->hold_off_s = 0;
    moved.address = "192.0.2.9"; /* an address is not who asks */
    struct action *first = rig_submit(rig, &request);
    assert_ptr_equal(rig_repeat(rig, &request), first);
    request.caller = &moved;
    request.node_ident = "node-0"; /* nor is a name another node */
    assert_ptr_equal(rig_repeat(rig, &request), first);
    rig_deliver(rig, 0);
    node->locked = true;
    node->status = NODE_SHUTOFF;
    assert_ptr_equal(rig_repeat(rig, &request), first);
    age(first, REPEAT_S - 1);
    assert_ptr_equal(rig_repeat(rig, &request), first);
    node->locked = false;
    node->status = NODE_ACTIVE;
    age(first, 2);
    assert_ptr_not_equal(rig_submit(rig, &request), first);
    assert_int_equal(rig->starts, 2);
}

/* A failure, too, and a doubt: a client's own repeats are no new attempts. */
static void test_every_outcome(void **state)
{
    struct rig *rig = *state;
    static const struct {
        enum action_outcome outcome;
        enum fault_code code;
    } ends[] = {{OUTCOME_FAILED, FAULT_PASSWORD}, {OUTCOME_UNKNOWN, FAULT_NO_ANSWER}};
    for (unsigned i = 0; i < 2; i++) {
        rig_add_node(rig, i);
        struct request request = repeatable(i, &rig_demo);
        struct action *first = rig_submit(rig, &request);
        if (ends[i].outcome == OUTCOME_UNKNOWN)
            rig_send(rig, i);
        rig_finish(rig, i, ends[i].outcome, ends[i].code);
        for (int again = 0; again < 6; again++)
            assert_ptr_equal(rig_repeat(rig, &request), first);
        assert_int_equal(rig->starts, i + 1);
    }
}

/* Another caller: by id where there is one, else by name; and by project. */
static void test_other_callers(void **state)
{
    struct rig *rig = *state;
    struct principal alice = rig_demo, renamed, another, elsewhere;
    rig_add_node(rig, 0);
    alice.user_id = "5a1fb8";
    renamed = another = elsewhere = alice;
    renamed.user = "alice.smith";
    another.user_id = "77c0de";
    elsewhere.project_id = NULL;
    elsewhere.system = true;
    struct request request = repeatable(0, &alice);
    struct action *first = rig_submit(rig, &request);
    request.caller = &renamed;
    assert_ptr_equal(rig_repeat(rig, &request), first);
    const struct principal *const others[] = {&another, &elsewhere, &rig_demo, &rig_admin};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        request.caller = others[i];
        rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    }
    rig_deliver(rig, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        request.caller = others[i];
        rig_refuse(rig, &request, FAULT_HOLD_OFF, NULL);
    }
    request.caller = &rig_other; /* sees nothing, and so repeats nothing */
    rig_refuse(rig, &request, FAULT_NODE_NOT_FOUND, NULL);
}

/* One's own, though another's came in between; of this node alone. */
static void test_own_among_others(void **state)
{
    struct rig *rig = *state;
    rig->conf->hold_off_s = 0;
    rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    struct request mine = repeatable(0, &rig_demo), theirs = repeatable(0, &rig_admin);
    struct action *first = rig_submit(rig, &mine);
    rig_deliver(rig, 0);
    struct action *second = rig_submit(rig, &theirs);
    rig_deliver(rig, 1);
    assert_ptr_not_equal(second, first);
    assert_ptr_equal(rig_repeat(rig, &mine), first);
    assert_ptr_equal(rig_repeat(rig, &theirs), second);
    mine = repeatable(1, &rig_demo);
    struct action *third = rig_submit(rig, &mine);
    assert_ptr_not_equal(third, first);
    assert_ptr_equal(journal_newest(rig->journal, rig_uuid(0)), second);
    assert_ptr_equal(second->earlier, first);
    assert_null(first->earlier);
    assert_ptr_equal(journal_newest(rig->journal, rig_uuid(1)), third);
    assert_null(third->earlier);
}

/* A key says what is a repeat and what is not; and without repeat_s nothing is. */
static void test_keys_and_others(void **state)
{
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    struct request request = repeatable(0, &rig_demo);
    struct action *first = rig_submit(rig, &request);
    request.idempotency_key = "k1";
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    request.idempotency_key = NULL;
    request.repeat_s = 0;
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    request.repeat_s = REPEAT_S;
    request.contract = "ironic"; /* it came by another contract: it is one's own all the same */
    assert_ptr_equal(rig_repeat(rig, &request), first);
}

/* The history is short: what it has forgotten is in nobody's chain. */
static void test_forgotten(void **state)
{
    struct rig *rig = *state;
    rig->conf->hold_off_s = 0;
    rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    journal_configure(rig->journal, 2, 0);
    struct action *last[2] = {NULL, NULL};
    for (unsigned i = 0; i < 10; i++) {
        struct request request = rig_request(i == 5);
        last[i == 5] = rig_submit(rig, &request);
        rig_deliver(rig, i);
    }
    struct action *newest = journal_newest(rig->journal, rig_uuid(0));
    assert_ptr_equal(newest, last[0]);
    assert_non_null(newest->earlier);
    assert_null(newest->earlier->earlier);
    assert_null(journal_newest(rig->journal, rig_uuid(1)));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same_caller),      TEST(test_every_outcome),   TEST(test_other_callers),
        TEST(test_own_among_others), TEST(test_keys_and_others), TEST(test_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

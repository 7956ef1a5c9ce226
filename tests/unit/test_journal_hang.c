/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine when the disk under its journal hangs or fails at a bad moment: nothing leaves before
 * its record, who waits hears the truth, and the daemon can be stopped. In simulated time. */
#include "core/engine_state.h"
#include "journal_play.h"

static void count_one(void *arg)
{
    ++*(unsigned *)arg;
}

/* ---- A disk that hangs ---- */

/* What was sent is told after 5 s, and not before; then the disk comes back. */
static void test_hang_after_sent(void **state)
{
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    struct action *action = play_submit(rig, 0);
    play_now->actions[0] = action;
    rig_send(rig, 0);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->goes, 1);
    fake.hold = true;
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    play_pass(rig, 5 * FAKE_SECOND - PLAY_SOON);
    assert_int_equal(play_now->ends_told, 0);
    play_pass(rig, 2 * PLAY_SOON);
    assert_int_equal(play_now->ends_told, 1);
    assert_int_equal(action->outcome, OUTCOME_DELIVERED);
    fault_vfs_power_loss(play_now->after, 0);
    assert_int_equal(play_state_in(play_now->after, action->id), ACTION_SENT);
    fake.hold = false;
    play_pass(rig, PLAY_SOON);
    assert_int_equal(play_now->ends_told, 1);
    play_check_kept(action->id, ACTION_FINISHED);
}

/* Nothing leaves while the disk hangs, and what was given up meanwhile never does. */
static void test_hang_before_sent(void **state)
{
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    play_now->actions[0] = play_submit(rig, 0);
    play_now->actions[1] = play_submit(rig, 1);
    play_pass(rig, PLAY_SOON);
    fake.hold = true;
    rig_send(rig, 0);
    rig_send(rig, 1);
    play_pass(rig, 10 * FAKE_SECOND);
    assert_int_equal(rig->goes, 0);
    action_revoke(play_now->actions[0]);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    play_pass(rig, 5 * FAKE_SECOND + PLAY_SOON);
    assert_int_equal(play_now->ends_told, 1);
    fake.hold = false;
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->flights[0].goes, 0);
    assert_int_equal(rig->flights[1].goes, 1);
    play_check_kept(play_now->actions[0]->id, ACTION_FINISHED);
    play_check_kept(play_now->actions[1]->id, ACTION_SENT);
    rig_finish(rig, 1, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(play_now->ends_told, 2);
}

/* *accepted* hangs, and the action ends: nobody is told that it was recorded. */
static void test_hang_before_accepted(void **state)
{
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    fake.hold = true;
    struct action *action = play_now->actions[0] = play_submit(rig, 0);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    play_pass(rig, 4 * FAKE_SECOND);
    assert_int_equal(play_now->accepted_told + play_now->ends_told, 0);
    play_pass(rig, 2 * FAKE_SECOND);
    assert_int_equal(play_now->ends_told, 1);
    assert_false(action->recorded); /* the contract answers 503 */
    fake.hold = false;
    play_pass(rig, PLAY_SOON);
    assert_true(action->recorded);
    play_check_kept(action->id, ACTION_FINISHED);
}

/* The whole process stood still (SIGSTOP, a machine that was moved): that is not the disk's fault. */
static void test_pause(void **state)
{
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    fake.hold = true;
    struct action *action = play_now->actions[0] = play_submit(rig, 0);
    play_pass(rig, PLAY_SOON);
    fake.mono += 60 * FAKE_SECOND;
    fake.wall += 60 * FAKE_SECOND;
    assert_int_equal(journal_check(rig->journal, NULL), 0);
    play_pass(rig, PLAY_SOON); /* timers come first, then who asks, then what the thread has done */
    assert_int_equal(journal_check(rig->journal, NULL), 0);
    play_pass(rig, 5 * FAKE_SECOND);
    assert_int_equal(journal_check(rig->journal, NULL), -1);
    fake.hold = false;
    play_pass(rig, PLAY_SOON);
    assert_int_equal(journal_check(rig->journal, NULL), 0);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    play_pass(rig, PLAY_SOON);
    play_check_kept(action->id, ACTION_FINISHED);
}

/* One that waits in the queue for too long is not sent any more: its machine may be up again. */
static void test_queue_age(void **state)
{
    struct rig *rig = *state;
    rig->conf->ipmi.window = 1;
    rig->conf->limits.queue_s = 9;
    for (unsigned i = 0; i < PLAY_NODES; i++) {
        rig_add_node(rig, i);
        play_now->actions[i] = play_submit(rig, i);
    }
    play_pass(rig, 9 * FAKE_SECOND);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->starts, 2); /* in time */
    play_pass(rig, FAKE_SECOND);
    rig_finish(rig, 1, OUTCOME_FAILED, FAULT_UNREACHABLE);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->starts, 2);
    assert_int_equal(play_now->actions[2]->outcome, OUTCOME_FAILED);
    assert_int_equal(play_now->actions[2]->code, FAULT_OVERLOADED);
    assert_int_equal(play_now->ends_told, 3);
}

/* SIGTERM then: what was not sent is not sent; the end waits for the disk, and comes with it. */
static void test_hang_at_the_end(void **state)
{
    struct rig *rig = *state;
    unsigned drained = 0;
    rig_add_node(rig, 0);
    play_now->actions[0] = play_submit(rig, 0);
    play_pass(rig, PLAY_SOON);
    fake.hold = true;
    rig_send(rig, 0);
    play_pass(rig, PLAY_SOON);
    engine_drain(rig->engine, count_one, &drained);
    struct fault fault = {0};
    assert_int_equal(journal_check(rig->journal, &fault), 0);
    play_pass(rig, 6 * FAKE_SECOND);
    assert_int_equal(drained, 0);
    assert_int_equal(play_now->ends_told, 1);
    assert_int_equal(journal_check(rig->journal, &fault), -1); /* nothing new is taken */
    assert_non_null(strstr(fault.message, "has not answered for 6 s"));
    fake.hold = false;
    rig_until_count(rig, &drained, 1);
    assert_int_equal(journal_check(rig->journal, NULL), 0);
    assert_int_equal(rig->goes, 0);
    play_check_kept(play_now->actions[0]->id, ACTION_FINISHED);
    assert_string_equal(play_ask(play_now->after, "SELECT code FROM actions WHERE id = ?",
                                 play_now->actions[0]->id),
                        "stopping");
}

/* A disk that fails does not keep the daemon from its end; the last record is tried once more. */
static void test_failing_at_the_end(void **state)
{
    struct rig *rig = *state;
    unsigned drained = 0;
    rig_add_node(rig, 0);
    play_now->actions[0] = play_submit(rig, 0);
    rig_send(rig, 0);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->goes, 1);
    fault_vfs = (struct fault_vfs){.kinds = FAULT_VFS_ALL, .from = 1, .many = ~0ul, .full = true};
    engine_drain(rig->engine, count_one, &drained);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(drained, 0);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    rig_until_count(rig, &drained, 1);
    assert_int_equal(play_now->ends_told, 1);
    fault_vfs_power_loss(play_now->after, 0);
    assert_int_equal(play_state_in(play_now->after, play_now->actions[0]->id),
                     ACTION_SENT); /* read as unknown */
}

/* ---- A driver that takes its time to give up ---- */

/* *accepted* cannot be recorded: nobody is told that it was, however long the driver closes its
 * session for. */
static void test_slow_abort(void **state)
{
    struct rig *rig = *state;
    rig->slow_abort = true;
    rig_add_node(rig, 0);
    fault_vfs = (struct fault_vfs){.kinds = FAULT_VFS_ALL, .from = 1, .many = ~0ul, .full = true};
    play_now->actions[0] = play_submit(rig, 0);
    play_pass(rig, FAKE_SECOND);
    assert_int_equal(rig->flights[0].aborts, 1);
    assert_int_equal(rig->flights[0].abort_code, FAULT_JOURNAL);
    assert_int_equal(play_now->accepted_told, 0);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_JOURNAL);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(play_now->accepted_told, 1);
    assert_int_equal(play_now->ends_told, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, play_setup, play_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hang_after_sent), TEST(test_hang_before_sent),   TEST(test_hang_at_the_end),
        TEST(test_pause),
        TEST(test_slow_abort),      TEST(test_failing_at_the_end), TEST(test_hang_before_accepted),
        TEST(test_queue_age),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

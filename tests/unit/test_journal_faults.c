/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine and its journal over a disk that is full, broken, or gone with the machine, at every
 * single call that SQLite makes of it. What was told must be true: a reader who comes after a power
 * failure finds each record of which the journal said that it is there. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/journal_more.h"
#include "journal_play.h"

#define EVERY ~0ul
#define BODY  "{\"told\": true}"
#define RUNS  4 /* one failure or all from there on, full or broken */

/* ---- A small scenario ---- */

static void on_override(void *arg, bool ok)
{
    (void)arg;
    play_now->override_told = ok;
}

/* One action from its request to its end; as far as the journal lets it go. */
static void play_node(struct rig *rig, unsigned node, enum action_outcome outcome)
{
    unsigned flight = rig->starts, goes = rig->goes;
    play_now->actions[node] = play_submit(rig, node);
    if (play_now->actions[node] == NULL)
        return;
    play_pass(rig, PLAY_SOON);
    if (play_now->actions[node]->state != ACTION_FINISHED)
        rig_send(rig, flight);
    play_pass(rig, PLAY_SOON);
    play_now->wanted[node] = rig->goes > goes ? outcome : OUTCOME_FAILED;
    if (play_now->actions[node]->state != ACTION_FINISHED) {
        assert_int_equal(rig->goes, goes + 1);
        rig_finish(rig, flight, outcome, FAULT_NONE);
    }
    struct journal_post post = {.url = (char *)"http://127.0.0.1/", .body = (char *)BODY};
    memcpy(post.action_id, play_now->actions[node]->id, sizeof post.action_id);
    assert_int_equal(journal_post_add(rig->journal, &post, &play_now->post), 0);
    if (node == 0)
        assert_int_equal(journal_post_remove(rig->journal, play_now->post), 0);
    else
        assert_int_equal(journal_post_later(rig->journal, play_now->post, node, 7), 0);
    play_pass(rig, PLAY_SOON);
}

static void play_all(struct rig *rig)
{
    static const struct journal_override locked = {.has_lock = true, .locked = true};
    for (unsigned i = 0; i < PLAY_NODES; i++)
        rig_add_node(rig, i);
    play_node(rig, 0, OUTCOME_DELIVERED);
    assert_int_equal(journal_set_override(rig->journal, rig_uuid(9), &locked, on_override, NULL),
                     0);
    play_node(rig, 1, OUTCOME_UNKNOWN);
    play_node(rig, 2, OUTCOME_FAILED);
    play_pass(rig, PLAY_SOON);
}

/* Everybody was told the truth, now; and it is recorded, when the disk is good again. */
static void check_play(struct rig *rig)
{
    unsigned under_way = 0;
    char number[16];
    for (int i = 0; i < PLAY_NODES; i++) {
        struct action *action = play_now->actions[i];
        if (action == NULL)
            continue;
        under_way++;
        assert_int_equal(action->state, ACTION_FINISHED);
        assert_int_equal(action->outcome, play_now->wanted[i]);
    }
    assert_int_equal(play_now->accepted_told, under_way);
    assert_int_equal(play_now->ends_told, under_way);
    assert_true(play_now->override_told >= 0);
    fault_vfs.kinds = 0;
    play_pass(rig, 3 * FAKE_SECOND);
    struct fault fault = {0};
    if (journal_check(rig->journal, &fault) < 0)
        fail_msg("still: %s", fault.message);
    assert_int_equal(journal_pending(rig->journal), 0);
    fault_vfs_power_loss(play_now->after, 0);
    for (int i = 0; i < PLAY_NODES; i++) {
        struct action *action = play_now->actions[i];
        if (action == NULL)
            assert_string_equal(play_ask(play_now->after,
                                         "SELECT code FROM audit WHERE decision = 'refused'"
                                         " AND node_uuid = ?",
                                         rig_uuid((unsigned)i)),
                                "journal");
        if (action == NULL)
            continue;
        assert_int_equal(play_state_in(play_now->after, action->id), ACTION_FINISHED);
        play_check_audit(action->id, ACTION_FINISHED);
        assert_string_equal(
            play_ask(play_now->after, "SELECT outcome FROM actions WHERE id = ?", action->id),
            action_outcome_name(action->outcome));
        snprintf(number, sizeof number, "%d", i);
        assert_string_equal(
            play_ask(play_now->after, "SELECT tries FROM outbox WHERE action_id = ?", action->id),
            i == 0 ? "" : number);
    }
    assert_string_equal(
        play_ask(play_now->after, "SELECT locked FROM overrides WHERE node_uuid = ?", rig_uuid(9)),
        play_now->override_told ? "1" : "");
    const struct journal_override *override = journal_override(rig->journal, rig_uuid(9));
    assert_int_equal(override != NULL, play_now->override_told);
}

/* Another action is taken again, all the way. */
static void check_works(struct rig *rig)
{
    struct request request = rig_request(PLAY_NODES);
    unsigned flight = rig->starts;
    rig_add_node(rig, PLAY_NODES);
    struct action *action = rig_submit(rig, &request);
    play_pass(rig, PLAY_SOON);
    rig_send(rig, flight);
    play_pass(rig, PLAY_SOON);
    assert_int_equal(rig->flights[flight].goes, 1);
    rig_finish(rig, flight, OUTCOME_DELIVERED, FAULT_NONE);
    play_pass(rig, PLAY_SOON);
    play_check_kept(action->id, ACTION_FINISHED);
}

/* ---- Every call fails once, or all from there on ---- */

static void fail_at(unsigned long call, int run)
{
    void *state = NULL;
    assert_int_equal(play_setup(&state), 0);
    fault_vfs.kinds = FAULT_VFS_ALL;
    fault_vfs.calls = 0;
    fault_vfs.from = call;
    fault_vfs.many = (run & 1) != 0 ? EVERY : 1;
    fault_vfs.full = (run & 2) != 0;
    play_all(state);
    if (fault_vfs.failed == 0)
        fail_msg("call %lu never came", call);
    if (fault_vfs.many == EVERY) {
        struct request request = rig_request(0);
        request.force = true;
        rig_refuse(state, &request, FAULT_JOURNAL, NULL);
    }
    check_play(state);
    check_works(state);
    assert_int_equal(play_teardown(&state), 0);
}

static void test_every_call_fails(void **state)
{
    void *rig = NULL;
    (void)state;
    assert_int_equal(play_setup(&rig), 0);
    fault_vfs.kinds = FAULT_VFS_ALL;
    fault_vfs.calls = 0;
    play_all(rig);
    unsigned long calls = fault_vfs.calls;
    for (int i = 0; i < PLAY_NODES; i++)
        assert_non_null(play_now->actions[i]);
    check_play(rig);
    assert_int_equal(play_teardown(&rig), 0);
    assert_in_range(calls, 20, 200);
    for (unsigned long call = 1; call <= calls; call++) {
        for (int run = 0; run < RUNS; run++)
            fail_at(call, run);
    }
}

/* ---- The start fails ---- */

static void test_start_fails(void **state)
{
    char dir[STATE_DIR_MAX];
    struct fault fault = {0};
    struct loop *loop = loop_new(NULL);
    unsigned long call = 0;
    (void)state;
    fake_reset();
    do {
        for (int run = 0; run < RUNS; run++) {
            fault_vfs_reset();
            fault_vfs = (struct fault_vfs){.kinds = FAULT_VFS_ALL, .from = call + 1};
            fault_vfs.many = (run & 1) != 0 ? EVERY : 1;
            fault_vfs.full = (run & 2) != 0;
            state_dir_make(dir);
            memset(&fault, 0, sizeof fault);
            struct journal *journal = state_dir_journal(dir, loop, 10, &fault);
            if (journal == NULL) {
                assert_int_equal(fault.code, FAULT_JOURNAL);
                assert_non_null(strstr(fault.message, dir));
            }
            unsigned long failed = fault_vfs.failed;
            journal_free(journal);
            fault_vfs.kinds = 0; /* the next start finds what that one left half made */
            journal = state_dir_journal(dir, loop, 10, &fault);
            if (journal == NULL)
                fail_msg("call %lu: %s", call + 1, fault.message);
            journal_free(journal);
            state_dir_remove(dir);
            if (failed == 0)
                call = EVERY - 1;
        }
    } while (++call < EVERY);
    loop_free(loop);
    fault_vfs_reset();
}

/* ---- The daemon dies, or the machine, at every call ---- */

/* What the child was told must be in what it left; and whatever is there must be readable. */
static void check_left(const char *dir, FILE *told, unsigned long call)
{
    char line[80], id[ACTION_ID_TEXT];
    struct fault fault = {0};
    struct loop *loop = loop_new(NULL);
    struct journal *journal = state_dir_journal(dir, loop, 100, &fault);
    int state;
    if (journal == NULL)
        fail_msg("killed at call %lu: %s", call, fault.message);
    rewind(told);
    while (fgets(line, sizeof line, told) != NULL) {
        assert_int_equal(sscanf(line, "%d %40s", &state, id), 2);
        const struct action *action = journal_find(journal, id);
        if (action == NULL || (int)action->state < state)
            fail_msg("killed at call %lu: told \"%.46s\", found %s", call, line,
                     action == NULL ? "nothing" : action_state_name(action->state));
    }
    journal_free(journal);
    loop_free(loop);
}

/* In the child. */
static void live(const char *dir, unsigned long call)
{
    struct rig *rig = rig_now;
    fault_vfs.kinds = FAULT_VFS_ALL;
    fault_vfs.calls = 0;
    fault_vfs.from = call;
    fault_vfs.many = 1;
    fault_vfs.die = true;
    fault_vfs.dead_dir = dir;
    fault_vfs.dead_seed = (unsigned)call % 5;
    play_all(rig);
    _exit(0);
}

/* False when the child came to the scenario's end. */
static bool die_at(unsigned long call)
{
    void *state = NULL;
    int status = 0;
    char left[STATE_DIR_MAX];
    FILE *told = tmpfile();
    assert_non_null(told);
    fake_reset();
    fault_vfs_reset();
    state_dir_make(left);
    pid_t child = fork();
    if (child == 0) {
        if (play_setup(&state) == 0) {
            play_now->told_fd = fileno(told);
            dprintf(fileno(told), "0 %s %s\n", rig_now->dir, play_now->after);
            live(left, call);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == FAULT_VFS_DEAD || WEXITSTATUS(status) == 0);
    char line[160], dir[STATE_DIR_MAX], after[STATE_DIR_MAX];
    rewind(told);
    assert_non_null(fgets(line, sizeof line, told));
    assert_int_equal(sscanf(line, "0 %63s %63s", dir, after), 2);
    FILE *rest = tmpfile();
    while (fgets(line, sizeof line, told) != NULL)
        fputs(line, rest);
    check_left(dir, rest, call);
    if (WEXITSTATUS(status) != 0)
        check_left(left, rest, call);
    fclose(told);
    fclose(rest);
    state_dir_remove(dir);
    state_dir_remove(left);
    state_dir_remove(after);
    return WEXITSTATUS(status) != 0;
}

static void test_every_call_kills(void **state)
{
    unsigned long call = 1;
    (void)state;
    while (die_at(call))
        call++;
    assert_in_range(call, 20, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_start_fails),
        cmocka_unit_test(test_every_call_kills),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

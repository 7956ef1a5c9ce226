/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal: what it finds, what it lists, and what it forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/journal.h"
#include "state_dir.h"

#define PATIENCE_US (20 * INT64_C(1000000))
#define HISTORY     10
#define SLACK       (HISTORY / 4 + 16 + 1) /* what may be kept beyond the history before it slides */
#define ALL         1000

struct bench {
    struct loop *loop;
    struct loop_timer *patience;
    struct journal *journal;
    char dir[STATE_DIR_MAX];
    struct node *nodes[3];
    unsigned done, wanted;
    bool missed, inside;
    struct action *write_last; /* to be written as sent, as the last thing before the wait */
    struct action *last_done;
    enum action_state last_state;
};

static bool no_memory;

/* In the C library's place: the journal makes room with it. */
void *reallocarray(void *old, size_t count, size_t size)
{
    return no_memory ? NULL : realloc(old, count * size);
}

/* ---- The fixture ---- */

/* As the engine does: what is on disk has risen. */
static void on_done(void *arg, struct action *action, enum action_state state, bool ok)
{
    struct bench *bench = arg;
    assert_true(ok);
    assert_false(bench->inside);
    action->durable = state;
    bench->last_done = action;
    bench->last_state = state;
    bench->done++;
}

static void look(void *arg)
{
    struct bench *bench = arg;
    struct action *action = bench->write_last;
    bench->write_last = NULL;
    if (action != NULL)
        assert_int_equal(journal_write(bench->journal, action, ACTION_SENT), 0);
    if (bench->done >= bench->wanted)
        loop_stop(bench->loop);
}

static void give_up(void *arg)
{
    struct bench *bench = arg;
    bench->missed = true;
    loop_stop(bench->loop);
}

static void until_done(struct bench *bench, unsigned wanted)
{
    bench->wanted = wanted;
    loop_timer_set(bench->patience, clock_mono_us() + PATIENCE_US);
    loop_run(bench->loop);
    loop_timer_clear(bench->patience);
    assert_false(bench->missed);
    assert_int_equal(bench->done, wanted);
}

static struct node *node_make(const char *uuid, const char *target)
{
    struct node *node = node_new();
    assert_non_null(node);
    memcpy(node->uuid, uuid, UUID_TEXT);
    node->target = target == NULL ? NULL : strdup(target);
    return node;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    bench->loop = loop_new(NULL);
    assert_non_null(bench->loop);
    assert_int_equal(loop_before_wait(bench->loop, look, bench, NULL), 0);
    bench->patience = loop_timer_new(bench->loop, give_up, bench, NULL);
    state_dir_make(bench->dir);
    bench->journal = state_dir_journal(bench->dir, bench->loop, HISTORY, NULL);
    assert_non_null(bench->journal);
    journal_on_done(bench->journal, on_done, bench);
    bench->nodes[0] = node_make("1be26c0b-03f2-4d2e-ae87-c02d7f33c781", "bmc-0");
    bench->nodes[1] = node_make("2be26c0b-03f2-4d2e-ae87-c02d7f33c782", "bmc-1");
    bench->nodes[2] = node_make("3be26c0b-03f2-4d2e-ae87-c02d7f33c783", NULL);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    journal_free(bench->journal);
    state_dir_remove(bench->dir);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bench->nodes[i]->references, 1); /* no action is left */
        node_unref(bench->nodes[i]);
    }
    loop_timer_free(bench->patience);
    loop_free(bench->loop);
    free(bench);
    return 0;
}

static void write_state(struct bench *bench, struct action *action, enum action_state state)
{
    action->state = state;
    bench->inside = true;
    assert_int_equal(journal_write(bench->journal, action, state), 0);
    bench->inside = false;
}

/* An accepted action of a node; borrowed from the journal. */
static struct action *accept(struct bench *bench, unsigned node, const char *key)
{
    static const struct principal caller = {
        .user = "alice", .project_id = "demo", .address = "127.0.0.1"};
    struct action *action = action_new(bench->nodes[node], "inject_nmi", "agent", &caller);
    assert_non_null(action);
    if (key != NULL)
        action->key_scope = strdup(key);
    write_state(bench, action, ACTION_ACCEPTED);
    action_unref(action);
    return action;
}

static void finish(struct bench *bench, struct action *action, enum action_outcome outcome,
                   int64_t at)
{
    action->outcome = outcome;
    action->finished_mono = at;
    write_state(bench, action, ACTION_FINISHED);
}

/* One that is over, and on disk. */
static struct action *whole(struct bench *bench, unsigned node, enum action_outcome outcome,
                            int64_t at)
{
    struct action *action = accept(bench, node, NULL);
    finish(bench, action, outcome, at);
    until_done(bench, bench->done + 2);
    return action;
}

/* ---- Writing ---- */

/* Completions come from the loop, in the order of the writes; none is lost. */
static void test_completions(void **state)
{
    struct bench *bench = *state;
    struct action *a = accept(bench, 0, NULL), *b = accept(bench, 1, NULL);
    assert_int_equal(journal_pending(bench->journal), 2);
    assert_int_equal(bench->done, 0);
    until_done(bench, 2);
    assert_ptr_equal(bench->last_done, b);
    assert_int_equal(bench->last_state, ACTION_ACCEPTED);
    assert_int_equal(journal_pending(bench->journal), 0);
    write_state(bench, b, ACTION_SENT);
    write_state(bench, a, ACTION_SENT);
    finish(bench, b, OUTCOME_DELIVERED, 1);
    until_done(bench, 5);
    assert_ptr_equal(bench->last_done, b);
    assert_int_equal(bench->last_state, ACTION_FINISHED);
    for (unsigned i = 0; i < 200; i++) /* more than fit at once */
        write_state(bench, a, ACTION_SENT);
    until_done(bench, 205);
    bench->write_last = a; /* the loop must not fall asleep over it */
    until_done(bench, 206);
    accept(bench, 0, NULL); /* pending at the end: the teardown frees it */
    journal_on_done(bench->journal, NULL, NULL);
}

/* ---- Finding ---- */

static void test_find(void **state)
{
    struct bench *bench = *state;
    struct action *a = accept(bench, 0, "alice\ndemo\nX\nk1"), *b = accept(bench, 1, NULL);
    assert_ptr_equal(journal_find(bench->journal, a->id), a);
    assert_ptr_equal(journal_find(bench->journal, b->id), b);
    assert_null(journal_find(bench->journal, "req-none"));
    assert_ptr_equal(journal_find_key(bench->journal, "alice\ndemo\nX\nk1"), a);
    assert_null(journal_find_key(bench->journal, "alice\ndemo\nX\nk2"));
    finish(bench, a, OUTCOME_FAILED, 1);
    until_done(bench, 3);
    assert_ptr_equal(journal_find(bench->journal, a->id), a);
    assert_ptr_equal(journal_find_key(bench->journal, "alice\ndemo\nX\nk1"), a);
}

/* ---- The last NMI ---- */

static void test_last_nmi(void **state)
{
    struct bench *bench = *state;
    struct journal *journal = bench->journal;
    assert_null(journal_last_nmi(journal, bench->nodes[0]));
    whole(bench, 0, OUTCOME_FAILED, 100);
    assert_null(journal_last_nmi(journal, bench->nodes[0]));
    struct action *unknown = whole(bench, 0, OUTCOME_UNKNOWN, 200);
    assert_ptr_equal(journal_last_nmi(journal, bench->nodes[0]), unknown);
    struct action *delivered = whole(bench, 0, OUTCOME_DELIVERED, 300);
    assert_ptr_equal(journal_last_nmi(journal, bench->nodes[0]), delivered);
    whole(bench, 0, OUTCOME_FAILED, 400);
    assert_ptr_equal(journal_last_nmi(journal, bench->nodes[0]), delivered);
    assert_null(journal_last_nmi(journal, bench->nodes[1]));

    struct action *mine = whole(bench, 2, OUTCOME_DELIVERED, 500); /* a node without a BMC */
    assert_ptr_equal(journal_last_nmi(journal, bench->nodes[2]), mine);
    assert_ptr_equal(journal_last_nmi(journal, bench->nodes[0]), delivered);
}

/* By BMC as well as by UUID: the later of the two counts. */
static void test_last_nmi_by_target(void **state)
{
    struct bench *bench = *state;
    struct action *zero = whole(bench, 0, OUTCOME_DELIVERED, 100);
    struct action *one = whole(bench, 1, OUTCOME_DELIVERED, 200);
    struct node *heir = node_make("4be26c0b-03f2-4d2e-ae87-c02d7f33c784", "bmc-0");
    struct node *moved = node_make(bench->nodes[0]->uuid, "bmc-new");
    struct node *both = node_make(bench->nodes[0]->uuid, "bmc-1");
    struct node *both_too = node_make(bench->nodes[1]->uuid, "bmc-0");
    assert_ptr_equal(journal_last_nmi(bench->journal, heir), zero);
    assert_ptr_equal(journal_last_nmi(bench->journal, moved), zero);
    assert_ptr_equal(journal_last_nmi(bench->journal, both), one);
    assert_ptr_equal(journal_last_nmi(bench->journal, both_too), one);
    node_unref(heir);
    node_unref(moved);
    node_unref(both);
    node_unref(both_too);
}

/* The hold-off must not end because a thousand others came. */
static void test_last_nmi_survives(void **state)
{
    struct bench *bench = *state;
    struct action *nmi = whole(bench, 0, OUTCOME_UNKNOWN, 100);
    char id[ACTION_ID_TEXT];
    memcpy(id, nmi->id, sizeof id);
    for (unsigned i = 0; i < 4 * (HISTORY + SLACK); i++)
        whole(bench, 1, OUTCOME_FAILED, 200);
    /* Its key too outlives the history: a repeat must find it as long as the hold-off does. */
    assert_ptr_equal(journal_find(bench->journal, id), nmi);
    struct action *last = journal_last_nmi(bench->journal, bench->nodes[0]);
    assert_ptr_equal(last, nmi);
    assert_string_equal(last->id, id);
}

/* ---- Listing ---- */

struct listed {
    struct action *actions[128];
    unsigned count;
};

static void on_each(void *arg, struct action *action)
{
    struct listed *listed = arg;
    assert_true(listed->count < 128);
    listed->actions[listed->count++] = action;
}

static struct listed list(struct bench *bench, struct journal_query query)
{
    struct listed listed = {0};
    int count = journal_list(bench->journal, &query, on_each, &listed);
    assert_int_equal(count, listed.count);
    return listed;
}

static void test_list(void **state)
{
    struct bench *bench = *state;
    struct action *a[7];
    for (unsigned i = 0; i < 7; i++)
        a[i] = accept(bench, i % 2, NULL);
    write_state(bench, a[4], ACTION_SENT);
    finish(bench, a[1], OUTCOME_FAILED, 1);
    finish(bench, a[2], OUTCOME_FAILED, 1);
    until_done(bench, 10);

    struct listed all = list(bench, (struct journal_query){.limit = ALL});
    assert_int_equal(all.count, 7);
    for (unsigned i = 0; i < 7; i++)
        assert_ptr_equal(all.actions[i], a[6 - i]); /* newest first */
    struct listed page = list(bench, (struct journal_query){.limit = 3});
    assert_int_equal(page.count, 3);
    assert_ptr_equal(page.actions[2], a[4]);
    page = list(bench, (struct journal_query){.limit = 3, .marker = a[4]->id});
    assert_int_equal(page.count, 3);
    assert_ptr_equal(page.actions[0], a[3]);
    assert_ptr_equal(page.actions[2], a[1]);
    page = list(bench, (struct journal_query){.limit = 3, .marker = a[1]->id});
    assert_int_equal(page.count, 1);
    assert_ptr_equal(page.actions[0], a[0]);
    assert_int_equal(list(bench, (struct journal_query){.limit = 3, .marker = a[0]->id}).count, 0);
    assert_int_equal(list(bench, (struct journal_query){.limit = 0}).count, 0);
    assert_int_equal(journal_list(bench->journal,
                                  &(struct journal_query){.limit = 3, .marker = "req-none"},
                                  on_each, &page),
                     -1);
}

static void test_list_filters(void **state)
{
    struct bench *bench = *state;
    struct action *a[6];
    for (unsigned i = 0; i < 6; i++)
        a[i] = accept(bench, i % 2, NULL);
    finish(bench, a[0], OUTCOME_FAILED, 1);
    finish(bench, a[5], OUTCOME_FAILED, 1);
    write_state(bench, a[3], ACTION_SENT);
    until_done(bench, 9);
    const char *node = bench->nodes[1]->uuid;

    struct listed found = list(bench, (struct journal_query){.node_uuid = node, .limit = ALL});
    assert_int_equal(found.count, 3);
    assert_ptr_equal(found.actions[0], a[5]);
    assert_ptr_equal(found.actions[1], a[3]);
    assert_ptr_equal(found.actions[2], a[1]);
    found = list(bench, (struct journal_query){.state = ACTION_FINISHED, .limit = ALL});
    assert_int_equal(found.count, 2);
    assert_ptr_equal(found.actions[0], a[5]);
    assert_ptr_equal(found.actions[1], a[0]);
    found = list(bench, (struct journal_query){.state = ACTION_ACCEPTED, .limit = ALL});
    assert_int_equal(found.count, 3);
    /* The limit counts what matches; the marker need not match. */
    found = list(bench, (struct journal_query){.node_uuid = node, .marker = a[4]->id, .limit = 1});
    assert_int_equal(found.count, 1);
    assert_ptr_equal(found.actions[0], a[3]);
    found =
        list(bench, (struct journal_query){.node_uuid = node, .state = ACTION_SENT, .limit = ALL});
    assert_int_equal(found.count, 1);
    found = list(bench, (struct journal_query){.node_uuid = bench->nodes[2]->uuid, .limit = ALL});
    assert_int_equal(found.count, 0);
}

/* ---- Forgetting ---- */

/* Each action leads to those before it, also after the array has slid. */
static void check_markers(struct bench *bench, const struct listed *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct listed rest =
            list(bench, (struct journal_query){.limit = ALL, .marker = all->actions[i]->id});
        assert_int_equal(rest.count, all->count - i - 1);
        if (rest.count > 0)
            assert_ptr_equal(rest.actions[0], all->actions[i + 1]);
    }
}

/* At least the history is kept, not much more, and the newest of it; what is left stays whole. */
static void test_history(void **state)
{
    struct bench *bench = *state;
    enum { MANY = 200 };
    char ids[MANY][ACTION_ID_TEXT];
    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%u", i);
        struct action *action = accept(bench, 0, key);
        memcpy(ids[i], action->id, ACTION_ID_TEXT);
        finish(bench, action, OUTCOME_FAILED, i);
        until_done(bench, bench->done + 2);
        struct listed all = list(bench, (struct journal_query){.limit = ALL});
        unsigned kept = all.count;
        assert_true(kept >= (i < HISTORY ? i + 1 : HISTORY));
        assert_true(kept <= HISTORY + SLACK);
        for (unsigned k = 0; k <= i; k++) {
            struct action *found = journal_find(bench->journal, ids[k]);
            snprintf(key, sizeof key, "key-%u", k);
            assert_ptr_equal(journal_find_key(bench->journal, key), found);
            assert_int_equal(found != NULL, k + kept > i);
        }
        check_markers(bench, &all);
    }
    struct listed rest = {0};
    assert_int_equal(
        journal_list(bench->journal, &(struct journal_query){.marker = ids[0]}, on_each, &rest),
        -1);
}

/* What is under way is not forgotten, and those behind it wait for it. */
static void test_history_unfinished(void **state)
{
    struct bench *bench = *state;
    struct action *front = accept(bench, 0, "front");
    char id[ACTION_ID_TEXT];
    memcpy(id, front->id, sizeof id);
    until_done(bench, 1);
    for (unsigned i = 0; i < 60; i++)
        whole(bench, 1, OUTCOME_FAILED, 1);
    assert_ptr_equal(journal_find(bench->journal, id), front);
    assert_ptr_equal(journal_find_key(bench->journal, "front"), front);
    assert_int_equal(list(bench, (struct journal_query){.limit = ALL}).count, 61);
    write_state(bench, front, ACTION_SENT);
    until_done(bench, bench->done + 1);
    whole(bench, 1, OUTCOME_FAILED, 1);
    assert_ptr_equal(journal_find(bench->journal, id), front);
    finish(bench, front, OUTCOME_FAILED, 2);
    accept(bench, 1, NULL); /* finished, but not on disk yet */
    assert_ptr_equal(journal_find(bench->journal, id), front);
    until_done(bench, bench->done + 2);
    whole(bench, 1, OUTCOME_FAILED, 1);
    assert_null(journal_find(bench->journal, id));
    assert_null(journal_find_key(bench->journal, "front"));
    assert_true(list(bench, (struct journal_query){.limit = ALL}).count <= HISTORY + SLACK);
}

/* What could not be accepted is not there: neither for who repeats the request nor in the list. */
static void test_no_memory(void **state)
{
    struct bench *bench = *state;
    const struct principal caller = {.user = "admin", .address = "127.0.0.1"};
    struct action *action = action_new(bench->nodes[0], "inject_nmi", "agent", &caller);
    assert_non_null(action);
    action->key_scope = strdup("key");
    action->state = ACTION_ACCEPTED;
    no_memory = true;
    assert_int_equal(journal_write(bench->journal, action, ACTION_ACCEPTED), -1);
    no_memory = false;
    assert_null(journal_find(bench->journal, action->id));
    assert_null(journal_find_key(bench->journal, "key"));
    assert_null(journal_newest(bench->journal, bench->nodes[0]->uuid));
    assert_int_equal(list(bench, (struct journal_query){.limit = ALL}).count, 0);
    assert_int_equal(action->references, 1);
    action_unref(action);
    accept(bench, 0, "key");
    until_done(bench, 1);
}

/* And the node's action before it is its newest again: who repeats that one is told of it. */
static void test_no_memory_for_a_second(void **state)
{
    struct bench *bench = *state;
    const struct principal caller = {.user = "admin", .address = "127.0.0.1"};
    const char *uuid = bench->nodes[0]->uuid;
    struct action *first = accept(bench, 0, NULL), *second = accept(bench, 0, NULL);
    struct action *action = action_new(bench->nodes[0], "inject_nmi", "agent", &caller);
    assert_non_null(action);
    until_done(bench, 2); /* the next write of the journal asks for memory */
    action->state = ACTION_ACCEPTED;
    no_memory = true;
    assert_int_equal(journal_write(bench->journal, action, ACTION_ACCEPTED), -1);
    no_memory = false;
    action_unref(action);
    assert_ptr_equal(journal_newest(bench->journal, uuid), second);
    assert_ptr_equal(second->earlier, first);
    assert_null(second->later);
    struct action *third = accept(bench, 0, NULL);
    assert_ptr_equal(third->earlier, second);
    assert_ptr_equal(second->later, third);
    until_done(bench, 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_completions),        TEST(test_find),
        TEST(test_last_nmi),           TEST(test_last_nmi_by_target),
        TEST(test_last_nmi_survives),  TEST(test_list),
        TEST(test_list_filters),       TEST(test_history),
        TEST(test_history_unfinished), TEST(test_no_memory),
        TEST(test_no_memory_for_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

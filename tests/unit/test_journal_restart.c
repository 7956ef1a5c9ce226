/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One journal after the other in one directory: what the second knows of the first's. In simulated
 * time, on real files. Databases that are none, or another's, are test_journal_open's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/journal_more.h"
#include "fake_loop.h"
#include "state_dir.h"

#define NODES   4
#define HISTORY 20
#define DAY_S   86400

struct bench {
    struct loop *loop;
    struct journal *journal;
    struct journal_settings settings;
    char dir[STATE_DIR_MAX];
    struct node *nodes[NODES];
    bool force; /* of the next requests */
};

/* ---- The bench ---- */

static const char *const uuids[NODES] = {
    "1be26c0b-03f2-4d2e-ae87-c02d7f33c781", "2be26c0b-03f2-4d2e-ae87-c02d7f33c782",
    "3be26c0b-03f2-4d2e-ae87-c02d7f33c783", "4be26c0b-03f2-4d2e-ae87-c02d7f33c784"};

static struct node *node_make(const char *uuid, const char *name, const char *target)
{
    struct node *node = node_new();
    assert_non_null(node);
    memcpy(node->uuid, uuid, UUID_TEXT);
    node->name = name == NULL ? NULL : strdup(name);
    node->target = target == NULL ? NULL : strdup(target);
    return node;
}

static void start(struct bench *bench)
{
    struct fault fault = {0};
    bench->journal = journal_new(bench->loop, &bench->settings, &fault);
    if (bench->journal == NULL)
        fail_msg("%s", fault.message);
}

static void settle(struct bench *bench)
{
    fake_run_for(bench->loop, 1000);
    assert_int_equal(journal_pending(bench->journal), 0);
}

/* The daemon ends and comes again; the loop with it, for it has the journal's hook. */
static void stop(struct bench *bench)
{
    journal_free(bench->journal);
    loop_free(bench->loop);
    bench->loop = loop_new(NULL);
    bench->journal = NULL;
}

static void restart(struct bench *bench)
{
    settle(bench);
    stop(bench);
    start(bench);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    log_set_level(LOG_LEVEL_ERROR - 1);
    fake_reset();
    state_dir_make(bench->dir);
    bench->settings = (struct journal_settings){bench->dir, HISTORY, 0};
    bench->loop = loop_new(NULL);
    start(bench);
    bench->nodes[0] = node_make(uuids[0], "rack-0", "10.0.0.0:623");
    bench->nodes[1] = node_make(uuids[1], "rack-1", "bmc.example:623");
    bench->nodes[2] = node_make(uuids[2], NULL, NULL);
    bench->nodes[3] = node_make(uuids[3], "rack-3", "10.0.0.3:623");
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    journal_free(bench->journal);
    loop_free(bench->loop);
    state_dir_remove(bench->dir);
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(bench->nodes[i]->references, 1);
        node_unref(bench->nodes[i]);
    }
    free(bench);
    return 0;
}

/* SQL on the database, while no journal has it. */
static void sql(struct bench *bench, const char *text)
{
    char path[STATE_DIR_MAX + 16], *error = NULL;
    sqlite3 *database = NULL;
    snprintf(path, sizeof path, "%s/nmid.db", bench->dir);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    if (sqlite3_exec(database, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_close(database);
}

/* ---- Actions ---- */

static void write_state(struct bench *bench, struct action *action, enum action_state state)
{
    action->state = state;
    assert_int_equal(journal_write(bench->journal, action, state), 0);
    action->durable = state; /* as the engine does, once it is told */
}

static struct action *accept(struct bench *bench, int node, const char *key)
{
    static const struct principal caller = {
        .user = "alice", .project_id = "demo", .address = "127.0.0.1"};
    struct action *action = action_new(bench->nodes[node], "inject_nmi", "agent", &caller);
    assert_non_null(action);
    action->force = bench->force;
    if (key != NULL) {
        action->key_scope = strdup(key);
        action->fingerprint = strdup("{\"action\": \"inject_nmi\"}");
    }
    write_state(bench, action, ACTION_ACCEPTED);
    action_unref(action);
    return action; /* the journal's history has it */
}

static void sent(struct bench *bench, struct action *action)
{
    action->sends++;
    action->sent_at = clock_wall_us();
    write_state(bench, action, ACTION_SENT);
}

static void finish(struct bench *bench, struct action *action, enum action_outcome outcome,
                   enum fault_code code)
{
    action->outcome = outcome;
    action->code = code;
    action->message = strdup(outcome == OUTCOME_DELIVERED ? "done" : "it was not to be: \"é\"");
    action->finished_at = clock_wall_us();
    action->finished_mono = clock_mono_us();
    write_state(bench, action, ACTION_FINISHED);
}

static struct action *whole(struct bench *bench, int node, enum action_outcome outcome)
{
    struct action *action = accept(bench, node, NULL);
    finish(bench, action, outcome, outcome == OUTCOME_DELIVERED ? FAULT_NONE : FAULT_NO_ANSWER);
    settle(bench);
    return action;
}

struct listed {
    char ids[64][ACTION_ID_TEXT];
    json_t *json[64];
    int count;
};

static void on_each(void *arg, struct action *action)
{
    struct listed *listed = arg;
    assert_in_range(listed->count, 0, 63);
    memcpy(listed->ids[listed->count], action->id, ACTION_ID_TEXT);
    listed->json[listed->count++] = action_json(action);
}

static void list(struct bench *bench, struct journal_query query, struct listed *ret_listed)
{
    ret_listed->count = 0;
    query.limit = 64;
    int count = journal_list(bench->journal, &query, on_each, ret_listed);
    assert_int_equal(count, ret_listed->count);
}

static void listed_free(struct listed *listed)
{
    for (int i = 0; i < listed->count; i++)
        json_decref(listed->json[i]);
}

/* ---- The history ---- */

/* All that an action can have, in all states, and nothing else. */
static void test_history(void **state)
{
    struct bench *bench = *state;
    struct listed before = {0}, after = {0}, rest = {0};
    for (int i = 0; i < 12; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        bench->force = i == 3;
        struct action *action = accept(bench, i % NODES, i % 2 == 0 ? key : NULL);
        fake.wall -= i == 6 ? 3600 * FAKE_SECOND : 0; /* the order does not mind the clock */
        if (i > 8)                                    /* left accepted */
            continue;
        action->resolved = i == 1 ? strdup("10.9.9.9:623") : NULL;
        sent(bench, action);
        if (i > 6) /* left sent */
            continue;
        action->evidence_text = i % 3 == 0 ? strdup("{\"sel\": \"none\", \"sends\": 1}") : NULL;
        finish(bench, action, (enum action_outcome)(OUTCOME_DELIVERED + i % 3),
               i % 3 == 0 ? FAULT_NONE : FAULT_NO_ANSWER);
    }
    list(bench, (struct journal_query){0}, &before);
    assert_int_equal(before.count, 12);
    for (int times = 0; times < 2; times++) {
        restart(bench);
        list(bench, (struct journal_query){0}, &after);
        assert_int_equal(after.count, 12);
        for (int i = 0; i < 12; i++) {
            if (!json_equal(before.json[i], after.json[i]))
                fail_msg("%s is now %s", json_dumps(before.json[i], 0),
                         json_dumps(after.json[i], 0));
            list(bench, (struct journal_query){.marker = before.ids[i]}, &rest);
            assert_int_equal(rest.count, 11 - i);
            listed_free(&rest);
        }
        listed_free(&after);
    }
    list(bench, (struct journal_query){.node_uuid = uuids[2], .state = ACTION_FINISHED}, &rest);
    assert_int_equal(rest.count, 2);
    listed_free(&rest);
    listed_free(&before);
}

/* Keys, what they were used for, and to what they led. */
static void test_keys(void **state)
{
    struct bench *bench = *state;
    struct action *done = accept(bench, 0, "done");
    finish(bench, done, OUTCOME_DELIVERED, FAULT_NONE);
    accept(bench, 1, "under way");
    restart(bench);
    struct action *found = journal_find_key(bench->journal, "done");
    assert_non_null(found);
    assert_int_equal(found->outcome, OUTCOME_DELIVERED);
    assert_string_equal(found->fingerprint, "{\"action\": \"inject_nmi\"}");
    assert_ptr_equal(found, journal_find(bench->journal, found->id));
    assert_non_null(journal_find_key(bench->journal, "under way"));
    assert_null(journal_find_key(bench->journal, "never"));
}

/* Its action never was on disk, its caller was told so: the key is free, and stays so. */
static void test_key_is_free(void **state)
{
    struct bench *bench = *state;
    struct action *first = accept(bench, 0, "again");
    first->durable = ACTION_NEW; /* as the engine leaves it, told that it could not be recorded */
    finish(bench, first, OUTCOME_FAILED, FAULT_JOURNAL);
    assert_null(journal_find_key(bench->journal, "again"));
    restart(bench);
    assert_null(journal_find_key(bench->journal, "again"));
    struct action *second = accept(bench, 0, "again");
    finish(bench, second, OUTCOME_FAILED, FAULT_REFUSED);
    for (int times = 0; times < 2; times++) {
        for (int i = 0; i < HISTORY - 1; i++) /* the first is forgotten, the second is not */
            whole(bench, 1, OUTCOME_FAILED);
        struct action *found = journal_find_key(bench->journal, "again");
        assert_int_equal(found != NULL, times == 0);
        if (found != NULL)
            assert_int_equal(found->code, FAULT_REFUSED);
        restart(bench);
    }
}

/* What was, or may have been, delivered last keeps its key beyond the history, as long as there can
 * be a hold-off; then both go. */
static void test_key_of_the_last(void **state)
{
    struct bench *bench = *state;
    finish(bench, accept(bench, 0, "the last"), OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    for (int times = 0; times < 2; times++) {
        for (int i = 0; i < 3 * HISTORY; i++)
            whole(bench, 1, OUTCOME_FAILED);
        assert_non_null(journal_find_key(bench->journal, "the last"));
        assert_non_null(journal_last_nmi(bench->journal, bench->nodes[0]));
        restart(bench);
    }
    fake_run_for(bench->loop, 8 * FAKE_DAY - 3600 * FAKE_SECOND);
    assert_non_null(journal_find_key(bench->journal, "the last"));
    fake_run_for(bench->loop, 2 * 3600 * FAKE_SECOND);
    assert_null(journal_find_key(bench->journal, "the last"));
    assert_null(journal_last_nmi(bench->journal, bench->nodes[0]));
    restart(bench);
    assert_null(journal_find_key(bench->journal, "the last"));
}

/* ---- Retention ---- */

static void test_retention_by_count(void **state)
{
    struct bench *bench = *state;
    struct listed listed = {0};
    for (int i = 0; i < 2 * HISTORY; i++)
        whole(bench, 1, OUTCOME_FAILED);
    char *newest = strdup(whole(bench, 0, OUTCOME_FAILED)->id);
    restart(bench);
    list(bench, (struct journal_query){0}, &listed);
    assert_int_equal(listed.count, HISTORY);
    assert_string_equal(listed.ids[0], newest);
    listed_free(&listed);
    bench->settings.history = 7;
    restart(bench);
    bench->settings.history = HISTORY;
    restart(bench);
    list(bench, (struct journal_query){0}, &listed);
    assert_int_equal(listed.count, 7); /* forgotten is forgotten */
    assert_string_equal(listed.ids[0], newest);
    listed_free(&listed);
    free(newest);
}

static void test_retention_by_age(void **state)
{
    struct bench *bench = *state;
    struct listed listed = {0};
    bench->settings.history_days = 3;
    restart(bench);
    for (int day = 0; day < 5; day++) {
        whole(bench, 1, OUTCOME_FAILED);
        fake.wall += DAY_S * FAKE_SECOND;
        fake.mono += DAY_S * FAKE_SECOND;
    }
    restart(bench);
    list(bench, (struct journal_query){0}, &listed);
    assert_int_equal(listed.count, 2);
    listed_free(&listed);
    fake_run_for(bench->loop, FAKE_DAY + 3600 * FAKE_SECOND); /* nobody writes: by itself */
    list(bench, (struct journal_query){0}, &listed);
    assert_int_equal(listed.count, 1);
    listed_free(&listed);
    stop(bench);
    sql(bench, "CREATE TEMP TABLE t (n CHECK (n = 1)); INSERT INTO t SELECT count(*) FROM actions");
    start(bench);
}

/* The clock of a machine that starts in 1970 is set after the first actions; and is set again. */
static void test_age_of_a_wrong_clock(void **state)
{
    struct bench *bench = *state;
    int64_t right = fake.wall;
    bench->settings.history_days = 3;
    restart(bench);
    fake.wall = FAKE_DAY;
    accept(bench, 0, "of 1970");
    finish(bench, journal_find_key(bench->journal, "of 1970"), OUTCOME_FAILED, FAULT_REFUSED);
    settle(bench);
    fake.wall = right;
    restart(bench);
    fake_run_for(bench->loop, 2 * FAKE_DAY);
    assert_non_null(journal_find_key(bench->journal, "of 1970"));
    fake_run_for(bench->loop, FAKE_DAY + 3600 * FAKE_SECOND);
    assert_null(journal_find_key(bench->journal, "of 1970"));
}

/* Refusals have room of their own. */
static void test_refusals(void **state)
{
    static const struct principal caller = {.user = "bob"};
    struct bench *bench = *state;
    struct listed listed = {0};
    struct action *first = accept(bench, 0, "kept");
    finish(bench, first, OUTCOME_FAILED, FAULT_UNREACHABLE);
    for (int i = 0; i < 10 * HISTORY; i++) {
        struct action *refusal = action_new(bench->nodes[1], "inject_nmi", "agent", &caller);
        refusal->refusal = true;
        finish(bench, refusal, OUTCOME_FAILED, FAULT_STATUS);
        action_unref(refusal);
        if (i % 32 == 0)
            restart(bench);
    }
    restart(bench);
    assert_non_null(journal_find_key(bench->journal, "kept"));
    list(bench, (struct journal_query){0}, &listed);
    assert_in_range(listed.count, 2, HISTORY);
    listed_free(&listed);
}

/* ---- Locks, status, the outbox ---- */

static void test_overrides(void **state)
{
    static const struct journal_override both = {true, false, true, NODE_RESCUED}, none = {0},
                                         lock = {true, true, false, NODE_ACTIVE};
    struct bench *bench = *state;
    const struct journal_override *found;
    assert_int_equal(journal_set_override(bench->journal, uuids[0], &lock, NULL, NULL), 0);
    assert_int_equal(journal_set_override(bench->journal, uuids[1], &lock, NULL, NULL), 0);
    assert_int_equal(journal_set_override(bench->journal, uuids[1], &both, NULL, NULL), 0);
    assert_int_equal(journal_set_override(bench->journal, uuids[2], &both, NULL, NULL), 0);
    restart(bench);
    found = journal_override(bench->journal, uuids[0]);
    assert_true(found->has_lock && found->locked && !found->has_status);
    found = journal_override(bench->journal, uuids[1]);
    assert_true(found->has_lock && !found->locked && found->has_status);
    assert_int_equal(found->status, NODE_RESCUED);
    assert_int_equal(journal_set_override(bench->journal, uuids[2], &none, NULL, NULL), 0);
    restart(bench);
    assert_null(journal_override(bench->journal, uuids[2]));
    assert_non_null(journal_override(bench->journal, uuids[1]));
    assert_null(journal_override(bench->journal, uuids[3]));
}

static void on_post(void *arg, const struct journal_post *post)
{
    struct journal_post *posts = arg;
    assert_in_range(post->serial, 1, 7);
    posts[post->serial] = *post;
    posts[post->serial].url = strdup(post->url);
    posts[post->serial].body = strdup(post->body);
}

static void test_outbox(void **state)
{
    struct bench *bench = *state;
    struct journal_post post = {.url = (char *)"http://127.0.0.1/a", .body = (char *)"{}"};
    struct journal_post posts[8] = {0};
    uint64_t serials[3];
    struct action *action = whole(bench, 0, OUTCOME_DELIVERED);
    memcpy(post.action_id, action->id, sizeof post.action_id);
    post.since = post.next_at = 1234;
    for (int i = 0; i < 3; i++)
        assert_int_equal(journal_post_add(bench->journal, &post, &serials[i]), 0);
    assert_int_equal(journal_post_remove(bench->journal, serials[0]), 0);
    assert_int_equal(journal_post_later(bench->journal, serials[1], 5, 99), 0);
    restart(bench);
    journal_outbox(bench->journal, on_post, posts);
    assert_null(posts[serials[0]].url);
    assert_string_equal(posts[serials[1]].url, "http://127.0.0.1/a");
    assert_string_equal(posts[serials[1]].body, "{}");
    assert_string_equal(posts[serials[1]].action_id, post.action_id);
    assert_int_equal(posts[serials[1]].tries, 5);
    assert_int_equal(posts[serials[1]].next_at, 99);
    assert_int_equal(posts[serials[2]].since, 1234);
    assert_int_equal(posts[serials[2]].tries, 0);
    uint64_t next = 0;
    assert_int_equal(journal_post_add(bench->journal, &post, &next), 0);
    assert_true(next > serials[2]); /* what is left is not written over */
    for (int i = 0; i < 8; i++) {
        free(posts[i].url);
        free(posts[i].body);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_history),
        TEST(test_keys),
        TEST(test_key_is_free),
        TEST(test_key_of_the_last),
        TEST(test_retention_by_count),
        TEST(test_retention_by_age),
        TEST(test_age_of_a_wrong_clock),
        TEST(test_refusals),
        TEST(test_overrides),
        TEST(test_outbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

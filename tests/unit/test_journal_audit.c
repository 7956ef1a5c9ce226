/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit's rows: what goes in comes out, is found, grows old, and gives way while the disk does
 * not take it. In simulated time, on real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "core/journal.h"
#include "core/journal_audit.h"
#include "fake_loop.h"
#include "fault_vfs.h"
#include "state_dir.h"

#define WAITING_MAX 4096
#define FOUND_MAX   64

struct bench {
    struct loop *loop;
    struct journal *journal;
    char dir[STATE_DIR_MAX];
    atomic_bool stop;
    size_t found; /* of the last search */
    uint64_t serials[FOUND_MAX];
    struct journal_audit_row last; /* its texts in: */
    char texts[AUDIT_TEXTS][AUDIT_MESSAGE_MAX + 1];
    char outcome[32], outcome_code[32];
};

static void start(struct bench *bench)
{
    struct fault fault = {0};
    bench->loop = loop_new(NULL);
    bench->journal = state_dir_journal(bench->dir, bench->loop, 100, &fault);
    if (bench->journal == NULL)
        fail_msg("%s", fault.message);
}

static void stop(struct bench *bench)
{
    journal_free(bench->journal);
    loop_free(bench->loop);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    log_set_level(LOG_LEVEL_ERROR - 1);
    fake_reset();
    fault_vfs_reset();
    state_dir_make(bench->dir);
    start(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    fault_vfs.kinds = 0;
    fake.hold = false;
    stop(bench);
    state_dir_remove(bench->dir);
    free(bench);
    return 0;
}

static void settle(struct bench *bench)
{
    fake_run_for(bench->loop, 1000);
    assert_int_equal(journal_pending(bench->journal), 0);
}

static struct journal_audit_row row_of(const char *user, const char *decision)
{
    return (struct journal_audit_row){
        .at = fake.wall,
        .texts = {[AUDIT_USER] = user,
                  [AUDIT_OPERATION] = "inject_nmi",
                  [AUDIT_DECISION] = decision},
    };
}

static void add(struct bench *bench, const struct journal_audit_row *row)
{
    assert_int_equal(journal_audit_add(bench->journal, row, false), 0);
}

static int on_row(void *arg, const struct journal_audit_row *row)
{
    struct bench *bench = arg;
    assert_true(bench->found < FOUND_MAX);
    bench->serials[bench->found++] = row->serial;
    bench->last = *row;
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        bench->last.texts[i] = row->texts[i] == NULL ? NULL : bench->texts[i];
        snprintf(bench->texts[i], sizeof bench->texts[i], "%s", row->texts[i] ? row->texts[i] : "");
    }
    snprintf(bench->outcome, sizeof bench->outcome, "%s", row->outcome ? row->outcome : "-");
    snprintf(bench->outcome_code, sizeof bench->outcome_code, "%s",
             row->outcome_code ? row->outcome_code : "-");
    return 0;
}

/* How many there are; bench->last is the last of them. */
static size_t find(struct bench *bench, const struct journal_audit_find *find)
{
    struct fault fault = {0};
    struct journal_audit_find all = find != NULL ? *find : (struct journal_audit_find){0};
    if (all.limit == 0)
        all.limit = FOUND_MAX;
    bench->found = 0;
    if (journal_audit_read(journal_path(bench->journal), &all, on_row, bench, &bench->stop,
                           &fault) < 0)
        fail_msg("%s", fault.message);
    return bench->found;
}

static size_t find_text(struct bench *bench, enum audit_text text, const char *value)
{
    struct journal_audit_find query = {0};
    query.texts[text] = value;
    return find(bench, &query);
}

static size_t find_node(struct bench *bench, const char *uuid, const char *ident)
{
    struct journal_audit_find query = {.ident = ident};
    query.texts[AUDIT_NODE_UUID] = uuid;
    return find(bench, &query);
}

/* ---- In and out ---- */

static void test_every_column(void **state)
{
    struct bench *bench = *state;
    char texts[AUDIT_TEXTS][24];
    struct journal_audit_row row = {
        .at = 123456789, .administrator = true, .force = true, .suppressed = 7};
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        snprintf(texts[i], sizeof texts[i], "text %d of it", i);
        row.texts[i] = texts[i];
    }
    add(bench, &row);
    memset(texts, 'x', sizeof texts - 1); /* it was copied */
    settle(bench);
    assert_int_equal(find(bench, NULL), 1);
    assert_int_equal(bench->last.serial, 1);
    assert_int_equal(bench->last.at, 123456789);
    assert_true(bench->last.administrator && bench->last.force && !bench->last.repeat);
    assert_int_equal(bench->last.suppressed, 7);
    assert_string_equal(bench->outcome, "-");
    assert_int_equal(bench->last.finished_at, 0);
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        char wanted[24];
        snprintf(wanted, sizeof wanted, "text %d of it", i);
        assert_string_equal(bench->last.texts[i], wanted);
    }
}

static void test_cut(void **state)
{
    struct bench *bench = *state;
    char text[1024];
    struct journal_audit_row row = row_of(NULL, "refused");
    memset(text, 'a', sizeof text);
    memcpy(text + AUDIT_TEXT_MAX - 1, "\xc3\xa4", 2); /* lies over the end */
    memcpy(text + AUDIT_MESSAGE_MAX - 2, "\xc3\xa4", 2);
    text[sizeof text - 1] = '\0';
    row.texts[AUDIT_USER] = row.texts[AUDIT_IDENT] = row.texts[AUDIT_MESSAGE] = text;
    add(bench, &row);
    settle(bench);
    assert_int_equal(find(bench, NULL), 1);
    assert_int_equal(strlen(bench->last.texts[AUDIT_USER]), AUDIT_TEXT_MAX - 1);
    assert_int_equal(strlen(bench->last.texts[AUDIT_IDENT]), AUDIT_TEXT_MAX - 1);
    assert_int_equal(strlen(bench->last.texts[AUDIT_MESSAGE]), AUDIT_MESSAGE_MAX);
    assert_null(bench->last.texts[AUDIT_RULE]);
}

/* The serials go on after a restart, and a search is for what it says. */
static void test_find(void **state)
{
    struct bench *bench = *state;
    struct journal_audit_row row = row_of("alice", "allowed");
    row.texts[AUDIT_USER_ID] = "a1";
    row.texts[AUDIT_PROJECT_ID] = "demo";
    row.texts[AUDIT_NODE_UUID] = "u1";
    row.texts[AUDIT_NODE_NAME] = "rack-1";
    row.texts[AUDIT_ACTION_ID] = "req-1";
    row.texts[AUDIT_KEY] = "key-1";
    row.at = 1000;
    add(bench, &row);
    row = row_of("bob", "refused");
    row.texts[AUDIT_IDENT] = "rack-1";
    row.texts[AUDIT_RULE] = "owner";
    row.texts[AUDIT_PROJECT_ID] = "demo";
    row.texts[AUDIT_NODE_UUID] = "u1";
    row.at = 3000;
    add(bench, &row);
    settle(bench);
    stop(bench);
    start(bench);
    row = row_of("' OR 1 --", "refused");
    row.texts[AUDIT_IDENT] = "nowhere";
    row.at = 2000; /* the clock was set back */
    add(bench, &row);
    settle(bench);
    assert_int_equal(find(bench, NULL), 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(bench->serials[i], 3 - i);
    assert_int_equal(find_text(bench, AUDIT_USER, "alice"), 1);
    assert_int_equal(find_text(bench, AUDIT_USER, "a1"), 1);
    assert_int_equal(find_text(bench, AUDIT_USER, "' OR 1 --"), 1);
    assert_int_equal(find_text(bench, AUDIT_USER, "nobody"), 0);
    assert_int_equal(find_text(bench, AUDIT_PROJECT_ID, "demo"), 2);
    assert_int_equal(find_text(bench, AUDIT_DECISION, "refused"), 2);
    assert_int_equal(find_text(bench, AUDIT_ACTION_ID, "req-1"), 1);
    assert_int_equal(find_text(bench, AUDIT_KEY, "key-1"), 1);
    assert_int_equal(find_text(bench, AUDIT_KEY, "key-2"), 0);
    assert_int_equal(find_node(bench, "u1", "rack-1"), 2);
    assert_int_equal(find_node(bench, NULL, "u1"), 2);
    assert_int_equal(find_node(bench, NULL, "rack-1"), 2);
    assert_int_equal(find_node(bench, NULL, "nowhere"), 1);
    assert_int_equal(find(bench, &(struct journal_audit_find){.since = 2000}), 2);
    assert_int_equal(find(bench, &(struct journal_audit_find){.until = 2000}), 1);
    assert_int_equal(find(bench, &(struct journal_audit_find){.since = 1000, .until = 1001}), 1);
    assert_int_equal(find(bench, &(struct journal_audit_find){.limit = 2}), 2);
    assert_int_equal(bench->last.serial, 2);
    assert_int_equal(find(bench, &(struct journal_audit_find){.marker = 2}), 1);
    assert_int_equal(find(bench, &(struct journal_audit_find){.own = true}), 2);
}

static void test_read_fails(void **state)
{
    struct bench *bench = *state;
    struct fault fault = {0};
    const struct journal_audit_find all = {.limit = 10};
    assert_int_equal(
        journal_audit_read("/nonexistent/nmid.db", &all, on_row, bench, &bench->stop, &fault), -1);
    assert_int_equal(fault.code, FAULT_JOURNAL);
    for (int i = 0; i < 3000; i++) /* long enough that it looks at *stop */
        add(bench, &(struct journal_audit_row){
                       .texts = {[AUDIT_OPERATION] = "a", [AUDIT_DECISION] = "allowed"}});
    settle(bench);
    struct journal_audit_find none = {.limit = 10};
    none.texts[AUDIT_USER] = "nobody";
    memset(&fault, 0, sizeof fault);
    atomic_store(&bench->stop, true);
    assert_int_equal(journal_audit_read(journal_path(bench->journal), &none, on_row, bench,
                                        &bench->stop, &fault),
                     -1);
    assert_int_equal(fault.code, FAULT_STOPPING);
}

/* ---- Outcomes ---- */

/* Of an action that has a record, and of that record alone; also when the commit was made twice. */
static void test_outcome(void **state)
{
    struct bench *bench = *state;
    struct node *node = node_new();
    const struct principal caller = {.user = "alice"};
    struct action *action = action_new(node, "inject_nmi", "agent", &caller);
    struct journal_audit_row row = row_of("alice", "allowed");
    row.texts[AUDIT_ACTION_ID] = action->id;
    add(bench, &row);
    action->audit_serial = journal_audit_serial(bench->journal);
    assert_int_equal(action->audit_serial, 1);
    row.repeat = true;
    add(bench, &row);
    settle(bench);
    action->outcome = OUTCOME_UNKNOWN;
    action->code = FAULT_DAEMON_STOPPED;
    action->finished_at = 77;
    for (int times = 0; times < 2; times++) {
        assert_int_equal(journal_audit_outcome(bench->journal, action), 0);
        settle(bench);
        assert_int_equal(find_text(bench, AUDIT_ACTION_ID, action->id), 2);
        assert_int_equal(bench->last.serial, 1);
        assert_string_equal(bench->outcome, "unknown");
        assert_string_equal(bench->outcome_code, "daemon-stopped");
        assert_int_equal(bench->last.finished_at, 77);
        assert_int_equal(find(bench, &(struct journal_audit_find){.limit = 1}), 1);
        assert_string_equal(bench->outcome, "-");
    }
    action->audit_serial = 0; /* of a time before the audit */
    action->outcome = OUTCOME_FAILED;
    assert_int_equal(journal_audit_outcome(bench->journal, action), 0);
    settle(bench);
    assert_int_equal(find_text(bench, AUDIT_ACTION_ID, action->id), 2);
    assert_string_equal(bench->outcome, "unknown");
    action_unref(action);
    node_unref(node);
}

/* ---- Pruning ---- */

static long count_all(struct bench *bench)
{
    long count = 0;
    struct journal_audit_find page = {.limit = FOUND_MAX};
    while (find(bench, &page) > 0) {
        count += (long)bench->found;
        page.marker = bench->last.serial;
    }
    return count;
}

static void add_many(struct bench *bench, int count)
{
    struct journal_audit_row row = row_of("alice", "refused");
    for (int i = 0; i < count; i++) {
        add(bench, &row);
        if (i % 500 == 499)
            settle(bench);
    }
    settle(bench);
}

static void test_count(void **state)
{
    struct bench *bench = *state;
    journal_audit_configure(bench->journal, 1000, 0);
    add_many(bench, 5000);
    assert_in_range(count_all(bench), 1000, 1064);
    find(bench, &(struct journal_audit_find){.limit = 1});
    assert_int_equal(bench->last.serial, 5000);
    journal_audit_configure(bench->journal, 100, 0); /* a little at a time, and without traffic */
    fake_run_for(bench->loop, 30 * FAKE_SECOND);
    assert_int_equal(count_all(bench), 100);
}

/* Whatever comes after it, what was done stays, and goes in its own turn; and the count goes on after
 * a restart. */
static void test_deeds(void **state)
{
    struct bench *bench = *state;
    struct journal_audit_row row = row_of("alice", "allowed");
    row.is_deed = true;
    journal_audit_configure(bench->journal, 1000, 0);
    for (int i = 0; i < 10; i++)
        add(bench, &row);
    add_many(bench, 3000);
    assert_in_range(count_all(bench), 1010, 1074);
    find(bench, &(struct journal_audit_find){.texts[AUDIT_DECISION] = "allowed", .limit = 100});
    assert_int_equal(bench->found, 10);
    stop(bench);
    start(bench);
    journal_audit_configure(bench->journal, 1000, 0);
    for (int i = 0; i < 1100; i++) {
        add(bench, &row);
        if (i % 500 == 0)
            settle(bench);
    }
    fake_run_for(bench->loop, 30 * FAKE_SECOND);
    assert_in_range(count_all(bench), 1000, 1064); /* all deeds: the last 1000, and a few */
    journal_audit_configure(bench->journal, 1000, 1);
    fake_run_for(bench->loop, 3 * FAKE_DAY);
    assert_int_equal(count_all(bench), 0);
}

static void test_days(void **state)
{
    struct bench *bench = *state;
    journal_audit_configure(bench->journal, 100000, 10);
    add_many(bench, 700);
    fake_run_for(bench->loop, 9 * FAKE_DAY);
    assert_int_equal(count_all(bench), 700);
    add_many(bench, 30);
    fake_run_for(bench->loop, FAKE_DAY + 7200 * FAKE_SECOND);
    assert_int_equal(count_all(bench), 30);
    fake_run_for(bench->loop, 10 * FAKE_DAY);
    assert_int_equal(count_all(bench), 0);
}

/* ---- A disk that does not take it ---- */

/* A refusal that cannot be written is owed, and holds up nobody. */
static void test_fails(void **state)
{
    struct bench *bench = *state;
    struct journal_audit_row row = row_of("alice", "refused");
    fault_vfs.kinds = FAULT_VFS_ALL;
    fault_vfs.from = 1;
    fault_vfs.many = ~0ul;
    add(bench, &row);
    fake_run_for(bench->loop, 5 * FAKE_SECOND);
    assert_int_equal(journal_check(bench->journal, NULL), 0);
    row.texts[AUDIT_USER] = "bob";
    assert_int_equal(journal_audit_add(bench->journal, &row, true), 0);
    fake_run_for(bench->loop, 5 * FAKE_SECOND);
    assert_int_equal(journal_check(bench->journal, NULL), -1);
    fault_vfs.kinds = 0;
    fake_run_for(bench->loop, 2 * FAKE_SECOND);
    assert_int_equal(journal_check(bench->journal, NULL), 0);
    assert_int_equal(count_all(bench), 2);
}

static void overfill(struct bench *bench)
{
    struct journal_audit_row row = row_of("alice", "refused");
    int kept = 0;
    for (int i = 0; i < WAITING_MAX + 1000; i++) {
        kept += journal_audit_add(bench->journal, &row, false) == 0;
        if (i % 100 == 99)
            fake_run_for(bench->loop, FAKE_SECOND / 10);
    }
    assert_int_equal(kept, WAITING_MAX);
    assert_int_equal(journal_audit_add(bench->journal, &row, true), 0);
}

static void test_bounded(void **state)
{
    struct bench *bench = *state;
    fault_vfs.kinds = FAULT_VFS_ALL;
    fault_vfs.from = 1;
    fault_vfs.many = ~0ul;
    overfill(bench);
    fault_vfs.kinds = 0;
    fake_run_for(bench->loop, 3 * FAKE_SECOND);
    assert_int_equal(count_all(bench), WAITING_MAX + 1);
    fake.hold = true; /* the disk hangs */
    overfill(bench);
    fake.hold = false;
    fake_run_for(bench->loop, 3 * FAKE_SECOND);
    assert_int_equal(count_all(bench), 2 * (WAITING_MAX + 1));
    assert_int_equal(journal_check(bench->journal, NULL), 0);
    add_many(bench, 100); /* there is room again */
    assert_int_equal(count_all(bench), 2 * (WAITING_MAX + 1) + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_column, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outcome, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deeds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
    };
    fault_vfs_install();
    return cmocka_run_group_tests_name("journal_audit", tests, NULL, NULL);
}

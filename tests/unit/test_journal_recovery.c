/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A daemon that was killed, and the next one: what became of its actions, their keys and hold-offs,
 * in the same boot of the machine and in another, with the wall clock set. In simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "core/driver.h"
#include "core/engine.h"
#include "fake_loop.h"
#include "fault_vfs.h"
#include "state_dir.h"

#define NODES      4
#define HOLD_OFF_S 300
#define HOLD_OFF   (HOLD_OFF_S * FAKE_SECOND)
#define HISTORY    6

struct bench {
    struct loop *loop;
    struct journal *journal;
    struct engine *engine;
    struct conf conf;
    char dir[STATE_DIR_MAX];
    struct action *started[8]; /* what the driver was given since the birth; counted */
    int count;
    unsigned goes;
};

static struct bench *bench_now;

static const char *const uuids[NODES] = {
    "1be26c0b-03f2-4d2e-ae87-c02d7f33c781", "2be26c0b-03f2-4d2e-ae87-c02d7f33c782",
    "3be26c0b-03f2-4d2e-ae87-c02d7f33c783", "4be26c0b-03f2-4d2e-ae87-c02d7f33c784"};
static const char *const targets[NODES] = {"10.0.0.0:623", "10.0.0.1:623", "bmc.example:623",
                                           "10.0.0.3:623"};

/* ---- A driver that waits for the test ---- */

static void *driver_open(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    (void)loop;
    (void)settings;
    (void)fault;
    return bench_now;
}

static void driver_configure(void *self, const struct conf_ipmi *settings)
{
    (void)self;
    (void)settings;
}

static void driver_close(void *self)
{
    struct bench *bench = self;
    while (bench->count > 0) {
        struct action *action = bench->started[--bench->count];
        if (action->state != ACTION_FINISHED)
            action_finish(action, OUTCOME_FAILED, FAULT_STOPPING, "the test lets go of it");
        action_unref(action);
    }
}

static void driver_start(void *self, struct action *action)
{
    struct bench *bench = self;
    for (int i = 0; i < bench->count; i++) {
        if (bench->started[i]->state == ACTION_FINISHED) {
            action_unref(bench->started[i]);
            bench->started[i--] = bench->started[--bench->count];
        }
    }
    assert_in_range(bench->count, 0, 7);
    bench->started[bench->count++] = action_ref(action);
}

static void driver_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    (void)self;
    (void)action;
    (void)code;
    (void)why;
}

static const struct driver driver = {
    .name = "waiting",
    .has_nmi = true,
    .open = driver_open,
    .configure = driver_configure,
    .close = driver_close,
    .start = driver_start,
    .abort = driver_abort,
};
static const struct driver *const drivers[] = {&driver, NULL};

/* ---- The bench ---- */

static void born(struct bench *bench)
{
    struct fault fault = {0};
    bench->loop = loop_new(NULL);
    bench->journal = state_dir_journal(bench->dir, bench->loop, HISTORY, &fault);
    if (bench->journal == NULL)
        fail_msg("%s", fault.message);
    bench->engine = engine_new(bench->loop, &bench->conf, drivers, bench->journal, &fault);
    assert_non_null(bench->engine);
    fake_run_for(bench->loop, 1000);
    assert_int_equal(journal_pending(bench->journal), 0);
}

static void gone(struct bench *bench)
{
    engine_free(bench->engine);
    journal_free(bench->journal);
    loop_free(bench->loop);
}

/* kill -9 and a power failure in one: the next daemon has what was fsync()ed. */
static void die(struct bench *bench)
{
    char left[STATE_DIR_MAX];
    state_dir_make(left);
    fault_vfs_power_loss(left, 0);
    gone(bench);
    fault_vfs_reset();
    state_dir_remove(bench->dir);
    memcpy(bench->dir, left, sizeof left);
}

/* The machine starts again: another boot, another monotonic clock. */
static void another_boot(struct bench *bench)
{
    char path[STATE_DIR_MAX + 16];
    sqlite3 *database = NULL;
    snprintf(path, sizeof path, "%s/nmid.db", bench->dir);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database,
                                  "UPDATE meta SET value = 'another' WHERE name = "
                                  "'boot_id'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(database), 1);
    sqlite3_close(database);
    fake.mono = 10 * FAKE_SECOND;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const struct node *other;
    const char *what;
    assert_non_null(bench);
    log_set_level(LOG_LEVEL_ERROR - 1);
    fake_reset();
    fault_vfs_reset();
    bench_now = bench;
    state_dir_make(bench->dir);
    bench->conf.hold_off_s = HOLD_OFF_S;
    bench->conf.ipmi.window = 10;
    bench->conf.limits.queue = 10;
    bench->conf.nodes = node_table_new();
    for (int i = 0; i < NODES; i++) {
        struct node *node = node_new();
        memcpy(node->uuid, uuids[i], UUID_TEXT);
        node->target = strdup(targets[i]);
        node->driver = &driver;
        assert_int_equal(node_table_add(bench->conf.nodes, node, &other, &what), 0);
    }
    born(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    gone(bench);
    state_dir_remove(bench->dir);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(node_table_at(bench->conf.nodes, i)->references, 1);
    node_table_free(bench->conf.nodes);
    free(bench);
    return 0;
}

/* ---- Actions ---- */

static int ask(struct bench *bench, int node, bool force, const char *key,
               struct action **ret_action, struct fault *fault)
{
    static const struct principal root = {
        .user = "root", .address = "127.0.0.1", .administrator = true};
    const struct request request = {.node_ident = uuids[node],
                                    .name = "inject_nmi",
                                    .contract = "agent",
                                    .caller = &root,
                                    .statuses = NODE_STATUS_BIT(NODE_ACTIVE),
                                    .idempotency_key = key,
                                    .fingerprint = key,
                                    .force = force};
    bool repeat = false;
    memset(fault, 0, sizeof *fault);
    if (engine_submit(bench->engine, &request, ret_action, &repeat, fault) < 0)
        return -1;
    fake_run_for(bench->loop, 1000);
    return repeat;
}

static struct action *accepted(struct bench *bench, int node, const char *key)
{
    struct action *action = NULL;
    struct fault fault;
    int asked = ask(bench, node, false, key, &action, &fault);
    if (asked != 0)
        fail_msg("%s", asked > 0 ? "a repeat" : fault.message);
    assert_ptr_equal(bench->started[bench->count - 1], action);
    return action;
}

static void on_go(void *arg)
{
    ((struct bench *)arg)->goes++;
}

static struct action *sent(struct bench *bench, int node, const char *key)
{
    struct action *action = accepted(bench, node, key);
    unsigned goes = bench->goes;
    action_sending(action, on_go, bench);
    fake_run_for(bench->loop, 1000);
    assert_int_equal(bench->goes, goes + 1);
    return action;
}

static struct action *whole(struct bench *bench, int node, enum action_outcome outcome)
{
    struct action *action = sent(bench, node, NULL);
    action_finish(action, outcome, outcome == OUTCOME_DELIVERED ? FAULT_NONE : FAULT_NO_ANSWER,
                  "so it was");
    fake_run_for(bench->loop, 1000);
    return action;
}

static void check_outcome(struct bench *bench, const char *id, enum action_outcome outcome,
                          enum fault_code code)
{
    const struct action *action = journal_find(bench->journal, id);
    assert_non_null(action);
    assert_int_equal(action->durable, ACTION_FINISHED);
    assert_int_equal(action->outcome, outcome);
    assert_string_equal(fault_name(action->code), fault_name(code));
}

static void check_held_off(struct bench *bench, int node, const char *by, const char *left)
{
    struct action *action = NULL;
    struct fault fault;
    assert_int_equal(ask(bench, node, false, NULL, &action, &fault), -1);
    assert_int_equal(fault.code, FAULT_HOLD_OFF);
    assert_string_equal(fault.action_id, by);
    if (strstr(fault.message, left) == NULL)
        fail_msg("no \"%s\" in \"%s\"", left, fault.message);
}

static void check_free(struct bench *bench, int node)
{
    struct action *action = accepted(bench, node, NULL);
    action_finish(action, OUTCOME_FAILED, FAULT_UNREACHABLE, "the test is over");
    fake_run_for(bench->loop, 1000);
}

/* ---- Killed ---- */

static void test_killed(void **state)
{
    struct bench *bench = *state;
    char ids[3][ACTION_ID_TEXT];
    struct action *action = NULL;
    struct fault fault;
    struct action *delivered = sent(bench, 2, "key-2");
    action_finish(delivered, OUTCOME_DELIVERED, FAULT_NONE, "done");
    fake_run_for(bench->loop, 1000);
    memcpy(ids[0], accepted(bench, 0, "key-0")->id, sizeof ids[0]);
    memcpy(ids[1], sent(bench, 1, "key-1")->id, sizeof ids[1]);
    memcpy(ids[2], delivered->id, sizeof ids[2]);
    for (int lives = 0; lives < 3; lives++) {
        die(bench);
        fake.mono += 7 * FAKE_SECOND;
        born(bench);
        check_outcome(bench, ids[0], OUTCOME_FAILED, FAULT_STOPPING);
        check_outcome(bench, ids[1], OUTCOME_UNKNOWN, FAULT_DAEMON_STOPPED);
        check_outcome(bench, ids[2], OUTCOME_DELIVERED, FAULT_NONE);
        action = journal_find(bench->journal, ids[0]);
        assert_int_equal(action->sent_at, 0);
        assert_non_null(strstr(action->message, "never sent"));
        action = journal_find(bench->journal, ids[1]);
        assert_string_equal(action->evidence_text, "{\"sends\":1}");
        assert_true(action->sent_at > 0 && action->finished_at >= action->sent_at);
        for (int i = 0; i < 3; i++) { /* the same request again is the same action */
            char key[16];
            snprintf(key, sizeof key, "key-%d", i);
            assert_int_equal(ask(bench, i, false, key, &action, &fault), 1);
            assert_string_equal(action->id, ids[i]);
        }
    }
    assert_int_equal(bench->goes, 2);
    /* The hold-off of what may have been delivered began with the first recovery. */
    check_held_off(bench, 1, ids[1], "allowed again in 286 s");
    check_held_off(bench, 2, ids[2], "allowed again in 279 s");
    check_free(bench, 0);
    assert_int_equal(ask(bench, 1, true, NULL, &action, &fault), 0);
    action_finish(action, OUTCOME_FAILED, FAULT_UNREACHABLE, "the test is over");
}

/* Between the two sends of one action: both are told of. */
static void test_killed_after_two(void **state)
{
    struct bench *bench = *state;
    char id[ACTION_ID_TEXT];
    struct action *action = sent(bench, 0, NULL);
    memcpy(id, action->id, sizeof id);
    action_sending(action, on_go, bench);
    fake_run_for(bench->loop, 1000);
    assert_int_equal(bench->goes, 2);
    die(bench);
    born(bench);
    check_outcome(bench, id, OUTCOME_UNKNOWN, FAULT_DAEMON_STOPPED);
    assert_string_equal(journal_find(bench->journal, id)->evidence_text, "{\"sends\":2}");
}

/* ---- The hold-off ---- */

/* Of the same boot: to its second, whatever is done to the wall clock. */
static void test_same_boot(void **state)
{
    static const int64_t shifts[] = {0, -3600 * FAKE_SECOND, FAKE_DAY, -400 * FAKE_DAY};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
        struct action *nmi = whole(bench, 0, i % 2 == 0 ? OUTCOME_DELIVERED : OUTCOME_UNKNOWN);
        char id[ACTION_ID_TEXT];
        int64_t finished = nmi->finished_mono;
        memcpy(id, nmi->id, sizeof id);
        die(bench);
        fake.wall += shifts[i];
        fake.mono += 100 * FAKE_SECOND;
        born(bench);
        check_held_off(bench, 0, id, "allowed again in 200 s");
        fake.mono = finished + HOLD_OFF - 1;
        check_held_off(bench, 0, id, "allowed again in 1 s");
        fake.mono = finished + HOLD_OFF;
        check_free(bench, 0);
    }
}

/* Of another boot there is the wall clock alone: it may make the NMI younger, never older than it
 * says. */
static void test_another_boot(void **state)
{
    struct bench *bench = *state;
    char id[ACTION_ID_TEXT];
    memcpy(id, whole(bench, 0, OUTCOME_DELIVERED)->id, sizeof id);
    die(bench);
    another_boot(bench);
    fake.wall += 100 * FAKE_SECOND;
    born(bench);
    check_held_off(bench, 0, id, "allowed again in 200 s");
    fake.mono += 199 * FAKE_SECOND;
    fake.wall -= 3600 * FAKE_SECOND; /* no matter while the daemon lives */
    check_held_off(bench, 0, id, "allowed again in 1 s");
    die(bench);
    born(bench); /* it is not of this boot still: younger than it is */
    check_held_off(bench, 0, id, "allowed again in 300 s");
    die(bench);
    another_boot(bench);
    fake.wall += 3600 * FAKE_SECOND + 300 * FAKE_SECOND;
    born(bench);
    check_free(bench, 0);
}

/* The BMC, by both of its names, and the machine; also when the history has forgotten it. */
static void test_last_of_many(void **state)
{
    struct bench *bench = *state;
    struct fault fault = {0};
    char id[ACTION_ID_TEXT];
    struct action *nmi = sent(bench, 2, NULL);
    assert_int_equal(action_resolved(nmi, targets[3], &fault), 0);
    action_finish(nmi, OUTCOME_DELIVERED, FAULT_NONE, "done");
    memcpy(id, nmi->id, sizeof id);
    for (int i = 0; i < 3 * HISTORY; i++)
        check_free(bench, i % 2);
    assert_ptr_equal(journal_find(bench->journal, id), nmi); /* with its key, as the last one */
    for (int lives = 0; lives < 2; lives++) {
        die(bench);
        born(bench);
        check_held_off(bench, 2, id, "was delivered");
        check_held_off(bench, 3, id, "was delivered");
        check_free(bench, 1);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_killed),       TEST(test_killed_after_two), TEST(test_same_boot),
        TEST(test_another_boot), TEST(test_last_of_many),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

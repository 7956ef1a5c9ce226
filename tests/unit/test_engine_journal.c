/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine when its journal is slow or fails. The journal here is a stub, all of it, so that the
 * linker leaves the real one in its archive: it keeps what it is given, and fails on order, at once
 * (-1) or from the loop. ARCHITECTURE: "*sent* is the barrier"; "if *finished* cannot be written,
 * tell the true outcome, log it, and refuse new actions". */
#include "engine_rig.h"

#include <stdlib.h>
#include "core/audit.h"
#include "core/journal_more.h"

/* Nothing is audited here; and so the linker leaves the audit, too, in the archive. */
int audit_record(struct audit *audit, const struct audit_record *record)
{
    (void)audit, (void)record;
    return 0;
}

void audit_outcome(struct audit *audit, const struct action *action)
{
    (void)audit, (void)action;
}

/* ---- The stub ---- */

enum verdict { GOOD, FAIL_LATER, FAIL_NOW };

#define WRITES 64

static struct stub {
    enum verdict verdict[ACTION_FINISHED + 1];
    bool hold;              /* nothing completes */
    bool broken;            /* journal_check() fails */
    struct action *left[4]; /* of an earlier daemon */
    unsigned left_count;
    unsigned written[ACTION_FINISHED + 1];
    struct {
        struct action *action; /* counted */
        enum action_state state;
    } writes[WRITES]; /* all there ever were */
    unsigned count, completed;
} stub;

struct journal {
    journal_done_fn *done;
    void *done_arg;
    struct loop *loop;
};

static void complete(void *arg)
{
    struct journal *journal = arg;
    unsigned count = stub.count;
    if (stub.hold || stub.completed == count)
        return;
    while (stub.completed < count) {
        unsigned i = stub.completed++;
        enum action_state state = stub.writes[i].state;
        stub.broken |= state == ACTION_FINISHED && stub.verdict[state] != GOOD;
        journal->done(journal->done_arg, stub.writes[i].action, state, stub.verdict[state] == GOOD);
    }
    loop_wake(journal->loop);
}

struct journal *journal_new(struct loop *loop, const struct journal_settings *settings,
                            struct fault *fault)
{
    struct journal *journal = calloc(1, sizeof *journal);
    (void)settings;
    assert_non_null(journal);
    memset(&stub, 0, sizeof stub);
    journal->loop = loop;
    assert_int_equal(loop_before_wait(loop, complete, journal, fault), 0);
    return journal;
}

void journal_free(struct journal *journal)
{
    for (unsigned i = 0; i < stub.count; i++)
        action_unref(stub.writes[i].action);
    free(journal);
}

void journal_on_done(struct journal *journal, journal_done_fn *done, void *arg)
{
    journal->done = done;
    journal->done_arg = arg;
}

int journal_check(const struct journal *journal, struct fault *fault)
{
    (void)journal;
    return stub.broken ? fault_set(fault, FAULT_JOURNAL, "the disk is full") : 0;
}

int journal_unfinished(struct journal *journal, journal_each_fn *each, void *arg)
{
    (void)journal;
    for (unsigned i = 0; i < stub.left_count; i++)
        each(arg, stub.left[i]);
    return 0;
}

const struct journal_override *journal_override(const struct journal *journal, const char *uuid)
{
    (void)journal;
    (void)uuid;
    return NULL;
}

void journal_outbox(struct journal *journal, journal_post_fn *each, void *arg)
{
    (void)journal;
    (void)each;
    (void)arg;
}

int journal_post_add(struct journal *journal, const struct journal_post *post, uint64_t *ret_serial)
{
    (void)journal;
    (void)post;
    (void)ret_serial;
    return -1;
}

int journal_post_later(struct journal *journal, uint64_t serial, unsigned tries, int64_t next_at)
{
    (void)journal;
    (void)serial;
    (void)tries;
    (void)next_at;
    return -1;
}

int journal_post_remove(struct journal *journal, uint64_t serial)
{
    (void)journal;
    (void)serial;
    return -1;
}

size_t journal_pending(const struct journal *journal)
{
    (void)journal;
    return stub.count - stub.completed;
}

int journal_write(struct journal *journal, struct action *action, enum action_state state)
{
    if (stub.verdict[state] == FAIL_NOW)
        return -1;
    assert_true(stub.count < WRITES);
    stub.writes[stub.count].action = action_ref(action);
    stub.writes[stub.count++].state = state;
    stub.written[state]++;
    loop_wake(journal->loop);
    return 0;
}

struct action *journal_find(struct journal *journal, const char *id)
{
    (void)journal;
    for (unsigned i = 0; i < stub.count; i++) {
        if (strcmp(stub.writes[i].action->id, id) == 0)
            return stub.writes[i].action;
    }
    return NULL;
}

struct action *journal_newest(struct journal *journal, const char *node_uuid)
{
    (void)journal;
    (void)node_uuid;
    return NULL;
}

struct action *journal_find_key(struct journal *journal, const char *key_scope)
{
    (void)journal;
    (void)key_scope;
    return NULL;
}

struct action *journal_last_target(struct journal *journal, const char *target)
{
    (void)journal;
    (void)target;
    return NULL;
}

struct action *journal_last_nmi(struct journal *journal, const struct node *node)
{
    (void)journal;
    (void)node;
    return NULL;
}

int journal_list(struct journal *journal, const struct journal_query *query, journal_each_fn *each,
                 void *arg)
{
    (void)journal;
    (void)query;
    (void)each;
    (void)arg;
    return 0;
}

/* ---- What the tests share ---- */

struct heard {
    unsigned count;
    enum action_state state, asked[8];
    enum action_outcome outcome;
    enum fault_code code;
};

struct ear {
    struct heard *heard;
    enum action_state asked;
};

static void on_wait(void *arg, struct action *action)
{
    const struct ear *ear = arg;
    struct heard *heard = ear->heard;
    heard->asked[heard->count++] = ear->asked;
    heard->state = action->state;
    heard->outcome = action->outcome;
    heard->code = action->code;
}

static struct action *submit(struct rig *rig, unsigned i)
{
    struct request request = rig_request(i);
    rig_add_node(rig, i);
    return rig_submit(rig, &request);
}

static void assert_unrecorded(const struct action *action)
{
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->outcome, OUTCOME_FAILED);
    assert_int_equal(action->code, FAULT_JOURNAL);
    assert_int_equal(action->sent_at, 0);
    assert_string_equal(action->message, "the action could not be recorded; nothing was sent");
}

/* ---- *accepted* ---- */

/* The window let it out already: the driver gives it up. */
static void test_accepted_fails_in_window(void **state)
{
    struct rig *rig = *state;
    struct heard heard = {0};
    struct ear ear = {&heard, ACTION_ACCEPTED};
    struct request request = rig_request(0);
    stub.verdict[ACTION_ACCEPTED] = FAIL_LATER;
    struct action *action = submit(rig, 0);
    assert_int_equal(rig->starts, 1);
    engine_wait(rig->engine, action, ACTION_ACCEPTED, on_wait, &ear);
    rig_until_count(rig, &heard.count, 1);
    assert_int_equal(rig->flights[0].aborts, 1);
    assert_int_equal(rig->flights[0].abort_code, FAULT_JOURNAL);
    assert_int_equal(heard.state, ACTION_FINISHED);
    assert_int_equal(heard.code, FAULT_JOURNAL);
    rig_until_durable(rig, action, ACTION_FINISHED);
    assert_unrecorded(action);
    assert_int_equal(rig->goes, 0);
    stub.verdict[ACTION_ACCEPTED] = GOOD; /* that was one action, not the daemon */
    rig_submit(rig, &request);
}

/* It waits for the window: it must never come out. */
static void test_accepted_fails_in_queue(void **state)
{
    struct rig *rig = *state;
    struct engine_counts counts;
    rig->conf->ipmi.window = 1;
    struct action *first = submit(rig, 0);
    rig_until_durable(rig, first, ACTION_ACCEPTED);
    stub.verdict[ACTION_ACCEPTED] = FAIL_LATER;
    struct action *second = submit(rig, 1);
    rig_until_durable(rig, second, ACTION_FINISHED);
    assert_unrecorded(second);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.queued, 0); /* and takes no place there */
    stub.verdict[ACTION_ACCEPTED] = GOOD;
    struct action *third = submit(rig, 2);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(rig->starts, 2);
    assert_ptr_equal(rig->flights[1].action, third);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.queued, 0);
    assert_int_equal(counts.in_flight, 1);
}

static void test_accepted_fails_now(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct engine_counts counts;
    rig_add_node(rig, 0);
    stub.verdict[ACTION_ACCEPTED] = FAIL_NOW;
    rig_refuse(rig, &request, FAULT_JOURNAL, NULL);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.queued + counts.in_flight + counts.failed, 0);
    assert_int_equal(stub.count, 0);
    stub.verdict[ACTION_ACCEPTED] = GOOD;
    rig_submit(rig, &request); /* the node was not left occupied */
}

/* ---- *sent* ---- */

/* However long the disk takes: nothing leaves before. */
static void test_sent_is_the_barrier(void **state)
{
    struct rig *rig = *state;
    struct action *action = submit(rig, 0);
    rig_until_durable(rig, action, ACTION_ACCEPTED);
    stub.hold = true;
    rig_send(rig, 0);
    rig_settle(rig);
    assert_int_equal(stub.written[ACTION_SENT], 1);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(action->state, ACTION_ACCEPTED);
    stub.hold = false;
    loop_wake(rig->loop);
    rig_until_count(rig, &rig->goes, 1);
}

static void test_sent_fails_later(void **state)
{
    struct rig *rig = *state;
    struct action *action = submit(rig, 0);
    stub.verdict[ACTION_SENT] = FAIL_LATER;
    rig_send(rig, 0);
    assert_int_equal(action->state, ACTION_ACCEPTED);
    rig_until_durable(rig, action, ACTION_FINISHED);
    rig_settle(rig);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(rig->flights[0].abort_code, FAULT_JOURNAL);
    assert_unrecorded(action);
}

static void test_sent_fails_now(void **state)
{
    struct rig *rig = *state;
    struct action *action = submit(rig, 0);
    rig_until_durable(rig, action, ACTION_ACCEPTED);
    stub.verdict[ACTION_SENT] = FAIL_NOW;
    rig_send(rig, 0);
    assert_unrecorded(action);
    rig_until_durable(rig, action, ACTION_FINISHED);
    rig_settle(rig);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(rig->flights[0].aborts, 1);
}

/* *accepted* fails and *sent*, written after it, does not; the driver takes its time for the
 * abort. Its go() must not come. */
static void test_accepted_fails_sent_does_not(void **state)
{
    struct rig *rig = *state;
    struct action *action = submit(rig, 0);
    stub.verdict[ACTION_ACCEPTED] = FAIL_LATER;
    rig->slow_abort = true;
    rig_send(rig, 0);
    rig_until_durable(rig, action, ACTION_SENT);
    rig_settle(rig);
    assert_int_equal(rig->flights[0].aborts, 1);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(action->sent_at, 0);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_JOURNAL);
    rig_until_durable(rig, action, ACTION_FINISHED);
}

/* ---- *finished* ---- */

static void check_finished_fails(struct rig *rig, enum verdict verdict)
{
    struct heard heard = {0};
    struct ear ear = {&heard, ACTION_FINISHED};
    struct request other = rig_request(1);
    struct action *action = submit(rig, 0);
    struct node *node = rig_add_node(rig, 1);
    struct fault fault = {0};
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &ear);
    rig_send(rig, 0);
    rig_until_count(rig, &rig->goes, 1);
    stub.verdict[ACTION_FINISHED] = verdict;
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    rig_until_count(rig, &heard.count, 1);
    assert_int_equal(heard.state, ACTION_FINISHED);
    assert_int_equal(heard.outcome, OUTCOME_DELIVERED); /* the truth */
    assert_int_equal(heard.code, FAULT_NONE);
    stub.verdict[ACTION_FINISHED] = GOOD;
    rig_refuse(rig, &other, FAULT_JOURNAL, &fault);
    memset(&fault, 0, sizeof fault);
    assert_int_equal(engine_probe(rig->engine, node, NULL, NULL, &fault), -1);
    assert_int_equal(fault.code, FAULT_JOURNAL);
    rig_settle(rig);
    assert_int_equal(heard.count, 1);
    rig_drain(rig); /* it can still be stopped in order */
}

static void test_finished_fails_later(void **state)
{
    check_finished_fails(*state, FAIL_LATER);
}

static void test_finished_fails_now(void **state)
{
    check_finished_fails(*state, FAIL_NOW);
}

static void test_refusal_fails(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct fault refusal = {.code = FAULT_STATUS, .message = "not now"}, fault = {0};
    rig_add_node(rig, 0);
    stub.verdict[ACTION_FINISHED] = FAIL_NOW;
    assert_null(engine_record_refusal(rig->engine, &request, &refusal, &fault));
    assert_int_equal(fault.code, FAULT_JOURNAL);
}

/* An action may jump over states: accepted is still told before finished. */
static void test_jump(void **state)
{
    struct rig *rig = *state;
    struct heard heard = {0};
    struct ear accepted = {&heard, ACTION_ACCEPTED}, sent = {&heard, ACTION_SENT},
               finished = {&heard, ACTION_FINISHED};
    stub.hold = true;
    struct action *action = submit(rig, 0);
    engine_wait(rig->engine, action, ACTION_SENT, on_wait, &sent);
    engine_wait(rig->engine, action, ACTION_ACCEPTED, on_wait, &accepted);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &finished);
    stub.verdict[ACTION_FINISHED] = FAIL_NOW;
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    rig_until_count(rig, &heard.count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(heard.asked[i], ACTION_ACCEPTED + i);
}

/* ---- The end ---- */

static void on_drained(void *arg)
{
    unsigned *drained = arg;
    ++*drained;
}

static void test_drain_awaits_the_journal(void **state)
{
    struct rig *rig = *state;
    unsigned drained = 0;
    stub.hold = true;
    struct action *action = submit(rig, 0);
    engine_drain(rig->engine, on_drained, &drained);
    rig_settle(rig);
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->durable, ACTION_NEW);
    assert_int_equal(drained, 0);
    stub.hold = false;
    loop_wake(rig->loop);
    rig_until_count(rig, &drained, 1);
    assert_int_equal(action->durable, ACTION_FINISHED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_accepted_fails_in_window),
        TEST(test_accepted_fails_in_queue),
        TEST(test_accepted_fails_now),
        TEST(test_sent_is_the_barrier),
        TEST(test_sent_fails_later),
        TEST(test_sent_fails_now),
        TEST(test_accepted_fails_sent_does_not),
        TEST(test_finished_fails_later),
        TEST(test_finished_fails_now),
        TEST(test_refusal_fails),
        TEST(test_jump),
        TEST(test_drain_awaits_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

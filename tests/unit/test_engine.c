/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine below the ladder: the window, what waits for a state, the barrier before the one
 * irreversible datagram, and the one completion. Reload, probes and the end: test_engine_end.c. */
#include "engine_rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/journal.h"

/* ---- The window ---- */

static void submit_many(struct rig *rig, unsigned count, struct action **ret_actions)
{
    for (unsigned i = 0; i < count; i++) {
        struct request request = rig_request(i);
        rig_add_node(rig, i);
        struct action *action = rig_submit(rig, &request);
        if (ret_actions != NULL)
            ret_actions[i] = action;
    }
}

static void assert_counts(struct rig *rig, size_t queued, size_t in_flight)
{
    struct engine_counts counts;
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.queued, queued);
    assert_int_equal(counts.in_flight, in_flight);
}

/* Two of five at once, in the order of their coming. */
static void test_window(void **state)
{
    struct rig *rig = *state;
    struct action *actions[5];
    static const unsigned ends[5] = {1, 0, 2, 4, 3}; /* the flight that ends next */
    rig->conf->ipmi.window = 2;
    submit_many(rig, 5, actions);
    assert_int_equal(rig->starts, 2);
    assert_counts(rig, 3, 2);
    rig_settle(rig); /* nor does the journal's word let out more */
    assert_int_equal(rig->starts, 2);
    for (unsigned i = 0; i < 5; i++) {
        rig_finish(rig, ends[i], OUTCOME_FAILED, FAULT_REFUSED);
        unsigned started = i < 3 ? 3 + i : 5;
        assert_int_equal(rig->starts, started);
        assert_counts(rig, 5 - started, started - i - 1);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_ptr_equal(rig->flights[i].action, actions[i]);
}

/* Actions that end inside their start() make room without a start() inside a start(). */
static void test_window_is_flat(void **state)
{
    struct rig *rig = *state;
    rig->conf->ipmi.window = 1;
    submit_many(rig, 60, NULL);
    assert_int_equal(rig->starts, 1);
    rig->finish_in_start = true;
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_REFUSED);
    assert_int_equal(rig->starts, 60);
    assert_int_equal(rig->depth_max, 1);
    assert_counts(rig, 0, 0);
}

static void test_counts(void **state)
{
    struct rig *rig = *state;
    struct engine_counts counts;
    struct action *actions[4];
    submit_many(rig, 4, actions);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    rig_finish(rig, 1, OUTCOME_FAILED, FAULT_REFUSED);
    rig_finish(rig, 2, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    rig_finish(rig, 3, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.delivered + counts.failed + counts.unknown, 0); /* not on disk yet */
    rig_until_durable(rig, actions[3], ACTION_FINISHED);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.delivered, 1);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.unknown, 2);
}

/* ---- Waits ---- */

struct seen {
    unsigned count;
    enum action_state durable[8]; /* of the action, when the wait fired */
    int order[8];
    struct action *action;
};

struct waiter {
    struct seen *seen;
    int id;
    unsigned fired;
};

static void on_wait(void *arg, struct action *action)
{
    struct waiter *waiter = arg;
    struct seen *seen = waiter->seen;
    waiter->fired++;
    seen->durable[seen->count] = action->durable;
    seen->order[seen->count++] = waiter->id;
    seen->action = action;
}

static void test_waits(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct seen seen = {0};
    struct waiter accepted = {&seen, 1, 0}, sent = {&seen, 2, 0}, finished = {&seen, 3, 0};
    submit_many(rig, 1, &action);
    assert_non_null(engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &finished));
    assert_non_null(engine_wait(rig->engine, action, ACTION_SENT, on_wait, &sent));
    assert_non_null(engine_wait(rig->engine, action, ACTION_ACCEPTED, on_wait, &accepted));
    assert_int_equal(seen.count, 0);
    rig_until_count(rig, &accepted.fired, 1);
    assert_ptr_equal(seen.action, action);
    rig_settle(rig);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.durable[0], ACTION_ACCEPTED);
    rig_send(rig, 0);
    assert_int_equal(seen.count, 1);
    rig_until_count(rig, &sent.fired, 1);
    assert_int_equal(seen.durable[1], ACTION_SENT);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(seen.count, 2);
    rig_until_count(rig, &finished.fired, 1);
    assert_int_equal(seen.durable[2], ACTION_FINISHED);
    rig_settle(rig);
    assert_int_equal(seen.count, 3); /* each once */
}

/* An action that is over before the loop turns: accepted still comes before finished. */
static void test_wait_order(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct seen seen = {0};
    struct waiter accepted = {&seen, 1, 0}, finished = {&seen, 3, 0};
    rig->finish_in_start = true;
    submit_many(rig, 1, &action);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &finished);
    engine_wait(rig->engine, action, ACTION_ACCEPTED, on_wait, &accepted);
    rig_until_count(rig, &seen.count, 2);
    assert_int_equal(seen.order[0], 1);
    assert_int_equal(seen.order[1], 3);
}

/* A wait for what is there already comes too, but not from within the call that asks. */
static void test_wait_on_finished(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct seen seen = {0};
    struct waiter early = {&seen, 1, 0}, late = {&seen, 2, 0};
    submit_many(rig, 1, &action);
    rig_deliver(rig, 0);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &early);
    engine_wait(rig->engine, action, ACTION_SENT, on_wait, &late);
    assert_int_equal(seen.count, 0);
    rig_until_count(rig, &seen.count, 2);
    assert_int_equal(seen.order[0], 1); /* in the order of asking */
}

static void test_wait_cancelled(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct seen seen = {0};
    struct waiter waiters[6];
    struct action_wait *waits[6];
    for (int i = 0; i < 6; i++)
        waiters[i] = (struct waiter){&seen, i, 0};
    submit_many(rig, 1, &action);
    for (int i = 0; i < 3; i++)
        waits[i] = engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &waiters[i]);
    engine_wait_cancel(waits[1]); /* not due yet: the middle of three, then an end */
    engine_wait_cancel(waits[2]);
    engine_wait_cancel(NULL);
    rig_deliver(rig, 0);
    for (int i = 3; i < 6; i++) /* due at once: both ends of three */
        waits[i] = engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &waiters[i]);
    engine_wait_cancel(waits[5]);
    engine_wait_cancel(waits[3]);
    rig_until_count(rig, &seen.count, 2);
    rig_settle(rig);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.order[0], 0);
    assert_int_equal(seen.order[1], 4);
}

/* The last due wait goes away, and another comes: the list's end must have moved back. */
static void test_wait_after_cancel(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct seen seen = {0};
    struct waiter waiter = {&seen, 7, 0};
    submit_many(rig, 1, &action);
    rig_deliver(rig, 0);
    engine_wait_cancel(engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &waiter));
    assert_int_equal(seen.count, 0);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait, &waiter);
    rig_until_count(rig, &seen.count, 1);
}

struct again {
    struct rig *rig;
    unsigned left, in_turn, most_in_turn;
};

static void on_turn(void *arg)
{
    struct again *again = arg;
    again->in_turn = 0;
}

static void on_wait_again(void *arg, struct action *action)
{
    struct again *again = arg;
    if (++again->in_turn > again->most_in_turn)
        again->most_in_turn = again->in_turn;
    if (--again->left > 0)
        engine_wait(again->rig->engine, action, ACTION_FINISHED, on_wait_again, again);
    else
        again->rig->goes = 100;
}

/* Who asks again from within is called in a later turn: he cannot keep the loop from turning. */
static void test_wait_asks_again(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    struct again again = {.rig = rig, .left = 5};
    struct fault fault = {0};
    submit_many(rig, 1, &action);
    rig_deliver(rig, 0);
    assert_int_equal(loop_before_wait(rig->loop, on_turn, &again, &fault), 0);
    engine_wait(rig->engine, action, ACTION_FINISHED, on_wait_again, &again);
    rig_until_count(rig, &rig->goes, 100);
    assert_int_equal(again.left, 0);
    assert_int_equal(again.most_in_turn, 1);
}

/* ---- The barrier ---- */

static void test_sending(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    submit_many(rig, 1, &action);
    rig_until_durable(rig, action, ACTION_ACCEPTED);
    assert_int_equal(action->sent_at, 0);
    rig_send(rig, 0); /* on_go() of the rig checks the state that it comes in */
    assert_int_equal(rig->goes, 0);
    assert_int_equal(action->state, ACTION_ACCEPTED);
    assert_int_equal(action->sent_at, 0);
    rig_until_count(rig, &rig->goes, 1);
    rig_settle(rig);
    assert_int_equal(rig->goes, 1);
    assert_int_equal(action->state, ACTION_SENT);
    int64_t sent_at = action->sent_at;
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->durable, ACTION_SENT);
    rig_until_durable(rig, action, ACTION_FINISHED);
    assert_int_equal(action->sent_at, sent_at);
    assert_true(action->finished_at >= sent_at);
    assert_int_equal(action->outcome, OUTCOME_DELIVERED);
    assert_int_equal(action->code, FAULT_NONE);
    assert_string_equal(action->message, "flight 0: delivered");
}

/* The driver may ask before *accepted* is on disk. */
static void test_sending_early(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    submit_many(rig, 1, &action);
    rig_send(rig, 0);
    assert_int_equal(action->durable, ACTION_NEW);
    rig_until_count(rig, &rig->goes, 1);
    rig_finish(rig, 0, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    rig_until_durable(rig, action, ACTION_FINISHED);
}

/* The deadline passes while *sent* is being written: failed, and nothing may leave any more. */
static void test_deadline_race(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    submit_many(rig, 1, &action);
    rig_until_durable(rig, action, ACTION_ACCEPTED);
    rig_send(rig, 0);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_DEADLINE);
    rig_until_durable(rig, action, ACTION_FINISHED);
    rig_settle(rig);
    assert_int_equal(rig->goes, 0);
    assert_int_equal(action->sent_at, 0);
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->outcome, OUTCOME_FAILED);
    assert_int_equal(action->code, FAULT_DEADLINE);
}

/* The same a moment later: *sent* is on disk and go() has come, too late. Nothing left, so there is
 * no time at which it did. */
static void test_deadline_at_go(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    submit_many(rig, 1, &action);
    rig_send(rig, 0);
    rig_until_count(rig, &rig->goes, 1);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_DEADLINE);
    rig_until_durable(rig, action, ACTION_FINISHED);
    assert_int_equal(action->sent_at, 0);
    assert_int_equal(action->sends, 1);
}

static void finish_twice(struct rig *rig)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    rig_finish(rig, 0, OUTCOME_DELIVERED, FAULT_NONE);
    _exit(0);
}

/* A second completion would be a lie: better no daemon. */
static void test_finish_twice(void **state)
{
    struct rig *rig = *state;
    int status = 0;
    submit_many(rig, 1, NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        finish_twice(rig);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- What is told of an action ---- */

static void assert_text(const json_t *object, const char *key, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, key));
    if (expected == NULL)
        assert_true(json_is_null(json_object_get(object, key)));
    else
        assert_string_equal(value == NULL ? "(none)" : value, expected);
}

static void test_json(void **state)
{
    struct rig *rig = *state;
    struct action *action;
    char text[CLOCK_TEXT_MAX];
    submit_many(rig, 1, &action);
    json_t *json = action_json(action);
    assert_text(json, "id", action->id);
    assert_text(json, "node_uuid", rig_uuid(0));
    assert_text(json, "node_name", "node-0");
    assert_text(json, "action", "inject_nmi");
    assert_text(json, "contract", "agent");
    assert_text(json, "state", "accepted");
    assert_text(json, "created_at", clock_text(action->created_at, text));
    assert_text(json_object_get(json, "caller"), "user", "root");
    assert_text(json_object_get(json, "caller"), "project_id", NULL);
    assert_text(json_object_get(json, "caller"), "address", "127.0.0.1");
    static const char *const later[] = {"outcome", "code", "message", "sent_at", "finished_at"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_text(json, later[i], NULL);
    assert_int_equal(json_object_size(json_object_get(json, "evidence")), 0);
    json_decref(json);

    action_evidence(action, "completion_code", json_string("D5"));
    action_evidence(action, "power", json_string("on"));
    rig_send(rig, 0);
    rig_until_count(rig, &rig->goes, 1);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_REFUSED);
    /* Not told before it is on disk: after a kill -9 the journal would say something else. */
    json = action_json(action);
    assert_text(json, "state", "sent");
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        if (strcmp(later[i], "sent_at") != 0)
            assert_text(json, later[i], NULL);
    }
    assert_int_equal(json_object_size(json_object_get(json, "evidence")), 0);
    json_decref(json);
    rig_until_durable(rig, action, ACTION_FINISHED);
    json = action_json(action);
    assert_text(json, "state", "finished");
    assert_text(json, "outcome", "failed");
    assert_text(json, "code", "refused");
    assert_text(json, "message", "flight 0: failed");
    assert_text(json, "sent_at", clock_text(action->sent_at, text));
    assert_text(json, "finished_at", clock_text(action->finished_at, text));
    assert_text(json_object_get(json, "evidence"), "completion_code", "D5");
    assert_text(json_object_get(json, "evidence"), "power", "on");
    json_decref(json);
}

/* A refused node of a batch: finished, failed, in the history; nothing started, nothing occupied.
 */
static void test_record_refusal(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct fault refusal, fault = {0};
    struct engine_counts counts;
    struct seen seen = {0};
    struct waiter accepted = {&seen, 1, 0};
    struct node *node = rig_add_node(rig, 0);
    node->status = NODE_SHUTOFF;
    rig_refuse(rig, &request, FAULT_STATUS, &refusal);
    struct action *action = engine_record_refusal(rig->engine, &request, &refusal, &fault);
    assert_non_null(action);
    assert_int_equal(fault.code, FAULT_NONE);
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->outcome, OUTCOME_FAILED);
    assert_int_equal(action->code, FAULT_STATUS);
    assert_string_equal(action->message, refusal.message);
    assert_int_equal(action->sent_at, 0);
    engine_wait(rig->engine, action, ACTION_ACCEPTED, on_wait, &accepted);
    rig_until_count(rig, &accepted.fired, 1);
    assert_int_equal(action->durable, ACTION_FINISHED);
    assert_ptr_equal(engine_action(rig->engine, action->id), action);
    engine_counts(rig->engine, &counts);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.in_flight, 0);
    assert_int_equal(rig->starts, 0);

    node->status = NODE_ACTIVE;
    rig_submit(rig, &request); /* neither in flight nor held off by it */
    request.node_ident = "nobody";
    assert_null(engine_record_refusal(rig->engine, &request, &refusal, &fault));
    assert_int_equal(fault.code, FAULT_NODE_NOT_FOUND);
}

/* What is refused because an action is in flight must not end that one's occupation. */
static void test_record_refusal_in_flight(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(0);
    struct fault refusal, fault = {0};
    submit_many(rig, 1, NULL);
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, &refusal);
    assert_non_null(engine_record_refusal(rig->engine, &request, &refusal, &fault));
    rig_refuse(rig, &request, FAULT_IN_FLIGHT, NULL);
    assert_counts(rig, 0, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_window),          TEST(test_window_is_flat),
        TEST(test_counts),          TEST(test_waits),
        TEST(test_wait_order),      TEST(test_wait_on_finished),
        TEST(test_wait_cancelled),  TEST(test_wait_after_cancel),
        TEST(test_wait_asks_again), TEST(test_sending),
        TEST(test_sending_early),   TEST(test_deadline_race),
        TEST(test_deadline_at_go),
        TEST(test_finish_twice),    TEST(test_json),
        TEST(test_record_refusal),  TEST(test_record_refusal_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for the window, in simulated time: who waits for longer than limits.queue_s fails then,
 * though the window stays full, and gives up its place; it is never begun. */
#include "engine_rig.h"

#include <stdlib.h>
#include "core/limits.h"
#include "fake_loop.h"

#define SOON (FAKE_SECOND / 10)
#define MANY 200 /* nodes, of one random round */

static struct limits *limits;

static int setup(void **state)
{
    static const struct conf_limits conf = {.queue = 2, .queue_s = 1};
    fake_reset();
    int result = rig_setup(state);
    struct rig *rig = *state;
    rig->conf->ipmi.window = 1;
    rig->conf->limits.queue = 2;
    rig->conf->limits.queue_s = 1;
    limits = limits_new(&conf, NULL);
    engine_set_limits(rig->engine, limits);
    for (unsigned i = 0; i < 8; i++)
        rig_add_node(rig, i);
    return result;
}

static int teardown(void **state)
{
    fake.hold = false;
    int result = rig_teardown(state);
    limits_free(limits);
    return result;
}

static void count_one(void *arg)
{
    ++*(unsigned *)arg;
}

static void pass(struct rig *rig, int64_t us)
{
    unsigned count = 0;
    struct loop_timer *timer = loop_timer_new(rig->loop, count_one, &count, NULL);
    loop_timer_set(timer, fake.mono + us);
    rig_until_count(rig, &count, 1);
    loop_timer_free(timer);
}

static struct action *submit(struct rig *rig, unsigned node)
{
    struct request request = rig_request(node);
    return rig_submit(rig, &request);
}

static size_t queued(struct rig *rig)
{
    struct engine_counts counts;
    engine_counts(rig->engine, &counts);
    return counts.queued;
}

static void assert_expired(const struct action *action)
{
    assert_int_equal(action->state, ACTION_FINISHED);
    assert_int_equal(action->durable, ACTION_FINISHED);
    assert_int_equal(action->outcome, OUTCOME_FAILED);
    assert_int_equal(action->code, FAULT_OVERLOADED);
    assert_int_equal(action->sent_at, 0);
    assert_int_equal(action->sends, 0);
    assert_false(action->started);
}

/* The window is full all the time. */
static void test_its_own_deadline(void **state)
{
    struct rig *rig = *state;
    struct fault fault = {0};
    submit(rig, 0);
    struct action *first = submit(rig, 1);
    pass(rig, FAKE_SECOND / 2);
    struct action *second = submit(rig, 2);
    struct request third = rig_request(3);
    rig_refuse(rig, &third, FAULT_OVERLOADED, &fault);
    assert_string_equal(fault.message,
                        "2 actions wait already (limits.queue is 2); nothing was sent");
    assert_int_equal(limits_count(limits, LIMIT_QUEUE), 3);
    pass(rig, FAKE_SECOND / 2);
    assert_int_equal(first->state, ACTION_ACCEPTED); /* in time until then */
    pass(rig, SOON);
    assert_expired(first);
    assert_string_equal(first->message,
                        "it waited for its turn for more than 1 s (limits.queue_s is 1); nothing "
                        "was sent: by now the machine may be another's, or up again");
    assert_int_equal(second->state, ACTION_ACCEPTED);
    assert_int_equal(queued(rig), 1);
    assert_int_equal(limits_count(limits, LIMIT_QUEUE_S), 1);
    struct action *in_its_place = rig_submit(rig, &third);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    assert_ptr_equal(rig->flights[1].action, second);
    pass(rig, FAKE_SECOND + SOON);
    assert_expired(in_its_place);
    assert_int_equal(second->state, ACTION_ACCEPTED); /* it has begun: no more of this */
    rig_deliver(rig, 1);
    pass(rig, 10 * FAKE_SECOND);
    assert_int_equal(rig->starts, 2);
    assert_int_equal(queued(rig), 0);
}

/* What was not sent holds nothing off; and who asks with the same key hears what came of it. */
static void test_afterwards(void **state)
{
    struct rig *rig = *state;
    struct request request = rig_request(1);
    request.idempotency_key = "k";
    submit(rig, 0);
    struct action *action = rig_submit(rig, &request);
    pass(rig, FAKE_SECOND + SOON);
    assert_expired(action);
    assert_ptr_equal(rig_repeat(rig, &request), action);
    assert_int_equal(queued(rig), 0);
    request.idempotency_key = "another";
    struct action *again = rig_submit(rig, &request);
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    assert_int_equal(rig->starts, 2);
    assert_ptr_equal(rig->flights[1].action, again);
}

static void reload(struct rig *rig, unsigned queue_s, unsigned window)
{
    struct conf *old;
    rig_new_conf(rig, &old);
    rig->conf->limits.queue_s = queue_s;
    rig->conf->ipmi.window = window;
    for (unsigned i = 0; i < 8; i++)
        rig_add_node(rig, i);
    rig_reload(rig, old);
}

/* It counts for those that wait, too: from when they began to. */
static void test_reload(void **state)
{
    struct rig *rig = *state;
    submit(rig, 0);
    struct action *first = submit(rig, 1);
    pass(rig, SOON);
    reload(rig, 10, 1);
    pass(rig, 3 * FAKE_SECOND);
    struct action *second = submit(rig, 2);
    assert_int_equal(first->state, ACTION_ACCEPTED);
    pass(rig, SOON);
    reload(rig, 3, 1);
    pass(rig, SOON);
    assert_expired(first); /* at once */
    assert_int_equal(second->state, ACTION_ACCEPTED);
    reload(rig, 3, 0); /* no window is as small; but it is full */
    pass(rig, 3 * FAKE_SECOND);
    assert_expired(second);
    assert_int_equal(rig->starts, 1);
}

/* A reload that makes room and a deadline that has passed: the deadline counts. */
static void test_reload_makes_room(void **state)
{
    struct rig *rig = *state;
    reload(rig, 100, 1);
    submit(rig, 0);
    struct action *late = submit(rig, 1);
    pass(rig, 5 * FAKE_SECOND);
    struct action *young = submit(rig, 2);
    reload(rig, 4, 8);
    pass(rig, SOON);
    assert_expired(late);
    assert_int_equal(rig->starts, 2);
    assert_ptr_equal(rig->flights[1].action, young);
}

static void on_end(void *arg, struct action *action)
{
    assert_int_equal(action->state, ACTION_FINISHED);
    ++*(unsigned *)arg;
}

/* A disk that hangs: nobody is told before it is recorded, or 5 s have passed; and nothing begins
 * when it goes on. */
static void test_hanging_disk(void **state)
{
    struct rig *rig = *state;
    unsigned told = 0;
    submit(rig, 0);
    struct action *action = submit(rig, 1);
    pass(rig, SOON);
    assert_non_null(engine_wait(rig->engine, action, ACTION_FINISHED, on_end, &told));
    fake.hold = true;
    pass(rig, FAKE_SECOND);
    assert_int_equal(action->state, ACTION_FINISHED);
    pass(rig, 4 * FAKE_SECOND);
    assert_int_equal(told, 0);
    pass(rig, FAKE_SECOND);
    assert_int_equal(told, 1);
    fake.hold = false;
    rig_finish(rig, 0, OUTCOME_FAILED, FAULT_UNREACHABLE);
    pass(rig, SOON);
    assert_expired(action);
    assert_int_equal(rig->starts, 1);
    assert_int_equal(told, 1);
}

/* The end comes while some wait: they fail for that reason, and no deadline comes after it. */
static void test_drain(void **state)
{
    struct rig *rig = *state;
    submit(rig, 0);
    struct action *waiting = submit(rig, 1);
    rig_send(rig, 0);
    rig_until_count(rig, &rig->flights[0].goes, 1);
    engine_drain(rig->engine, count_one, &(unsigned){0});
    pass(rig, 10 * FAKE_SECOND);
    assert_int_equal(waiting->code, FAULT_STOPPING);
    assert_int_equal(limits_count(limits, LIMIT_QUEUE_S), 0);
    assert_int_equal(rig->starts, 1);
}

/* ---- At random ---- */

struct round {
    struct action *actions[MANY]; /* borrowed from the journal, which has them all */
    unsigned count, ended;        /* ended: so many flights were */
};

static void check_round(struct rig *rig, const struct round *round)
{
    size_t waiting = 0;
    for (unsigned i = 0; i < round->count; i++) {
        const struct action *action = round->actions[i];
        waiting += action->link != NULL;
        assert_true(action->link == NULL || (!action->started && action->state == ACTION_ACCEPTED));
        assert_false(action->started && action->code == FAULT_OVERLOADED);
        if (action->link != NULL)
            assert_in_range(fake.mono - action->queued_mono, 0,
                            rig->conf->limits.queue_s * FAKE_SECOND + SOON);
    }
    assert_int_equal(queued(rig), waiting);
    for (unsigned i = 0; i < rig->starts; i++) { /* first come, first served; each once */
        const struct action *action = rig->flights[i].action;
        assert_true(action->started);
        assert_true(i == 0 || rig->flights[i - 1].action->serial < action->serial);
    }
}

static void step(struct rig *rig, struct round *round)
{
    switch (rand() % 8) {
    case 0:
        if (round->ended < rig->starts)
            rig_finish(rig, round->ended++, OUTCOME_FAILED, FAULT_UNREACHABLE);
        break;
    case 1:
        rig->conf->ipmi.window = 1 + (unsigned)rand() % 3;
        rig->conf->limits.queue_s = 1 + (unsigned)rand() % 4;
        engine_reload(rig->engine, rig->conf);
        break;
    case 2:
        pass(rig, rand() % (2 * FAKE_SECOND));
        break;
    default:
        round->actions[round->count] = submit(rig, round->count);
        round->count++;
    }
    pass(rig, SOON);
    check_round(rig, round);
}

static void test_at_random(void **state)
{
    struct rig *rig = *state;
    struct round round = {0};
    static unsigned seed;
    srand(++seed);
    for (unsigned i = 8; i < MANY; i++)
        rig_add_node(rig, i);
    rig->conf->limits.queue = MANY;
    while (round.count < MANY && rig->starts < RIG_FLIGHTS - 4)
        step(rig, &round);
    assert_true(rig->starts > 5 && limits_count(limits, LIMIT_QUEUE_S) > 5);
    pass(rig, 5 * FAKE_SECOND);
    assert_int_equal(queued(rig), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_its_own_deadline), TEST(test_afterwards),   TEST(test_reload),
        TEST(test_reload_makes_room), TEST(test_hanging_disk), TEST(test_drain),
        TEST(test_at_random),        TEST(test_at_random),    TEST(test_at_random),
        TEST(test_at_random),        TEST(test_at_random),    TEST(test_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

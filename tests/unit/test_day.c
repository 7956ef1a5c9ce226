/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A day of the engine, the journal and the callbacks in simulated time: thousands of actions,
 * timers that neither drift nor spin, hold-offs that end at their second, posts that are given up
 * after a day, a history that forgets by the hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "core/callback.h"
#include "core/driver.h"
#include "core/engine.h"
#include "core/journal_more.h"
#include "fake_loop.h"
#include "fault_vfs.h"
#include "state_dir.h"

#define HOUR       (3600 * FAKE_SECOND)
#define NODES      24
#define HOLD_OFF   (300 * FAKE_SECOND)
#define LIVE_URL   "http://127.0.0.1:1/live"
#define DEAD_URL   "http://127.0.0.2:1/dead"
#define DEAD_POSTS 5
#define CLIENT_US  (7 * FAKE_SECOND) /* from one random request to the next */

struct flight {
    struct action *action; /* NULL: free */
    struct loop_timer *timer;
    bool sent;
};

struct day {
    struct loop *loop;
    struct journal *journal;
    struct engine *engine;
    struct conf conf;
    char dir[STATE_DIR_MAX];
    struct loop_timer *client, *punctual, *hour;
    struct flight flights[NODES];
    char uuids[NODES][UUID_TEXT];
    int64_t last_nmi[NODES]; /* when one ended that counts; 0: never */
    unsigned seed, asked, accepted, told, held_off, punctual_rounds, hours;
    unsigned dead_tries;
    int64_t dead_last, dead_asked;
    bool quiet; /* no new requests */
    char last_ids[NODES][ACTION_ID_TEXT];
};

static struct day day;

/* ---- A driver whose BMCs take their time ---- */

static void *driver_open(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    (void)loop;
    (void)settings;
    (void)fault;
    return &day;
}

static void driver_configure(void *self, const struct conf_ipmi *settings)
{
    (void)self;
    (void)settings;
}

static void driver_close(void *self)
{
    (void)self;
    for (int i = 0; i < NODES; i++) {
        assert_null(day.flights[i].action);
        loop_timer_free(day.flights[i].timer);
        day.flights[i].timer = NULL;
    }
}

static void on_go(void *arg)
{
    struct flight *flight = arg;
    assert_int_equal(flight->action->durable, ACTION_SENT);
    flight->sent = true;
    loop_timer_set(flight->timer, fake.mono + FAKE_SECOND / 2);
}

static void flight_end(struct flight *flight)
{
    struct action *action = flight->action;
    int node = (int)(flight - day.flights);
    unsigned dice = (unsigned)rand_r(&day.seed) % 10;
    flight->action = NULL;
    if (dice == 0) {
        action_finish(action, OUTCOME_FAILED, FAULT_REFUSED, "refused");
    } else {
        day.last_nmi[node] = fake.mono;
        memcpy(day.last_ids[node], action->id, ACTION_ID_TEXT);
        action_finish(action, dice == 1 ? OUTCOME_UNKNOWN : OUTCOME_DELIVERED,
                      dice == 1 ? FAULT_NO_ANSWER : FAULT_NONE, "it is over");
    }
    if (node == 0 && dice > 0)
        loop_timer_set(day.punctual, fake.mono + HOLD_OFF - 1);
    else if (node == 0)
        loop_timer_set(day.punctual, fake.mono);
    action_unref(action);
}

static void on_flight(void *arg)
{
    struct flight *flight = arg;
    if (flight->sent)
        flight_end(flight);
    else
        action_sending(flight->action, on_go, flight);
}

static void driver_start(void *self, struct action *action)
{
    int node = atoi(action->node->name);
    struct flight *flight = &day.flights[node];
    (void)self;
    assert_null(flight->action);
    if (flight->timer == NULL)
        flight->timer = loop_timer_new(day.loop, on_flight, flight, NULL);
    flight->action = action_ref(action);
    flight->sent = false;
    loop_timer_set(flight->timer, fake.mono + FAKE_SECOND);
}

static void driver_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    (void)self;
    (void)action;
    (void)code;
    (void)why;
}

static const struct driver driver = {
    .name = "slow",
    .has_nmi = true,
    .open = driver_open,
    .configure = driver_configure,
    .close = driver_close,
    .start = driver_start,
    .abort = driver_abort,
};
static const struct driver *const drivers[] = {&driver, NULL};

/* ---- Clients ---- */

static void on_told(void *arg, struct action *action)
{
    (void)arg;
    assert_int_equal(action->state, ACTION_FINISHED);
    day.told++;
}

/* Accepted or refused, and rightly so. */
static bool ask(int node, const char *callback_url)
{
    static const struct principal root = {
        .user = "root", .address = "127.0.0.1", .administrator = true};
    const struct request request = {.node_ident = day.uuids[node],
                                    .name = "inject_nmi",
                                    .contract = "agent",
                                    .caller = &root,
                                    .statuses = NODE_STATUS_BIT(NODE_ACTIVE),
                                    .callback_url = callback_url};
    struct action *action = NULL;
    struct fault fault = {0};
    bool repeat = false, flies = day.flights[node].action != NULL;
    bool held = day.last_nmi[node] != 0 && fake.mono - day.last_nmi[node] < HOLD_OFF;
    day.asked++;
    if (engine_submit(day.engine, &request, &action, &repeat, &fault) == 0) {
        assert_false(held || flies);
        day.accepted++;
        assert_non_null(engine_wait(day.engine, action, ACTION_FINISHED, on_told, NULL));
        return true;
    }
    assert_string_equal(fault_name(fault.code), flies ? "in-flight" : "hold-off");
    assert_true(flies || held);
    if (!flies)
        assert_string_equal(fault.action_id, day.last_ids[node]);
    day.held_off += !flies;
    return false;
}

static void on_client(void *arg)
{
    (void)arg;
    if (day.quiet)
        return;
    ask(1 + (int)((unsigned)rand_r(&day.seed) % (NODES - 1)), NULL);
    loop_timer_set(day.client, fake.mono + CLIENT_US);
}

/* Node 0's client asks a microsecond too early, and then at the second. */
static void on_punctual(void *arg)
{
    (void)arg;
    bool early = day.last_nmi[0] != 0 && fake.mono - day.last_nmi[0] == HOLD_OFF - 1;
    if (day.quiet)
        return;
    assert_int_equal(ask(0, NULL), !early);
    day.punctual_rounds += !early;
    if (early)
        loop_timer_set(day.punctual, fake.mono + 1);
}

static unsigned on_post(const struct client_request *request)
{
    if (strcmp(request->url, DEAD_URL) != 0)
        return day.hours == 3 ? 503 : 204; /* an hour of trouble */
    day.dead_tries++;
    day.dead_last = fake.mono;
    return 0;
}

/* ---- By the hour ---- */

static void on_each(void *arg, struct action *action)
{
    int64_t *oldest = arg;
    if (action->state == ACTION_FINISHED && action->finished_mono < *oldest)
        *oldest = action->finished_mono;
}

static void on_hour(void *arg)
{
    const struct journal_query all = {.limit = 100000};
    int64_t oldest = fake.mono;
    (void)arg;
    day.hours++;
    int count = journal_list(day.journal, &all, on_each, &oldest);
    assert_in_range(count, 0, day.accepted);
    /* Whether or not anybody came: a day, and at most the hour until somebody looks. */
    assert_true(fake.mono - oldest <= FAKE_DAY + HOUR + FAKE_SECOND);
    assert_true(fake.jumps < 100000);
    loop_timer_set(day.hour, fake.mono + HOUR);
}

/* ---- The fixture ---- */

static void configure(void)
{
    static char *allow[] = {(char *)"http://127.0.0.2:1/"};
    const struct node *other;
    const char *what;
    char name[16];
    day.conf.hold_off_s = HOLD_OFF / FAKE_SECOND;
    day.conf.ipmi.window = 10;
    day.conf.limits.queue = 100;
    day.conf.callback.url = (char *)LIVE_URL;
    day.conf.callback.allow = allow;
    day.conf.callback.allow_count = 1;
    day.conf.callback.timeout_ms = 1000;
    day.conf.nodes = node_table_new();
    for (int i = 0; i < NODES; i++) {
        struct node *node = node_new();
        snprintf(day.uuids[i], UUID_TEXT, "1be26c0b-03f2-4d2e-ae87-c02d7f33%04x", (unsigned)i);
        snprintf(name, sizeof name, "%d", i);
        memcpy(node->uuid, day.uuids[i], UUID_TEXT);
        node->name = strdup(name);
        node->driver = &driver;
        assert_int_equal(node_table_add(day.conf.nodes, node, &other, &what), 0);
    }
}

static void begin(void)
{
    const struct journal_settings settings = {day.dir, 100000, 1};
    struct fault fault = {0};
    day.loop = loop_new(NULL);
    day.journal = journal_new(day.loop, &settings, &fault);
    if (day.journal == NULL)
        fail_msg("%s", fault.message);
    day.engine = engine_new(day.loop, &day.conf, drivers, day.journal, &fault);
    assert_non_null(day.engine);
    day.client = loop_timer_new(day.loop, on_client, NULL, NULL);
    day.punctual = loop_timer_new(day.loop, on_punctual, NULL, NULL);
    day.hour = loop_timer_new(day.loop, on_hour, NULL, NULL);
}

static void end(void)
{
    loop_timer_free(day.client);
    loop_timer_free(day.punctual);
    loop_timer_free(day.hour);
    engine_free(day.engine);
    journal_free(day.journal);
    loop_free(day.loop);
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR - 1);
    fake_reset();
    fault_vfs_reset();
    memset(&day, 0, sizeof day);
    day.seed = 20261122;
    fake.answer = on_post;
    fake.answer_us = FAKE_SECOND / 20;
    state_dir_make(day.dir);
    configure();
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    end();
    state_dir_remove(day.dir);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(node_table_at(day.conf.nodes, i)->references, 1);
    node_table_free(day.conf.nodes);
    return 0;
}

/* ---- The day ---- */

static void count_post(void *arg, const struct journal_post *post)
{
    (void)post;
    ++*(unsigned *)arg;
}

/* Nobody asks any more: the daemon sleeps, but for the hourly look at the history. */
static void check_idle(void)
{
    day.quiet = true;
    fake_run_for(day.loop, HOUR);
    assert_int_equal(day.told, day.accepted);
    assert_int_equal(callbacks_pending(engine_callbacks(day.engine)), 0);
    unsigned long turns = fake.turns, jobs = fake.jobs;
    fake_run_for(day.loop, 10 * HOUR);
    assert_in_range(fake.turns - turns, 20, 120); /* its hours and ours, some with rows to forget */
    assert_in_range(fake.jobs - jobs, 0, 10);
}

/* Of the hours, 27: the posts of the first minute have had their day. */
static void test_day(void **state)
{
    (void)state;
    loop_timer_set(day.client, fake.mono);
    loop_timer_set(day.punctual, fake.mono);
    loop_timer_set(day.hour, fake.mono + HOUR);
    for (int i = 0; i < DEAD_POSTS; i++)
        assert_true(ask(NODES - 1 - i, DEAD_URL));
    day.dead_asked = fake.mono;
    fake_run_for(day.loop, 5 * HOUR);
    fake.wall -= HOUR; /* somebody sets the clock, and sets it again */
    fake_run_for(day.loop, 5 * HOUR);
    fake.wall += HOUR;
    fake_run_for(day.loop, 17 * HOUR);

    assert_int_equal(day.hours, 27);
    assert_in_range(day.asked, 13000, 16000);
    assert_in_range(day.accepted, 5000, 9000);
    assert_in_range(day.held_off, 5000, 11000);
    /* A round is the hold-off and the action's second and a half, or a failure's alone: were a
     * timer late, or a hold-off longer, there would be fewer. */
    assert_in_range(day.punctual_rounds, 27 * 3600 * 2 / 603, 27 * 3600 * 10 / 2715 + 60);
    /* The dead receiver was asked again and again for a day, and then no more. */
    assert_in_range(day.dead_tries, DEAD_POSTS * 10, FAKE_DAY / (20 * FAKE_SECOND));
    assert_in_range(day.dead_last - day.dead_asked, FAKE_DAY - 6 * 60 * FAKE_SECOND,
                    FAKE_DAY + 60 * FAKE_SECOND);
    /* No timer spins: a wake-up is somebody's work. */
    assert_true(fake.turns < 40ul * day.accepted + 10ul * day.dead_tries + 10ul * day.asked);
    assert_true(fake.posts >= day.accepted);
    check_idle();
}

/* The next daemon knows the rest of that day, and nothing of it is posted again. */
static void test_next_daemon(void **state)
{
    const struct journal_query all = {.limit = 100000};
    int64_t oldest = fake.mono;
    unsigned posts = 0;
    (void)state;
    loop_timer_set(day.client, fake.mono);
    fake_run_for(day.loop, 26 * HOUR);
    day.quiet = true;
    fake_run_for(day.loop, 60 * FAKE_SECOND);
    int before = journal_list(day.journal, &all, on_each, &oldest);
    unsigned long sent = fake.posts;
    end();
    begin();
    fake_run_for(day.loop, FAKE_SECOND);
    int after = journal_list(day.journal, &all, on_each, &oldest);
    assert_in_range(after, before - before / 24, before);
    for (int i = 1; i < NODES; i++) {
        const struct action *last =
            journal_last_nmi(day.journal, node_table_at(day.conf.nodes, (size_t)i));
        assert_non_null(last);
        assert_string_equal(last->id, day.last_ids[i]);
        assert_int_equal(last->finished_mono, day.last_nmi[i]);
    }
    journal_outbox(day.journal, count_post, &posts);
    assert_int_equal(posts, 0);
    assert_int_equal(fake.posts, sent);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_day),
        TEST(test_next_daemon),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

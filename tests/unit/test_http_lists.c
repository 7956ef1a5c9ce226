/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists and batches take turns: one in a turn of the loop, round by caller, also those that waited for
 * something else first; and of whom much is unread gets no list. With a contract of the test's own, and
 * for the routes of the real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "contracts/agent_state.h"
#include "fake_auth.h"

#define ASKERS 20
#define ALICE  "alice:demo:member"
#define BOB    "bob:demo:member"
#define CAROL  "carol:demo:member"
#define ORDER  "{\"action\": \"inject_nmi\", \"nodes\": [\"nobody\"]}"

static struct rig rig;

/* All of it is the loop's thread's; counters are read elsewhere when nothing is under way. */
static struct {
    struct http_exchange *later[ASKERS];
    unsigned laters, gone;
    unsigned now, most; /* turns that were had in this turn of the loop; in one at most */
    char order[128];    /* whose they were: "b" for bob's list, "B" for his batch; "+": a later one */
    size_t release_at;  /* after so many the later ones are released; or 0 */
    unsigned entries, entries_most; /* of the agent's batches; that came in one turn of the loop */
} seen;

/* ---- The contract ---- */

static void note(const struct http_exchange *exchange)
{
    char who = http_principal(exchange)->user[0];
    bool batch = strcmp(http_method(exchange), "POST") == 0;
    bool later = strcmp(http_path(exchange), "/turns/later") == 0;
    size_t len = strlen(seen.order);
    if (len + 1 < sizeof seen.order)
        seen.order[len] = (char)(later ? '+' : batch ? who - 'a' + 'A' : who);
    if (++seen.now > seen.most)
        seen.most = seen.now;
}

static void on_gone(void *arg)
{
    struct http_exchange **exchange = arg;
    *exchange = NULL;
    __atomic_add_fetch(&seen.gone, 1, __ATOMIC_SEQ_CST);
}

/* Waits until release(). */
static void on_later(void *self, struct http_exchange *exchange)
{
    (void)self;
    struct http_exchange **place = &seen.later[seen.laters];
    *place = exchange;
    http_on_gone(exchange, on_gone, place);
    __atomic_add_fetch(&seen.laters, 1, __ATOMIC_SEQ_CST);
}

static void answer_later(void *arg)
{
    struct http_exchange **exchange = arg;
    note(*exchange);
    http_answer(*exchange, 200, json_pack("[]"));
}

static void release(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < seen.laters; i++) {
        if (seen.later[i] != NULL)
            http_turn(seen.later[i], answer_later, &seen.later[i]);
    }
}

static void on_list(void *self, struct http_exchange *exchange)
{
    (void)self;
    note(exchange);
    http_answer(exchange, 200, json_pack("[]"));
    if (strlen(seen.order) == seen.release_at)
        release(NULL);
}

/* More than the sockets hold. */
static void on_big(void *self, struct http_exchange *exchange)
{
    const size_t size = 32 << 20;
    char *text = calloc(1, size + 1);
    (void)self;
    memset(text, 'x', size);
    http_answer_text(exchange, 200, "text/plain", text);
    free(text);
}

static void on_error(void *self, struct http_exchange *exchange, unsigned status,
                     const struct fault *fault)
{
    (void)self;
    if (status == 0)
        status = (unsigned)fault_row(fault->code)->agent;
    http_answer(exchange, status, json_pack("{s:s}", "turns", fault->message));
}

static const struct http_contract contract = {
    .name = "turns",
    .prefix = "/turns",
    .routes = (const struct http_route[]){{"GET", "/turns/list", on_list, HTTP_LIST},
                                          {"GET", "/turns/later", on_later, HTTP_LIST},
                                          {"POST", "/turns/batch", on_list, HTTP_BATCH},
                                          {"GET", "/turns/big", on_big, HTTP_USUAL},
                                          {NULL, NULL, NULL, HTTP_USUAL}},
    .error = on_error,
};

/* ---- The fixture ---- */

static void on_turn(void *arg)
{
    unsigned entries = (unsigned)rig.agent->entries;
    (void)arg;
    seen.now = 0;
    if (entries > seen.entries && entries - seen.entries > seen.entries_most)
        seen.entries_most = entries - seen.entries;
    seen.entries = entries;
}

static void watch_turns(void *arg)
{
    (void)arg;
    if (loop_before_wait(rig.loop, on_turn, NULL, NULL) < 0)
        abort();
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    rig_init(&rig);
    fake_auth_use(&rig);
    rig.extra = &contract;
    rig.conf.limits.answer_bytes_per_principal = 1 << 20;
    rig_start(&rig);
    rig_call(&rig, watch_turns, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

struct asking {
    int fd;
    const char *method, *path, *token, *body;
};

static void ask(const struct asking *asking)
{
    char text[1000];
    const char *body = asking->body != NULL ? asking->body : "";
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: %s\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             asking->method, asking->path, asking->token, strlen(body), body);
    client_write(asking->fd, text);
}

static struct asking asking_new(const char *method, const char *path, const char *token,
                                const char *body)
{
    return (struct asking){client_connect(&rig), method, path, token, body};
}

/* In the loop's thread, so that all have asked when its next turn begins. The last has fd -1. */
static void ask_all(void *arg)
{
    for (const struct asking *asking = arg; asking->fd >= 0; asking++)
        ask(asking);
}

static void ask_at_once(struct asking *askings)
{
    struct reply reply = rig_ask(&rig, "GET", "/healthz", "", ""); /* they have been accepted */
    reply_clear(&reply);
    rig_call(&rig, ask_all, askings);
}

static void expect(const struct asking *asking, int status)
{
    struct reply reply;
    assert_true(client_read(asking->fd, &reply, false));
    assert_int_equal(reply.status, status);
    reply_clear(&reply);
    close(asking->fd);
}

/* Until the counter, which the loop's thread raises, is there. */
static void await(const unsigned *counter, unsigned wanted)
{
    int64_t end = clock_mono_us() + 20000000;
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < wanted) {
        if (clock_mono_us() > end)
            fail_msg("%u of %u came", *counter, wanted);
        poll(NULL, 0, 1);
    }
}

/* Where somebody's last turn stands in the order of all. */
static long last_of(char who)
{
    const char *at = strrchr(seen.order, who);
    assert_non_null(at);
    return at - seen.order;
}

/* One in a turn; as we count turns, which begin elsewhere, two. */
static void assert_turns(size_t made)
{
    assert_int_equal(strlen(seen.order), made);
    assert_in_range(seen.most, 1, 2);
}

/* ---- Turns ---- */

static void test_one_in_a_turn(void **state)
{
    struct asking askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    (void)state;
    for (size_t i = 0; i < ASKERS; i++)
        askings[i] = asking_new("GET", "/turns/list", ALICE, NULL);
    ask_at_once(askings);
    for (size_t i = 0; i < ASKERS; i++)
        expect(&askings[i], 200);
    assert_turns(ASKERS);
}

static void release_and_leave(void *arg)
{
    const struct asking *asking = arg;
    release(NULL);
    close(asking->fd);
}

/* Handlers that go away to wait for something: each is called, though nothing else happens; and when
 * what they wait for comes for all of them at once, it is still one in a turn. */
static void test_later(void **state)
{
    struct asking askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    (void)state;
    for (size_t i = 0; i < ASKERS; i++)
        askings[i] = asking_new("GET", "/turns/later", ALICE, NULL);
    ask_at_once(askings);
    await(&seen.laters, ASKERS);
    close(askings[0].fd);
    await(&seen.gone, 1);
    rig_call(&rig, release_and_leave, &askings[ASKERS - 1]);
    for (size_t i = 1; i < ASKERS - 1; i++)
        expect(&askings[i], 200);
    await(&seen.gone, 2); /* it left while it waited for its turn */
    assert_turns(ASKERS - 2);
}

static void on_reached(void *arg, struct action *action)
{
    (void)arg, (void)action;
    release(NULL);
}

static void release_by_engine(void *arg)
{
    struct action *action = engine_action(rig.engine, arg);
    if (engine_wait(rig.engine, action, ACTION_FINISHED, on_reached, NULL) == NULL)
        abort();
}

/* The engine tells of what came when the server's part of a turn is over: there is another turn. */
static void test_told_by_engine(void **state)
{
    char id[ACTION_ID_TEXT], path[100];
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions",
                                 AS("root:admin:admin") "Content-Type: application/json\r\n",
                                 "{\"action\": \"inject_nmi\"}");
    assert_int_equal(reply.status, 202);
    snprintf(id, sizeof id, "%s", reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    snprintf(path, sizeof path, "/agent/v1/actions/%s?wait=20", id);
    reply = rig_ask(&rig, "GET", path, AS("root:admin:admin"), "");
    assert_string_equal(reply_text(&reply, "state", NULL), "finished");
    reply_clear(&reply);
    struct asking later = asking_new("GET", "/turns/later", ALICE, NULL);
    ask(&later);
    await(&seen.laters, 1);
    rig_call(&rig, release_by_engine, id);
    /* By its own wake, and not by whatever timer comes next: here that takes 5 s. */
    struct pollfd answer = {.fd = later.fd, .events = POLLIN};
    assert_int_equal(poll(&answer, 1, 4000), 1);
    expect(&later, 200);
}

/* Whoever asks for one list waits for one of each other caller, and not for all that they ask for;
 * wherever in the crowd it was read. */
static void test_round_by_caller(void **state)
{
    struct asking askings[2 * ASKERS + 3] = {[2 * ASKERS + 2] = {.fd = -1}};
    (void)state;
    askings[0] = asking_new("GET", "/turns/list", BOB, NULL);
    for (size_t i = 1; i < 2 * ASKERS + 1; i++)
        askings[i] = asking_new("GET", "/turns/list", i % 2 == 0 ? ALICE : CAROL, NULL);
    askings[2 * ASKERS + 1] = asking_new("GET", "/turns/list", BOB, NULL);
    ask_at_once(askings);
    for (const struct asking *asking = askings; asking->fd >= 0; asking++)
        expect(asking, 200);
    assert_turns(2 * ASKERS + 2);
    assert_in_range(last_of('b'), 0, 6);
    assert_in_range(last_of('a'), 2 * ASKERS - 3, 2 * ASKERS + 1);
    assert_in_range(last_of('c'), 2 * ASKERS - 3, 2 * ASKERS + 1);
}

static void test_batches_first(void **state)
{
    struct asking askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    (void)state;
    for (size_t i = 0; i < ASKERS; i++)
        askings[i] = asking_new("GET", "/turns/list", ALICE, NULL);
    askings[0].method = askings[ASKERS - 1].method = "POST";
    askings[0].path = askings[ASKERS - 1].path = "/turns/batch";
    ask_at_once(askings);
    for (size_t i = 0; i < ASKERS; i++)
        expect(&askings[i], 200);
    assert_turns(ASKERS);
    assert_in_range(last_of('A'), 1, 3);
}

/* What was begun is ended before another is begun. */
static void test_begun_first(void **state)
{
    struct asking laters[3], askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        laters[i] = asking_new("GET", "/turns/later", ALICE, NULL);
        ask(&laters[i]);
        await(&seen.laters, i + 1);
    }
    for (size_t i = 0; i < ASKERS; i++)
        askings[i] = asking_new("GET", "/turns/list", ALICE, NULL);
    seen.release_at = 5;
    ask_at_once(askings);
    for (size_t i = 0; i < ASKERS; i++)
        expect(&askings[i], 200);
    for (size_t i = 0; i < 3; i++)
        expect(&laters[i], 200);
    assert_turns(ASKERS + 3);
    assert_int_equal(last_of('+'), 7);
}

/* ---- What is not read ---- */

static void ask_one(const char *method, const char *path, const char *token, const char *body,
                    int status)
{
    struct asking asking = asking_new(method, path, token, body);
    ask(&asking);
    expect(&asking, status);
}

static void test_unread(void **state)
{
    static const char *const lists[] = {
        "/turns/list", "/agent/v1/nodes", "/agent/v1/actions", "/agent/v1/actions?node=good",
        "/agent/v1/batches/batch-x", "/agent/v1/audit", "/v2.1/servers", "/v2.1/servers/detail",
        "/v2.1/demo/servers", "/v2.1/demo/servers/detail", "/v1/nodes", "/v1/nodes/",
        "/v1/nodes/detail"};
    char byte;
    (void)state;
    struct asking later = asking_new("GET", "/turns/later", ALICE, NULL);
    ask(&later);
    await(&seen.laters, 1);
    struct asking big = asking_new("GET", "/turns/big", ALICE, NULL);
    ask(&big);
    assert_int_equal(recv(big.fd, &byte, 1, MSG_PEEK), 1);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        ask_one("GET", lists[i], ALICE, NULL, 429);
    /* One that had to wait, and meanwhile there was too much: it is not made, and who waited with it
     * hears of it. */
    rig_call(&rig, release, NULL);
    expect(&later, 429);
    assert_int_equal(seen.gone, 1);
    assert_string_equal(seen.order, "");
    ask_one("POST", "/turns/batch", ALICE, NULL, 200);
    ask_one("POST", "/agent/v1/actions", ALICE, ORDER, 202);
    ask_one("GET", "/healthz", ALICE, NULL, 200);
    ask_one("GET", "/agent/v1/nodes/good", ALICE, NULL, 404); /* another project's */
    ask_one("GET", "/turns/list", BOB, NULL, 200);
    close(big.fd);
}

/* ---- The agent's batches ---- */

static void test_real_batches(void **state)
{
    struct asking askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    (void)state;
    for (size_t i = 0; i < ASKERS; i++)
        askings[i] = asking_new("POST", "/agent/v1/actions", ALICE, ORDER);
    ask_at_once(askings);
    for (size_t i = 0; i < ASKERS; i++)
        expect(&askings[i], 202);
    await(&seen.entries, ASKERS); /* the last answer can be here before that turn is over */
    assert_in_range(seen.entries_most, 1, 2);
}

static void release_and_order(void *arg)
{
    const struct asking *asking = arg;
    release(NULL);
    ask(asking);
    close(asking->fd);
}

/* Its client leaves before its turn: nothing is begun. */
static void test_batch_leaves(void **state)
{
    struct asking askings[ASKERS + 1] = {[ASKERS] = {.fd = -1}};
    char tokens[ASKERS][32];
    (void)state;
    for (size_t i = 0; i < ASKERS; i++) {
        snprintf(tokens[i], sizeof tokens[i], "user%zu:demo:member", i);
        askings[i] = asking_new("GET", "/turns/later", tokens[i], NULL);
    }
    ask_at_once(askings);
    await(&seen.laters, ASKERS);
    struct asking order = asking_new("POST", "/agent/v1/actions", ALICE, ORDER);
    struct reply reply = rig_ask(&rig, "GET", "/healthz", "", "");
    reply_clear(&reply);
    rig_call(&rig, release_and_order, &order);
    for (size_t i = 0; i < ASKERS; i++)
        expect(&askings[i], 200);
    assert_turns(ASKERS);
    ask_one("GET", "/turns/list", ALICE, NULL, 200); /* it would stand behind the batch */
    assert_int_equal(seen.entries, 0);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_one_in_a_turn), CASE(test_later),       CASE(test_round_by_caller),
        CASE(test_batches_first), CASE(test_unread),      CASE(test_real_batches),
        CASE(test_batch_leaves),  CASE(test_told_by_engine), CASE(test_begun_first),
    };
    return cmocka_run_group_tests_name("http lists", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way back to Ironic, in simulated time: what is sent, what is sent again, what is given up,
 * and that an older action never stands there after a newer one. nmid's log-in is the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/callback.h"
#include "core/ironic_parse.h"
#include "core/journal_more.h"
#include "fake_client.h"

#define S        FAKE_S
#define DAY      (86400 * S)
#define ROWS     100100
#define PASSWORD "the password"
#define ABSENT   "{\"error_message\":\"{\\\"faultstring\\\":\\\"Node %s could not be found.\\\"}\"}"

/* ---- The loop's timer ---- */

struct loop_timer {
    loop_fn *fn;
    void *arg;
    int64_t at; /* INT64_MAX: not set */
};

static struct loop_timer *timer;

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    (void)loop, (void)fault;
    timer = malloc(sizeof *timer);
    *timer = (struct loop_timer){fn, arg, INT64_MAX};
    return timer;
}

void loop_timer_set(struct loop_timer *self, int64_t at_us)
{
    self->at = at_us;
}

void loop_timer_clear(struct loop_timer *self)
{
    self->at = INT64_MAX;
}

void loop_timer_free(struct loop_timer *self)
{
    free(self);
    timer = NULL;
}

static void pass(int64_t us)
{
    int64_t until = fake_now + us;
    while (timer->at <= until) {
        if (timer->at > fake_now)
            fake_pass(timer->at - fake_now);
        timer->at = INT64_MAX; /* one-shot */
        timer->fn(timer->arg);
    }
    fake_pass(until - fake_now);
}

/* ---- The journal ---- */

static struct journal_post rows[ROWS];
static size_t row_count;

void journal_outbox(struct journal *journal, journal_post_fn *each, void *arg)
{
    (void)journal;
    for (size_t i = 0, count = row_count; i < count; i++) {
        if (rows[i].url != NULL)
            each(arg, &rows[i]);
    }
}

int journal_post_add(struct journal *journal, const struct journal_post *post, uint64_t *ret_serial)
{
    (void)journal;
    assert_true(row_count < ROWS);
    rows[row_count] = *post;
    rows[row_count].url = strdup(post->url);
    rows[row_count].body = strdup(post->body);
    *ret_serial = rows[row_count].serial = row_count + 1;
    row_count++;
    return 0;
}

int journal_post_later(struct journal *journal, uint64_t serial, unsigned count, int64_t next_at)
{
    (void)journal;
    assert_non_null(rows[serial - 1].url);
    rows[serial - 1].tries = count;
    rows[serial - 1].next_at = next_at;
    return 0;
}

int journal_post_remove(struct journal *journal, uint64_t serial)
{
    (void)journal;
    struct journal_post *row = &rows[serial - 1];
    assert_non_null(row->url); /* once */
    free(row->url);
    free(row->body);
    row->url = row->body = NULL;
    return 0;
}

static size_t outbox(void)
{
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++)
        count += rows[i].url != NULL;
    return count;
}

/* ---- The rig ---- */

static struct conf_ironic ironic;
static struct conf_callback conf;
static struct callbacks *callbacks;
static struct conf_header header = {.name = "Authorization"};
static struct node *nodes[2];
static unsigned tokens; /* that Keystone gave */

static int setup(void **state)
{
    (void)state;
    fake_reset();
    tokens = 0;
    header.value = secret_new("Bearer token", 12);
    ironic = (struct conf_ironic){
        .url = "https://ironic.example/baremetal", .ca_file = "/ironic-ca", .timeout_ms = 99};
    ironic.keystone = (struct conf_keystone){.auth_url = "https://keystone.example/v3",
                                             .user_id = "u1",
                                             .password = secret_new(PASSWORD, strlen(PASSWORD)),
                                             .project_id = "p1",
                                             .timeout_ms = 77};
    conf = (struct conf_callback){.headers = &header,
                                  .header_count = 1,
                                  .ca_file = "/ca",
                                  .hmac_key = secret_new("key", 3),
                                  .timeout_ms = 1234,
                                  .ironic = &ironic};
    for (size_t i = 0; i < 2; i++) {
        nodes[i] = node_new();
        snprintf(nodes[i]->uuid, UUID_TEXT, "%08zx-0000-4000-8000-000000000000", i);
    }
    callbacks = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    callbacks_free(callbacks);
    assert_int_equal(fake_count(), 0);
    while (row_count > 0) {
        free(rows[--row_count].url);
        free(rows[row_count].body);
    }
    secret_free(header.value);
    secret_free(ironic.keystone.password);
    secret_free(conf.hmac_key);
    node_unref(nodes[0]);
    node_unref(nodes[1]);
    return 0;
}

static void begin(void)
{
    callbacks = callbacks_new(NULL, NULL, &conf, NULL);
    assert_non_null(callbacks);
}

/* What a kill -9 leaves is what the journal has. */
static void restart(void)
{
    size_t left = outbox();
    callbacks_free(callbacks);
    assert_int_equal(outbox(), left);
    begin();
}

static void finish_on(struct node *node, unsigned number)
{
    struct action action = {.node = node,
                            .name = "inject_nmi",
                            .contract = "nova",
                            .user = (char *)"alice",
                            .state = ACTION_FINISHED,
                            .outcome = OUTCOME_UNKNOWN,
                            .code = FAULT_NO_ANSWER,
                            .message = (char *)"a \"text\"",
                            .created_at = 1,
                            .sent_at = 2,
                            .finished_at = 3};
    snprintf(action.id, sizeof action.id, "req-%036u", number);
    callbacks_finished(callbacks, &action);
    callbacks_told(callbacks, &action);
}

static void finish(unsigned number)
{
    finish_on(nodes[0], number);
}

/* The action that the n-th request under way is about. */
static unsigned about(size_t n)
{
    const char *id = strstr(fake_call(n)->body, "\"id\":\"req-");
    assert_non_null(id);
    return (unsigned)strtoul(id + strlen("\"id\":\"req-"), NULL, 10);
}

static void answer(unsigned status)
{
    fake_answer(fake_call(0), status, NULL, "{}");
}

/* ---- What is sent ---- */

static void test_patch(void **state)
{
    (void)state;
    begin();
    finish(7);
    assert_int_equal(fake_count(), 1);
    struct client_call *call = fake_call(0);
    assert_string_equal(call->method, "PATCH");
    assert_string_equal(call->url, "https://ironic.example/baremetal/v1/nodes/"
                                   "00000000-0000-4000-8000-000000000000");
    /* Neither what receivers of posts get, nor a token where none is asked for. */
    assert_string_equal(call->headers, "X-OpenStack-Ironic-API-Version: " IRONIC_VERSION "\n"
                                       "User-Agent: nmid/0.1.0\n"
                                       "Content-Type: application/json\n");
    assert_string_equal(call->ca_file, "/ironic-ca");
    assert_int_equal(call->timeout_ms, 1234); /* a locked node takes Ironic seconds */
    assert_string_equal(
        call->body, "[{\"op\":\"add\",\"path\":\"/extra/last_nmi\",\"value\":{"
                    "\"id\":\"req-000000000000000000000000000000000007\",\"outcome\":\"unknown\","
                    "\"code\":\"no-answer\",\"message\":\"a \\\"text\\\"\",\"created_at\":\"T1\","
                    "\"sent_at\":\"T2\",\"finished_at\":\"T3\"}}]");
    assert_string_equal(rows[0].url, "ironic:00000000-0000-4000-8000-000000000000");
    assert_string_equal(rows[0].body, call->body);
    answer(200);
    assert_int_equal(outbox(), 0);
    assert_int_equal(callbacks_pending(callbacks), 0);
    pass(2 * DAY);
    assert_int_equal(fake_started, 1);
}

static void test_beside_the_others(void **state)
{
    static char *allow[] = {"https://own.example/"};
    struct action action = {.node = nodes[0],
                            .callback_url = (char *)"https://own.example/x",
                            .id = "req-1",
                            .state = ACTION_FINISHED,
                            .outcome = OUTCOME_DELIVERED};
    (void)state;
    conf.url = "https://main.example/";
    conf.allow = allow;
    conf.allow_count = 1;
    begin();
    callbacks_finished(callbacks, &action);
    assert_int_equal(fake_started, 0); /* held until the outcome is told */
    assert_int_equal(outbox(), 3);
    callbacks_told(callbacks, &action);
    callbacks_told(callbacks, &action);
    assert_int_equal(fake_count(), 3);
    assert_string_equal(fake_call(0)->url, "https://main.example/");
    assert_string_equal(fake_call(1)->url, "https://own.example/x");
    assert_string_equal(fake_call(2)->method, "PATCH");
    assert_null(strstr(fake_call(2)->headers, "Bearer"));
    while (fake_count() > 0)
        answer(200);
    assert_int_equal(outbox(), 0);
    /* No caller can name it, nor what stands in the outbox for it. */
    struct fault fault = {0};
    assert_int_equal(
        callbacks_check_url(callbacks, "ironic:00000000-0000-4000-8000-000000000000", &fault), -1);
    assert_int_equal(fault.code, FAULT_MALFORMED);
}

static void test_refusals_are_not_told(void **state)
{
    struct action action = {.node = nodes[0], .id = "req-1", .refusal = true};
    (void)state;
    begin();
    callbacks_finished(callbacks, &action);
    callbacks_told(callbacks, &action);
    conf.ironic = NULL;
    finish(1);
    assert_int_equal(row_count + fake_started, 0);
}

/* ---- Keystone ---- */

#define KEYSTONE_URL "https://keystone.example/v3/auth/tokens?nocatalog"

/* The log-in under way gets a token: "token-1", "token-2" ... */
static void give_token(void)
{
    char token[16];
    struct client_call *call = fake_call(fake_count() - 1);
    assert_string_equal(call->url, KEYSTONE_URL);
    assert_non_null(strstr(call->body, PASSWORD));
    assert_int_equal(call->timeout_ms, 77);
    snprintf(token, sizeof token, "token-%u", ++tokens);
    fake_answer(call, 201, token,
                "{\"token\":{\"user\":{\"id\":\"u1\",\"name\":\"n\",\"domain\":{\"id\":\"d\"}},"
                "\"project\":{\"id\":\"p1\"},\"issued_at\":\"2026-11-23T05:00:00.000000Z\","
                "\"expires_at\":\"2026-11-23T06:00:00.000000Z\"}}");
}

static void check_token(const char *token)
{
    assert_int_equal(fake_count(), 1);
    assert_string_equal(fake_call(0)->method, "PATCH");
    assert_string_equal(fake_header(fake_call(0), "X-Auth-Token"), token);
}

static void test_keystone(void **state)
{
    (void)state;
    ironic.auth = AUTH_KEYSTONE;
    begin();
    finish(1);
    assert_int_equal(fake_count(), 1);
    give_token();
    check_token("token-1");
    answer(401); /* it was revoked: once more, at once */
    assert_int_equal(fake_count(), 1);
    give_token();
    check_token("token-2");
    answer(200);
    assert_int_equal(outbox(), 0);
    finish(2);
    check_token("token-2"); /* no log-in for each */
    for (size_t i = 0; i < row_count; i++)
        assert_true(rows[i].url == NULL || strstr(rows[i].body, "token-") == NULL);
    /* A token that is never taken: tries end, and come again. */
    pass(2 * S);
    answer(401);
    give_token();
    check_token("token-3");
    answer(401);
    assert_int_equal(fake_count(), 0);
    assert_int_equal(outbox(), 1);
    assert_int_equal(fake_logged("warning: callback: Ironic: answered 401"), 1);
    pass(S);
    check_token("token-3"); /* Keystone says that it is good */
    answer(200);
    assert_int_equal(outbox(), 0);
    assert_int_equal(fake_logged("info: callback: Ironic takes posts again"), 1);
}

static void test_keystone_down(void **state)
{
    (void)state;
    ironic.auth = AUTH_KEYSTONE;
    begin();
    for (unsigned i = 0; i < 2; i++)
        finish_on(nodes[i], i);
    assert_int_equal(fake_count(), 1); /* one log-in, for both */
    answer(0);
    assert_int_equal(fake_count(), 0);
    assert_int_equal(outbox(), 2);
    assert_int_equal(fake_logged("warning: callback: Ironic: Keystone"), 1);
    assert_int_equal(fake_logged(PASSWORD), 0);
    pass(5 * S);
    give_token();
    check_token("token-1"); /* one at a time, until one succeeds */
    answer(200);
    check_token("token-1");
    answer(200);
    assert_int_equal(outbox(), 0);
    /* A log-in that cannot even begin. */
    restart();
    fake_refuse = true;
    finish(3);
    pass(S / 2);
    fake_refuse = false;
    pass(5 * S);
    give_token();
    answer(200);
    assert_int_equal(outbox(), 0);
}

/* ---- What becomes of it ---- */

static void test_tried_again(void **state)
{
    static const unsigned statuses[] = {0, 199, 302, 400, 401, 404, 408, 409, 429, 500, 503, 504};
    (void)state;
    begin();
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        finish(i);
        assert_int_equal(fake_count(), 1);
        answer(statuses[i]);
        assert_int_equal(outbox(), 1);
        pass(S * 7 / 10);
        assert_int_equal(fake_count(), 0); /* not at once */
        pass(S);
        assert_int_equal(fake_count(), 1);
        assert_int_equal(about(0), i);
        answer(409);
        fake_pass(400 * S); /* what was not answered is no matter any more */
        pass(10 * S);
        answer(200);
        assert_int_equal(outbox(), 0);
    }
}

static void test_given_up(void **state)
{
    static const unsigned statuses[] = {402, 403, 405, 406, 413, 415, 404};
    char absent[256];
    (void)state;
    begin();
    snprintf(absent, sizeof absent, ABSENT, nodes[0]->uuid);
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        finish(i);
        fake_answer(fake_call(0), statuses[i], NULL, absent);
        assert_int_equal(outbox(), 0);
        assert_int_equal(callbacks_pending(callbacks), 0);
        assert_int_equal(fake_logged("is given up"), i + 1);
    }
    assert_int_equal(fake_logged("error: callback: Ironic: no node of this UUID, or none that nmid "
                                 "may see (404); the post of req-"),
                     1);
    /* Another node's, or a proxy's 404 is none of this. */
    snprintf(absent, sizeof absent, ABSENT, nodes[1]->uuid);
    finish(10);
    fake_answer(fake_call(0), 404, NULL, absent);
    assert_int_equal(outbox(), 1);
}

/* The node's own conductor has asked nmid, and holds the node until it has the answer. */
static void test_locked(void **state)
{
    (void)state;
    begin();
    finish(1);
    for (unsigned i = 0; i < 4; i++) {
        answer(409);
        assert_int_equal(fake_logged("warning"), 0); /* as usual */
        pass(20 * S);
    }
    answer(409);
    assert_int_equal(fake_logged("warning: callback: Ironic: answered 409"), 1);
    /* Nor does one locked node keep another from being told. */
    finish_on(nodes[1], 2);
    assert_int_equal(about(0), 2);
    answer(200);
    while (outbox() > 0) {
        pass(300 * S);
        if (fake_count() > 0)
            answer(409);
        assert_true(fake_started < 400);
    }
    assert_true(fake_now > DAY && fake_now < DAY + 700 * S);
    assert_int_equal(fake_logged("in a day; the post of req-"), 1);
}

/* ---- The newest ---- */

static void test_newer_takes_the_place(void **state)
{
    (void)state;
    begin();
    finish(1);
    answer(409);
    finish(2);
    assert_int_equal(outbox(), 1);
    assert_int_equal(fake_count(), 1);
    assert_int_equal(about(0), 2);
    answer(200);
    assert_int_equal(outbox(), 0);
    pass(2 * DAY);
    assert_int_equal(fake_started, 2);
}

static void test_newer_waits(void **state)
{
    static const unsigned statuses[] = {200, 409, 403, 0};
    (void)state;
    begin();
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        finish(10 * i);
        finish(10 * i + 1);
        finish(10 * i + 2); /* of those that wait only the newest counts */
        assert_int_equal(outbox(), 2);
        assert_int_equal(fake_count(), 1);
        assert_int_equal(about(0), 10 * i);
        answer(statuses[i]);
        assert_int_equal(outbox(), 1);
        pass(S);
        assert_int_equal(fake_count(), 1);
        assert_int_equal(about(0), 10 * i + 2);
        answer(200);
    }
    assert_int_equal(outbox(), 1); /* after the silence: see below */
}

/* What was not answered may be done late, over what came after it. */
static void test_late(void **state)
{
    (void)state;
    begin();
    finish(1);
    answer(0);
    finish(2);
    pass(S);
    assert_int_equal(about(0), 2);
    answer(200);
    assert_int_equal(outbox(), 1);
    pass(59 * S);
    assert_int_equal(fake_count(), 0);
    pass(S);
    assert_int_equal(fake_count(), 1);
    assert_int_equal(about(0), 2);
    answer(200);
    assert_int_equal(outbox(), 0);
    pass(600 * S);
    finish(3);
    answer(200);
    assert_int_equal(outbox(), 0); /* that was long ago */
    pass(DAY);
    assert_int_equal(fake_started, 4);
    /* A newer one while it waits for its second time. */
    finish(4);
    answer(504);
    pass(S);
    answer(200);
    finish(5);
    assert_int_equal(outbox(), 1);
    assert_int_equal(about(0), 5);
    answer(200);
    pass(61 * S);
    assert_int_equal(about(0), 5);
    answer(200);
    assert_int_equal(outbox(), 0);
}

static void test_restart(void **state)
{
    (void)state;
    begin();
    finish(1);
    finish(2); /* both are in the outbox: the first is under way */
    finish_on(nodes[1], 3);
    assert_int_equal(outbox(), 3);
    restart();
    assert_int_equal(outbox(), 2);
    assert_int_equal(fake_count(), 2);
    assert_int_equal(about(0), 2);
    assert_int_equal(about(1), 3);
    answer(200);
    answer(200);
    pass(60 * S); /* the first may have been on its way when nmid was killed */
    assert_int_equal(fake_count(), 2);
    answer(200);
    answer(200);
    assert_int_equal(outbox(), 0);
}

/* ---- Settings, limits ---- */

static void test_reload(void **state)
{
    struct conf_ironic other = ironic;
    struct conf_callback off = conf, moved = conf;
    (void)state;
    off.ironic = NULL;
    other.url = "https://other.example";
    moved.ironic = &other;
    begin();
    finish(1);
    answer(503);
    callbacks_configure(callbacks, &off);
    pass(600 * S);
    assert_int_equal(fake_started, 1);
    assert_int_equal(outbox(), 1);
    callbacks_configure(callbacks, &moved); /* what waits goes to the new one */
    pass(300 * S);
    assert_int_equal(strncmp(fake_call(0)->url, "https://other.example/v1/nodes/", 31), 0);
    answer(200);
    pass(60 * S);
    /* While a token is awaited, and while an answer to one is. */
    other.auth = AUTH_KEYSTONE;
    callbacks_configure(callbacks, &moved);
    finish(2);
    assert_string_equal(fake_call(0)->url, KEYSTONE_URL);
    callbacks_configure(callbacks, &conf);
    assert_int_equal(fake_count(), 0);
    pass(5 * S);
    assert_int_equal(about(0), 2);
    assert_null(strstr(fake_call(0)->headers, "X-Auth-Token"));
    answer(401);
    callbacks_configure(callbacks, &moved);
    pass(5 * S);
    give_token();
    callbacks_configure(callbacks, &off);
    answer(401);
    assert_int_equal(fake_count(), 0);
    assert_int_equal(outbox(), 1);
    callbacks_configure(callbacks, &conf);
    pass(60 * S);
    answer(200);
    assert_int_equal(outbox(), 0);
}

static void test_too_many(void **state)
{
    struct node *node = node_new();
    (void)state;
    begin();
    finish(1);
    finish(2); /* waits for the first */
    for (unsigned i = 3; i <= 100002; i++) {
        snprintf(node->uuid, UUID_TEXT, "%08x-0000-4000-8000-000000000001", i);
        finish_on(node, i);
        if (i == 100001)
            assert_int_equal(about(3), 2); /* the first went, in the middle of its try */
    }
    assert_int_equal(callbacks_pending(callbacks), 100000);
    assert_null(rows[0].url);
    assert_null(rows[1].url);
    assert_non_null(rows[2].url);
    assert_int_equal(fake_count(), 4);
    node_unref(node);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_patch),
        CASE(test_beside_the_others),
        CASE(test_refusals_are_not_told),
        CASE(test_keystone),
        CASE(test_keystone_down),
        CASE(test_tried_again),
        CASE(test_given_up),
        CASE(test_locked),
        CASE(test_newer_takes_the_place),
        CASE(test_newer_waits),
        CASE(test_late),
        CASE(test_restart),
        CASE(test_reload),
        CASE(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

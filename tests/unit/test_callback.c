/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The outbox in simulated time: clock, timer, client and journal are this file's own, so that a day
 * of tries takes no time and every number can be counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "core/callback.h"
#include "core/journal_more.h"
#include "loop/client.h"

#define S      ((int64_t)1000000)
#define HOUR   (3600 * S)
#define DAY    (24 * HOUR)
#define MAIN   "https://main.example/all"
#define OWN    "http://own.example/nmid/x?y=z"
#define RECORD 2000 /* tries and journal calls that are remembered */
#define CALLS  128
#define RULES  32

/* ---- Time ---- */

static int64_t now_us, wall_us;

int64_t clock_mono_us(void)
{
    return now_us;
}

int64_t clock_wall_us(void)
{
    return wall_us;
}

char *clock_text(int64_t us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "T%lld", (long long)us);
    return text;
}

struct loop_timer {
    loop_fn *fn;
    void *arg;
    int64_t at; /* INT64_MAX: not set */
};

static struct loop_timer *timer;

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct fault *fault)
{
    (void)loop;
    (void)fault;
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

/* ---- Receivers ---- */

/* What becomes of requests whose URL begins so: the first that fits. */
struct rule {
    const char *prefix;
    unsigned status; /* 0: an error */
    int64_t takes;
};

struct
try {
    char url[64], id[ACTION_ID_TEXT];
    int64_t at;
};

struct client_call {
    char url[2100];
    client_done_fn *done;
    void *arg;
    unsigned status;
    int64_t at;
};

static struct rule rules[RULES];
static struct try tries[RECORD];
static unsigned try_count, active, active_max, taken;
static struct client_call *calls[CALLS];
static char last_headers[1024], last_body[8192];
static struct client_request last_request;
static bool refuse_start;

struct client *client_new(struct loop *loop, struct fault *fault)
{
    (void)loop;
    (void)fault;
    return calloc(1, 1);
}

void client_free(struct client *client)
{
    assert_int_equal(active, 0); /* callbacks_free() has cancelled them */
    free(client);
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault)
{
    size_t slot = 0, rule = 0;
    (void)client;
    if (refuse_start) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    while (calls[slot] != NULL)
        slot++;
    assert_true(slot < CALLS);
    struct client_call *call = calls[slot] = calloc(1, sizeof *call);
    while (strncmp(rules[rule].prefix, request->url, strlen(rules[rule].prefix)) != 0)
        rule++;
    snprintf(call->url, sizeof call->url, "%s", request->url);
    call->done = done;
    call->arg = arg;
    call->status = rules[rule].status;
    call->at = now_us + rules[rule].takes;
    active++;
    active_max = active > active_max ? active : active_max;
    last_request = *request;
    last_headers[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++) {
        size_t len = strlen(last_headers);
        snprintf(last_headers + len, sizeof last_headers - len, "%s: %s\n",
                 request->headers[i].name, request->headers[i].value);
    }
    snprintf(last_body, sizeof last_body, "%.*s", (int)request->body_len,
             (const char *)request->body);
    if (try_count < RECORD) {
        struct try *try = &tries[try_count];
        snprintf(try->url, sizeof try->url, "%.63s", request->url);
        snprintf(try->id, sizeof try->id, "%s", request->headers[1].value);
        try->at = now_us;
    }
    try_count++;
    return call;
}

static void call_drop(struct client_call *call)
{
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i] == call)
            calls[i] = NULL;
    }
    active--;
    free(call);
}

void client_cancel(struct client_call *call)
{
    call_drop(call);
}

static unsigned active_at(const char *prefix)
{
    unsigned count = 0;
    for (size_t i = 0; i < CALLS; i++)
        count += calls[i] != NULL && strncmp(calls[i]->url, prefix, strlen(prefix)) == 0;
    return count;
}

/* ---- The journal ---- */

static struct journal_post left[8];
static size_t left_count;
static uint64_t serials;
static unsigned adds, removes, laters;
static uint64_t last_removed;
static struct journal_post last_added, last_later;
static bool journal_full;

void journal_outbox(struct journal *journal, journal_post_fn *each, void *arg)
{
    (void)journal;
    for (size_t i = 0; i < left_count; i++)
        each(arg, &left[i]);
}

int journal_post_add(struct journal *journal, const struct journal_post *post, uint64_t *ret_serial)
{
    (void)journal;
    if (journal_full)
        return -1;
    adds++;
    last_added = *post;
    last_added.url = last_added.body = NULL;
    *ret_serial = ++serials;
    return 0;
}

int journal_post_later(struct journal *journal, uint64_t serial, unsigned count, int64_t next_at)
{
    (void)journal;
    laters++;
    last_later = (struct journal_post){.serial = serial, .tries = count, .next_at = next_at};
    return 0;
}

int journal_post_remove(struct journal *journal, uint64_t serial)
{
    (void)journal;
    removes++;
    last_removed = serial;
    return 0;
}

/* ---- The rig ---- */

static struct conf_callback conf;
static struct callbacks *callbacks;
static struct node *node;
static char *allow[] = {"http://own.example/nmid/", "https://a.example/", NULL};
static struct conf_header header = {.name = "Authorization"};

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    now_us = 1000 * S;
    wall_us = 1700000000 * S;
    memset(rules, 0, sizeof rules);
    rules[0] = (struct rule){"", 200, 10000};
    try_count = active = active_max = taken = 0;
    left_count = 0;
    serials = last_removed = 0;
    adds = removes = laters = 0;
    journal_full = refuse_start = false;
    header.value = secret_new("Bearer token", 12);
    conf = (struct conf_callback){.url = MAIN,
                                  .headers = &header,
                                  .header_count = 1,
                                  .ca_file = "/ca",
                                  .hmac_key = secret_new("key", 3),
                                  .allow = allow,
                                  .allow_count = 1,
                                  .timeout_ms = 1234};
    node = node_new();
    callbacks = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    callbacks_free(callbacks);
    assert_int_equal(active, 0);
    assert_null(timer);
    secret_free(header.value);
    secret_free(conf.hmac_key);
    node_unref(node);
    return 0;
}

static void begin(void)
{
    callbacks = callbacks_new(NULL, NULL, &conf, NULL);
    assert_non_null(callbacks);
}

static void finish(unsigned number, char *callback_url)
{
    struct action action = {.node = node,
                            .callback_url = callback_url,
                            .name = "inject_nmi",
                            .contract = "agent",
                            .state = ACTION_FINISHED,
                            .outcome = OUTCOME_DELIVERED};
    snprintf(action.id, sizeof action.id, "req-%036u", number);
    size_t pending = callbacks_pending(callbacks);
    unsigned tried = try_count;
    callbacks_finished(callbacks, &action);
    assert_int_equal(callbacks_pending(callbacks), pending); /* held until the outcome is told */
    assert_int_equal(try_count, tried);
    callbacks_told(callbacks, &action);
    callbacks_told(callbacks, &action);
}

static struct client_call *next_call(void)
{
    struct client_call *next = NULL;
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i] != NULL && (next == NULL || calls[i]->at < next->at))
            next = calls[i];
    }
    return next;
}

/* Runs everything up to that time. */
static void run(int64_t until)
{
    for (;;) {
        struct client_call *call = next_call();
        int64_t at = timer->at;
        if (call != NULL && call->at < at)
            at = call->at;
        if (at > until)
            break;
        if (at > now_us) {
            wall_us += at - now_us;
            now_us = at;
        }
        if (call != NULL && call->at <= now_us) {
            client_done_fn *done = call->done;
            void *arg = call->arg;
            unsigned status = call->status;
            call_drop(call);
            taken += status / 100 == 2;
            const struct client_answer answer = {
                .status = status, .why = status == 0 ? "no such luck" : NULL, .body = ""};
            done(arg, &answer);
        } else {
            timer->at = INT64_MAX; /* one-shot */
            timer->fn(timer->arg);
        }
    }
    wall_us += until - now_us;
    now_us = until;
}

/* ---- What is sent ---- */

static void test_request(void **state)
{
    char signature[DIGEST_SHA256_TEXT], headers[512];
    (void)state;
    begin();
    finish(7, NULL);
    assert_int_equal(try_count, 1);
    assert_string_equal(last_request.method, "POST");
    assert_string_equal(tries[0].url, MAIN);
    assert_string_equal(last_request.ca_file, "/ca");
    assert_int_equal(last_request.timeout_ms, 1234);
    json_t *body = json_loads(last_body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "id")),
                        "req-000000000000000000000000000000000007");
    assert_string_equal(json_string_value(json_object_get(body, "outcome")), "delivered");
    assert_null(strchr(last_body, '\n'));
    json_decref(body);
    assert_int_equal(digest_hmac_sha256(conf.hmac_key, last_body, strlen(last_body), signature), 0);
    snprintf(headers, sizeof headers,
             "Content-Type: application/json\n"
             "Idempotency-Key: req-000000000000000000000000000000000007\n"
             "User-Agent: nmid/0.1.0\nX-Nmid-Signature: sha256=%s\n"
             "Authorization: Bearer token\n",
             signature);
    assert_string_equal(last_headers, headers);
    assert_int_equal(adds, 1);
    assert_int_equal(last_added.since, wall_us);
    assert_int_equal(last_added.next_at, wall_us);
    assert_int_equal(removes, 0);
    run(now_us + S);
    assert_int_equal(removes, 1);
    assert_int_equal(last_removed, 1);
    assert_int_equal(callbacks_pending(callbacks), 0);
    run(now_us + 2 * DAY);
    assert_int_equal(try_count, 1);
    assert_int_equal(removes, 1);
}

static void test_own_url(void **state)
{
    (void)state;
    begin();
    finish(1, "HTTP://OWN.example:80/nmid/x?y=z");
    assert_int_equal(adds, 2);
    assert_int_equal(try_count, 2);
    assert_string_equal(tries[0].url, MAIN);
    assert_string_equal(tries[1].url, OWN); /* the last, whose headers are here: */
    assert_null(strstr(last_headers, "Authorization"));
    assert_null(strstr(last_headers, "token"));
    assert_non_null(strstr(last_headers, "X-Nmid-Signature: sha256="));
    assert_non_null(strstr(last_headers, "Idempotency-Key: req-"));
    run(now_us + S);
    assert_int_equal(removes, 2);
}

static void test_same_url_once(void **state)
{
    (void)state;
    begin();
    finish(1, "https://MAIN.example/all");
    assert_int_equal(adds, 1);
    assert_int_equal(try_count, 1);
}

static void test_nothing_to_post(void **state)
{
    (void)state;
    conf.url = NULL;
    begin();
    finish(1, NULL);
    callbacks_finished(NULL, NULL);
    callbacks_told(NULL, NULL);
    assert_int_equal(adds + try_count, 0);
    finish(2, OWN);
    assert_int_equal(adds, 1);
    assert_int_equal(try_count, 1);
    secret_free(conf.hmac_key);
    conf.hmac_key = NULL;
    finish(3, OWN);
    assert_int_equal(try_count, 2);
    assert_null(strstr(last_headers, "Signature"));
}

static void check_url(const char *url, enum fault_code code)
{
    struct fault fault = {0};
    assert_int_equal(callbacks_check_url(callbacks, url, &fault), code == FAULT_NONE ? 0 : -1);
    assert_int_equal(fault.code, code);
    assert_int_equal(fault.message[0] != '\0', code != FAULT_NONE);
}

static void test_check_url(void **state)
{
    (void)state;
    check_url(OWN, FAULT_FORBIDDEN); /* callbacks is NULL */
    check_url("nonsense", FAULT_MALFORMED);
    begin();
    check_url(OWN, FAULT_NONE);
    check_url("HTTP://Own.Example:80/nmid/", FAULT_NONE);
    check_url(MAIN, FAULT_FORBIDDEN); /* that it is ours is not our callers' business */
    check_url("http://own.example/nmid", FAULT_FORBIDDEN);
    check_url("http://own.example/", FAULT_FORBIDDEN);
    check_url("https://own.example/nmid/", FAULT_FORBIDDEN);
    check_url("http://own.example:81/nmid/", FAULT_FORBIDDEN);
    check_url("http://own.example.evil/nmid/", FAULT_FORBIDDEN);
    check_url("http://own.example@evil/nmid/", FAULT_MALFORMED);
    check_url("http://own.example/nmid/../x", FAULT_MALFORMED);
    conf.allow_count = 0;
    check_url(OWN, FAULT_FORBIDDEN);
}

/* ---- When it is sent ---- */

static void test_a_day_of_failures(void **state)
{
    (void)state;
    rules[0].status = 500;
    rules[0].takes = 0;
    begin();
    finish(1, NULL);
    int64_t first = now_us;
    run(first + 10 * S);
    assert_int_equal(last_later.serial, 1);
    assert_int_equal(last_later.tries, try_count);
    run(first + DAY - S);
    assert_int_equal(removes, 0);
    run(first + DAY + 30 * S);
    assert_true(try_count > 288 && try_count < 400); /* most of them 4 to 5 minutes apart */
    int64_t low = 800000, high = 1000000;
    for (unsigned i = 1; i + 1 < try_count; i++) {
        int64_t gap = tries[i].at - tries[i - 1].at;
        if (gap < low || gap > high)
            fail_msg("try %u comes %lld us after the one before", i, (long long)gap);
        high = high * 2 > 300 * S ? 300 * S : high * 2;
        low = high * 8 / 10;
    }
    assert_true(tries[try_count - 1].at - first >= DAY - 300 * S);
    assert_true(tries[try_count - 1].at - first < DAY);
    assert_int_equal(laters, try_count);
    assert_int_equal(removes, 1);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

static void test_every_status_is_tried_again(void **state)
{
    static const unsigned statuses[] = {0, 199, 301, 302, 400, 401, 404, 410, 429, 500, 503};
    (void)state;
    begin();
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        unsigned before = try_count;
        rules[0].status = statuses[i];
        finish(i, NULL);
        run(now_us + 300000);
        assert_int_equal(try_count, before + 1);
        rules[0].status = 200 + i;
        run(now_us + HOUR);
        assert_int_equal(try_count, before + 2);
        assert_int_equal(callbacks_pending(callbacks), 0);
    }
}

static void test_the_journal_hears_of_delays(void **state)
{
    (void)state;
    rules[0].status = 404; /* no pause of the whole receiver beside the delay */
    rules[0].takes = 0;
    begin();
    finish(1, NULL);
    run(now_us);
    assert_int_equal(laters, 1);
    assert_int_equal(last_later.tries, 1);
    assert_true(last_later.next_at >= wall_us + 800000 && last_later.next_at <= wall_us + S);
    int64_t next_at = last_later.next_at - wall_us;
    rules[0].status = 204;
    run(now_us + next_at - 1);
    assert_int_equal(try_count, 1);
    run(now_us + 1);
    assert_int_equal(try_count, 2);
    assert_int_equal(removes, 1);
}

static void test_in_order(void **state)
{
    (void)state;
    rules[0].takes = 1000;
    begin();
    for (unsigned i = 0; i < 500; i++)
        finish(i, NULL);
    run(now_us + 10 * S);
    assert_int_equal(try_count, 500);
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(strtoul(tries[i].id + 4, NULL, 10), i);
}

static void test_limits(void **state)
{
    static char urls[20][40];
    static char *list[20];
    (void)state;
    rules[0].takes = HOUR;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(urls[i], sizeof urls[i], "http://r%u.example/", i);
        list[i] = urls[i];
    }
    conf.allow = list;
    conf.allow_count = 20;
    conf.url = NULL;
    begin();
    for (unsigned n = 0; n < 10; n++) {
        for (unsigned i = 0; i < 15; i++)
            finish(n * 20 + i, urls[i]);
    }
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(active_at(urls[i]), 4);
    for (unsigned n = 0; n < 10; n++) {
        for (unsigned i = 15; i < 20; i++)
            finish(n * 20 + i, urls[i]);
    }
    assert_int_equal(active, 64);
    run(now_us + 10 * HOUR);
    assert_int_equal(active_max, 64);
    assert_int_equal(try_count, 200);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

/* 1000 posts for a receiver that hangs: one try at a time, and nobody else waits. */
static void test_dead_receiver(void **state)
{
    (void)state;
    rules[0] = (struct rule){"https://main.example/", 0, 10 * S};
    rules[1] = (struct rule){"http://own.example/", 200, 1000};
    begin();
    for (unsigned i = 0; i < 1000; i++)
        finish(i, NULL);
    assert_int_equal(active, 4);
    run(now_us + 11 * S); /* these have failed */
    assert_true(active_at("https://main.example/") <= 1);
    unsigned before = try_count;
    run(now_us + HOUR);
    assert_true(active_at("https://main.example/") <= 1);
    assert_true(try_count - before <= 3600 / (10 + 24) + 10);
    assert_true(try_count - before >= 3600 / (10 + 30) - 5);
    taken = 0;
    finish(1000, OWN);
    run(now_us + 2000);
    assert_int_equal(taken, 1);
    rules[0] = (struct rule){"https://main.example/", 200, 1000};
    run(now_us + 300 * S + 40 * S); /* it is found alive soon, and everything goes */
    assert_int_equal(callbacks_pending(callbacks), 0);
    assert_int_equal(taken, 1002);
}

/* One that stays dead: after a day all 1000 are given up, tried or not. */
static void test_dead_for_a_day(void **state)
{
    (void)state;
    rules[0] = (struct rule){"", 0, 60 * S};
    begin();
    for (unsigned i = 0; i < 1000; i++)
        finish(i, NULL);
    run(now_us + DAY - S);
    assert_int_equal(removes, 0);
    run(now_us + 100 * S);
    assert_int_equal(removes, 1000);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

/* A receiver that takes all but some: these do not hold up the others. */
static void test_bad_posts(void **state)
{
    (void)state;
    rules[0] = (struct rule){"http://own.example/nmid/bad", 422, 1000};
    rules[1] = (struct rule){"", 200, 1000};
    conf.url = NULL;
    begin();
    for (unsigned i = 0; i < 100; i++)
        finish(i, "http://own.example/nmid/bad");
    run(now_us + HOUR);
    taken = 0;
    finish(100, OWN);
    run(now_us + 3 * S);
    assert_int_equal(taken, 1);
    assert_int_equal(callbacks_pending(callbacks), 100);
}

/* ---- Restart, reload, limits ---- */

static void leave(unsigned number, char *url, int64_t age, int64_t wait)
{
    struct journal_post *post = &left[left_count++];
    *post = (struct journal_post){.serial = 100 + number,
                                  .url = url,
                                  .body = "{}",
                                  .since = wall_us - age,
                                  .next_at = wall_us + wait,
                                  .tries = 3};
    snprintf(post->action_id, sizeof post->action_id, "req-%036u", number);
}

static void test_left_by_an_earlier_daemon(void **state)
{
    (void)state;
    leave(1, MAIN, HOUR, 0);
    leave(2, OWN, HOUR, 60 * S);
    leave(3, MAIN, HOUR, -HOUR);
    begin();
    assert_int_equal(callbacks_pending(callbacks), 3);
    assert_int_equal(adds, 0);
    run(now_us + S);
    assert_int_equal(try_count, 2);
    assert_int_equal(strtoul(tries[0].id + 4, NULL, 10), 1);
    assert_int_equal(strtoul(tries[1].id + 4, NULL, 10), 3);
    assert_string_equal(last_body, "{}");
    run(now_us + 58 * S);
    assert_int_equal(try_count, 2);
    run(now_us + 2 * S);
    assert_int_equal(try_count, 3);
    assert_int_equal(last_removed, 102);
    assert_int_equal(removes, 3);
}

static void test_clock_set_back(void **state)
{
    (void)state;
    leave(1, MAIN, -10 * HOUR, 10 * HOUR); /* it finished in ten hours from now, says the record */
    rules[0].status = 500;
    rules[0].takes = 0;
    begin();
    int64_t first = now_us;
    run(now_us + 299 * S);
    assert_int_equal(try_count, 0);
    run(now_us + S);
    assert_int_equal(try_count, 1);
    assert_int_equal(last_later.tries, 4);
    wall_us -= 100 * DAY; /* and while it runs */
    run(first + DAY - S);
    assert_int_equal(removes, 0);
    wall_us += 1000 * DAY;
    run(first + DAY + HOUR);
    assert_int_equal(removes, 1);
}

static void test_too_old(void **state)
{
    (void)state;
    leave(1, MAIN, 25 * HOUR, 0);
    leave(2, MAIN, 25 * HOUR, 0);
    rules[0].status = 500;
    begin();
    run(now_us + HOUR);
    assert_int_equal(try_count, 2); /* one more chance each, and no more */
    assert_int_equal(removes, 2);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

static void test_no_longer_allowed(void **state)
{
    struct conf_callback narrow;
    (void)state;
    rules[0].status = 500;
    begin();
    finish(1, OWN);
    run(now_us + 10 * S);
    narrow = conf;
    narrow.allow_count = 0;
    narrow.url = NULL;
    unsigned before = try_count;
    callbacks_configure(callbacks, &narrow);
    run(now_us + HOUR);
    assert_int_equal(try_count, before); /* neither to the caller's nor to what was ours */
    assert_int_equal(callbacks_pending(callbacks), 2);
    rules[0].status = 200;
    callbacks_configure(callbacks, &conf);
    run(now_us + 301 * S);
    assert_int_equal(try_count, before + 2);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

static void test_new_url_and_token(void **state)
{
    static char *main_allowed[] = {"https://main.example/"};
    struct conf_callback other;
    (void)state;
    rules[0].status = 500;
    begin();
    finish(1, NULL);
    run(now_us + S / 2);
    assert_non_null(strstr(last_headers, "Bearer token"));
    other = conf;
    other.url = "https://other.example/";
    other.allow = main_allowed;
    rules[0].status = 200;
    callbacks_configure(callbacks, &other);
    run(now_us + 10 * S);
    assert_string_equal(tries[try_count - 1].url, MAIN);
    assert_null(strstr(last_headers, "Bearer token")); /* it is for the other one now */
    finish(2, NULL);
    assert_string_equal(tries[try_count - 1].url, "https://other.example/");
    assert_non_null(strstr(last_headers, "Bearer token"));
    run(now_us + S);
}

/* A receiver that failed gets its next chance when the configuration changes. */
static void test_reload_ends_the_pause(void **state)
{
    (void)state;
    rules[0] = (struct rule){"", 503, 0};
    begin();
    finish(1, NULL);
    run(now_us);
    finish(2, NULL);
    run(now_us + 700000);
    assert_int_equal(try_count, 1);
    rules[0].status = 200;
    callbacks_configure(callbacks, &conf);
    assert_int_equal(try_count, 2);
    assert_int_equal(strtoul(tries[1].id + 4, NULL, 10), 2);
    callbacks_configure(NULL, &conf);
}

static void test_no_memory(void **state)
{
    (void)state;
    journal_full = true;
    begin();
    finish(1, NULL); /* cannot be recorded, is sent all the same */
    run(now_us + S);
    assert_int_equal(taken, 1);
    assert_int_equal(removes + laters, 0);
    journal_full = false;
    refuse_start = true;
    finish(2, NULL);
    run(now_us + 10 * S);
    assert_true(laters > 1);
    refuse_start = false;
    run(now_us + 60 * S);
    assert_int_equal(taken, 2);
    assert_int_equal(callbacks_pending(callbacks), 0);
}

static void test_too_many(void **state)
{
    (void)state;
    rules[0] = (struct rule){"", 200, HOUR};
    begin();
    for (unsigned i = 0; i < 100000; i++)
        finish(i, NULL);
    assert_int_equal(callbacks_pending(callbacks), 100000);
    assert_int_equal(removes, 0);
    assert_int_equal(active, 4);
    finish(100000, NULL);
    assert_int_equal(callbacks_pending(callbacks), 100000);
    assert_int_equal(removes, 1);
    assert_int_equal(last_removed, 1); /* the oldest, whose try was under way */
    assert_int_equal(active, 4);
    for (unsigned i = 0; i < 10; i++)
        finish(i, NULL);
    assert_int_equal(last_removed, 11);
    assert_int_equal(callbacks_pending(callbacks), 100000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_request),
        CASE(test_own_url),
        CASE(test_same_url_once),
        CASE(test_nothing_to_post),
        CASE(test_check_url),
        CASE(test_a_day_of_failures),
        CASE(test_every_status_is_tried_again),
        CASE(test_the_journal_hears_of_delays),
        CASE(test_in_order),
        CASE(test_limits),
        CASE(test_dead_receiver),
        CASE(test_dead_for_a_day),
        CASE(test_bad_posts),
        CASE(test_left_by_an_earlier_daemon),
        CASE(test_clock_set_back),
        CASE(test_too_old),
        CASE(test_no_longer_allowed),
        CASE(test_new_url_and_token),
        CASE(test_reload_ends_the_pause),
        CASE(test_no_memory),
        CASE(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

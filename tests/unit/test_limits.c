/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits: the accounts of principals, in simulated time, and the counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/limits.h"
#include "fake_loop.h"

/* Memory that runs out: the calloc() of what is linked in (ld --wrap). */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
static bool no_memory;

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory ? NULL : __real_calloc(count, size);
}

static const struct conf_limits conf = {
    .connections = 7, .requests_per_principal = 2, .answer_bytes_per_principal = 100000, .actions_per_minute = 6, .idle_s = 60,
    .queue = 5, .queue_s = 9};
static const struct principal alice = {.user = "alice", .method = "http_basic"};
static const struct principal bob = {.user = "bob", .method = "http_basic"};

static int setup(void **state)
{
    struct fault fault = {0};
    fake_reset();
    *state = limits_new(&conf, &fault);
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    limits_free(*state);
    return 0;
}

static bool takes(struct limits *limits, const struct principal *principal)
{
    struct fault fault = {0};
    int result = limits_take_action(limits, principal, &fault);
    assert_int_equal(fault.code, result == 0 ? FAULT_NONE : FAULT_TOO_MANY);
    return result == 0;
}

/* How many it may begin now. */
static unsigned take_all(struct limits *limits, const struct principal *principal)
{
    unsigned taken = 0;
    while (takes(limits, principal))
        taken++;
    return taken;
}

static void test_actions(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    assert_int_equal(take_all(limits, &alice), 6);
    assert_int_equal(take_all(limits, &bob), 6); /* each has his own */
    assert_int_equal(limits_take_action(limits, &alice, &fault), -1);
    assert_string_equal(fault.message,
                        "alice has begun as many actions as limits.actions_per_minute (6) allows; "
                        "nothing was sent; the next may begin in 10 s");
    fake.mono += 10 * FAKE_SECOND - 1000;
    fault = (struct fault){0};
    assert_int_equal(limits_take_action(limits, &alice, &fault), -1);
    assert_non_null(strstr(fault.message, "may begin in 1 s"));
    fake.mono += 1000;
    assert_int_equal(take_all(limits, &alice), 1); /* it comes back evenly */
    fake.mono += 25 * FAKE_SECOND;
    assert_int_equal(take_all(limits, &alice), 2);
    fake.mono += 3600 * FAKE_SECOND;
    assert_int_equal(take_all(limits, &alice), 6); /* and never more */
    assert_int_equal(limits_count(limits, LIMIT_ACTIONS_PER_MINUTE), 7);
}

/* Never more than a minute's worth at once, and on the average no more, whatever the caller's
 * rhythm is. */
static void test_actions_over_time(void **state)
{
    struct limits *limits = *state;
    unsigned taken = 0;
    for (unsigned second = 0; second < 600; second++) {
        fake.mono += FAKE_SECOND;
        taken += takes(limits, &alice);
        if (second % 97 == 0)
            taken += take_all(limits, &alice);
    }
    assert_in_range(taken, 60, 66);
}

static void test_actions_reload(void **state)
{
    struct limits *limits = *state;
    struct conf_limits other = conf;
    assert_int_equal(take_all(limits, &alice), 6);
    other.actions_per_minute = 0; /* however many */
    limits_configure(limits, &other);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(takes(limits, &alice));
    other.actions_per_minute = 10000000;
    limits_configure(limits, &other);
    fake.mono += 60 * FAKE_SECOND;
    for (unsigned i = 0; i < 10000; i++)
        assert_true(takes(limits, &bob));
    other.actions_per_minute = 1;
    limits_configure(limits, &other);
    fake.mono += 60 * FAKE_SECOND;
    assert_int_equal(take_all(limits, &alice), 1);
    fake.mono += 59 * FAKE_SECOND;
    assert_int_equal(take_all(limits, &alice), 0);
    fake.mono += 1 * FAKE_SECOND;
    assert_int_equal(take_all(limits, &alice), 1);
}

static void test_answers(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    struct account *hers = limits_enter(limits, &alice, &fault);
    struct account *his = limits_enter(limits, &bob, &fault);
    assert_int_equal(limits_hold_answer(limits, hers, 150000, &fault), 0); /* it is alone */
    assert_int_equal(limits_hold_answer(limits, hers, 16385, &fault), -1);
    assert_int_equal(fault.code, FAULT_TOO_MANY);
    assert_non_null(strstr(fault.message, "150000 of earlier ones"));
    fault = (struct fault){0};
    assert_int_equal(limits_hold_answer(limits, hers, 16384, &fault), 0); /* it is small */
    assert_int_equal(limits_hold_answer(limits, his, 60000, &fault), 0);
    assert_int_equal(limits_hold_answer(limits, his, 40000, &fault), 0);
    assert_int_equal(limits_hold_answer(limits, his, 20000, &fault), -1);
    limits_drop_answer(his, 40000);
    fault = (struct fault){0};
    assert_int_equal(limits_hold_answer(limits, his, 20000, &fault), 0);
    assert_int_equal(limits_count(limits, LIMIT_ANSWER_BYTES_PER_PRINCIPAL), 2);
    assert_int_equal(limits_may_list(limits, his, &fault), 0);
    assert_int_equal(limits_may_list(limits, hers, &fault), -1); /* however short it were */
    assert_int_equal(fault.code, FAULT_TOO_MANY);
    assert_int_equal(limits_count(limits, LIMIT_ANSWER_BYTES_PER_PRINCIPAL), 3);
    limits_drop_answer(his, 80000);
    limits_drop_answer(hers, 166384);
    assert_int_equal(limits_may_list(limits, hers, &fault), 0);
    assert_int_equal(limits_may_list(NULL, NULL, &fault), 0);
    limits_leave(limits, hers);
    limits_leave(limits, his);
    assert_int_equal(limits_hold_answer(NULL, NULL, 1u << 30, &fault), 0);
    limits_drop_answer(NULL, 1);
}

static void test_requests(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    struct account *first = limits_enter(limits, &alice, &fault);
    struct account *second = limits_enter(limits, &alice, &fault);
    assert_non_null(first);
    assert_ptr_equal(second, first);
    assert_int_equal(fault.code, FAULT_NONE);
    assert_null(limits_enter(limits, &alice, &fault));
    assert_int_equal(fault.code, FAULT_TOO_MANY);
    assert_string_equal(fault.message,
                        "alice has 2 requests under way (limits.requests_per_principal is 2): "
                        "again when one of them is answered");
    fault = (struct fault){0};
    struct account *his = limits_enter(limits, &bob, &fault);
    assert_non_null(his);
    limits_leave(limits, first);
    second = limits_enter(limits, &alice, &fault);
    assert_non_null(second);
    assert_int_equal(fault.code, FAULT_NONE);
    assert_int_equal(limits_count(limits, LIMIT_REQUESTS_PER_PRINCIPAL), 1);
    limits_leave(limits, second);
    limits_leave(limits, second);
    limits_leave(limits, his);
    limits_leave(limits, NULL);
}

/* Whose account it is: of each pair, both are different callers. */
static void test_who(void **state)
{
    struct limits *limits = *state;
    static const struct principal others[] = {
        {.user = "alice", .method = "keystone"},
        {.user = "alice", .method = "http_basic", .project_id = "demo"},
        {.user = "x", .user_id = "alice", .method = "http_basic"},
        {.user = "alice,0:", .method = "http_basic"},
        {.user = "a", .project_id = "1:b", .method = "none"},
        {.user = "a,3:1:b", .method = "none"},
        {.user = "ab", .project_id = "c", .method = "none"},
        {.user = "a", .project_id = "bc", .method = "none"},
        {.method = "none"},
    };
    size_t count = sizeof others / sizeof others[0];
    assert_int_equal(take_all(limits, &alice), 6);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(take_all(limits, &others[i]), 6);
    /* And the same one, with another role, from another address; by an id, whatever the name. */
    struct principal same = alice;
    same.roles = ROLE_BIT(ROLE_ADMIN);
    same.administrator = true;
    same.address = "10.0.0.9";
    assert_int_equal(take_all(limits, &same), 0);
    same = others[2];
    same.user = "y";
    assert_int_equal(take_all(limits, &same), 0);
}

static void one_action_each(struct limits *limits, unsigned first, unsigned count)
{
    char name[32];
    const struct principal some = {.user = name, .method = "keystone"};
    for (unsigned i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "user-%u", i);
        assert_true(takes(limits, &some));
    }
}

/* A million callers, a thousand a second: what is kept is a minute's worth of them. */
static void test_memory(void **state)
{
    struct limits *limits = *state;
    size_t settled = 0;
    for (unsigned second = 0; second < 1000; second++) {
        fake.mono += FAKE_SECOND;
        one_action_each(limits, second * 1000, 1000);
        if (second == 200)
            settled = mallinfo2().uordblks;
    }
    assert_in_range(mallinfo2().uordblks, 0, settled + settled / 10);
    fake.mono += 61 * FAKE_SECOND;
    one_action_each(limits, 0, 1);
    /* Requests without actions leave nothing at all. */
    struct fault fault = {0};
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        const struct principal some = {.user = name, .method = "keystone"};
        snprintf(name, sizeof name, "other-%u", i);
        struct account *account = limits_enter(limits, &some, &fault);
        assert_non_null(account);
        limits_leave(limits, account);
    }
    assert_in_range(mallinfo2().uordblks, 0, before + 1000);
}

/* An account whose bucket is full again while its request is under way stays until that ends. */
static void test_long_request(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    struct account *account = limits_enter(limits, &alice, &fault);
    assert_non_null(account);
    assert_true(takes(limits, &alice));
    fake.mono += 300 * FAKE_SECOND;
    assert_true(takes(limits, &bob));
    assert_ptr_equal(limits_enter(limits, &alice, &fault), account);
    assert_null(limits_enter(limits, &alice, &fault));
    limits_leave(limits, account);
    limits_leave(limits, account);
    assert_int_equal(take_all(limits, &alice), 6);
}

static void test_counters(void **state)
{
    struct limits *limits = *state;
    static const char *const names[LIMITS] = {
        "connections",
        "connections_per_address",
        "url_bytes",
        "header_bytes",
        "token_bytes",
        "body_bytes",
        "request_s",
        "idle_s",
        "requests_per_principal",
        "answer_bytes_per_principal",
        "actions_per_minute",
        "login_failures_per_address",
        "login_failures_per_user",
        "queue",
        "queue_s",
    };
    for (enum limit limit = 0; limit < LIMITS; limit++) {
        assert_string_equal(limit_name(limit), names[limit]);
        assert_int_equal(limits_count(limits, limit), 0);
        for (unsigned i = 0; i <= limit; i++)
            limits_reached(limits, limit, NULL);
        assert_int_equal(limits_count(limits, limit), limit + 1);
    }
}

/* What the log has, from log_begin() on. */
static int log_fd, kept_fd;

static void log_begin(void)
{
    char path[] = "/tmp/nmid-limits-XXXXXX";
    log_fd = mkstemp(path);
    assert_true(log_fd >= 0);
    unlink(path);
    kept_fd = dup(2);
    assert_true(dup2(log_fd, 2) == 2);
}

static const char *log_end(void)
{
    static char text[8192];
    dup2(kept_fd, 2);
    close(kept_fd);
    ssize_t len = pread(log_fd, text, sizeof text - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    close(log_fd);
    return text;
}

static unsigned count_in(const char *text, const char *part)
{
    unsigned count = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        count++;
    return count;
}

/* One line a minute for each, whatever comes; and who it was. */
static void test_log(void **state)
{
    struct limits *limits = *state;
    log_begin();
    for (unsigned i = 0; i < 1000; i++)
        limits_reached(limits, LIMIT_CONNECTIONS, i == 0 ? "192.0.2.1" : "192.0.2.2");
    for (unsigned i = 0; i < 1000; i++)
        limits_reached(limits, LIMIT_IDLE_S, "192.0.2.1");
    fake.mono += 61 * FAKE_SECOND;
    limits_reached(limits, LIMIT_CONNECTIONS, "2001:db8::1");
    limits_reached(limits, LIMIT_CONNECTIONS, "2001:db8::1");
    fake.mono += 61 * FAKE_SECOND;
    limits_reached(limits, LIMIT_CONNECTIONS, NULL);
    const char *text = log_end();
    assert_int_equal(count_in(text, "\n"), 3);
    assert_int_equal(count_in(text, "nmid: warning: limits.connections (7) reached"), 3);
    assert_int_equal(count_in(text, "(7) reached by 192.0.2.1\n"), 1);
    assert_int_equal(
        count_in(text, "(7) reached by 2001:db8::1 (999 times more since the last line)\n"), 1);
    assert_int_equal(count_in(text, "(7) reached (once more since the last line)\n"), 1);
}

/* Principals are told by name and project, and no name makes a line of its own, or a long one. */
static void test_log_of_principals(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    char name[1000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    const struct principal demo = {.user = "alice", .project_id = "demo", .method = "keystone"};
    const struct principal evil = {.user = "\nnmid: error: \033[31m", .method = "keystone"};
    const struct principal named = {.user = name, .project_id = name, .method = "keystone"};
    log_begin();
    struct account *account = limits_enter(limits, &demo, &fault);
    assert_int_equal(limits_hold_answer(limits, account, 200000, &fault), 0);
    assert_int_equal(limits_may_list(limits, account, &fault), -1);
    limits_enter(limits, &demo, &fault);
    assert_null(limits_enter(limits, &demo, &fault));
    assert_int_equal(take_all(limits, &evil), 6);
    limits_reached_by(limits, LIMIT_QUEUE, &named);
    limits_reached_by(limits, LIMIT_QUEUE_S, &alice);
    limits_reached(limits, LIMIT_REQUEST_S, "unix");
    limits_fields_reached(limits, 100, "192.0.2.1");
    limits_fields_reached(limits, 100, "192.0.2.1");
    const char *text = log_end();
    assert_int_equal(count_in(text, "\n"), 7);
    assert_int_equal(count_in(text, " warning: "), 7);
    assert_int_equal(count_in(text, "limits.requests_per_principal (2) reached by alice (project demo)\n"), 1);
    assert_int_equal(
        count_in(text, "limits.answer_bytes_per_principal (100000) reached by alice (project demo)\n"), 1);
    assert_int_equal(
        count_in(text, "limits.actions_per_minute (6) reached by \\x0anmid: error: \\x1b[31m\n"), 1);
    assert_int_equal(count_in(text, "limits.queue (5) reached by xxx"), 1);
    assert_int_equal(count_in(text, "xxxxxxxxxx"), 2 * (100 - 9));
    assert_int_equal(count_in(text, "limits.queue_s (9) reached by alice\n"), 1);
    assert_int_equal(count_in(text, "limits.request_s (0) reached by a client of a UNIX socket\n"), 1);
    assert_int_equal(count_in(text, "a request with more than 100 header fields was refused, from 192.0.2.1\n"), 1);
    assert_int_equal(limits_count(limits, LIMIT_HEADER_BYTES), 2);
    limits_drop_answer(account, 200000);
    limits_leave(limits, account);
    limits_leave(limits, account);
}

static void test_no_memory(void **state)
{
    struct limits *limits = *state;
    struct fault fault = {0};
    no_memory = true;
    assert_null(limits_enter(limits, &alice, &fault));
    assert_int_equal(fault.code, FAULT_MEMORY);
    fault = (struct fault){0};
    assert_int_equal(limits_take_action(limits, &alice, &fault), -1);
    assert_int_equal(fault.code, FAULT_MEMORY);
    fault = (struct fault){0};
    assert_null(limits_new(&conf, &fault));
    assert_int_equal(fault.code, FAULT_MEMORY);
    no_memory = false;
    assert_int_equal(take_all(limits, &alice), 6);
}

/* Without the object nothing is limited. */
static void test_none(void **state)
{
    struct fault fault = {0};
    (void)state;
    assert_null(limits_enter(NULL, &alice, &fault));
    limits_leave(NULL, NULL);
    assert_int_equal(limits_take_action(NULL, &alice, &fault), 0);
    limits_reached(NULL, LIMIT_IDLE_S, NULL);
    limits_reached_by(NULL, LIMIT_QUEUE, &alice);
    limits_fields_reached(NULL, 100, "unix");
    limits_configure(NULL, &conf);
    assert_int_equal(limits_count(NULL, LIMIT_IDLE_S), 0);
    limits_free(NULL);
    assert_int_equal(fault.code, FAULT_NONE);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_actions),
        CASE(test_actions_over_time),
        CASE(test_actions_reload),
        CASE(test_requests),
        CASE(test_answers),
        CASE(test_who),
        CASE(test_memory),
        CASE(test_counters),
        CASE(test_long_request),
        CASE(test_log),
        CASE(test_log_of_principals),
        CASE(test_none),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

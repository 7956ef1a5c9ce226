/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is counted of failed log-ins, for whom, how long, and what follows from it. Time is
 * simulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "core/attempts.h"
#include "fake_loop.h"

#define S FAKE_SECOND

static struct loop *loop;
static struct limits *limits;
static struct attempts *attempts;
static struct conf_limits conf;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    conf = (struct conf_limits){
        .login_failures_per_address = 20, .login_failures_per_user = 10, .login_failures_s = 300};
    assert_non_null(loop = loop_new(NULL));
    assert_non_null(limits = limits_new(&conf, NULL));
    assert_non_null(attempts = attempts_new(loop, &conf, limits, NULL));
    log_set_level(LOG_LEVEL_ERROR);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    attempts_free(attempts);
    limits_free(limits);
    loop_free(loop);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

/* user NULL: a token; "-": nobody is named. */
static struct attempt from(const char *address, const char *user)
{
    struct attempt attempt;
    attempt_begin(&attempt, attempts, address);
    if (user == NULL || strcmp(user, "-") != 0)
        attempt_name(&attempt, user);
    return attempt;
}

/* A digest that nothing else has. */
static const char *new_digest(void)
{
    static char text[65];
    static unsigned number;
    snprintf(text, sizeof text, "%032x", ++number);
    return text;
}

static void fail_times(const char *address, const char *user, unsigned times)
{
    struct attempt attempt = from(address, user);
    for (unsigned i = 0; i < times; i++)
        attempt_wrong(&attempt, new_digest(), user);
}

static void succeed(const char *address, const char *user)
{
    struct attempt attempt = from(address, user);
    attempt_right(&attempt, true);
}

static bool admitted(const char *address, const char *user)
{
    struct attempt attempt = from(address, user);
    struct fault fault = {0};
    int result = attempt_admit(&attempt, &fault);
    assert_int_equal(fault.code, result == 0 ? FAULT_NONE : FAULT_TOO_MANY);
    return result == 0;
}

static int64_t delay_of(const char *address, const char *user)
{
    struct attempt attempt = from(address, user);
    attempt_slow(&attempt);
    return attempt.delay_us;
}

/* ---- Addresses ---- */

static void test_address(void **state)
{
    struct attempt attempt = from("10.0.0.9", "-");
    struct fault fault = {0};
    (void)state;
    fail_times("10.0.0.9", "-", 19);
    assert_true(admitted("10.0.0.9", "-"));
    fail_times("10.0.0.9", "-", 1);
    assert_int_equal(attempt_admit(&attempt, &fault), -1);
    assert_string_equal(fault.message, "Too many failed log-ins: try again in 300 s.");
    assert_int_equal(limits_count(limits, LIMIT_LOGIN_FAILURES_PER_ADDRESS), 1);
    assert_int_equal(limits_count(limits, LIMIT_LOGIN_FAILURES_PER_USER), 0);
    assert_false(admitted("10.0.0.9", "alice"));
    assert_false(admitted("::ffff:10.0.0.9", "alice")); /* the same */
    assert_false(admitted("10.0.0.9", NULL));
    assert_true(admitted("10.0.0.90", "alice"));
    /* Being refused prolongs nothing. */
    fake.mono += 299 * S + 500000;
    fault = (struct fault){0};
    assert_int_equal(attempt_admit(&attempt, &fault), -1);
    assert_string_equal(fault.message, "Too many failed log-ins: try again in 1 s.");
    fake.mono += 500000;
    assert_true(admitted("10.0.0.9", "-"));
    /* And they are all forgotten. */
    fail_times("10.0.0.9", "-", 19);
    assert_true(admitted("10.0.0.9", "-"));
    /* Failures that are further apart than login_failures_s never come to anything. */
    for (int i = 0; i < 30; i++) {
        fake.mono += 300 * S;
        fail_times("10.0.0.9", "-", 1);
        assert_true(admitted("10.0.0.9", "-"));
    }
}

static void test_ipv6(void **state)
{
    char text[64];
    (void)state;
    /* One machine has all addresses of its /64. */
    for (unsigned i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "2001:db8:0:7:%x::%x", i, i + 1);
        fail_times(text, "-", 1);
    }
    assert_false(admitted("2001:db8:0:7::ffff", "-"));
    assert_true(admitted("2001:db8:0:8::1", "-"));
    assert_true(admitted("2001:db8::7", "-"));
}

/* Behind these a proxy may stand, and everybody behind that. */
static void test_exempt(void **state)
{
    static const char *const addresses[] = {"127.0.0.1", "127.9.9.9", "::1", "unix",
                                            "::ffff:127.0.0.1"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        fail_times(addresses[i], "-", 100);
        assert_true(admitted(addresses[i], "-"));
        assert_true(admitted(addresses[i], "alice"));
    }
    fail_times("127.0.0.1", "alice", 10);
    assert_false(admitted("127.0.0.1", "alice"));
    assert_false(admitted("unix", "alice"));
    assert_true(admitted("127.0.0.1", "bob"));
}

/* ---- Users ---- */

static void test_user(void **state)
{
    char address[32];
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        assert_true(admitted("10.9.9.9", "alice"));
        snprintf(address, sizeof address, "10.0.0.%u", i);
        fail_times(address, "alice", 1);
    }
    assert_false(admitted("10.9.9.9", "alice"));
    assert_int_equal(limits_count(limits, LIMIT_LOGIN_FAILURES_PER_USER), 1);
    assert_true(admitted("10.9.9.9", "alic"));
    assert_true(admitted("10.9.9.9", "Alice"));
    assert_true(admitted("10.9.9.9", "-"));
    fake.mono += 300 * S;
    assert_true(admitted("10.9.9.9", "alice"));
}

/* Whoever knows the password is not shut out by whoever guesses it. */
static void test_pair(void **state)
{
    (void)state;
    succeed("10.0.0.1", "ironic");
    fail_times("10.0.0.9", "ironic", 10);
    assert_false(admitted("10.0.0.9", "ironic"));
    assert_false(admitted("10.0.0.2", "ironic")); /* from elsewhere: not known */
    assert_true(admitted("10.0.0.1", "ironic"));
    /* Nor by somebody else's failures at the same address. */
    fail_times("10.0.0.1", "cron", 10);
    fail_times("10.0.0.1", "other", 10);
    assert_false(admitted("10.0.0.1", "third"));
    assert_true(admitted("10.0.0.1", "ironic"));
    assert_int_equal(delay_of("10.0.0.1", "ironic"), 0);
    /* The pair's own failures do, and are nobody else's. */
    fake.mono += 300 * S;
    fail_times("10.0.0.1", "ironic", 9);
    assert_true(admitted("10.0.0.1", "ironic"));
    fail_times("10.0.0.1", "ironic", 1);
    assert_false(admitted("10.0.0.1", "ironic"));
    assert_true(admitted("10.0.0.1", "third"));
    assert_true(admitted("10.0.0.2", "ironic"));
    fake.mono += 300 * S;
    assert_true(admitted("10.0.0.1", "ironic"));
    /* A day without a log-in, and it is a stranger again. */
    fake.mono += FAKE_DAY - 600 * S - 1;
    fail_times("10.0.0.9", "ironic", 10);
    assert_true(admitted("10.0.0.1", "ironic"));
    fake.mono += 1;
    assert_false(admitted("10.0.0.1", "ironic"));
}

/* A right password forgets the pair's failures, but not those of the user or the address; and not
 * so often that somebody at the same address could guess between two log-ins. */
static void test_success(void **state)
{
    struct attempt remembered = from("10.0.0.1", "alice");
    (void)state;
    succeed("10.0.0.1", "alice");
    fail_times("10.0.0.1", "alice", 9);
    attempt_right(&remembered, false); /* not checked: tells nothing */
    fail_times("10.0.0.1", "alice", 1);
    assert_false(admitted("10.0.0.1", "alice"));
    fake.mono += 300 * S;

    fail_times("10.0.0.1", "alice", 9);
    succeed("10.0.0.1", "alice");
    fail_times("10.0.0.1", "alice", 9);
    assert_true(admitted("10.0.0.1", "alice"));
    fake.mono += 299 * S;
    succeed("10.0.0.1", "alice"); /* too early */
    fail_times("10.0.0.1", "alice", 1);
    assert_false(admitted("10.0.0.1", "alice"));

    fail_times("10.0.0.9", "alice", 9);
    fail_times("10.0.0.9", "bob", 9);
    succeed("10.0.0.9", "mallory");
    fail_times("10.0.0.8", "alice", 1);
    assert_false(admitted("10.0.0.7", "alice"));
    fail_times("10.0.0.9", "-", 2);
    assert_false(admitted("10.0.0.9", "-"));
    assert_true(admitted("10.0.0.9", "mallory"));
}

/* ---- What is repeated ---- */

static void test_repeated(void **state)
{
    struct attempt attempt = from("10.0.0.9", "alice"), other = from("10.0.0.8", "alice");
    (void)state;
    char digest[65];
    snprintf(digest, sizeof digest, "%s", new_digest());
    assert_false(attempt_was_wrong(&attempt, digest));
    for (int i = 0; i < 1000; i++)
        attempt_wrong(i % 2 == 0 ? &attempt : &other, digest, "alice");
    assert_true(attempt_was_wrong(&attempt, digest));
    assert_true(admitted("10.0.0.9", "alice"));
    assert_int_equal(delay_of("10.0.0.9", "alice"), 0);
    fail_times("10.0.0.9", "alice", 8);
    assert_true(admitted("10.0.0.9", "alice"));
    fail_times("10.0.0.9", "alice", 1);
    assert_false(admitted("10.0.0.9", "alice"));
    fake.mono += 300 * S;
    /* Once every login_failures_s: that alone never comes to anything. */
    for (int i = 0; i < 30; i++) {
        assert_false(attempt_was_wrong(&attempt, digest));
        attempt_wrong(&attempt, digest, "alice");
        assert_true(admitted("10.0.0.9", "alice"));
        assert_int_equal(delay_of("10.0.0.9", "alice"), 0);
        fake.mono += 300 * S;
    }
}

/* ---- Tokens ---- */

static void test_tokens(void **state)
{
    (void)state;
    fail_times("10.0.0.9", NULL, 20);
    assert_false(admitted("10.0.0.9", NULL));
    /* Many clients behind an address that brings good ones too. */
    succeed("10.0.0.1", NULL);
    fail_times("10.0.0.1", NULL, 199);
    assert_true(admitted("10.0.0.1", NULL));
    fail_times("10.0.0.1", NULL, 1);
    assert_false(admitted("10.0.0.1", NULL));
    /* Behind a proxy on this host are all its clients: one's bad tokens shut no other out. */
    succeed("127.0.0.1", NULL);
    fail_times("127.0.0.1", NULL, 300);
    assert_true(admitted("127.0.0.1", NULL));
    /* A token's failures are no user's, and a good one makes no password's attempt trusted. */
    assert_int_equal(limits_count(limits, LIMIT_LOGIN_FAILURES_PER_USER), 0);
    assert_true(admitted("10.0.0.1", "alice"));
    fail_times("10.0.0.9", "alice", 1);
    assert_false(admitted("10.0.0.9", "alice"));
}

/* ---- Under way ---- */

static int enter(struct attempt *attempt)
{
    struct fault fault = {0};
    int result = attempt_enter(attempt, &fault);
    assert_int_equal(fault.code, result == 0 ? FAULT_NONE : FAULT_TOO_MANY);
    return result;
}

/* A thousand guesses at once are not a thousand guesses. */
static void test_under_way(void **state)
{
    struct attempt at[12];
    char name[32], address[32];
    (void)state;
    /* Four of an address. */
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "user %d", i);
        at[i] = from("10.0.0.9", name);
        assert_int_equal(enter(&at[i]), i < 4 ? 0 : -1);
    }
    attempt_leave(&at[4]); /* was not in */
    assert_int_equal(enter(&at[4]), -1);
    attempt_leave(&at[0]);
    attempt_leave(&at[0]);
    assert_int_equal(enter(&at[4]), 0);
    assert_int_equal(enter(&at[0]), -1);
    /* Of a user as many as may still fail. */
    fail_times("10.0.0.8", "alice", 3);
    for (int i = 0; i < 8; i++) {
        snprintf(address, sizeof address, "10.0.1.%d", i);
        at[i] = from(address, "alice");
        assert_int_equal(enter(&at[i]), i < 7 ? 0 : -1);
    }
    /* Whoever has been right before has room of their own. */
    succeed("10.0.0.9", "alice");
    for (int i = 0; i < 11; i++) {
        at[i] = from("10.0.0.9", "alice");
        assert_int_equal(enter(&at[i]), i < 10 ? 0 : -1);
    }
    /* No limit of addresses for loopback. */
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "user %d", 20 + i);
        at[i] = from("127.0.0.1", name);
        assert_int_equal(enter(&at[i]), 0);
    }
}

static void test_rank(void **state)
{
    struct attempt a = from("10.0.0.9", "alice"), b = from("10.0.0.9", "bob");
    (void)state;
    assert_int_equal(enter(&a), 0);
    assert_int_equal(attempt_rank(&a), 1);
    assert_int_equal(enter(&b), 0);
    assert_int_equal(attempt_rank(&b), 2);
    attempt_leave(&a);
    assert_int_equal(attempt_rank(&b), 1);
    attempt_wrong(&a, new_digest(), NULL);
    assert_int_equal(attempt_rank(&b), 2);
    attempt_right(&b, true);
    assert_int_equal(attempt_rank(&b), 0);
    a = from("127.0.0.1", "alice");
    assert_int_equal(enter(&a), 0);
    assert_int_equal(attempt_rank(&a), 2);
}

/* ---- Later and later ---- */

static void test_slow(void **state)
{
    static const int64_t delays_ms[] = {0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    (void)state;
    conf.login_failures_per_user = 0;
    attempts_configure(attempts, &conf);
    for (size_t i = 0; i < sizeof delays_ms / sizeof delays_ms[0]; i++) {
        assert_int_equal(delay_of("10.0.0.9", "alice"), delays_ms[i] * 1000);
        assert_int_equal(delay_of("10.0.0.9", "bob"), delays_ms[i] * 1000);
        assert_int_equal(delay_of("10.0.0.8", "alice"), 0);
        fail_times("10.0.0.9", "alice", 1);
    }
    fail_times("10.0.0.9", "alice", 100000);
    assert_int_equal(delay_of("10.0.0.9", "alice"), 5 * S);
    /* Of two counters the one that has more. */
    conf.login_failures_per_user = 10;
    attempts_configure(attempts, &conf);
    fail_times("10.0.0.7", "carol", 5);
    assert_int_equal(delay_of("10.0.0.6", "carol"), 200000);
}

static unsigned called;

static void on_delay(void *arg)
{
    (void)arg;
    called++;
}

static void test_delays(void **state)
{
    struct delays *delays = attempts_delays(attempts);
    struct attempt attempt = from("10.0.0.9", "alice");
    struct fault fault = {0};
    (void)state;
    called = 0;
    struct delay *first = delay_start(delays, 100000, on_delay, NULL);
    for (int i = 1; i < 256; i++) {
        assert_int_equal(attempt_may_wait(&attempt, &fault), 0);
        assert_non_null(delay_start(delays, 2 * S, on_delay, NULL));
    }
    assert_true(delays_full(delays));
    assert_null(delay_start(delays, 2 * S, on_delay, NULL));
    assert_int_equal(attempt_may_wait(&attempt, &fault), -1);
    assert_int_equal(fault.code, FAULT_TOO_MANY);
    assert_string_equal(fault.message, "Too many log-ins have failed: try again in a moment.");
    delay_cancel(first);
    fake_run_for(loop, 2 * S - 1);
    assert_int_equal(called, 0);
    fake_run_for(loop, 1);
    assert_int_equal(called, 255);
    /* At the end nothing waits. */
    assert_non_null(delay_start(delays, 2 * S, on_delay, NULL));
    assert_non_null(delay_start(delays, 2 * S, on_delay, NULL));
    attempts_hurry(attempts);
    assert_int_equal(called, 257);
    assert_null(delay_start(delays, 2 * S, on_delay, NULL));
    assert_int_equal(attempt_may_wait(&attempt, &fault), 0);
}

/* ---- Settings ---- */

static void test_off(void **state)
{
    (void)state;
    conf.login_failures_per_address = 0;
    attempts_configure(attempts, &conf);
    fail_times("10.0.0.9", "alice", 10);
    assert_true(admitted("10.0.0.9", "bob"));
    assert_false(admitted("10.0.0.8", "alice"));
    conf.login_failures_per_user = 0;
    attempts_configure(attempts, &conf);
    assert_true(admitted("10.0.0.8", "alice"));
    fail_times("10.0.0.9", "alice", 1000);
    assert_true(admitted("10.0.0.9", "alice"));
    assert_int_equal(delay_of("10.0.0.9", "alice"), 0);
    struct attempt attempt = from("10.0.0.9", "alice");
    for (int i = 0; i < 100; i++)
        assert_int_equal(enter(&attempt), 0);
    /* A pair has what there is. */
    conf.login_failures_per_address = 5;
    attempts_configure(attempts, &conf);
    succeed("10.0.0.1", "alice");
    fail_times("10.0.0.1", "alice", 5);
    assert_false(admitted("10.0.0.1", "alice"));
    /* What was counted before a reload stays counted. */
    conf.login_failures_per_address = 6;
    attempts_configure(attempts, &conf);
    assert_true(admitted("10.0.0.1", "alice"));
}

static void test_without(void **state)
{
    struct attempt attempt;
    (void)state;
    attempt_begin(&attempt, NULL, "10.0.0.9");
    attempt_name(&attempt, "alice");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(attempt_enter(&attempt, NULL), 0);
        attempt_wrong(&attempt, new_digest(), "alice");
    }
    assert_int_equal(attempt_admit(&attempt, NULL), 0);
    assert_false(attempt_is_trusted(&attempt) || attempt_was_wrong(&attempt, "x"));
    attempt_slow(&attempt);
    assert_int_equal(attempt.delay_us, 0);
    attempt_right(&attempt, true);
    attempt_leave(&attempt);
    attempts_free(NULL);
}

/* ---- Memory ---- */

static const char *address_number(unsigned i)
{
    static char text[32];
    snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
    return text;
}

/* However many come, so many are known; and what a flood has taken is given back. */
static void test_bounded(void **state)
{
    char name[32];
    (void)state;
    struct mallinfo2 before = mallinfo2();
    fail_times("192.0.2.1", "-", 20);
    fail_times("192.0.2.2", "alice", 10);
    succeed("192.0.2.3", "alice");
    for (unsigned i = 0; i < 65534; i++)
        fail_times(address_number(i), "-", 1);
    assert_false(admitted("192.0.2.1", "-")); /* the oldest of 65536 */
    fail_times(address_number(65534), "-", 1);
    assert_true(admitted("192.0.2.1", "-"));
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(name, sizeof name, "name %u", i);
        fail_times(address_number(i), name, 1);
    }
    size_t most = mallinfo2().uordblks - before.uordblks;
    for (unsigned i = 200000; i < 400000; i++) {
        snprintf(name, sizeof name, "name %u", i);
        fail_times(address_number(i), name, 1);
    }
    size_t after = mallinfo2().uordblks - before.uordblks;
    assert_true(admitted("192.0.2.3", "alice"));
    /* After a pause two entries go for each that comes. */
    fake.mono += 300 * S;
    for (unsigned i = 0; i < 40000; i++) {
        snprintf(name, sizeof name, "more %u", i);
        fail_times(address_number(i), name, 1);
    }
    if (before.uordblks == 0)
        return; /* a sanitizer's allocator tells nothing */
    assert_in_range(most, 1, 48u << 20);
    assert_true(after <= most + (1u << 20));
    assert_true(mallinfo2().uordblks - before.uordblks < most - (8u << 20));
}

/* What comes and is not even checked (the queue is full) pushes no failures out: else a flood of
 * names, which costs nothing, would buy as many guesses as one likes. */
static void test_flood(void **state)
{
    char name[32];
    (void)state;
    fail_times("192.0.2.1", "alice", 10);
    fail_times("192.0.2.2", "-", 20);
    for (unsigned i = 0; i < 70000; i++) {
        snprintf(name, sizeof name, "name %u", i);
        struct attempt proxied = from("127.0.0.1", name), far = from(address_number(i), "-");
        assert_int_equal(enter(&proxied), 0);
        attempt_leave(&proxied);
        assert_int_equal(enter(&far), 0);
        attempt_leave(&far);
    }
    assert_false(admitted("192.0.2.3", "alice"));
    assert_false(admitted("192.0.2.2", "-"));
}

/* ---- The log ---- */

static char logged[4096];

static void capture(void (*fn)(void))
{
    int saved = dup(STDERR_FILENO), fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(stderr);
    dup2(fds[1], STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    fn();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    ssize_t got = read(fds[0], logged, sizeof logged - 1);
    logged[got > 0 ? got : 0] = '\0';
    close(fds[0]);
}

static void make_blocks(void)
{
    struct attempt unknown = from("10.0.0.6", "secret-in-the-wrong-field");
    fail_times("10.0.0.9", "-", 25);
    fail_times("10.0.0.8", "alice", 10); /* within the pause of the log */
    fake.mono += 10 * S;
    for (int i = 0; i < 10; i++)
        attempt_wrong(&unknown, new_digest(), NULL);
    fake.mono += 10 * S;
    succeed("10.0.0.1", "bob");
    fail_times("10.0.0.1", "bob", 12);
}

static void test_log(void **state)
{
    (void)state;
    capture(make_blocks);
    assert_non_null(
        strstr(logged, "log-ins from 10.0.0.9 are refused for 300 s: 20 have failed\n"));
    assert_non_null(strstr(logged, "log-ins as an unknown user are refused for 300 s: 10 have "
                                   "failed (1 others since the last such line)\n"));
    assert_non_null(strstr(logged, "log-ins as bob from 10.0.0.1 are refused for 300 s: 10 have "
                                   "failed\n"));
    assert_null(strstr(logged, "secret"));
    assert_null(strstr(logged, "alice"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_address),   CASE(test_ipv6),    CASE(test_exempt),   CASE(test_user),
        CASE(test_pair),      CASE(test_success), CASE(test_repeated), CASE(test_tokens),
        CASE(test_under_way), CASE(test_rank),    CASE(test_slow),     CASE(test_delays),
        CASE(test_off),       CASE(test_without), CASE(test_bounded),  CASE(test_flood),
        CASE(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

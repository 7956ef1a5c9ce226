/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guesses against auth.h: the ways of authentication with what counts their failures (attempts.h).
 * Refusals that come later, and what becomes of them when the client leaves, the configuration is
 * read again, or nmid ends; and that a guess which is refused is not looked at. Hashes are real, of
 * the least cost; time, the pool and Keystone's client are simulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "core/attempts.h"
#include "core/audit.h"
#include "core/auth.h"
#include "fake_loop.h"

#define S    FAKE_SECOND
#define DAY  FAKE_DAY
#define HOST "10.0.0.1" /* where alice works */
#define EVIL "10.0.0.9"

static struct loop *loop;
static struct pool *pool;
static struct attempts *attempts;
static struct auth *auth;
static struct conf_auth conf;
static struct conf_policy policy;
static struct conf_limits limits;
static char path[64];

/* ---- The audit ---- */

static struct {
    unsigned count;
    char rule[32], claimed[64];
    enum fault_code code;
} audited;

int audit_record(struct audit *audit, const struct audit_record *record)
{
    (void)audit;
    audited.count++;
    audited.code = record->code;
    snprintf(audited.rule, sizeof audited.rule, "%s", record->rule);
    snprintf(audited.claimed, sizeof audited.claimed, "%s",
             record->claimed != NULL ? record->claimed : "-");
    return 0;
}

/* ---- The rig ---- */

static char *member[] = {(char *)"member"};
static struct conf_user users[] = {
    {.name = (char *)"alice", .project_id = (char *)"demo", .roles = {member, 1}},
    {.name = (char *)"bob", .project_id = (char *)"demo", .roles = {member, 1}},
};

static void write_users(const char *alice, const char *bob)
{
    static struct crypt_data data;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    dprintf(fd, "alice:%s\n", crypt_r(alice, "$2y$04$abcdefghijklmnopqrstuu", &data));
    dprintf(fd, "bob:%s\n", crypt_r(bob, "$2y$04$ABCDEFGHIJKLMNOPQRSTUu", &data));
    close(fd);
}

static struct auth *open_auth(void)
{
    struct auth *opened = auth_new(loop, &conf, &policy, NULL, &pool, NULL);
    assert_non_null(opened);
    auth_set_attempts(opened, attempts);
    return opened;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    memset(&audited, 0, sizeof audited);
    log_set_level(LOG_LEVEL_ERROR);
    strcpy(path, "/tmp/nmid-test-guesses-XXXXXX");
    close(mkstemp(path));
    write_users("wonderland", "builder");
    policy = (struct conf_policy){.roles = {[ROLE_MEMBER] = {member, 1}}};
    conf = (struct conf_auth){.strategy = AUTH_HTTP_BASIC,
                              .users = users,
                              .user_count = 2,
                              .user_file = path,
                              .cache_s = 60};
    limits = (struct conf_limits){
        .login_failures_per_address = 20, .login_failures_per_user = 10, .login_failures_s = 300};
    assert_non_null(loop = loop_new(NULL));
    assert_non_null(attempts = attempts_new(loop, &limits, NULL, NULL));
    auth = open_auth();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(auth);
    pool_free(pool);
    pool = NULL;
    attempts_free(attempts);
    loop_free(loop);
    unlink(path);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

/* ---- One who asks ---- */

struct asker {
    unsigned answers;
    enum fault_code code; /* FAULT_NONE: let in */
    char message[FAULT_MESSAGE_MAX];
    int64_t at;
    struct auth_call *call;
};

static void on_done(void *arg, struct identity *identity, const struct fault *fault)
{
    struct asker *asker = arg;
    asker->answers++;
    asker->call = NULL;
    asker->at = fake.mono;
    assert_true((identity == NULL) == (fault != NULL));
    asker->code = fault == NULL ? FAULT_NONE : fault->code;
    snprintf(asker->message, sizeof asker->message, "%s", fault == NULL ? "" : fault->message);
}

static void ask_raw(struct asker *asker, const char *address, const char *header)
{
    const struct credentials credentials = {
        .address = address, .authorization = header, .method = "GET", .path = "/"};
    *asker = (struct asker){.code = FAULT_CODES};
    struct auth_call *call = auth_check(auth, &credentials, on_done, asker);
    assert_true((call == NULL) == (asker->answers == 1));
    asker->call = call;
}

static void ask(struct asker *asker, const char *address, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char pair[256], header[400] = "Basic ", *out = header + 6;
    size_t len = (size_t)snprintf(pair, sizeof pair, "%s:%s", user, password);
    memset(pair + len, 0, 3);
    for (size_t i = 0; i < len; i += 3) {
        const unsigned char *p = (const unsigned char *)pair + i;
        unsigned bits = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
        for (unsigned j = 0; j < 4; j++)
            *out++ = i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    *out = '\0';
    ask_raw(asker, address, header);
}

/* Runs until it is answered; the milliseconds that took. */
static int64_t wait_ms(struct asker *asker)
{
    int64_t since = fake.mono;
    for (int i = 0; asker->answers == 0 && i < 2000; i++)
        fake_run_for(loop, 10000);
    assert_int_equal(asker->answers, 1);
    return (asker->at - since) / 1000;
}

static enum fault_code result(const char *address, const char *user, const char *password)
{
    struct asker asker;
    ask(&asker, address, user, password);
    wait_ms(&asker);
    return asker.code;
}

/* So many wrong passwords that are all different. */
static void guess(const char *address, const char *user, unsigned times)
{
    static unsigned number;
    char password[32];
    for (unsigned i = 0; i < times; i++) {
        snprintf(password, sizeof password, "guess %u", number++);
        assert_int_equal(result(address, user, password), FAULT_UNAUTHORIZED);
    }
}

/* ---- Later, then not at all ---- */

static void test_slow_then_refused(void **state)
{
    static const int64_t ms[] = {0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000};
    struct asker asker;
    char password[32];
    (void)state;
    for (size_t i = 0; i < 10; i++) {
        snprintf(password, sizeof password, "wrong %zu", i);
        ask(&asker, EVIL, "alice", password);
        assert_int_equal(wait_ms(&asker), ms[i]);
        assert_int_equal(asker.code, FAULT_UNAUTHORIZED);
        assert_string_equal(asker.message, "Incorrect username or password");
        assert_int_equal(audited.count, i + 1);
        assert_string_equal(audited.rule, "credentials");
    }
    /* At once, and nothing is checked: not even the right one. */
    unsigned long jobs = fake.jobs;
    ask(&asker, EVIL, "alice", "wonderland");
    assert_int_equal(asker.code, FAULT_TOO_MANY);
    assert_string_equal(asker.message, "Too many failed log-ins: try again in 295 s.");
    assert_string_equal(audited.rule, "limit");
    assert_string_equal(audited.claimed, "alice");
    assert_int_equal(audited.code, FAULT_TOO_MANY);
    assert_int_equal(audited.count, 11);
    assert_int_equal(fake.jobs, jobs);
    /* No credentials are no guess. */
    ask_raw(&asker, EVIL, NULL);
    assert_int_equal(asker.code, FAULT_UNAUTHORIZED);
    /* 429 prolongs nothing. */
    fake.mono += 294 * S;
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_TOO_MANY);
    fake.mono += S;
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_NONE);
}

/* Somebody who does not exist looks like somebody who does. */
static void test_no_oracle(void **state)
{
    struct asker known, unknown;
    char password[32];
    (void)state;
    for (int i = 0; i < 15; i++) {
        snprintf(password, sizeof password, "wrong %d", i);
        ask(&known, "10.0.0.7", "alice", password);
        int64_t ms = wait_ms(&known);
        unsigned long jobs = fake.jobs;
        ask(&unknown, "10.0.0.8", "nobody", password);
        assert_int_equal(wait_ms(&unknown), ms);
        assert_int_equal(known.code, unknown.code);
        assert_int_equal(known.code, i < 10 ? FAULT_UNAUTHORIZED : FAULT_TOO_MANY);
        assert_int_equal(fake.jobs - jobs, i < 10 ? 1 : 0);
        if (i < 10)
            assert_string_equal(known.message, unknown.message);
    }
    assert_string_equal(audited.claimed, "-");
    assert_non_null(strstr(unknown.message, "Too many failed log-ins: try again in "));
}

/* A password that is remembered is compared in no time: where guesses are refused, it must not pass
 * either, or all could be tried. But where its user has logged in, it does. */
static void test_remembered_is_no_oracle(void **state)
{
    struct asker asker;
    (void)state;
    assert_int_equal(result(HOST, "alice", "wonderland"), FAULT_NONE);
    guess(EVIL, "alice", 10);
    ask(&asker, EVIL, "alice", "wonderland");
    assert_int_equal(asker.code, FAULT_TOO_MANY);
    ask(&asker, HOST, "alice", "wonderland");
    assert_int_equal(asker.code, FAULT_NONE);
}

static void test_not_shut_out(void **state)
{
    struct asker asker;
    (void)state;
    assert_int_equal(result(HOST, "alice", "wonderland"), FAULT_NONE);
    guess(EVIL, "alice", 10);
    guess(HOST, "cron", 10);
    guess(HOST, "nobody", 10);
    assert_int_equal(result(HOST, "bob", "builder"), FAULT_TOO_MANY);
    fake.mono += 100 * S; /* no longer remembered: checked */
    unsigned long jobs = fake.jobs;
    ask(&asker, HOST, "alice", "wonderland");
    assert_int_equal(wait_ms(&asker), 0);
    assert_int_equal(asker.code, FAULT_NONE);
    assert_int_equal(fake.jobs, jobs + 1);
    guess(HOST, "alice", 3); /* typing mistakes */
    assert_int_equal(result(HOST, "alice", "wonderland"), FAULT_NONE);
}

/* The wrong one that comes again is refused without a check, until the file says otherwise. */
static void test_repeated(void **state)
{
    (void)state;
    assert_int_equal(result(EVIL, "alice", "through the looking-glass"), FAULT_UNAUTHORIZED);
    unsigned long jobs = fake.jobs;
    for (int i = 0; i < 100; i++)
        assert_int_equal(result(EVIL, "alice", "through the looking-glass"), FAULT_UNAUTHORIZED);
    assert_int_equal(fake.jobs, jobs);
    assert_int_equal(audited.count, 101);
    fake.mono += 2 * S;
    write_users("through the looking-glass", "builder");
    assert_int_equal(result(EVIL, "alice", "through the looking-glass"), FAULT_NONE);
    /* An unknown one too, until there is such a user. */
    assert_int_equal(result(EVIL, "carol", "x"), FAULT_UNAUTHORIZED);
    jobs = fake.jobs;
    assert_int_equal(result(EVIL, "carol", "x"), FAULT_UNAUTHORIZED);
    assert_int_equal(fake.jobs, jobs);
    /* Over a reload also. */
    auth_free(auth);
    auth = open_auth();
    assert_int_equal(result(EVIL, "carol", "x"), FAULT_UNAUTHORIZED);
    assert_int_equal(fake.jobs, jobs);
}

static void test_malformed(void **state)
{
    struct asker asker;
    char header[64];
    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(header, sizeof header, "Bearer %d", i);
        for (int again = 0; again < (i < 19 ? 3 : 1); again++) { /* the same count once */
            ask_raw(&asker, EVIL, header);
            wait_ms(&asker);
            assert_int_equal(asker.code, FAULT_UNAUTHORIZED);
        }
    }
    ask_raw(&asker, EVIL, "Bearer 0");
    assert_int_equal(asker.code, FAULT_TOO_MANY);
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_TOO_MANY);
    assert_int_equal(result("10.0.0.8", "alice", "wonderland"), FAULT_NONE);
}

/* ---- Many at once ---- */

static void test_at_once(void **state)
{
    struct asker askers[30], fresh, right;
    char password[32];
    (void)state;
    assert_int_equal(result(HOST, "bob", "builder"), FAULT_NONE);
    fake.mono += 61 * S;
    fake.hold = true;
    for (int i = 0; i < 30; i++) {
        snprintf(password, sizeof password, "at once %d", i);
        ask(&askers[i], EVIL, i % 2 == 0 ? "alice" : "bob", password);
        assert_int_equal(askers[i].answers, i < 4 ? 0 : 1);
        if (i >= 4)
            assert_int_equal(askers[i].code, FAULT_TOO_MANY);
    }
    assert_string_equal(askers[29].message,
                        "Too many log-ins are being checked: try again in a moment.");
    /* Equal ones are one. */
    ask(&askers[5], EVIL, "alice", "at once 0");
    assert_int_equal(askers[5].answers, 0);
    /* Whoever comes from an address without a failure overtakes them, and whoever has been here
     * before, all. */
    ask(&fresh, "10.0.0.3", "alice", "wonderland");
    ask(&right, HOST, "bob", "builder");
    unsigned long jobs = fake.jobs;
    fake.hold = false;
    while (right.answers == 0)
        fake_run_for(loop, 0);
    assert_int_equal(fake.jobs, jobs + 1);
    assert_int_equal(right.code, FAULT_NONE);
    assert_int_equal(fresh.answers, 0);
    fake_run_for(loop, S);
    assert_int_equal(fresh.code, FAULT_NONE);
    assert_int_equal(fake.jobs, jobs + 6);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(askers[i].code, FAULT_UNAUTHORIZED);
    }
    assert_int_equal(askers[5].code, FAULT_UNAUTHORIZED);
    /* All of it is over. */
    guess(EVIL, "carol", 4);
}

/* Who leaves before the answer has guessed all the same, once it was checked; and takes a place
 * until then. */
static void test_leaves(void **state)
{
    struct asker asker;
    char password[32];
    (void)state;
    fake.hold = true;
    for (int i = 0; i < 10; i++) {
        snprintf(password, sizeof password, "left %d", i);
        ask(&asker, EVIL, "alice", password);
        assert_int_equal(asker.answers, i < 4 ? 0 : 1);
        auth_cancel(asker.call);
    }
    fake.hold = false;
    fake_run_for(loop, S);
    guess(EVIL, "alice", 9); /* those that nobody awaited were not checked */
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_NONE);
}

static void test_leaves_behind_the_worker(void **state)
{
    struct asker asker;
    char password[32];
    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(password, sizeof password, "left %d", i);
        ask(&asker, EVIL, "alice", password);
        fake_run_for(loop, 0); /* the work is done, its completion is not */
        assert_int_equal(asker.answers, 0);
        auth_cancel(asker.call);
        fake_run_for(loop, S);
    }
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_TOO_MANY);
}

/* ---- While a refusal is held back ---- */

static void hold_one(struct asker *asker)
{
    static unsigned number;
    char password[32];
    snprintf(password, sizeof password, "held %u", number++);
    ask(asker, EVIL, "alice", password);
    fake_run_for(loop, 1000);
    assert_int_equal(asker->answers, 0);
}

static void test_cancelled(void **state)
{
    struct asker a, b;
    (void)state;
    guess(EVIL, "alice", 6);
    hold_one(&a);
    hold_one(&b);
    auth_cancel(a.call);
    wait_ms(&b);
    fake_run_for(loop, 10 * S);
    assert_int_equal(a.answers, 0);
    assert_int_equal(b.code, FAULT_UNAUTHORIZED);
}

static void test_reload(void **state)
{
    struct asker a, b;
    struct auth *old = auth;
    (void)state;
    guess(EVIL, "alice", 6);
    hold_one(&a);
    hold_one(&b);
    auth = open_auth();
    auth_free(old);
    assert_int_equal(a.code, FAULT_UNAUTHORIZED);
    assert_int_equal(b.code, FAULT_UNAUTHORIZED);
    /* What was counted stays. */
    guess(EVIL, "alice", 2);
    assert_int_equal(result(EVIL, "alice", "wonderland"), FAULT_TOO_MANY);
}

static void test_end(void **state)
{
    struct asker a, b;
    (void)state;
    guess(EVIL, "alice", 6);
    hold_one(&a);
    attempts_hurry(attempts);
    assert_int_equal(a.code, FAULT_UNAUTHORIZED);
    ask(&b, EVIL, "alice", "late");
    fake_run_for(loop, 1);
    assert_int_equal(b.code, FAULT_UNAUTHORIZED);
}

/* Those who hold up too many hear at once that they are too many. */
static void test_too_many_wait(void **state)
{
    struct asker askers[257];
    (void)state;
    ask(&askers[0], EVIL, "alice", "the one");
    fake_run_for(loop, 1000);
    guess(EVIL, "alice", 8);
    for (int i = 0; i < 257; i++) {
        ask(&askers[i], EVIL, "alice", "the one"); /* known as wrong: it counts no more */
        assert_int_equal(askers[i].answers, i < 256 ? 0 : 1);
    }
    assert_int_equal(askers[256].code, FAULT_TOO_MANY);
    assert_string_equal(audited.rule, "limit");
    fake_run_for(loop, 6 * S);
    for (int i = 0; i < 256; i++)
        assert_int_equal(askers[i].code, FAULT_UNAUTHORIZED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_slow_then_refused), CASE(test_no_oracle), CASE(test_remembered_is_no_oracle),
        CASE(test_not_shut_out),      CASE(test_repeated),  CASE(test_malformed),
        CASE(test_at_once),           CASE(test_leaves),    CASE(test_leaves_behind_the_worker),
        CASE(test_cancelled),         CASE(test_reload),    CASE(test_end),
        CASE(test_too_many_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

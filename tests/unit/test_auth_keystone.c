/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens as credentials: what is asked of Keystone, what is remembered of its answers, and for how
 * long; with a client and clocks of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/attempts.h"
#include "core/auth_state.h"
#include "core/verdicts.h"
#include "fake_client.h"

#define URL   "http://keystone.example/v3"
#define ALICE "secret-alice"
#define S     FAKE_S

/* ---- The rig ---- */

struct answer {
    unsigned times;
    enum fault_code code; /* FAULT_NONE: an identity */
    char why[FAULT_MESSAGE_MAX];
    char user[64], user_id[64], project_id[64];
    unsigned roles;
    bool system, administrator;
};

struct rig {
    struct conf_auth conf;
    struct conf_policy policy;
    void *self;
    struct answer last; /* the newest, of whomever */
    struct attempt attempt; /* nothing is counted */
    unsigned answers;
};

static struct rig rig;
static char *member[] = {"member"}, *reader[] = {"reader"}, *admin[] = {"admin"};

void auth_refuse(auth_done_fn *done, void *arg, enum fault_code code, const char *format, ...)
{
    struct fault fault = {.code = code};
    va_list args;
    va_start(args, format);
    vsnprintf(fault.message, sizeof fault.message, format, args);
    va_end(args);
    done(arg, NULL, &fault);
}

static void open_method(void)
{
    struct auth_settings settings = {.conf = &rig.conf, .policy = &rig.policy};
    rig.self = auth_keystone.open(&settings, NULL);
    assert_non_null(rig.self);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    rig = (struct rig){
        .conf = {.strategy = AUTH_KEYSTONE, .cache_s = 60, .cache_size = 100},
        .policy.roles =
            {[ROLE_READER] = {reader, 1}, [ROLE_MEMBER] = {member, 1}, [ROLE_ADMIN] = {admin, 1}},
    };
    rig.conf.keystone = (struct conf_keystone){
        .auth_url = URL, .user_id = "nmid", .project_id = "service", .timeout_ms = 5000};
    rig.conf.keystone.password = secret_new("secret-password", 15);
    open_method();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_keystone.close(rig.self);
    secret_free(rig.conf.keystone.password);
    assert_int_equal(fake_logged("secret"), 0);
    return 0;
}

static void copy(char text[64], const char *value)
{
    snprintf(text, 64, "%s", value != NULL ? value : "-");
}

static void on_done(void *arg, struct identity *identity, const struct fault *fault)
{
    struct answer *answer = arg;
    rig.answers++;
    answer->times++;
    assert_int_equal(identity == NULL, fault != NULL);
    if (identity != NULL) {
        const struct principal *principal = &identity->principal;
        answer->code = FAULT_NONE;
        copy(answer->user, principal->user);
        copy(answer->user_id, principal->user_id);
        copy(answer->project_id, principal->project_id);
        assert_string_equal(principal->method, "keystone");
        answer->roles = principal->roles;
        answer->system = principal->system;
        answer->administrator = principal->administrator;
    } else {
        answer->code = fault->code;
        snprintf(answer->why, sizeof answer->why, "%s", fault->message);
        assert_null(strstr(answer->why, "secret"));
    }
    rig.last = *answer;
}

static void *check(const char *token, struct answer *answer)
{
    struct credentials credentials = {
        .address = "10.0.0.1", .token = token, .attempt = &rig.attempt};
    return auth_keystone.check(rig.self, &credentials, on_done, answer);
}

/* A check that is answered at once. */
static enum fault_code check_now(const char *token)
{
    struct answer answer = {0};
    assert_null(check(token, &answer));
    assert_int_equal(answer.times, 1);
    return answer.code;
}

static void time_text(int64_t wall_us, char text[32])
{
    time_t seconds = (time_t)(wall_us / S);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
}

/* Keystone's body for a token that lasts so long from now. */
static const char *body(const char *more, int seconds)
{
    static char text[2048];
    char issued[32], expires[32];
    time_text(fake_wall - 3600 * S, issued);
    time_text(fake_wall + seconds * S, expires);
    snprintf(text, sizeof text,
             "{\"token\":{\"user\":{\"id\":\"alice-id\",\"name\":\"alice\"},\"issued_at\":\"%s\","
             "\"expires_at\":\"%s\"%s}}",
             issued, expires, more);
    return text;
}

#define DEMO ",\"project\":{\"id\":\"demo-id\"},\"roles\":[{\"name\":\"member\"}]"

/* Answers nmid's own log-in, which must be what is under way. */
static void log_in(const char *token)
{
    struct client_call *call = fake_call(fake_count() - 1);
    assert_string_equal(call->method, "POST");
    fake_answer(call, 201, token, body("", 7200));
}

/* nmid has its own token, and alice's has been validated. */
static void begin(void)
{
    struct answer answer = {0};
    assert_non_null(check(ALICE, &answer));
    log_in("secret-own");
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.times, 1);
    assert_int_equal(answer.code, FAULT_NONE);
}

/* ---- One token ---- */

static void test_no_token(void **state)
{
    char longest[8200];
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[8193] = '\0';
    assert_int_equal(check_now(NULL), FAULT_UNAUTHORIZED);
    assert_string_equal(rig.last.why, "The request you have made requires authentication: there is "
                                      "no X-Auth-Token.");
    assert_int_equal(check_now(""), FAULT_UNAUTHORIZED);
    assert_int_equal(check_now("secret a"), FAULT_UNAUTHORIZED);
    assert_int_equal(check_now("secret\r\nX-Auth-Token: b"), FAULT_UNAUTHORIZED);
    assert_int_equal(check_now("secret\xc3\xa4"), FAULT_UNAUTHORIZED);
    assert_int_equal(check_now(longest), FAULT_UNAUTHORIZED);
    assert_int_equal(fake_started, 1); /* nmid's own log-in */
}

/* nmid logs in before anybody comes, and the log has what is wrong with it. */
static void test_first_log_in(void **state)
{
    (void)state;
    assert_int_equal(fake_count(), 1);
    assert_string_equal(fake_call(0)->method, "POST");
    fake_answer(fake_call(0), 401, NULL, NULL);
    assert_int_equal(fake_logged("error: Keystone (" URL ") refuses nmid's log-in (401)"), 1);
    fake_pass(S);
    begin(); /* with a log-in of its own */
    assert_int_equal(fake_started, 3);
    auth_keystone.close(rig.self);
    open_method();
    assert_int_equal(fake_count(), 1);
    log_in("secret-own");
    struct answer answer = {0};
    assert_non_null(check(ALICE, &answer));
    assert_int_equal(fake_started, 5); /* none more */
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.code, FAULT_NONE);
}

static void test_valid(void **state)
{
    struct answer answer = {0};
    (void)state;
    assert_non_null(check(ALICE, &answer));
    assert_int_equal(fake_count(), 1);
    log_in("secret-own");
    assert_int_equal(fake_count(), 1);
    const struct client_call *call = fake_call(0);
    assert_string_equal(call->method, "GET");
    assert_string_equal(call->url, URL "/auth/tokens?nocatalog");
    assert_string_equal(fake_header(call, "X-Auth-Token"), "secret-own");
    assert_string_equal(fake_header(call, "X-Subject-Token"), ALICE);
    /* Keystone refuses a token with access rules to who does not say that he knows them. */
    assert_null(fake_header(call, "OpenStack-Identity-Access-Rules"));
    assert_int_equal(call->timeout_ms, 5000);
    assert_int_equal(answer.times, 0);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.times, 1);
    assert_int_equal(answer.code, FAULT_NONE);
    assert_string_equal(answer.user, "alice");
    assert_string_equal(answer.user_id, "alice-id");
    assert_string_equal(answer.project_id, "demo-id");
    assert_int_equal(answer.roles, ROLE_BIT(ROLE_MEMBER) | ROLE_BIT(ROLE_READER));
    assert_false(answer.system || answer.administrator);
    assert_string_equal(fake_log, "");
}

/* What a token is good for. */
static void test_scopes(void **state)
{
    static const struct {
        const char *more;
        enum fault_code code;
        bool system, administrator;
        const char *project_id;
    } rows[] = {
        {",\"project\":{\"id\":\"p\"},\"roles\":[{\"name\":\"admin\"}]", 0, false, true, "p"},
        {",\"project\":{\"id\":\"p\"},\"roles\":[{\"name\":\"cook\"}]", 0, false, false, "p"},
        {",\"project\":{\"id\":\"p\"}", 0, false, false, "p"},
        {",\"system\":{\"all\":true},\"roles\":[{\"name\":\"reader\"}]", 0, true, false, "-"},
        {",\"system\":{\"all\":true},\"roles\":[{\"name\":\"admin\"}]", 0, true, true, "-"},
        {"", FAULT_FORBIDDEN, false, false, NULL},
        {",\"domain\":{\"id\":\"d\"},\"roles\":[{\"name\":\"admin\"}]", FAULT_FORBIDDEN, false,
         false, NULL},
        {DEMO ",\"application_credential\":{\"id\":\"a\",\"restricted\":true}", 0, false, false,
         "demo-id"},
        {DEMO ",\"application_credential\":{\"id\":\"a\",\"access_rules\":[{\"path\":\"/\"}]}",
         FAULT_FORBIDDEN, false, false, NULL},
    };
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char token[32];
        snprintf(token, sizeof token, "secret-%zu", i);
        struct answer answer = {0};
        assert_non_null(check(token, &answer));
        fake_answer(fake_call(0), 200, NULL, body(rows[i].more, 3000));
        assert_int_equal(answer.times, 1);
        assert_int_equal(answer.code, rows[i].code);
        assert_int_equal(check_now(token), rows[i].code); /* the same from memory */
        if (answer.code != FAULT_NONE)
            continue;
        assert_int_equal(rig.last.system, rows[i].system);
        assert_int_equal(rig.last.administrator, rows[i].administrator);
        assert_string_equal(rig.last.project_id, rows[i].project_id);
    }
}

static void test_invalid(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    check("secret-bad", &answer);
    fake_answer(fake_call(0), 404, NULL,
                "{\"error\":{\"message\":\"Could not find token: secret-bad.\"}}");
    assert_int_equal(answer.code, FAULT_UNAUTHORIZED);
    assert_string_equal(answer.why, "The request you have made requires authentication: the token "
                                    "is not valid, or not any more.");
    assert_int_equal(check_now("secret-bad"), FAULT_UNAUTHORIZED);
    assert_int_equal(fake_count(), 0);
    fake_pass(10 * S); /* and no longer */
    assert_non_null(check("secret-bad", &answer));
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.code, FAULT_NONE);
    assert_string_equal(fake_log, "");
}

/* ---- Keystone's troubles ---- */

static void test_failures(void **state)
{
    static const struct {
        unsigned status;
        const char *body, *log;
    } rows[] = {
        {0, NULL, "tokens cannot be validated: Connection refused"},
        {403, NULL, "it needs the role service"},
        {400, NULL, "the answer is 400"},
        {500, NULL, "the answer is 500"},
        {302, NULL, "the answer is 302"},
        {201, NULL, "the answer is 201"},
        {200, "", "it is no JSON"},
        {200, "<secret>", "it is no JSON"},
        {200, "{\"token\":{\"roles\":[\"secret\"]}}", "\"user\" has no good \"id\""},
    };
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = {0};
        fake_pass(60 * S); /* each may be logged */
        check("secret-x", &answer);
        fake_answer(fake_call(0), rows[i].status, NULL, rows[i].body);
        assert_int_equal(answer.code, FAULT_IDENTITY);
        assert_string_equal(answer.why, "Keystone cannot be asked who you are: try again later.");
        if (fake_logged(rows[i].log) == 0)
            fail_msg("%s is not in %s", rows[i].log, fake_log);
        assert_int_equal(fake_logged("error: "), i + 1);
    }
    struct answer answer = {0};
    check("secret-x", &answer); /* nothing is remembered of it */
    fake_answer_cut(fake_call(0), 200, NULL);
    assert_int_equal(answer.code, FAULT_IDENTITY);
    assert_int_equal(fake_logged("too long"), 0); /* within the minute */
    check("secret-x", &answer);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.code, FAULT_NONE);
    assert_int_equal(fake_logged("info: Keystone (" URL "): tokens are validated again"), 1);
}

/* Trouble that comes and goes has a line a minute, and one for its end. */
static void test_flapping(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 40; i++) {
        struct answer answer = {0};
        char token[32];
        snprintf(token, sizeof token, "secret-%u", i);
        fake_pass(2 * S);
        check(token, &answer);
        fake_answer(fake_call(0), i % 2 == 0 ? 500 : 404, NULL, NULL);
        assert_int_equal(answer.code, i % 2 == 0 ? FAULT_IDENTITY : FAULT_UNAUTHORIZED);
    }
    assert_int_equal(fake_logged("error: "), 2);
    assert_int_equal(fake_logged("info: "), 2);
    assert_int_equal(fake_logged("(14 times more since the last line)"), 1);
}

/* What was validated before is taken while Keystone is down, until its time is over. */
static void test_down(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    fake_pass(59 * S);
    assert_int_equal(check_now(ALICE), FAULT_NONE);
    fake_pass(S);
    assert_non_null(check(ALICE, &answer));
    fake_answer(fake_call(0), 0, NULL, NULL);
    assert_int_equal(answer.code, FAULT_IDENTITY);
}

static void test_no_log_in(void **state)
{
    struct answer answer = {0};
    (void)state;
    check(ALICE, &answer);
    fake_answer(fake_call(0), 401, NULL, NULL);
    assert_int_equal(answer.code, FAULT_IDENTITY);
    assert_string_equal(answer.why, "Keystone cannot be asked who you are: try again later.");
    assert_int_equal(fake_logged("refuses nmid's log-in (401)"), 1);
    assert_int_equal(check_now(ALICE), FAULT_IDENTITY); /* none for a second: at once */
    assert_int_equal(fake_started, 1);
    fake_pass(S);
    fake_refuse = true;
    assert_int_equal(check_now(ALICE), FAULT_IDENTITY);
    fake_refuse = false;
    fake_pass(2 * S);
    assert_non_null(check(ALICE, &answer));
    log_in("secret-own");
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.code, FAULT_NONE);
    fake_refuse = true;
    assert_int_equal(check_now("secret-2"), FAULT_IDENTITY);
}

/* 401: nmid's own token is over. It logs in, and asks once more, and not a third time. */
static void test_own_token(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    fake_pass(S);
    check("secret-2", &answer);
    fake_answer(fake_call(0), 401, NULL, NULL);
    log_in("secret-own-2");
    assert_int_equal(answer.times, 0);
    assert_string_equal(fake_header(fake_call(0), "X-Auth-Token"), "secret-own-2");
    assert_string_equal(fake_header(fake_call(0), "X-Subject-Token"), "secret-2");
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.code, FAULT_NONE);
    fake_pass(2 * S);
    check("secret-3", &answer);
    fake_answer(fake_call(0), 401, NULL, NULL);
    log_in("secret-own-3");
    fake_answer(fake_call(0), 401, NULL, NULL);
    assert_int_equal(answer.times, 2);
    assert_int_equal(answer.code, FAULT_IDENTITY);
    assert_int_equal(fake_count(), 0);
    assert_int_equal(fake_logged("does not take the token that it has just given"), 1);
}

/* Many are told 401 at once: one log-in serves them all. */
static void test_own_token_many(void **state)
{
    struct answer answers[8];
    (void)state;
    begin();
    fake_pass(S);
    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < 8; i++) {
        char token[] = "secret-a";
        token[7] = (char)('a' + i);
        assert_non_null(check(token, &answers[i]));
    }
    for (size_t i = 0; i < 8; i++)
        fake_answer(fake_call(0), 401, NULL, NULL);
    assert_int_equal(fake_count(), 1);
    log_in("secret-own-2");
    assert_int_equal(fake_count(), 8);
    for (size_t i = 0; i < 8; i++)
        fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(answers[i].times == 1 && answers[i].code == FAULT_NONE, true);
}

/* ---- What is remembered ---- */

static void test_expiry(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    check("secret-short", &answer);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 10));
    assert_int_equal(answer.code, FAULT_NONE);
    fake_pass(9 * S);
    assert_int_equal(check_now("secret-short"), FAULT_NONE);
    fake_pass(S);
    assert_non_null(check("secret-short", &answer));
    fake_answer(fake_call(0), 404, NULL, NULL);
    assert_int_equal(answer.code, FAULT_UNAUTHORIZED);
    /* The clock was set: what has expired by it is asked about again. */
    assert_int_equal(check_now(ALICE), FAULT_NONE);
    fake_wall += 3000 * S;
    assert_non_null(check(ALICE, &answer));
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 0)); /* Keystone's clock says otherwise */
    assert_int_equal(answer.code, FAULT_UNAUTHORIZED);
    assert_int_equal(fake_logged("do the two clocks differ?"), 1);
}

static void test_clock_back(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    check("secret-short", &answer);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 10));
    fake_wall -= 86400 * S;
    fake_now += 10 * S;
    assert_int_equal(check_now(ALICE), FAULT_NONE);
    assert_non_null(check("secret-short", &answer)); /* it has lasted as long as it had left */
    fake_answer(fake_call(0), 404, NULL, NULL);
    fake_now += 50 * S;
    assert_non_null(check(ALICE, &answer)); /* remembered no longer than a minute all the same */
    fake_answer(fake_call(0), 404, NULL, NULL);
    assert_int_equal(answer.code, FAULT_UNAUTHORIZED);
}

/* One validation for all who bring the same token; each is answered. */
static void test_join(void **state)
{
    struct answer answers[5];
    void *checks[5];
    (void)state;
    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(checks[i] = check(ALICE, &answers[i]));
    assert_int_equal(fake_count(), 1);
    log_in("secret-own");
    assert_int_equal(fake_count(), 1);
    auth_keystone.cancel(rig.self, checks[2]);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(answers[i].times, i == 2 ? 0 : 1);
    assert_int_equal(fake_started, 2);
}

/* Without a cache a request is answered by what was asked after it came. */
static void test_no_cache(void **state)
{
    struct answer first = {0}, second = {0}, third = {0};
    (void)state;
    rig.conf.cache_s = 0;
    check(ALICE, &first);
    check(ALICE, &second); /* nothing was asked yet */
    log_in("secret-own");
    assert_int_equal(fake_count(), 1);
    check(ALICE, &third);
    assert_int_equal(fake_count(), 2);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(first.times == 1 && second.times == 1 && third.times == 0, true);
    fake_answer(fake_call(0), 404, NULL, NULL); /* revoked meanwhile */
    assert_int_equal(third.code, FAULT_UNAUTHORIZED);
    assert_non_null(check(ALICE, &first)); /* neither is remembered */
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(first.code, FAULT_NONE);
    assert_int_equal(fake_count(), 0);
}

/* The same, when the first is asked for once more after a 401: it must not take the second's place
 * in the table. */
static void test_no_cache_retried(void **state)
{
    struct answer first = {0}, second = {0}, third = {0};
    (void)state;
    rig.conf.cache_s = 0;
    check(ALICE, &first);
    log_in("secret-own");
    fake_pass(S);
    fake_answer(fake_call(0), 401, NULL, NULL); /* the log-in is under way */
    check(ALICE, &second);
    check(ALICE, &third);
    log_in("secret-own-2");
    assert_int_equal(fake_count(), 2);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(first.times == 1 && second.times == 1 && third.times == 1, true);
}

/* Garbage does not push out what is good. */
static void test_garbage(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 300; i++) {
        struct answer answer = {0};
        char token[32];
        snprintf(token, sizeof token, "secret-%u", i);
        check(token, &answer);
        fake_answer(fake_call(0), 404, NULL, NULL);
    }
    unsigned before = fake_started;
    assert_int_equal(check_now(ALICE), FAULT_NONE);
    assert_int_equal(check_now("secret-299"), FAULT_UNAUTHORIZED);
    assert_int_equal(check_now("secret-200"), FAULT_UNAUTHORIZED);
    assert_int_equal(fake_started, before);
    struct answer answer = {0};
    assert_non_null(check("secret-199", &answer)); /* 100 are remembered */
    fake_answer(fake_call(0), 404, NULL, NULL);
}

static void test_verdicts(void **state)
{
    struct verdicts *verdicts = verdicts_new(3);
    struct principal principal = {.user = "u", .method = "keystone"};
    struct identity *identity = identity_new(&principal);
    struct verdict verdict = {.identity = identity, .until = fake_now + 10 * S};
    char hashes[5][DIGEST_SHA256_TEXT];
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        snprintf(hashes[i], sizeof hashes[i], "%064u", i);
    for (unsigned i = 0; i < 3; i++)
        verdicts_put(verdicts, hashes[i], &verdict);
    assert_int_equal(identity->references, 4);
    assert_non_null(verdicts_get(verdicts, hashes[0])); /* used: 1 is the oldest now */
    verdicts_put(verdicts, hashes[3], &verdict);
    verdicts_put(verdicts, hashes[3], &verdict);
    assert_int_equal(verdicts_count(verdicts), 3);
    assert_null(verdicts_get(verdicts, hashes[1]));
    assert_non_null(verdicts_get(verdicts, hashes[0]));
    assert_non_null(verdicts_get(verdicts, hashes[2]));
    verdict.until = fake_now + 20 * S;
    verdict.until_wall = fake_wall + 15 * S;
    verdicts_put(verdicts, hashes[4], &verdict);
    assert_null(verdicts_get(verdicts, hashes[3]));
    fake_pass(10 * S);
    assert_null(verdicts_get(verdicts, hashes[2]));
    assert_non_null(verdicts_get(verdicts, hashes[4]));
    fake_pass(5 * S);
    assert_null(verdicts_get(verdicts, hashes[4]));
    assert_int_equal(verdicts_count(verdicts), 1);
    verdicts_free(verdicts);
    verdicts_free(NULL);
    assert_int_equal(identity->references, 1);
    identity_unref(identity);
    verdicts = verdicts_new(0);
    verdicts_put(verdicts, hashes[0], &verdict);
    assert_int_equal(verdicts_count(verdicts), 0);
    verdicts_free(verdicts);
}

/* ---- Many at once ---- */

#define ACTIVE 64
#define QUEUE  1024

static void check_numbered(unsigned number, struct answer *answer, void **ret_check)
{
    char token[32];
    snprintf(token, sizeof token, "secret-%u", number);
    *ret_check = check(token, answer);
}

static void test_queue(void **state)
{
    static struct answer answers[ACTIVE + QUEUE + 1];
    void *checks[ACTIVE + QUEUE + 1];
    (void)state;
    begin();
    memset(answers, 0, sizeof answers);
    for (unsigned i = 0; i < ACTIVE + QUEUE; i++)
        check_numbered(i, &answers[i], &checks[i]);
    assert_int_equal(fake_count(), ACTIVE);
    check_numbered(ACTIVE + QUEUE, &answers[ACTIVE + QUEUE], &checks[ACTIVE + QUEUE]);
    assert_null(checks[ACTIVE + QUEUE]);
    assert_int_equal(answers[ACTIVE + QUEUE].code, FAULT_OVERLOADED);
    auth_keystone.cancel(rig.self,
                         checks[ACTIVE + 1]); /* nobody waits for it: it is not asked for */
    for (unsigned i = 0; i < ACTIVE; i++) {
        fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
        assert_int_equal(answers[i].times, 1);
        assert_int_equal(fake_count(), ACTIVE);
    }
    char token[32];
    snprintf(token, sizeof token, "secret-%u", ACTIVE + 2);
    assert_string_equal(fake_header(fake_call(1), "X-Subject-Token"), token);
    /* The rest has waited for longer than an answer may take. */
    fake_pass(5 * S + 1);
    fake_answer(fake_call(0), 0, NULL, NULL);
    unsigned refused = 0;
    for (unsigned i = 0; i < ACTIVE + QUEUE; i++)
        refused += answers[i].code == FAULT_IDENTITY;
    assert_int_equal(refused, QUEUE - ACTIVE);
    assert_int_equal(fake_count(), ACTIVE - 1);
    assert_int_equal(fake_logged("error: "), 1);
    while (fake_count() > 0)
        fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    for (unsigned i = 0; i < ACTIVE + QUEUE; i++)
        assert_int_equal(answers[i].times, i == ACTIVE + 1 ? 0 : 1);
}

/* Keystone refuses nmid itself: all who wait hear it, however many, without a deep stack. */
static void test_queue_refused(void **state)
{
    static struct answer answers[ACTIVE + QUEUE];
    void *checks[ACTIVE + QUEUE];
    (void)state;
    memset(answers, 0, sizeof answers);
    for (unsigned i = 0; i < ACTIVE + QUEUE; i++)
        check_numbered(i, &answers[i], &checks[i]);
    assert_int_equal(fake_count(), 1);
    fake_answer(fake_call(0), 401, NULL, NULL);
    for (unsigned i = 0; i < ACTIVE + QUEUE; i++)
        assert_int_equal(answers[i].times == 1 && answers[i].code == FAULT_IDENTITY, true);
    assert_int_equal(fake_count(), 0);
}

/* ---- Ends ---- */

static void *other_check;
static struct answer other_answer;

static void on_done_more(void *arg, struct identity *identity, const struct fault *fault)
{
    on_done(arg, identity, fault);
    if (other_check != NULL)
        auth_keystone.cancel(rig.self, other_check);
    other_check = NULL;
}

static void *check_more(const char *token, struct answer *answer)
{
    struct credentials credentials = {
        .address = "10.0.0.1", .token = token, .attempt = &rig.attempt};
    return auth_keystone.check(rig.self, &credentials, on_done_more, answer);
}

static void test_cancel(void **state)
{
    struct answer answer = {0};
    (void)state;
    begin();
    /* From within another's done, of the same token and of another. */
    check_more("secret-2", &answer);
    other_check = check("secret-2", &other_answer);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.times, 1);
    check_more("secret-3", &answer);
    other_check = check("secret-4", &other_answer);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(answer.times, 2);
    assert_int_equal(other_answer.times, 0);
    /* What has begun goes on, and is remembered. */
    assert_int_equal(fake_count(), 1);
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
    assert_int_equal(check_now("secret-4"), FAULT_NONE);
    /* While nmid logs in. */
    fake_pass(10800 * S);
    auth_keystone.cancel(rig.self, check("secret-5", &answer));
    log_in("secret-own-2");
    fake_answer(fake_call(0), 404, NULL, NULL);
    assert_int_equal(answer.times, 2);
}

/* Those who wait at a reload are told to ask again: sent, waiting for the log-in, and queued. */
static void test_close(void **state)
{
    static struct answer answers[ACTIVE + 10];
    void *checks[ACTIVE + 10];
    struct answer more = {0};
    (void)state;
    begin();
    memset(answers, 0, sizeof answers);
    for (unsigned i = 0; i < ACTIVE + 9; i++)
        check_numbered(i, &answers[i], &checks[i]);
    check_more("secret-last", &more);
    other_check = check("secret-last", &other_answer); /* cancelled from within */
    fake_pass(S);
    for (unsigned i = 0; i < 3; i++)
        fake_answer(fake_call(0), 401, NULL, NULL);
    auth_keystone.close(rig.self);
    assert_null(other_check);
    assert_int_equal(fake_count(), 0);
    assert_int_equal(more.code, FAULT_IDENTITY);
    for (unsigned i = 0; i < ACTIVE + 9; i++)
        assert_int_equal(answers[i].times == 1 && answers[i].code == FAULT_IDENTITY, true);
    open_method();
    struct answer answer = {0};
    assert_non_null(check(ALICE, &answer)); /* nothing is remembered */
    log_in("secret-own");
    fake_answer(fake_call(0), 200, NULL, body(DEMO, 3000));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_first_log_in),
        CASE(test_no_token),       CASE(test_valid),     CASE(test_scopes),
        CASE(test_invalid),        CASE(test_failures),  CASE(test_flapping),
        CASE(test_down),           CASE(test_no_log_in), CASE(test_own_token),
        CASE(test_own_token_many), CASE(test_expiry),    CASE(test_clock_back),
        CASE(test_join),           CASE(test_no_cache),  CASE(test_no_cache_retried),
        CASE(test_garbage),        CASE(test_verdicts),  CASE(test_queue),
        CASE(test_queue_refused),  CASE(test_cancel),    CASE(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

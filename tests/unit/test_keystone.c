/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmid's own log-in to Keystone, and Keystone's JSON; with a client and clocks of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/keystone.h"
#include "core/keystone_parse.h"
#include "fake_client.h"

#define PASSWORD "pass\"word\\ \x01 \xc3\xa4"
#define URL      "http://127.0.0.1:5000/v3"

/* ---- JSON ---- */

#define TIMES                                                                                      \
    "\"issued_at\":\"2026-11-23T05:00:00.000000Z\","                                               \
    "\"expires_at\":\"2026-11-23T06:00:00.000000Z\""
#define USER "\"user\":{\"id\":\"u1\",\"name\":\"alice\",\"domain\":{\"id\":\"default\"}}"

static int parse(const char *text, struct keystone_token *token, struct fault *fault)
{
    char *copy = malloc(strlen(text)); /* of just the right size, without a NUL */
    memcpy(copy, text, strlen(text));
    int result = keystone_parse_token(copy, strlen(text), token, fault);
    free(copy);
    return result;
}

static void test_parse(void **state)
{
    struct keystone_token token;
    struct fault fault = {0};
    (void)state;
    assert_int_equal(parse("{\"token\":{" USER "," TIMES
                           ",\"project\":{\"id\":\"p1\",\"name\":\"x\"},"
                           "\"roles\":[{\"id\":\"1\",\"name\":\"member\"},{\"name\":\"r\"}],"
                           "\"system\":null}}",
                           &token, &fault),
                     0);
    assert_string_equal(token.user, "alice");
    assert_string_equal(token.user_id, "u1");
    assert_string_equal(token.project_id, "p1");
    assert_int_equal(token.scope, KEYSTONE_PROJECT);
    assert_int_equal(token.roles.count, 2);
    assert_string_equal(token.roles.names[1], "r");
    assert_false(token.access_rules);
    assert_true(token.issued_at == FAKE_WALL && token.expires_at == FAKE_WALL + 3600 * FAKE_S);
    assert_null(keystone_token_useless(&token));
    keystone_token_clear(&token);
    keystone_token_clear(&token);
}

static void test_parse_scopes(void **state)
{
    static const struct {
        const char *json;
        enum keystone_scope scope;
        bool useless;
    } rows[] = {
        {"", KEYSTONE_UNSCOPED, true},
        {",\"system\":{\"all\":true},\"roles\":[]", KEYSTONE_SYSTEM, false},
        {",\"domain\":{\"id\":\"default\"},\"roles\":[{\"name\":\"admin\"}]", KEYSTONE_DOMAIN,
         true},
        {",\"project\":{\"id\":\"p\"},\"application_credential\":{\"id\":\"x\"}", KEYSTONE_PROJECT,
         false},
        {",\"project\":{\"id\":\"p\"},\"application_credential\":{\"access_rules\":null}",
         KEYSTONE_PROJECT, false},
        {",\"project\":{\"id\":\"p\"},\"application_credential\":{\"access_rules\":[]}",
         KEYSTONE_PROJECT, true},
        {",\"project\":{\"id\":\"p\"},\"application_credential\":{\"access_rules\":[{\"path\":\"/"
         "\"}]}",
         KEYSTONE_PROJECT, true},
        {",\"project\":{\"id\":\"p\"},\"OS-TRUST:trust\":{\"id\":\"x\"},\"is_domain\":true",
         KEYSTONE_PROJECT, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct keystone_token token;
        struct fault fault = {0};
        char text[1024];
        snprintf(text, sizeof text, "{\"token\":{" USER "," TIMES "%s}}", rows[i].json);
        if (parse(text, &token, &fault) < 0)
            fail_msg("%s: %s", text, fault.message);
        assert_int_equal(token.scope, rows[i].scope);
        assert_int_equal(keystone_token_useless(&token) != NULL, rows[i].useless);
        assert_int_equal(token.project_id != NULL, token.scope == KEYSTONE_PROJECT);
        keystone_token_clear(&token);
    }
}

static void test_parse_wrong(void **state)
{
    static const struct {
        const char *json, *what;
    } rows[] = {
        {"", "it is no JSON"},
        {"<html>", "it is no JSON"},
        {"[]", "there is no \"token\" in it"},
        {"{}", "there is no \"token\" in it"},
        {"{\"token\":[]}", "there is no \"token\" in it"},
        {"{\"token\":{" USER "," USER "," TIMES "}}", "it is no JSON"}, /* twice the same key */
        {"{\"token\":{" TIMES "}}", "\"user\" has no good \"id\""},
        {"{\"token\":{\"user\":{\"id\":7,\"name\":\"a\"}," TIMES "}}",
         "\"user\" has no good \"id\""},
        {"{\"token\":{\"user\":{\"id\":\"\",\"name\":\"a\"}," TIMES "}}",
         "\"user\" has no good \"id\""},
        {"{\"token\":{\"user\":{\"id\":\"a\\nb\",\"name\":\"a\"}," TIMES "}}",
         "\"user\" has no good \"id\""},
        {"{\"token\":{\"user\":{\"id\":\"a\"}," TIMES "}}", "\"user\" has no good \"name\""},
        {"{\"token\":{" USER "," TIMES ",\"project\":{}}}", "\"project\" has no good \"id\""},
        {"{\"token\":{" USER "," TIMES ",\"project\":\"p\"}}", "\"project\" has no good \"id\""},
        {"{\"token\":{" USER "," TIMES ",\"project\":{\"id\":\"p\"},\"system\":{\"all\":true}}}",
         "the token has two scopes"},
        {"{\"token\":{" USER "," TIMES ",\"system\":{\"all\":false}}}", "\"system\" is not"},
        {"{\"token\":{" USER "," TIMES ",\"roles\":\"admin\"}}", "\"roles\" is no array"},
        {"{\"token\":{" USER "," TIMES ",\"roles\":{\"name\":\"admin\"}}}",
         "\"roles\" is no array"},
        {"{\"token\":{" USER "," TIMES ",\"roles\":[{\"name\":\"r\"},\"admin\"]}}",
         "a role has no \"name\""},
        {"{\"token\":{" USER "}}", "no good \"issued_at\""},
        {"{\"token\":{" USER ",\"issued_at\":\"2026-11-23T05:00:00.000000Z\"}}",
         "no good \"expires_at\""},
        {"{\"token\":{" USER ",\"issued_at\":\"2026-11-23T05:00:00Z\","
         "\"expires_at\":\"2026-11-23T05:00:00Z\"}}",
         "expired before it was issued"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct keystone_token token;
        struct fault fault = {0};
        if (parse(rows[i].json, &token, &fault) == 0)
            fail_msg("taken: %s", rows[i].json);
        assert_int_equal(fault.code, FAULT_IDENTITY);
        if (strstr(fault.message, rows[i].what) == NULL)
            fail_msg("%s: %s", rows[i].json, fault.message);
    }
}

/* A name is for people; what would break their terminals is not kept. */
static void test_parse_name(void **state)
{
    struct keystone_token token;
    (void)state;
    assert_int_equal(
        parse("{\"token\":{\"user\":{\"id\":\"u\",\"name\":\"a\\u001b[2J\\n\\u00e4\"}," TIMES "}}",
              &token, NULL),
        0);
    assert_string_equal(token.user, "a?[2J?\xc3\xa4");
    keystone_token_clear(&token);
}

static void test_time(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-23T05:00:00.000000Z", FAKE_WALL},
        {"2026-11-23T05:00:00.25Z", FAKE_WALL + 250000},
        {"2026-11-23T05:00:00.123456789Z", FAKE_WALL + 123456},
        {"2000-02-29T23:59:60Z", INT64_C(951868800000000)},
        {"2100-03-01T00:00:00Z", INT64_C(4107542400000000)},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799000000)},
        {"", -1},
        {"2026-11-23", -1},
        {"2026-11-23T05:00:00", -1},
        {"2026-11-23T05:00:00.Z", -1},
        {"2026-11-23T05:00:00+00:00", -1},
        {"2026-11-23 05:00:00Z", -1},
        {"2026-02-29T05:00:00Z", -1},
        {"2026-13-01T05:00:00Z", -1},
        {"2026-00-01T05:00:00Z", -1},
        {"2026-11-31T05:00:00Z", -1},
        {"2026-11-23T24:00:00Z", -1},
        {"2026-11-23T05:60:00Z", -1},
        {"2026-11-23T05:00:00Zx", -1},
        {"-026-11-23T05:00:00Z", -1},
        {"2026-1-123T05:00:00Z", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us = -1;
        int result = keystone_parse_time(rows[i].text, &us);
        if (us != rows[i].us || result != (us < 0 ? -1 : 0))
            fail_msg("%s: %d, %lld", rows[i].text, result, (long long)us);
    }
}

static void test_is_token(void **state)
{
    char text[KEYSTONE_TOKEN_MAX + 2];
    (void)state;
    assert_true(keystone_is_token("gAAAAAB-_=~!"));
    assert_false(keystone_is_token(""));
    assert_false(keystone_is_token("a b"));
    assert_false(keystone_is_token("a\r\nX-Auth-Token: b"));
    assert_false(keystone_is_token("a\x7f"));
    assert_false(keystone_is_token("\xc3\xa4"));
    memset(text, 'x', sizeof text);
    text[KEYSTONE_TOKEN_MAX + 1] = '\0';
    assert_false(keystone_is_token(text));
    text[KEYSTONE_TOKEN_MAX] = '\0';
    assert_true(keystone_is_token(text));
}

/* ---- The body of a log-in ---- */

static struct secret *secret_of(const char *text)
{
    return secret_new(text, strlen(text));
}

static void check_body(const struct conf_keystone *conf, const char *expected)
{
    struct secret *body = keystone_login_body(conf);
    assert_non_null(body);
    json_t *ours = json_loadb((const char *)body->bytes, body->len, JSON_REJECT_DUPLICATES, NULL);
    json_t *theirs = json_loads(expected, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(theirs);
    if (!json_equal(ours, theirs))
        fail_msg("%s is not %s", (const char *)body->bytes, expected);
    json_decref(ours);
    json_decref(theirs);
    secret_free(body);
}

#define IN_JSON "pass\\\"word\\\\ \\u0001 \xc3\xa4"

static void test_body_password(void **state)
{
    struct secret *password = secret_of(PASSWORD);
    struct conf_keystone conf = {.username = "nm\"id",
                                 .user_domain_name = "Default",
                                 .project_name = "service",
                                 .project_domain_id = "d\\1",
                                 .password = password};
    (void)state;
    check_body(&conf,
               "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{"
               "\"name\":\"nm\\\"id\",\"domain\":{\"name\":\"Default\"},"
               "\"password\":\"" IN_JSON "\"}}},"
               "\"scope\":{\"project\":{\"name\":\"service\",\"domain\":{\"id\":\"d\\\\1\"}}}}}");
    conf = (struct conf_keystone){.user_id = "u", .project_id = "p", .password = password};
    check_body(&conf, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{"
                      "\"id\":\"u\",\"password\":\"" IN_JSON "\"}}},"
                      "\"scope\":{\"project\":{\"id\":\"p\"}}}}");
    conf = (struct conf_keystone){.user_id = "u", .system_scope = true, .password = password};
    check_body(&conf, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{"
                      "\"id\":\"u\",\"password\":\"" IN_JSON "\"}}},"
                      "\"scope\":{\"system\":{\"all\":true}}}}");
    secret_free(password);
}

static void test_body_application_credential(void **state)
{
    struct secret *secret = secret_of(PASSWORD);
    struct conf_keystone conf = {.application_credential_id = "c",
                                 .application_credential_secret = secret};
    (void)state;
    check_body(&conf, "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
                      "\"application_credential\":{\"id\":\"c\",\"secret\":\"" IN_JSON "\"}}}}");
    conf = (struct conf_keystone){.application_credential_name = "n",
                                  .username = "u",
                                  .user_domain_id = "default",
                                  .application_credential_secret = secret};
    check_body(&conf, "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
                      "\"application_credential\":{\"name\":\"n\",\"user\":{\"name\":\"u\","
                      "\"domain\":{\"id\":\"default\"}},\"secret\":\"" IN_JSON "\"}}}}");
    secret_free(secret);
}

/* Room for the worst case: every byte is escaped. */
static void test_body_room(void **state)
{
    char worst[256];
    (void)state;
    memset(worst, 1, sizeof worst);
    worst[255] = '\0';
    struct conf_keystone conf = {.username = worst,
                                 .user_domain_name = worst,
                                 .project_name = worst,
                                 .project_domain_name = worst,
                                 .password = secret_of(worst)};
    struct secret *body = keystone_login_body(&conf);
    assert_true(body->len > 5 * 255 * 6);
    secret_free(body);
    secret_free(conf.password);
}

/* ---- The log-in ---- */

struct rig {
    struct conf_keystone conf;
    struct client *client;
    struct keystone *keystone;
    unsigned tokens, faults;
    char token[64], why[FAULT_MESSAGE_MAX];
};

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    rig = (struct rig){.conf = {.auth_url = URL,
                                .username = "nmid",
                                .user_domain_name = "Default",
                                .project_name = "service",
                                .project_domain_name = "Default",
                                .ca_file = "ca.pem",
                                .timeout_ms = 1234}};
    rig.conf.password = secret_of(PASSWORD);
    rig.client = client_new(NULL, NULL);
    rig.keystone = keystone_new(NULL, rig.client, &rig.conf, NULL);
    assert_non_null(rig.keystone);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keystone_free(rig.keystone);
    client_free(rig.client);
    secret_free(rig.conf.password);
    assert_int_equal(fake_logged("pass"), fake_logged("password"));
    assert_int_equal(fake_logged("own-"), 0);
    return 0;
}

static void on_token(void *arg, const char *token, const struct fault *fault)
{
    assert_ptr_equal(arg, &rig);
    assert_int_equal(token == NULL, fault != NULL);
    if (token != NULL) {
        rig.tokens++;
        snprintf(rig.token, sizeof rig.token, "%s", token);
        return;
    }
    rig.faults++;
    assert_int_equal(fault->code, FAULT_IDENTITY);
    snprintf(rig.why, sizeof rig.why, "%s", fault->message);
}

static struct keystone_wait *ask(void)
{
    return keystone_token(rig.keystone, on_token, &rig);
}

/* A token that lasts so long by Keystone's clock, which is not this machine's. */
static void give_token(const char *token, unsigned seconds)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"token\":{" USER ",\"issued_at\":\"2031-01-01T00:00:00.000000Z\","
             "\"expires_at\":\"2031-01-01T%02u:%02u:%02u.000000Z\"}}",
             seconds / 3600, seconds / 60 % 60, seconds % 60);
    fake_answer(fake_call(0), 201, token, body);
}

static void test_log_in(void **state)
{
    (void)state;
    assert_non_null(ask());
    assert_non_null(ask()); /* one log-in for both */
    assert_int_equal(fake_count(), 1);
    const struct client_call *call = fake_call(0);
    assert_string_equal(call->method, "POST");
    assert_string_equal(call->url, URL "/auth/tokens?nocatalog");
    assert_string_equal(call->want, "X-Subject-Token");
    assert_string_equal(call->ca_file, "ca.pem");
    assert_int_equal(call->timeout_ms, 1234);
    assert_true(call->body_max > 0 && call->body_max <= 1 << 20);
    assert_string_equal(fake_header(call, "Content-Type"), "application/json");
    assert_null(fake_header(call, "X-Auth-Token"));
    assert_non_null(strstr(call->body, IN_JSON));
    assert_int_equal(rig.tokens, 0);
    give_token("own-1", 3600);
    assert_int_equal(rig.tokens, 2);
    assert_string_equal(rig.token, "own-1");
    assert_null(ask());
    assert_int_equal(rig.tokens, 3);
    assert_int_equal(fake_started, 1);
    assert_string_equal(fake_log, "");
}

/* At four fifths of its time a new one is fetched, while the old one serves. */
static void test_renewal(void **state)
{
    (void)state;
    ask();
    give_token("own-1", 1000);
    fake_pass(799 * FAKE_S);
    assert_null(ask());
    assert_int_equal(fake_started, 1);
    fake_pass(FAKE_S);
    assert_null(ask());
    assert_null(ask());
    assert_int_equal(fake_started, 2);
    assert_string_equal(rig.token, "own-1");
    give_token("own-2", 1000);
    assert_null(ask());
    assert_string_equal(rig.token, "own-2");
    fake_pass(1001 * FAKE_S); /* nobody asked for long: it has expired */
    assert_non_null(ask());
    assert_int_equal(rig.tokens, 5);
    give_token("own-3", 1000);
    assert_string_equal(rig.token, "own-3");
}

/* The interval counts, from when it was asked for, by the clock that is never set. */
static void test_clocks(void **state)
{
    (void)state;
    ask();
    fake_pass(3 * FAKE_S);
    give_token("own-1", 10);
    fake_wall += 86400 * FAKE_S;
    fake_pass(4 * FAKE_S);
    assert_null(ask());
    assert_int_equal(fake_started, 1);
    fake_wall -= 2 * 86400 * FAKE_S;
    fake_pass(3 * FAKE_S);
    assert_non_null(ask());
    give_token("own-2", 10);
}

/* A renewal that fails is not noticed while the old one is good, and tried again after a while. */
static void test_renewal_fails(void **state)
{
    (void)state;
    ask();
    give_token("own-1", 1000);
    fake_pass(800 * FAKE_S);
    assert_null(ask());
    fake_answer(fake_call(0), 503, NULL, NULL);
    assert_null(ask());
    assert_int_equal(fake_started, 2);
    fake_pass(FAKE_S);
    assert_null(ask());
    assert_int_equal(fake_started, 3);
    assert_int_equal(rig.tokens, 4);
    fake_pass(199 * FAKE_S);
    struct keystone_wait *wait = ask(); /* now it has expired, and the log-in is still under way */
    assert_non_null(wait);
    assert_int_equal(fake_started, 3);
    fake_answer(fake_call(0), 0, NULL, NULL);
    assert_int_equal(rig.faults, 1);
    assert_null(ask());
    assert_int_equal(rig.faults, 2);
}

static void test_refusals(void **state)
{
    static const struct {
        unsigned status;
        const char *token, *body, *why;
    } rows[] = {
        {0, NULL, NULL, "does not answer: Connection refused."},
        {401, NULL, "{\"error\":{\"message\":\"own-x\"}}", "refuses nmid's log-in (401)"},
        {404, NULL, NULL, "is not where Keystone's Identity API v3 is (its answer is 404)"},
        {300, NULL, NULL, "is not where Keystone's Identity API v3 is (its answer is 300)"},
        {302, NULL, NULL, "answers 302 to nmid's log-in"},
        {500, NULL, NULL, "answers 500 to nmid's log-in"},
        {201, NULL, "{\"token\":{" USER "," TIMES "}}", "has no token"},
        {201, "own-\x01", "{\"token\":{" USER "," TIMES "}}", "has no token"},
        {201, "own-a b", "{\"token\":{" USER "," TIMES "}}", "has no token"},
        {201, "own-1", "own-garbage", "it is no JSON"},
        {201, "own-1", "{\"token\":{" USER "}}", "no good \"issued_at\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_non_null(ask());
        fake_answer(fake_call(0), rows[i].status, rows[i].token, rows[i].body);
        assert_int_equal(rig.faults, i + 1);
        if (strstr(rig.why, rows[i].why) == NULL)
            fail_msg("%u: %s", rows[i].status, rig.why);
        assert_null(strstr(rig.why, "own-"));
        fake_pass(30 * FAKE_S);
    }
    assert_non_null(ask());
    fake_answer_cut(fake_call(0), 201, "own-1");
    assert_non_null(strstr(rig.why, "too long"));
}

/* 1, 2, 4 ... 30 s between log-ins that fail; who asks meanwhile hears why at once. */
static void test_back_off(void **state)
{
    static const unsigned delays[] = {1, 2, 4, 8, 16, 30, 30};
    (void)state;
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        assert_non_null(ask());
        fake_answer(fake_call(0), 401, NULL, NULL);
        fake_pass(delays[i] * FAKE_S - 1);
        rig.why[0] = '\0';
        assert_null(ask());
        assert_non_null(strstr(rig.why, "refuses nmid's log-in (401)"));
        assert_int_equal(fake_count(), 0);
        fake_pass(1);
    }
    /* The log: when it began, then once a minute; and its end. */
    assert_int_equal(fake_logged("error: "), 2);
    assert_int_equal(fake_logged("(5 times more since the last line)"), 1);
    ask();
    give_token("own-1", 100);
    assert_int_equal(fake_logged("info: Keystone (" URL ") has given nmid a token again"), 1);
    fake_pass(100 * FAKE_S);
    ask();
    fake_answer(fake_call(0), 401, NULL, NULL);
    fake_pass(FAKE_S); /* from the beginning */
    assert_non_null(ask());
    give_token("own-2", 100);
}

static void test_forget(void **state)
{
    (void)state;
    ask();
    give_token("own-1", 1000);
    keystone_forget(rig.keystone, "own-0"); /* an earlier one */
    assert_null(ask());
    keystone_forget(rig.keystone, "own-1");
    keystone_forget(rig.keystone, "own-1");
    assert_non_null(ask());
    give_token("own-2", 1000);
    assert_int_equal(rig.tokens, 3);
    keystone_forget(rig.keystone, "own-2"); /* twice within a second */
    assert_null(ask());
    assert_int_equal(rig.faults, 1);
    assert_non_null(strstr(rig.why, "is not taken"));
    fake_pass(FAKE_S);
    assert_non_null(ask());
    give_token("own-3", 1000);
    assert_string_equal(rig.token, "own-3");
}

static struct keystone_wait *other;

static void on_token_cancel(void *arg, const char *token, const struct fault *fault)
{
    keystone_cancel(other);
    other = NULL;
    on_token(arg, token, fault);
    assert_null(ask()); /* at once, either way */
}

static void test_cancel(void **state)
{
    (void)state;
    keystone_cancel(NULL);
    struct keystone_wait *first = ask();
    assert_non_null(keystone_token(rig.keystone, on_token_cancel, &rig));
    other = ask();
    ask();
    keystone_cancel(first);
    give_token("own-1", 1000);
    assert_int_equal(rig.tokens, 3); /* the second, the one from within it, the fourth */
    fake_pass(1000 * FAKE_S);
    assert_non_null(keystone_token(rig.keystone, on_token_cancel, &rig));
    other = ask();
    fake_answer(fake_call(0), 0, NULL, NULL);
    assert_int_equal(rig.faults, 2);
}

/* Who waits when it ends hears it, and asking once more from within does no harm. */
static void test_end(void **state)
{
    (void)state;
    other = NULL;
    assert_non_null(keystone_token(rig.keystone, on_token_cancel, &rig));
    keystone_free(rig.keystone);
    rig.keystone = NULL;
    assert_int_equal(rig.faults, 2);
    assert_int_equal(fake_count(), 0);
    keystone_free(NULL);
}

static void test_no_start(void **state)
{
    (void)state;
    fake_refuse = true;
    assert_null(ask());
    assert_string_equal(rig.why, "libcurl: no room");
    fake_refuse = false;
    fake_pass(FAKE_S);
    assert_non_null(ask());
    give_token("own-1", 1000);
    fake_refuse = true; /* while the old one is good */
    fake_pass(900 * FAKE_S);
    assert_null(ask());
    assert_int_equal(rig.tokens, 2);
    assert_int_equal(rig.faults, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_scopes),
        cmocka_unit_test(test_parse_wrong),
        cmocka_unit_test(test_parse_name),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_is_token),
        cmocka_unit_test(test_body_password),
        cmocka_unit_test(test_body_application_credential),
        cmocka_unit_test(test_body_room),
        CASE(test_log_in),
        CASE(test_renewal),
        CASE(test_clocks),
        CASE(test_renewal_fails),
        CASE(test_refusals),
        CASE(test_back_off),
        CASE(test_forget),
        CASE(test_cancel),
        CASE(test_end),
        CASE(test_no_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

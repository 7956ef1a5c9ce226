/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "client_certificate": the subjects of the configuration, the others, and none at all. The audit
 * is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/audit.h"
#include "core/auth.h"

static char audited[FAULT_MESSAGE_MAX], audited_user[64], audited_method[32], audited_claim[64];

int audit_record(struct audit *audit, const struct audit_record *record)
{
    (void)audit;
    snprintf(audited, sizeof audited, "%s", record->message);
    snprintf(audited_user, sizeof audited_user, "%s",
             record->caller == NULL ? "" : record->caller->user);
    snprintf(audited_method, sizeof audited_method, "%s",
             record->caller == NULL ? "" : record->caller->method);
    snprintf(audited_claim, sizeof audited_claim, "%s",
             record->claimed == NULL ? "" : record->claimed);
    return 0;
}

#define CONDUCTOR "CN=conductor,OU=cloud,O=example"

static char *member[] = {(char *)"member"}, *boss[] = {(char *)"boss"}, *odd[] = {(char *)"odd"};
static struct conf_user users[] = {
    {.name = (char *)"ironic",
     .subject = (char *)CONDUCTOR,
     .project_id = (char *)"demo",
     .roles = {member, 1}},
    {.name = (char *)"CN=root", .subject = (char *)"CN=root", .system = true, .roles = {boss, 1}},
    {.name = (char *)"odd", .subject = (char *)"CN=odd", .roles = {odd, 1}},
};
static const struct conf_policy policy = {
    .roles = {[ROLE_MEMBER] = {member, 1}, [ROLE_ADMIN] = {boss, 1}}};

static struct {
    unsigned answers;
    struct identity *identity;
    struct fault fault;
} answer;

static void on_done(void *arg, struct identity *identity, const struct fault *fault)
{
    (void)arg;
    answer.answers++;
    assert_true((identity == NULL) == (fault != NULL));
    answer.identity = identity == NULL ? NULL : identity_ref(identity);
    answer.fault = fault == NULL ? (struct fault){0} : *fault;
}

/* Who that is; NULL when refused. */
static const struct principal *ask_with(struct auth *auth, const struct credentials *credentials)
{
    identity_unref(answer.identity);
    memset(&answer, 0, sizeof answer);
    audited[0] = audited_user[0] = audited_method[0] = audited_claim[0] = '\0';
    assert_null(auth_check(auth, credentials, on_done, NULL)); /* it never waits */
    assert_int_equal(answer.answers, 1);
    return answer.identity == NULL ? NULL : &answer.identity->principal;
}

static const struct principal *ask(struct auth *auth, const char *subject)
{
    return ask_with(auth, &(struct credentials){.address = "10.0.0.9", .subject = subject});
}

static int open_auth(void **state)
{
    struct conf_auth conf = {.strategy = AUTH_CLIENT_CERTIFICATE, .users = users, .user_count = 3};
    struct pool *pool = NULL;
    *state = auth_new(NULL, &conf, &policy, NULL, &pool, NULL);
    assert_non_null(*state);
    assert_null(pool); /* nothing here blocks */
    return 0;
}

static int close_auth(void **state)
{
    auth_free(*state);
    identity_unref(answer.identity);
    answer.identity = NULL;
    return 0;
}

static void test_users(void **state)
{
    const struct principal *who = ask(*state, CONDUCTOR);
    assert_non_null(who);
    assert_string_equal(who->user, "ironic");
    assert_string_equal(who->project_id, "demo");
    assert_string_equal(who->method, "client_certificate");
    assert_null(who->user_id);
    assert_int_equal(who->roles, ROLE_BIT(ROLE_READER) | ROLE_BIT(ROLE_MEMBER));
    assert_false(who->system || who->administrator);
    who = ask(*state, "CN=root");
    assert_non_null(who);
    assert_string_equal(who->user, "CN=root");
    assert_null(who->project_id);
    assert_true(who->system && who->administrator);
    /* A role that policy does not know gives nothing. */
    who = ask(*state, "CN=odd");
    assert_non_null(who);
    assert_int_equal(who->roles, 0);
    assert_string_equal(audited, ""); /* who is let in is recorded with what is done */
    assert_null(auth_challenge(*state));
    assert_int_equal(auth_strategy(*state), AUTH_CLIENT_CERTIFICATE);
}

static void test_none(void **state)
{
    static const gid_t root[] = {0};
    /* Nothing else counts here: no password, no token, no word of the kernel. */
    const struct credentials others[] = {
        {.address = "10.0.0.9"},
        {.address = "10.0.0.9", .authorization = "Basic aXJvbmljOnNlY3JldA=="},
        {.address = "10.0.0.9", .token = "CN=root"},
        {.address = "unix", .local = true, .uid = 0, .gids = root, .gid_count = 1},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_null(ask_with(*state, &others[i]));
        assert_int_equal(answer.fault.code, FAULT_UNAUTHORIZED);
        assert_string_equal(answer.fault.message, "A client certificate is required.");
        assert_string_equal(audited, answer.fault.message);
        assert_string_equal(audited_user, "");
        assert_string_equal(audited_claim, "");
    }
}

static void test_unlisted(void **state)
{
    /* Neither a name of the configuration, nor a piece or another writing of a subject. */
    static const char *const subjects[] = {
        "ironic", "CN=conductor", CONDUCTOR ",C=DE", "cn=root", "CN=root ", "", "CN=Root"};
    char message[FAULT_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        assert_null(ask(*state, subjects[i]));
        assert_int_equal(answer.fault.code, FAULT_FORBIDDEN);
        snprintf(message, sizeof message,
                 "The client certificate of %s is in no entry of auth.users of nmid.conf.",
                 subjects[i]);
        assert_string_equal(answer.fault.message, message);
        assert_string_equal(audited, message);
        assert_string_equal(audited_user, subjects[i]); /* it is proven */
        assert_string_equal(audited_method, "client_certificate");
    }
}

static void test_long_subject(void **state)
{
    char subject[1024];
    memset(subject, 'x', sizeof subject - 1);
    memcpy(subject, "CN=", 3);
    subject[sizeof subject - 1] = '\0';
    assert_null(ask(*state, subject));
    assert_int_equal(answer.fault.code, FAULT_FORBIDDEN);
    assert_non_null(strstr(answer.fault.message, "xxx is in no entry of auth.users"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_auth, close_auth)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_users),
        CASE(test_none),
        CASE(test_unlisted),
        CASE(test_long_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

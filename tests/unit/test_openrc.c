/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The OS_* variables: what is made of them, what is missing in them, and the body that logs in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "cli/credentials.h"
#include "cli/openrc.h"

static const char *const *variables; /* NAME, VALUE, ..., NULL */

static const char *variable_get(const char *name)
{
    for (size_t i = 0; variables[i] != NULL; i += 2) {
        if (strcmp(variables[i], name) == 0)
            return variables[i + 1];
    }
    return NULL;
}

static struct secret *variable_secret(const char *name)
{
    const char *value = variable_get(name);
    return value == NULL ? NULL : secret_new(value, strlen(value));
}

/* Reads these variables. body: what is sent, or NULL; words: what the fault says, or NULL. */
static void expect(const char *const *given, const char *url, const char *body, const char *words,
                   const char *described)
{
    struct fault fault = {0};
    struct openrc openrc;
    char text[256];
    variables = given;
    struct secret *password = variable_secret("OS_PASSWORD");
    struct secret *secret = variable_secret("OS_APPLICATION_CREDENTIAL_SECRET");
    int rc = openrc_read(variable_get, password, secret, &openrc, &fault);
    if (words != NULL) {
        assert_int_equal(rc, -1);
        assert_int_equal(fault.code, FAULT_UNAUTHORIZED);
        assert_non_null(strstr(fault.message, words));
        assert_null(strstr(fault.message, "sesame"));
    } else {
        assert_int_equal(rc, 0);
        assert_string_equal(openrc.auth_url, url);
        struct secret *written = openrc_body(&openrc);
        assert_non_null(written);
        assert_string_equal((const char *)written->bytes, body);
        assert_int_equal(written->len, strlen(body));
        secret_free(written);
        openrc_describe(&openrc, text, sizeof text);
        assert_string_equal(text, described);
    }
    secret_free(password);
    secret_free(secret);
}

#define GIVEN(...) ((const char *const[]){__VA_ARGS__, NULL})
#define URL        "OS_AUTH_URL", "https://k.example:5000/v3"
#define ALICE      "OS_USERNAME", "alice", "OS_PASSWORD", "sesame"
#define DEMO       "OS_PROJECT_NAME", "demo"
#define PASSWORD(user, scope)                                                                      \
    "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{" user            \
    ",\"password\":\"sesame\"}}}" scope "}}"

static void test_password(void **state)
{
    (void)state;
    expect(GIVEN(URL, ALICE, DEMO, "OS_USER_DOMAIN_NAME", "Users", "OS_PROJECT_DOMAIN_ID", "d1"),
           "https://k.example:5000/v3",
           PASSWORD("\"name\":\"alice\",\"domain\":{\"name\":\"Users\"}",
                    ",\"scope\":{\"project\":{\"name\":\"demo\",\"domain\":{\"id\":\"d1\"}}}"),
           NULL, "the user 'alice' (project 'demo')");
    expect(GIVEN(URL, "OS_USER_ID", "a1", "OS_PASSWORD", "sesame", "OS_TENANT_ID", "p1"),
           "https://k.example:5000/v3",
           PASSWORD("\"id\":\"a1\"", ",\"scope\":{\"project\":{\"id\":\"p1\"}}"), NULL,
           "the user 'a1' (project 'p1')");
    expect(GIVEN(URL, ALICE, "OS_SYSTEM_SCOPE", "all"), "https://k.example:5000/v3",
           PASSWORD("\"name\":\"alice\",\"domain\":{\"id\":\"default\"}",
                    ",\"scope\":{\"system\":{\"all\":true}}"),
           NULL, "the user 'alice' (system scope)");
    expect(GIVEN(URL, ALICE), "https://k.example:5000/v3",
           PASSWORD("\"name\":\"alice\",\"domain\":{\"id\":\"default\"}", ""), NULL,
           "the user 'alice' (no project)");
}

static void test_application_credential(void **state)
{
    (void)state;
    const char *by_id = "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
                        "\"application_credential\":{\"id\":\"c1\",\"secret\":\"sesame\"}}}}";
    /* Its scope is its own: a project would make Keystone refuse it. */
    expect(GIVEN(URL, DEMO, "OS_AUTH_TYPE", "v3applicationcredential",
                 "OS_APPLICATION_CREDENTIAL_ID", "c1", "OS_APPLICATION_CREDENTIAL_SECRET",
                 "sesame"),
           "https://k.example:5000/v3", by_id, NULL, "the application credential c1");
    expect(GIVEN(URL, "OS_APPLICATION_CREDENTIAL_ID", "c1", "OS_APPLICATION_CREDENTIAL_SECRET",
                 "sesame"),
           "https://k.example:5000/v3", by_id, NULL, "the application credential c1");
    expect(GIVEN(URL, ALICE, "OS_AUTH_TYPE", "v3applicationcredential",
                 "OS_APPLICATION_CREDENTIAL_NAME", "n", "OS_APPLICATION_CREDENTIAL_SECRET",
                 "sesame"),
           "https://k.example:5000/v3",
           "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
           "\"application_credential\":{\"name\":\"n\",\"user\":{\"name\":\"alice\","
           "\"domain\":{\"id\":\"default\"}},\"secret\":\"sesame\"}}}}",
           NULL, "the application credential 'n' of the user 'alice'");
}

static void test_escaping(void **state)
{
    (void)state;
    expect(GIVEN(URL, "OS_USER_ID", "\"},\\", "OS_PASSWORD", "\x01\n\"\\\x7f\xc3\xa4/"),
           "https://k.example:5000/v3",
           "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{"
           "\"id\":\"\\\"},\\\\\",\"password\":\"\\u0001\\u000a\\\"\\\\\x7f\xc3\xa4/\"}}}}}",
           NULL, "the user '\"},\\' (no project)");
}

static void test_too_long(void **state)
{
    (void)state;
    struct fault fault = {0};
    struct openrc openrc;
    static char huge[40000];
    memset(huge, 'x', sizeof huge);
    struct secret *password = secret_new(huge, sizeof huge);
    variables = GIVEN(URL, "OS_USERNAME", "alice");
    assert_int_equal(openrc_read(variable_get, password, NULL, &openrc, &fault), 0);
    assert_null(openrc_body(&openrc));
    secret_free(password);
}

static void test_urls(void **state)
{
    static const struct {
        const char *given, *wanted;
    } rows[] = {{"http://h", "http://h/v3"},
                {"http://h:5000/", "http://h:5000/v3"},
                {"http://h/v3", "http://h/v3"},
                {"http://h/v3//", "http://h/v3"},
                {"HTTP://H/identity", "http://h/identity/v3"},
                {"https://h/identity/v3/", "https://h/identity/v3"},
                {"http://h/identity/v2.0", "http://h/identity/v3"},
                {"http://h/rev3", "http://h/rev3/v3"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(GIVEN("OS_AUTH_URL", rows[i].given, "OS_USER_ID", "a", "OS_PASSWORD", "sesame"),
               rows[i].wanted, PASSWORD("\"id\":\"a\"", ""), NULL, "the user 'a' (no project)");
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    expect(GIVEN(ALICE), NULL, NULL, "OS_AUTH_URL is not set", NULL);
    expect(GIVEN("OS_AUTH_URL", "k.example", ALICE), NULL, NULL, "OS_AUTH_URL: ", NULL);
    expect(GIVEN("OS_AUTH_URL", "http://a:sesame@h", ALICE), NULL, NULL, "OS_AUTH_URL: ", NULL);
    expect(GIVEN("OS_AUTH_URL", "http://h/?x=1", ALICE), NULL, NULL, "OS_AUTH_URL: ", NULL);
    expect(GIVEN(URL, "OS_USERNAME", "alice"), NULL, NULL, "OS_PASSWORD is not set", NULL);
    expect(GIVEN(URL, "OS_PASSWORD", "sesame"), NULL, NULL, "OS_USERNAME is not set", NULL);
    expect(GIVEN(URL, ALICE, "OS_IDENTITY_API_VERSION", "2"), NULL, NULL, "only version 3", NULL);
    expect(GIVEN(URL, ALICE, "OS_AUTH_TYPE", "v3totp"), NULL, NULL, "OS_AUTH_TYPE is v3totp", NULL);
    expect(GIVEN(URL, ALICE, "OS_AUTH_TYPE", "v3applicationcredential"), NULL, NULL,
           "OS_APPLICATION_CREDENTIAL_SECRET is not set", NULL);
    expect(GIVEN(URL, "OS_APPLICATION_CREDENTIAL_SECRET", "sesame"), NULL, NULL,
           "OS_APPLICATION_CREDENTIAL_ID is not set", NULL);
    expect(GIVEN(URL, "OS_APPLICATION_CREDENTIAL_SECRET", "sesame",
                 "OS_APPLICATION_CREDENTIAL_NAME", "n"),
           NULL, NULL, "OS_USERNAME (OS_APPLICATION_CREDENTIAL_NAME needs it)", NULL);
    expect(GIVEN(URL, ALICE, DEMO, "OS_SYSTEM_SCOPE", "all"), NULL, NULL, "exclude each other",
           NULL);
}

static void test_exposed(void **state)
{
    static const struct {
        const char *url;
        bool exposed;
    } rows[] = {{"http://k.example", true},
                {"https://k.example", false},
                {"http://127.0.0.1:5000", false},
                {"http://localhost", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct openrc openrc;
        struct secret *password = secret_new("sesame", 6);
        variables = GIVEN("OS_AUTH_URL", rows[i].url, "OS_USER_ID", "a");
        assert_int_equal(openrc_read(variable_get, password, NULL, &openrc, NULL), 0);
        assert_int_equal(openrc.exposed, rows[i].exposed);
        secret_free(password);
    }
}

static void test_challenges(void **state)
{
    static const struct {
        const char *value;
        enum challenge challenge;
    } rows[] = {{NULL, CHALLENGE_NONE},
                {"", CHALLENGE_NONE},
                {" Basic", CHALLENGE_NONE},
                {"Basic realm=\"Baremetal API\"", CHALLENGE_BASIC},
                {"BASIC", CHALLENGE_BASIC},
                {"Keystone uri=\"http://127.0.0.1:5000\"", CHALLENGE_KEYSTONE},
                {"keystone\turi", CHALLENGE_KEYSTONE},
                {"Basically", CHALLENGE_OTHER},
                {"Key", CHALLENGE_OTHER},
                {"Bearer x", CHALLENGE_OTHER}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(challenge_parse(rows[i].value), rows[i].challenge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password), cmocka_unit_test(test_application_credential),
        cmocka_unit_test(test_escaping), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_urls),     cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_exposed),  cmocka_unit_test(test_challenges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

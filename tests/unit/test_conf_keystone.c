/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How nmid logs in to Keystone: every key, its default and its complaints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "conf/conf_lab.h"
#include "core/conf_parts.h"

#define NO_NODES "nmid.conf: nodes: there are none"
#define USER     "username = \"nmid\"; user_domain_name = \"Default\"; "
#define PROJECT  "project_name = \"service\"; project_domain_id = \"default\"; "
#define PASSWORD "password = \"" LAB_SECRET "\"; "
#define AUTH_URL "auth_url = \"http://127.0.0.1:5000\"; "
#define SECRET   "application_credential_secret = \"" LAB_SECRET "\"; "

static int parse(struct lab *lab, const char *keys)
{
    char text[2048];
    snprintf(text, sizeof text, "auth = { strategy = \"keystone\"; %s };", keys);
    return lab_parse(lab, text);
}

static const struct conf_keystone *parsed(struct lab *lab, const char *keys)
{
    if (parse(lab, keys) < 0) {
        LAB_ERRORS(lab, "none");
        return NULL;
    }
    LAB_WARNINGS(lab, NO_NODES);
    return &lab->conf->auths[0].keystone;
}

#define TEXT(secret) ((const char *)(secret)->bytes)

static void test_password(void **state)
{
    struct lab *lab = *state;
    const struct conf_keystone *keystone = parsed(lab, AUTH_URL USER PASSWORD PROJECT);
    assert_string_equal(keystone->auth_url, "http://127.0.0.1:5000/v3");
    assert_string_equal(keystone->username, "nmid");
    assert_string_equal(keystone->user_domain_name, "Default");
    assert_null(keystone->user_id);
    assert_null(keystone->user_domain_id);
    assert_string_equal(TEXT(keystone->password), LAB_SECRET);
    assert_string_equal(keystone->project_name, "service");
    assert_string_equal(keystone->project_domain_id, "default");
    assert_null(keystone->application_credential_secret);
    assert_null(keystone->ca_file);
    assert_false(keystone->system_scope);
    assert_int_equal(keystone->timeout_ms, 5000);
    keystone =
        parsed(lab, AUTH_URL PASSWORD "user_id = \"u\"; project_id = \"p\"; timeout_ms = 100;");
    assert_string_equal(keystone->user_id, "u");
    assert_string_equal(keystone->project_id, "p");
    assert_int_equal(keystone->timeout_ms, 100);
    keystone = parsed(lab, AUTH_URL PASSWORD "user_id = \"u\"; system_scope = \"all\";");
    assert_true(keystone->system_scope);
}

static void test_application_credential(void **state)
{
    struct lab *lab = *state;
    const struct conf_keystone *keystone =
        parsed(lab, AUTH_URL SECRET "application_credential_id = \"c\";");
    assert_string_equal(keystone->application_credential_id, "c");
    assert_string_equal(TEXT(keystone->application_credential_secret), LAB_SECRET);
    assert_null(keystone->password);
    keystone = parsed(lab, AUTH_URL SECRET USER "application_credential_name = \"n\";");
    assert_string_equal(keystone->application_credential_name, "n");
    assert_string_equal(keystone->username, "nmid");
}

static void test_files(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "ca.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    lab_write(lab, "password", LAB_SECRET "\n", 0600);
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"keystone\"; " AUTH_URL USER PROJECT
              "password_file = \"password\"; ca_file = \"ca.pem\"; };\n",
              0644);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab, "DIR/nmid.conf: nodes: there are none");
    const struct conf_keystone *keystone = &lab->conf->auths[0].keystone;
    assert_string_equal(TEXT(keystone->password), LAB_SECRET);
    assert_true(strcmp(strrchr(keystone->ca_file, '/'), "/ca.pem") == 0);
    /* A password in a file that all may read. */
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"keystone\"; " AUTH_URL USER PROJECT PASSWORD "};\n", 0644);
    assert_int_equal(lab_load(lab), -1);
    assert_int_equal(lab->errors.count, 1);
    report_clear(&lab->errors);
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"keystone\"; " AUTH_URL "\napplication_credential_id = \"c\";\n"
              "application_credential_secret_file = \"none\";\nca_file = \"password\"; };\n",
              0644);
    assert_int_equal(lab_load(lab), -1);
    assert_int_equal(lab->errors.count, 2);
    report_clear(&lab->errors);
}

#define NOT_VERIFIED                                                                               \
    "nmid.conf:1: auth.insecure: certificates are not verified: whoever is on the way to "         \
    "Keystone "                                                                                    \
    "reads nmid's password and every token, and can let in whom they like"

static void test_insecure(void **state)
{
    struct lab *lab = *state;
    assert_false(parsed(lab, AUTH_URL USER PASSWORD PROJECT)->insecure);
    assert_false(parsed(lab, AUTH_URL USER PASSWORD PROJECT "insecure = false;")->insecure);
    assert_int_equal(parse(lab, AUTH_URL USER PASSWORD PROJECT "insecure = true;"), 0);
    LAB_WARNINGS(lab, NOT_VERIFIED, NO_NODES);
    assert_true(lab->conf->auths[0].keystone.insecure);
    struct conf_auth copy = {0};
    assert_int_equal(conf_auth_copy(&lab->conf->auths[0], &copy), 0);
    assert_true(copy.keystone.insecure);
    conf_auth_clear(&copy);
    assert_int_equal(parse(lab, AUTH_URL USER PASSWORD PROJECT "insecure = \"yes\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: auth.insecure: expected true or false");
    /* It would look as if somebody were trusted. */
    lab_write(lab, "ca.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"keystone\"; " AUTH_URL USER PROJECT PASSWORD
              "ca_file = \"ca.pem\"; insecure = true; };\n",
              0600);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:1: auth.insecure: stands beside ca_file: no certificate is "
                    "verified with it, so expected one of them");
}

static void test_urls(void **state)
{
    static const struct {
        const char *given, *becomes;
    } good[] = {
        {"http://127.0.0.1:5000/", "http://127.0.0.1:5000/v3"},
        {"http://127.0.0.1:5000/v3", "http://127.0.0.1:5000/v3"},
        {"http://127.0.0.1:5000/v3/", "http://127.0.0.1:5000/v3"},
        {"HTTPS://Keystone.Example:443/identity", "https://keystone.example/identity/v3"},
        {"https://keystone.example/identity/v3//", "https://keystone.example/identity/v3"},
        {"https://v3.example", "https://v3.example/v3"},
        {"https://keystone.example/vault", "https://keystone.example/vault/v3"},
    };
    struct lab *lab = *state;
    char keys[512];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(keys, sizeof keys, "auth_url = \"%s\"; " USER PASSWORD PROJECT, good[i].given);
        assert_string_equal(parsed(lab, keys)->auth_url, good[i].becomes);
    }
    parse(lab, USER PASSWORD PROJECT "auth_url = \"http://keystone.example\";");
    LAB_WARNINGS(lab,
                 "nmid.conf:1: auth.auth_url: http: whoever listens on the way reads nmid's "
                 "password and every token",
                 NO_NODES);
    assert_int_equal(parse(lab, USER PASSWORD PROJECT), -1);
    LAB_ERRORS(lab, "nmid.conf:1: auth.auth_url: missing: expected Keystone's URL, as in "
                    "\"https://keystone.example:5000\"");
    assert_int_equal(parse(lab, USER PASSWORD PROJECT "auth_url = \"keystone:5000\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: auth.auth_url: expected a URL: it must begin with http:// or "
                    "https://");
    assert_int_equal(parse(lab, USER PASSWORD PROJECT "auth_url = \"https://a/v2.0\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: auth.auth_url: expected the Identity API v3: a URL that ends in "
                    "/v3, or in no version");
    assert_int_equal(parse(lab, USER PASSWORD PROJECT "auth_url = \"https://a/v3?x\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: auth.auth_url: expected a URL without a query");
}

static void expect(struct lab *lab, const char *keys, const char *error)
{
    char line[512];
    char all[1024];
    snprintf(all, sizeof all, AUTH_URL "%s", keys);
    snprintf(line, sizeof line, "nmid.conf:1: auth.%s", error);
    assert_int_equal(parse(lab, all), -1);
    LAB_ERRORS(lab, line);
}

static void test_missing(void **state)
{
    struct lab *lab = *state;
    expect(lab, USER PROJECT,
           "password: missing: expected password, password_file or application_credential_id");
    expect(lab, PASSWORD PROJECT, "username: missing: a password needs a user (or user_id)");
    expect(lab, USER PASSWORD,
           "project_name: missing: expected project_name, project_id or system_scope");
    expect(lab, PASSWORD PROJECT "username = \"u\";",
           "username: needs a domain: user_domain_name (as in \"Default\") or user_domain_id");
    expect(lab, PASSWORD USER "project_name = \"p\";",
           "project_name: needs a domain: project_domain_name (as in \"Default\") or "
           "project_domain_id");
    expect(lab, "application_credential_id = \"c\";",
           "application_credential_id: needs application_credential_secret (or "
           "application_credential_secret_file)");
    expect(lab, SECRET "application_credential_name = \"n\";",
           "username: missing: application_credential_name needs a user (or user_id)");
    expect(lab, SECRET USER PROJECT,
           "application_credential_secret: needs application_credential_id, or "
           "application_credential_name");
}

static void test_contradictions(void **state)
{
    struct lab *lab = *state;
    expect(lab, USER PASSWORD PROJECT "user_id = \"u\";",
           "user_id: stands beside username: expected one of them");
    expect(lab, USER PASSWORD PROJECT "user_domain_id = \"u\";",
           "user_domain_id: stands beside user_domain_name: expected one of them");
    expect(lab, USER PASSWORD PROJECT "project_id = \"u\";",
           "project_id: stands beside project_name: expected one of them");
    expect(lab, USER PASSWORD PROJECT "system_scope = \"all\";",
           "system_scope: stands beside project_name: expected one of them");
    expect(lab, PASSWORD PROJECT "user_id = \"u\"; user_domain_id = \"d\";",
           "user_domain_id: stands without username");
    expect(lab, PASSWORD USER "project_id = \"u\"; project_domain_name = \"d\";",
           "project_domain_name: stands without project_name");
    expect(lab, SECRET "application_credential_id = \"c\"; " PASSWORD,
           "password: stands beside application_credential_id: expected one of them");
    expect(lab, SECRET "application_credential_id = \"c\"; project_id = \"p\";",
           "project_id: stands beside application_credential_id: expected one of them");
    expect(lab, SECRET "application_credential_id = \"c\"; user_id = \"p\";",
           "user_id: stands beside application_credential_id: expected one of them");
    expect(lab, SECRET "application_credential_id = \"c\"; system_scope = \"all\";",
           "system_scope: stands beside application_credential_id: expected one of them");
}

static void test_values(void **state)
{
    struct lab *lab = *state;
    char longest[512];
    expect(lab, USER PROJECT "password = \"\";",
           "password: expected 1 to 4096 bytes, none of them NUL");
    expect(lab, PASSWORD PROJECT "user_id = \"\";",
           "user_id: expected 1 to 255 bytes, none of them a control character");
    expect(lab, PASSWORD PROJECT "user_id = \"a\\nb\";",
           "user_id: expected 1 to 255 bytes, none of them a control character");
    expect(lab, PASSWORD PROJECT "user_id = 7;", "user_id: expected a string (in double quotes)");
    snprintf(longest, sizeof longest, PASSWORD PROJECT "user_id = \"%0256d\";", 0);
    expect(lab, longest, "user_id: expected 1 to 255 bytes, none of them a control character");
    expect(lab, PASSWORD USER "system_scope = \"some\";", "system_scope: expected \"all\"");
    expect(lab, PASSWORD USER "system_scope = true;", "system_scope: expected \"all\"");
    expect(lab, PASSWORD USER PROJECT "timeout_ms = 99;",
           "timeout_ms: expected a decimal integer from 100 to 60000");
    expect(lab, PASSWORD USER PROJECT "usernam = \"x\";", "usernam: unknown key");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_password),       CASE(test_application_credential),
        CASE(test_files),          CASE(test_urls),
        CASE(test_insecure),       CASE(test_missing),
        CASE(test_contradictions), CASE(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

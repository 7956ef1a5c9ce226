/* SPDX-License-Identifier: GPL-3.0-or-later */
/* callback = { ... }: every key, its default and its complaints, and where its secrets may stand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf_lab.h"

#define NO_NODES "nmid.conf: nodes: there are none"

static void test_defaults(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, ""), 0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_null(lab->conf->callback.url);
    assert_null(lab->conf->callback.hmac_key);
    assert_null(lab->conf->callback.ca_file);
    assert_int_equal(lab->conf->callback.header_count, 0);
    assert_int_equal(lab->conf->callback.allow_count, 0);
    assert_int_equal(lab->conf->callback.timeout_ms, 10000);
    assert_int_equal(lab_parse(lab, "callback = { allow = (); headers = (); };"), 0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_int_equal(lab->conf->callback.timeout_ms, 10000);
}

static void test_every_key(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "ca.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    lab_write(lab, "token", "Bearer " LAB_SECRET "\n", 0600);
    lab_write(lab, "nmid.conf",
              "callback = { url = \"HTTPS://Hooks.example:443/all\"; ca_file = \"ca.pem\";\n"
              " headers = ( { name = \"X-One\"; value = \"a b\"; },\n"
              "  { name = \"Authorization\"; value_file = \"token\"; } );\n"
              " hmac_key = \"0123456789abcdef\"; timeout_ms = 100;\n"
              " allow = [ \"https://a.example/\", \"HTTP://B:80/x/\" ]; };\n",
              0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab, "DIR/nmid.conf: nodes: there are none");
    const struct conf_callback *callback = &lab->conf->callback;
    assert_string_equal(callback->url, "https://hooks.example/all");
    assert_int_equal(callback->header_count, 2);
    assert_string_equal(callback->headers[0].name, "X-One");
    assert_string_equal((const char *)callback->headers[0].value->bytes, "a b");
    assert_string_equal(callback->headers[1].name, "Authorization");
    assert_string_equal((const char *)callback->headers[1].value->bytes, "Bearer " LAB_SECRET);
    assert_int_equal(callback->hmac_key->len, 16);
    assert_true(strcmp(strrchr(callback->ca_file, '/'), "/ca.pem") == 0);
    assert_int_equal(callback->timeout_ms, 100);
    assert_int_equal(callback->allow_count, 2);
    assert_string_equal(callback->allow[0], "https://a.example/");
    assert_string_equal(callback->allow[1], "http://b/x/");
}

static void test_insecure(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, "callback = { url = \"https://hooks.example\";\ninsecure = true; };"), 0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: callback.insecure: certificates are not verified: whoever is on the "
                 "way reads each callback with its headers, and can take it in the receiver's place",
                 "nmid.conf: nodes: there are none");
    assert_true(lab->conf->callback.insecure);
    assert_int_equal(lab_parse(lab, "callback = { url = \"https://hooks.example\"; };"), 0);
    assert_false(lab->conf->callback.insecure);
    report_clear(&lab->warnings);
}

static void test_wrong_types(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "callback = 1;"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: callback: expected a group { ... }");
    assert_int_equal(lab_parse(lab, "callback = {\nurl = 1;\nheaders = 2;\nca_file = 3;\n"
                                    "hmac_key = 4;\nallow = 5;\ntimeout_ms = \"6\";\nwhat = 7; };"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:3: callback.headers: expected a list ( { ... }, { ... } )",
               "nmid.conf:2: callback.url: expected a string (in double quotes)",
               "nmid.conf:4: callback.ca_file: expected a string (in double quotes)",
               "nmid.conf:5: callback.hmac_key: expected a string (in double quotes)",
               "nmid.conf:6: callback.allow: expected a list ( \"URL\", \"URL\" )",
               "nmid.conf:7: callback.timeout_ms: expected a decimal integer from 100 to 600000",
               "nmid.conf:8: callback.what: unknown key");
    assert_int_equal(lab_parse(lab, "callback = { timeout_ms = 99; hmac_key = \"\"; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: callback.hmac_key: expected 1 to 1024 bytes",
               "nmid.conf:1: callback.timeout_ms: expected a decimal integer from 100 to 600000");
}

static void test_urls(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "callback = {\nurl = \"ftp://a/\";\nallow = (\n"
                                    "\"https://good.example\",\n\"https://good.example?/\",\n"
                                    "\"https://u@a/\",\n\"\",\n1,\n{},\n\"http://a/?x\",\n"
                                    "\"http://a/../\" ); };"),
                     -1);
#define SLASH                                                                                      \
    "callback.allow: expected a scheme, a host, a slash and no query, as in "                      \
    "\"https://hooks.example/nmid/\""
    LAB_ERRORS(
        lab, "nmid.conf:2: callback.url: expected a URL: it must begin with http:// or https://",
        "nmid.conf:4: " SLASH, "nmid.conf:5: " SLASH,
        "nmid.conf:6: callback.allow: expected a URL: it must not have a user",
        "nmid.conf:7: callback.allow: expected a URL: it must begin with http:// or "
        "https://",
        "nmid.conf:8: callback.allow: expected strings (in double quotes)",
        "nmid.conf:9: callback.allow: expected strings (in double quotes)", "nmid.conf:10: " SLASH,
        "nmid.conf:11: callback.allow: expected a URL: its path must not have segments "
        "\".\" and \"..\"");
}

static void test_headers(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "callback = { url = \"http://127.0.0.1/\"; headers = (\n"
                                    "{ },\n"
                                    "{ name = \"X y\"; value = \"" LAB_SECRET "\\n\"; },\n"
                                    "{ name = \"content-type\"; value = \" " LAB_SECRET "\"; },\n"
                                    "{ name = \"X-A\"; value = \"\"; },\n"
                                    "{ name = \"x-a\"; value = \"" LAB_SECRET "\"; odd = 1; },\n"
                                    "{ name = \"\"; value = 1; },\n"
                                    "{ name = \"X-B\"; value = \"v\"; value_file = \"w\"; },\n"
                                    "3 ); };"),
                     -1);
#define VALUE                                                                                      \
    "callback.headers.value: expected text without control characters and without a blank at its " \
    "ends"
#define NAME "callback.headers.name: expected 1 to 64 letters, digits and hyphens"
    LAB_ERRORS(lab, "nmid.conf:2: callback.headers.name: missing: every header needs one",
               "nmid.conf:2: callback.headers.value: missing: every header needs one (or "
               "value_file)",
               "nmid.conf:3: " NAME, "nmid.conf:3: " VALUE,
               "nmid.conf:4: callback.headers.name: nmid sets this header itself",
               "nmid.conf:4: " VALUE, "nmid.conf:5: " VALUE,
               "nmid.conf:6: callback.headers.name: this header stands twice",
               "nmid.conf:6: callback.headers.odd: unknown key", "nmid.conf:7: " NAME,
               "nmid.conf:7: callback.headers.value: expected a string (in double quotes)",
               "nmid.conf:8: callback.headers.value_file: stands beside value: expected one of "
               "them",
               "nmid.conf:9: callback.headers: expected a group { ... }");
}

static void test_secrets(void **state)
{
    struct lab *lab = *state;
    const char *with_key = "callback = {\n hmac_key = \"" LAB_SECRET "\"; };";
    const char *with_value = "callback = { url = \"http://[::1]/\"; headers = (\n"
                             " { name = \"X-A\"; value = \"" LAB_SECRET "\"; } ); };";
    lab_write(lab, "nmid.conf", with_key, 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:2: the file holds a secret and is readable by others: chmod o-r "
                    "DIR/nmid.conf");
    lab_write(lab, "nmid.conf", with_value, 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:2: the file holds a secret and is readable by others: chmod o-r "
                    "DIR/nmid.conf");
    lab_write(lab, "nmid.conf", "callback = { hmac_key_file = \"key\"; };", 0644);
    lab_write(lab, "key", LAB_SECRET, 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:1: callback.hmac_key_file: DIR/key holds a secret and is readable by "
                    "others: chmod o-r DIR/key");
    lab_write(lab, "key", LAB_SECRET "\n", 0600);
    assert_int_equal(lab_load(lab), 0);
    assert_int_equal(lab->conf->callback.hmac_key->len, strlen(LAB_SECRET));
    report_clear(&lab->warnings);
}

static void test_ca_file(void **state)
{
    static const char *const none[] = {
        "none", "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"};
    static const char *const some[] = {"-----BEGIN CERTIFICATE-----\n",
                                       "bob\n-----BEGIN TRUSTED CERTIFICATE-----\n"};
    struct lab *lab = *state;
    lab_write(lab, "nmid.conf", "callback = {\n ca_file = \"ca.pem\"; };", 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:2: callback.ca_file: DIR/ca.pem: cannot open: No such file or "
                    "directory");
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        lab_write(lab, "ca.pem", none[i], 0644);
        assert_int_equal(lab_load(lab), -1);
        LAB_ERRORS(lab,
                   "DIR/nmid.conf:2: callback.ca_file: DIR/ca.pem: it holds no certificate (PEM)");
    }
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        lab_write(lab, "ca.pem", some[i], 0644);
        assert_int_equal(lab_load(lab), 0);
        report_clear(&lab->warnings);
    }
}

static void test_warnings(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab,
                               "callback = { url = \"http://hooks.example/\"; hmac_key = \"k\";\n"
                               "headers = ( { name = \"X\"; value = \"y\"; } ); };"),
                     0);
    LAB_WARNINGS(
        lab, "nmid.conf:1: callback.url: http: whoever listens on the way reads the headers",
        "nmid.conf:1: callback.hmac_key: shorter than 16 bytes: it can be guessed", NO_NODES);
    assert_int_equal(lab_parse(lab, "callback = {\nheaders = ( { name = \"X\"; value = \"y\"; } ); "
                                    "};"),
                     0);
    LAB_WARNINGS(lab, "nmid.conf:2: callback.headers: without a url they go nowhere", NO_NODES);
}

static void test_ironic(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "ironic = { url = \"http://127.0.0.1:6385/v1/\"; };\n"
                                    "callback = { ironic = true; };"),
                     0);
    LAB_WARNINGS(lab, NO_NODES); /* not that Ironic is asked for nothing */
    assert_ptr_equal(lab->conf->callback.ironic, &lab->conf->ironic);
    assert_string_equal(lab->conf->callback.ironic->url, "http://127.0.0.1:6385");
    assert_int_equal(lab_parse(lab, "callback = { ironic = true; };\n"
                                    "state_source = \"ironic\";\n"
                                    "ironic = { url = \"http://127.0.0.1:6385\"; };"),
                     0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_non_null(lab->conf->callback.ironic);
    assert_int_equal(lab_parse(lab, "ironic = { url = \"http://127.0.0.1:6385\"; };\n"
                                    "callback = { ironic = false; };"),
                     0);
    LAB_WARNINGS(lab,
                 "nmid.conf:1: ironic: state_source is \"configuration\": Ironic is not asked for "
                 "anything",
                 NO_NODES);
    assert_null(lab->conf->callback.ironic);
    assert_int_equal(lab_parse(lab, "callback = {\n ironic = true; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: callback.ironic: needs a group ironic = { url = \"...\"; }");
    assert_int_equal(lab_parse(lab, "callback = {\n ironic = \"yes\"; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: callback.ironic: expected true or false");
    assert_int_equal(lab_parse(lab, "callback = { ironic = true; };\nironic = { };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.url: missing: where is Ironic?");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_defaults), CASE(test_every_key), CASE(test_wrong_types),
        CASE(test_insecure),
        CASE(test_urls),     CASE(test_headers),   CASE(test_secrets),
        CASE(test_ca_file),  CASE(test_warnings),  CASE(test_ironic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

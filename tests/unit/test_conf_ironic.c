/* SPDX-License-Identifier: GPL-3.0-or-later */
/* state_source and ironic = { ... }: every key, its default, its complaints and its warnings. */
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
#define SOURCE   "state_source = \"ironic\";\n"
#define LOOPBACK "url = \"http://127.0.0.1:6385\"; "

static void test_defaults(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, ""), 0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_false(lab->conf->state_source_ironic);
    assert_null(lab->conf->ironic.url);
    assert_int_equal(lab_parse(lab, "state_source = \"configuration\";"), 0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_false(lab->conf->state_source_ironic);
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { " LOOPBACK "};"), 0);
    LAB_WARNINGS(lab, NO_NODES);
    const struct conf_ironic *ironic = &lab->conf->ironic;
    assert_true(lab->conf->state_source_ironic);
    assert_string_equal(ironic->url, "http://127.0.0.1:6385");
    assert_int_equal(ironic->auth, AUTH_NONE);
    assert_int_equal(ironic->cache_s, 5);
    assert_int_equal(ironic->timeout_ms, 5000);
    assert_false(ironic->fail_open);
    assert_false(ironic->ignore_reservation);
    assert_null(ironic->ca_file);
}

static void test_every_key(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "ca.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    lab_write(lab, "password", LAB_SECRET "\n", 0600);
    lab_write(lab, "nmid.conf",
              SOURCE
              "ironic = { url = \"https://Cloud.example/baremetal/\"; auth = \"http_basic\";\n"
              " username = \"nmid\"; password_file = \"password\"; ca_file = \"ca.pem\";\n"
              " cache_s = 0; timeout_ms = 100; ignore_reservation = true; fail_open = true;"
              " };\n",
              0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab,
                 "DIR/nmid.conf:4: ironic.fail_open: while Ironic is down the configuration's "
                 "project_id and status count: a machine that was given to another project may be "
                 "injected into by its former one",
                 "DIR/nmid.conf: nodes: there are none");
    const struct conf_ironic *ironic = &lab->conf->ironic;
    assert_string_equal(ironic->url, "https://cloud.example/baremetal");
    assert_int_equal(ironic->auth, AUTH_HTTP_BASIC);
    assert_string_equal(ironic->username, "nmid");
    assert_string_equal((const char *)ironic->password->bytes, LAB_SECRET);
    assert_string_equal(strrchr(ironic->ca_file, '/'), "/ca.pem");
    assert_int_equal(ironic->cache_s, 0);
    assert_int_equal(ironic->timeout_ms, 100);
    assert_true(ironic->ignore_reservation);
    assert_true(ironic->fail_open);
}

static void test_keystone(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "ca.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
    lab_write(lab, "nmid.conf",
              SOURCE "ironic = { url = \"https://cloud.example:6385/v1\"; auth = \"keystone\";\n"
                     " auth_url = \"https://cloud.example:5000\"; username = \"nmid\";\n"
                     " user_domain_name = \"Default\"; password = \"" LAB_SECRET "\";\n"
                     " project_name = \"service\"; project_domain_name = \"Default\";\n"
                     " ca_file = \"ca.pem\"; timeout_ms = 2000; };\n",
              0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab, "DIR/nmid.conf: nodes: there are none");
    const struct conf_ironic *ironic = &lab->conf->ironic;
    assert_string_equal(ironic->url, "https://cloud.example:6385"); /* nmid adds the /v1 */
    assert_int_equal(ironic->auth, AUTH_KEYSTONE);
    assert_string_equal(ironic->keystone.username, "nmid");
    assert_string_equal(strrchr(ironic->ca_file, '/'), "/ca.pem");
    assert_int_equal(ironic->timeout_ms, 2000);
}

static void test_insecure(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, SOURCE "ironic = { url = \"https://i.example\";\ninsecure = true; };"), 0);
    LAB_WARNINGS(
        lab,
        "nmid.conf:3: ironic.insecure: certificates are not verified: whoever is on the way "
        "to Ironic reads nmid's credentials, and can answer in its place",
        "nmid.conf: nodes: there are none");
    assert_true(lab->conf->ironic.insecure);
    /* With Keystone's log-in it is one key for both. */
    assert_int_equal(
        lab_parse(lab,
                  SOURCE "ironic = { url = \"https://i.example\"; auth = \"keystone\";\n"
                         "auth_url = \"https://k.example\"; user_id = \"u\"; password = \"p\";\n"
                         "system_scope = \"all\"; insecure = true; };"),
        0);
    assert_true(lab->conf->ironic.insecure);
    assert_true(lab->conf->ironic.keystone.insecure);
    assert_int_equal(lab->warnings.count, 2);
    report_clear(&lab->warnings);
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { url = \"https://i.example\"; };"), 0);
    assert_false(lab->conf->ironic.insecure);
    report_clear(&lab->warnings);
}

static void test_complaints(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "state_source = \"nova\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: state_source: expected \"configuration\" or \"ironic\"");
    assert_int_equal(lab_parse(lab, "\nstate_source = \"ironic\";"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: state_source: \"ironic\" needs a group ironic = { url = \"...\"; "
                    "}");
    assert_int_equal(lab_parse(lab, SOURCE "ironic = 1;"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic: expected a group { ... }");
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.url: missing: where is Ironic?");
    assert_int_equal(lab_parse(lab, SOURCE "ironic = {\nurl = \"ironic:6385\";\nauth = \"token\";\n"
                                           "cache_s = 3601;\ntimeout_ms = 99;\nfail_open = 1;\n"
                                           "ignore_reservation = \"x\";\nwhat = 1; };"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:4: ironic.auth: expected \"none\", \"http_basic\" or \"keystone\"",
               "nmid.conf:6: ironic.timeout_ms: expected a decimal integer from 100 to 60000",
               "nmid.conf:3: ironic.url: expected a URL: it must begin with http:// or https://",
               "nmid.conf:5: ironic.cache_s: expected a decimal integer from 0 to 3600",
               "nmid.conf:8: ironic.ignore_reservation: expected true or false",
               "nmid.conf:7: ironic.fail_open: expected true or false",
               "nmid.conf:9: ironic.what: unknown key");
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { url = \"http://127.0.0.1/?a=b\"; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.url: expected a URL without a query");
}

static void test_credentials(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { " LOOPBACK "auth = \"http_basic\"; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.username: missing: auth = \"http_basic\" needs one",
               "nmid.conf:2: ironic.password: missing: auth = \"http_basic\" needs one (or "
               "password_file)");
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { " LOOPBACK "auth = \"http_basic\"; "
                                           "username = \"a:b\"; password = \"" LAB_SECRET "\"; };"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.username: expected 1 to 255 characters, none of them a "
                    "colon");
    /* Credentials that nothing uses are a mistake. */
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { " LOOPBACK "username = \"nmid\"; };"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: ironic.username: unknown key");
}

static void test_warnings(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "ironic = { " LOOPBACK "};"), 0);
    LAB_WARNINGS(lab,
                 "nmid.conf:1: ironic: state_source is \"configuration\": Ironic is not asked "
                 "for anything",
                 NO_NODES);
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { url = \"http://ironic.example\"; };"), 0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: ironic.url: http: who is on the way may answer in Ironic's "
                 "place",
                 NO_NODES);
    assert_int_equal(lab_parse(lab, SOURCE "ironic = { url = \"http://ironic.example\"; "
                                           "auth = \"http_basic\"; username = \"nmid\"; "
                                           "password = \"" LAB_SECRET "\"; };"),
                     0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: ironic.url: http: whoever listens on the way reads nmid's "
                 "credentials, and may answer in Ironic's place",
                 NO_NODES);
}

#define NODE(uuid, port, more)                                                                     \
    "{ uuid = \"1be26c0b-03f2-4d2e-ae87-c02d7f33c78" uuid "\"; driver = \"fake\"; " more           \
    "driver_info = { address = \"10.0.0." port "\"; }; }"

/* Once for all nodes. */
static void test_overruled(void **state)
{
    static const char nodes[] = "nodes = ( " NODE("1", "1", "") ",\n" NODE(
        "2", "2", "status = \"ERROR\";") ",\n" NODE("3", "3", "project_id = \"demo\";") " );";
    struct lab *lab = *state;
    char text[2000];
    snprintf(text, sizeof text, SOURCE "ironic = { " LOOPBACK "};\n%s", nodes);
    assert_int_equal(lab_parse(lab, text), 0);
    LAB_WARNINGS(lab, "nmid.conf:4: status: not used, here and in other nodes: state_source is "
                      "\"ironic\", and without ironic.fail_open only Ironic's count");
    assert_int_equal(lab_parse(lab, nodes), 0);
    LAB_WARNINGS(lab, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_insecure, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_every_key, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_keystone, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_complaints, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_credentials, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_warnings, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_overruled, lab_setup, lab_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmid.conf: every key's default, range and complaint, the files, their permissions and order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "conf/conf_lab.h"

#define UUID_A "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
#define UUID_B "2be26c0b-03f2-4d2e-ae87-c02d7f33c782"
#define NODE(uuid, address)                                                                        \
    "nodes = ( { uuid = \"" uuid "\"; driver = \"fake\"; driver_info = { address = \"" address     \
    "\"; }; } );\n"
#define NO_NODES "nmid.conf: nodes: there are none"

static void test_defaults(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, ""), 0);
    LAB_WARNINGS(lab, NO_NODES);
    const struct conf *conf = lab->conf;
    assert_int_equal(conf->listener_count, 1);
    assert_null(conf->listeners[0].address);
    assert_string_equal(conf->listeners[0].socket, "/run/nmid/nmid.sock");
    assert_string_equal(conf->state_dir, "/var/lib/nmid");
    assert_null(conf->include_dir);
    assert_int_equal(conf->hold_off_s, 300);
    assert_int_equal(conf->ipmi.window, 4096);
    assert_int_equal(conf->ipmi.timeout_ms, 20000);
    assert_int_equal(conf->ipmi.answer_ms, 10000);
    assert_int_equal(conf->ipmi.retransmit_ms, 1000);
    assert_int_equal(conf->ipmi.min_interval_ms, 0);
    assert_int_equal(conf->ipmi.auth_pause_s, 300);
    assert_int_equal(conf->ipmi.resend, CONF_RESEND_NEVER);
    assert_int_equal(conf->ipmi.sel, CONF_SEL_SILENCE);
    assert_false(conf->ipmi.retry_busy);
    assert_int_equal(conf->limits.connections, 1024);
    assert_int_equal(conf->limits.connections_per_address, 64);
    assert_int_equal(conf->limits.header_bytes, 16384);
    assert_int_equal(conf->limits.url_bytes, 8192);
    assert_int_equal(conf->limits.token_bytes, 8192);
    assert_int_equal(conf->limits.requests_per_principal, 512);
    assert_int_equal(conf->limits.actions_per_minute, 6000);
    assert_int_equal(conf->limits.body_bytes, 65536);
    assert_int_equal(conf->limits.request_s, 10);
    assert_int_equal(conf->limits.idle_s, 60);
    assert_int_equal(conf->limits.history, 10000);
    assert_int_equal(conf->limits.queue, 100000);
    assert_int_equal(node_table_count(conf->nodes), 0);
}

static void test_every_key(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, "listen = ( { socket = \"run/s\"; auth = { strategy = \"none\"; }; },\n"
                       " { address = \"127.0.0.2\"; port = 0; }, { address = \"0::1\"; } );\n"
                       "state_dir = \"/srv/x\"; auth = { strategy = \"none\"; };\n"
                       "hold_off_s = 150;\n"
                       "ipmi = { window = 1; timeout_ms = 1000; answer_ms = 100;\n"
                       " retransmit_ms = 50; min_interval_ms = 7; auth_pause_s = 0;\n"
                       " resend = \"if-unseen\"; retry_busy = true; sel_evidence = \"always\"; "
                       "};\n"
                       "limits = { connections = 1; connections_per_address = 2;\n"
                       " header_bytes = 1024; body_bytes = 1025; request_s = 3; idle_s = 4;\n"
                       " history = 5; queue = 6; };\n" NODE(UUID_A, "a") "# the end"),
        0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: listen.address: auth \"none\" on 127.0.0.2: every user of this "
                 "host may inject; prefer a socket",
                 "nmid.conf:2: listen.address: auth \"none\" on ::1: every user of this host may "
                 "inject; prefer a socket",
                 "nmid.conf:7: ipmi.resend: a BMC that acts later than answer_ms executes both "
                 "interrupts, and the second destroys the dump: see nmid.conf(5)",
                 "nmid.conf:7: ipmi.retry_busy: a BMC that says busy and acts executes more than "
                 "one interrupt, and the second destroys the dump: see nmid.conf(5)");
    const struct conf *conf = lab->conf;
    assert_int_equal(conf->listener_count, 3);
    assert_string_equal(conf->listeners[0].socket, "run/s"); /* "nmid.conf" has no directory */
    assert_string_equal(conf->listeners[1].address, "127.0.0.2");
    assert_int_equal(conf->listeners[1].port, 0);
    assert_string_equal(conf->listeners[2].address, "::1");
    assert_int_equal(conf->listeners[2].port, 8623);
    assert_string_equal(conf->state_dir, "/srv/x");
    assert_int_equal(conf->hold_off_s, 150);
    assert_int_equal(conf->ipmi.window, 1);
    assert_int_equal(conf->ipmi.timeout_ms, 1000);
    assert_int_equal(conf->ipmi.answer_ms, 100);
    assert_int_equal(conf->ipmi.retransmit_ms, 50);
    assert_int_equal(conf->ipmi.min_interval_ms, 7);
    assert_int_equal(conf->ipmi.auth_pause_s, 0);
    assert_int_equal(conf->ipmi.resend, CONF_RESEND_IF_UNSEEN);
    assert_int_equal(conf->ipmi.sel, CONF_SEL_ALWAYS);
    assert_true(conf->ipmi.retry_busy);
    assert_int_equal(conf->limits.connections, 1);
    assert_int_equal(conf->limits.url_bytes, 512); /* half of the head, since it is so small */
    assert_int_equal(conf->limits.token_bytes, 512);
    assert_int_equal(conf->limits.body_bytes, 1025);
    assert_int_equal(conf->limits.queue, 6);
    assert_int_equal(node_table_count(conf->nodes), 1);
}

/* One text, one complaint. */
struct complaint {
    const char *text, *told;
};

static void assert_complaints(struct lab *lab, const struct complaint *row)
{
    for (; row->text != NULL; row++) {
        assert_int_equal(lab_parse(lab, row->text), -1);
        LAB_ERRORS(lab, row->told);
    }
}

static void test_complaints(void **state)
{
    static const struct complaint rows[] = {
        {"\n\nstate_dirr = \"/x\";", "nmid.conf:3: state_dirr: unknown key"},
        {"state_dir = 3;", "nmid.conf:1: state_dir: expected a string (in double quotes)"},
        {"state_dir = \"\";", "nmid.conf:1: state_dir: expected a path"},
        {"hold_off_s = 149;",
         "nmid.conf:1: hold_off_s: expected 0 or an integer from 150 to 604800"},
        {"hold_off_s = -1;",
         "nmid.conf:1: hold_off_s: expected a decimal integer from 0 to 604800"},
        {"hold_off_s = 99999999999999999999;",
         "nmid.conf:1: hold_off_s: expected a decimal integer from 0 to 604800"},
        {"hold_off_s = 0x10000012c;", /* libconfig alone would make it 300 */
         "nmid.conf:1: hold_off_s: expected a decimal integer from 0 to 604800"},
        {"hold_off_s = 300.0;",
         "nmid.conf:1: hold_off_s: expected a decimal integer from 0 to 604800"},
        {"ipmi = 1;", "nmid.conf:1: ipmi: expected a group { ... }"},
        {"ipmi = {\n wndow = 1; };", "nmid.conf:2: ipmi.wndow: unknown key"},
        {"ipmi = {\n window = 0; };",
         "nmid.conf:2: ipmi.window: expected a decimal integer from 1 to 65536"},
        {"ipmi = { timeout_ms = 999; };",
         "nmid.conf:1: ipmi.timeout_ms: expected a decimal integer from 1000 to 600000"},
        {"ipmi = { timeout_ms = 5000;\nmin_interval_ms = 2501; };",
         "nmid.conf:2: ipmi.min_interval_ms: expected a decimal integer from 0 to half of "
         "ipmi.timeout_ms (5000)"},
        {"ipmi = { timeout_ms = 5000;\nanswer_ms = 5001; };",
         "nmid.conf:2: ipmi.answer_ms: expected a decimal integer from 100 to ipmi.timeout_ms "
         "(5000)"},
        {"ipmi = { retransmit_ms = 49; };",
         "nmid.conf:1: ipmi.retransmit_ms: expected a decimal integer from 50 to 60000"},
        {"ipmi = { resend = \"always\"; };",
         "nmid.conf:1: ipmi.resend: expected \"never\" or \"if-unseen\""},
        {"ipmi = { resend = true; };",
         "nmid.conf:1: ipmi.resend: expected a string (in double quotes)"},
        {"ipmi = { sel_evidence = \"sometimes\"; };",
         "nmid.conf:1: ipmi.sel_evidence: expected \"never\", \"silence\" or \"always\""},
        {"ipmi = { auth_pause_s = 86401; };",
         "nmid.conf:1: ipmi.auth_pause_s: expected a decimal integer from 0 to 86400"},
        {"ipmi = { retry_busy = 0; };", "nmid.conf:1: ipmi.retry_busy: expected true or false"},
        {"limits = { connections = 0; };",
         "nmid.conf:1: limits.connections: expected a decimal integer from 1 to 65536"},
        {"limits = { bodies = 1; };", "nmid.conf:1: limits.bodies: unknown key"},
        {"limits = { header_bytes = 2000;\n url_bytes = 2001; };",
         "nmid.conf:2: limits.url_bytes: expected no more than limits.header_bytes (2000)"},
        {"limits = { token_bytes = 16385; };",
         "nmid.conf:1: limits.token_bytes: expected no more than limits.header_bytes (16384)"},
        {"limits = { requests_per_principal = 0; };",
         "nmid.conf:1: limits.requests_per_principal: expected a decimal integer from 1 to 65536"},
        {"auth = { strategy = \"nobody\"; };",
         "nmid.conf:1: auth.strategy: expected \"none\", \"http_basic\", "
         "\"keystone\" or \"client_certificate\""},
        {"auth = { };",
         "nmid.conf:1: auth.strategy: missing: expected \"none\", \"http_basic\", "
         "\"keystone\" or \"client_certificate\""},
        {"auth = \"none\";", "nmid.conf:1: auth: expected a group { ... }"},
        {NULL, NULL},
    };
    assert_complaints(*state, rows);
}

static void test_listen_complaints(void **state)
{
    static const struct complaint rows[] = {
        {"listen = ();", "nmid.conf:1: listen: expected 1 to 64 listeners"},
        {"listen = { socket = \"s\"; };",
         "nmid.conf:1: listen: expected a list ( { ... }, { ... } )"},
        {"listen = (\n 1 );", "nmid.conf:2: listen: expected a group { ... }"},
        {"listen = ( { } );", "nmid.conf:1: listen.address: missing: expected address or socket"},
        {"listen = ( { address = \"localhost\"; } );",
         "nmid.conf:1: listen.address: expected a numeric IPv4 or IPv6 address"},
        {"listen = ( {\n address = \"10.0.0.1\"; } );",
         "nmid.conf:2: listen.address: 10.0.0.1 is not loopback, and auth \"none\" lets every "
         "caller inject: expected 127.0.0.1, ::1 or a socket"},
        {"listen = ( { address = \"0.0.0.0\"; auth = { strategy = \"none\"; }; } );",
         "nmid.conf:1: listen.address: 0.0.0.0 is not loopback, and auth \"none\" lets every "
         "caller inject: expected 127.0.0.1, ::1 or a socket"},
        {"listen = ( { address = \"::\"; } );",
         "nmid.conf:1: listen.address: :: is not loopback, and auth \"none\" lets every caller "
         "inject: expected 127.0.0.1, ::1 or a socket"},
        {"listen = ( { address = \"127.0.0.1\";\n port = 65536; } );",
         "nmid.conf:2: listen.port: expected a decimal integer from 0 to 65535"},
        {"listen = ( { socket = \"/s\"; address = \"::1\"; } );",
         "nmid.conf:1: listen.socket: stands beside address: expected one of them"},
        {"listen = ( { socket = \"/s\"; port = 1; } );",
         "nmid.conf:1: listen.port: a socket has none"},
        {"listen = ( { socket = \"/s\"; tls = true; } );", "nmid.conf:1: listen.tls: a socket has none: nobody listens on the way to it"},
        {"listen = ( { socket = \"/s\"; },\n { socket = \"/s\"; } );",
         "nmid.conf:2: listen.socket: listed twice"},
        {NULL, NULL},
    };
    struct lab *lab = *state;
    char text[256], path[120];
    assert_complaints(lab, rows);
    report_clear(&lab->warnings);
    memset(path, 'x', sizeof path);
    snprintf(text, sizeof text, "listen = ( { socket = \"/%.107s\"; } );", path);
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:1: listen.socket: longer than 107 bytes");
    assert_int_equal(lab_parse(lab, "listen = ( { address = \"::1\"; port = 1; },\n"
                                    "{ address = \"0:0::1\"; port = 1; } );"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:2: listen.address: listed twice");
}

/* What libconfig says itself, and what is caught before it. */
static void test_syntax(void **state)
{
    static const struct complaint rows[] = {
        {"a = 1;\nb = = 2;\n", "nmid.conf:2: syntax error"},
        {"hold_off_s = 300;\n\nhold_off_s = 301;\n", "nmid.conf:3: duplicate setting name"},
        {"ipmi = { window = 1;\n window = 2; };", "nmid.conf:2: duplicate setting name"},
        {"a = 1;\nstate_dir /* */ \"/x\";",
         "nmid.conf:2: a string where none may stand (is a \"=\" or a \",\" missing?)"},
        {"a = 1;\n/* for ever\n\n", "nmid.conf:2: a comment that never ends"},
        {"a = \"x\n\n", "nmid.conf:1: a string that never ends"},
        {"\n@include \"/etc/passwd\"\n", "nmid.conf:2: @include is not supported: use include_dir"},
        {"state_dir = \"/x\\x00y\";", "nmid.conf:1: a NUL character in a string"},
        {"a = ((((((((({})))))))));", "nmid.conf:1: brackets nested more than 8 deep"},
        {NULL, NULL},
    };
    struct lab *lab = *state;
    assert_complaints(lab, rows);
    /* Not fooled by what stands in comments and strings. */
    assert_int_equal(lab_parse(lab,
                               "# ((((((((((\n// \"\n/* @include { */\n"
                               "state_dir = \"/\" /* */\n \"a\\\"@((((((((((/*#//\\\\\";#\r\n"),
                     0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_string_equal(lab->conf->state_dir, "/a\"@((((((((((/*#//\\");
}

static void test_nul_byte(void **state)
{
    struct lab *lab = *state;
    static const char *const texts[] = {"a = 1;\nN", "# N", "/*\nN*/", "state_dir = \"N\";"};
    static const unsigned lines[] = {2, 1, 2, 1};
    for (int i = 0; i < 4; i++) {
        char text[64], told[64];
        struct conf *conf = NULL;
        size_t len = strlen(texts[i]);
        strcpy(text, texts[i]);
        *strchr(text, 'N') = '\0';
        struct conf_source source = {"nmid.conf", text, len, false};
        assert_int_equal(conf_parse(&source, lab_drivers, &conf, &lab->errors, &lab->warnings), -1);
        assert_null(conf);
        snprintf(told, sizeof told, "nmid.conf:%u: a NUL byte", lines[i]);
        LAB_ERRORS(lab, told);
    }
}

/* Texts that would take libconfig minutes or the stack are refused at once. */
static void test_limits(void **state)
{
    struct lab *lab = *state;
    size_t size = 8 << 20;
    char *text = malloc(size + 32);
    clock_t start = clock();

    size_t len = 0;
    for (unsigned i = 0; len < size; i++)
        len += (size_t)sprintf(text + len, "k%u=1;\n", i);
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:257: more than 256 keys in one group");

    memset(text, '(', size);
    memcpy(text, "a=\n", 3);
    text[size] = '\0';
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:2: brackets nested more than 8 deep");

    memset(text, 'x', size);
    memcpy(text, "a=\"", 3);
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:1: a string of more than 65536 bytes");
    memcpy(text, "# \n", 3);
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:2: a line of more than 65536 bytes");
    text[3] = '#';
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, "nmid.conf:2: a line of more than 65536 bytes");

    for (size_t i = 0; i < size; i++)
        text[i] = i % 100 == 99 ? '\n' : i % 2 == 0 ? '1' : ',';
    memcpy(text, "a=[", 3);
    assert_int_equal(lab_parse(lab, text), -1);
    assert_non_null(strstr(lab->errors.lines[0], ": more than 4000000 values"));
    free(text);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5.0);
}

/* Every mistake of every file at once, in the order of the files' names. */
static void test_include_dir(void **state)
{
    struct lab *lab = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/nodes.d", lab->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    lab_write(lab, "nmid.conf", "include_dir = \"nodes.d\";\n" NODE(UUID_A, "a"), 0600);
    lab_write(lab, "nodes.d/b.conf", NODE("bbe26c0b-03f2-4d2e-ae87-c02d7f33c782", "b"), 0600);
    lab_write(lab, "nodes.d/B.conf", NODE(UUID_B, "B"), 0600);
    lab_write(lab, "nodes.d/10.conf", NODE("10e26c0b-03f2-4d2e-ae87-c02d7f33c782", "10"), 0600);
    lab_write(lab, "nodes.d/.hidden.conf", "bad", 0600);
    lab_write(lab, "nodes.d/a.conf.sample", "bad", 0600);
    lab_write(lab, "nodes.d/.conf", "bad", 0600);
    assert_int_equal(lab_load(lab), 0);
    assert_int_equal(lab->warnings.count, 0);
    static const char *const targets[] = {"a:623", "10:623", "B:623", "b:623"};
    assert_int_equal(node_table_count(lab->conf->nodes), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(node_table_at(lab->conf->nodes, i)->target, targets[i]);
    snprintf(path, sizeof path, "%s/nodes.d/B.conf", lab->dir);
    assert_string_equal(node_table_at(lab->conf->nodes, 2)->file, path);
    assert_int_equal(node_table_at(lab->conf->nodes, 2)->line, 1);

    lab_write(lab, "nmid.conf", "include_dir = \"nodes.d\";\nhold_off_s = 1;\n", 0600);
    lab_write(lab, "nodes.d/10.conf", "\nx = [;\n", 0600);
    lab_write(lab, "nodes.d/B.conf", "\nhold_off_s = 300;\n" NODE(UUID_B, "B"), 0600);
    lab_write(lab, "nodes.d/b.conf", "# again\n" NODE(UUID_B, "B"), 0600);
    snprintf(path, sizeof path, "%s/nodes.d/z.conf", lab->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:2: hold_off_s: expected 0 or an integer from 150 to 604800",
               "DIR/nodes.d/10.conf:2: syntax error",
               "DIR/nodes.d/B.conf:2: hold_off_s: unknown key",
               "DIR/nodes.d/b.conf:2: uuid: taken by the node " UUID_B " (DIR/nodes.d/B.conf:3)",
               "DIR/nodes.d/b.conf:2: driver_info: the BMC B:623 is that of " UUID_B
               " (DIR/nodes.d/B.conf:3) already",
               "DIR/nodes.d/z.conf: not a regular file");
}

static void test_missing_files(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf: cannot open: No such file or directory");
    lab_write(lab, "nmid.conf", "\ninclude_dir = \"nowhere\";\n", 0600);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:2: include_dir: cannot read DIR/nowhere: No such file or "
                    "directory");
    char path[128];
    snprintf(path, sizeof path, "%s/nmid.conf", lab->dir);
    assert_int_equal(truncate(path, (64 << 20) + 1), 0);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf: larger than 67108864 bytes");
}

static void test_hold_off_zero(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "hold_off_s = 0;"), 0);
    LAB_WARNINGS(lab,
                 "nmid.conf:1: hold_off_s: 0 is for labs only: a repeated request injects again, "
                 "into the crash dump",
                 NO_NODES);
    assert_int_equal(lab->conf->hold_off_s, 0);
    /* The default of answer_ms gives way to a short timeout_ms. */
    assert_int_equal(lab_parse(lab, "ipmi = { timeout_ms = 5000; };"), 0);
    assert_int_equal(lab->conf->ipmi.answer_ms, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),      TEST(test_every_key),
        TEST(test_complaints),    TEST(test_listen_complaints),
        TEST(test_syntax),        TEST(test_nul_byte),
        TEST(test_limits),        TEST(test_include_dir),
        TEST(test_missing_files), TEST(test_hold_off_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

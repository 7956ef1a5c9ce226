/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nodes: their keys, collisions, drivers, secrets in public files, and ten thousand of them. */
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
#include "conf/conf_lab.h"
#include "core/driver.h"

#define UUID_A "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
#define UUID_B "2be26c0b-03f2-4d2e-ae87-c02d7f33c782"
#define UUID_C "3be26c0b-03f2-4d2e-ae87-c02d7f33c783"
#define FAKE   "driver = \"fake\"; driver_info = { address = \"a\"; };"

static void test_every_key(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, "nodes = (\n { uuid = \"1BE26C0B-03F2-4D2E-AE87-C02D7F33C781\";\n"
                       " name = \"rack1-n1\"; instance_uuid = \"" UUID_B "\";\n"
                       " project_id = \"demo\"; status = \"SHELVED_OFFLOADED\"; locked = true;\n"
                       " driver = \"fake\"; driver_info = { address = \"a\"; port = \"7\";\n"
                       "  password = \"" LAB_SECRET "\"; }; },\n"
                       " { uuid = \"" UUID_C "\"; driver = \"fake\";\n"
                       "   driver_info = { address = \"b\"; }; } );\n"),
        0);
    assert_int_equal(lab->warnings.count, 0);
    assert_int_equal(node_table_count(lab->conf->nodes), 2);
    const struct node *node = node_table_at(lab->conf->nodes, 0);
    assert_string_equal(node->uuid, UUID_A);
    assert_string_equal(node->name, "rack1-n1");
    assert_string_equal(node->instance_uuid, UUID_B);
    assert_string_equal(node->project_id, "demo");
    assert_int_equal(node->status, NODE_SHELVED_OFFLOADED);
    assert_true(node->locked);
    assert_ptr_equal(node->driver, lab_drivers[0]);
    assert_non_null(node->driver_info);
    assert_string_equal(node->target, "a:7");
    assert_string_equal(node->file, "nmid.conf");
    assert_int_equal(node->line, 2);
    node = node_table_at(lab->conf->nodes, 1);
    assert_null(node->name);
    assert_string_equal(node->instance_uuid, "");
    assert_null(node->project_id);
    assert_int_equal(node->status, NODE_ACTIVE);
    assert_false(node->locked);
    assert_string_equal(node->target, "b:623");
    assert_int_equal(node->line, 7);
}

struct complaint {
    const char *text, *told; /* the keys of one node beside its uuid */
};

#define NAME_TOLD                                                                                  \
    "nmid.conf:2: name: expected 1 to 255 printable ASCII characters without blank and slash"

static const struct complaint complaints[] = {
    {FAKE "colour = \"red\";", "nmid.conf:2: colour: unknown key"},
    {FAKE "name = 5;", "nmid.conf:2: name: expected a string (in double quotes)"},
    {FAKE "name = \"\";", NAME_TOLD},
    {FAKE "name = \"a b\";", NAME_TOLD},
    {FAKE "name = \"a/b\";", NAME_TOLD},
    {FAKE "name = \"n\xc3\xb6\";", NAME_TOLD},
    {FAKE "name = \"a\\x07\";", NAME_TOLD},
    {FAKE "name = \"" UUID_B "\";",
     "nmid.conf:2: name: expected a name, not another UUID than the node's own"},
    {FAKE "instance_uuid = \"x\";",
     "nmid.conf:2: instance_uuid: expected a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, "
     "hexadecimal)"},
    {FAKE "project_id = \"\";",
     "nmid.conf:2: project_id: expected 1 to 255 printable ASCII characters without blank"},
    {FAKE "status = \"active\";",
     "nmid.conf:2: status: expected one of ACTIVE, BUILD, ERROR, PAUSED, RESCUED, RESIZED, "
     "SHELVED, SHELVED_OFFLOADED, SHUTOFF, SUSPENDED, SOFT_DELETED, DELETED, UNKNOWN"},
    {FAKE "locked = \"true\";", "nmid.conf:2: locked: expected true or false"},
    {"driver = \"fake\";",
     "nmid.conf:1: driver_info: missing: expected a group with the driver's keys"},
    {"driver = \"fake\"; driver_info = ();", "nmid.conf:2: driver_info: expected a group { ... }"},
    {"driver = \"snmp\"; driver_info = { password = \"" LAB_SECRET "\"; };",
     "nmid.conf:2: driver: unknown driver: expected one of fake"},
    {"driver_info = { };", /* the default is ipmi, which this table has not */
     "nmid.conf:1: driver: unknown driver: expected one of fake"},
    {"driver = \"fake\"; driver_info = { };", "nmid.conf:2: address: missing"},
    {"driver = \"fake\"; driver_info = { address = \"a\";\n port = 0; };",
     "nmid.conf:3: port: expected an integer from 1 to 65535"},
    {"driver = \"fake\"; driver_info = { address = \"a\";\n port = 6.23; };",
     "nmid.conf:3: port: expected a string (in double quotes), a decimal integer, true or false"},
    {"driver = \"fake\"; driver_info = { address = \"a\"; port = 0x100000001; };",
     "nmid.conf:2: port: expected a string (in double quotes), a decimal integer, true or false"},
    {"driver = \"fake\"; driver_info = { address = \"a\"; passwd = \"" LAB_SECRET "\"; };",
     "nmid.conf:2: passwd: unknown key"},
    {"driver = \"fake\"; driver_info = { address = \"a\"; password = \"" LAB_SECRET "+++++\"; };",
     "nmid.conf:2: password: longer than 20 bytes"},
};

static void test_complaints(void **state)
{
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++) {
        char *text = NULL;
        assert_true(
            asprintf(&text, "nodes = ( { uuid = \"" UUID_A "\";\n%s } );", complaints[i].text) > 0);
        assert_int_equal(lab_parse(lab, text), -1);
        LAB_ERRORS(lab, complaints[i].told);
        free(text);
    }
    char name[300], text[600];
    memset(name, 'n', sizeof name);
    snprintf(text, sizeof text,
             "nodes = ( { uuid = \"" UUID_A "\";" FAKE "\nname = \"%.256s\"; });", name);
    assert_int_equal(lab_parse(lab, text), -1);
    LAB_ERRORS(lab, NAME_TOLD);
    snprintf(text, sizeof text,
             "nodes = ( { uuid = \"" UUID_A "\";" FAKE "\nname = \"%.255s\"; });", name);
    assert_int_equal(lab_parse(lab, text), 0);
}

static void test_uuid(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "nodes = (\n { " FAKE " } );"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: uuid: missing: every node needs one");
    assert_int_equal(lab_parse(lab, "nodes = ( {\n uuid = \"1be26c0b\"; " FAKE " } );"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: uuid: expected a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, "
                    "hexadecimal)");
    assert_int_equal(lab_parse(lab, "nodes = (\n \"" UUID_A "\" );"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: nodes: expected a group { ... }");
    assert_int_equal(lab_parse(lab, "nodes = { };"), -1);
    LAB_ERRORS(lab, "nmid.conf:1: nodes: expected a list ( { ... }, { ... } )");
    /* Its own UUID may be its name. */
    assert_int_equal(
        lab_parse(lab, "nodes = ( { uuid = \"" UUID_A "\"; name = \"" UUID_A "\"; " FAKE " } );"),
        0);
}

/* All at once: one run tells everything about every node. */
static void test_all_at_once(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "nodes = (\n"
                                    "{ uuid = \"" UUID_A
                                    "\"; name = \"n1\"; instance_uuid = \"" UUID_B "\";\n"
                                    "  driver = \"fake\"; driver_info = { address = \"a\"; }; },\n"
                                    "{ uuid = \"" UUID_B "\";\n"
                                    "  name = \"n1\";\n"
                                    "  instance_uuid = \"" UUID_A "\";\n"
                                    "  driver = \"fake\";\n"
                                    "  driver_info = { address = \"a\"; }; },\n"
                                    "{ uuid = \"" UUID_C "\"; status = \"GONE\"; name = \"n3\";\n"
                                    "  driver = \"fake\"; driver_info = { port = 99999; }; },\n"
                                    "{ uuid = \"" UUID_C "\"; name = \"n3\";\n"
                                    "  driver = \"fake\"; driver_info = { address = \"b\"; }; }\n"
                                    ");\nhold_off_s = 1;\nwhat = 1;\n"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:14: hold_off_s: expected 0 or an integer from 150 to 604800",
               "nmid.conf:4: uuid: taken by the node n1 (nmid.conf:2)",
               "nmid.conf:5: name: taken by the node n1 (nmid.conf:2)",
               "nmid.conf:6: instance_uuid: taken by the node n1 (nmid.conf:2)",
               "nmid.conf:8: driver_info: the BMC a:623 is that of n1 (nmid.conf:2) already",
               "nmid.conf:9: status: expected one of ACTIVE, BUILD, ERROR, PAUSED, RESCUED, "
               "RESIZED, SHELVED, SHELVED_OFFLOADED, SHUTOFF, SUSPENDED, SOFT_DELETED, DELETED, "
               "UNKNOWN",
               "nmid.conf:10: port: expected an integer from 1 to 65535",
               "nmid.conf:10: address: missing",
               "nmid.conf:11: uuid: taken by the node n3 (nmid.conf:9)",
               "nmid.conf:11: name: taken by the node n3 (nmid.conf:9)",
               "nmid.conf:15: what: unknown key");
}

#define WITH_SECRET                                                                                \
    "nodes = ( { uuid = \"" UUID_A "\"; driver = \"fake\";\n driver_info = { address = \"a\";\n"   \
    "  password = \"" LAB_SECRET "\"; }; } );\n"
#define WITH_FILE                                                                                  \
    "nodes = ( { uuid = \"" UUID_A "\"; driver = \"fake\";\n driver_info = { address = \"a\";\n"   \
    "  password_file = \"secret\"; }; } );\n"

static void test_public_files(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "nmid.conf", WITH_SECRET, 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:3: the file holds a secret and is readable by others: chmod "
                    "o-r DIR/nmid.conf");
    lab_write(lab, "nmid.conf", WITH_SECRET, 0660);
    assert_int_equal(lab_load(lab), 0);
    /* The secret elsewhere: then this file may be public, and that one may not. */
    lab_write(lab, "nmid.conf", WITH_FILE, 0644);
    lab_write(lab, "secret", LAB_SECRET "\n", 0640);
    assert_int_equal(lab_load(lab), 0);
    lab_write(lab, "secret", LAB_SECRET "\n", 0604);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nmid.conf:3: password_file: DIR/secret holds a secret and is readable by "
                    "others: chmod o-r DIR/secret");
    /* An included file is judged by itself. */
    char path[128];
    snprintf(path, sizeof path, "%s/nodes.d", lab->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    lab_write(lab, "nmid.conf", "include_dir = \"nodes.d\";", 0644);
    lab_write(lab, "nodes.d/a.conf", WITH_SECRET, 0644);
    lab_write(lab, "nodes.d/b.conf", "nodes = ( );", 0644);
    assert_int_equal(lab_load(lab), -1);
    LAB_ERRORS(lab, "DIR/nodes.d/a.conf:3: the file holds a secret and is readable by others: "
                    "chmod o-r DIR/nodes.d/a.conf");
    lab_write(lab, "nodes.d/a.conf", WITH_SECRET, 0640);
    assert_int_equal(lab_load(lab), 0);
}

/* A node outlives its configuration as long as somebody holds it. */
static void test_node_outlives_conf(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "nodes = ( { uuid = \"" UUID_A "\"; " FAKE " } );"), 0);
    struct node *node = node_ref(node_table_at(lab->conf->nodes, 0));
    conf_free(lab->conf);
    lab->conf = NULL;
    assert_string_equal(node->file, "nmid.conf");
    assert_string_equal(node->target, "a:623");
    assert_int_equal(lab_infos, 1);
    node_unref(node);
}

#define MANY 10000

static void test_many(void **state)
{
    struct lab *lab = *state;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    fputs("nodes = (\n", stream);
    for (int i = 0; i < MANY; i++)
        fprintf(stream,
                "{ uuid = \"00000000-0000-4000-8000-%012d\"; name = \"n%d\"; driver = \"fake\";\n"
                "  driver_info = { address = \"a%d\"; password = \"p%d\"; }; }%s\n",
                i, i, i, i, i + 1 < MANY ? "," : "");
    fputs(");\n", stream);
    fclose(stream);
    lab_write(lab, "nmid.conf", text, 0600);
    free(text);
    clock_t start = clock();
    assert_int_equal(lab_load(lab), 0);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("%d nodes in %.3f s\n", MANY, seconds);
    assert_int_equal(node_table_count(lab->conf->nodes), MANY);
    assert_string_equal(node_table_find(lab->conf->nodes, "n9999")->target, "a9999:623");
    assert_true(seconds < 5.0); /* also under the sanitizers; quadratic code takes minutes */
}

/* More mistakes than a report holds are counted, and still a failure. */
static void test_many_mistakes(void **state)
{
    struct lab *lab = *state;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    fputs("nodes = (", stream);
    for (int i = 0; i < 2 * REPORT_MAX; i++)
        fprintf(stream, "%s{ uuid = \"" UUID_A "\"; " FAKE " }\n", i == 0 ? "" : ",");
    fputs(");", stream);
    fclose(stream);
    assert_int_equal(lab_parse(lab, text), -1);
    free(text);
    assert_int_equal(lab->errors.count, REPORT_MAX);
    assert_int_equal(lab->errors.dropped, 2 * (2 * REPORT_MAX - 1) - REPORT_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_key),   TEST(test_complaints),    TEST(test_uuid),
        TEST(test_all_at_once), TEST(test_public_files),  TEST(test_node_outlives_conf),
        TEST(test_many),        TEST(test_many_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

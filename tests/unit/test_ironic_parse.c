/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic's answers: what is taken from them, what is not believed, and the table of states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/ironic_parse.h"

#define NODE_UUID "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
#define INSTANCE  "5F3C9F1E-6B1A-4B7D-8E56-0A8B1A8B0A11"
#define REST      "\"lessee\": null, \"reservation\": null"

/* As ironic/common/states.py of Ironic 21.4 has them, and what nmid.conf(5) says of each; and those
 * of later releases. */
static void test_states(void **state)
{
    static const struct {
        const char *state;
        enum node_status status;
    } rows[] = {
        {"enroll", NODE_DELETED},
        {"verifying", NODE_DELETED},
        {"manageable", NODE_DELETED},
        {"available", NODE_DELETED},
        {"active", NODE_ACTIVE},
        {"wait call-back", NODE_BUILD},
        {"deploying", NODE_BUILD},
        {"deploy failed", NODE_ERROR},
        {"deleting", NODE_DELETED},
        {"cleaning", NODE_DELETED},
        {"clean wait", NODE_DELETED},
        {"clean failed", NODE_DELETED},
        {"error", NODE_ERROR},
        {"inspecting", NODE_DELETED},
        {"inspect failed", NODE_DELETED},
        {"inspect wait", NODE_DELETED},
        {"adopting", NODE_BUILD},
        {"adopt failed", NODE_ERROR},
        {"rescue", NODE_RESCUED},
        {"rescue failed", NODE_ERROR},
        {"rescue wait", NODE_BUILD},
        {"rescuing", NODE_BUILD},
        {"unrescue failed", NODE_ERROR},
        {"unrescuing", NODE_BUILD},
        {"servicing", NODE_BUILD},
        {"service wait", NODE_BUILD},
        {"service hold", NODE_BUILD},
        {"service failed", NODE_ERROR},
        {"deploy hold", NODE_BUILD},
        {"clean hold", NODE_DELETED},
        /* Words of requests, which are no states of nodes. */
        {"deploy", NODE_UNKNOWN},
        {"deploy complete", NODE_UNKNOWN},
        {"deleted", NODE_UNKNOWN},
        {"undeploy", NODE_UNKNOWN},
        {"rebuild", NODE_UNKNOWN},
        {"", NODE_UNKNOWN},
        {"ACTIVE", NODE_UNKNOWN},
        {"active ", NODE_UNKNOWN},
        {"something new", NODE_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ironic_status(rows[i].state) != rows[i].status)
            fail_msg("%s is %s", rows[i].state, node_status_name(ironic_status(rows[i].state)));
    }
}

static int parse(const char *text, struct ironic_node *node, struct fault *fault)
{
    return ironic_parse_node(text, strlen(text), node, fault);
}

static void test_node(void **state)
{
    struct ironic_node node;
    (void)state;
    assert_int_equal(parse("{\"uuid\": \"" NODE_UUID
                           "\", \"provision_state\": \"active\", \"instance_uuid\": \"" INSTANCE
                           "\", \"owner\": \"p1\", \"lessee\": \"p2\", \"reservation\": \"cond\", "
                           "\"links\": []}",
                           &node, NULL),
                     0);
    assert_string_equal(node.uuid, NODE_UUID);
    assert_string_equal(node.provision_state, "active");
    assert_int_equal(node.status, NODE_ACTIVE);
    assert_string_equal(node.instance_uuid, "5f3c9f1e-6b1a-4b7d-8e56-0a8b1a8b0a11");
    assert_string_equal(node.owner, "p1");
    assert_string_equal(node.lessee, "p2");
    assert_string_equal(node.reservation, "cond");
    ironic_node_clear(&node);
    assert_int_equal(parse("{\"uuid\": \"" NODE_UUID "\", \"provision_state\": null, "
                           "\"instance_uuid\": null, \"owner\": null, " REST "}",
                           &node, NULL),
                     0);
    assert_int_equal(node.status, NODE_UNKNOWN);
    assert_null(node.owner);
    ironic_node_clear(&node);
}

#define NODE(state, instance, owner, rest)                                                         \
    "{\"uuid\": \"" NODE_UUID "\", \"provision_state\": " state ", \"instance_uuid\": " instance   \
    ", \"owner\": " owner ", " rest "}"

static void test_not_believed(void **state)
{
    char long_owner[600];
    (void)state;
    snprintf(long_owner, sizeof long_owner,
             "{\"uuid\": \"" NODE_UUID "\", \"provision_state\": null, \"instance_uuid\": null, "
             "\"owner\": \"%0256d\", " REST "}",
             0);
    const char *const bad[][2] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"[]", "no JSON object"},
        {"\"x\"", "no JSON"},
        {"{}", "no \"uuid\""},
        {NODE("\"active\"", "null", "null", "\"lessee\": null"), "no \"reservation\""},
        {NODE("\"active\"", "null", "null", "\"reservation\": null"), "no \"lessee\""},
        {NODE("1", "null", "null", REST), "\"provision_state\""},
        {NODE("\"active\"", "1", "null", REST), "\"instance_uuid\""},
        {NODE("\"active\"", "null", "[]", REST), "\"owner\""},
        {NODE("\"active\"", "null", "null", "\"lessee\": {}, \"reservation\": null"), "\"lessee\""},
        {NODE("\"active\"", "null", "\"a\", \"owner\": \"b\"", REST), "no JSON"},
        {NODE("\"active\"", "null", "\"a\\u0000b\"", REST), "no JSON"},
        {"{\"uuid\": \"x\", \"provision_state\": null, \"instance_uuid\": null}", "\"uuid\""},
        {"{\"uuid\": null, \"provision_state\": null, \"instance_uuid\": null}", "\"uuid\""},
        {NODE("\"active\"", "null", "null",
              "\"lessee\": null, \"reservation\": \"** Redacted - requires baremetal:node:get:"
              "reservation permission. **\""),
         "may not read reservations"},
        {long_owner, "\"owner\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ironic_node node;
        struct fault fault = {0};
        if (parse(bad[i][0], &node, &fault) == 0)
            fail_msg("believed: %s", bad[i][0]);
        assert_int_equal(fault.code, FAULT_STATE_SOURCE);
        if (strstr(fault.message, bad[i][1]) == NULL)
            fail_msg("%s: %s", bad[i][0], fault.message);
    }
}

static void test_page(void **state)
{
    static const char one[] = "{\"nodes\": [" NODE("\"active\"", "null", "\"p\"", REST) "]}";
    static const char two[] = "{\"nodes\": [" NODE("\"active\"", "null", "\"p\"", REST) ", " NODE(
        "\"error\"", "null", "null", REST) "], \"next\": \"http://x/\"}";
    static const char end[] = "{\"nodes\": [], \"next\": \"http://x/\"}";
    static const char half[] = "{\"nodes\": [" NODE("\"active\"", "null", "\"p\"", REST) ", {}]}";
    struct ironic_page page;
    struct fault fault = {0};
    (void)state;
    assert_int_equal(ironic_parse_page(one, strlen(one), &page, NULL), 0);
    assert_int_equal(page.count, 1);
    assert_false(page.more);
    ironic_page_clear(&page);
    assert_int_equal(ironic_parse_page(two, strlen(two), &page, NULL), 0);
    assert_int_equal(page.count, 2);
    assert_true(page.more);
    assert_int_equal(page.nodes[1].status, NODE_ERROR);
    ironic_page_clear(&page);
    assert_int_equal(ironic_parse_page(end, strlen(end), &page, NULL), 0);
    assert_false(page.more); /* nothing to go on from */
    ironic_page_clear(&page);
    assert_int_equal(ironic_parse_page(half, strlen(half), &page, &fault), -1);
    assert_int_equal(ironic_parse_page("{\"nodes\": {}}", 13, &page, NULL), -1);
    assert_int_equal(ironic_parse_page("[]", 2, &page, NULL), -1);
}

static void test_absent(void **state)
{
    static const struct {
        const char *body;
        bool absent;
    } rows[] = {
        {"{\"error_message\": \"{\\\"faultcode\\\": \\\"Client\\\", \\\"faultstring\\\": "
         "\\\"Node " NODE_UUID " could not be found.\\\", \\\"debuginfo\\\": null}\"}",
         true},
        {"{\"error_message\": {\"faultcode\": \"Client\", \"faultstring\": \"Node " NODE_UUID
         " could not be found.\"}}",
         true},
        {"{\"error_message\": \"{\\\"faultstring\\\": \\\"Not Found\\\"}\"}", false},
        {"{\"error_message\": \"" NODE_UUID "\"}", false},
        {"<html>/v1/nodes/" NODE_UUID " not found</html>", false},
        {"", false},
        {"[]", false},
        {"null", false},
        {"{\"error_message\": null}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ironic_parse_absent(rows[i].body, strlen(rows[i].body), NODE_UUID) != rows[i].absent)
            fail_msg("%s", rows[i].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),       cmocka_unit_test(test_node),
        cmocka_unit_test(test_not_believed), cmocka_unit_test(test_page),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

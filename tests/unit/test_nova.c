/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 1, row by row, over real sockets with the real engine (docs/contract-nova.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "contracts/microversion.h"
#include "contracts/pyrepr.h"
#include "http_rig.h"

#define ACTION(node) "/v2.1/servers/" node "/action"
#define NMI          "{\"inject_nmi\": null}"
#define DUMP         "{\"trigger_crash_dump\": null}"

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void expect_error(struct reply reply, int status, const char *key, const char *message)
{
    assert_int_equal(reply.status, status);
    assert_int_equal(json_object_size(reply.json), 1);
    const json_t *error = json_object_get(reply.json, key);
    assert_non_null(error);
    assert_int_equal(json_integer_value(json_object_get(error, "code")), status);
    if (message != NULL)
        assert_string_equal(reply_text(&reply, key, "message"), message);
    assert_non_null(reply_header(&reply, "X-Openstack-Request-Id"));
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
    reply_clear(&reply);
}

/* ---- Delivered ---- */

static void test_delivered(void **state)
{
    static const char *const methods[] = {"PUT", "POST"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct reply reply = rig_ask(&rig, methods[i], ACTION("good"), "", NMI);
        assert_int_equal(reply.status, 202);
        assert_int_equal(reply.body_len, 0);
        assert_string_equal(reply_header(&reply, "OpenStack-API-Version"), "compute 2.1");
        assert_string_equal(reply_header(&reply, "X-OpenStack-Nova-API-Version"), "2.1");
        assert_int_equal(reply_header_count(&reply, "Vary"), 2);
        assert_memory_equal(reply_header(&reply, "X-Openstack-Request-Id"), "req-", 4);
        reply_clear(&reply);
    }
    assert_int_equal(rig.sent, 2);
}

static void test_idents(void **state)
{
    static const char *const good[] = {
        ACTION("00000000-0000-4000-8000-000000000001"),
        ACTION("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
        ACTION("AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"),
        ACTION("g%6fod"),
    };
    (void)state;
    /* Node UUIDs are numbered over all rigs: ask this one for the first. */
    char path[128];
    snprintf(path, sizeof path, ACTION("%s"), node_table_at(rig.conf.nodes, 0)->uuid);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct reply reply = rig_ask(&rig, "POST", i == 0 ? path : good[i], "", NMI);
        assert_int_equal(reply.status, 202);
        reply_clear(&reply);
    }
}

static void test_request_id_is_the_action(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", ACTION("good"), "", NMI);
    char path[128];
    snprintf(path, sizeof path, "/agent/v1/actions/%s",
             reply_header(&reply, "X-Openstack-Request-Id"));
    reply_clear(&reply);
    reply = rig_ask(&rig, "GET", path, "", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "outcome", NULL), "delivered");
    assert_string_equal(reply_text(&reply, "contract", NULL), "nova");
    reply_clear(&reply);
}

/* ---- The driver's and the ladder's refusals ---- */

static void test_failures(void **state)
{
    (void)state;
    expect_error(rig_ask(&rig, "POST", ACTION("bad"), "", NMI), 400, "badRequest",
                 "no answer from the BMC");
    expect_error(rig_ask(&rig, "POST", ACTION("dull"), "", NMI), 400, "badRequest", NULL);
    expect_error(rig_ask(&rig, "POST", ACTION("off"), "", NMI), 409, "conflictingRequest",
                 "the machine is off");
    expect_error(rig_ask(&rig, "POST", ACTION("none"), "", NMI), 404, "itemNotFound",
                 "Instance none could not be found.");
    expect_error(rig_ask(&rig, "POST", ACTION("a%2fb"), "", NMI), 404, "itemNotFound",
                 "Instance a%2fb could not be found.");
    expect_error(rig_ask(&rig, "POST", ACTION("good%00"), "", NMI), 404, "itemNotFound",
                 "Instance good%00 could not be found.");
    assert_int_equal(rig.sent, 0);
}

static void test_unknown_outcome(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", ACTION("doubt"), "", NMI);
    const char *message = reply_text(&reply, "badRequest", "message");
    assert_non_null(message);
    assert_non_null(strstr(message, "unknown"));
    assert_non_null(strstr(message, reply_header(&reply, "X-Openstack-Request-Id")));
    assert_non_null(strstr(message, "Do not send it again"));
    expect_error(reply, 400, "badRequest", NULL);
}

static void test_status(void **state)
{
    (void)state;
    char message[160];
    snprintf(message, sizeof message,
             "Cannot 'inject_nmi' instance %s while it is in vm_state paused",
             node_table_find(rig.conf.nodes, "paused")->uuid);
    expect_error(rig_ask(&rig, "POST", ACTION("paused"), "", NMI), 409, "conflictingRequest",
                 message);
    expect_error(rig_ask(&rig, "POST", ACTION("stopped"), "", NMI), 409, "conflictingRequest",
                 NULL);
    struct reply reply =
        rig_ask(&rig, "POST", ACTION("paused"), "OpenStack-API-Version: compute 2.17\r\n", DUMP);
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", ACTION("locked"), "", NMI); /* auth none: an administrator */
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
}

static void test_in_flight(void **state)
{
    (void)state;
    int fd = client_connect(&rig);
    client_write(fd, "POST " ACTION(
                         "still") " HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n" NMI
                                  " ");
    while (true) { /* until the first one is under way */
        struct reply health = rig_ask(&rig, "GET", "/healthz", "", "");
        bool busy = json_integer_value(json_object_get(health.json, "in_flight")) == 1;
        reply_clear(&health);
        if (busy)
            break;
    }
    expect_error(rig_ask(&rig, "POST", ACTION("still"), "", NMI), 409, "conflictingRequest", NULL);
    rig_release(&rig);
    struct reply reply;
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    close(fd);
    assert_int_equal(rig.sent, 1);
}

static int setup_hold_off(void **state)
{
    (void)state;
    rig_init(&rig);
    rig.conf.hold_off_s = 300;
    rig_start(&rig);
    return 0;
}

static void test_hold_off(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", ACTION("good"), "", NMI);
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "", NMI), 409, "conflictingRequest", NULL);
    assert_int_equal(rig.sent, 1);
}

/* ---- Bodies ---- */

static void test_bodies(void **state)
{
    static const char *const malformed[] = {
        "",
        "{",
        "[]",
        "[1]",
        "null",
        "\"inject_nmi\"",
        "{}",
        "{\"inject_nmi\": null, \"x\": 1}",
        "{\"inject_nmi\": null, \"inject_nmi\": null}",
        NMI NMI,
        "{\"inject_nmi\": 1e999}",
        "{\"inject_nmi\": 99999999999999999999999999}",
        "{\"inject_nmi\": null}x",
        "\xff\xfe",
    };
    static const struct {
        const char *body, *message;
    } wrong[] = {
        {"{\"inject_nmi\": {}}",
         "Invalid input for field/attribute inject_nmi. Value: {}. {} is not of type 'null'"},
        {"{\"inject_nmi\": \"now\"}",
         "Invalid input for field/attribute inject_nmi. Value: now. 'now' is not of type 'null'"},
        {"{\"inject_nmi\": [1, true, {\"a\": null}]}",
         "Invalid input for field/attribute inject_nmi. Value: [1, True, {'a': None}]. [1, True, "
         "{'a': None}] is not of type 'null'"},
        {"{\"reboot\": null}", "There is no such action: reboot"},
        {"{\"\\u001b\\\"\": null}", "There is no such action: \x1b\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        expect_error(rig_ask(&rig, "POST", ACTION("none"), "", malformed[i]), 400, "badRequest",
                     "Malformed request body");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_error(rig_ask(&rig, "POST", ACTION("none"), "", wrong[i].body), 400, "badRequest",
                     wrong[i].message);
    assert_int_equal(rig.starts, 0);
}

static void test_deep_body(void **state)
{
    char body[4096] = "{\"inject_nmi\": ";
    (void)state;
    memset(body + strlen(body), '[', 2000);
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "", body), 400, "badRequest",
                 "Malformed request body");
}

static void test_media_types(void **state)
{
    static const char *const refused[] = {
        "text/plain",          "application/x-www-form-urlencoded",      "application/jsonx",
        "multipart/form-data", "application/vnd.openstack.compute+json",
    };
    char header[128];
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(header, sizeof header, "Content-Type: %s\r\n", refused[i]);
        expect_error(rig_ask(&rig, "POST", ACTION("good"), header, NMI), 400, "badRequest",
                     "Malformed request body");
    }
    struct reply reply = rig_ask(&rig, "POST", ACTION("good"),
                                 "Content-Type: Application/JSON; charset=utf-8\r\n", NMI);
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
}

/* ---- Microversions ---- */

static void test_versions(void **state)
{
    (void)state;
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "", DUMP), 404, "itemNotFound",
                 "The resource could not be found.");
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "OpenStack-API-Version: compute 2.16\r\n",
                         "{\"trigger_crash_dump\": 1}"),
                 404, "itemNotFound", "The resource could not be found.");
    static const char *const dumps[] = {
        "OpenStack-API-Version: compute 2.17\r\n",
        "openstack-api-version: COMPUTE  2.93\r\n",
        "OpenStack-API-Version: compute latest\r\n",
        "OpenStack-API-Version: placement 1.2, compute 2.17\r\n",
        "OpenStack-API-Version: placement 1.2\r\nOpenStack-API-Version: compute 2.17\r\n",
        "X-OpenStack-Nova-API-Version: 2.17\r\n",
        "OpenStack-API-Version: volume 3.0\r\nX-OpenStack-Nova-API-Version: latest\r\n",
    };
    for (size_t i = 0; i < sizeof dumps / sizeof dumps[0]; i++) {
        struct reply reply = rig_ask(&rig, "POST", ACTION("good"), dumps[i], DUMP);
        assert_int_equal(reply.status, 202);
        reply_clear(&reply);
    }
    struct reply reply =
        rig_ask(&rig, "POST", ACTION("none"), "OpenStack-API-Version: compute latest\r\n", NMI);
    assert_string_equal(reply_header(&reply, "OpenStack-API-Version"), "compute 2.93");
    expect_error(reply, 404, "itemNotFound", "Instance none could not be found.");
}

static void test_bad_versions(void **state)
{
    static const char *const junk[] = {"junk", "2",     "2.",      "02.1",
                                       "2.01", "2.1.1", "latest2", "-2.1"};
    static const char *const beyond[] = {"2.94", "2.999", "3.0", "1.1", "2.0", "2.99999999999999"};
    char header[128], message[256];
    (void)state;
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        snprintf(header, sizeof header, "OpenStack-API-Version: compute %s\r\n", junk[i]);
        snprintf(message, sizeof message,
                 "API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.",
                 junk[i]);
        expect_error(rig_ask(&rig, "POST", ACTION("good"), header, "junk"), 400, "badRequest",
                     message);
    }
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        snprintf(header, sizeof header, "X-OpenStack-Nova-API-Version: %s\r\n", beyond[i]);
        snprintf(message, sizeof message,
                 "Version %s is not supported by the API. Minimum is 2.1 and maximum is 2.93.",
                 beyond[i]);
        expect_error(rig_ask(&rig, "POST", ACTION("good"), header, NMI), 406, "computeFault",
                     message);
    }
    assert_int_equal(rig.starts, 0);
}

/* ---- Idempotency-Key ---- */

static void test_key(void **state)
{
    (void)state;
    const char *const key = "Idempotency-Key: k-1\r\n";
    struct reply first = rig_ask(&rig, "POST", ACTION("doubt"), key, NMI);
    struct reply second = rig_ask(&rig, "PUT", ACTION("doubt"), key, "\n{ \"inject_nmi\" :null }");
    char id[64];
    snprintf(id, sizeof id, "%s", reply_header(&first, "X-Openstack-Request-Id"));
    assert_string_equal(reply_header(&second, "X-Openstack-Request-Id"), id);
    expect_error(first, 400, "badRequest", NULL);
    expect_error(second, 400, "badRequest", NULL);
    assert_int_equal(rig.sent, 1);
    expect_error(rig_ask(&rig, "POST", ACTION("doubt"),
                         "Idempotency-Key: k-1\r\nOpenStack-API-Version: compute 2.17\r\n", DUMP),
                 422, "computeFault", NULL);
    assert_int_equal(rig.sent, 1);
}

static void test_bad_keys(void **state)
{
    char header[400] = "Idempotency-Key: ";
    (void)state;
    memset(header + strlen(header), 'k', 256);
    strcat(header, "\r\n");
    expect_error(rig_ask(&rig, "POST", ACTION("good"), header, NMI), 400, "badRequest", NULL);
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "Idempotency-Key: \r\n", NMI), 400,
                 "badRequest", NULL);
    expect_error(rig_ask(&rig, "POST", ACTION("good"), "Idempotency-Key: \xc3\xa4\r\n", NMI), 400,
                 "badRequest", NULL);
    assert_int_equal(rig.starts, 0);
}

/* ---- Routes ---- */

static void test_routes(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "GET", ACTION("good"), "", "");
    assert_string_equal(reply_header(&reply, "Allow"), "POST, PUT");
    expect_error(reply, 405, "badMethod", NULL);
    expect_error(rig_ask(&rig, "DELETE", ACTION("good"), "", ""), 405, "badMethod", NULL);
    expect_error(rig_ask(&rig, "POST", "/v2.1/servers//action", "", NMI), 404, "itemNotFound",
                 "The resource could not be found.");
    expect_error(rig_ask(&rig, "POST", "/v2.1/nothing", "", NMI), 404, "itemNotFound", NULL);
    expect_error(rig_ask(&rig, "POST", ACTION("good") "/", "", NMI), 404, "itemNotFound", NULL);
    assert_int_equal(rig.starts, 0);
}

/* ---- Pure parts ---- */

static void test_python(void **state)
{
    static const char *const cases[][2] = {
        {"1.5", "1.5"},
        {"1.0", "1.0"},
        {"1e22", "1e+22"},
        {"-3", "-3"},
        {"\"it's\"", "\"it's\""},
        {"\"a'b\\\"c\"", "'a\\'b\"c'"},
        {"\"\\n\\u0001\"", "'\\n\\x01'"},
        {"[]", "[]"},
        {"{\"b\":1,\"a\":[false]}", "{'b': 1, 'a': [False]}"},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = json_loads(cases[i][0], JSON_DECODE_ANY, NULL);
        assert_string_equal(pyrepr(value, 1, text, sizeof text), cases[i][1]);
        json_decref(value);
    }
    json_t *value =
        json_loads("\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"", JSON_DECODE_ANY, NULL);
    assert_string_equal(pyrepr(value, 0, text, 10), "\xc3\xa4\xc3\xa4\xc3\xa4...");
    json_decref(value);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_delivered),
        CASE(test_idents),
        CASE(test_request_id_is_the_action),
        CASE(test_failures),
        CASE(test_unknown_outcome),
        CASE(test_status),
        CASE(test_in_flight),
        cmocka_unit_test_setup_teardown(test_hold_off, setup_hold_off, teardown),
        CASE(test_bodies),
        CASE(test_deep_body),
        CASE(test_media_types),
        CASE(test_versions),
        CASE(test_bad_versions),
        CASE(test_key),
        CASE(test_bad_keys),
        CASE(test_routes),
        cmocka_unit_test(test_python),
    };
    return cmocka_run_group_tests_name("nova", tests, NULL, NULL);
}

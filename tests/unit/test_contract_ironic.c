/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 2, row by row, over real sockets with the real engine (docs/contract-ironic.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "contracts/ironic_version.h"
#include "http_rig.h"

#define NMI(node)  "/v1/nodes/" node "/management/inject_nmi"
#define V(version) "X-OpenStack-Ironic-API-Version: " version "\r\n"
#define NOW        V("1.82")

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    return 0;
}

static int setup_hold_off(void **state)
{
    (void)state;
    rig_init(&rig);
    rig.conf.hold_off_s = 300;
    rig_start(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void expect_headers(const struct reply *reply)
{
    assert_string_equal(reply_header(reply, "X-OpenStack-Ironic-API-Minimum-Version"), "1.1");
    assert_string_equal(reply_header(reply, "X-OpenStack-Ironic-API-Maximum-Version"), "1.82");
    assert_non_null(reply_header(reply, "X-OpenStack-Ironic-API-Version"));
    assert_null(reply_header(reply, "Retry-After"));
    assert_int_equal(reply_header_count(reply, "X-OpenStack-Ironic-API-Version"), 1);
}

/* The JSON inside the string; the caller's. */
static json_t *inner_of(const struct reply *reply)
{
    assert_int_equal(json_object_size(reply->json), 1);
    const char *text = reply_text(reply, "error_message", NULL);
    assert_non_null(text);
    json_t *inner = json_loads(text, 0, NULL);
    assert_non_null(inner);
    return inner;
}

/* words NULL: any; a "*" at their end: they begin so. */
static void expect_words(const char *told, const char *words)
{
    assert_non_null(told);
    size_t len = words == NULL ? 0 : strlen(words);
    if (len > 0 && words[len - 1] == '*')
        assert_memory_equal(told, words, len - 1);
    else if (words != NULL)
        assert_string_equal(told, words);
}

static void expect_error(struct reply reply, int status, const char *words)
{
    assert_int_equal(reply.status, status);
    expect_headers(&reply);
    json_t *inner = inner_of(&reply);
    assert_string_equal(json_string_value(json_object_get(inner, "faultcode")),
                        status < 500 ? "Client" : "Server");
    assert_true(json_is_null(json_object_get(inner, "debuginfo")));
    assert_int_equal(json_object_size(inner), 3);
    expect_words(json_string_value(json_object_get(inner, "faultstring")), words);
    json_decref(inner);
    reply_clear(&reply);
}

static void expect_plain(struct reply reply, int status, const char *title, const char *words)
{
    assert_int_equal(reply.status, status);
    expect_headers(&reply);
    json_t *inner = inner_of(&reply);
    assert_int_equal(json_integer_value(json_object_get(inner, "code")), status);
    assert_string_equal(json_string_value(json_object_get(inner, "title")), title);
    expect_words(json_string_value(json_object_get(inner, "description")), words);
    json_decref(inner);
    reply_clear(&reply);
}

static struct reply put(const char *path, const char *body)
{
    return rig_ask(&rig, "PUT", path, NOW, body);
}

static struct reply get(const char *path)
{
    return rig_ask(&rig, "GET", path, NOW, "");
}

/* ---- inject_nmi ---- */

static void test_delivered(void **state)
{
    static const char *const bodies[] = {"", "{}", " { } ", "\n"};
    static const char *const nodes[] = {NMI("good"), NMI("good-2"), NMI("good-3"), NMI("g%6fod-4")};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct reply reply = put(nodes[i], bodies[i]);
        assert_int_equal(reply.status, 204);
        assert_int_equal(reply.body_len, 0);
        expect_headers(&reply);
        assert_string_equal(reply_header(&reply, "X-OpenStack-Ironic-API-Version"), "1.82");
        assert_memory_equal(reply_header(&reply, "X-Openstack-Request-Id"), "req-", 4);
        char id[64];
        snprintf(id, sizeof id, "%s", reply_header(&reply, "X-Openstack-Request-Id"));
        assert_string_equal(reply_header(&reply, "Openstack-Request-Id"), id);
        reply_clear(&reply);
        char path[96];
        snprintf(path, sizeof path, "/agent/v1/actions/%s", id);
        reply = rig_ask(&rig, "GET", path, "", "");
        assert_string_equal(reply_text(&reply, "contract", NULL), "ironic");
        assert_string_equal(reply_text(&reply, "action", NULL), "inject_nmi");
        assert_string_equal(reply_text(&reply, "outcome", NULL), "delivered");
        reply_clear(&reply);
    }
    assert_int_equal(rig.sent, 4);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_error(put(NMI("bad"), "{}"), 500, "no answer from the BMC");
    expect_error(put(NMI("bad"), "{}"), 500, "no answer from the BMC (This is what came of*");
    expect_error(put(NMI("off"), "{}"), 400, "the machine is off");
    expect_error(put(NMI("dull"), "{}"), 400,
                 "Driver dull does not support inject_nmi (disabled or not implemented).");
    expect_error(put(NMI("paused"), "{}"), 400, "Cannot 'inject_nmi' instance *");
    expect_error(put(NMI("stopped"), "{}"), 400, "Cannot 'inject_nmi' instance *");
    expect_error(put(NMI("none"), "{}"), 404, "Node none could not be found.");
    expect_error(put(NMI("no%20ne!"), "{}"), 400, "Expected UUID or name for node_ident: no ne!");
    expect_error(put(NMI("a%2fb"), "{}"), 400, "Expected UUID or name for node_ident: a%2fb");
    expect_error(put(NMI("good%00"), "{}"), 400, "Expected UUID or name for node_ident: good%00");
    assert_int_equal(rig.starts, 2);
    assert_int_equal(rig.sent, 0);
}

/* Never an answer that a client repeats; and six repeats change nothing. */
static void test_unknown(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct reply reply = put(NMI("doubt"), "{}");
        const char *text = reply_text(&reply, "error_message", NULL);
        assert_non_null(text);
        assert_non_null(strstr(text, "It is unknown whether the NMI was delivered (action req-"));
        assert_non_null(strstr(text, reply_header(&reply, "X-Openstack-Request-Id")));
        assert_non_null(strstr(text, "Do not send it again"));
        expect_error(reply, 500, NULL);
    }
    assert_int_equal(rig.sent, 1);
}

static void test_repeats(void **state)
{
    char first[64] = "";
    (void)state;
    for (int i = 0; i < 7; i++) { /* there is no hold-off in this rig */
        struct reply reply = put(NMI("good"), "{}");
        assert_int_equal(reply.status, 204);
        if (i == 0)
            snprintf(first, sizeof first, "%s", reply_header(&reply, "X-Openstack-Request-Id"));
        assert_string_equal(reply_header(&reply, "X-Openstack-Request-Id"), first);
        reply_clear(&reply);
    }
    assert_int_equal(rig.sent, 1);
}

static void test_keys(void **state)
{
    static const char one[] = NOW "Idempotency-Key: one\r\n",
                      two[] = NOW "Idempotency-Key: two\r\n";
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct reply reply =
            rig_ask(&rig, "PUT", NMI("good"), i < 2 ? one : two, i % 2 ? "{}" : "");
        assert_int_equal(reply.status, 204);
        reply_clear(&reply);
    }
    assert_int_equal(rig.sent, 2); /* another key is another request */
    expect_error(rig_ask(&rig, "PUT", NMI("good"), NOW "Idempotency-Key:\r\n", ""), 400, NULL);
    struct reply other = rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions",
                                 "Idempotency-Key: agent\r\n", "{\"action\": \"inject_nmi\"}");
    assert_int_equal(other.status, 202);
    reply_clear(&other);
    expect_error(rig_ask(&rig, "PUT", NMI("good"), NOW "Idempotency-Key: agent\r\n", "{}"), 422,
                 NULL);
}

static int begin_still(void)
{
    int fd = client_connect(&rig);
    client_write(fd, "PUT " NMI("still") " HTTP/1.1\r\nHost: localhost\r\n" NOW
                                         "Content-Length: 2\r\n\r\n{}");
    while (true) { /* until it is under way */
        struct reply health = rig_ask(&rig, "GET", "/healthz", "", "");
        bool busy = json_integer_value(json_object_get(health.json, "in_flight")) == 1;
        reply_clear(&health);
        if (busy)
            return fd;
    }
}

/* The connection drops; the client asks again, and gets the first one's outcome. */
static void test_dropped_connection(void **state)
{
    (void)state;
    close(begin_still());
    int fd = client_connect(&rig);
    client_write(fd, "PUT " NMI("still") " HTTP/1.1\r\nHost: localhost\r\n" NOW
                                         "Content-Length: 2\r\n\r\n{}");
    rig_release(&rig);
    struct reply reply;
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 204);
    reply_clear(&reply);
    close(fd);
    assert_int_equal(rig.starts, 1);
    assert_int_equal(rig.sent, 1);
}

static void test_hold_off(void **state)
{
    (void)state;
    struct reply reply =
        rig_ask(&rig, "POST", "/v2.1/servers/good/action", "", "{\"inject_nmi\": null}");
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    /* One's own, by whatever contract; with a key it is told to be another request. */
    reply = put(NMI("good"), "{}");
    assert_int_equal(reply.status, 204);
    reply_clear(&reply);
    expect_error(rig_ask(&rig, "PUT", NMI("good"), NOW "Idempotency-Key: x\r\n", "{}"), 400,
                 "an NMI was delivered to good *");
    assert_int_equal(rig.sent, 1);
}

static void test_arguments(void **state)
{
    static const struct {
        const char *path, *body, *words;
    } rows[] = {
        {NMI("good"), "{\"x\": 1}", "Unexpected arguments: x"},
        {NMI("good") "?z=3", "", "Unexpected arguments: z"},
        {NMI("good") "?z=3", "{\"x\": 1, \"y\": 2}", "Unexpected arguments: z, x, y"},
        {NMI("good"), "[]", "The body must be empty, or {}."},
        {NMI("good"), "null", "The body must be empty, or {}."},
        {NMI("good"), "{junk", "The body must be empty, or {}."},
        {NMI("good"), "{\"x\": 1, \"x\": 2}", "The body must be empty, or {}."},
        {NMI("bad!name"), "{\"x\": 1}", "Expected UUID or name for node_ident: bad!name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_error(put(rows[i].path, rows[i].body), 400, rows[i].words);
    char *many = malloc(60000), *at = many;
    at = stpcpy(at, "{");
    for (int i = 0; i < 2000; i++)
        at += sprintf(at, "%s\"k%020d\":1", i > 0 ? "," : "", i);
    strcpy(at, "}");
    expect_error(put(NMI("good"), many), 400, "Unexpected arguments: k00000000000000000000, *");
    free(many);
    assert_int_equal(rig.starts, 0);
}

/* ---- Versions ---- */

static void test_versions(void **state)
{
    static const struct {
        const char *headers, *version;
    } absent[] = {{"", "1.1"},
                  {V("1.28"), "1.28"},
                  {V(""), "1.1"},
                  {"OpenStack-API-Version: baremetal 1.80\r\n", "1.1"}};
    static const char *const good[] = {V("1.29"), V("1.46"), V("latest"), V("LATEST")};
    static const char *const junk[] = {V("junk"), V("1.2.3"),         V("1"), V("1."), V("+1.30"),
                                       V("1.x"),  V("1.30") V("1.31")};
    (void)state;
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        struct reply reply = rig_ask(&rig, "PUT", NMI("good"), absent[i].headers, "{}");
        assert_string_equal(reply_header(&reply, "X-OpenStack-Ironic-API-Version"),
                            absent[i].version);
        expect_error(reply, 404, "Resource could not be found.");
    }
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++)
        expect_plain(rig_ask(&rig, "PUT", NMI("good"), junk[i], "{}"), 406, "Not Acceptable",
                     "Invalid value for X-OpenStack-Ironic-API-Version header");
    expect_plain(rig_ask(&rig, "PUT", NMI("good"), V("1.999"), "{}"), 406, "Not Acceptable",
                 "Version 1.999 was requested but the minor version is not supported by this "
                 "service. The supported version range is: [1.1, 1.82].");
    expect_plain(rig_ask(&rig, "GET", "/v1/nodes", V("2.1"), ""), 406, "Not Acceptable",
                 "Mutually exclusive versions requested. Version 2.1 requested but not supported "
                 "by this service. The supported version range is: [1.1, 1.82].");
    assert_int_equal(rig.starts, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct reply reply = rig_ask(&rig, "PUT", NMI("good"), good[i], "{}");
        assert_int_equal(reply.status, 204);
        reply_clear(&reply);
    }
}

static void test_version_numbers(void **state)
{
    unsigned minor = 0;
    struct fault fault = {0};
    (void)state;
    assert_int_equal(ironic_version_parse(NULL, &minor, &fault), 0);
    assert_int_equal(minor, 1);
    assert_int_equal(ironic_version_parse("1.82", &minor, &fault), 0);
    assert_int_equal(minor, 82);
    assert_int_equal(ironic_version_parse("1.029", &minor, &fault), 0); /* as int() reads it */
    assert_int_equal(minor, 29);
    assert_int_equal(ironic_version_parse(" 1.30\t", &minor, &fault), 0);
    assert_int_equal(minor, 30);
    assert_int_equal(ironic_version_parse("latest ", &minor, &fault), 0);
    assert_int_equal(minor, 82);
    assert_int_equal(ironic_version_parse(" ", &minor, &fault), 0);
    assert_int_equal(minor, 1);
    static const char *const bad[] = {"1.83",  "1.0",  "0.1",     "2.82",     "1.9999999999",
                                      "1.8 2", "1,82", "latest.", "latest 1", "."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ironic_version_parse(bad[i], &minor, &fault), -1);
    assert_int_equal(minor, 1);
}

static void test_routes(void **state)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "PATCH"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        expect_plain(rig_ask(&rig, methods[i], NMI("good"), NOW, ""), 405, "Method Not Allowed",
                     NULL);
    expect_plain(get("/v1/nothing"), 404, "Not Found", NULL);
    expect_plain(get("/v1/nodes/good/nothing"), 404, "Not Found", NULL);
    struct reply reply = get("/v1");
    assert_int_equal(reply.status, 200);
    expect_headers(&reply);
    assert_string_equal(reply_text(&reply, "version", "version"), "1.82");
    assert_string_equal(reply_text(&reply, "version", "min_version"), "1.1");
    reply_clear(&reply);
    assert_int_equal(rig.starts, 0);
}

/* ---- Reading ---- */

static void test_node(void **state)
{
    (void)state;
    struct reply reply = get("/v1/nodes/good");
    assert_int_equal(reply.status, 200);
    expect_headers(&reply);
    const struct node *node = node_table_find(rig.conf.nodes, "good");
    assert_string_equal(reply_text(&reply, "uuid", NULL), node->uuid);
    assert_string_equal(reply_text(&reply, "name", NULL), "good");
    assert_string_equal(reply_text(&reply, "provision_state", NULL), "active");
    assert_string_equal(reply_text(&reply, "instance_uuid", NULL), node->instance_uuid);
    assert_string_equal(reply_text(&reply, "driver_info", "ipmi_password"), "******");
    assert_true(json_is_null(json_object_get(reply.json, "power_state")));
    assert_true(json_is_false(json_object_get(reply.json, "maintenance")));
    assert_int_equal(json_object_size(reply.json), 59);
    reply_clear(&reply);
    reply = rig_ask(&rig, "GET", "/v1/nodes/good?fields=uuid,provision_state", V("1.8"), "");
    assert_int_equal(json_object_size(reply.json), 3); /* and the links */
    reply_clear(&reply);
    char path[128];
    snprintf(path, sizeof path, "/v1/nodes/%s", node->uuid);
    reply = rig_ask(&rig, "GET", path, V("1.1"), "");
    assert_int_equal(reply.status, 200);
    assert_null(json_object_get(reply.json, "name"));
    reply_clear(&reply);
    expect_error(rig_ask(&rig, "GET", "/v1/nodes/good", V("1.1"), ""), 404,
                 "Node good could not be found.");
    expect_error(rig_ask(&rig, "GET", "/v1/nodes/good?fields=owner", V("1.30"), ""), 406,
                 "Request not acceptable.");
    expect_error(get("/v1/nodes/good?fields=bogus"), 400, "Field bogus is not a valid field.");
    expect_error(get("/v1/nodes/good?x=1"), 400, "Unexpected arguments: x");
    expect_error(get("/v1/nodes/none"), 404, "Node none could not be found.");
}

static void test_validate(void **state)
{
    (void)state;
    struct reply reply = get("/v1/nodes/good/validate");
    const json_t *management = json_object_get(reply.json, "management");
    assert_true(json_is_true(json_object_get(management, "result")));
    assert_true(json_is_false(json_object_get(json_object_get(reply.json, "power"), "result")));
    reply_clear(&reply);
    reply = get("/v1/nodes/dull/validate");
    assert_string_equal(reply_text(&reply, "management", "reason"),
                        "Driver dull does not support inject_nmi (disabled or not implemented).");
    reply_clear(&reply);
    expect_error(get("/v1/nodes/none/validate"), 404, "Node none could not be found.");
}

/* How many nodes a list has; -1: it has a next link too, which is then in next. */
static size_t count_nodes(const char *path, char next[1024])
{
    struct reply reply = get(path);
    assert_int_equal(reply.status, 200);
    expect_headers(&reply);
    size_t count = json_array_size(json_object_get(reply.json, "nodes"));
    const char *link = json_string_value(json_object_get(reply.json, "next"));
    if (next != NULL)
        snprintf(next, 1024, "%s", link != NULL ? link : "");
    reply_clear(&reply);
    return count;
}

static void test_filters(void **state)
{
    size_t all = node_table_count(rig.conf.nodes);
    (void)state;
    assert_int_equal(count_nodes("/v1/nodes", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes/detail", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes?detail=True", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes?associated=true", NULL), 1);
    assert_int_equal(count_nodes("/v1/nodes?associated=no", NULL), all - 1);
    assert_int_equal(
        count_nodes("/v1/nodes?instance_uuid=AAAAAAAA-aaaa-4aaa-8aaa-aaaaaaaaaaaa", NULL), 1);
    assert_int_equal(
        count_nodes("/v1/nodes?instance_uuid=baaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", NULL), 0);
    assert_int_equal(count_nodes("/v1/nodes?driver=dull", NULL), 1);
    assert_int_equal(count_nodes("/v1/nodes?maintenance=True", NULL), 0);
    assert_int_equal(count_nodes("/v1/nodes?maintenance=False&retired=0&sharded=f", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes?provision_state=active", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes?provision_state=clean%20wait", NULL), 0);
    assert_int_equal(count_nodes("/v1/nodes?resource_class=x", NULL), 0);
    assert_int_equal(count_nodes("/v1/nodes?conductor_group=", NULL), all);
    assert_int_equal(count_nodes("/v1/nodes?owner=nobody", NULL), 0);
}

/* Every node once, in order, whatever the page; and the next link keeps the question. */
static void test_pages(void **state)
{
    static const char *const orders[] = {"", "sort_key=name&", "sort_key=name&sort_dir=desc&",
                                         "sort_key=provision_state&sort_dir=desc&"};
    size_t all = node_table_count(rig.conf.nodes);
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char path[1100], next[1024];
        size_t seen = 0;
        snprintf(path, sizeof path, "/v1/nodes?%sfields=uuid,name&limit=2", orders[i]);
        do {
            seen += count_nodes(path, next);
            assert_true(seen <= all);
            if (next[0] != '\0') {
                assert_memory_equal(next, "http://127.0.0.1", 16);
                assert_non_null(strstr(next, "fields=uuid,name"));
                snprintf(path, sizeof path, "%s", strstr(next, "/v1"));
            }
        } while (next[0] != '\0');
        assert_int_equal(seen, all);
    }
}

static void test_bad_lists(void **state)
{
    static const struct {
        const char *path, *version, *words;
        int status;
    } rows[] = {
        {"?limit=0", NOW, "Limit must be positive", 400},
        {"?limit=-1", NOW, "Limit must be positive", 400},
        {"?limit=x", NOW, "Expected an integer for limit: x", 400},
        {"?limit=1&limit=2", NOW, NULL, 400},
        {"?marker=nope", NOW, "Expected UUID for marker: nope", 400},
        {"?marker=6da6ff82-82ed-4cbe-9b56-10f80f017fb1", NOW,
         "Node 6da6ff82-82ed-4cbe-9b56-10f80f017fb1 could not be found.", 404},
        {"?sort_key=bogus", NOW, "The sort_key value \"bogus\" is an invalid field for sorting",
         400},
        {"?sort_key=driver_info", NOW, NULL, 400},
        {"?sort_dir=up", NOW, "Invalid sort direction: up. Acceptable values are 'asc' or 'desc'",
         400},
        {"?fields=bogus,uuid", NOW, "Field bogus is not a valid field.", 400},
        {"?fields=uuid&detail=True", NOW,
         "Can not specify ?detail=True and fields in the same request.", 400},
        {"?detail=junk", NOW, "Invalid detail: Unrecognized value 'junk', acceptable values are: *",
         400},
        {"?instance_uuid=junk", NOW, "Expected UUID for instance_uuid: junk", 400},
        {"?provision_state=bogus", NOW, "Provision state \"bogus\" is not valid", 400},
        {"?bogus=1", NOW, "Unexpected arguments: bogus", 400},
        {"/detail?fields=uuid", NOW, "Unexpected arguments: fields", 400},
        {"?fields=uuid", V("1.7"), NULL, 406},
        {"?detail=true", V("1.42"), NULL, 400},
        {"?owner=x", V("1.30"),
         "Request not acceptable. The minimal required API version should be 1.50", 406},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "/v1/nodes%s", rows[i].path);
        expect_error(rig_ask(&rig, "GET", path, rows[i].version, ""), rows[i].status,
                     rows[i].words);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_delivered),
        CASE(test_refusals),
        CASE(test_unknown),
        CASE(test_repeats),
        CASE(test_keys),
        CASE(test_dropped_connection),
        cmocka_unit_test_setup_teardown(test_hold_off, setup_hold_off, teardown),
        CASE(test_arguments),
        CASE(test_versions),
        cmocka_unit_test(test_version_numbers),
        CASE(test_routes),
        CASE(test_node),
        CASE(test_validate),
        CASE(test_filters),
        CASE(test_pages),
        CASE(test_bad_lists),
    };
    return cmocka_run_group_tests_name("ironic", tests, NULL, NULL);
}

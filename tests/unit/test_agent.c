/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 4: actions, long polls, history, over real sockets with the real engine
 * (docs/contract-agent.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "agent_case.h"

/* ---- One action ---- */

static void test_post(void **state)
{
    char location[128];
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "", NMI);
    assert_int_equal(reply.status, 202);
    const char *id = reply_text(&reply, "id", NULL);
    snprintf(location, sizeof location, "/agent/v1/actions/%s", id);
    assert_string_equal(reply_header(&reply, "Location"), location);
    assert_string_equal(reply_header(&reply, "X-Openstack-Request-Id"), id);
    assert_string_equal(reply_text(&reply, "node_name", NULL), "good");
    assert_string_equal(reply_text(&reply, "action", NULL), "inject_nmi");
    assert_string_equal(reply_text(&reply, "contract", NULL), "agent");
    assert_string_equal(reply_text(&reply, "caller", "address"), "127.0.0.1");
    static const char *const keys[] = {"id",         "node_uuid", "node_name",  "action",
                                       "contract",   "caller",    "force",      "state",
                                       "outcome",    "code",      "message",    "evidence",
                                       "created_at", "sent_at",   "finished_at"};
    assert_int_equal(json_object_size(reply.json), sizeof keys / sizeof keys[0]);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_non_null(json_object_get(reply.json, keys[i]));
    reply_clear(&reply);
    reply = get("%s?wait=10", location);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "state", NULL), "finished");
    assert_string_equal(reply_text(&reply, "outcome", NULL), "delivered");
    reply_clear(&reply);
}

static void test_post_refused(void **state)
{
    static const struct {
        const char *node;
        int status;
        const char *code;
    } rows[] = {
        {"none", 404, "node-not-found"}, {"stopped", 409, "status"},
        {"dull", 400, "unsupported"},    {"a%2Fb", 404, "node-not-found"},
        {"%00", 404, "node-not-found"},
    };
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(path, sizeof path, "/agent/v1/nodes/%s/actions", rows[i].node);
        expect_error(rig_ask(&rig, "POST", path, "", NMI), rows[i].status, rows[i].code);
    }
    char id[64];
    post("still", "", id);
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/still/actions", "", NMI);
    assert_string_equal(reply_text(&reply, "error", "action_id"), id);
    expect_error(reply, 409, "in-flight");
    rig_release(&rig);
}

static void test_post_bodies(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "null",
        "{}",
        "{\"action\": null}",
        "{\"action\": \"reboot\"}",
        "{\"action\": \"inject_nmi\", \"Force\": true}",
        "{\"action\": \"inject_nmi\", \"force\": 1}",
        "{\"action\": \"inject_nmi\", \"nodes\": [\"good\"]}",
        "{\"action\": \"inject_nmi\", \"action\": \"inject_nmi\"}",
        "{\"action\": \"inject_nmi\", \"callback_url\": 1}",
        "{\"action\": \"inject_nmi\", \"callback_url\": null}",
        "{\"action\": \"inject_nmi\", \"callback_url\": \"\"}",
        "{\"action\": \"inject_nmi\", \"callback_url\": \"ftp://127.0.0.1/\"}",
        "{\"action\": \"inject_nmi\", \"callback_url\": \"http://127.0.0.1/\\r\\nX: y\"}",
        "{\"action\": \"inject_nmi\", \"force\": 1e400}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "", bodies[i]), 400,
                     "malformed");
    expect_error(
        rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "Content-Type: text/plain\r\n", NMI),
        415, "media-type");
    assert_int_equal(rig.starts, 0);
}

/* No URL is allowed unless the configuration says so; in a batch neither. */
static void test_callback_url_forbidden(void **state)
{
    (void)state;
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "",
                         "{\"action\": \"inject_nmi\", \"callback_url\": \"http://127.0.0.1/\"}"),
                 403, "forbidden");
    expect_error(rig_ask(&rig, "POST", "/agent/v1/actions", "",
                         "{\"action\": \"inject_nmi\", \"nodes\": [\"good\"], "
                         "\"callback_url\": \"http://127.0.0.1/\"}"),
                 403, "forbidden");
    assert_int_equal(rig.starts, 0);
}

static int setup_hold_off(void **state)
{
    (void)state;
    rig_init(&rig);
    rig.conf.hold_off_s = 300;
    rig_start(&rig);
    return 0;
}

static void test_force(void **state)
{
    char id[64];
    (void)state;
    await(post("good", "", id));
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "", NMI);
    assert_string_equal(reply_text(&reply, "error", "action_id"), id);
    expect_error(reply, 409, "hold-off");
    reply = rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "",
                    "{\"action\": \"inject_nmi\", \"force\": true}");
    assert_int_equal(reply.status, 202);
    await(reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/agent/v1/nodes/stopped/actions", "",
                    "{\"action\": \"inject_nmi\", \"force\": true}");
    assert_int_equal(reply.status, 202);
    await(reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    assert_int_equal(rig.sent, 3);
}

static void test_key(void **state)
{
    char first[64], second[64];
    (void)state;
    post("good", "Idempotency-Key: a b\r\n", first);
    post("good", "Idempotency-Key: a b\r\n", second);
    assert_string_equal(first, second);
    await(first);
    post("good", "Idempotency-Key: a b\r\n", second);
    assert_string_equal(first, second);
    assert_int_equal(rig.sent, 1);
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "Idempotency-Key: a b\r\n",
                         "{\"action\": \"inject_nmi\", \"force\": true}"),
                 422, "idempotency-key");
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions",
                         "Idempotency-Key: a\r\nIdempotency-Key: \xff\r\n", NMI),
                 400, "malformed");
}

/* ---- Long poll ---- */

static void test_wait(void **state)
{
    char id[64], path[128];
    (void)state;
    post("still", "", id);
    int64_t begun = clock_mono_us();
    struct reply reply = get("/agent/v1/actions/%s?wait=1", id);
    assert_in_range((clock_mono_us() - begun) / 1000, 950, 5000);
    assert_string_equal(reply_text(&reply, "state", NULL), "accepted");
    assert_true(json_is_null(json_object_get(reply.json, "outcome")));
    reply_clear(&reply);
    reply = get("/agent/v1/actions/%s", id);
    assert_string_equal(reply_text(&reply, "state", NULL), "accepted");
    reply_clear(&reply);

    int fd = client_connect(&rig), gone = client_connect(&rig);
    snprintf(path, sizeof path,
             "GET /agent/v1/actions/%s?wait=300 HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
    client_write(fd, path);
    client_write(gone, path);
    close(gone);
    rig_release(&rig);
    assert_true(client_read(fd, &reply, false));
    assert_string_equal(reply_text(&reply, "outcome", NULL), "delivered");
    reply_clear(&reply);
    close(fd);
}

static void test_get_refused(void **state)
{
    static const char *const queries[] = {"wait=301", "wait=-1",       "wait=",  "wait=x",
                                          "wait=1.5", "wait=1&wait=1", "state=", "w=1"};
    char id[64], path[160];
    (void)state;
    post("good", "", id);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        snprintf(path, sizeof path, "/agent/v1/actions/%s?%s", id, queries[i]);
        expect_error(rig_ask(&rig, "GET", path, "", ""), 400, "malformed");
    }
    expect_error(get("/agent/v1/actions/req-none"), 404, "not-found");
    expect_error(get("/agent/v1/actions/%s?wait=300", "%00"), 404, "not-found");
    expect_error(get("/agent/v1/batches/batch-none"), 404, "not-found");
}

/* ---- History ---- */

static void test_list(void **state)
{
    char id[3][64];
    (void)state;
    await(post("good", "", id[0]));
    await(post("bad", "", id[1]));
    await(post("good", "", id[2]));
    struct reply reply = get("/agent/v1/actions");
    json_t *actions = json_object_get(reply.json, "actions");
    assert_int_equal(json_array_size(actions), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(actions, i), "id")),
                            id[2 - i]);
    assert_true(json_is_null(json_object_get(reply.json, "next")));
    reply_clear(&reply);

    reply = get("/agent/v1/actions?limit=2");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 2);
    assert_string_equal(reply_text(&reply, "next", NULL), id[1]);
    reply_clear(&reply);
    reply = get("/agent/v1/actions?limit=2&marker=%s", id[1]);
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 1);
    assert_true(json_is_null(json_object_get(reply.json, "next")));
    reply_clear(&reply);

    reply = get("/agent/v1/actions?node=good&state=finished");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 2);
    reply_clear(&reply);
    reply = get("/agent/v1/actions?node=good&state=sent");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 0);
    reply_clear(&reply);
    /* A node that only the history could know, by its UUID. */
    reply = get("/agent/v1/actions?node=ffffffff-0000-4000-8000-000000000001");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 0);
    reply_clear(&reply);
}

static void test_list_refused(void **state)
{
    (void)state;
    expect_error(get("/agent/v1/actions?limit=0"), 400, "malformed");
    expect_error(get("/agent/v1/actions?limit=1001"), 400, "malformed");
    expect_error(get("/agent/v1/actions?state=done"), 400, "malformed");
    expect_error(get("/agent/v1/actions?marker=req-none"), 400, "malformed");
    expect_error(get("/agent/v1/actions?order=up"), 400, "malformed");
    expect_error(get("/agent/v1/actions?node=none"), 404, "node-not-found");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, agent_setup, agent_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_post),
        CASE(test_post_refused),
        CASE(test_post_bodies),
        CASE(test_callback_url_forbidden),
        cmocka_unit_test_setup_teardown(test_force, setup_hold_off, agent_teardown),
        CASE(test_key),
        CASE(test_wait),
        CASE(test_get_refused),
        CASE(test_list),
        CASE(test_list_refused),
    };
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}

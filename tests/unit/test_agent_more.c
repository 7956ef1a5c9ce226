/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 4: batches, nodes, probes, health, the end, over real sockets with the real engine
 * (docs/contract-agent.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent_case.h"

/* ---- Batches ---- */

static const json_t *entry(const struct reply *reply, size_t i)
{
    return json_array_get(json_object_get(reply->json, "actions"), i);
}

static void expect_entry(const struct reply *reply, size_t i, const char *key, const char *value)
{
    const char *found = json_string_value(json_object_get(entry(reply, i), key));
    assert_non_null(found);
    assert_string_equal(found, value);
}

static void test_batch(void **state)
{
    char body[512], id[64];
    (void)state;
    snprintf(body, sizeof body,
             "{\"action\": \"inject_nmi\", \"nodes\": [\"good\", \"bad\", \"none\", \"stopped\", "
             "\"good-2\", \"good\", \"%s\", \"none\"]}",
             node_table_find(rig.conf.nodes, "good")->uuid);
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/actions", "", body);
    assert_int_equal(reply.status, 202);
    snprintf(id, sizeof id, "%s", reply_text(&reply, "id", NULL));
    assert_memory_equal(id, "batch-", 6);
    assert_non_null(strstr(reply_header(&reply, "Location"), id));
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 5);
    const char *first = json_string_value(json_object_get(entry(&reply, 0), "id"));
    const char *last = json_string_value(json_object_get(entry(&reply, 4), "id"));
    await(first);
    await(last);
    reply_clear(&reply);

    reply = get("/agent/v1/batches/%s", id);
    assert_int_equal(reply.status, 200);
    expect_entry(&reply, 0, "outcome", "delivered");
    expect_entry(&reply, 1, "outcome", "failed");
    expect_entry(&reply, 1, "code", "unreachable");
    expect_entry(&reply, 2, "outcome", "failed");
    expect_entry(&reply, 2, "code", "node-not-found");
    expect_entry(&reply, 2, "node_name", "none");
    expect_entry(&reply, 2, "state", "finished");
    assert_int_equal(json_object_size(entry(&reply, 2)), 15);
    expect_entry(&reply, 3, "outcome", "failed");
    expect_entry(&reply, 3, "code", "status");
    expect_entry(&reply, 4, "outcome", "delivered");
    /* A refusal is in the history, as any other action. */
    await(json_string_value(json_object_get(entry(&reply, 3), "id")));
    reply_clear(&reply);
    assert_int_equal(rig.sent, 2);
}

static void test_batch_refused(void **state)
{
    static const char *const nodes[] = {"",
                                        ", \"nodes\": []",
                                        ", \"nodes\": \"good\"",
                                        ", \"nodes\": [1]",
                                        ", \"nodes\": [\"good\", \"\"]",
                                        ", \"nodes\": [\"good\", null]",
                                        ", \"x\": 1"};
    char body[128];
    (void)state;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        snprintf(body, sizeof body, "{\"action\": \"inject_nmi\"%s}", nodes[i]);
        expect_error(rig_ask(&rig, "POST", "/agent/v1/actions", "", body), 400, "malformed");
    }
    assert_int_equal(rig.starts, 0);
}

static void test_batch_key(void **state)
{
    static const char body[] = "{\"action\": \"inject_nmi\", \"nodes\": [\"good\", \"good-2\"]}";
    static const char *const key = "Idempotency-Key: batch\r\n";
    char id[64];
    (void)state;
    struct reply first = rig_ask(&rig, "POST", "/agent/v1/actions", key, body);
    struct reply second = rig_ask(&rig, "POST", "/agent/v1/actions", key, body);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_string_value(json_object_get(entry(&first, i), "id")),
                            json_string_value(json_object_get(entry(&second, i), "id")));
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(entry(&first, 1), "id")));
    await(id);
    reply_clear(&first);
    reply_clear(&second);
    assert_int_equal(rig.sent, 2);
}

static int setup_little_history(void **state)
{
    (void)state;
    rig_init(&rig);
    rig.conf.limits.history = 3;
    rig_start(&rig);
    return 0;
}

static void test_batch_forgotten(void **state)
{
    static const char body[] = "{\"action\": \"inject_nmi\", \"nodes\": [\"bad\", \"none\"]}";
    char first[64];
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct reply reply = rig_ask(&rig, "POST", "/agent/v1/actions", "", body);
        assert_int_equal(reply.status, 202);
        if (i == 0)
            snprintf(first, sizeof first, "%s", reply_text(&reply, "id", NULL));
        reply_clear(&reply);
    }
    expect_error(get("/agent/v1/batches/%s", first), 404, "not-found");
}

/* ---- Nodes, probes, health ---- */

static void test_nodes(void **state)
{
    (void)state;
    struct reply reply = get("/agent/v1/nodes");
    assert_int_equal(reply.status, 200);
    json_t *nodes = json_object_get(reply.json, "nodes");
    assert_int_equal(json_array_size(nodes), node_table_count(rig.conf.nodes));
    reply_clear(&reply);
    reply = get("/agent/v1/nodes/locked");
    assert_int_equal(json_object_size(reply.json), 11);
    assert_string_equal(reply_text(&reply, "name", NULL), "locked");
    assert_string_equal(reply_text(&reply, "status", NULL), "ACTIVE");
    assert_true(json_is_true(json_object_get(reply.json, "locked")));
    assert_string_equal(reply_text(&reply, "lock_source", NULL), "configuration");
    assert_string_equal(reply_text(&reply, "status_source", NULL), "configuration");
    assert_true(json_is_null(json_object_get(reply.json, "instance_uuid")));
    assert_string_equal(reply_text(&reply, "driver", NULL), "fake");
    assert_string_equal(reply_text(&reply, "driver_info", "ipmi_password"), "******");
    assert_non_null(reply_text(&reply, "bmc", NULL));
    reply_clear(&reply);
    expect_error(get("/agent/v1/nodes/none"), 404, "node-not-found");
    expect_error(get("/agent/v1/nodes?x=1"), 400, "malformed");
}

static void test_probe(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/good/probe", "", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "node_name", NULL), "good");
    assert_string_equal(reply_text(&reply, "power", NULL), "on");
    assert_true(json_is_integer(json_object_get(reply.json, "elapsed_ms")));
    reply_clear(&reply);
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/bad/probe", "", ""), 502, "unreachable");
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/dull/probe", "", ""), 400, "unsupported");
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/none/probe", "", ""), 404,
                 "node-not-found");
    assert_int_equal(rig.starts, 0);
}

static void test_health(void **state)
{
    char id[64];
    (void)state;
    await(post("good", "", id));
    await(post("bad", "", id));
    struct reply reply = get("/healthz");
    assert_string_equal(reply_text(&reply, "status", NULL), "ok");
    assert_string_equal(reply_text(&reply, "version", NULL), "9.9");
    assert_string_equal(reply_text(&reply, "auth", NULL), "none");
    assert_int_equal(json_integer_value(json_object_get(reply.json, "delivered")), 1);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "failed")), 1);
    reply_clear(&reply);
    reply = get("/readyz");
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    expect_error(rig_ask(&rig, "DELETE", "/agent/v1/nodes", "", ""), 405, "method-not-allowed");
    expect_error(rig_ask(&rig, "GET", "/agent/v2", "", ""), 404, "not-found");
}

/* The daemon stops while an action is awaited: it fails as not sent, and is told so. */
static int teardown_stopping(void **state)
{
    struct reply reply;
    int fd = *(int *)*state;
    rig_stop(&rig);
    assert_true(client_read(fd, &reply, false));
    assert_string_equal(reply_text(&reply, "outcome", NULL), "failed");
    assert_string_equal(reply_text(&reply, "code", NULL), "stopping");
    reply_clear(&reply);
    close(fd);
    return 0;
}

struct watched {
    const char *id;
    bool awaited;
};

static void look_for_wait(void *arg)
{
    struct watched *watched = arg;
    watched->awaited = engine_action(rig.engine, watched->id)->waits != NULL;
}

static void test_stopping(void **state)
{
    static int fd;
    char id[64], text[160];
    post("still", "", id);
    fd = client_connect(&rig);
    *state = &fd;
    snprintf(text, sizeof text,
             "GET /agent/v1/actions/%s?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
    client_write(fd, text);
    for (struct watched watched = {.id = id}; !watched.awaited;)
        rig_call(&rig, look_for_wait, &watched);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, agent_setup, agent_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_batch),
        CASE(test_batch_refused),
        CASE(test_batch_key),
        cmocka_unit_test_setup_teardown(test_batch_forgotten, setup_little_history, agent_teardown),
        CASE(test_nodes),
        CASE(test_probe),
        CASE(test_health),
        cmocka_unit_test_setup_teardown(test_stopping, agent_setup, teardown_stopping),
    };
    return cmocka_run_group_tests_name("agent, more", tests, NULL, NULL);
}

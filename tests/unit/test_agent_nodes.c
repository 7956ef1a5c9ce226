/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contract 4: lock and status set at run time, over real sockets with the real engine and journal
 * (docs/contract-agent.md, "Lock and status"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent_case.h"

#define JSON "Content-Type: application/json\r\n"

static struct reply ask(const char *method, const char *node, const char *what, const char *body)
{
    char path[128];
    snprintf(path, sizeof path, "/agent/v1/nodes/%s/%s", node, what);
    return rig_ask(&rig, method, path, "", body);
}

/* The answer is this node with this lock; clears it. */
static void expect_lock(struct reply reply, bool locked, const char *source)
{
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_is_true(json_object_get(reply.json, "locked")), locked);
    assert_string_equal(reply_text(&reply, "lock_source", NULL), source);
    assert_int_equal(json_object_size(reply.json), 11);
    reply_clear(&reply);
}

static void expect_status(struct reply reply, const char *status, const char *source)
{
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "status", NULL), status);
    assert_string_equal(reply_text(&reply, "status_source", NULL), source);
    reply_clear(&reply);
}

static void test_lock(void **state)
{
    (void)state;
    expect_lock(get("/agent/v1/nodes/good"), false, "configuration");
    expect_lock(ask("PUT", "good", "lock", ""), true, "run-time");
    expect_lock(get("/agent/v1/nodes/good"), true, "run-time");
    expect_lock(get("/agent/v1/nodes/good-2"), false, "configuration");
    expect_lock(ask("PUT", "good", "lock", ""), true, "run-time");
    expect_lock(ask("DELETE", "good", "lock", ""), false, "run-time");
    expect_lock(ask("PUT", "good", "lock", "{}"), true, "run-time");
    expect_lock(ask("PUT", "good", "lock", "{\"locked\": false}"), false, "run-time");
    expect_lock(ask("PUT", "good", "lock", "{\"locked\": true}"), true, "run-time");
    expect_lock(ask("PUT", "good", "lock", "{\"locked\": null}"), false, "configuration");
    expect_lock(get("/agent/v1/nodes/good"), false, "configuration");
}

/* What is set at run time wins over the file, by whatever name the node is asked for. */
static void test_lock_of_the_configuration(void **state)
{
    char uuid[UUID_TEXT];
    (void)state;
    snprintf(uuid, sizeof uuid, "%s", node_table_find(rig.conf.nodes, "locked")->uuid);
    expect_lock(get("/agent/v1/nodes/locked"), true, "configuration");
    expect_lock(ask("DELETE", uuid, "lock", ""), false, "run-time");
    expect_lock(get("/agent/v1/nodes/locked"), false, "run-time");
    expect_lock(ask("PUT", "locked", "lock", "{\"locked\": null}"), true, "configuration");
}

static void test_status(void **state)
{
    (void)state;
    expect_status(ask("PUT", "good", "status", "{\"status\": \"SHUTOFF\"}"), "SHUTOFF", "run-time");
    expect_error(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "", NMI), 409, "status");
    expect_status(ask("PUT", "stopped", "status", "{\"status\": \"ERROR\"}"), "ERROR", "run-time");
    struct reply reply = rig_ask(&rig, "POST", "/agent/v1/nodes/stopped/actions", "", NMI);
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    expect_status(ask("PUT", "good", "status", "{\"status\": null}"), "ACTIVE", "configuration");
    expect_status(ask("DELETE", "stopped", "status", ""), "SHUTOFF", "configuration");
}

static void test_one_keeps_the_other(void **state)
{
    (void)state;
    expect_lock(ask("PUT", "good", "lock", ""), true, "run-time");
    expect_status(ask("PUT", "good", "status", "{\"status\": \"PAUSED\"}"), "PAUSED", "run-time");
    expect_lock(get("/agent/v1/nodes/good"), true, "run-time");
    expect_lock(ask("PUT", "good", "lock", "{\"locked\": null}"), false, "configuration");
    expect_status(get("/agent/v1/nodes/good"), "PAUSED", "run-time");
}

/* Two changes of one node before the first is on disk: neither undoes the other. */
static void test_at_once(void **state)
{
    static const char *const requests[] = {
        "PUT /agent/v1/nodes/good/lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "PUT /agent/v1/nodes/good/status HTTP/1.1\r\nHost: localhost\r\n" JSON
        "Content-Length: 20\r\n\r\n{\"status\": \"PAUSED\"}",
        "DELETE /agent/v1/nodes/locked/lock HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    enum { COUNT = sizeof requests / sizeof requests[0] };
    int fds[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        fds[i] = client_connect(&rig);
    for (size_t i = 0; i < COUNT; i++)
        client_write(fds[i], requests[i]);
    for (size_t i = 0; i < COUNT; i++) {
        struct reply reply;
        assert_true(client_read(fds[i], &reply, false));
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
        close(fds[i]);
    }
    expect_lock(get("/agent/v1/nodes/good"), true, "run-time");
    expect_status(get("/agent/v1/nodes/good"), "PAUSED", "run-time");
    expect_lock(get("/agent/v1/nodes/locked"), false, "run-time");
}

/* A client that leaves has asked all the same. */
static void test_client_leaves(void **state)
{
    int fd = client_connect(&rig);
    bool locked = false;
    (void)state;
    client_write(fd, "PUT /agent/v1/nodes/good/lock HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Length: 0\r\n\r\n");
    close(fd);
    for (int i = 0; !locked && i < 100000; i++) {
        struct reply reply = get("/agent/v1/nodes/good");
        locked = json_is_true(json_object_get(reply.json, "locked"));
        reply_clear(&reply);
    }
    assert_true(locked);
}

/* The disk takes nothing for a while (somebody else writes and does not end): 503, and nothing has
 * changed. */
static void test_not_recorded(void **state)
{
    char path[STATE_DIR_MAX + 16];
    sqlite3 *other = NULL;
    (void)state;
    expect_lock(ask("PUT", "good", "lock", ""), true, "run-time");
    snprintf(path, sizeof path, "%s/nmid.db", rig.dir);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    expect_error(ask("DELETE", "good", "lock", ""), 503, "journal");
    expect_lock(get("/agent/v1/nodes/good"), true, "run-time");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    expect_lock(ask("DELETE", "good", "lock", ""), false, "run-time");
}

static void test_refused(void **state)
{
    static const struct {
        const char *method, *node, *what, *body;
        int status;
        const char *code;
    } cases[] = {
        {"PUT", "none", "lock", "", 404, "node-not-found"},
        {"DELETE", "none", "lock", "", 404, "node-not-found"},
        {"PUT", "none", "status", "{\"status\": \"ACTIVE\"}", 404, "node-not-found"},
        {"PUT", "good", "lock", "{\"locked\": 1}", 400, "malformed"},
        {"PUT", "good", "lock", "{\"locked\": \"true\"}", 400, "malformed"},
        {"PUT", "good", "lock", "{\"lock\": true}", 400, "malformed"},
        {"PUT", "good", "lock", "{\"locked\": true, \"x\": 1}", 400, "malformed"},
        {"PUT", "good", "lock", "[]", 400, "malformed"},
        {"PUT", "good", "lock", "x", 400, "malformed"},
        {"DELETE", "good", "lock", "{}", 400, "malformed"},
        {"PUT", "good", "status", "", 400, "malformed"},
        {"PUT", "good", "status", "{}", 400, "malformed"},
        {"PUT", "good", "status", "{\"status\": 1}", 400, "malformed"},
        {"PUT", "good", "status", "{\"status\": \"active\"}", 400, "malformed"},
        {"PUT", "good", "status", "{\"status\": \"GONE\"}", 400, "malformed"},
        {"PUT", "good", "status", "{\"state\": \"ACTIVE\"}", 400, "malformed"},
        {"DELETE", "good", "status", "{}", 400, "malformed"},
        {"GET", "good", "lock", "", 405, "method-not-allowed"},
        {"POST", "good", "status", "", 405, "method-not-allowed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(ask(cases[i].method, cases[i].node, cases[i].what, cases[i].body),
                     cases[i].status, cases[i].code);
    expect_error(rig_ask(&rig, "PUT", "/agent/v1/nodes/good/lock", "Content-Type: text/plain\r\n",
                         "{\"locked\": true}"),
                 415, "media-type");
    expect_lock(get("/agent/v1/nodes/good"), false, "configuration");
    expect_status(get("/agent/v1/nodes/good"), "ACTIVE", "configuration");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, agent_setup, agent_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lock),         CASE(test_lock_of_the_configuration),
        CASE(test_status),       CASE(test_one_keeps_the_other),
        CASE(test_at_once),      CASE(test_client_leaves),
        CASE(test_not_recorded), CASE(test_refused),
    };
    return cmocka_run_group_tests_name("agent, lock and status", tests, NULL, NULL);
}

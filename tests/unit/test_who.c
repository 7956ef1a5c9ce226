/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may do and see what, through every route that there is: another project's node must be told
 * from none by nothing at all, and each role does what it may and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_auth.h"

#define READER  AS("rita:demo:reader")
#define MEMBER  AS("alice:demo:member")
#define OTHER   AS("bob:other:member")
#define ADMIN   AS("root:admin:admin")
#define SYSTEM  AS("sam::reader:system")
#define NO_ROLE AS("nick:demo:auditor")

#define INJECT "{\"inject_nmi\": null}"
#define DUMP   "{\"trigger_crash_dump\": null}"
#define ACTION "{\"action\": \"inject_nmi\"}"
#define FORCED "{\"action\": \"inject_nmi\", \"force\": true}"

static struct rig rig;

/* "good" and "locked" are demo's, "good-2" is other's, the rest is nobody's. */
static void give(const char *name, const char *project_id)
{
    struct node *node = node_table_find(rig.conf.nodes, name);
    node->project_id = strdup(project_id);
}

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    give("good", "demo");
    give("locked", "demo");
    give("still", "demo");
    give("stopped", "demo");
    give("good-2", "other");
    memcpy(node_table_find(rig.conf.nodes, "good-2")->instance_uuid,
           "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb", UUID_TEXT);
    fake_auth_use(&rig);
    rig_start(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static struct reply ask(const char *method, const char *path, const char *headers, const char *body)
{
    return rig_ask(&rig, method, path, headers, body);
}

/* The status alone. */
static int status(const char *method, const char *path, const char *headers, const char *body)
{
    struct reply reply = ask(method, path, headers, body);
    int found = reply.status;
    reply_clear(&reply);
    return found;
}

/* Accepted as contract 4's action, and finished; its id. */
static void inject(const char *node, const char *headers, char id[64])
{
    char path[128];
    snprintf(path, sizeof path, "/agent/v1/nodes/%s/actions", node);
    struct reply reply = ask("POST", path, headers, ACTION);
    assert_int_equal(reply.status, 202);
    snprintf(id, 64, "%s", reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    snprintf(path, sizeof path, "/agent/v1/actions/%.63s?wait=20", id);
    reply = ask("GET", path, ADMIN, "");
    assert_string_equal(reply_text(&reply, "state", NULL), "finished");
    reply_clear(&reply);
}

/* ---- Another project's node looks absent ---- */

/* All that came back, but the request's own id, with the name of the node taken out. */
static char *all_of(const struct reply *reply, const char *ident)
{
    char *text = NULL, *clean = NULL;
    size_t size = 0, len = strlen(ident);
    FILE *out = open_memstream(&clean, &size);
    assert_true(asprintf(&text, "%s%s", reply->head, reply->body) > 0);
    for (const char *p = text; *p != '\0';) {
        if (strncasecmp(p, "X-Openstack-Request-Id:", 23) == 0 || strncmp(p, "Date:", 5) == 0) {
            p += strcspn(p, "\n");
        } else if (strncmp(p, "\"created_at\"", 12) == 0 ||
                   strncmp(p, "\"finished_at\"", 13) == 0 ||
                   strncmp(p, "\"id\":\"batch-", 12) == 0) {
            p += strcspn(p, ",}");
        } else if (strncmp(p, "Location: ", 10) == 0) {
            p += strcspn(p, "\n");
        } else if (strncmp(p, ident, len) == 0) {
            fputs("NODE", out);
            p += len;
        } else {
            fputc(*p++, out);
        }
    }
    fclose(out);
    free(text);
    return clean;
}

static char *put_ident(const char *template, const char *ident)
{
    const char *at = strchr(template, '@');
    char *text = NULL;
    if (at == NULL)
        return strdup(template);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - template), template, ident, at + 1) > 0);
    return text;
}

static const struct request_of_node {
    const char *method, *path, *headers, *body; /* @: the node */
    int status;                                 /* that it must have */
} requests[] = {
    {"PUT", "/v2.1/servers/@/action", "", INJECT, 404},
    {"POST", "/v2.1/servers/@/action", "OpenStack-API-Version: compute 2.17\r\n", DUMP, 404},
    {"POST", "/v2.1/servers/@/action", "Idempotency-Key: k\r\n", INJECT, 404},
    {"POST", "/agent/v1/nodes/@/actions", "", ACTION, 404},
    {"POST", "/agent/v1/nodes/@/actions", "Idempotency-Key: k\r\n", FORCED, 404},
    {"POST", "/agent/v1/actions", "", "{\"action\": \"inject_nmi\", \"nodes\": [\"@\"]}", 202},
    {"GET", "/agent/v1/nodes/@", "", "", 404},
    {"HEAD", "/agent/v1/nodes/@", "", "", 404},
    {"POST", "/agent/v1/nodes/@/probe", "", "", 404},
    {"PUT", "/agent/v1/nodes/@/lock", "", "", 404},
    {"PUT", "/agent/v1/nodes/@/lock", "", "{\"locked\": null}", 404},
    {"DELETE", "/agent/v1/nodes/@/lock", "", "", 404},
    {"PUT", "/agent/v1/nodes/@/status", "", "{\"status\": \"ERROR\"}", 404},
    {"DELETE", "/agent/v1/nodes/@/status", "", "", 404},
    {"GET", "/agent/v1/actions?node=@", "", "", 0},
};

static char *outcome_of(const struct request_of_node *request, const char *who, const char *ident)
{
    char *path = put_ident(request->path, ident), *body = put_ident(request->body, ident);
    char headers[256];
    snprintf(headers, sizeof headers, "%s%s", who, request->headers);
    struct reply reply = ask(request->method, path, headers, body);
    if (request->status != 0)
        assert_int_equal(reply.status, request->status);
    char *all = all_of(&reply, ident);
    reply_clear(&reply);
    free(path);
    free(body);
    return all;
}

static void compare(const char *who, const char *foreign, const char *absent)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char *seen = outcome_of(&requests[i], who, foreign);
        char *expected = outcome_of(&requests[i], who, absent);
        if (strcmp(seen, expected) != 0)
            fail_msg("%s %s of %s, told from %s:\n%s\n----\n%s", requests[i].method,
                     requests[i].path, foreign, absent, seen, expected);
        free(seen);
        free(expected);
    }
}

static void test_foreign_is_absent(void **state)
{
    const char *uuid = node_table_find(rig.conf.nodes, "good-2")->uuid;
    char id[64];
    (void)state;
    inject("good-2", OTHER, id); /* so that it has a history */
    unsigned starts = rig.starts;
    compare(MEMBER, "good-2", "none-2");
    compare(MEMBER, uuid, "00000000-0000-4000-8000-ffffffffffff");
    compare(MEMBER, "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb", "cccccccc-cccc-4ccc-8ccc-cccccccccccc");
    compare(READER, "good-2", "none-2");
    compare(NO_ROLE, "good-2", "none-2");
    compare(MEMBER, "bad", "dab"); /* nobody's */
    assert_int_equal(rig.starts, starts);
    assert_int_equal(status("GET", "/agent/v1/nodes/good-2", OTHER, ""), 200);
}

static void test_foreign_action(void **state)
{
    char id[64], path[128];
    (void)state;
    inject("good-2", OTHER, id);
    snprintf(path, sizeof path, "/agent/v1/actions/%.63s", id);
    struct reply foreign = ask("GET", path, MEMBER, "");
    struct reply absent = ask("GET", "/agent/v1/actions/req-nothing", MEMBER, "");
    assert_int_equal(foreign.status, 404);
    char *one = all_of(&foreign, id), *two = all_of(&absent, "req-nothing");
    assert_int_equal(strstr(foreign.head, "Content-Length") != NULL, 1);
    /* Content-Length tells the length of the id that was asked for, and nothing else. */
    assert_string_equal(strstr(one, "\r\n\r\n"), strstr(two, "\r\n\r\n"));
    free(one);
    free(two);
    reply_clear(&foreign);
    reply_clear(&absent);
    snprintf(path, sizeof path, "/agent/v1/actions/%.63s?wait=1", id);
    assert_int_equal(status("GET", path, MEMBER, ""), 404);
    assert_int_equal(status("GET", path, OTHER, ""), 200);
    assert_int_equal(status("GET", path, SYSTEM, ""), 200);
    snprintf(path, sizeof path, "/agent/v1/actions?marker=%.63s", id);
    assert_int_equal(status("GET", path, MEMBER, ""), 400); /* as one that is not there */
    assert_int_equal(status("GET", path, OTHER, ""), 200);
}

/* ---- Lists ---- */

static size_t count_nodes(const char *who)
{
    struct reply reply = ask("GET", "/agent/v1/nodes", who, "");
    assert_int_equal(reply.status, 200);
    size_t count = json_array_size(json_object_get(reply.json, "nodes"));
    reply_clear(&reply);
    return count;
}

static void test_list_of_nodes(void **state)
{
    (void)state;
    assert_int_equal(count_nodes(MEMBER), 4);
    assert_int_equal(count_nodes(READER), 4);
    assert_int_equal(count_nodes(OTHER), 1);
    assert_int_equal(count_nodes(ADMIN), node_table_count(rig.conf.nodes));
    assert_int_equal(count_nodes(SYSTEM), node_table_count(rig.conf.nodes));
    assert_int_equal(status("GET", "/agent/v1/nodes", NO_ROLE, ""), 403);
    assert_int_equal(status("GET", "/agent/v1/actions", NO_ROLE, ""), 403);
}

/* Every page is full and holds the own actions alone; next is one of them. */
static void test_pages(void **state)
{
    char mine[3][64], other[64], path[160];
    (void)state;
    for (int i = 0; i < 3; i++) {
        inject("good", MEMBER, mine[i]);
        inject("good-2", OTHER, other);
    }
    snprintf(path, sizeof path, "/agent/v1/actions?limit=2");
    struct reply reply = ask("GET", path, MEMBER, "");
    json_t *actions = json_object_get(reply.json, "actions");
    assert_int_equal(json_array_size(actions), 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(actions, i), "id")),
                            mine[2 - i]);
    assert_string_equal(reply_text(&reply, "next", NULL), mine[1]);
    assert_null(strstr(reply.body, "good-2"));
    snprintf(path, sizeof path, "/agent/v1/actions?limit=2&marker=%s",
             reply_text(&reply, "next", NULL));
    reply_clear(&reply);
    reply = ask("GET", path, MEMBER, "");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 1);
    assert_true(json_is_null(json_object_get(reply.json, "next")));
    reply_clear(&reply);
    reply = ask("GET", "/agent/v1/actions?limit=3", MEMBER, "");
    assert_true(json_is_null(json_object_get(reply.json, "next"))); /* others' are no more pages */
    reply_clear(&reply);
    reply = ask("GET", "/agent/v1/actions", ADMIN, "");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 6);
    reply_clear(&reply);
}

static void test_batch(void **state)
{
    char path[128];
    (void)state;
    struct reply reply =
        ask("POST", "/agent/v1/actions", ADMIN,
            "{\"action\": \"inject_nmi\", \"nodes\": [\"good\", \"good-2\", \"none\"]}");
    assert_int_equal(reply.status, 202);
    snprintf(path, sizeof path, "/agent/v1/batches/%s", reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    assert_int_equal(status("GET", path, MEMBER, ""), 404);
    assert_int_equal(status("GET", path, NO_ROLE, ""), 403);
    reply = ask("GET", path, AS("anna:admin:reader"), ""); /* of the project that made it */
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 1);
    assert_null(strstr(reply.body, "good"));
    reply_clear(&reply);
    reply = ask("GET", path, SYSTEM, "");
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 3);
    reply_clear(&reply);
    reply = ask("POST", "/agent/v1/actions", MEMBER,
                "{\"action\": \"inject_nmi\", \"nodes\": [\"good\", \"good-2\"]}");
    snprintf(path, sizeof path, "/agent/v1/batches/%s", reply_text(&reply, "id", NULL));
    const json_t *foreign = json_array_get(json_object_get(reply.json, "actions"), 1);
    assert_true(json_is_null(json_object_get(foreign, "id")));
    assert_true(json_is_null(json_object_get(foreign, "node_uuid")));
    assert_string_equal(json_string_value(json_object_get(foreign, "code")), "node-not-found");
    reply_clear(&reply);
    assert_int_equal(status("GET", path, READER, ""), 200);
    assert_int_equal(status("GET", path, OTHER, ""), 404);
}

/* Two names of a node that is not seen are two nodes that are not there. */
static void test_batch_by_two_names(void **state)
{
    char body[256];
    (void)state;
    snprintf(body, sizeof body, "{\"action\": \"inject_nmi\", \"nodes\": [\"good-2\", \"%s\"]}",
             node_table_find(rig.conf.nodes, "good-2")->uuid);
    struct reply reply = ask("POST", "/agent/v1/actions", MEMBER, body);
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 2);
    reply_clear(&reply);
    reply = ask("POST", "/agent/v1/actions", OTHER, body);
    assert_int_equal(json_array_size(json_object_get(reply.json, "actions")), 1);
    reply_clear(&reply);
}

/* ---- What each may do to a node that it sees ---- */

static const struct who {
    const char *name, *headers;
    /* inject, force, probe, show, lock of "good"; inject of "locked" and of "stopped" */
    int inject, force, probe, show, lock, locked, stopped;
} whos[] = {
    {"no role", NO_ROLE, 403, 403, 403, 403, 403, 403, 403},
    {"reader", READER, 403, 403, 403, 200, 403, 403, 403},
    {"member", MEMBER, 202, 403, 200, 200, 403, 409, 409},
    {"other member", OTHER, 404, 404, 404, 404, 404, 404, 404},
    {"administrator", ADMIN, 202, 202, 200, 200, 200, 202, 409},
    {"system reader", SYSTEM, 403, 403, 403, 200, 403, 403, 403},
};

static void expect_status(const struct who *who, const char *what, int found, int wanted)
{
    if (found != wanted)
        fail_msg("%s: %s: %d, not %d", who->name, what, found, wanted);
}

static void test_roles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whos / sizeof whos[0]; i++) {
        const struct who *who = &whos[i];
        const char *h = who->headers;
        expect_status(who, "nova", status("PUT", "/v2.1/servers/good/action", h, INJECT),
                      who->inject);
        expect_status(who, "nova, locked", status("PUT", "/v2.1/servers/locked/action", h, INJECT),
                      who->locked);
        expect_status(who, "nova, SHUTOFF",
                      status("PUT", "/v2.1/servers/stopped/action", h, INJECT), who->stopped);
        expect_status(who, "probe", status("POST", "/agent/v1/nodes/good/probe", h, ""),
                      who->probe);
        expect_status(who, "force", status("POST", "/agent/v1/nodes/good/actions", h, FORCED),
                      who->force);
        expect_status(who, "show", status("GET", "/agent/v1/nodes/good", h, ""), who->show);
        expect_status(who, "lock", status("PUT", "/agent/v1/nodes/good/lock", h, ""), who->lock);
        expect_status(who, "unlock", status("DELETE", "/agent/v1/nodes/good/lock", h, ""),
                      who->lock);
        expect_status(who, "status",
                      status("PUT", "/agent/v1/nodes/good/status", h, "{\"status\": \"ACTIVE\"}"),
                      who->lock);
        expect_status(who, "status", status("DELETE", "/agent/v1/nodes/good/status", h, ""),
                      who->lock);
    }
}

static void test_words(void **state)
{
    (void)state;
    struct reply reply = ask("PUT", "/v2.1/servers/good/action", READER, INJECT);
    assert_string_equal(reply.body,
                        "{\"forbidden\":{\"code\":403,\"message\":\"Policy doesn't allow "
                        "os_compute_api:servers:inject_nmi to be performed.\"}}");
    assert_non_null(reply_header(&reply, "OpenStack-API-Version"));
    reply_clear(&reply);
    reply = ask("POST", "/v2.1/servers/good/action",
                READER "OpenStack-API-Version: compute 2.17\r\n", DUMP);
    assert_string_equal(reply.body,
                        "{\"forbidden\":{\"code\":403,\"message\":\"Policy doesn't allow "
                        "os_compute_api:servers:trigger_crash_dump to be performed.\"}}");
    reply_clear(&reply);
    reply = ask("POST", "/agent/v1/nodes/good/actions", MEMBER, FORCED);
    assert_string_equal(reply_text(&reply, "error", "code"), "forbidden");
    assert_non_null(strstr(reply_text(&reply, "error", "message"), "force"));
    reply_clear(&reply);
    assert_int_equal(rig.starts, 0);
}

/* The caller of an action is who asked, from where; and a key is of a user, whatever its name. */
static void test_caller(void **state)
{
    char first[64], id[64];
    (void)state;
    inject("good", MEMBER "Idempotency-Key: k\r\n", first);
    inject("good", MEMBER "Idempotency-Key: k\r\n", id);
    assert_string_equal(first, id);
    inject("good", AS("anna:demo:member") "Idempotency-Key: k\r\n", id);
    assert_string_not_equal(first, id);
    char path[128];
    snprintf(path, sizeof path, "/agent/v1/actions/%.63s", first);
    struct reply reply = ask("GET", path, READER, "");
    assert_string_equal(reply_text(&reply, "caller", "user"), "alice");
    assert_string_equal(reply_text(&reply, "caller", "project_id"), "demo");
    assert_string_equal(reply_text(&reply, "caller", "address"), "127.0.0.1");
    reply_clear(&reply);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_foreign_is_absent),
        TEST(test_foreign_action),
        TEST(test_list_of_nodes),
        TEST(test_pages),
        TEST(test_batch),
        TEST(test_batch_by_two_names),
        TEST(test_roles),
        TEST(test_words),
        TEST(test_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

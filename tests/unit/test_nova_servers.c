/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Nova's clients read: discovery, lists, one server; who is shown what; and queries that are
 * none (docs/contract-nova.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "contracts/nova_query.h"
#include "fake_auth.h"

#define DEMO   AS("rita:demo:reader")
#define OTHER  AS("bob:other:member")
#define ADMIN  AS("root:ops:admin")
#define SYSTEM AS("sam::reader:system")
#define NOBODY AS("nick:demo:auditor")
#define V(x)   "OpenStack-API-Version: compute " x "\r\n"
#define GUEST  "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa" /* on good, by the rig */

static struct rig rig;

static struct node *node_of(const char *name)
{
    return node_table_find(rig.conf.nodes, name);
}

/* "good", "good-2", "locked" and "stopped" are demo's, "paused" is other's, the rest nobody's. */
static int setup(void **state)
{
    static const char *const demo[] = {"good", "good-2", "locked", "stopped"};
    (void)state;
    rig_init(&rig);
    for (size_t i = 0; i < 4; i++)
        node_of(demo[i])->project_id = strdup("demo");
    node_of("paused")->project_id = strdup("other");
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

static struct reply get(const char *path, const char *headers)
{
    return rig_ask(&rig, "GET", path, headers, "");
}

/* The names of a list, joined with spaces. */
static const char *names_of(const struct reply *reply)
{
    static char text[1024];
    size_t i, len = 0;
    const json_t *server;
    assert_int_equal(reply->status, 200);
    text[0] = '\0';
    json_array_foreach(json_object_get(reply->json, "servers"), i, server)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i > 0 ? " " : "",
                                json_string_value(json_object_get(server, "name")));
    return text;
}

static void expect_names(const char *path, const char *headers, const char *names)
{
    struct reply reply = get(path, headers);
    if (reply.status != 200)
        print_error("%s: %d %s\n", path, reply.status, reply.body);
    assert_string_equal(names_of(&reply), names);
    reply_clear(&reply);
}

static void expect_error(const char *path, const char *headers, int status, const char *key,
                         const char *says)
{
    struct reply reply = get(path, headers);
    assert_int_equal(reply.status, status);
    const char *message = reply_text(&reply, key, "message");
    assert_non_null(message);
    if (strstr(message, says) == NULL)
        fail_msg("%s: %s", path, message);
    reply_clear(&reply);
}

/* ---- Discovery ---- */

static void test_root(void **state)
{
    (void)state;
    struct reply reply = get("/", "");
    assert_int_equal(reply.status, 200);
    const json_t *versions = json_object_get(reply.json, "versions");
    assert_int_equal(json_array_size(versions), 2);
    const json_t *nova = json_array_get(versions, 1);
    assert_string_equal(json_string_value(json_object_get(nova, "id")), "v2.1");
    assert_string_equal(json_string_value(json_object_get(nova, "version")), "2.93");
    assert_string_equal(json_string_value(json_object_get(nova, "min_version")), "2.1");
    assert_string_equal(reply_text(&reply, "default_version", "version"), "1.82");
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/", DEMO, "");
    assert_int_equal(reply.status, 405);
    assert_non_null(reply_text(&reply, "badMethod", "message"));
    reply_clear(&reply);
}

static void test_version(void **state)
{
    static const char *const paths[] = {"/v2.1", "/v2.1/"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct reply reply = get(paths[i], "");
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply_text(&reply, "version", "id"), "v2.1");
        assert_string_equal(reply_text(&reply, "version", "status"), "CURRENT");
        reply_clear(&reply);
    }
}

/* ---- Who is shown what ---- */

static void test_who(void **state)
{
    (void)state;
    expect_names("/v2.1/servers", DEMO, "good locked good-2 stopped");
    expect_names("/v2.1/servers/detail", OTHER, "paused");
    expect_names("/v2.1/servers", ADMIN, "");
    expect_names("/v2.1/servers?all_tenants=1&project_id=other", ADMIN, "paused");
    expect_names("/v2.1/servers?all_tenants=&name=%5E(good%7Cpaused)$", ADMIN, "good paused");
    expect_names("/v2.1/servers?name=%5Epaused$", SYSTEM, "paused");
    expect_names("/v2.1/servers?all_tenants=1&name=%5Egood", SYSTEM,
                 "good good-2 good-3 good-4 good-5 good-6 good-7 good-8 good-9");
    expect_names("/v2.1/servers?all_tenants=false", DEMO, "good locked good-2 stopped");
    expect_error("/v2.1/servers?all_tenants=1", DEMO, 403, "forbidden",
                 "os_compute_api:servers:index:get_all_tenants");
    expect_error("/v2.1/servers/detail?all_tenants=yes", OTHER, 403, "forbidden",
                 "os_compute_api:servers:detail:get_all_tenants");
    expect_error("/v2.1/servers", NOBODY, 403, "forbidden", "os_compute_api:servers:index to");
    expect_error("/v2.1/servers/good", NOBODY, 403, "forbidden", "os_compute_api:servers:show to");
    expect_error("/v2.1/servers/good", OTHER, 404, "itemNotFound",
                 "Instance good could not be found.");
    expect_error("/v2.1/servers/good%00", DEMO, 404, "itemNotFound", "Instance good%00 could");
    struct reply reply = get("/v2.1/servers", "");
    assert_int_equal(reply.status, 401);
    reply_clear(&reply);
}

static void test_project_in_path(void **state)
{
    (void)state;
    expect_names("/v2.1/demo/servers", DEMO, "good locked good-2 stopped");
    expect_names("/v2.1/demo/servers/detail?name=d$", DEMO, "good locked stopped");
    struct reply reply = get("/v2.1/demo/servers/good", DEMO);
    assert_string_equal(reply_text(&reply, "server", "name"), "good");
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/v2.1/demo/servers/good/action", AS("alice:demo:member"),
                    "{\"inject_nmi\": null}");
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/v2.1/demo/servers/good/action", OTHER,
                    "{\"inject_nmi\": null}");
    assert_int_equal(reply.status, 400);
    reply_clear(&reply);
    assert_int_equal(rig.sent, 1);
    expect_error("/v2.1/demo/servers", OTHER, 400, "badRequest",
                 "URL's project_id 'demo' doesn't match Context's project_id 'other'");
    expect_error("/v2.1/%00/servers", SYSTEM, 404, "itemNotFound", "could not be found");
}

/* ---- A server ---- */

static void test_ids(void **state)
{
    const char *idents[] = {GUEST, "good", node_of("good")->uuid};
    char path[128];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/v2.1/servers/%s", idents[i]);
        struct reply reply = get(path, DEMO V("2.90"));
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply_text(&reply, "server", "id"), GUEST);
        assert_string_equal(reply_text(&reply, "server", "name"), "good");
        assert_string_equal(reply_header(&reply, "OpenStack-API-Version"), "compute 2.90");
        reply_clear(&reply);
    }
    snprintf(path, sizeof path, "/v2.1/servers/%s/action", GUEST);
    struct reply reply =
        rig_ask(&rig, "POST", path, AS("alice:demo:member"), "{\"inject_nmi\": null}");
    assert_int_equal(reply.status, 202);
    reply_clear(&reply);
}

/* Each field comes with its version. */
static void test_versions(void **state)
{
    static const struct {
        const char *field;
        unsigned since;
    } fields[] = {{"locked", 9},        {"description", 19},
                  {"tags", 26},         {"trusted_image_certificates", 63},
                  {"server_groups", 71}, {"locked_reason", 73},
                  {"OS-EXT-SRV-ATTR:hostname", 90}};
    static const unsigned versions[] = {1, 8, 9, 19, 47, 63, 73, 90, 93};
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, DEMO V("2.%u"), versions[i]);
        struct reply reply = get("/v2.1/servers/locked", header);
        const json_t *server = json_object_get(reply.json, "server");
        for (size_t n = 0; n < sizeof fields / sizeof fields[0]; n++)
            assert_int_equal(json_object_get(server, fields[n].field) != NULL,
                             versions[i] >= fields[n].since);
        const json_t *flavor = json_object_get(server, "flavor");
        assert_int_equal(json_object_get(flavor, "id") != NULL, versions[i] < 47);
        assert_int_equal(json_object_get(flavor, "original_name") != NULL, versions[i] >= 47);
        assert_null(json_object_get(server, "OS-EXT-SRV-ATTR:hypervisor_hostname"));
        assert_string_equal(reply_text(&reply, "server", "tenant_id"), "demo");
        reply_clear(&reply);
    }
    struct reply reply = get("/v2.1/servers/stopped", ADMIN);
    assert_string_equal(reply_text(&reply, "server", "OS-EXT-SRV-ATTR:hypervisor_hostname"),
                        node_of("stopped")->uuid);
    assert_string_equal(reply_text(&reply, "server", "status"), "SHUTOFF");
    assert_string_equal(reply_text(&reply, "server", "OS-EXT-STS:vm_state"), "stopped");
    reply_clear(&reply);
}

/* ---- Queries ---- */

static void test_filters(void **state)
{
    (void)state;
    expect_names("/v2.1/servers?name=good", DEMO, "good good-2");
    expect_names("/v2.1/servers?name=%5Egood$", DEMO, "good");
    expect_names("/v2.1/servers?name=%5Egood%5C-2$", DEMO, "good-2");
    expect_names("/v2.1/servers?name=good&name=2", DEMO, "good-2");
    expect_names("/v2.1/servers?name=absent", DEMO, "");
    expect_names("/v2.1/servers?uuid=" GUEST, DEMO, "good");
    expect_names("/v2.1/servers?status=shutoff", DEMO, "stopped");
    expect_names("/v2.1/servers?status=SHUTOFF&status=PAUSED", SYSTEM, "stopped paused");
    expect_names("/v2.1/servers?status=junk", DEMO, "");
    expect_error("/v2.1/servers?status=junk", DEMO V("2.38"), 400, "badRequest",
                 "Invalid status value");
    expect_names("/v2.1/servers?locked=true", DEMO V("2.73"), "locked");
    expect_names("/v2.1/servers?locked=false&vm_state=stopped", DEMO V("2.73"), "stopped");
    expect_names("/v2.1/servers?deleted=True", DEMO, "");
    expect_names("/v2.1/servers?project_id=other", DEMO, "");
    expect_names("/v2.1/servers?junk=1", DEMO, "good locked good-2 stopped");
    expect_error("/v2.1/servers?junk=1", DEMO V("2.75"), 400, "badRequest",
                 "Additional properties are not allowed ('junk' was unexpected)");
    expect_error("/v2.1/servers?ip=10.0.0.1", DEMO, 400, "badRequest", "does not know the ip");
    expect_error("/v2.1/servers?tags=x", DEMO V("2.26"), 400, "badRequest", "tags");
    expect_error("/v2.1/servers?metadata=x", DEMO, 400, "badRequest",
                 "Invalid filter field: metadata.");
    expect_error("/v2.1/servers?_sa_instance_state=x", DEMO, 400, "badRequest",
                 "Invalid filter field");
    expect_error("/v2.1/servers?all_tenants=perhaps", DEMO, 400, "badRequest", "perhaps");
    expect_error("/v2.1/servers?name=(", DEMO, 400, "badRequest", "is not a 'regex'");
}

static void test_pages(void **state)
{
    struct reply reply = get("/v2.1/servers/detail?limit=3&name=o", DEMO);
    char path[256];
    (void)state;
    assert_string_equal(names_of(&reply), "good locked good-2");
    const json_t *link = json_array_get(json_object_get(reply.json, "servers_links"), 0);
    assert_string_equal(json_string_value(json_object_get(link, "rel")), "next");
    const char *href = json_string_value(json_object_get(link, "href"));
    assert_memory_equal(href, "http://", 7);
    snprintf(path, sizeof path, "%s", strchr(href + 7, '/'));
    assert_memory_equal(path, "/v2.1/servers/detail?limit=3&name=o&marker=", 43);
    reply_clear(&reply);
    reply = get(path, DEMO);
    assert_string_equal(names_of(&reply), "stopped");
    assert_null(json_object_get(reply.json, "servers_links"));
    reply_clear(&reply);
    reply = get("/v2.1/demo/servers?limit=1", DEMO "X-Forwarded-Proto: https\r\n");
    link = json_array_get(json_object_get(reply.json, "servers_links"), 0);
    href = json_string_value(json_object_get(link, "href"));
    assert_memory_equal(href, "https://", 8);
    assert_non_null(strstr(href, "/v2.1/demo/servers?limit=1&marker=" GUEST));
    reply_clear(&reply);
    expect_names("/v2.1/servers?marker=" GUEST, DEMO, "locked good-2 stopped");
    expect_names("/v2.1/servers?limit=0", DEMO, "");
    expect_names("/v2.1/servers?limit=99999999999999999999", DEMO, "good locked good-2 stopped");
    expect_names("/v2.1/servers?sort_key=display_name&sort_dir=asc", DEMO,
                 "good good-2 locked stopped");
    expect_names("/v2.1/servers?sort_key=vm_state&sort_key=display_name&sort_dir=desc", DEMO,
                 "stopped locked good-2 good");
    expect_names("/v2.1/servers?sort_key=created_at", DEMO, "good locked good-2 stopped");
    expect_error("/v2.1/servers?sort_key=junk", DEMO, 400, "badRequest", "sort_key");
    expect_error("/v2.1/servers?sort_dir=up", DEMO, 400, "badRequest", "asc or desc");
    expect_error("/v2.1/servers?limit=-1", DEMO, 400, "badRequest", "'-1' does not match");
    expect_error("/v2.1/servers?limit=", DEMO, 400, "badRequest", "limit");
    expect_error("/v2.1/servers?marker=absent", DEMO, 400, "badRequest",
                 "marker [absent] not found");
    /* another project's is as good as none */
    snprintf(path, sizeof path, "/v2.1/servers?marker=%s", node_of("paused")->uuid);
    expect_error(path, DEMO, 400, "badRequest", "not found");
    expect_error("/v2.1/servers", DEMO V("junk"), 400, "badRequest", "is of invalid format");
    expect_error("/v2.1/servers", DEMO V("2.999"), 406, "computeFault", "2.999 is not supported");
}

/* ---- Patterns ---- */

static int parse(const char *pattern, struct nova_query *query)
{
    const struct http_argument argument = {(char *)(uintptr_t) "name", (char *)(uintptr_t)pattern};
    struct fault fault = {0};
    return nova_query_parse(&argument, 1, 1, query, &fault);
}

static bool matches(const char *pattern, const char *name)
{
    struct nova_query query;
    struct node node = {.name = (char *)(uintptr_t)name};
    const struct nova_server server = {.node = &node};
    assert_int_equal(parse(pattern, &query), 0);
    bool result = nova_query_matches(&query, &server);
    nova_query_clear(&query);
    return result;
}

static void test_patterns(void **state)
{
    static const char *const refused[] = {"(", "[", "*a{2}", "a{1,2}", "(a)\\1", "\\w", "\\<a",
                                          "a\\", "\\`a", "((a{1,255}){1,255}){1,255}"};
    struct nova_query query;
    char longest[NOVA_PATTERN_MAX + 2];
    (void)state;
    assert_true(matches("", "anything"));
    assert_true(matches("1-n.$", "rack1-n7"));
    assert_true(matches("^rack1\\-n\\.1$", "rack1-n.1"));
    assert_false(matches("^rack1-n1$", "rack1-n11"));
    assert_true(matches("^(a|b)[0-9]+$", "b42"));
    assert_false(matches("N1", "n1"));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(parse(refused[i], &query), -1);
        nova_query_clear(&query);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(parse(longest, &query), -1);
    nova_query_clear(&query);
}

/* What is taken costs little, however it was meant. */
static void test_patterns_cost_little(void **state)
{
    static const char *const pieces[] = {"(a*)*", "(a|a)*", "(a|ab|b)*", "((a+)+)+",
                                         ".*.*",  "[^b]*a", "(a?)?",     "(.*a.*)*"};
    char pattern[NOVA_PATTERN_MAX + 1], name[NODE_NAME_MAX + 1];
    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        pattern[0] = '\0';
        while (strlen(pattern) + strlen(pieces[i]) + 2 < sizeof pattern)
            strcat(pattern, pieces[i]);
        strcat(pattern, "c$");
        clock_t began = clock();
        assert_false(matches(pattern, name));
        double took = (double)(clock() - began) / CLOCKS_PER_SEC;
        if (took > 1)
            fail_msg("%s took %.1f s", pattern, took);
        print_message("%s...: %.1f ms\n", pieces[i], took * 1e3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who, setup, teardown),
        cmocka_unit_test_setup_teardown(test_project_in_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

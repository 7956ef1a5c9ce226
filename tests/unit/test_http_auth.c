/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Credentials over HTTP: what the server collects, when it asks for them and in whose words it
 * refuses, and what becomes of a request whose check waits. The way of authentication is a fake;
 * auth.c, the server and the contracts are real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "fake_auth.h"
#include "http/state.h"

#define MEMBER AS("alice:demo:member")
#define ADMIN  AS("root:admin:admin")
#define NODES  "GET /agent/v1/nodes HTTP/1.1\r\nHost: localhost\r\n"
#define PUT    "/v2.1/servers/good/action"
#define NMI    "{\"inject_nmi\": null}"

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    fake_auth_use(&rig);
    rig_start(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    assert_int_equal(fake_auth.waiting, 0);
    assert_int_equal(fake_auth.closed, fake_auth.opened);
    return 0;
}

/* Status and the whole body; clears the reply. */
static void expect(struct reply reply, int status, const char *body)
{
    assert_int_equal(reply.status, status);
    if (body != NULL)
        assert_string_equal(reply.body, body);
    reply_clear(&reply);
}

/* ---- Whose words ---- */

static void test_no_credentials(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "PUT", PUT, "", NMI);
    assert_string_equal(reply_header(&reply, "WWW-Authenticate"),
                        "Keystone uri=\"http://keystone.example/v3\"");
    assert_non_null(reply_header(&reply, "X-Openstack-Request-Id"));
    expect(reply, 401,
           "{\"error\":{\"code\":401,\"title\":\"Unauthorized\",\"message\":"
           "\"The request you have made requires authentication.\"}}");
    assert_string_equal(fake_auth.contract, "nova");
    assert_string_equal(fake_auth.method, "PUT");
    assert_string_equal(fake_auth.path, PUT);

    reply = rig_ask(&rig, "GET", "/agent/v1/nodes", AS("garbage"), "");
    assert_int_equal(reply_header_count(&reply, "WWW-Authenticate"), 1);
    expect(reply, 401,
           "{\"error\":{\"code\":\"unauthorized\",\"message\":\"the token is not valid\","
           "\"action_id\":null}}");
    assert_string_equal(fake_auth.contract, "agent");
    assert_int_equal(rig.starts, 0);
}

static void test_no_right_and_no_keystone(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "PUT", PUT, AS("nobody"), NMI);
    assert_null(reply_header(&reply, "WWW-Authenticate"));
    expect(reply, 403, "{\"forbidden\":{\"code\":403,\"message\":\"nobody has no right here\"}}");
    expect(rig_ask(&rig, "GET", "/agent/v1/nodes", AS("nobody"), ""), 403,
           "{\"error\":{\"code\":\"forbidden\",\"message\":\"nobody has no right here\","
           "\"action_id\":null}}");
    reply = rig_ask(&rig, "PUT", PUT, AS("down"), NMI);
    assert_null(reply_header(&reply, "WWW-Authenticate"));
    assert_null(reply_header(&reply, "Retry-After"));
    expect(reply, 503,
           "{\"serviceUnavailable\":{\"code\":503,\"message\":"
           "\"The Keystone service is temporarily unavailable.\"}}");
    expect(rig_ask(&rig, "GET", "/agent/v1/nodes", AS("down"), ""), 503,
           "{\"error\":{\"code\":\"identity-service\",\"message\":\"no route to Keystone\","
           "\"action_id\":null}}");
    assert_int_equal(rig.starts, 0);
}

/* ---- When ---- */

/* Whoever is not known hears neither what there is nor what there is not. */
static void test_before_the_route(void **state)
{
    (void)state;
    expect(rig_ask(&rig, "GET", "/agent/v1/no-such-thing", "", ""), 401, NULL);
    expect(rig_ask(&rig, "GET", "/no-such-thing", "", ""), 401, NULL);
    expect(rig_ask(&rig, "DELETE", "/agent/v1/nodes", "", ""), 401, NULL);
    expect(rig_ask(&rig, "POST", "/healthz", "", ""), 401, NULL);
    expect(rig_ask(&rig, "GET", "/agent/v1/no-such-thing", MEMBER, ""), 404, NULL);
    struct reply reply = rig_ask(&rig, "DELETE", "/agent/v1/nodes", MEMBER, "");
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD");
    expect(reply, 405, NULL);
}

/* And before the body is looked at. */
static void test_before_the_body(void **state)
{
    (void)state;
    expect(rig_ask(&rig, "PUT", PUT, "", "{"), 401, NULL);
    expect(rig_ask(&rig, "PUT", PUT, MEMBER, "{"), 400, NULL);
    expect(rig_ask(&rig, "POST", "/agent/v1/nodes/good/actions", "", "{"), 401, NULL);
}

static void test_open_routes(void **state)
{
    (void)state;
    expect(rig_ask(&rig, "GET", "/healthz", "", ""), 200, NULL);
    expect(rig_ask(&rig, "HEAD", "/readyz", "", ""), 200, NULL);
    expect(rig_ask(&rig, "GET", "/", "", ""), 200, NULL);
    expect(rig_ask(&rig, "GET", "/v2.1", "", ""), 200, NULL);
    expect(rig_ask(&rig, "GET", "/readyz", AS("down"), ""), 200, NULL);
    assert_int_equal(fake_auth.checks, 0);
}

static void test_two_of_a_kind(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "GET", "/healthz", MEMBER ADMIN, "");
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    expect(reply, 400, NULL);
    expect(rig_ask(&rig, "GET", "/healthz", MEMBER "x-auth-token: \r\n", ""), 400, NULL);
    expect(rig_ask(&rig, "GET", "/healthz",
                   "Authorization: Basic YTpi\r\nauthorization: Basic YTpi\r\n", ""),
           400, NULL);
    assert_int_equal(fake_auth.checks, 0);
    expect(rig_ask(&rig, "GET", "/agent/v1/nodes", MEMBER "Authorization: Basic YTpi\r\n", ""), 200,
           NULL);
    assert_string_equal(fake_auth.authorization, "Basic YTpi");
}

/* With credentials a foreign Host is a proxy's, and not a browser that was tricked. */
static void test_foreign_host(void **state)
{
    struct reply reply;
    int fd = client_connect(&rig);
    (void)state;
    client_write(fd, "GET /agent/v1/nodes HTTP/1.1\r\nHost: nmid.example\r\n" MEMBER "\r\n");
    assert_true(client_read(fd, &reply, false));
    expect(reply, 200, NULL);
    close(fd);
}

/* ---- Who is at the other end of a UNIX socket ---- */

static void test_peer(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct reply reply;
    gid_t groups[64] = {getgid()};
    (void)state;
    int count = getgroups(64, groups);
    assert_true(count >= 0);
    expect(rig_ask(&rig, "GET", "/agent/v1/nodes", MEMBER, ""), 200, NULL);
    assert_false(fake_auth.local);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int i = 0; i < 2; i++) {
        fake_auth.local = false;
        client_write(fd, NODES MEMBER "\r\n");
        assert_true(client_read(fd, &reply, false));
        expect(reply, 200, NULL);
        assert_true(fake_auth.local);
        assert_int_equal(fake_auth.uid, getuid());
        assert_true(fake_auth.has_gid);
        assert_int_equal(fake_auth.gid_count, 1 + count);
        assert_int_equal(fake_auth.last_gid, count > 0 ? groups[count - 1] : getgid());
    }
    close(fd);
}

/* ---- A check that waits ---- */

static int ask_held(const char *head, const char *body)
{
    char text[512];
    int fd = client_connect(&rig);
    snprintf(text, sizeof text, "%sContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
    client_write(fd, text);
    return fd;
}

static void test_waits(void **state)
{
    struct reply reply;
    (void)state;
    fake_auth.hold = true;
    int first = ask_held("PUT " PUT " HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Type: application/json\r\n" ADMIN,
                         NMI);
    int second = ask_held("GET /agent/v1/nowhere HTTP/1.1\r\nHost: localhost\r\n" ADMIN, "");
    int third = ask_held(NODES AS("garbage"), "");
    fake_auth_await(&rig, &fake_auth.waiting, 3);
    assert_int_equal(rig.starts, 0);
    rig_call(&rig, fake_auth_release, NULL);
    assert_true(client_read(first, &reply, false));
    expect(reply, 202, "");
    assert_int_equal(rig.starts, 1);
    assert_true(client_read(second, &reply, false));
    expect(reply, 404, NULL);
    assert_true(client_read(third, &reply, false));
    expect(reply, 401, NULL);
    client_write(third, NODES MEMBER "\r\n"); /* the same connection, another identity */
    assert_true(client_read(third, &reply, false));
    expect(reply, 200, "{\"nodes\":[]}");
    close(first);
    close(second);
    close(third);
}

static void test_client_gone(void **state)
{
    (void)state;
    fake_auth.hold = true;
    int fd = ask_held(NODES ADMIN, "");
    fake_auth_await(&rig, &fake_auth.waiting, 1);
    close(fd);
    fake_auth_await(&rig, &fake_auth.cancels, 1);
    fake_auth_await(&rig, &fake_auth.waiting, 0);
    rig_call(&rig, fake_auth_release, NULL);
    expect(rig_ask(&rig, "GET", "/agent/v1/nodes", ADMIN, ""), 200, NULL);
}

static void test_server_ends(void **state)
{
    (void)state;
    fake_auth.hold = true;
    int fd = ask_held(NODES ADMIN, "");
    fake_auth_await(&rig, &fake_auth.waiting, 1);
    rig_stop(&rig);
    assert_int_equal(fake_auth.cancels, 1);
    assert_int_equal(fake_auth.waiting, 0);
    assert_true(client_closed(fd, 1000));
    close(fd);
    rig_init(&rig);
    fake_auth_use(&rig);
    rig_start(&rig);
}

/* ---- Places ---- */

#define PLACES 4

static int setup_few(void **state)
{
    (void)state;
    rig_init(&rig);
    fake_auth_use(&rig);
    rig.conf.limits.connections = PLACES;
    rig_start(&rig);
    fake_auth.hold = true;
    return 0;
}

/* All want the same injected; the first is the one who may. */
static void take_places(int fds[PLACES])
{
#define HEAD "PUT " PUT " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for (unsigned i = 0; i < PLACES; i++) {
        fds[i] = ask_held(i == 0 ? HEAD ADMIN : HEAD AS("garbage"), NMI);
        fake_auth_await(&rig, &fake_auth.waiting, i + 1);
    }
}

/* Keystone does not answer, and whoever brings garbage has all places: nobody is kept out by them.
 * The one that waits longest goes, and nothing that it asked for begins. */
static void test_places(void **state)
{
    int fds[PLACES];
    struct reply reply;
    (void)state;
    take_places(fds);
    for (unsigned i = 0; i < 2; i++) /* one place is enough for both */
        expect(rig_ask(&rig, "GET", "/healthz", "", ""), 200, NULL);
    assert_true(client_closed(fds[0], 5000));
    fake_auth_await(&rig, &fake_auth.cancels, 1);
    rig_call(&rig, fake_auth_release, NULL);
    for (unsigned i = 1; i < PLACES; i++) {
        assert_true(client_read(fds[i], &reply, false));
        expect(reply, 401, NULL);
    }
    assert_int_equal(rig.starts, 0);
    for (unsigned i = 0; i < PLACES; i++)
        close(fds[i]);
}

/* In one turn of the loop another one comes, and the check of the one that gives up its place ends
 * well. */
static void cut_and_release(void *arg)
{
    struct listener *listener = rig.server->listeners;
    (void)arg;
    while (listener->address[0] == '\0')
        listener = listener->next;
    assert_int_equal(connection_on_accept(listener, NULL, 0), MHD_YES);
    fake_auth_release(NULL);
}

static void test_cut_and_checked(void **state)
{
    int fds[PLACES];
    (void)state;
    take_places(fds);
    rig_call(&rig, cut_and_release, NULL);
    assert_true(client_closed(fds[0], 5000));
    assert_int_equal(rig.starts, 0);
    for (unsigned i = 0; i < PLACES; i++)
        close(fds[i]);
}

/* ---- A reload ---- */

static void change_auth(void *arg)
{
    struct fault fault = {0};
    struct auth *old = rig.auth;
    const struct conf_auth none = {.strategy = AUTH_NONE};
    (void)arg;
    rig.auth = auth_new(rig.loop, &none, &rig.conf.policy, NULL, &rig.passwords, &fault);
    http_server_set_auth(rig.server, 0, rig.auth);
    http_server_set_auth(rig.server, 1, rig.auth);
    auth_free(old);
}

static void test_another_auth(void **state)
{
    struct reply reply;
    (void)state;
    fake_auth.hold = true;
    int fd = ask_held(NODES ADMIN, "");
    fake_auth_await(&rig, &fake_auth.waiting, 1);
    rig_call(&rig, change_auth, NULL);
    assert_non_null(rig.auth);
    assert_true(client_read(fd, &reply, false));
    assert_string_equal(reply_text(&reply, "error", "code"), "identity-service");
    expect(reply, 503, NULL);
    client_write(fd, NODES "\r\n");
    assert_true(client_read(fd, &reply, false));
    expect(reply, 200, NULL);
    assert_int_equal(fake_auth.checks, 1);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_credentials),
        TEST(test_no_right_and_no_keystone),
        TEST(test_before_the_route),
        TEST(test_before_the_body),
        TEST(test_open_routes),
        TEST(test_two_of_a_kind),
        TEST(test_foreign_host),
        TEST(test_peer),
        TEST(test_waits),
        TEST(test_client_gone),
        TEST(test_server_ends),
        TEST(test_another_auth),
        cmocka_unit_test_setup_teardown(test_places, setup_few, teardown),
        cmocka_unit_test_setup_teardown(test_cut_and_checked, setup_few, teardown),
    };
    const gid_t groups[] = {4711, 4712}; /* root often has none: so that there are some to see */
    if (geteuid() == 0 && setgroups(2, groups) < 0)
        perror("setgroups");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

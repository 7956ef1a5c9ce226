/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP server over real sockets: answers, a trap of libmicrohttpd's external epoll mode, clients
 * that leave, the UNIX socket, and the end of the server itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "http_late.h"

/* ---- Answers ---- */

static void test_head(void **state)
{
    struct reply get, head;
    (void)state;
    int fd = client_connect(&rig);
    client_write(fd, HEALTH);
    assert_true(client_read(fd, &get, false));
    client_write(fd, "HEAD /healthz HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_read(fd, &head, true));
    assert_int_equal(head.status, 200);
    assert_int_equal(strtoul(reply_header(&head, "Content-Length"), NULL, 10), get.body_len);
    reply_clear(&get);
    reply_clear(&head);
    client_write(fd, HEALTH); /* no body came that would stand in the way */
    assert_true(client_read(fd, &get, false));
    assert_int_equal(get.status, 200);
    reply_clear(&get);
    close(fd);
}

static void test_common_headers(void **state)
{
    char first[64];
    (void)state;
    struct reply reply = rig_ask(&rig, "GET", "/healthz", "", "");
    snprintf(first, sizeof first, "%s", reply_header(&reply, "X-Openstack-Request-Id"));
    assert_int_equal(strlen(first), 40);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
    assert_int_equal(reply_header_count(&reply, "Server"), 0);
    reply_clear(&reply);
    reply = rig_ask(&rig, "GET", "/nowhere", "", "");
    assert_int_equal(reply.status, 404);
    assert_string_not_equal(reply_header(&reply, "X-Openstack-Request-Id"), first);
    assert_string_equal(reply_text(&reply, "error", "code"), "not-found");
    reply_clear(&reply);
}

static void test_pipeline(void **state)
{
    (void)state;
    int fd = client_connect(&rig);
    late.wanted = 1;
    client_write(fd, LATE HEALTH "GET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    static const int expected[] = {200, 200, 404};
    for (size_t i = 0; i < 3; i++) {
        struct reply reply;
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, expected[i]);
        assert_true((i == 0) == (json_object_get(reply.json, "late") != NULL));
        reply_clear(&reply);
    }
    close(fd);
}

static void test_query(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "POST", "/late/echo?a=1&b=x%26y+z&c&=&&d=%C3%A4", "", "");
    char *text = json_dumps(json_object_get(reply.json, "query"), JSON_COMPACT);
    assert_string_equal(text, "[[\"a\",\"1\"],[\"b\",\"x&y z\"],[\"c\",\"\"],[\"\",\"\"],[\"d\","
                              "\"\xc3\xa4\"]]");
    free(text);
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/late/echo?a=%ff", "", "");
    assert_int_equal(reply.status, 400);
    reply_clear(&reply);
}

/* ---- A trap; test_http_places.c has the other ---- */

/* The answers come from a timer, on two connections, and nothing else goes on. */
static void test_trap_resume(void **state)
{
    (void)state;
    late.wanted = 2;
    for (int round = 0; round < 20; round++) {
        int fd[2];
        for (size_t i = 0; i < 2; i++) {
            fd[i] = client_connect(&rig);
            client_write(fd[i], LATE);
        }
        for (size_t i = 0; i < 2; i++) {
            struct reply reply;
            assert_true(client_read(fd[i], &reply, false));
            assert_int_equal(reply.status, 200);
            reply_clear(&reply);
            close(fd[i]);
        }
    }
}

/* ---- Clients that leave ---- */

static void test_client_leaves(void **state)
{
    (void)state;
    late.wanted = 10;
    for (unsigned i = 1; i < 10; i++) {
        int fd = client_connect(&rig);
        client_write(fd, LATE);
        late_await(&late.count, i);
        close(fd);
        late_await(&late.gone, i);
    }
    /* The tenth is answered, and the nine are no more. */
    struct reply reply = rig_ask(&rig, "GET", "/late/answer", "", "");
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "late")), 9);
    reply_clear(&reply);
}

/* The answer is on its way when the client leaves: nobody hears of a client that is gone twice. */
static void test_client_leaves_late(void **state)
{
    (void)state;
    late.wanted = 40;
    int fd[40];
    for (unsigned i = 0; i < 40; i++) {
        fd[i] = client_connect(&rig);
        client_write(fd[i], LATE);
    }
    for (unsigned i = 0; i < 40; i++)
        close(fd[i]); /* around the time of the answers */
    late.wanted = 1;
    struct reply reply = rig_ask(&rig, "GET", "/late/answer", "", "");
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
}

/* A client that closes its own side gets an answer that is there at once. */
static void test_half_close(void **state)
{
    struct reply reply;
    (void)state;
    int fd = client_connect(&rig);
    client_write(fd, HEALTH);
    shutdown(fd, SHUT_WR);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    close(fd);
    fd = client_connect(&rig);
    client_write(fd, NEVER);
    shutdown(fd, SHUT_WR);
    late_await(&late.gone, 1);
    assert_true(client_closed(fd, 5000));
    close(fd);
}

/* A handler that never answers: the end of the server ends the exchange, and says so. */
static int teardown_never(void **state)
{
    (void)state;
    late_stop();
    assert_int_equal(late.gone, 1);
    return 0;
}

static void test_never_answered(void **state)
{
    (void)state;
    int fd = client_connect(&rig);
    client_write(fd, NEVER);
    struct reply reply = rig_ask(&rig, "GET", "/healthz", "", "");
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    /* fd stays open over the teardown */
    (void)fd;
}

/* ---- Refusing, and the UNIX socket ---- */

static void refuse(void *arg)
{
    (void)arg;
    http_server_refuse(rig.server);
}

static void test_refuse(void **state)
{
    struct reply reply;
    (void)state;
    late.wanted = 1;
    int fd = client_connect(&rig), other = client_connect(&rig);
    client_write(other, HEALTH);
    assert_true(client_read(other, &reply, false));
    reply_clear(&reply);
    client_write(fd, LATE);
    rig_call(&rig, refuse, NULL);
    assert_true(client_read(fd, &reply, false)); /* in progress: it is finished, then closed */
    assert_int_equal(reply.status, 200);
    assert_true(client_closed(fd, 5000));
    reply_clear(&reply);
    client_write(other, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_read(other, &reply, false));
    assert_int_equal(reply.status, 503);
    assert_true(client_closed(other, 5000));
    reply_clear(&reply);
    close(fd);
    close(other);
    assert_int_not_equal(access(rig.path, F_OK), 0);
}

static int unix_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_unix(void **state)
{
    struct reply reply;
    struct stat found;
    (void)state;
    assert_int_equal(stat(rig.path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0660);
    int fd = unix_connect(rig.path);
    assert_true(fd >= 0);
    client_write(fd, "POST /late/echo HTTP/1.1\r\nHost: anything.example\r\n"
                     "Content-Length: 2\r\n\r\n{}");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "address", NULL), "unix");
    reply_clear(&reply);
    close(fd);
}

static void listen_again(void *arg)
{
    struct fault *fault = arg;
    http_server_listen(rig.server, &(struct conf_listener){.socket = rig.path}, rig.auth, fault);
}

static void test_unix_taken(void **state)
{
    struct fault fault = {0};
    (void)state;
    rig_call(&rig, listen_again, &fault);
    assert_int_equal(fault.code, FAULT_SYSTEM);
    assert_non_null(strstr(fault.message, "somebody already does"));
    int fd = unix_connect(rig.path); /* and the first one still answers */
    assert_true(fd >= 0);
    close(fd);
}

static void test_unix_stale(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fault fault = {0};
    char path[sizeof rig.path];
    (void)state;
    snprintf(path, sizeof path, "/tmp/nmid-rig-%ld.2", (long)getpid());
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);                           /* nobody answers there any more */
    memcpy(rig.path, path, sizeof path); /* rig_stop() checks that it is gone */
    rig_call(&rig, listen_again, &fault);
    assert_int_equal(fault.code, FAULT_NONE);
    fd = unix_connect(path);
    assert_true(fd >= 0);
    close(fd);
}

static void test_unix_no_socket(void **state)
{
    struct fault fault = {0};
    char kept[64];
    (void)state;
    snprintf(kept, sizeof kept, "%s", rig.path);
    snprintf(rig.path, sizeof rig.path, "/dev/null");
    rig_call(&rig, listen_again, &fault);
    assert_int_equal(fault.code, FAULT_SYSTEM);
    assert_int_equal(access("/dev/null", F_OK), 0);
    memcpy(rig.path, kept, sizeof kept);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, late_setup, late_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_head),
        CASE(test_common_headers),
        CASE(test_pipeline),
        CASE(test_query),
        CASE(test_trap_resume),
        CASE(test_client_leaves),
        CASE(test_client_leaves_late),
        CASE(test_half_close),
        cmocka_unit_test_setup_teardown(test_never_answered, late_setup, teardown_never),
        CASE(test_refuse),
        CASE(test_unix),
        CASE(test_unix_taken),
        CASE(test_unix_stale),
        CASE(test_unix_no_socket),
    };
    return cmocka_run_group_tests_name("http server", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who keeps a place when there are more connections than limits.connections: whoever waits for his
 * client longest gives up his, first of those whom nobody knows; who is being answered never does;
 * UNIX sockets have places of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/limits.h"
#include "http/state.h"
#include "http_late.h"

#define PLACES 8

static void few(struct conf_limits *limits)
{
    limits->connections = PLACES;
}

static int setup(void **state)
{
    (void)state;
    late_start(few);
    return 0;
}

struct seen {
    size_t tcp, local;
    uint64_t reached;
};

static void look(void *arg)
{
    struct seen *seen = arg;
    seen->tcp = rig.server->places[0].taken;
    seen->local = rig.server->places[1].taken;
    seen->reached = limits_count(rig.limits, LIMIT_CONNECTIONS);
}

static struct seen look_now(void)
{
    struct seen seen;
    rig_call(&rig, look, &seen);
    return seen;
}

static void await_places(size_t tcp, size_t local)
{
    int64_t end = clock_mono_us() + 10000000;
    for (;;) {
        struct seen seen = look_now();
        if (seen.tcp == tcp && seen.local == local)
            return;
        if (clock_mono_us() > end)
            fail_msg("%zu and %zu places are taken, not %zu and %zu", seen.tcp, seen.local, tcp,
                     local);
        poll(NULL, 0, 1);
    }
}

static int unix_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = 20};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int ask(int fd, const char *request)
{
    struct reply reply;
    client_write(fd, request);
    if (!client_read(fd, &reply, false))
        reply.status = 0;
    reply_clear(&reply);
    return reply.status;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* Takes every place, one after the other; each sends text and is answered, or, answered false,
 * only sends it. */
static void take_places(int fds[PLACES], const char *text, bool answered)
{
    for (size_t i = 0; i < PLACES; i++) {
        fds[i] = client_connect(&rig);
        if (answered)
            assert_int_equal(ask(fds[i], text), 200);
        else
            client_write(fds[i], text);
        await_places(i + 1, 0);
    }
}

static bool is_open(int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    return poll(&at, 1, 0) == 0;
}

/* Those who send nothing, or slowly, or were served without anybody knowing who they are. */
static void check_strangers(const char *text, bool answered)
{
    int old[PLACES], young[PLACES];
    take_places(old, text, answered);
    for (size_t i = 0; i < PLACES; i++) {
        young[i] = client_connect(&rig);
        assert_int_equal(ask(young[i], HEALTH), 200);
        assert_true(client_closed(old[i], 5000)); /* in their order */
        for (size_t j = i + 1; j < PLACES; j++)
            assert_true(is_open(old[j]));
        assert_int_equal(look_now().tcp, PLACES);
    }
    assert_int_equal(look_now().reached, PLACES);
    close_all(old, PLACES);
    close_all(young, PLACES);
    await_places(0, 0);
}

static void test_strangers(void **state)
{
    (void)state;
    check_strangers("", false);
}

static void test_slow_head(void **state)
{
    (void)state;
    check_strangers("GET /healthz HTTP/1.1\r\nX: y", false);
}

static void test_slow_body(void **state)
{
    (void)state;
    check_strangers(POST "Content-Length: 10\r\n\r\nx", false);
}

static void test_idle_strangers(void **state)
{
    (void)state;
    check_strangers(HEALTH, true);
}

/* Whoever has just asked something does not wait longest. */
static void test_order(void **state)
{
    int fds[PLACES];
    (void)state;
    take_places(fds, HEALTH, true);
    assert_int_equal(ask(fds[0], HEALTH), 200);
    int young = client_connect(&rig);
    assert_int_equal(ask(young, HEALTH), 200);
    assert_true(client_closed(fds[1], 5000));
    assert_true(is_open(fds[0]));
    close(young);
    close_all(fds, PLACES);
}

/* Callers who are known keep theirs while there are others; then the longest idle one goes. */
static void test_known(void **state)
{
    int known[PLACES];
    (void)state;
    for (size_t i = 0; i < PLACES - 1; i++) {
        known[i] = client_connect(&rig);
        assert_int_equal(ask(known[i], ECHO), 200);
    }
    int stranger = client_connect(&rig);
    await_places(PLACES, 0);
    for (size_t i = 0; i < 5; i++) { /* they have one place between them */
        int other = client_connect(&rig);
        assert_true(client_closed(stranger, 5000));
        close(stranger);
        stranger = other;
    }
    assert_int_equal(ask(stranger, ECHO), 200);
    known[PLACES - 1] = stranger;                           /* now it is known */
    client_write(known[0], "POST /late/echo HTTP/1.1\r\n"); /* begins its next: it is not idle */
    assert_int_equal(ask(known[1], ECHO), 200);
    int young = client_connect(&rig);
    assert_int_equal(ask(young, HEALTH), 200);
    assert_true(client_closed(known[2], 5000));
    assert_true(is_open(known[1]));
    assert_int_equal(ask(known[0], HOST "Content-Length: 0\r\n\r\n"), 200);
    close(young);
    close_all(known, PLACES);
}

/* Nobody who is being answered is cut: the newcomer is. He comes in when a place is free. */
static void test_busy(void **state)
{
    int fds[PLACES];
    (void)state;
    take_places(fds, NEVER, false);
    late_await(&late.never, PLACES);
    for (size_t i = 0; i < 3; i++) {
        int young = client_connect(&rig);
        assert_true(client_closed(young, 5000));
        close(young);
    }
    for (size_t i = 0; i < PLACES; i++)
        assert_true(is_open(fds[i]));
    assert_int_equal(look_now().reached, 3);
    close(fds[3]);
    await_places(PLACES - 1, 0);
    fds[3] = client_connect(&rig);
    assert_int_equal(ask(fds[3], HEALTH), 200);
    close_all(fds, PLACES);
}

/* A stranger who asks a lot and reads none of it is not being answered for ever. */
static void test_unread(void **state)
{
    int fds[PLACES];
    char many[200 * (sizeof HEALTH - 1) + 1] = "";
    (void)state;
    for (size_t i = 0; i < 200; i++)
        memcpy(many + i * (sizeof HEALTH - 1), HEALTH, sizeof HEALTH);
    for (size_t i = 0; i < PLACES; i++) {
        fds[i] = client_connect(&rig);
        for (int idle = 0; idle < 50;) { /* until nothing more goes in */
            ssize_t sent = send(fds[i], many, sizeof many - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
            idle = sent > 0 ? 0 : idle + 1;
            if (sent <= 0)
                poll(NULL, 0, 2);
        }
    }
    await_places(PLACES, 0);
    int young = client_connect(&rig);
    assert_int_equal(ask(young, ECHO), 200);
    assert_true(client_closed(fds[0], 5000));
    close(young);
    close_all(fds, PLACES);
}

/* Neither kind of socket takes the places of the other. */
static void test_unix_apart(void **state)
{
    int fds[PLACES], local[PLACES];
    (void)state;
    take_places(fds, NEVER, false);
    late_await(&late.never, PLACES);
    for (size_t i = 0; i < PLACES; i++) {
        local[i] = unix_connect();
        assert_int_equal(ask(local[i], HEALTH), 200);
    }
    await_places(PLACES, PLACES);
    for (size_t i = 0; i < PLACES; i++)
        client_write(local[i], NEVER);
    late_await(&late.never, 2 * PLACES);
    int refused = unix_connect();
    assert_true(client_closed(refused, 5000));
    close(refused);
    close_all(fds, PLACES);
    await_places(0, PLACES);
    fds[0] = client_connect(&rig);
    assert_int_equal(ask(fds[0], HEALTH), 200);
    close(fds[0]);
    close_all(local, PLACES);
    await_places(0, 0);
}

static void more(void *arg)
{
    struct conf_limits limits = rig.conf.limits;
    (void)arg;
    limits.connections = PLACES + 2;
    http_server_configure(rig.server, &limits);
}

static void fewer(void *arg)
{
    struct conf_limits limits = rig.conf.limits;
    (void)arg;
    limits.connections = 2;
    http_server_configure(rig.server, &limits);
}

/* A reload counts at once, for who comes then. */
static void test_reload(void **state)
{
    int fds[PLACES + 2];
    (void)state;
    take_places(fds, NEVER, false);
    late_await(&late.never, PLACES);
    rig_call(&rig, more, NULL);
    for (size_t i = PLACES; i < PLACES + 2; i++) {
        fds[i] = client_connect(&rig);
        assert_int_equal(ask(fds[i], HEALTH), 200);
    }
    rig_call(&rig, fewer, NULL);
    int young = client_connect(&rig);
    assert_true(client_closed(fds[PLACES], 5000)); /* one for one */
    assert_int_equal(ask(young, HEALTH), 200);
    close(young);
    close_all(fds, PLACES + 2);
}

/* ---- Clients who wait to be accepted ---- */

/* Closes the holders when it is told to, all in one turn of the loop: and asks for no descriptor.
 */
static struct {
    int fds[PLACES];
    bool go;
    struct loop_timer *timer;
} holders;

static void on_holders(void *arg)
{
    (void)arg;
    if (!__atomic_load_n(&holders.go, __ATOMIC_SEQ_CST)) {
        loop_timer_set(holders.timer, clock_mono_us() + 5000);
        return;
    }
    for (size_t i = 0; i < PLACES; i++)
        shutdown(holders.fds[i], SHUT_RDWR);
}

static void watch_holders(void *arg)
{
    (void)arg;
    holders.go = false;
    holders.timer = loop_timer_new(rig.loop, on_holders, NULL, NULL);
    loop_timer_set(holders.timer, clock_mono_us());
}

static void forget_holders(void *arg)
{
    (void)arg;
    loop_timer_free(holders.timer);
}

static int tcp_socket(void)
{
    const struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void tcp_connect(int fd)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)rig.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
}

/* The second trap of libmicrohttpd: it stops to accept when there are no more descriptors (our own
 * limit never has it stop), and those who wait are not accepted when others close, unless it is run
 * once more. 30 clients wait, and all places come free in one turn of the loop. */
static void test_trap_accept(void **state)
{
    int waiting[30];
    struct rlimit before, low;
    (void)state;
    rig_call(&rig, watch_holders, NULL);
    for (size_t i = 0; i < PLACES; i++)
        holders.fds[i] = tcp_socket();
    for (size_t i = 0; i < 30; i++)
        waiting[i] = tcp_socket();
    int next = dup(holders.fds[0]);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)next + PLACES;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (size_t i = 0; i < PLACES; i++) {
        tcp_connect(holders.fds[i]);
        assert_int_equal(ask(holders.fds[i], HEALTH), 200);
    }
    for (size_t i = 0; i < 30; i++) {
        tcp_connect(waiting[i]);
        client_write(waiting[i], "GET /healthz HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    }
    struct pollfd early = {.fd = waiting[0], .events = POLLIN};
    int room = poll(&early, 1, 100);
    __atomic_store_n(&holders.go, true, __ATOMIC_SEQ_CST);
    unsigned served = 0;
    for (size_t i = 0; i < 30; i++) {
        struct reply reply;
        if (!client_read(waiting[i], &reply, false))
            break;
        served += reply.status == 200;
        reply_clear(&reply);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); /* the teardown wants descriptors */
    assert_int_equal(room, 0);
    assert_int_equal(served, 30);
    close_all(waiting, 30);
    close_all(holders.fds, PLACES);
    rig_call(&rig, forget_holders, NULL);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, late_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_strangers),
        CASE(test_slow_head),
        CASE(test_slow_body),
        CASE(test_idle_strangers),
        CASE(test_order),
        CASE(test_known),
        CASE(test_busy),
        CASE(test_unread),
        CASE(test_unix_apart),
        CASE(test_reload),
        cmocka_unit_test_setup_teardown(test_trap_accept, late_setup, late_teardown),
    };
    return cmocka_run_group_tests_name("http places", tests, NULL, NULL);
}

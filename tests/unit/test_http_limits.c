/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP server's limits: sizes of heads and bodies, the time that a request may take, and how
 * many requests of one caller may be under way. Each counts how often it was reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/limits.h"
#include "http_late.h"

/* ---- Bodies and their limits ---- */

static void small(struct conf_limits *limits)
{
    limits->body_bytes = 1000;
    limits->header_bytes = 2000;
    limits->url_bytes = 1000;
    limits->token_bytes = 500;
    limits->requests_per_principal = 3;
    limits->request_s = 1;
    limits->idle_s = 3;
}

static int setup_small(void **state)
{
    (void)state;
    late_start(small);
    return 0;
}

struct count {
    enum limit limit;
    uint64_t count;
};

static void look(void *arg)
{
    struct count *count = arg;
    count->count = limits_count(rig.limits, count->limit);
}

/* Waits for the limit to have been reached so often; and it must not have been more often. */
static void await_count(enum limit limit, unsigned wanted)
{
    struct count count = {limit, 0};
    int64_t end = clock_mono_us() + 5000000;
    do
        rig_call(&rig, look, &count);
    while (count.count < wanted && clock_mono_us() < end);
    if (count.count != wanted)
        fail_msg("%s was reached %llu times, not %u", limit_name(limit),
                 (unsigned long long)count.count, wanted);
}

static void send_chunks(int fd, size_t chunks)
{
    char chunk[110] = "64\r\n";
    memset(chunk + 4, 'x', 100);
    memcpy(chunk + 104, "\r\n", 3);
    client_write(fd, POST "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < chunks; i++)
        client_write(fd, chunk);
}

static void test_body_limit(void **state)
{
    char body[1002];
    (void)state;
    memset(body, 'x', sizeof body);
    body[1001] = '\0';
    struct reply reply = rig_ask(&rig, "POST", "/late/echo", "", body);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_clear(&reply);
    body[1000] = '\0';
    reply = rig_ask(&rig, "POST", "/late/echo", "", body);
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "length")), 1000);
    reply_clear(&reply);
    /* Announced, and never sent: refused at once. */
    int fd = client_connect(&rig);
    client_write(fd, POST "Content-Length: 100000000000\r\n\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 413);
    assert_true(client_closed(fd, 5000));
    reply_clear(&reply);
    close(fd);
    await_count(LIMIT_BODY_BYTES, 2);
}

static void test_chunked_limit(void **state)
{
    struct reply reply;
    (void)state;
    int fd = client_connect(&rig);
    send_chunks(fd, 10);
    client_write(fd, "0\r\n\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "length")), 1000);
    reply_clear(&reply);
    close(fd);
    fd = client_connect(&rig);
    send_chunks(fd, 12);
    client_write(fd, "0\r\n\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 413);
    assert_true(client_closed(fd, 5000));
    reply_clear(&reply);
    close(fd);
    fd = client_connect(&rig);
    send_chunks(fd, 12000); /* no end: it is not read to its end */
    assert_true(client_closed(fd, 800));
    close(fd);
    await_count(LIMIT_BODY_BYTES, 2);
    fd = client_connect(&rig);
    client_write(fd, POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 400);
    reply_clear(&reply);
    close(fd);
}

/* One request with count times this between begin and end; its status. */
static int ask_with(const char *begin, const char *piece, size_t count, const char *end)
{
    size_t len = strlen(begin), size = strlen(piece);
    char *text = malloc(len + size * count + strlen(end) + 1);
    struct reply reply;
    memcpy(text, begin, len);
    for (size_t i = 0; i < count; i++)
        memcpy(text + len + i * size, piece, size);
    strcpy(text + len + size * count, end);
    int fd = client_connect(&rig);
    client_write(fd, text);
    if (!client_read(fd, &reply, false))
        reply.status = 0;
    else if (reply.json != NULL && (reply.status == 414 || reply.status == 431))
        assert_string_equal(reply_text(&reply, "error", "code"), "too-large");
    reply_clear(&reply);
    free(text);
    close(fd);
    return reply.status;
}

static void test_head_limit(void **state)
{
    (void)state;
    assert_int_equal(ask_with(LINE HOST "X: ", "x", 1900, "\r\n\r\n"), 200);
    assert_int_equal(ask_with(LINE HOST "X: ", "x", 2100, "\r\n\r\n"), 431);
    assert_int_equal(ask_with(LINE HOST, "X: 1\r\n", 150, "\r\n"), 431);
    await_count(LIMIT_HEADER_BYTES, 2);
    assert_int_equal(ask_with("GET /", "x", 999, " HTTP/1.1\r\n" HOST "\r\n"), 404);
    assert_int_equal(ask_with("GET /", "x", 1000, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    assert_int_equal(ask_with("GET /healthz?", "x", 1000, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    await_count(LIMIT_URL_BYTES, 2);
    await_count(LIMIT_HEADER_BYTES, 2);
    await_count(LIMIT_TOKEN_BYTES, 0);
}

static void test_token_limit(void **state)
{
    (void)state;
    assert_int_equal(ask_with(LINE HOST "X-Auth-Token: ", "x", 500, "\r\n\r\n"), 200);
    await_count(LIMIT_TOKEN_BYTES, 0);
    assert_int_equal(ask_with(LINE HOST "X-Auth-Token: ", "x", 501, "\r\n\r\n"), 431);
    assert_int_equal(ask_with(LINE HOST "x-auth-TOKEN:", "x", 501, "\r\n\r\n"), 431);
    assert_int_equal(ask_with(LINE HOST "AUTHORIZATION: Basic ", "x", 495, "\r\n\r\n"), 431);
    await_count(LIMIT_TOKEN_BYTES, 3);
    await_count(LIMIT_HEADER_BYTES, 0);
}

/* A megabyte does not fit into a connection's memory: libmicrohttpd refuses it by itself. */
static void test_huge(void **state)
{
    static const char *const begins[] = {
        LINE HOST "X-Auth-Token: ", LINE HOST "X: ", LINE HOST "Authorization: Basic "};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        int status = ask_with(begins[i], "0123456789abcdef", 65536, "\r\n\r\n");
        assert_true(status == 431 || status == 0); /* 0: reset while it still sent */
    }
    await_count(LIMIT_HEADER_BYTES, 3);
    int status = ask_with("GET /", "0123456789abcdef", 65536, " HTTP/1.1\r\n" HOST "\r\n");
    assert_true(status == 414 || status == 0);
    await_count(LIMIT_URL_BYTES, 1);
    assert_int_equal(ask_with(LINE HOST, "", 0, "\r\n"), 200);
}

static void test_expect_continue(void **state)
{
    struct reply reply;
    char line[64] = "";
    (void)state;
    int fd = client_connect(&rig);
    client_write(fd, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_true(recv(fd, line, 12, MSG_WAITALL) == 12);
    assert_string_equal(line, "HTTP/1.1 100");
    client_write(fd, "{}");
    while (recv(fd, line, 1, 0) == 1 && line[0] != '\n')
        continue; /* the rest of that line; client_read() skips the empty one with the next head */
    assert_true(recv(fd, line, 2, MSG_WAITALL) == 2);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    close(fd);
}

/* ---- Deadlines ---- */

/* One byte every 100 ms, as long as the connection lasts; how long it lasted, in ms. served: a
 * whole request comes first. */
static int64_t trickle(bool served, const char *begin, const char *rest)
{
    int fd = client_connect(&rig);
    if (served) {
        struct reply reply;
        client_write(fd, HEALTH);
        assert_true(client_read(fd, &reply, false));
        reply_clear(&reply);
    }
    int64_t begun = clock_mono_us();
    client_write(fd, begin);
    for (; *rest != '\0'; rest++) {
        if (client_closed(fd, 100))
            break;
        client_send(fd, rest, 1);
    }
    close(fd);
    return *rest == '\0' ? -1 : (clock_mono_us() - begun) / 1000;
}

static void test_slow_senders(void **state)
{
    static const char many[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    (void)state;
    assert_in_range(trickle(false, "GET /", many), 900, 2500);
    assert_in_range(trickle(false, LINE HOST "X: ", many), 900, 2500);
    assert_in_range(trickle(false, POST "Content-Length: 900\r\n\r\n", many), 900, 2500);
    assert_in_range(
        trickle(false, POST "Transfer-Encoding: chunked\r\n\r\n", "000000000000000000000000000000"),
        900, 2500);
    await_count(LIMIT_REQUEST_S, 4);
    await_count(LIMIT_IDLE_S, 0);
    assert_in_range(trickle(true, POST "Content-Length: 900\r\n\r\n", many), 900, 2500);
    await_count(LIMIT_REQUEST_S, 5);
    assert_in_range(trickle(true, "GET /", many), 2500, 5000); /* idle_s for the first line */
    await_count(LIMIT_IDLE_S, 1);
}

/* The time of the first request begins with the connection, not with its first line. */
static void test_time_in_all(void **state)
{
    (void)state;
    int fd = client_connect(&rig);
    int64_t begun = clock_mono_us();
    assert_false(client_closed(fd, 700));
    client_write(fd, LINE);
    assert_true(client_closed(fd, 3000));
    assert_in_range((clock_mono_us() - begun) / 1000, 900, 1600);
    close(fd);
    await_count(LIMIT_REQUEST_S, 1);
}

static void test_idle(void **state)
{
    (void)state;
    /* On a connection that has already served, each request has its own time. */
    int fd = client_connect(&rig);
    for (int i = 0; i < 3; i++) {
        struct reply reply;
        assert_false(client_closed(fd, 600));
        client_write(fd, HEALTH);
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    int64_t begun = clock_mono_us();
    assert_true(client_closed(fd, 6000));
    assert_in_range((clock_mono_us() - begun) / 1000, 2500, 5000);
    close(fd);
    await_count(LIMIT_IDLE_S, 1);
    await_count(LIMIT_REQUEST_S, 0);
}

/* A client that does not read its answer, which is more than the sockets hold; and nobody else
 * waits for that. */
static void test_slow_reader(void **state)
{
    struct reply reply;
    (void)state;
    int fd = client_connect(&rig);
    int64_t begun = clock_mono_us();
    client_write(fd, BIG);
    for (int i = 0; i < 20; i++) {
        reply = rig_ask(&rig, "GET", "/healthz", "", "");
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    assert_in_range(clock_mono_us() - begun, 0, 2500000);
    await_count(LIMIT_IDLE_S, 1);
    assert_in_range((clock_mono_us() - begun) / 1000, 2900, 5000);
    assert_true(client_closed(fd, 5000));
    close(fd);
    fd = client_connect(&rig); /* and whoever reads gets it all */
    client_write(fd, BIG);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.body_len, 32 << 20);
    reply_clear(&reply);
    close(fd);
}

/* ---- Requests under way ---- */

static void test_requests(void **state)
{
    int fds[3];
    struct reply reply;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = client_connect(&rig);
        client_write(fds[i], NEVER);
    }
    late_await(&late.never, 3);
    int fd = client_connect(&rig);
    for (unsigned i = 1; i < 4; i++) {
        client_write(fd, ECHO);
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, 429);
        assert_non_null(strstr(reply_text(&reply, "late", NULL), "limits.requests_per_principal"));
        assert_null(reply_header(&reply, "Retry-After"));
        reply_clear(&reply);
        await_count(LIMIT_REQUESTS_PER_PRINCIPAL, i);
    }
    client_write(fd, HEALTH); /* open to everybody, and nobody's */
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    close(fds[1]); /* one that left has nothing under way any more */
    late_await(&late.gone, 1);
    for (unsigned i = 0; i < 10; i++) {
        client_write(fd, ECHO);
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    /* An answer that nobody reads is under way. */
    fds[1] = client_connect(&rig);
    client_write(fds[1], BIG);
    char byte;
    assert_int_equal(recv(fds[1], &byte, 1, MSG_PEEK), 1);
    client_write(fd, ECHO);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 429);
    reply_clear(&reply);
    for (size_t i = 0; i < 3; i++)
        close(fds[i]);
    close(fd);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup_small, late_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_body_limit),   CASE(test_chunked_limit), CASE(test_head_limit),
        CASE(test_token_limit),  CASE(test_huge),          CASE(test_expect_continue),
        CASE(test_slow_senders), CASE(test_time_in_all),   CASE(test_idle),
        CASE(test_slow_reader),  CASE(test_requests),
    };
    return cmocka_run_group_tests_name("http limits", tests, NULL, NULL);
}

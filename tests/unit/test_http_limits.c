/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP server's limits: sizes of heads and bodies, and the time that a request may take. */
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
#include "http_late.h"

/* ---- Bodies and their limits ---- */

static void small(struct conf_limits *limits)
{
    limits->body_bytes = 1000;
    limits->header_bytes = 2000;
    limits->request_s = 1;
    limits->idle_s = 3;
}

static int setup_small(void **state)
{
    (void)state;
    late_start(small);
    return 0;
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
    send_chunks(fd, 12);
    client_write(fd, "0\r\n\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 413);
    assert_true(client_closed(fd, 5000));
    reply_clear(&reply);
    close(fd);
    fd = client_connect(&rig);
    send_chunks(fd, 1000); /* no end: it is not read to its end */
    assert_true(client_closed(fd, 800));
    close(fd);
    fd = client_connect(&rig);
    client_write(fd, POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 400);
    reply_clear(&reply);
    close(fd);
}

static void test_head_limit(void **state)
{
    char text[20000];
    struct reply reply;
    (void)state;
    int len = snprintf(text, sizeof text, LINE HOST "X: ");
    memset(text + len, 'x', 2100);
    strcpy(text + len + 2100, "\r\n\r\n");
    int fd = client_connect(&rig);
    client_write(fd, text);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 431);
    assert_string_equal(reply_text(&reply, "error", "code"), "too-large");
    reply_clear(&reply);
    close(fd);

    len = snprintf(text, sizeof text, "GET /");
    memset(text + len, 'x', 1100);
    strcpy(text + len + 1100, " HTTP/1.1\r\n" HOST "\r\n");
    fd = client_connect(&rig);
    client_write(fd, text);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 414);
    reply_clear(&reply);
    close(fd);

    len = snprintf(text, sizeof text, LINE HOST);
    for (int i = 0; i < 150; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "X: 1\r\n");
    strcpy(text + len, "\r\n");
    fd = client_connect(&rig);
    client_write(fd, text);
    assert_true(client_read(fd, &reply, false));
    assert_int_equal(reply.status, 431);
    reply_clear(&reply);
    close(fd);
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
    assert_in_range(trickle(true, POST "Content-Length: 900\r\n\r\n", many), 900, 2500);
    assert_in_range(trickle(true, "GET /", many), 2500, 5000); /* idle_s for the first line */
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
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup_small, late_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_body_limit),      CASE(test_chunked_limit), CASE(test_head_limit),
        CASE(test_expect_continue), CASE(test_slow_senders),
    };
    return cmocka_run_group_tests_name("http limits", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guards from a raw socket: what libmicrohttpd lets through and we must not. Each row is sent
 * with a good request behind it, which must not be answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "http/guard.h"
#include "http_late.h"

/* Sends bytes, and then a whole good request; true when the first was refused with this status and
 * the connection closed without an answer to the second. */
static int status_of(const char *bytes, size_t len)
{
    struct reply reply;
    int fd = client_connect(&rig);
    client_send(fd, bytes, len);
    client_write(fd, HEALTH);
    client_read(fd, &reply, false);
    int status = reply.status;
    bool close_said = status == 0 || reply_header_count(&reply, "Connection") == 1;
    bool closed = client_closed(fd, 5000);
    reply_clear(&reply);
    close(fd);
    if (!close_said || !closed)
        fail_msg("connection kept open after %d for: %.60s", status, bytes);
    return status;
}

static const struct {
    const char *bytes;
    size_t len;
    int status;
} rows[] = {
#define ROW(status, text)                                                                          \
    {                                                                                              \
        text, sizeof text - 1, status                                                              \
    }
    /* Two lengths, equal or not; a length and an encoding. */
    ROW(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ROW(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ROW(400, POST "Content-Length: 5, 5\r\n\r\nhello"),
    ROW(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ROW(400, POST "Content-Length: +5\r\n\r\nhello"),
    ROW(400, POST "Content-Length: -1\r\n\r\nhello"),
    ROW(400, POST "Content-Length: 0x5\r\n\r\nhello"),
    ROW(400, POST "Content-Length:\r\n\r\nhello"),
    /* Blanks before the colon. */
    ROW(400, POST "Content-Length : 5\r\n\r\nhello"),
    ROW(400, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ROW(400, LINE HOST "X\t: 1\r\n\r\n"),
    /* Encodings that are not exactly chunked. */
    ROW(400, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: identity\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ROW(400, "POST /late/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* A bare CR; control characters. */
    ROW(400, LINE HOST "X: a\rb\r\n\r\n"),
    ROW(400, LINE HOST "X: a\x01"
                       "b\r\n\r\n"),
    ROW(400, LINE HOST "X: a\x7f"
                       "b\r\n\r\n"),
    /* Hosts: two, none, malformed. */
    ROW(400, LINE HOST "Host: localhost\r\n\r\n"),
    ROW(400, LINE "\r\n"),
    ROW(400, LINE "Host: local host\r\n\r\n"),
    ROW(400, LINE "Host: localhost/x\r\n\r\n"),
    /* Targets that are no path. */
    ROW(400, "GET http://localhost/healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "CONNECT /healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /health z HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz#x HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /\\healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /%zz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /% HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz?a=%00 HTTP/1.1\r\n" HOST "\r\n"),
    /* Raw NULs. */
    ROW(400, "GET /healthz\0x HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz\0 HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, LINE "Host: localhost\0evil\r\n\r\n"),
    ROW(400, LINE HOST "X\0Y: 1\r\n\r\n"),
    ROW(400, LINE HOST "X: 1\0\r\n\r\n"),
    /* obs-fold, in any header and by any blank; bare LF. */
    ROW(400, LINE HOST "X: a\r\n b\r\n\r\n"),
    ROW(400, LINE HOST "X: a\r\n\tb\r\n\r\n"),
    ROW(400, LINE "Host: local\r\n host\r\n\r\n"),
    ROW(400, LINE HOST "X:a\n b\r\n\r\n"),
    ROW(400, POST "C:5\r\n ontent-Length: 5\r\n\r\nhello"),
    ROW(400, LINE "Host: localhost\n\r\n"),
    ROW(400, "GET /healthz HTTP/1.1\n" HOST "\r\n"),
    ROW(400, LINE HOST "X: 1\nY: 2\r\n\r\n"),
    ROW(400, LINE HOST "\n"),
    ROW(400, LINE "Host:localhost\n\n"),
    ROW(400, "GET  /healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz  HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz HTTP/1.1 \r\n" HOST "\r\n"),
    /* Versions and methods. */
    ROW(400, "GET /healthz HTTP/1.9\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz HTTP/1.10\r\n" HOST "\r\n"),
    ROW(400, "GET /healthz http/1.1\r\n" HOST "\r\n"),
    ROW(505, "GET /healthz HTTP/2.0\r\n" HOST "\r\n"),
    ROW(400, "get /healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, "G@T /healthz HTTP/1.1\r\n" HOST "\r\n"),
    ROW(400, LINE HOST "no colon here\r\n\r\n"),
    ROW(400, LINE HOST ": empty\r\n\r\n"),
    /* Foreign names for a loopback listener. */
    ROW(421, LINE "Host: evil.example\r\n\r\n"),
    ROW(421, LINE "Host: 127.0.0.1.evil.example\r\n\r\n"),
    ROW(421, LINE "Host: localhost.evil.example:8623\r\n\r\n"),
    ROW(421, LINE "Host: 10.0.0.1\r\n\r\n"),
    ROW(421, LINE "Host: 127.0.0.256\r\n\r\n"),
    ROW(421, LINE "Host: [::2]\r\n\r\n"),
    ROW(421, LINE "Host:\r\n\r\n"),
    ROW(403, LINE HOST "Origin: http://evil.example\r\n\r\n"),
    ROW(403, LINE HOST "Origin: null\r\n\r\n"),
#undef ROW
};

static void test_guards(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = status_of(rows[i].bytes, rows[i].len);
        if (status == 0 && strncmp(MHD_get_version(), "0.", 2) != 0)
            continue; /* from 1.0 on, libmicrohttpd closes by itself on some of them */
        if (status != rows[i].status)
            fail_msg("%d, not %d, for: %s", status, rows[i].status, rows[i].bytes);
    }
}

/* http_basic: a browser sends a password that it knows along, whoever's page asks it to. */
static void test_same_origin(void **state)
{
    static const struct {
        const char *host, *origin;
        int result;
    } cases[] = {
        {"nmid.example:8623", "http://nmid.example:8623", 0},
        {"nmid.example:8623", "https://NMID.example:8623", 0},
        {"nmid.example:8623", "http://nmid.example", -1},
        {"nmid.example:8623", "http://evil.example", -1},
        {"nmid.example:8623", "http://nmid.example:8623.evil.example", -1},
        {"nmid.example:8623", "nmid.example:8623", -1},
        {"nmid.example:8623", "null", -1},
        {"nmid.example:8623", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct guard_field fields[] = {
            {"Host", cases[i].host, 4, strlen(cases[i].host)},
            {"Origin", cases[i].origin, 6, strlen(cases[i].origin)},
        };
        struct guard_head head = {.method = "POST",
                                  .target = "/agent/v1/nodes/n/probe",
                                  .version = "HTTP/1.1",
                                  .fields = fields,
                                  .count = 2,
                                  .same_origin = true,
                                  .own_address = "192.0.2.1"};
        struct guard_body body;
        unsigned status = 0;
        struct fault fault = {0};
        int result = guard_check(&head, &body, &status, &fault);
        if (result != cases[i].result || (result < 0 && status != 403))
            fail_msg("%d, status %u for Origin: %s", result, status, cases[i].origin);
        head.same_origin = false; /* Keystone's token is no browser's to add */
        assert_int_equal(guard_check(&head, &body, &status, NULL), 0);
    }
}

static void test_good_heads(void **state)
{
    static const char *const hosts[] = {"localhost",      "LOCALHOST:1", "127.0.0.1",
                                        "127.1.2.3:8623", "[::1]",       "[::1]:8623"};
    static const char *const more[] = {"X:1\r\n",
                                       "X:   1  \r\n",
                                       "X:\t1\r\n",
                                       "X:\r\n",
                                       "X: \r\n",
                                       "X: \xc3\xa4\r\n",
                                       "Cookie: a=1; b=2\r\n",
                                       "Origin: http://localhost:8080\r\n",
                                       "Origin: https://[::1]\r\n",
                                       "Connection: keep-alive\r\n"};
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(text, sizeof text, "Host: %s\r\n", hosts[i]);
        struct reply reply;
        int fd = client_connect(&rig);
        client_write(fd, LINE);
        client_write(fd, text);
        client_write(fd, "\r\n");
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
        close(fd);
    }
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        struct reply reply = rig_ask(&rig, "GET", "/healthz", more[i], "");
        if (reply.status != 200)
            fail_msg("%d for %s", reply.status, more[i]);
        reply_clear(&reply);
    }
}

/* A large head that comes in pieces, twice on one connection. */
static void test_large_head(void **state)
{
    char value[5001];
    struct reply reply;
    (void)state;
    memset(value, 'x', sizeof value);
    value[5000] = '\0';
    int fd = client_connect(&rig);
    for (int round = 0; round < 2; round++) {
        client_write(fd, LINE HOST "A: ");
        client_write(fd, value);
        client_write(fd, "\r\nB: ");
        client_write(fd, value);
        client_write(fd, "\r\nC: 1\r");
        assert_false(client_closed(fd, 20)); /* its own segment */
        client_write(fd, "\n\r\n");
        assert_true(client_read(fd, &reply, false));
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    close(fd);
}

static void test_odd_paths(void **state)
{
    static const char *const paths[] = {
        "//healthz",   "/../healthz",    "/healthz/", "/healthz/..", "/%68ealthz", "/healthz%00",
        "/healthz%2f", "/late/%61nswer", "/HEALTHZ",  "/healthz;x",  "/x"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct reply reply = rig_ask(&rig, "GET", paths[i], "", "");
        if (reply.status != 404)
            fail_msg("%d for %s", reply.status, paths[i]);
        reply_clear(&reply);
    }
}

static void test_methods(void **state)
{
    (void)state;
    struct reply reply = rig_ask(&rig, "FOO", "/healthz", "", "");
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD");
    assert_string_equal(reply_text(&reply, "error", "code"), "method-not-allowed");
    reply_clear(&reply);
    reply = rig_ask(&rig, "POST", "/late/answer", "", "");
    assert_int_equal(reply.status, 405);
    assert_non_null(reply_text(&reply, "late", NULL)); /* in that contract's words */
    reply_clear(&reply);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, late_setup, late_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_guards),    CASE(test_good_heads), CASE(test_large_head),
        CASE(test_odd_paths), CASE(test_methods),    cmocka_unit_test(test_same_origin),
    };
    return cmocka_run_group_tests_name("http guards", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTTP client against a receiver on a real socket that misbehaves as its paths say. The name
 * look-up is this file's own getaddrinfo(), which can be made to hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "loop/client.h"

#define PATIENCE_US 20000000

/* ---- Names ---- */

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t names_change = PTHREAD_COND_INITIALIZER;
static bool names_hang;
static unsigned names_asked, names_over;

/* libcurl's: "slow.test" waits until names_hang is false, and is then unknown; all else is
 * 127.0.0.1. */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(node, "slow.test") != 0)
        return real("127.0.0.1", service, hints, ret_list);
    pthread_mutex_lock(&names_lock);
    names_asked++;
    while (names_hang)
        pthread_cond_wait(&names_change, &names_lock);
    names_over++;
    pthread_cond_broadcast(&names_change);
    pthread_mutex_unlock(&names_lock);
    return EAI_NONAME;
}

/* ---- The receiver: one thread, one connection after the other, one request each ---- */

struct receiver {
    pthread_t thread;
    int fd;
    unsigned port;
    atomic_bool stop;
    atomic_uint requests;
    char last[16384]; /* the last request; read it when its call is over */
    int held[16];     /* connections that are left open without an answer */
    size_t held_count;
};

static struct receiver receiver;

static bool put(int fd, const char *text)
{
    size_t len = strlen(text);
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Until the other side has had enough. */
static void flood(int fd, const char *piece)
{
    while (put(fd, piece))
        ;
}

static bool read_request(int fd)
{
    size_t len = 0, want = 0;
    char *end = NULL;
    while (end == NULL || len < want) {
        ssize_t n = recv(fd, receiver.last + len, sizeof receiver.last - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        receiver.last[len] = '\0';
        if (end == NULL && (end = strstr(receiver.last, "\r\n\r\n")) != NULL) {
            const char *length = strcasestr(receiver.last, "\r\nContent-Length: ");
            want = (size_t)(end + 4 - receiver.last) +
                   (length == NULL ? 0 : strtoul(length + 18, NULL, 10));
        }
    }
    return true;
}

/* True when the connection is to stay open. */
static bool serve(int fd)
{
    static const char piece[] =
        "X-Filler: 0123456789012345678901234567890123456789012345678901\r\n";
    char path[64] = "";
    sscanf(receiver.last, "%*s /%63s", path);
    if (strcmp(path, "hang") == 0)
        return true;
    if (strcmp(path, "half") == 0) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        return true;
    }
    if (strcmp(path, "cut") == 0)
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    if (strcmp(path, "redirect") == 0)
        put(fd, "HTTP/1.1 302 Found\r\nLocation: /200\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n");
    if (strcmp(path, "junk") == 0)
        put(fd, "SSH-2.0-nothing\r\n\r\n");
    if (strcmp(path, "kept") == 0)
        put(fd, "HTTP/1.1 201 Created\r\nX-Wanted-Not: x\r\nx-WANTED:  the value \t\r\n"
                "X-Wanted: a second\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    if (strcmp(path, "early") == 0)
        put(fd, "HTTP/1.1 103 Early Hints\r\nX-Wanted: early\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (strcmp(path, "headers") == 0 && put(fd, "HTTP/1.1 200 OK\r\n"))
        flood(fd, piece);
    if (strcmp(path, "interim") == 0)
        flood(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    if (strcmp(path, "body") == 0 && put(fd, "HTTP/1.1 200 OK\r\n\r\n"))
        flood(fd, piece);
    if (strtoul(path, NULL, 10) > 0) {
        char answer[128];
        snprintf(answer, sizeof answer, "HTTP/1.1 %.3s Why\r\n%sConnection: close\r\n\r\n%s", path,
                 strcmp(path, "204") == 0 ? "" : "Content-Length: 2\r\n",
                 strcmp(path, "204") == 0 ? "" : "ok");
        put(fd, answer);
    }
    return false;
}

static void *receive(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(receiver.fd, NULL, NULL);
        if (fd < 0 || receiver.stop) {
            close(fd);
            return NULL;
        }
        if (read_request(fd)) {
            receiver.requests++;
            if (serve(fd) && receiver.held_count < 16) {
                receiver.held[receiver.held_count++] = fd;
                continue;
            }
        }
        shutdown(fd, SHUT_WR); /* no RST that would overtake the answer */
        for (char drop[4096]; recv(fd, drop, sizeof drop, 0) > 0;)
            ;
        close(fd);
    }
}

static void receiver_connect(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)receiver.port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
}

static void receiver_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    memset(&receiver, 0, sizeof receiver);
    receiver.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(bind(receiver.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(receiver.fd, 64), 0);
    assert_int_equal(getsockname(receiver.fd, (struct sockaddr *)&address, &len), 0);
    receiver.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

static void receiver_stop(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    receiver.stop = true;
    receiver_connect(fd);
    pthread_join(receiver.thread, NULL);
    close(fd);
    close(receiver.fd);
    for (size_t i = 0; i < receiver.held_count; i++)
        close(receiver.held[i]);
}

/* ---- The rig ---- */

struct answer {
    unsigned times, status;
    char why[256];
    struct client_call *cancel; /* in done */
};

struct rig {
    struct loop *loop;
    struct client *client;
    struct loop_timer *patience, *tick;
    int64_t longest, ticked; /* between two ticks: what blocked the loop */
    unsigned awaited, answers;
    bool in_vain;
};

static struct rig rig;

static void on_patience(void *arg)
{
    (void)arg;
    rig.in_vain = true;
    loop_stop(rig.loop);
}

static void on_tick(void *arg)
{
    int64_t now = clock_mono_us();
    (void)arg;
    if (rig.ticked != 0 && now - rig.ticked > rig.longest)
        rig.longest = now - rig.ticked;
    rig.ticked = now;
    loop_timer_set(rig.tick, now + 5000);
}

static int setup(void **state)
{
    (void)state;
    receiver_start();
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_new(NULL);
    rig.client = client_new(rig.loop, NULL);
    rig.patience = loop_timer_new(rig.loop, on_patience, NULL, NULL);
    rig.tick = loop_timer_new(rig.loop, on_tick, NULL, NULL);
    assert_non_null(rig.client);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_free(rig.client);
    loop_timer_free(rig.patience);
    loop_timer_free(rig.tick);
    loop_free(rig.loop);
    receiver_stop();
    return 0;
}

static void on_done(void *arg, const struct client_answer *got)
{
    struct answer *answer = arg;
    answer->times++;
    answer->status = got->status;
    assert_int_equal(got->why == NULL, got->status != 0);
    if (got->why != NULL)
        snprintf(answer->why, sizeof answer->why, "%s", got->why);
    client_cancel(answer->cancel);
    if (++rig.answers == rig.awaited)
        loop_stop(rig.loop);
}

static struct client_call *start(struct answer *answer, const char *host, const char *path,
                                 unsigned timeout_ms)
{
    static const struct client_header headers[] = {{"X-One", "1"}, {"X-Empty", ""}};
    char url[256];
    struct fault fault = {0};
    snprintf(url, sizeof url, "http://%s:%u/%s", host, receiver.port, path);
    struct client_request request = {.method = "POST",
                                     .url = url,
                                     .headers = headers,
                                     .header_count = 2,
                                     .body = "{\"a\":1}",
                                     .body_len = 7,
                                     .timeout_ms = timeout_ms};
    struct client_call *call = client_start(rig.client, &request, on_done, answer, &fault);
    if (call == NULL)
        fail_msg("%s", fault.message);
    memset(url, 'x', sizeof url - 1); /* it was copied */
    assert_int_equal(answer->times, 0);
    return call;
}

/* Runs until so many more answers have come. */
static void await(unsigned answers)
{
    rig.awaited = rig.answers + answers;
    rig.longest = rig.ticked = 0;
    loop_timer_set(rig.patience, clock_mono_us() + PATIENCE_US);
    on_tick(NULL);
    loop_run(rig.loop);
    if (rig.in_vain)
        fail_msg("waited in vain");
}

static struct answer ask(const char *path, unsigned timeout_ms)
{
    struct answer answer = {0};
    start(&answer, "127.0.0.1", path, timeout_ms);
    await(1);
    assert_int_equal(answer.times, 1);
    return answer;
}

/* ---- What is kept of an answer ---- */

struct kept {
    unsigned status;
    char body[64], wanted[64];
    bool cut, has_wanted;
};

static void on_kept(void *arg, const struct client_answer *answer)
{
    struct kept *kept = arg;
    kept->status = answer->status;
    assert_int_equal(strlen(answer->body), answer->body_len);
    snprintf(kept->body, sizeof kept->body, "%.60s", answer->body);
    kept->cut = answer->cut;
    kept->has_wanted = answer->wanted != NULL;
    snprintf(kept->wanted, sizeof kept->wanted, "%s", kept->has_wanted ? answer->wanted : "");
    if (++rig.answers == rig.awaited)
        loop_stop(rig.loop);
}

static struct kept get(const char *path, struct client_request request)
{
    struct kept kept = {0};
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/%s", receiver.port, path);
    request.method = "GET";
    request.url = url;
    request.timeout_ms = 10000;
    assert_non_null(client_start(rig.client, &request, on_kept, &kept, NULL));
    await(1);
    return kept;
}

static void test_kept(void **state)
{
    (void)state;
    struct kept kept = get("kept", (struct client_request){.body_max = 5, .want = "X-Wanted"});
    assert_int_equal(kept.status, 201);
    assert_string_equal(kept.body, "hello");
    assert_false(kept.cut);
    assert_string_equal(kept.wanted, "the value");
    assert_true(strncmp(receiver.last, "GET /kept HTTP/1.1\r\n", 20) == 0);
    assert_null(strcasestr(receiver.last, "Content-Length"));
    assert_null(strcasestr(receiver.last, "Authorization"));
    kept = get("kept", (struct client_request){.body_max = 4, .want = "X-Wante"});
    assert_int_equal(kept.status, 201);
    assert_true(kept.cut);
    assert_false(kept.has_wanted);
    kept = get("kept", (struct client_request){.body_max = 0});
    assert_string_equal(kept.body, "");
    assert_false(kept.cut || kept.has_wanted);
    kept = get("early", (struct client_request){.want = "X-Wanted"});
    assert_int_equal(kept.status, 200);
    assert_false(kept.has_wanted);
    kept = get("body", (struct client_request){.body_max = 100000});
    assert_true(kept.status == 200 && kept.cut);
    kept = get("cut", (struct client_request){.body_max = 100000});
    assert_int_equal(kept.status, 0); /* a piece is not taken for the whole */
}

static void test_basic(void **state)
{
    (void)state;
    get("200", (struct client_request){.user = "alice", .password = "a:b c"});
    assert_non_null(strstr(receiver.last, "\r\nAuthorization: Basic YWxpY2U6YTpiIGM=\r\n"));
    get("200", (struct client_request){0});
    assert_null(strcasestr(receiver.last, "Authorization"));
}

/* ---- Tests ---- */

static void test_request(void **state)
{
    (void)state;
    assert_int_equal(ask("200", 5000).status, 200);
    assert_ptr_equal(strstr(receiver.last, "POST /200 HTTP/1.1\r\nHost: 127.0.0.1:"),
                     receiver.last);
    assert_non_null(strstr(receiver.last, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(receiver.last, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(receiver.last, "\r\nContent-Length: 7\r\n"));
    assert_null(strcasestr(receiver.last, "\r\nExpect:"));
    assert_string_equal(strstr(receiver.last, "\r\n\r\n") + 4, "{\"a\":1}");
    assert_int_equal(receiver.requests, 1);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } rows[] = {{"201", 201}, {"204", 204}, {"400", 400}, {"401", 401},
                {"410", 410}, {"500", 500}, {"503", 503}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ask(rows[i].path, 5000).status, rows[i].status);
}

static void test_redirect(void **state)
{
    (void)state;
    assert_int_equal(ask("redirect", 5000).status, 302);
    assert_int_equal(receiver.requests, 1);
}

static void test_no_whole_answer(void **state)
{
    (void)state;
    static const char *const paths[] = {"close", "cut", "junk", "headers", "interim"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct answer answer = ask(paths[i], 10000);
        if (answer.status != 0)
            fail_msg("%s: %u", paths[i], answer.status);
        assert_true(answer.why[0] != '\0');
    }
    assert_non_null(strstr(ask("headers", 10000).why, "more than 65536 bytes of headers"));
}

static void test_timeout(void **state)
{
    (void)state;
    static const char *const paths[] = {"hang", "half"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int64_t start_us = clock_mono_us();
        struct answer answer = ask(paths[i], 300);
        assert_int_equal(answer.status, 0);
        assert_non_null(strstr(answer.why, "timed out"));
        assert_true(clock_mono_us() - start_us >= 290000);
    }
}

/* What says 200 and then talks without an end has taken it. */
static void test_long_body(void **state)
{
    (void)state;
    assert_int_equal(ask("body", 10000).status, 200);
}

static void test_not_reached(void **state)
{
    struct answer answer = {0};
    (void)state;
    start(&answer, "127.0.0.1:1/x?", "", 5000); /* nobody listens on port 1 */
    await(1);
    assert_int_equal(answer.status, 0);
    assert_true(answer.why[0] != '\0');
}

static void test_no_proxy(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    assert_int_equal(ask("200", 5000).status, 200);
    assert_true(strncmp(receiver.last, "POST /200 ", 10) == 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void test_other_schemes(void **state)
{
    static const char *const urls[] = {"file:///etc/hostname", "ftp://127.0.0.1/x",
                                       "gopher://127.0.0.1/", "unix:///x"};
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct answer answer = {0};
        struct client_request request = {
            .method = "POST", .url = urls[i], .body = "", .timeout_ms = 5000};
        if (client_start(rig.client, &request, on_done, &answer, NULL) == NULL)
            continue;
        await(1);
        assert_int_equal(answer.status, 0);
    }
}

static void test_cancel(void **state)
{
    struct answer first = {0}, second = {0}, third = {0};
    (void)state;
    struct client_call *call = start(&first, "127.0.0.1", "hang", 5000);
    client_cancel(call); /* before it began */
    client_cancel(NULL);
    second.cancel = start(&third, "127.0.0.1", "hang", 5000);
    start(&second, "127.0.0.1", "200", 5000);
    await(1); /* its done cancels the other */
    assert_int_equal(second.status, 200);
    assert_int_equal(first.times + third.times, 0);
    start(&third, "127.0.0.1", "hang", 5000); /* left for client_free() */
    ask("200", 5000);
    assert_int_equal(third.times, 0);
}

static void test_many(void **state)
{
    struct answer answers[40];
    (void)state;
    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < 40; i++)
        start(&answers[i], "127.0.0.1", i % 2 == 0 ? "200" : "503", 10000);
    await(40);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(answers[i].times, 1);
        assert_int_equal(answers[i].status, i % 2 == 0 ? 200 : 503);
    }
    assert_int_equal(receiver.requests, 40);
}

/* A look-up that hangs holds up neither the loop nor another call, and its call ends in time, long
 * before the look-up does. */
static void test_slow_name(void **state)
{
    struct answer slow = {0}, quick = {0};
    (void)state;
    names_hang = true;
    names_asked = names_over = 0;
    start(&slow, "slow.test", "200", 400);
    start(&quick, "quick.test", "200", 5000);
    await(1);
    assert_int_equal(quick.status, 200);
    assert_int_equal(slow.times, 0);
    assert_true(rig.longest < 200000);
    await(1);
    assert_int_equal(slow.status, 0);
    assert_true(rig.longest < 200000);
    slow.times = 0;
    struct client_call *call = start(&slow, "slow.test", "200", 5000);
    assert_int_equal(ask("200", 5000).status, 200); /* the second look-up hangs meanwhile */
    int64_t before = clock_mono_us();
    client_cancel(call);
    assert_true(clock_mono_us() - before < 200000);
    pthread_mutex_lock(&names_lock);
    assert_int_equal(names_over, 0);
    names_hang = false;
    pthread_cond_broadcast(&names_change);
    while (names_over < names_asked)
        pthread_cond_wait(&names_change, &names_lock);
    pthread_mutex_unlock(&names_lock);
    assert_true(names_asked >= 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_request),         CASE(test_statuses), CASE(test_redirect),
        CASE(test_no_whole_answer), CASE(test_timeout),  CASE(test_long_body),
        CASE(test_not_reached),     CASE(test_no_proxy), CASE(test_other_schemes),
        CASE(test_cancel),          CASE(test_many),     CASE(test_slow_name),
        CASE(test_kept),            CASE(test_basic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http_late.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

struct rig rig;
struct late late;

static void on_timer(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < late.count; i++) {
        if (late.exchange[i] != NULL)
            http_answer(late.exchange[i], 200, json_pack("{s:i}", "late", (int)i));
    }
    late.count = 0;
}

static void on_gone(void *arg)
{
    struct http_exchange **exchange = arg;
    if (exchange != NULL)
        *exchange = NULL;
    __atomic_add_fetch(&late.gone, 1, __ATOMIC_SEQ_CST);
}

static void on_answer(void *self, struct http_exchange *exchange)
{
    unsigned place = late.count;
    (void)self;
    late.exchange[place] = exchange;
    http_on_gone(exchange, on_gone, &late.exchange[place]);
    __atomic_add_fetch(&late.count, 1, __ATOMIC_SEQ_CST);
    if (late.count < late.wanted)
        return;
    if (late.timer == NULL)
        late.timer = loop_timer_new(rig.loop, on_timer, NULL, NULL);
    loop_timer_set(late.timer, clock_mono_us() + 50000);
}

/* More than the sockets hold: the end of it waits for a client that reads. */
static void on_big(void *self, struct http_exchange *exchange)
{
    const size_t size = 32 << 20;
    char *text = calloc(1, size + 1);
    (void)self;
    memset(text, 'x', size);
    http_answer_text(exchange, 200, "text/plain", text);
    free(text);
}

static void on_never(void *self, struct http_exchange *exchange)
{
    (void)self;
    http_on_gone(exchange, on_gone, NULL);
    __atomic_add_fetch(&late.never, 1, __ATOMIC_SEQ_CST);
}

static void on_echo(void *self, struct http_exchange *exchange)
{
    size_t len = 0, count = 0;
    const struct http_argument *arguments = http_arguments(exchange, &count);
    json_t *query = json_array();
    (void)self;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(query, json_pack("[s, s]", arguments[i].name, arguments[i].value));
    http_body(exchange, &len);
    http_answer(exchange, 200,
                json_pack("{s:s, s:I, s:o, s:s}", "method", http_method(exchange), "length",
                          (json_int_t)len, "query", query, "address", http_address(exchange)));
}

static void on_error(void *self, struct http_exchange *exchange, unsigned status,
                     const struct fault *fault)
{
    (void)self;
    if (status == 0)
        status = (unsigned)fault_row(fault->code)->agent;
    http_answer(exchange, status, json_pack("{s:s}", "late", fault->message));
}

static const struct http_contract contract = {
    .name = "late",
    .prefix = "/late",
    .routes = (const struct http_route[]){{"GET", "/late/answer", on_answer, HTTP_USUAL},
                                          {"POST", "/late/echo", on_echo, HTTP_USUAL},
                                          {"GET", "/late/big", on_big, HTTP_USUAL},
                                          {"GET", "/late/never", on_never, HTTP_USUAL},
                                          {NULL, NULL, NULL, HTTP_USUAL}},
    .error = on_error,
};

void late_start(void (*change)(struct conf_limits *limits))
{
    rig_init(&rig);
    memset(&late, 0, sizeof late);
    rig.extra = &contract;
    if (change != NULL)
        change(&rig.conf.limits);
    rig_start(&rig);
}

static void free_timer(void *arg)
{
    (void)arg;
    loop_timer_free(late.timer);
    late.timer = NULL;
}

void late_stop(void)
{
    rig_call(&rig, free_timer, NULL);
    rig_stop(&rig);
}

int late_setup(void **state)
{
    (void)state;
    late_start(NULL);
    return 0;
}

int late_teardown(void **state)
{
    (void)state;
    late_stop();
    return 0;
}

void late_await(const unsigned *counter, unsigned wanted)
{
    int64_t end = clock_mono_us() + 5000000;
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < wanted) {
        if (clock_mono_us() > end)
            abort();
        poll(NULL, 0, 1);
    }
}

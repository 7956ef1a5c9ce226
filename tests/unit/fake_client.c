/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"

int64_t fake_now, fake_wall;
bool fake_refuse;
unsigned fake_started;
char fake_log[65536];

static struct client_call *calls[FAKE_CALLS]; /* in their order; NULL behind the last */
static size_t call_count;
static unsigned clients;

/* ---- Clocks and the log ---- */

int64_t clock_mono_us(void)
{
    return fake_now;
}

int64_t clock_wall_us(void)
{
    return fake_wall;
}

char *clock_text(int64_t us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "T%lld", (long long)us);
    return text;
}

void log_set_level(enum log_level level)
{
    (void)level;
}

#define DEFINE_LEVEL(name, word)                                                                   \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        size_t len = strlen(fake_log);                                                             \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        len += (size_t)snprintf(fake_log + len, 16, "%s: ", word);                                 \
        len += (size_t)vsnprintf(fake_log + len, 2000, format, args);                              \
        va_end(args);                                                                              \
        assert_true(len < sizeof fake_log - 4096);                                                 \
        strcpy(fake_log + len, "\n");                                                              \
    }

DEFINE_LEVEL(log_error, "error")
DEFINE_LEVEL(log_warning, "warning")
DEFINE_LEVEL(log_info, "info")
DEFINE_LEVEL(log_debug, "debug")

unsigned fake_logged(const char *text)
{
    unsigned count = 0;
    for (const char *at = fake_log; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

void fake_reset(void)
{
    assert_int_equal(call_count, 0);
    assert_int_equal(clients, 0);
    fake_now = FAKE_S;
    fake_wall = FAKE_WALL;
    fake_refuse = false;
    fake_started = 0;
    fake_log[0] = '\0';
}

void fake_pass(int64_t us)
{
    fake_now += us;
    fake_wall += us;
}

/* ---- The client ---- */

struct client *client_new(struct loop *loop, struct fault *fault)
{
    (void)loop, (void)fault;
    clients++;
    return calloc(1, 1);
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    assert_int_equal(call_count, 0); /* whoever asked has cancelled */
    clients--;
    free(client);
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault)
{
    assert_non_null(client);
    if (fake_refuse) {
        fault_set(fault, FAULT_SYSTEM, "libcurl: no room");
        return NULL;
    }
    assert_true(call_count < FAKE_CALLS);
    struct client_call *call = calloc(1, sizeof *call);
    snprintf(call->method, sizeof call->method, "%s", request->method);
    snprintf(call->url, sizeof call->url, "%s", request->url);
    for (size_t i = 0, len = 0; i < request->header_count; i++)
        len += (size_t)snprintf(call->headers + len, sizeof call->headers - len, "%s: %s\n",
                                request->headers[i].name, request->headers[i].value);
    snprintf(call->body, sizeof call->body, "%.*s", (int)request->body_len,
             request->body_len > 0 ? (const char *)request->body : "");
    snprintf(call->ca_file, sizeof call->ca_file, "%s",
             request->ca_file != NULL ? request->ca_file : "");
    snprintf(call->want, sizeof call->want, "%s", request->want != NULL ? request->want : "");
    call->timeout_ms = request->timeout_ms;
    call->body_max = request->body_max;
    call->done = done;
    call->arg = arg;
    call->slot = call_count;
    calls[call_count++] = call;
    fake_started++;
    return call;
}

static void call_unlink(struct client_call *call)
{
    assert_ptr_equal(calls[call->slot], call);
    for (size_t i = call->slot; i + 1 < call_count; i++) {
        calls[i] = calls[i + 1];
        calls[i]->slot = i;
    }
    calls[--call_count] = NULL;
}

void client_cancel(struct client_call *call)
{
    if (call == NULL)
        return;
    call_unlink(call);
    free(call);
}

/* ---- For the test ---- */

struct client_call *fake_call(size_t n)
{
    return n < call_count ? calls[n] : NULL;
}

size_t fake_count(void)
{
    return call_count;
}

const char *fake_header(const struct client_call *call, const char *name)
{
    static char value[10000];
    size_t len = strlen(name);
    for (const char *line = call->headers; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0) {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + len + 2, "\n"),
                     line + len + 2);
            return value;
        }
    }
    return NULL;
}

static void give(struct client_call *call, const struct client_answer *answer)
{
    call_unlink(call);
    call->done(call->arg, answer);
    free(call);
}

void fake_answer(struct client_call *call, unsigned status, const char *wanted, const char *body)
{
    assert_non_null(call);
    /* Copies of just the right size, for the sanitizers. */
    char *text = strdup(body != NULL ? body : ""), *value = wanted != NULL ? strdup(wanted) : NULL;
    give(call, &(struct client_answer){.status = status,
                                       .why = status == 0 ? "Connection refused" : NULL,
                                       .body = text,
                                       .body_len = strlen(text),
                                       .wanted = value});
    free(text);
    free(value);
}

void fake_answer_cut(struct client_call *call, unsigned status, const char *wanted)
{
    assert_non_null(call);
    give(call, &(struct client_answer){
                   .status = status, .body = "{", .body_len = 1, .cut = true, .wanted = wanted});
}

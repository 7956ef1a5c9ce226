/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing what contracts make of a request: a clean one, to the real server (http_still.h), whose
 * parts are the input's. The first byte picks the call; the first line goes into its path or query,
 * the second into its header, the rest is the body. There must be one well-formed answer, never a
 * 500, and no more machines may be started than the call can name. */
#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "http_shape.h"
#include "http_still.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 32768

static const struct call {
    const char *method, *before, *after, *header;
    unsigned starts; /* at most */
} calls[] = {
    {"POST", "/v2.1/servers/", "/action", "OpenStack-API-Version", 1},
    {"PUT", "/v2.1/servers/n1/action?", "", "X-OpenStack-Nova-API-Version", 1},
    {"GET", "/v2.1/servers?", "", "OpenStack-API-Version", 0},
    {"GET", "/v2.1/servers/detail?", "", "X-OpenStack-Nova-API-Version", 0},
    {"GET", "/v2.1/servers/", "", "OpenStack-API-Version", 0},
    {"PUT", "/v1/nodes/", "/management/inject_nmi", "X-OpenStack-Ironic-API-Version", 1},
    {"PUT", "/v1/nodes/n1/management/inject_nmi?", "", "X-OpenStack-Ironic-API-Version", 1},
    {"GET", "/v1/nodes?", "", "X-OpenStack-Ironic-API-Version", 0},
    {"GET", "/v1/nodes/detail?", "", "X-OpenStack-Ironic-API-Version", 0},
    {"GET", "/v1/nodes/", "", "X-OpenStack-Ironic-API-Version", 0},
    {"GET", "/v1/nodes/n1?", "", "X-OpenStack-Ironic-API-Version", 0},
    {"GET", "/v1/nodes/", "/validate", "X-OpenStack-Ironic-API-Version", 0},
    {"POST", "/agent/v1/nodes/", "/actions", "Idempotency-Key", 1},
    {"POST", "/agent/v1/actions?", "", "Idempotency-Key", STILL_NODES},
    {"GET", "/agent/v1/actions?", "", "Prefer", 0},
    {"GET", "/agent/v1/actions/", "", "X", 0},
    {"GET", "/agent/v1/batches/", "", "X", 0},
    {"GET", "/agent/v1/audit?", "", "X", 0},
    {"GET", "/agent/v1/nodes?", "", "X", 0},
    {"GET", "/agent/v1/nodes/", "", "X", 0},
    {"POST", "/agent/v1/nodes/", "/probe", "Content-Encoding", 0},
    {"PUT", "/agent/v1/nodes/", "/lock", "Content-Language", 0},
    {"DELETE", "/agent/v1/nodes/", "/lock", "X", 0},
    {"PUT", "/agent/v1/nodes/", "/status", "X", 0},
    {"GET", "/metrics?", "", "Accept", 0},
    {"GET", "/?", "", "X-Forwarded-Proto", 0},
    {"GET", "/", "", "X-Auth-Token", 0},
};

static char bytes[ROOM];
static size_t len;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    len += (size_t)vsnprintf(bytes + len, sizeof bytes - len, format, args);
    va_end(args);
    MUST(len < sizeof bytes);
}

/* What no request may have is escaped; a '%' of the input's own stands, when it is one of an
 * escape. */
static void put_target(const uint8_t *text, size_t text_len)
{
    for (size_t i = 0; i < text_len; i++) {
        bool escape =
            text[i] == '%' && i + 2 < text_len && isxdigit(text[i + 1]) && isxdigit(text[i + 2]);
        if (escape || isalnum(text[i]) ||
            (text[i] != '\0' && strchr("/-._~!$&'()*+,;=:@", text[i]) != NULL))
            put("%c", text[i]);
        else
            put("%%%02x", text[i]);
    }
}

static size_t line_len(const uint8_t *text, size_t text_len)
{
    const uint8_t *end = text_len == 0 ? NULL : memchr(text, '\n', text_len);
    return end == NULL ? text_len : (size_t)(end - text);
}

static const struct call *make_request(const uint8_t *data, size_t size)
{
    const struct call *call = &calls[data[0] % (sizeof calls / sizeof calls[0])];
    len = 0;
    data++;
    size--;
    size_t line = line_len(data, size);
    put("%s %s", call->method, call->before);
    put_target(data, line);
    put("%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", call->after);
    data += line + (line < size);
    size -= line + (line < size);
    line = line_len(data, size);
    put("%s: ", call->header);
    for (size_t i = 0; i < line; i++)
        put("%c", data[i] < 0x20 || data[i] == 0x7f ? '?' : data[i]);
    data += line + (line < size);
    size -= line + (line < size);
    put("\r\nContent-Length: %zu\r\n\r\n", size);
    MUST(size < sizeof bytes - len);
    memcpy(bytes + len, data, size);
    len += size;
    return call;
}

/* JSON is JSON; and text has no control character that could be taken for a line's end. */
static void check_body(void)
{
    static const char json[] = "Content-Type: application/json\r\n";
    const char *end = memmem(still.answers, still.answers_len, "\r\n\r\n", 4);
    MUST(end != NULL);
    size_t body_len = still.answers_len - (size_t)(end + 4 - still.answers);
    if (body_len == 0 ||
        memmem(still.answers, (size_t)(end + 2 - still.answers), json, sizeof json - 1) == NULL)
        return;
    json_t *body = json_loadb(end + 4, body_len, JSON_REJECT_DUPLICATES, NULL);
    MUST(body != NULL);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct shape shape;
    static struct shape_answer answers[SHAPE_MAX + 1];
    size_t count = 0;
    if (size < 1 || size > 2048)
        return 0;
    still_start();
    unsigned began = still.starts;
    const struct call *call = make_request(data, size);
    shape_read(bytes, len, &shape);
    MUST(shape.count == 1 && shape.tail == TAIL_NONE);
    still_connect(0);
    still_send(bytes, len);
    MUST(shape_answers(still.answers, still.answers_len, &shape, answers, &count));
    MUST(count == 1 && answers[0].status >= 200 && answers[0].status != 500);
    check_body();
    still_close();
    MUST(still.starts - began <= call->starts);
    return 0;
}

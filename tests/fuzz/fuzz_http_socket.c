/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing HTTP from the socket inward: real connections to the real server (http_still.h). The
 * first byte says which listener ('1': one on loopback, which refuses foreign names) and whether
 * the client leaves without reading ('2'); the second how many bytes go at once ('0' + n: n * 3;
 * '0' itself: all). The rest goes over a connection. What comes back must be what http_shape.c,
 * which reads the same bytes by the RFC, leaves possible; nothing may be left over; the next client
 * must be served. */
#include <stdint.h>
#include <string.h>

#include "http_shape.h"
#include "http_still.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many machines a request may start at most. */
static unsigned orders(const struct shape_request *request)
{
    static const char batch[] = "/agent/v1/actions";
    if (strcmp(request->method, "POST") != 0 && strcmp(request->method, "PUT") != 0)
        return 0;
    if (request->target_len >= sizeof batch - 1 &&
        memcmp(request->target, batch, sizeof batch - 1) == 0)
        return STILL_NODES;
    return 1;
}

static void check_orders(const struct shape *shape, unsigned began)
{
    unsigned most = 0;
    for (size_t i = 0; i < shape->count; i++)
        most += orders(&shape->requests[i]);
    if (shape->tail == TAIL_CHUNK)
        most += orders(&shape->requests[shape->count]);
    MUST(began <= most);
}

static void check_answers(const struct shape *shape)
{
    static struct shape_answer answers[SHAPE_MAX + 1];
    size_t count = 0;
    bool closed = false;
    MUST(shape_answers(still.answers, still.answers_len, shape, answers, &count));
    MUST(count <= shape->count + (shape->tail != TAIL_NONE));
    for (size_t i = 0; i < count; i++) {
        const struct shape_request *request = &shape->requests[i];
        bool tail = i == shape->count, chunk = tail && shape->tail == TAIL_CHUNK;
        MUST(!closed); /* an answer after the last one */
        closed = answers[i].close;
        if (!tail || chunk)
            MUST(closed || !(request->closes || request->chunked));
        if (tail)
            MUST(closed && (chunk || answers[i].status >= 400));
        else if (closed)
            MUST(request->closes || request->chunked || answers[i].status >= 400);
    }
    MUST(!closed || still.ended);
    if (!closed && shape->tail == TAIL_NONE)
        MUST(count == shape->count);
    if (!closed && !still.ended)
        MUST(count == shape->count);
}

/* Libmicrohttpd 0.9.75 takes four bytes with a NUL among them (NUL NUL LF LF, LF NUL CR LF ...) for the
 * end of a head too, and leaves behind what CR LF CR LF leaves: nobody behind it can tell, and so the
 * reading that judges must not (docs/SECURITY.md). */
static bool has_hidden_end(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 4 <= size; i++) {
        size_t ends = 0, nuls = 0;
        for (size_t k = i; k < i + 4; k++) {
            nuls += data[k] == '\0';
            ends += data[k] == '\0' || data[k] == '\r' || data[k] == '\n';
        }
        if (ends == 4 && nuls > 0 && data[i + 3] == '\n')
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct shape shape;
    if (size < 3 || size > 8192 || has_hidden_end(data, size))
        return 0;
    still_start();
    unsigned listener = data[0] & 1, leaves = data[0] & 2, began = still.starts;
    size_t piece = data[1] > '0' ? (size_t)(data[1] - '0') * 3 : size, most = 64;
    const char *bytes = (const char *)data + 2;
    size_t len = size - 2;
    shape_read(bytes, len, &shape);
    still_connect(listener);
    for (size_t at = 0; at < len; at += piece) {
        if (piece > len - at || --most == 0)
            piece = len - at;
        if (leaves && piece == len - at)
            still_throw(bytes + at, piece);
        else
            still_send(bytes + at, piece);
    }
    if (!leaves)
        check_answers(&shape);
    still_close();
    check_orders(&shape, still.starts - began);
    still_check_next(listener);
    return 0;
}

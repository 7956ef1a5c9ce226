/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An independent reading of what goes over an HTTP/1.1 connection, by RFC 9112 alone and as strict
 * as it allows: what a careful proxy before nmid would see. Where nmid sees another number of
 * requests, one of them could be smuggled past the proxy. */
#ifndef NMID_TESTS_HTTP_SHAPE_H
#define NMID_TESTS_HTTP_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#define SHAPE_MAX 256

enum shape_tail {
    TAIL_NONE,  /* the last request is whole, and nothing comes after it */
    TAIL_OPEN,  /* a request that is not whole */
    TAIL_BENT,  /* something that no RFC has: must not be served */
    TAIL_CHUNK, /* a chunked body with lenient line ends: may be served, as the connection's last */
};

struct shape_request {
    bool closes; /* asks that the connection ends, or cannot keep it */
    bool chunked;
    bool head;    /* its answer has no body */
    bool expects; /* 100 Continue may come */
    char method[17];
    const char *target; /* in the bytes: target_len */
    size_t target_len;
};

struct shape {
    struct shape_request requests[SHAPE_MAX + 1]; /* the whole ones, then perhaps the tail */
    size_t count;
    enum shape_tail tail;
};

/* Reads the requests of a connection; stops after one that closes it. */
void shape_read(const char *bytes, size_t len, struct shape *ret_shape);

/* ---- Answers ---- */

struct shape_answer {
    unsigned status;
    bool close; /* says Connection: close */
};

/* Cuts the answers of a connection apart: 100 Continue is skipped. False when one of them is not
 * well-formed, is cut off, or has a body although head[i] says that it must not. */
bool shape_answers(const char *bytes, size_t len, const struct shape *shape,
                   struct shape_answer answers[SHAPE_MAX + 1], size_t *ret_count);

#endif

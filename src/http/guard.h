/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guards: what a request's head must be before anything is done with it (RFC 9112; stricter
 * where leniency has let requests be smuggled). Pure: no sockets, no libmicrohttpd. */
#ifndef NMID_HTTP_GUARD_H
#define NMID_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fault.h"

#define GUARD_FIELDS_MAX 100

struct guard_field {
    const char *name, *value; /* not NUL-terminated */
    size_t name_len, value_len;
};

struct guard_head {
    const char *method, *target, *version;
    const struct guard_field *fields;
    size_t count;
    /* A loopback TCP listener without authentication: a foreign Host or Origin is a browser that was tricked
     * (DNS rebinding, a form on another site). own_address: the listener's, as text. */
    bool refuse_foreign;
    /* http_basic, client_certificate: a browser adds a password or a certificate that it holds by itself,
     * also for a page of another site: its Origin must be the Host that was asked. */
    bool same_origin;
    const char *own_address;
};

/* How the body comes. */
struct guard_body {
    bool chunked;
    uint64_t length; /* 0 when chunked or none */
};

/* 0 and *ret_body, or -1 with a fault and the HTTP status in *ret_status. */
int guard_check(const struct guard_head *head, struct guard_body *ret_body, unsigned *ret_status,
                struct fault *fault);

/* True when a Host value ("name", "name:port", "[v6]:port") is one that a loopback listener
 * answers to. */
bool guard_host_is_ours(const char *value, size_t len, const char *own_address);

#endif

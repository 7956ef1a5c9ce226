/* SPDX-License-Identifier: GPL-3.0-or-later */
/* http and https URLs (RFC 3986), strictly: what two readers could understand differently is
 * refused, so that what was compared with an allow-list is what is asked. Pure. */
#ifndef NMID_BASE_URL_H
#define NMID_BASE_URL_H

#include <stdbool.h>
#include "base/fault.h"

#define URL_TEXT 2049 /* 2048 bytes and a NUL */

struct url {
    char text[URL_TEXT]; /* normalised: scheme and host in lower case, no default port, a path */
    unsigned origin_len; /* of it: "https://host:port", without the slash that follows */
    bool encrypted;      /* https */
};

/* 0, or -1 with FAULT_MALFORMED and what is wrong: no user, no fragment, no control characters, no
 * segments "." and ".." however they are written, at most 2048 bytes. */
int url_parse(const char *text, struct url *ret_url, struct fault *fault);

/* True when the URL has the prefix's scheme, host and port, and a path that is the prefix's or lies
 * below it: "/a" and "/a/" have "/a/b" below them, and not "/ab". */
bool url_below(const struct url *url, const struct url *prefix);

/* True when its host is "localhost", 127.0.0.0/8 or ::1, as text. */
bool url_is_loopback(const struct url *url);

#endif

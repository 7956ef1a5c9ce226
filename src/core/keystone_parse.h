/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Identity API's JSON: the body of a log-in, and what Keystone says of a token. Pure: no
 * socket, no clock. */
#ifndef NMID_CORE_KEYSTONE_PARSE_H
#define NMID_CORE_KEYSTONE_PARSE_H

#include <stdint.h>
#include "base/fault.h"
#include "core/conf_auth.h"

#define KEYSTONE_TOKEN_MAX 8192              /* bytes of a token */
#define KEYSTONE_BODY_MAX  ((size_t)1 << 20) /* bytes of an answer */

/* True when text can be a token: 1 to KEYSTONE_TOKEN_MAX printable ASCII characters, no blank. It
 * goes into a header of its own, so nothing else may ever be sent on. */
bool keystone_is_token(const char *text);

/* What a token may be used for. */
enum keystone_scope {
    KEYSTONE_UNSCOPED, /* for nothing but to get another */
    KEYSTONE_PROJECT,
    KEYSTONE_DOMAIN,
    KEYSTONE_SYSTEM
};

struct keystone_token {
    char *user, *user_id; /* control characters in the name are made '?' */
    enum keystone_scope scope;
    char *project_id; /* NULL unless the scope is a project */
    struct conf_names roles;
    bool access_rules;             /* of an application credential: good for some requests only */
    int64_t issued_at, expires_at; /* wall clock, us */
};

/* Reads {"token": {...}}: 0, or -1 with FAULT_IDENTITY and what is wrong; the message has nothing
 * of the body in it. */
int keystone_parse_token(const char *body, size_t len, struct keystone_token *ret_token,
                         struct fault *fault);
void keystone_token_clear(struct keystone_token *token);

/* Why a valid token has no right here, as a sentence; NULL when it may have. */
const char *keystone_token_useless(const struct keystone_token *token);

/* "2026-11-23T04:53:30.460037Z" as microseconds since 1970; -1 when it is something else. */
int keystone_parse_time(const char *text, int64_t *ret_us);

/* The body of POST /v3/auth/tokens, as the configuration wants to log in; NULL when memory is out.
 * It holds the password. */
struct secret *keystone_login_body(const struct conf_keystone *conf);

#endif

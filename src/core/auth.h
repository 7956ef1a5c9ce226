/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Authentication: from the credentials of a request to the identity of who asks. One `struct auth`
 * for each auth = { ... } of nmid.conf, shared by the listeners that it is for; a method (local,
 * http_basic, keystone) behind each. Secrets are borrowed for the call, compared, and never kept
 * but under a keyed hash. */
#ifndef NMID_CORE_AUTH_H
#define NMID_CORE_AUTH_H

#include <sys/types.h>
#include "core/conf.h"
#include "core/principal.h"
#include "loop/loop.h"

struct attempt;
struct attempts;
struct audit;
struct auth;
struct pool;
struct auth_call; /* one check that waits */

/* What a request brought along; all borrowed for the call of auth_check(). */
struct credentials {
    const char *address;       /* of the client: "127.0.0.1", "unix" ... */
    const char *authorization; /* the header Authorization, or NULL */
    const char *token;         /* the header X-Auth-Token, or NULL */
    const char *subject;       /* of the client's certificate, which was verified; or NULL */
    bool local;                /* a UNIX socket, and the kernel says who is at its other end: */
    uid_t uid;
    const gid_t *gids; /* its groups, the effective one among them */
    size_t gid_count;
    const char *contract, *method, *path; /* for the audit of a refusal */
    struct attempt *attempt; /* auth_check()'s own, for the methods */
};

/* conf and policy are copied. audit is borrowed (NULL: refusals are not recorded). *pool is what all
 * auths of the process check passwords on: made when the first needs it, and freed by its owner,
 * after them. So neither a reload nor auth_free() waits for a password that is being checked. */
struct auth *auth_new(struct loop *loop, const struct conf_auth *conf,
                      const struct conf_policy *policy, struct audit *audit, struct pool **pool,
                      struct fault *fault);

/* Whose log-ins fail is counted there, borrowed until auth_free() (and the end of the pool); without
 * it, nowhere. */
void auth_set_attempts(struct auth *auth, struct attempts *attempts);

/* Checks that wait are answered with FAULT_IDENTITY ("ask again"), refusals that are held back with
 * what they are. NULL-safe. */
void auth_free(struct auth *auth);

/* done(arg, identity, fault) exactly once unless cancelled: before auth_check() returns (which is
 * then NULL), or from a later turn of the loop. identity is borrowed for the call (identity_ref()
 * keeps it); or NULL, with FAULT_UNAUTHORIZED (no or bad credentials), FAULT_FORBIDDEN (known, but
 * without any right), FAULT_IDENTITY (Keystone cannot be asked), FAULT_OVERLOADED or FAULT_TOO_MANY
 * (too many log-ins have failed: attempts.h). */
typedef void auth_done_fn(void *arg, struct identity *identity, const struct fault *fault);
struct auth_call *auth_check(struct auth *auth, const struct credentials *credentials,
                             auth_done_fn *done, void *arg);
void auth_cancel(struct auth_call *call);

/* How many checks wait. Who frees an auth only when none does, has none answered "ask again". */
size_t auth_waiting(const struct auth *auth);

/* The value of WWW-Authenticate that goes with a 401; NULL when there is none. */
const char *auth_challenge(const struct auth *auth);

/* How this auth asks for credentials: what a contract words its 401 by. */
enum auth_strategy auth_strategy(const struct auth *auth);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Failed log-ins: whoever guesses is answered later and later, then refused without a look at the
 * guess; whoever knows the password is not shut out by that. One object for the process, shared by
 * all auths and over reloads. The settings are limits.login_failures_* of nmid.conf.
 *
 * A failure counts for the address that it came from (IPv6: its /64; not for loopback and UNIX
 * sockets) and for the user that it names, whether there is such a user or not. But a pair of user
 * and address that logged in rightly within the last day has a counter of its own in the place of
 * these two (OWASP's "device cookies", with the address as the cookie). What was wrong before
 * counts once: a client that repeats an old password does not guess. */
#ifndef NMID_CORE_ATTEMPTS_H
#define NMID_CORE_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/delays.h"
#include "core/limits.h"

struct attempts;
struct secret;

#define ATTEMPT_KEY 56 /* an address, or half of a keyed hash, as text */

/* One log-in: made for each request that auth_check() gets, and copied by whatever outlives it.
 * Without attempts nothing is counted, and everything admitted. */
struct attempt {
    struct attempts *attempts;
    char address[ATTEMPT_KEY];
    char user[ATTEMPT_KEY]; /* "" while nobody is named */
    char pair[ATTEMPT_KEY]; /* of user and address */
    bool exempt;            /* the address is a loopback one, or no address */
    bool token;             /* not a password: it names nobody */
    unsigned entered;       /* what attempt_leave() takes back */
    int64_t delay_us;       /* how much later its refusal is to come */
};

/* conf is copied; limits (or NULL) is borrowed, and counts what is refused here. */
struct attempts *attempts_new(struct loop *loop, const struct conf_limits *conf,
                              struct limits *limits, struct fault *fault);
void attempts_free(struct attempts *attempts); /* NULL-safe; after the auths, and their pool */
void attempts_configure(struct attempts *attempts, const struct conf_limits *conf);

/* The process ends: refusals that are held back are given now. */
void attempts_hurry(struct attempts *attempts);

/* The refusals that are held back. */
struct delays *attempts_delays(struct attempts *attempts);

/* For digests of what was wrong; it is gone with the process. */
const struct secret *attempts_key(const struct attempts *attempts);

/* An attempt from this address, as text; "unix" and what else is no address is exempt. attempts
 * may be NULL. */
void attempt_begin(struct attempt *attempt, struct attempts *attempts, const char *address);

/* It is one as this user (a password), or, NULL, one with a token. */
void attempt_name(struct attempt *attempt, const char *user);

/* This user (with a token: anybody) has logged in from this address within the last day. */
bool attempt_is_trusted(const struct attempt *attempt);

/* 0; or -1 with FAULT_TOO_MANY: nothing of it is to be looked at. This does not count. */
int attempt_admit(const struct attempt *attempt, struct fault *fault);

/* Its check begins, and is over. -1 with FAULT_TOO_MANY when too many of this address, or as many
 * as this user may still fail, are under way. */
int attempt_enter(struct attempt *attempt, struct fault *fault);
void attempt_leave(struct attempt *attempt);

/* How soon one that has entered is to be checked, 0 the soonest: who is trusted; who comes from an
 * address without a failure or another check under way; everybody else. */
unsigned attempt_rank(const struct attempt *attempt);

/* True when what has this digest was wrong within the last login_failures_s. */
bool attempt_was_wrong(const struct attempt *attempt, const char *digest);

/* It was wrong: counts, unless the same did before. known_user is for the log: NULL when it names
 * nobody that there is. */
void attempt_wrong(const struct attempt *attempt, const char *digest, const char *known_user);

/* Its refusal is to be as late as the failures that there are say. */
void attempt_slow(struct attempt *attempt);

/* 0 when one more refusal may be held back; else -1 with FAULT_TOO_MANY, which is to be said at
 * once. */
int attempt_may_wait(const struct attempt *attempt, struct fault *fault);

/* It was right; checked: not just remembered, then the pair's failures are forgotten. */
void attempt_right(const struct attempt *attempt, bool checked);

#endif

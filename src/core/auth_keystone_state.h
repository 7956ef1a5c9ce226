/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What auth_keystone.c and auth_keystone_ask.c share: tokens, and how Keystone is asked about one.
 */
#ifndef NMID_CORE_AUTH_KEYSTONE_STATE_H
#define NMID_CORE_AUTH_KEYSTONE_STATE_H

#include <sys/queue.h>
#include "base/map.h"
#include "core/attempts.h"
#include "core/auth_state.h"
#include "core/keystone.h"
#include "core/trouble.h"
#include "core/verdicts.h"

#define TOKEN_REQUIRED "The request you have made requires authentication"
#define TOKEN_CANNOT   "Keystone cannot be asked who you are: try again later."

TAILQ_HEAD(checks, check);
TAILQ_HEAD(validations, validation);

/* The method's self. */
struct tokens {
    const struct conf_auth *conf;
    const struct conf_policy *policy;
    struct client *client;
    struct keystone *keystone;
    struct secret *key; /* of the hashes */
    char *url;
    struct verdicts *good, *invalid;
    struct map *joinable; /* validations by hash */
    struct validations queued, active;
    size_t queue_len, active_len;
    bool pumping, closing;
    struct trouble trouble, skew;
};

/* One token that Keystone is asked about, for all who brought it. */
struct validation {
    struct tokens *tokens;
    struct attempt attempt;        /* of the first who brought it */
    TAILQ_ENTRY(validation) entry; /* of queued or active */
    struct checks checks;
    char hash[DIGEST_SHA256_TEXT];
    char wrong[DIGEST_SHA256_TEXT]; /* the same under attempts_key() */
    struct secret *token;
    struct secret *own; /* nmid's token, as it was sent */
    struct keystone_wait *wait;
    struct client_call *call;
    int64_t since;
    bool active, ended, retried;
};

struct check {
    struct validation *validation;
    struct attempt *attempt; /* until it is done or cancelled */
    TAILQ_ENTRY(check) entry;
    auth_done_fn *done;
    void *arg;
    bool *ended; /* to be told while tokens_check() has not returned; then NULL */
};

/* Asks Keystone about an active validation's token, which may be over when this returns. */
void validation_ask(struct validation *validation);

/* Its end, for everybody who waits for it: with an identity, or a fault and why. The last logs what
 * has gone wrong, and tells the waiting less than the log. */
void validation_end(struct validation *validation, struct identity *identity,
                    const struct fault *fault);
void validation_refuse(struct validation *validation, enum fault_code code, const char *why);
void validation_fail(struct validation *validation, const char *what);

/* Whoever brings the same token from now on begins a validation anew. */
void validation_stop_joining(struct validation *validation);

#endif

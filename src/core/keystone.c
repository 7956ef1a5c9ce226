/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One log-in at a time, begun when somebody asks for a token and there is none, or an old one: the
 * old one serves until the new one has come, so that nobody waits for the renewal and a Keystone
 * that is away for a minute is not noticed. */
#include "config.h"
#include "core/keystone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/keystone_parse.h"
#include "core/trouble.h"

#define SECOND       INT64_C(1000000)
#define DELAY_MIN    (1 * SECOND) /* after a log-in that failed, none before that has passed */
#define DELAY_MAX    (30 * SECOND)
#define INTERVAL_MAX (366 * 86400 * SECOND) /* how long a token is believed to last at most */

struct keystone {
    struct client *client;
    const struct conf_keystone *conf;
    char *url;
    struct secret *token; /* or NULL */
    int64_t renew_at, expires_at;
    struct client_call *call; /* a log-in under way, */
    int64_t asked_at;         /* begun then */
    int64_t not_before, delay;
    int64_t forgot_at;
    struct fault failure; /* of the last log-in */
    struct trouble trouble;
    struct keystone_wait *waits, **waits_end;
};

struct keystone_wait {
    struct keystone *keystone;
    struct keystone_wait *next, **link;
    keystone_token_fn *done;
    void *arg;
};

/* ---- Who waits ---- */

static void wait_unlink(struct keystone_wait *wait)
{
    struct keystone *keystone = wait->keystone;
    *wait->link = wait->next;
    if (wait->next != NULL)
        wait->next->link = wait->link;
    else
        keystone->waits_end = wait->link;
}

static struct keystone_wait *wait_new(struct keystone *keystone, keystone_token_fn *done, void *arg)
{
    struct keystone_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL)
        return NULL;
    *wait = (struct keystone_wait){
        .keystone = keystone, .done = done, .arg = arg, .link = keystone->waits_end};
    *wait->link = wait;
    keystone->waits_end = &wait->next;
    return wait;
}

void keystone_cancel(struct keystone_wait *wait)
{
    if (wait == NULL)
        return;
    wait_unlink(wait);
    free(wait);
}

/* All who wait hear of the token, or of the fault. */
static void tell(struct keystone *keystone, const struct fault *fault)
{
    while (keystone->waits != NULL) {
        struct keystone_wait wait = *keystone->waits;
        keystone_cancel(keystone->waits);
        wait.done(wait.arg, fault == NULL ? (const char *)keystone->token->bytes : NULL, fault);
    }
}

/* ---- The log-in ---- */

static void drop_token(struct keystone *keystone)
{
    secret_free(keystone->token);
    keystone->token = NULL;
}

static void set_delay(struct keystone *keystone)
{
    keystone->delay = keystone->delay == 0               ? DELAY_MIN
                      : keystone->delay >= DELAY_MAX / 2 ? DELAY_MAX
                                                         : keystone->delay * 2;
    keystone->not_before = clock_mono_us() + keystone->delay;
}

static void failed(struct keystone *keystone, const struct fault *fault)
{
    int64_t now = clock_mono_us();
    trouble_note(&keystone->trouble, "%s", fault->message);
    keystone->failure = *fault;
    keystone->failure.code = FAULT_IDENTITY; /* whatever it was: there is no token */
    set_delay(keystone);
    if (keystone->token != NULL && now >= keystone->expires_at)
        drop_token(keystone);
    tell(keystone, &keystone->failure);
}

/* What the answer to a log-in says; 0, or -1 with a fault without any secret. */
static int read_answer(struct keystone *keystone, const struct client_answer *answer,
                       struct keystone_token *ret_token, struct fault *fault)
{
    const char *url = keystone->conf->auth_url;
    switch (answer->status) {
    case 0:
        return fault_set(fault, FAULT_IDENTITY, "Keystone (%s) does not answer: %s.", url,
                         answer->why);
    case 200:
    case 201:
        break;
    case 401:
        return fault_set(fault, FAULT_IDENTITY,
                         "Keystone (%s) refuses nmid's log-in (401): the user, the password (or "
                         "application credential), the project or a domain is wrong.",
                         url);
    case 300:
    case 404:
        return fault_set(fault, FAULT_IDENTITY,
                         "%s is not where Keystone's Identity API v3 is (its answer is %u): see "
                         "auth_url.",
                         url, answer->status);
    default:
        return fault_set(fault, FAULT_IDENTITY, "Keystone (%s) answers %u to nmid's log-in.", url,
                         answer->status);
    }
    if (answer->wanted == NULL || !keystone_is_token(answer->wanted))
        return fault_set(fault, FAULT_IDENTITY,
                         "Keystone's (%s) answer to nmid's log-in has no token.", url);
    if (answer->cut)
        return fault_set(fault, FAULT_IDENTITY,
                         "Keystone's (%s) answer to nmid's log-in is too long.", url);
    return keystone_parse_token(answer->body, answer->body_len, ret_token, fault);
}

/* The wall clocks of the two machines need not agree: what counts is how long the token lasts. */
static void keep(struct keystone *keystone, struct secret *token, int64_t interval)
{
    interval = interval > INTERVAL_MAX ? INTERVAL_MAX : interval;
    drop_token(keystone);
    keystone->token = token;
    keystone->renew_at = keystone->asked_at + interval / 5 * 4;
    keystone->expires_at = keystone->asked_at + interval;
    keystone->delay = keystone->not_before = 0;
    trouble_over(&keystone->trouble, "Keystone (%s) has given nmid a token again",
                 keystone->conf->auth_url);
    tell(keystone, NULL);
}

static void on_answer(void *arg, const struct client_answer *answer)
{
    struct keystone *keystone = arg;
    struct keystone_token token;
    struct fault fault = {0};
    keystone->call = NULL;
    if (read_answer(keystone, answer, &token, &fault) < 0) {
        failed(keystone, &fault);
        return;
    }
    int64_t interval = token.expires_at - token.issued_at;
    keystone_token_clear(&token);
    struct secret *secret = secret_new(answer->wanted, strlen(answer->wanted));
    if (secret != NULL) {
        keep(keystone, secret, interval);
        return;
    }
    fault_set(&fault, FAULT_MEMORY, "out of memory");
    failed(keystone, &fault);
}

static int log_in(struct keystone *keystone, struct fault *fault)
{
    static const struct client_header headers[] = {
        {"Content-Type", "application/json"},
        {"Accept", "application/json"},
        {"User-Agent", "nmid/" PACKAGE_VERSION},
    };
    struct secret *body = keystone_login_body(keystone->conf);
    if (body == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    struct client_request request = {.method = "POST",
                                     .url = keystone->url,
                                     .headers = headers,
                                     .header_count = sizeof headers / sizeof headers[0],
                                     .body = body->bytes,
                                     .body_len = body->len,
                                     .ca_file = keystone->conf->ca_file,
                                     .insecure = keystone->conf->insecure,
                                     .timeout_ms = keystone->conf->timeout_ms,
                                     .body_max = KEYSTONE_BODY_MAX,
                                     .want = "X-Subject-Token"};
    keystone->asked_at = clock_mono_us();
    keystone->call = client_start(keystone->client, &request, on_answer, keystone, fault);
    secret_free(body);
    return keystone->call != NULL ? 0 : -1;
}

/* ---- The token ---- */

struct keystone_wait *keystone_token(struct keystone *keystone, keystone_token_fn *done, void *arg)
{
    struct fault fault = {0};
    int64_t now = clock_mono_us();
    bool may_log_in = keystone->call == NULL && now >= keystone->not_before;
    if (keystone->token != NULL && now < keystone->expires_at) {
        if (now >= keystone->renew_at && may_log_in && log_in(keystone, &fault) < 0)
            failed(keystone, &fault);
        done(arg, (const char *)keystone->token->bytes, NULL);
        return NULL;
    }
    struct keystone_wait *wait = NULL;
    if (may_log_in && log_in(keystone, &fault) < 0)
        failed(keystone, &fault);
    if (keystone->call != NULL && (wait = wait_new(keystone, done, arg)) != NULL)
        return wait;
    fault = keystone->failure;
    if (keystone->call != NULL)
        fault = (struct fault){.code = FAULT_IDENTITY, .message = "out of memory"};
    done(arg, NULL, &fault);
    return NULL;
}

/* failed() has said what is wrong. */
static void on_tried(void *arg, const char *token, const struct fault *fault)
{
    (void)arg, (void)token, (void)fault;
}

void keystone_try(struct keystone *keystone)
{
    keystone_token(keystone, on_tried, NULL);
}

void keystone_forget(struct keystone *keystone, const char *token)
{
    const struct secret *own = keystone->token;
    int64_t now = clock_mono_us();
    if (own == NULL || !secret_equal(own->bytes, own->len, token, strlen(token)))
        return;
    drop_token(keystone);
    /* A service that takes no token at all must not have nmid log in without an end. */
    if (keystone->forgot_at != 0 && now - keystone->forgot_at < DELAY_MIN) {
        keystone->not_before = now + DELAY_MIN;
        keystone->failure = (struct fault){0};
        fault_set(&keystone->failure, FAULT_IDENTITY,
                  "nmid's own token, which Keystone (%s) gave it just now, is not taken.",
                  keystone->conf->auth_url);
    }
    keystone->forgot_at = now;
}

/* ---- The whole ---- */

struct keystone *keystone_new(struct loop *loop, struct client *client,
                              const struct conf_keystone *conf, struct fault *fault)
{
    struct keystone *keystone = calloc(1, sizeof *keystone);
    if (keystone != NULL &&
        asprintf(&keystone->url, "%s/auth/tokens?nocatalog", conf->auth_url) < 0)
        keystone->url = NULL;
    if (keystone == NULL || keystone->url == NULL) {
        free(keystone);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    (void)loop; /* a token is renewed when somebody needs it: there is no timer */
    keystone->client = client;
    keystone->conf = conf;
    keystone->waits_end = &keystone->waits;
    return keystone;
}

void keystone_free(struct keystone *keystone)
{
    struct fault fault = {0};
    if (keystone == NULL)
        return;
    client_cancel(keystone->call);
    fault_set(&fault, FAULT_IDENTITY, "nmid's settings for Keystone are changing: ask again.");
    drop_token(keystone);
    keystone->call = NULL;
    keystone->failure = fault;
    keystone->not_before = INT64_MAX; /* who asks again at once hears the same */
    tell(keystone, &fault);
    free(keystone->url);
    free(keystone);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens, validated at Keystone: GET /v3/auth/tokens with nmid's own token beside the one in
 * question. One validation per token at a time, for all who brought it; so many at once, and a
 * bounded queue behind them. What comes of it is remembered for a while (verdicts.h), the tokens
 * that are none in a table of their own, so that garbage cannot push good ones out. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "base/clock.h"
#include "base/map.h"
#include "core/auth_state.h"
#include "core/keystone.h"
#include "core/keystone_parse.h"
#include "core/trouble.h"
#include "core/verdicts.h"

#define SECOND      INT64_C(1000000)
#define ACTIVE_MAX  64
#define QUEUE_MAX   1024
#define INVALID_US  (10 * SECOND) /* how long an invalid token is remembered, at most */
#define INVALID_MAX 1000
#define KEY_BYTES   32

#define REQUIRED "The request you have made requires authentication"
#define CANNOT   "Keystone cannot be asked who you are: try again later."

TAILQ_HEAD(checks, check);
TAILQ_HEAD(validations, validation);

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

struct validation {
    struct tokens *tokens;
    TAILQ_ENTRY(validation) entry; /* of queued or active */
    struct checks checks;
    char hash[DIGEST_SHA256_TEXT];
    struct secret *token;
    struct secret *own; /* nmid's token, as it was sent */
    struct keystone_wait *wait;
    struct client_call *call;
    int64_t since;
    bool active, ended, retried;
};

struct check {
    struct validation *validation;
    TAILQ_ENTRY(check) entry;
    auth_done_fn *done;
    void *arg;
    bool *ended; /* to be told while tokens_check() has not returned; then NULL */
};

static void pump(struct tokens *tokens);

/* ---- The end of a validation ---- */

/* Who brings the same token from now on begins a validation anew. */
static void stop_joining(struct validation *validation)
{
    struct map *joinable = validation->tokens->joinable;
    if (map_get(joinable, validation->hash) == validation)
        map_remove(joinable, validation->hash);
}

static void validation_unlink(struct validation *validation)
{
    struct tokens *tokens = validation->tokens;
    stop_joining(validation);
    if (validation->active) {
        TAILQ_REMOVE(&tokens->active, validation, entry);
        tokens->active_len--;
    } else {
        TAILQ_REMOVE(&tokens->queued, validation, entry);
        tokens->queue_len--;
    }
}

static void validation_free(struct validation *validation)
{
    keystone_cancel(validation->wait);
    client_cancel(validation->call);
    secret_free(validation->token);
    secret_free(validation->own);
    free(validation);
}

/* Everybody who waits for it is answered; a done function may begin and cancel other checks. */
static void validation_end(struct validation *validation, struct identity *identity,
                           const struct fault *fault)
{
    struct tokens *tokens = validation->tokens;
    struct check *check;
    validation_unlink(validation);
    validation->ended = true;
    while ((check = TAILQ_FIRST(&validation->checks)) != NULL) {
        TAILQ_REMOVE(&validation->checks, check, entry);
        if (check->ended != NULL)
            *check->ended = true;
        check->done(check->arg, identity, fault);
        free(check);
    }
    validation_free(validation);
    pump(tokens);
}

static void validation_refuse(struct validation *validation, enum fault_code code, const char *why)
{
    struct fault fault = {0};
    fault_set(&fault, code, "%s", why);
    validation_end(validation, NULL, &fault);
}

/* Whoever waits hears less than the log: it is somebody whom nmid does not know. */
static void validation_fail(struct validation *validation, const char *what)
{
    struct tokens *tokens = validation->tokens;
    trouble_note(&tokens->trouble, "Keystone (%s): tokens cannot be validated: %s",
                 tokens->conf->keystone.auth_url, what);
    validation_refuse(validation, FAULT_IDENTITY, CANNOT);
}

/* ---- What Keystone says ---- */

static void keystone_works(struct tokens *tokens)
{
    trouble_over(&tokens->trouble, "Keystone (%s): tokens are validated again",
                 tokens->conf->keystone.auth_url);
}

static void token_invalid(struct validation *validation)
{
    static const char why[] = REQUIRED ": the token is not valid, or not any more.";
    struct tokens *tokens = validation->tokens;
    int64_t keep = tokens->conf->cache_s * SECOND;
    struct verdict verdict = {.code = FAULT_UNAUTHORIZED,
                              .why = why,
                              .until = clock_mono_us() + (keep < INVALID_US ? keep : INVALID_US)};
    if (keep > 0)
        verdicts_put(tokens->invalid, validation->hash, &verdict);
    validation_refuse(validation, FAULT_UNAUTHORIZED, why);
}

/* NULL when memory is out. */
static struct identity *identity_of(const struct tokens *tokens, const struct keystone_token *token)
{
    struct principal principal = {.user = token->user,
                                  .user_id = token->user_id,
                                  .project_id = token->project_id,
                                  .method = "keystone",
                                  .system = token->scope == KEYSTONE_SYSTEM};
    policy_assign(tokens->policy, (const char *const *)token->roles.names, token->roles.count,
                  &principal);
    return identity_new(&principal);
}

static void token_valid(struct validation *validation, const struct keystone_token *token)
{
    struct tokens *tokens = validation->tokens;
    int64_t left = token->expires_at - clock_wall_us(), keep = tokens->conf->cache_s * SECOND;
    struct verdict verdict = {.code = FAULT_FORBIDDEN,
                              .why = keystone_token_useless(token),
                              .until = clock_mono_us() + (left < keep ? left : keep),
                              .until_wall = token->expires_at};
    if (left <= 0) {
        trouble_note(&tokens->skew,
                     "Keystone (%s) took a token for good that by this machine's clock has "
                     "expired: do the two clocks differ?",
                     tokens->conf->keystone.auth_url);
        token_invalid(validation);
        return;
    }
    if (verdict.why == NULL && (verdict.identity = identity_of(tokens, token)) == NULL) {
        validation_refuse(validation, FAULT_MEMORY, "out of memory");
        return;
    }
    if (keep > 0)
        verdicts_put(tokens->good, validation->hash, &verdict);
    if (verdict.why != NULL)
        validation_refuse(validation, verdict.code, verdict.why);
    else
        validation_end(validation, verdict.identity, NULL);
    identity_unref(verdict.identity);
}

static void read_token(struct validation *validation, const struct client_answer *answer)
{
    struct keystone_token token;
    struct fault fault = {0};
    if (answer->cut) {
        validation_fail(validation, "the answer is too long");
    } else if (keystone_parse_token(answer->body, answer->body_len, &token, &fault) < 0) {
        validation_fail(validation, fault.message);
    } else {
        keystone_works(validation->tokens);
        token_valid(validation, &token);
        keystone_token_clear(&token);
    }
}

static void validation_ask(struct validation *validation);

/* 401: nmid's own token is no longer good. Once more with a new one, and not a third time. */
static void own_refused(struct validation *validation)
{
    keystone_forget(validation->tokens->keystone, (const char *)validation->own->bytes);
    if (validation->retried) {
        validation_fail(validation, "it does not take the token that it has just given to nmid");
        return;
    }
    validation->retried = true;
    validation_ask(validation);
}

static void on_answer(void *arg, const struct client_answer *answer)
{
    struct validation *validation = arg;
    char what[64];
    validation->call = NULL;
    switch (answer->status) {
    case 0:
        validation_fail(validation, answer->why);
        break;
    case 200:
        read_token(validation, answer);
        break;
    case 401:
        own_refused(validation);
        break;
    case 403:
        validation_fail(validation, "nmid's user may not do it (403): it needs the role service");
        break;
    case 404:
        keystone_works(validation->tokens);
        token_invalid(validation);
        break;
    default:
        snprintf(what, sizeof what, "the answer is %u", answer->status);
        validation_fail(validation, what);
    }
}

/* ---- Asking ---- */

static int send_request(struct validation *validation, struct fault *fault)
{
    const struct tokens *tokens = validation->tokens;
    const struct conf_keystone *conf = &tokens->conf->keystone;
    const struct client_header headers[] = {
        {"X-Auth-Token", (const char *)validation->own->bytes},
        {"X-Subject-Token", (const char *)validation->token->bytes},
        {"Accept", "application/json"},
        {"User-Agent", "nmid/" PACKAGE_VERSION},
    };
    struct client_request request = {.method = "GET",
                                     .url = tokens->url,
                                     .headers = headers,
                                     .header_count = sizeof headers / sizeof headers[0],
                                     .ca_file = conf->ca_file,
                                     .timeout_ms = conf->timeout_ms,
                                     .body_max = KEYSTONE_BODY_MAX};
    validation->call = client_start(tokens->client, &request, on_answer, validation, fault);
    return validation->call != NULL ? 0 : -1;
}

static void on_own_token(void *arg, const char *token, const struct fault *fault)
{
    struct validation *validation = arg;
    struct fault own = {0};
    validation->wait = NULL;
    if (token == NULL) {
        (void)fault; /* keystone.c has logged it */
        validation_refuse(validation, FAULT_IDENTITY, CANNOT);
        return;
    }
    secret_free(validation->own);
    validation->own = secret_new(token, strlen(token));
    if (validation->own == NULL)
        fault_set(&own, FAULT_MEMORY, "out of memory");
    if (validation->own == NULL || send_request(validation, &own) < 0) {
        validation_fail(validation, own.message);
        return;
    }
    /* Without a cache every request is asked: an answer is for those alone who came before it was
     * asked for. */
    if (validation->tokens->conf->cache_s == 0)
        stop_joining(validation);
}

/* The validation may be over when this returns. */
static void validation_ask(struct validation *validation)
{
    struct tokens *tokens = validation->tokens;
    struct keystone_wait *wait = keystone_token(tokens->keystone, on_own_token, validation);
    if (wait != NULL)
        validation->wait = wait;
}

/* Begins what is queued, as far as there is room; calls itself but once, by way of validations that
 * end at once. */
static void pump(struct tokens *tokens)
{
    struct validation *validation;
    if (tokens->pumping || tokens->closing)
        return;
    tokens->pumping = true;
    while (tokens->active_len < ACTIVE_MAX && (validation = TAILQ_FIRST(&tokens->queued)) != NULL) {
        int64_t patience = tokens->conf->keystone.timeout_ms * INT64_C(1000);
        TAILQ_REMOVE(&tokens->queued, validation, entry);
        tokens->queue_len--;
        TAILQ_INSERT_TAIL(&tokens->active, validation, entry);
        tokens->active_len++;
        validation->active = true;
        if (clock_mono_us() - validation->since > patience)
            validation_fail(validation, "it is too slow for so many tokens");
        else
            validation_ask(validation);
    }
    tokens->pumping = false;
}

/* ---- A check ---- */

/* NULL, with a fault, when the queue is full or memory is out. It is queued, and not begun. */
static struct validation *validation_new(struct tokens *tokens, const char *hash, const char *token,
                                         struct fault *fault)
{
    if (tokens->queue_len >= QUEUE_MAX) {
        fault_set(fault, FAULT_OVERLOADED, "Too many tokens wait to be validated.");
        return NULL;
    }
    struct validation *validation = calloc(1, sizeof *validation);
    if (validation != NULL) {
        validation->tokens = tokens;
        TAILQ_INIT(&validation->checks);
        memcpy(validation->hash, hash, sizeof validation->hash);
        validation->token = secret_new(token, strlen(token));
        validation->since = clock_mono_us();
    }
    if (validation == NULL || validation->token == NULL ||
        map_put(tokens->joinable, validation->hash, validation) < 0) {
        if (validation != NULL)
            validation_free(validation);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    TAILQ_INSERT_TAIL(&tokens->queued, validation, entry);
    tokens->queue_len++;
    return validation;
}

/* Answers at once when the token's hash is known; false when it is not. */
static bool answer_known(struct tokens *tokens, const char *hash, auth_done_fn *done, void *arg)
{
    const struct verdict *verdict = verdicts_get(tokens->good, hash);
    if (verdict == NULL)
        verdict = verdicts_get(tokens->invalid, hash);
    if (verdict == NULL)
        return false;
    if (verdict->identity == NULL) {
        auth_refuse(done, arg, verdict->code, "%s", verdict->why);
        return true;
    }
    struct identity *identity = identity_ref(verdict->identity); /* the table may change */
    done(arg, identity, NULL);
    identity_unref(identity);
    return true;
}

/* Joins the validation of this token, or begins one. NULL: done has come. */
static void *wait_for(struct tokens *tokens, const char *hash, const char *token,
                      auth_done_fn *done, void *arg)
{
    struct fault fault = {0};
    bool ended = false;
    struct check *check = calloc(1, sizeof *check);
    struct validation *validation = map_get(tokens->joinable, hash);
    if (check == NULL)
        fault_set(&fault, FAULT_MEMORY, "out of memory");
    else if (validation == NULL)
        validation = validation_new(tokens, hash, token, &fault);
    if (fault.code != FAULT_NONE) {
        free(check);
        done(arg, NULL, &fault);
        return NULL;
    }
    *check = (struct check){.validation = validation, .done = done, .arg = arg, .ended = &ended};
    TAILQ_INSERT_TAIL(&validation->checks, check, entry);
    pump(tokens);
    if (ended)
        return NULL;
    check->ended = NULL;
    return check;
}

static void *tokens_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                          void *arg)
{
    struct tokens *tokens = self;
    const char *token = credentials->token;
    char hash[DIGEST_SHA256_TEXT];
    if (token == NULL || token[0] == '\0')
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, REQUIRED ": there is no X-Auth-Token.");
    else if (!keystone_is_token(token))
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, REQUIRED ": X-Auth-Token cannot be a token.");
    else if (digest_hmac_sha256(tokens->key, token, strlen(token), hash) < 0)
        auth_refuse(done, arg, FAULT_SYSTEM, "libgcrypt makes no HMAC-SHA256");
    else if (!answer_known(tokens, hash, done, arg))
        return wait_for(tokens, hash, token, done, arg);
    return NULL;
}

/* A validation that has begun goes on without anybody who waits: its answer is remembered. */
static void tokens_cancel(void *self, void *arg)
{
    struct check *check = arg;
    struct validation *validation = check->validation;
    (void)self;
    TAILQ_REMOVE(&validation->checks, check, entry);
    free(check);
    if (!validation->active && !validation->ended && TAILQ_EMPTY(&validation->checks)) {
        validation_unlink(validation);
        validation_free(validation);
    }
}

/* ---- The method ---- */

static void tokens_free(struct tokens *tokens)
{
    keystone_free(tokens->keystone);
    client_free(tokens->client);
    verdicts_free(tokens->good);
    verdicts_free(tokens->invalid);
    map_free(tokens->joinable);
    secret_free(tokens->key);
    free(tokens->url);
    free(tokens);
}

static void tokens_close(void *self)
{
    struct tokens *tokens = self;
    struct validation *validation;
    tokens->closing = true;
    while ((validation = TAILQ_FIRST(&tokens->active)) != NULL ||
           (validation = TAILQ_FIRST(&tokens->queued)) != NULL)
        validation_refuse(validation, FAULT_IDENTITY,
                          "nmid's settings have just changed: ask again.");
    tokens_free(tokens);
}

static void *tokens_open(const struct auth_settings *settings, struct fault *fault)
{
    unsigned char random[KEY_BYTES];
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    const struct conf_auth *conf = tokens->conf = settings->conf;
    tokens->policy = settings->policy;
    TAILQ_INIT(&tokens->queued);
    TAILQ_INIT(&tokens->active);
    secret_random(random, sizeof random);
    tokens->key = secret_new(random, sizeof random);
    secret_wipe(random, sizeof random);
    tokens->good = verdicts_new(conf->cache_size);
    tokens->invalid = verdicts_new(conf->cache_size < INVALID_MAX ? conf->cache_size : INVALID_MAX);
    tokens->joinable = map_new();
    if (asprintf(&tokens->url, "%s/auth/tokens?nocatalog", conf->keystone.auth_url) < 0)
        tokens->url = NULL;
    if (tokens->key == NULL || tokens->good == NULL || tokens->invalid == NULL ||
        tokens->joinable == NULL || tokens->url == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if ((tokens->client = client_new(settings->loop, fault)) != NULL)
        tokens->keystone = keystone_new(settings->loop, tokens->client, &conf->keystone, fault);
    if (tokens->keystone == NULL) {
        tokens_free(tokens);
        return NULL;
    }
    keystone_try(tokens->keystone);
    return tokens;
}

const struct auth_method auth_keystone = {tokens_open, tokens_close, tokens_check, tokens_cancel};

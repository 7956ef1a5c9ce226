/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens, validated at Keystone: GET /v3/auth/tokens with nmid's own token beside the one in
 * question. One validation per token at a time, for all who brought it; so many at once, and a
 * bounded queue behind them. What comes of it is remembered for a while (verdicts.h), the tokens
 * that are none in a table of their own, so that garbage cannot push good ones out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/auth_keystone_state.h"
#include "core/keystone_parse.h"

#define ACTIVE_MAX  64
#define QUEUE_MAX   1024
#define INVALID_MAX 1000
#define KEY_BYTES   32

static void pump(struct tokens *tokens);

/* ---- The end of a validation ---- */

/* Who brings the same token from now on begins a validation anew. */
void validation_stop_joining(struct validation *validation)
{
    struct map *joinable = validation->tokens->joinable;
    if (map_get(joinable, validation->hash) == validation)
        map_remove(joinable, validation->hash);
}

static void validation_unlink(struct validation *validation)
{
    struct tokens *tokens = validation->tokens;
    validation_stop_joining(validation);
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
void validation_end(struct validation *validation, struct identity *identity,
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
        if (fault == NULL || fault->code == FAULT_FORBIDDEN)
            attempt_right(check->attempt, true);
        else if (fault->code == FAULT_UNAUTHORIZED)
            attempt_slow(check->attempt);
        check->done(check->arg, identity, fault);
        free(check);
    }
    validation_free(validation);
    pump(tokens);
}

void validation_refuse(struct validation *validation, enum fault_code code, const char *why)
{
    struct fault fault = {0};
    fault_set(&fault, code, "%s", why);
    validation_end(validation, NULL, &fault);
}

/* Whoever waits hears less than the log: it is somebody whom nmid does not know. */
void validation_fail(struct validation *validation, const char *what)
{
    struct tokens *tokens = validation->tokens;
    trouble_note(&tokens->trouble, "Keystone (%s): tokens cannot be validated: %s",
                 tokens->conf->keystone.auth_url, what);
    validation_refuse(validation, FAULT_IDENTITY, TOKEN_CANNOT);
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

/* One token that comes; all is borrowed for the call, the attempt until done. */
struct coming {
    const char *token, *hash, *wrong;
    struct attempt *attempt;
    auth_done_fn *done;
    void *arg;
};

/* NULL, with a fault, when the queue is full or memory is out. It is queued, and not begun. */
static struct validation *validation_new(struct tokens *tokens, const struct coming *coming,
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
        validation->attempt = *coming->attempt;
        memcpy(validation->hash, coming->hash, sizeof validation->hash);
        memcpy(validation->wrong, coming->wrong, sizeof validation->wrong);
        validation->token = secret_new(coming->token, strlen(coming->token));
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

/* Answers as this verdict says; false when there is none. */
static bool answer_known(const struct verdict *verdict, const struct coming *coming)
{
    if (verdict == NULL)
        return false;
    if (verdict->code == FAULT_UNAUTHORIZED)
        attempt_slow(coming->attempt);
    else
        attempt_right(coming->attempt, false);
    if (verdict->identity == NULL) {
        auth_refuse(coming->done, coming->arg, verdict->code, "%s", verdict->why);
        return true;
    }
    struct identity *identity = identity_ref(verdict->identity); /* the table may change */
    coming->done(coming->arg, identity, NULL);
    identity_unref(identity);
    return true;
}

/* Joins the validation of this token, or begins one. NULL: done has come. */
static void *wait_for(struct tokens *tokens, const struct coming *coming)
{
    struct fault fault = {0};
    bool ended = false;
    struct check *check = calloc(1, sizeof *check);
    struct validation *validation = map_get(tokens->joinable, coming->hash);
    if (check == NULL)
        fault_set(&fault, FAULT_MEMORY, "out of memory");
    else if (validation == NULL)
        validation = validation_new(tokens, coming, &fault);
    if (fault.code != FAULT_NONE) {
        free(check);
        coming->done(coming->arg, NULL, &fault);
        return NULL;
    }
    *check = (struct check){.validation = validation,
                            .attempt = coming->attempt,
                            .done = coming->done,
                            .arg = coming->arg,
                            .ended = &ended};
    TAILQ_INSERT_TAIL(&validation->checks, check, entry);
    pump(tokens);
    if (ended)
        return NULL;
    check->ended = NULL;
    return check;
}

/* What cannot be a token is a failure of its address, and Keystone need not hear of it. */
static void refuse_shape(const struct coming *coming)
{
    attempt_wrong(coming->attempt, coming->wrong, NULL);
    attempt_slow(coming->attempt);
    auth_refuse(coming->done, coming->arg, FAULT_UNAUTHORIZED,
                TOKEN_REQUIRED ": X-Auth-Token cannot be a token.");
}

/* Hashes of the token, as what is remembered has them; -1 when libgcrypt refuses. */
static int hash_token(const struct tokens *tokens, const struct attempts *attempts,
                      const char *token, char hash[DIGEST_SHA256_TEXT],
                      char wrong[DIGEST_SHA256_TEXT])
{
    size_t len = strlen(token);
    wrong[0] = '\0';
    return digest_hmac_sha256(tokens->key, token, len, hash) < 0 ||
                   (attempts != NULL &&
                    digest_hmac_sha256(attempts_key(attempts), token, len, wrong) < 0)
               ? -1
               : 0;
}

/* Nobody guesses a token: one that is remembered as good passes whatever has failed before. */
static void *tokens_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                          void *arg)
{
    struct tokens *tokens = self;
    const char *token = credentials->token;
    char hash[DIGEST_SHA256_TEXT], wrong[DIGEST_SHA256_TEXT];
    const struct coming coming = {token, hash, wrong, credentials->attempt, done, arg};
    struct fault fault = {0};
    if (token == NULL || token[0] == '\0') {
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, TOKEN_REQUIRED ": there is no X-Auth-Token.");
        return NULL;
    }
    attempt_name(coming.attempt, NULL);
    if (hash_token(tokens, coming.attempt->attempts, token, hash, wrong) < 0)
        auth_refuse(done, arg, FAULT_SYSTEM, "libgcrypt makes no HMAC-SHA256");
    else if (answer_known(verdicts_get(tokens->good, hash), &coming))
        return NULL;
    else if (attempt_admit(coming.attempt, &fault) < 0)
        done(arg, NULL, &fault);
    else if (!keystone_is_token(token))
        refuse_shape(&coming);
    else if (!answer_known(verdicts_get(tokens->invalid, hash), &coming))
        return wait_for(tokens, &coming);
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

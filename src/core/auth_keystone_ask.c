/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A token's way to Keystone and back: what is asked, what the answers mean, and what is remembered
 * of them. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "core/auth_keystone_state.h"
#include "core/keystone_parse.h"
#include "core/policy.h"

#define SECOND     INT64_C(1000000)
#define INVALID_US (10 * SECOND) /* how long an invalid token is remembered, at most */

/* ---- What Keystone says ---- */

static void keystone_works(struct tokens *tokens)
{
    trouble_over(&tokens->trouble, "Keystone (%s): tokens are validated again",
                 tokens->conf->keystone.auth_url);
}

static void token_invalid(struct validation *validation)
{
    static const char why[] = TOKEN_REQUIRED ": the token is not valid, or not any more.";
    struct tokens *tokens = validation->tokens;
    int64_t keep = tokens->conf->cache_s * SECOND;
    struct verdict verdict = {.code = FAULT_UNAUTHORIZED,
                              .why = why,
                              .until = clock_mono_us() + (keep < INVALID_US ? keep : INVALID_US)};
    if (keep > 0)
        verdicts_put(tokens->invalid, validation->hash, &verdict);
    attempt_wrong(&validation->attempt, validation->wrong, NULL);
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
                                     .insecure = conf->insecure,
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
        validation_refuse(validation, FAULT_IDENTITY, TOKEN_CANNOT);
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
        validation_stop_joining(validation);
}

/* The validation may be over when this returns. */
void validation_ask(struct validation *validation)
{
    struct tokens *tokens = validation->tokens;
    struct keystone_wait *wait = keystone_token(tokens->keystone, on_own_token, validation);
    if (wait != NULL)
        validation->wait = wait;
}

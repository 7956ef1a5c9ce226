/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/auth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "core/attempts.h"
#include "core/audit.h"
#include "core/auth_state.h"
#include "core/conf_parts.h"
#include "loop/pool.h"

#define POOL_THREADS 2
#define POOL_QUEUE   64 /* a bcrypt each: some seconds of waiting, no more */

struct auth {
    struct loop *loop;
    struct audit *audit;
    struct attempts *attempts; /* or NULL */
    TAILQ_HEAD(held, auth_call) held;
    struct conf_auth conf;
    struct conf_policy policy;
    const struct auth_method *method;
    void *self; /* the method's */
    char *challenge;
    size_t waiting; /* calls that auth_check() returned and that have not ended */
};

/* One check that waits. */
struct auth_call {
    struct auth *auth;
    void *check; /* the method's */
    auth_done_fn *done;
    void *arg;
    bool returned; /* auth_check() has */
    bool ended;
    struct attempt attempt;
    TAILQ_ENTRY(auth_call) entry; /* of those whose refusal is held back: */
    struct delay *delay;          /* until then; else NULL */
    struct fault *fault;          /* the refusal; else NULL */
    struct refusal {
        char address[64], contract[16], what[160];
    } refusal;
};

void auth_refuse(auth_done_fn *done, void *arg, enum fault_code code, const char *format, ...)
{
    struct fault fault = {.code = code};
    va_list args;
    va_start(args, format);
    vsnprintf(fault.message, sizeof fault.message, format, args);
    va_end(args);
    done(arg, NULL, &fault);
}

static const struct auth_method *method_of(enum auth_strategy strategy)
{
    switch (strategy) {
    case AUTH_HTTP_BASIC:
        return &auth_basic;
    case AUTH_KEYSTONE:
        return &auth_keystone;
    case AUTH_CLIENT_CERTIFICATE:
        return &auth_certificate;
    case AUTH_NONE:
        break;
    }
    return &auth_local;
}

/* -1 when memory is out. No scheme of WWW-Authenticate asks for a certificate: the handshake does. */
static int challenge_of(const struct conf_auth *conf, char **ret_challenge)
{
    *ret_challenge = NULL;
    if (conf->strategy == AUTH_HTTP_BASIC)
        *ret_challenge = strdup("Basic realm=\"Baremetal API\"");
    else if (conf->strategy != AUTH_KEYSTONE)
        return 0;
    else if (asprintf(ret_challenge, "Keystone uri=\"%s\"", conf->www_authenticate_uri) < 0)
        *ret_challenge = NULL;
    return *ret_challenge == NULL ? -1 : 0;
}

static int open_method(struct auth *auth, struct pool **pool, struct fault *fault)
{
    const struct conf_auth *conf = &auth->conf;
    auth->method = method_of(conf->strategy);
    if (challenge_of(conf, &auth->challenge) < 0)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    if (conf->strategy == AUTH_HTTP_BASIC && *pool == NULL &&
        (*pool = pool_new(auth->loop, POOL_THREADS, POOL_QUEUE, fault)) == NULL)
        return -1;
    struct auth_settings settings = {auth->loop, conf, &auth->policy, *pool};
    auth->self = auth->method->open(&settings, fault);
    return auth->self == NULL ? -1 : 0;
}

struct auth *auth_new(struct loop *loop, const struct conf_auth *conf,
                      const struct conf_policy *policy, struct audit *audit, struct pool **pool,
                      struct fault *fault)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth != NULL)
        TAILQ_INIT(&auth->held);
    if (auth == NULL || conf_auth_copy(conf, &auth->conf) < 0 ||
        conf_policy_copy(policy, &auth->policy) < 0) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        auth_free(auth);
        return NULL;
    }
    auth->loop = loop;
    auth->audit = audit;
    if (open_method(auth, pool, fault) == 0)
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_set_attempts(struct auth *auth, struct attempts *attempts)
{
    auth->attempts = attempts;
}

/* Before its done, which may free the auth. */
static void call_over(struct auth_call *call)
{
    if (call->returned)
        call->auth->waiting--;
}

static void call_free(struct auth_call *call)
{
    free(call->fault);
    free(call);
}

/* Gives the refusal that was held back; its done may cancel others, and check anew elsewhere. */
static void release(struct auth_call *call)
{
    TAILQ_REMOVE(&call->auth->held, call, entry);
    call_over(call);
    call->done(call->arg, NULL, call->fault);
    call_free(call);
}

static void on_delayed(void *arg)
{
    struct auth_call *call = arg;
    call->delay = NULL;
    release(call);
}

static void release_all(struct auth *auth)
{
    struct auth_call *call;
    while ((call = TAILQ_FIRST(&auth->held)) != NULL) {
        delay_cancel(call->delay);
        release(call);
    }
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    if (auth->self != NULL)
        auth->method->close(auth->self);
    release_all(auth);
    conf_auth_clear(&auth->conf);
    conf_policy_clear(&auth->policy);
    free(auth->challenge);
    free(auth);
}

/* Who did not get in, with what was asked for; the credentials themselves are in no record. Of a
 * caller who proved nothing there is the name at most, when nmid knows it. */
static void record(const struct auth_call *call, const struct principal *who,
                   const struct fault *fault)
{
    struct principal caller = {0};
    bool proven = who != NULL && fault->code == FAULT_FORBIDDEN;
    if (proven) {
        caller = *who;
        caller.address = call->refusal.address;
    }
    audit_record(call->auth->audit, &(struct audit_record){
                                        .caller = proven ? &caller : NULL,
                                        .address = call->refusal.address,
                                        .claimed = who != NULL && !proven ? who->user : NULL,
                                        .contract = call->refusal.contract,
                                        .operation = "authenticate",
                                        .ident = call->refusal.what,
                                        .rule = fault->code == FAULT_TOO_MANY ? "limit"
                                                                              : "credentials",
                                        .code = fault->code,
                                        .message = fault->message,
                                    });
}

/* Holds the refusal back as long as the attempt says. False when it is to be given at once. */
static bool hold(struct auth_call *call, const struct fault *fault)
{
    struct auth *auth = call->auth;
    call->fault = malloc(sizeof *call->fault);
    if (call->fault == NULL)
        return false;
    *call->fault = *fault;
    call->delay =
        delay_start(attempts_delays(auth->attempts), call->attempt.delay_us, on_delayed, call);
    if (call->delay == NULL)
        return false;
    TAILQ_INSERT_TAIL(&auth->held, call, entry);
    return true;
}

static void on_checked(void *arg, struct identity *identity, const struct fault *fault)
{
    struct auth_call *call = arg;
    struct fault full = {0};
    bool slow = fault != NULL && call->attempt.delay_us > 0;
    if (slow && attempt_may_wait(&call->attempt, &full) < 0) {
        fault = &full;
        slow = false;
    }
    if (fault != NULL) {
        record(call, identity == NULL ? NULL : &identity->principal, fault);
        identity = NULL;
    }
    if (slow && hold(call, fault))
        return;
    call->ended = true;
    call_over(call);
    call->done(call->arg, identity, fault);
    if (call->returned)
        call_free(call);
}

struct auth_call *auth_check(struct auth *auth, const struct credentials *credentials,
                             auth_done_fn *done, void *arg)
{
    struct auth_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        auth_refuse(done, arg, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    *call = (struct auth_call){.auth = auth, .done = done, .arg = arg};
    snprintf(call->refusal.address, sizeof call->refusal.address, "%s", credentials->address);
    snprintf(call->refusal.contract, sizeof call->refusal.contract, "%s",
             credentials->contract != NULL ? credentials->contract : "");
    snprintf(call->refusal.what, sizeof call->refusal.what, "%s %s",
             credentials->method != NULL ? credentials->method : "-",
             credentials->path != NULL ? credentials->path : "-");
    struct credentials counted = *credentials;
    attempt_begin(&call->attempt, auth->attempts, credentials->address);
    counted.attempt = &call->attempt;
    call->check = auth->method->check(auth->self, &counted, on_checked, call);
    if (call->ended) {
        call_free(call);
        return NULL;
    }
    call->returned = true;
    auth->waiting++;
    return call;
}

void auth_cancel(struct auth_call *call)
{
    if (call == NULL)
        return;
    if (call->delay != NULL) {
        delay_cancel(call->delay);
        TAILQ_REMOVE(&call->auth->held, call, entry);
    } else {
        call->auth->method->cancel(call->auth->self, call->check);
    }
    call_over(call);
    call_free(call);
}

size_t auth_waiting(const struct auth *auth)
{
    return auth->waiting;
}

const char *auth_challenge(const struct auth *auth)
{
    return auth->challenge;
}

enum auth_strategy auth_strategy(const struct auth *auth)
{
    return auth->conf.strategy;
}

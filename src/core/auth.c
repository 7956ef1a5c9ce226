/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/auth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/audit.h"
#include "core/auth_state.h"
#include "core/conf_parts.h"
#include "loop/pool.h"

#define POOL_THREADS 2
#define POOL_QUEUE   64 /* a bcrypt each: some seconds of waiting, no more */

struct auth {
    struct loop *loop;
    struct audit *audit;
    struct conf_auth conf;
    struct conf_policy policy;
    const struct auth_method *method;
    void *self; /* the method's */
    char *challenge;
};

/* One check that waits. */
struct auth_call {
    struct auth *auth;
    void *check; /* the method's */
    auth_done_fn *done;
    void *arg;
    bool returned; /* auth_check() has */
    bool ended;
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
    case AUTH_NONE:
        break;
    }
    return &auth_local;
}

static char *challenge_of(const struct conf_auth *conf)
{
    char *text = NULL;
    if (conf->strategy == AUTH_HTTP_BASIC)
        return strdup("Basic realm=\"Baremetal API\"");
    if (conf->strategy == AUTH_KEYSTONE &&
        asprintf(&text, "Keystone uri=\"%s\"", conf->www_authenticate_uri) < 0)
        text = NULL;
    return text;
}

static int open_method(struct auth *auth, struct pool **pool, struct fault *fault)
{
    const struct conf_auth *conf = &auth->conf;
    auth->method = method_of(conf->strategy);
    auth->challenge = challenge_of(conf);
    if (auth->challenge == NULL && conf->strategy != AUTH_NONE)
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

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    if (auth->self != NULL)
        auth->method->close(auth->self);
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
                                        .rule = "credentials",
                                        .code = fault->code,
                                        .message = fault->message,
                                    });
}

static void on_checked(void *arg, struct identity *identity, const struct fault *fault)
{
    struct auth_call *call = arg;
    call->ended = true;
    if (fault != NULL) {
        record(call, identity == NULL ? NULL : &identity->principal, fault);
        identity = NULL;
    }
    call->done(call->arg, identity, fault);
    if (call->returned)
        free(call);
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
    call->check = auth->method->check(auth->self, credentials, on_checked, call);
    call->returned = true;
    if (!call->ended)
        return call;
    free(call);
    return NULL;
}

void auth_cancel(struct auth_call *call)
{
    if (call == NULL)
        return;
    call->auth->method->cancel(call->auth->self, call->check);
    free(call);
}

const char *auth_challenge(const struct auth *auth)
{
    return auth->challenge;
}

enum auth_strategy auth_strategy(const struct auth *auth)
{
    return auth->conf.strategy;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What auth.c and the methods (auth_local.c, auth_basic.c, auth_keystone.c,
 * auth_certificate.c) share. */
#ifndef NMID_CORE_AUTH_STATE_H
#define NMID_CORE_AUTH_STATE_H

#include "core/auth.h"
#include "core/policy.h"

struct pool;

/* What a method is made from: all borrowed as long as the method lives. */
struct auth_settings {
    struct loop *loop;
    const struct conf_auth *conf;
    const struct conf_policy *policy;
    struct pool *pool; /* http_basic's; it outlives the method */
};

/* One way of authentication. check() has the terms of auth_check(): done may come before it
 * returns, and then it returns NULL. With a fault, done may get an identity too: who is forbidden,
 * or, unproven, who the caller says to be, when nmid knows the name: that is for the audit.
 * cancel() takes back what check() returned. close() answers each check that still waits with
 * FAULT_IDENTITY (their done may cancel others, and may check anew with the next method), and
 * frees. */
struct auth_method {
    void *(*open)(const struct auth_settings *settings, struct fault *fault);
    void (*close)(void *self);
    void *(*check)(void *self, const struct credentials *credentials, auth_done_fn *done,
                   void *arg);
    void (*cancel)(void *self, void *check);
};

extern const struct auth_method auth_local, auth_basic, auth_keystone, auth_certificate;

/* Calls done with a fault of this code and text. */
void auth_refuse(auth_done_fn *done, void *arg, enum fault_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

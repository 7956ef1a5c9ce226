/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmid's own log-in to Keystone (Identity API v3): a token by password or application credential,
 * renewed before it expires, and when a service says that it is no longer good. For auth_keystone.c
 * and for the services that nmid asks itself. */
#ifndef NMID_CORE_KEYSTONE_H
#define NMID_CORE_KEYSTONE_H

#include "core/conf_auth.h"
#include "loop/client.h"

struct keystone;
struct keystone_wait;

/* conf and client are borrowed as long as it lives. */
struct keystone *keystone_new(struct loop *loop, struct client *client,
                              const struct conf_keystone *conf, struct fault *fault);

/* Who still waits hears FAULT_IDENTITY. NULL-safe. */
void keystone_free(struct keystone *keystone);

/* done(arg, token, fault) exactly once unless cancelled: before keystone_token() returns (which is
 * then NULL), or from a later turn of the loop. token is borrowed for the call; NULL with
 * FAULT_IDENTITY when Keystone cannot be asked or refuses nmid. One log-in at a time, whoever
 * waits; after a refusal or a failure none for a while (1 s, growing to 30 s). */
typedef void keystone_token_fn(void *arg, const char *token, const struct fault *fault);
struct keystone_wait *keystone_token(struct keystone *keystone, keystone_token_fn *done, void *arg);
void keystone_cancel(struct keystone_wait *wait);

/* Logs in now: what is wrong is in the log before the first who asks for a token. */
void keystone_try(struct keystone *keystone);

/* A service answered 401 to this token: the next keystone_token() logs in anew (but not twice
 * within a second). Not from within a keystone_token_fn. */
void keystone_forget(struct keystone *keystone, const char *token);

#endif

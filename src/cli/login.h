/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log-in to Keystone (Identity API v3, POST auth/tokens), beside the requests to nmid on the
 * same multi handle. TLS peers are always verified; proxies of the environment are not used,
 * redirects are not followed. */
#ifndef NMID_CLI_LOGIN_H
#define NMID_CLI_LOGIN_H

#include <curl/curl.h>
#include "base/fault.h"
#include "cli/credentials.h"

struct login;

/* Begins; NULL with a fault. */
struct login *login_start(CURLM *multi, const struct openrc *openrc, long timeout_ms,
                          struct fault *fault);

/* True when the finished handle was this log-in's. NULL-safe. */
bool login_owns(const struct login *login, const CURL *easy);

/* What came of it. -1: FAULT_CONNECT (Keystone was not reached, or gave no answer),
 * FAULT_UNAUTHORIZED (it refused, or the token is of no use), FAULT_IDENTITY (it is not in order),
 * FAULT_PROTOCOL (it is no Keystone). */
int login_finish(struct login *login, CURLcode rc, struct credentials *credentials,
                 struct fault *fault);

/* Ends it; NULL-safe. */
void login_free(struct login *login);

#endif

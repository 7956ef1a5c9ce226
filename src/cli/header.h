/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers that bear credentials, as whole lines. */
#ifndef NMID_CLI_HEADER_H
#define NMID_CLI_HEADER_H

#include <stddef.h>
#include "base/fault.h"
#include "base/secret.h"

#define TOKEN_MAX 8192

/* "Authorization: Basic ..." (RFC 7617). NULL when memory is out. */
struct secret *header_basic(const char *user, const struct secret *password);

/* "X-Auth-Token: ...". NULL with FAULT_USAGE for what can be no token; source names where it comes
 * from. */
struct secret *header_token(const char *token, size_t len, const char *source, struct fault *fault);

#endif

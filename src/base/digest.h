/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests of what nmid sends: HMAC-SHA256 (RFC 2104, FIPS 180-4). */
#ifndef NMID_BASE_DIGEST_H
#define NMID_BASE_DIGEST_H

#include <stddef.h>
#include "base/secret.h"

#define DIGEST_SHA256_TEXT 65 /* 64 lower-case hexadecimal digits and a NUL */

/* The HMAC-SHA256 of the bytes under the key; -1 when libgcrypt refuses. It allocates nothing. */
int digest_hmac_sha256(const struct secret *key, const void *bytes, size_t len,
                       char ret_text[DIGEST_SHA256_TEXT]);

#endif

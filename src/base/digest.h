/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keyed digests: HMAC (RFC 2104) with SHA-1 and SHA-256 (FIPS 180-4). They allocate nothing. */
#ifndef NMID_BASE_DIGEST_H
#define NMID_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include "base/secret.h"

#define DIGEST_MAX         32 /* bytes of the longest digest */
#define DIGEST_SHA256_TEXT 65 /* 64 lower-case hexadecimal digits and a NUL */

enum digest { DIGEST_SHA1, DIGEST_SHA256 };

/* How long a digest of this kind is: 20 or 32 bytes. */
size_t digest_len(enum digest kind);

/* The HMAC of the bytes under the key; -1 when libgcrypt refuses (FIPS mode). */
int digest_hmac(enum digest kind, const void *key, size_t key_len, const void *bytes, size_t len,
                uint8_t ret_digest[DIGEST_MAX]);

/* The HMAC-SHA256 as text; -1 when libgcrypt refuses. */
int digest_hmac_sha256(const struct secret *key, const void *bytes, size_t len,
                       char ret_text[DIGEST_SHA256_TEXT]);

#endif

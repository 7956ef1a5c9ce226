/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HMAC is put together here from two plain hashes: libgcrypt's own allocates at its end, and
 * ends the whole process when there is no memory. A plain hash allocates nothing. */
#include "base/digest.h"

#include <gcrypt.h>
#include <string.h>

#define BLOCK 64 /* of either hash */
#define INNER 0x36
#define OUTER 0x5c

size_t digest_len(enum digest kind)
{
    return kind == DIGEST_SHA1 ? 20 : 32;
}

static int algorithm(enum digest kind)
{
    return kind == DIGEST_SHA1 ? GCRY_MD_SHA1 : GCRY_MD_SHA256;
}

/* Of the block, each byte of it changed by pad, and what follows it. */
static int hash(enum digest kind, const unsigned char block[BLOCK], unsigned char pad,
                const void *bytes, size_t len, uint8_t ret_digest[DIGEST_MAX])
{
    unsigned char padded[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        padded[i] = block[i] ^ pad;
    const gcry_buffer_t parts[] = {{.data = padded, .len = BLOCK},
                                   {.data = (void *)bytes, .len = len}};
    gcry_error_t error = gcry_md_hash_buffers(algorithm(kind), 0, ret_digest, parts, 2);
    secret_wipe(padded, sizeof padded);
    return error == 0 ? 0 : -1;
}

int digest_hmac(enum digest kind, const void *key, size_t key_len, const void *bytes, size_t len,
                uint8_t ret_digest[DIGEST_MAX])
{
    unsigned char block[BLOCK] = {0};
    uint8_t inner[DIGEST_MAX];
    if (key_len > BLOCK)
        gcry_md_hash_buffer(algorithm(kind), block, key, key_len);
    else if (key_len > 0)
        memcpy(block, key, key_len);
    int result = hash(kind, block, INNER, bytes, len, inner);
    if (result == 0)
        result = hash(kind, block, OUTER, inner, digest_len(kind), ret_digest);
    secret_wipe(block, sizeof block);
    secret_wipe(inner, sizeof inner);
    return result;
}

int digest_hmac_sha256(const struct secret *key, const void *bytes, size_t len,
                       char ret_text[DIGEST_SHA256_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[DIGEST_MAX];
    if (digest_hmac(DIGEST_SHA256, key->bytes, key->len, bytes, len, digest) < 0)
        return -1;
    for (size_t i = 0; i < DIGEST_MAX; i++) {
        ret_text[2 * i] = hex[digest[i] >> 4];
        ret_text[2 * i + 1] = hex[digest[i] & 15];
    }
    ret_text[DIGEST_SHA256_TEXT - 1] = '\0';
    return 0;
}

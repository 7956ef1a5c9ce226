/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HMAC is put together here from two plain hashes: libgcrypt's own allocates at its end, and
 * ends the whole process when there is no memory. A plain hash allocates nothing. */
#include "base/digest.h"

#include <gcrypt.h>
#include <string.h>

#define SHA256_BYTES 32
#define BLOCK        64
#define INNER        0x36
#define OUTER        0x5c

/* Of the block, each byte of it changed by pad, and what follows it. */
static int hash(const unsigned char block[BLOCK], unsigned char pad, const void *bytes, size_t len,
                unsigned char ret_digest[SHA256_BYTES])
{
    unsigned char padded[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        padded[i] = block[i] ^ pad;
    const gcry_buffer_t parts[] = {{.data = padded, .len = BLOCK},
                                   {.data = (void *)bytes, .len = len}};
    gcry_error_t error = gcry_md_hash_buffers(GCRY_MD_SHA256, 0, ret_digest, parts, 2);
    secret_wipe(padded, sizeof padded);
    return error == 0 ? 0 : -1;
}

int digest_hmac_sha256(const struct secret *key, const void *bytes, size_t len,
                       char ret_text[DIGEST_SHA256_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char block[BLOCK] = {0}, inner[SHA256_BYTES], digest[SHA256_BYTES];
    if (key->len <= BLOCK)
        memcpy(block, key->bytes, key->len);
    else
        gcry_md_hash_buffer(GCRY_MD_SHA256, block, key->bytes, key->len);
    int result = hash(block, INNER, bytes, len, inner);
    if (result == 0)
        result = hash(block, OUTER, inner, sizeof inner, digest);
    secret_wipe(block, sizeof block);
    if (result < 0)
        return -1;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        ret_text[2 * i] = hex[digest[i] >> 4];
        ret_text[2 * i + 1] = hex[digest[i] & 15];
    }
    ret_text[2 * SHA256_BYTES] = '\0';
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/digest.h"

#include <gcrypt.h>
#include <stdio.h>

#define SHA256_BYTES 32

int digest_hmac_sha256(const struct secret *key, const void *bytes, size_t len,
                       char ret_text[DIGEST_SHA256_TEXT])
{
    gcry_md_hd_t md;
    if (gcry_md_open(&md, GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC) != 0)
        return -1;
    const unsigned char *digest = NULL;
    if (gcry_md_setkey(md, key->bytes, key->len) == 0) {
        gcry_md_write(md, bytes, len);
        digest = gcry_md_read(md, GCRY_MD_SHA256);
    }
    for (size_t i = 0; digest != NULL && i < SHA256_BYTES; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
    gcry_md_close(md);
    return digest != NULL ? 0 : -1;
}

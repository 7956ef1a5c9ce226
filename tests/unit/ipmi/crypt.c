/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HMAC, AES and MD5 through libgcrypt; what fails here is the test's own mistake. */
#include "crypt.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

static void must(gcry_error_t error)
{
    if (error != 0)
        abort();
}

size_t crypt_code_len(unsigned suite)
{
    return suite == 17 ? 32 : 20;
}

size_t crypt_integrity_len(unsigned suite)
{
    return suite == 17 ? 16 : 12;
}

size_t crypt_hmac(unsigned suite, const void *key, size_t key_len, const void *bytes, size_t len,
                  uint8_t ret[32])
{
    gcry_md_hd_t md;
    int algorithm = suite == 17 ? GCRY_MD_SHA256 : GCRY_MD_SHA1;
    must(gcry_md_open(&md, algorithm, GCRY_MD_FLAG_HMAC));
    must(gcry_md_setkey(md, key, key_len));
    gcry_md_write(md, bytes, len);
    memcpy(ret, gcry_md_read(md, algorithm), crypt_code_len(suite));
    gcry_md_close(md);
    return crypt_code_len(suite);
}

void crypt_aes(int encrypt, const uint8_t key[16], const uint8_t iv[16], uint8_t *bytes, size_t len)
{
    gcry_cipher_hd_t cipher;
    must(gcry_cipher_open(&cipher, GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_CBC, 0));
    must(gcry_cipher_setkey(cipher, key, 16));
    must(gcry_cipher_setiv(cipher, iv, 16));
    must(encrypt ? gcry_cipher_encrypt(cipher, bytes, len, NULL, 0)
                 : gcry_cipher_decrypt(cipher, bytes, len, NULL, 0));
    gcry_cipher_close(cipher);
}

void crypt_md5(const void *bytes, size_t len, uint8_t ret[16])
{
    gcry_md_hash_buffer(GCRY_MD_MD5, ret, bytes, len);
}

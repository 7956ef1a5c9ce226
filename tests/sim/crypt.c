/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The algorithms of IPMI sessions, from libgcrypt: HMAC (RFC 2104) with SHA-1 and SHA-256, MD5
 * (RFC 1321) and AES-CBC (NIST SP 800-38A). The handles stay open: a benchmark asks thousands of
 * times a second. */
#include <gcrypt.h>
#include <string.h>
#include "crypt.h"

static gcry_md_hd_t hmacs[HASHES];
static gcry_cipher_hd_t aes;

size_t hash_length(enum hash hash)
{
    return hash == HASH_SHA1 ? 20 : hash == HASH_SHA256 ? 32 : 0;
}

size_t crypt_hmac(enum hash hash, const void *key, size_t key_length, const void *data,
                  size_t length, uint8_t *out)
{
    if (hash == HASH_NONE)
        return 0;
    gcry_md_setkey(hmacs[hash], key, key_length);
    gcry_md_write(hmacs[hash], data, length);
    memcpy(out, gcry_md_read(hmacs[hash], 0), hash_length(hash));
    return hash_length(hash);
}

void crypt_md5(const void *data, size_t length, uint8_t out[16])
{
    gcry_md_hash_buffer(GCRY_MD_MD5, out, data, length);
}

void crypt_encrypt(const uint8_t key[16], const uint8_t iv[16], void *data, size_t length)
{
    gcry_cipher_setkey(aes, key, 16);
    gcry_cipher_setiv(aes, iv, 16);
    gcry_cipher_encrypt(aes, data, length, NULL, 0);
}

void crypt_decrypt(const uint8_t key[16], const uint8_t iv[16], void *data, size_t length)
{
    gcry_cipher_setkey(aes, key, 16);
    gcry_cipher_setiv(aes, iv, 16);
    gcry_cipher_decrypt(aes, data, length, NULL, 0);
}

/* RFC 2202 and RFC 4231 test case 2, RFC 1321's "abc", SP 800-38A F.2.1's first block. */
static int check_vectors(void)
{
    static const char question[] = "what do ya want for nothing?";
    static const uint8_t sha1[] = {0xef, 0xfc, 0xdf, 0x6a, 0xe5},
                         sha256[] = {0x5b, 0xdc, 0xc1, 0x46};
    static const uint8_t md5[] = {0x90, 0x01, 0x50, 0x98}, cbc[] = {0x76, 0x49, 0xab, 0xac};
    static const uint8_t key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                    0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const uint8_t plain[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                      0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
    uint8_t iv[16], block[16], out[32];

    crypt_hmac(HASH_SHA1, "Jefe", 4, question, strlen(question), out);
    if (memcmp(out, sha1, sizeof(sha1)))
        return -1;
    crypt_hmac(HASH_SHA256, "Jefe", 4, question, strlen(question), out);
    if (memcmp(out, sha256, sizeof(sha256)))
        return -1;
    crypt_md5("abc", 3, out);
    if (memcmp(out, md5, sizeof(md5)))
        return -1;
    for (unsigned i = 0; i < sizeof(iv); i++)
        iv[i] = (uint8_t)i;
    memcpy(block, plain, sizeof(block));
    crypt_encrypt(key, iv, block, sizeof(block));
    if (memcmp(block, cbc, sizeof(cbc)))
        return -1;
    crypt_decrypt(key, iv, block, sizeof(block));
    return memcmp(block, plain, sizeof(block)) ? -1 : 0;
}

int crypt_init(void)
{
    if (!gcry_check_version("1.9.0"))
        return -1;
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    if (gcry_md_open(&hmacs[HASH_SHA1], GCRY_MD_SHA1, GCRY_MD_FLAG_HMAC) ||
        gcry_md_open(&hmacs[HASH_SHA256], GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC) ||
        gcry_cipher_open(&aes, GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_CBC, 0))
        return -1;
    return check_vectors();
}

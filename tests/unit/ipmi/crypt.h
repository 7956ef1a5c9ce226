/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cryptography of the BMC in a test, on libgcrypt. */
#ifndef NMID_TESTS_IPMI_CRYPT_H
#define NMID_TESTS_IPMI_CRYPT_H

#include <stddef.h>
#include <stdint.h>

/* HMAC-SHA1 (suite 3) or HMAC-SHA256 (suite 17); writes and returns its 20 or 32 bytes. */
size_t crypt_hmac(unsigned suite, const void *key, size_t key_len, const void *bytes, size_t len,
                  uint8_t ret[32]);
size_t crypt_code_len(unsigned suite);      /* of a key exchange code: 20 or 32 */
size_t crypt_integrity_len(unsigned suite); /* of the codes of RAKP 4 and of messages: 12 or 16 */

/* AES-CBC-128 in place; len is a multiple of 16. */
void crypt_aes(int encrypt, const uint8_t key[16], const uint8_t iv[16], uint8_t *bytes,
               size_t len);

void crypt_md5(const void *bytes, size_t len, uint8_t ret[16]);

#endif

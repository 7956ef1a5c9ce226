/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The algorithms of IPMI sessions, from libgcrypt. */
#ifndef BMCSIM_CRYPT_H
#define BMCSIM_CRYPT_H

#include <stddef.h>
#include <stdint.h>

enum hash { HASH_NONE, HASH_SHA1, HASH_SHA256, HASHES };

/* Opens the handles and checks each algorithm against a published vector; 0 or -1. */
int crypt_init(void);
size_t hash_length(enum hash hash);

/* HMAC of `data` into out[32]; returns the digest's length. */
size_t crypt_hmac(enum hash hash, const void *key, size_t key_length, const void *data,
                  size_t length, uint8_t *out);
void crypt_md5(const void *data, size_t length, uint8_t out[16]);
/* AES-CBC-128 in place; length is a multiple of 16. */
void crypt_encrypt(const uint8_t key[16], const uint8_t iv[16], void *data, size_t length);
void crypt_decrypt(const uint8_t key[16], const uint8_t iv[16], void *data, size_t length);

#endif

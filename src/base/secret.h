/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A secret: bytes in memory that is locked, left out of core dumps and wiped (base/vault.h), and
 * that nothing prints. */
#ifndef NMID_BASE_SECRET_H
#define NMID_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
    size_t len;
    unsigned char bytes[]; /* len bytes, then a NUL for the libraries that want one */
};

/* A copy of len bytes (NULL: zeros, to be filled); NULL when memory is out. */
struct secret *secret_new(const void *bytes, size_t len);

/* Wipes and frees; NULL is allowed. */
void secret_free(struct secret *secret);

/* Overwrites bytes in a way that the compiler keeps. */
void secret_wipe(void *bytes, size_t len);

/* Equality in a time that depends on the lengths alone. */
bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* len random bytes from the kernel (getrandom); aborts the process if the kernel has none. */
void secret_random(void *bytes, size_t len);

#endif

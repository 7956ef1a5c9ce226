/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/vault.h"

struct secret *secret_new(const void *bytes, size_t len)
{
    struct secret *secret =
        len > SIZE_MAX - sizeof *secret - 1 ? NULL : vault_take(sizeof *secret + len + 1);
    if (secret == NULL)
        return NULL;
    secret->len = len;
    if (len > 0 && bytes != NULL)
        memcpy(secret->bytes, bytes, len);
    return secret;
}

void secret_free(struct secret *secret)
{
    vault_give(secret);
}

void secret_wipe(void *bytes, size_t len)
{
    explicit_bzero(bytes, len);
}

bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    const volatile unsigned char *x = a, *y = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < a_len; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}

void secret_random(void *bytes, size_t len)
{
    unsigned char *p = bytes;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* session keys without randomness are worse than no daemon */
        p += n;
        len -= (size_t)n;
    }
}

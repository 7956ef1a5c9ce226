/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/verify.h"

#include <stddef.h>
#include <string.h>

const char *verify_explain(const char *library, long result)
{
    /* gnutls_certificate_status_t, which is part of GnuTLS's ABI. In the order of what to mend
     * first: that a stranger's certificate has expired too helps nobody. */
    static const struct {
        unsigned bit;
        const char *what;
    } rows[] = {
        {6, "is not signed by a CA that is known here"},
        {7, "is signed by something that is no CA"},
        {5, "was revoked"},
        {10, "has expired"},
        {9, "is not valid yet"},
        {8, "is signed with an algorithm that is not secure"},
        {18, "is made for another purpose than a server's"},
        {11, "has a bad signature"},
        {16, "breaks the constraints of its CA"},
        {21, "has a critical extension that is not known here"},
        {1, "is not valid"},
    };
    if (library == NULL || strncmp(library, "GnuTLS", 6) != 0 || result <= 0)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (((unsigned long)result & 1ul << rows[i].bit) != 0)
            return rows[i].what;
    return NULL;
}

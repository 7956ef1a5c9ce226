/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said of a certificate that was refused: libcurl hands GnuTLS's bits on as a number, and
 * no compiler compares those of base/verify.c with GnuTLS's own; this does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/verify.h"

#if __has_include(<gnutls/gnutls.h>)
#include <gnutls/gnutls.h>

#define GNUTLS "GnuTLS/3.7.9"

static void test_bits(void **state)
{
    static const struct {
        unsigned bits;
        const char *what;
    } rows[] = {
        {GNUTLS_CERT_SIGNER_NOT_FOUND, "is not signed by a CA that is known here"},
        {GNUTLS_CERT_SIGNER_NOT_CA, "is signed by something that is no CA"},
        {GNUTLS_CERT_REVOKED, "was revoked"},
        {GNUTLS_CERT_EXPIRED, "has expired"},
        {GNUTLS_CERT_NOT_ACTIVATED, "is not valid yet"},
        {GNUTLS_CERT_INSECURE_ALGORITHM, "is signed with an algorithm that is not secure"},
        {GNUTLS_CERT_PURPOSE_MISMATCH, "is made for another purpose than a server's"},
        {GNUTLS_CERT_SIGNATURE_FAILURE, "has a bad signature"},
        {GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, "breaks the constraints of its CA"},
        {GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS, "has a critical extension that is not known here"},
        {0, "is not valid"},
        /* That it has expired too helps nobody who does not know who signed it. */
        {GNUTLS_CERT_EXPIRED | GNUTLS_CERT_SIGNER_NOT_FOUND,
         "is not signed by a CA that is known here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(verify_explain(GNUTLS, (long)(rows[i].bits | GNUTLS_CERT_INVALID)),
                            rows[i].what);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_null(verify_explain(GNUTLS, 0));
    assert_null(verify_explain(GNUTLS, GNUTLS_E_NO_CERTIFICATE_FOUND)); /* an error, and no bits */
    assert_null(verify_explain(GNUTLS, 1L << 30));
    /* Another library's numbers mean something else. */
    assert_null(verify_explain("OpenSSL/3.0.19", 18));
    assert_null(verify_explain(NULL, 66));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    fputs("skipped: GnuTLS's headers are not installed\n", stderr);
    return 77;
}
#endif

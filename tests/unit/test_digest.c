/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HMAC-SHA256 by the test cases of RFC 4231, HMAC-SHA1 by those of RFC 2202. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"

static void expect(const void *key, size_t key_len, const void *bytes, size_t len,
                   const char *digest)
{
    char text[DIGEST_SHA256_TEXT];
    struct secret *secret = secret_new(key, key_len);
    memset(text, 'x', sizeof text);
    assert_int_equal(digest_hmac_sha256(secret, bytes, len, text), 0);
    assert_string_equal(text, digest);
    secret_free(secret);
}

static void test_rfc_4231(void **state)
{
    static const char hash_key_first[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    unsigned char key[131], data[50];
    (void)state;
    memset(key, 0x0b, 20);
    expect(key, 20, "Hi There", 8,
           "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect("Jefe", 4, "what do ya want for nothing?", 28,
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    expect(key, 20, data, sizeof data,
           "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    expect(key, 131, hash_key_first, strlen(hash_key_first),
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void expect_sha1(const void *key, size_t key_len, const char *bytes, const char *expected)
{
    uint8_t digest[DIGEST_MAX];
    char text[2 * DIGEST_MAX + 1];
    assert_int_equal(digest_len(DIGEST_SHA1), 20);
    assert_int_equal(digest_hmac(DIGEST_SHA1, key, key_len, bytes, strlen(bytes), digest), 0);
    for (size_t i = 0; i < 20; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void test_rfc_2202(void **state)
{
    unsigned char key[80];
    (void)state;
    memset(key, 0x0b, sizeof key);
    expect_sha1(key, 20, "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00");
    expect_sha1("Jefe", 4, "what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    memset(key, 0xaa, sizeof key);
    expect_sha1(key, 80, "Test Using Larger Than Block-Size Key - Hash Key First",
                "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

static void test_nothing_to_sign(void **state)
{
    (void)state;
    expect("key", 3, "", 0, "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0");
}

static void *no_room(size_t size)
{
    (void)size;
    return NULL;
}

static void *no_more_room(void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return NULL;
}

static int is_secure(const void *bytes)
{
    (void)bytes;
    return 0;
}

/* A token is digested for each request: a daemon whose memory is out must not end of it. The last
 * test, for libgcrypt gets no more memory after it. */
static void test_no_memory(void **state)
{
    (void)state;
    gcry_set_allocation_handler(no_room, no_room, is_secure, no_more_room, free);
    expect("Jefe", 4, "what do ya want for nothing?", 28,
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect_sha1("Jefe", 4, "what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_4231),
        cmocka_unit_test(test_rfc_2202),
        cmocka_unit_test(test_nothing_to_sign),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* URLs: what is normalised, what is refused, and what lies below a prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/url.h"

static struct url good(const char *text)
{
    struct url url;
    struct fault fault = {0};
    if (url_parse(text, &url, &fault) < 0)
        fail_msg("%s: %s", text, fault.message);
    return url;
}

static void expect(const char *text, const char *normalised, const char *origin)
{
    struct url url = good(text), again;
    assert_string_equal(url.text, normalised);
    assert_int_equal(url.origin_len, strlen(origin));
    assert_memory_equal(url.text, origin, strlen(origin));
    assert_int_equal(url.encrypted, strncmp(normalised, "https", 5) == 0);
    again = good(url.text);
    assert_string_equal(again.text, url.text);
}

static void test_normalised(void **state)
{
    (void)state;
    expect("http://a", "http://a/", "http://a");
    expect("HTTPS://Hooks.EXAMPLE:443/Nmid?Q=A%2fb", "https://hooks.example/Nmid?Q=A%2fb",
           "https://hooks.example");
    expect("http://a:80/", "http://a/", "http://a");
    expect("http://a:443/", "http://a:443/", "http://a:443");
    expect("https://127.0.0.1:08443/x", "https://127.0.0.1:8443/x", "https://127.0.0.1:8443");
    expect("http://[2001:DB8::1]:8080/x//y/", "http://[2001:db8::1]:8080/x//y/",
           "http://[2001:db8::1]:8080");
    expect("http://3rd/", "http://3rd/", "http://3rd");
    expect("http://[0:0::0001]/", "http://[::1]/", "http://[::1]");
    expect("http://a?b=c@d/../e", "http://a/?b=c@d/../e", "http://a");
    expect("http://a/b%20c;d=1/.well-known/...", "http://a/b%20c;d=1/.well-known/...", "http://a");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "a",
        "//a/",
        "ftp://a/",
        "file:///etc/passwd",
        "http:/a",
        "http:a",
        "http://",
        "http:///x",
        "http://:80/",
        "http://.a/",
        "http://-a/",
        "http://a:/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:123456/",
        "http://a:-1/",
        "http://a:8o/",
        " http://a/",
        /* two readers, two hosts */
        "http://good.example@evil.example/",
        "http://u:p@a/",
        "http://a:80@b/",
        "http://a\\@b/",
        "http://a\\b/",
        "http://a#b/",
        "http://a/#b",
        "http://a/b@c",
        "http://a b/",
        "http://a/b c",
        "http://a%2eb/",
        "http://a_b,c/",
        "http://\xc3\xbc.example/",
        "http://a/\xc3\xbc",
        "http://[::1/",
        "http://[::1]x/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        /* an address that looks like none */
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1.1/",
        "http://a.1/",
        "http://a./",
        "http://a..b/",
        /* control characters */
        "http://a/\r\nX: y",
        "http://a/\tb",
        "http://a/\x7f",
        "http://a/%0d%0ax",
        "http://a/%00",
        "http://a\n/",
        "http://a/?\r\n",
        /* a way up */
        "http://a/..",
        "http://a/../b",
        "http://a/b/..",
        "http://a/b/../c",
        "http://a/./b",
        "http://a/.",
        "http://a/%2e%2e/b",
        "http://a/.%2E/b",
        "http://a/..%2fb",
        "http://a/b%5c..%5cc",
        "http://a/..;/b",
        "http://a/..;x=y/b",
        "http://a/%252e%252e/b",
        "http://a/.;/b",
        "http://a/%3fb",
        "http://a/..?b",
        /* half an escape */
        "http://a/%",
        "http://a/%2",
        "http://a/%2g",
        "http://a/?%",
        "http://a/?%zz",
        "http://a/\"",
        "http://a/<b>",
        "http://a/{b}",
        "http://a/b|c",
        "http://a/^",
        "http://a/`",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url url = {.text = "untouched"};
        struct fault fault = {0};
        if (url_parse(bad[i], &url, &fault) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(fault.code, FAULT_MALFORMED);
        assert_true(fault.message[0] != '\0');
        assert_string_equal(url.text, "untouched");
    }
}

static void test_long(void **state)
{
    char text[URL_TEXT + 1];
    struct url url;
    struct fault fault = {0};
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "http://a/", 9);
    text[2048] = '\0';
    assert_string_equal(good(text).text, text);
    memcpy(text, "http://a?", 9); /* the slash that it gets is one too many */
    assert_int_equal(url_parse(text, &url, &fault), -1);
    memcpy(text, "http://a/", 9);
    text[2048] = 'a';
    text[2049] = '\0';
    assert_int_equal(url_parse(text, &url, &fault), -1);
    text[260] = '\0';
    memset(text + 7, 'a', 253);
    assert_int_equal(good(text).origin_len, 260);
    text[260] = 'a';
    text[261] = '\0';
    assert_int_equal(url_parse(text, &url, &fault), -1);
}

static bool below(const char *text, const char *prefix)
{
    struct url url = good(text), above = good(prefix);
    return url_below(&url, &above);
}

static void test_below(void **state)
{
    (void)state;
    assert_true(below("https://a/", "https://a/"));
    assert_true(below("https://a/x/y?z", "https://a/"));
    assert_true(below("https://A:443/x", "HTTPS://a/"));
    assert_true(below("https://a/x/", "https://a/x/"));
    assert_true(below("https://a/x/y", "https://a/x/"));
    assert_false(below("https://a/x", "https://a/x/"));
    assert_true(below("https://a/x", "https://a/x"));
    assert_true(below("https://a/x/y", "https://a/x"));
    assert_true(below("https://a/x?y", "https://a/x"));
    assert_false(below("https://a/xy", "https://a/x"));
    assert_false(below("https://a/X", "https://a/x"));
    assert_false(below("http://a/x", "https://a/"));
    assert_false(below("https://a:444/x", "https://a/"));
    assert_false(below("https://a.evil/x", "https://a/"));
    assert_false(below("https://a.evil/a/", "https://a/"));
    assert_false(below("https://b.a/x", "https://a/"));
    assert_false(below("https://a:80/", "https://a:8/"));
}

static void test_loopback(void **state)
{
    static const char *const yes[] = {"http://localhost/", "http://LocalHost:8080/x",
                                      "http://127.0.0.1/", "https://127.9.8.7:1/", "http://[::1]/"};
    static const char *const no[] = {"http://localhost.example/",
                                     "http://127.0.0.1.example/",
                                     "http://10.127.0.1/",
                                     "http://a/",
                                     "http://[::2]/",
                                     "http://127.example/"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        struct url url = good(yes[i]);
        assert_true(url_is_loopback(&url));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        struct url url = good(no[i]);
        assert_false(url_is_loopback(&url));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalised), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long),       cmocka_unit_test(test_below),
        cmocka_unit_test(test_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

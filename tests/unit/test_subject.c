/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subjects of certificates: what is the same, what is not, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/subject.h"

#define MUELLER "CN=M\xc3\xbcller"
#define HUNDRED                                                                                    \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaa"

static const struct {
    const char *text, *normal;
} same[] = {
    {"CN=bob", "CN=bob"},
    {"cn=bob", "CN=bob"},
    {"commonName=bob", "CN=bob"},
    {"2.5.4.3=bob", "CN=bob"},
    {"OID.2.5.4.3=bob", "CN=bob"},
    {"oid.2.5.4.3=#0c03626f62", "CN=bob"},
    {"CN=#1303626F62", "CN=bob"},
    {"CN=bob,O=example", "CN=bob,O=example"},
    {" CN = bob , O = example ", "CN=bob,O=example"},
    {"O=example,CN=bob", "O=example,CN=bob"}, /* another name: the order counts */
    {"CN=Bob", "CN=Bob"},                     /* and so does the case of a value */
    /* openssl x509 -nameopt RFC2253, and what GnuTLS has of the same */
    {"CN=M\\C3\\BCller", MUELLER},
    {"CN=M\\c3\\bcller", MUELLER},
    {MUELLER, MUELLER},
    {"\x43N=\\4d\\C3\\BC\\6C\\6c\\65\\72", MUELLER},
    {"UID=7+CN=mu", "CN=mu+UID=7"},
    {"CN=mu+UID=7", "CN=mu+UID=7"},
    {"cn=mu + uid=7,O=a", "CN=mu+UID=7,O=a"},
    {"OU=b+OU=a+OU=aa,O=z", "OU=a+OU=aa+OU=b,O=z"},
    {"emailAddress=a@b", "emailAddress=a@b"},
    {"EMAIL=a@b", "emailAddress=a@b"},
    {"1.2.840.113549.1.9.1=a@b", "emailAddress=a@b"},
    {"surName=x,givenName=y,title=z", "SN=x,GN=y,title=z"},
    {"SN=x,GN=y,serialNumber=1", "SN=x,GN=y,serialNumber=1"},
    {"street=x,postalCode=1", "STREET=x,postalCode=1"},
    {"jurisdictionC=DE", "jurisdictionC=DE"},
    {"jurisdictionOfIncorporationCountryName=DE", "jurisdictionC=DE"},
    {"organizationIdentifier=abc", "organizationIdentifier=abc"},
    {"2.5.4.97=#0c03616263", "organizationIdentifier=abc"},
    {"1.2.3.4=#0C03616263", "1.2.3.4=abc"},
    /* Kept: no string that is known, or not only text */
    {"1.2.3.4=#04024869", "1.2.3.4=#04024869"},
    {"1.2.3.4=#0201FF", "1.2.3.4=#0201ff"},
    {"CN=#0c11626f62002e6576696c2e6578616d706c65", "CN=#0c11626f62002e6576696c2e6578616d706c65"},
    {"CN=#0c04626f62", "CN=#0c04626f62"}, /* cut off */
    {"CN=#0c02626f62", "CN=#0c02626f62"}, /* with more behind it */
    {"CN=#0c8103626f62", "CN=bob"},       /* its length in a longer form */
    {"CN=#0c", "CN=#0c"},
    {"CN=#0c81", "CN=#0c81"},
    {"CN=#0c8200", "CN=#0c8200"},
    {"CN=#0c8003626f62", "CN=#0c8003626f62"},
    {"CN=#0c00", "CN="},
    /* Escapes, quotes and blanks */
    {"CN=a\\,b,O=c\\+d", "CN=a\\,b,O=c\\+d"},
    {"CN=a\\2cb", "CN=a\\,b"},
    {"CN=\"a,b\"", "CN=a\\,b"},
    {"CN=\"a\\\"b\\\\c\" , O=d", "CN=a\\\"b\\\\c,O=d"},
    {"CN=\" a \"", "CN=\\ a\\ "},
    {"CN=\\ a\\ ", "CN=\\ a\\ "},
    {"CN=\\20a\\20", "CN=\\ a\\ "},
    {"CN=a\\  ", "CN=a\\ "},
    {"CN=\\ ", "CN=\\ "},
    {"CN=\"#1\"", "CN=\\#1"},
    {"CN=\\#1", "CN=\\#1"},
    {"CN=a#1=b", "CN=a#1=b"},
    {"CN=a\\#\\=b", "CN=a#=b"},
    {"CN=\\<a\\>\\;", "CN=\\<a\\>\\;"},
    {"CN=a  b", "CN=a  b"},
    {"CN=", "CN="},
    {"CN=,O=", "CN=,O="},
    {"CN=\"\"", "CN="},
    {"C=DE, O=example, CN=bob", "C=DE,O=example,CN=bob"},
    {"CN=\xf0\x9f\x92\xa5", "CN=\xf0\x9f\x92\xa5"},
};

static void test_one_form(void **state)
{
    char once[SUBJECT_MAX], twice[SUBJECT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct fault fault = {0};
        if (subject_normalise(same[i].text, once, &fault) < 0)
            fail_msg("\"%s\": %s", same[i].text, fault.message);
        if (strcmp(once, same[i].normal) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", same[i].text, once, same[i].normal);
        assert_int_equal(subject_normalise(once, twice, &fault), 0);
        assert_string_equal(twice, once);
    }
}

static const struct {
    const char *text, *why;
} none[] = {
    {"", "each part is TYPE=VALUE"},
    {"bob", "each part is TYPE=VALUE"},
    {"=bob", "each part is TYPE=VALUE"},
    {"CN=bob,", "each part is TYPE=VALUE"},
    {"CN=bob,,O=example", "each part is TYPE=VALUE"},
    {"CN=bob+", "each part is TYPE=VALUE"},
    {"CN=bob,O", "each part is TYPE=VALUE"},
    {",CN=bob", "each part is TYPE=VALUE"},
    {"C N=bob", "each part is TYPE=VALUE"},
    {"/O=example/CN=bob", "commas stand between its parts, not slashes"},
    {"subject=CN=bob", "\"subject=\" is no part of it"},
    {"subject=C = DE, CN = bob", "\"subject=\" is no part of it"},
    {"NOSUCH=bob", "a type is not known by this name: its OID always is"},
    {"1=bob", "a type is not known by this name: its OID always is"},
    {"1.=bob", "a type is not known by this name: its OID always is"},
    {"1..2=bob", "a type is not known by this name: its OID always is"},
    {"1.02=bob", "a type is not known by this name: its OID always is"},
    {"OID.CNN=bob", "a type is not known by this name: its OID always is"},
    {"1." HUNDRED "=bob", "a type is not known by this name: its OID always is"},
    {"CN=a\\", "behind \"\\\" stands a special character or two hexadecimal digits"},
    {"CN=a\\x", "behind \"\\\" stands a special character or two hexadecimal digits"},
    {"CN=a\\c", "behind \"\\\" stands a special character or two hexadecimal digits"},
    {"CN=\"a", "a quote does not end"},
    {"CN=\"a\\\"", "a quote does not end"},
    {"CN=\"a\"b", "behind a value stands a comma or the end"},
    {"CN=a\"b\"", "a \" ; < > in a value has a \"\\\" before it"},
    {"CN=bob;O=example", "a \" ; < > in a value has a \"\\\" before it"},
    {"CN=<bob>", "a \" ; < > in a value has a \"\\\" before it"},
    {"CN=#", "behind \"#\" stand pairs of hexadecimal digits"},
    {"CN=#bob", "behind \"#\" stand pairs of hexadecimal digits"},
    {"CN=#0c0", "behind a value stands a comma or the end"},
    {"CN=#0c00x", "behind a value stands a comma or the end"},
    {"CN=bob\n", "it is UTF-8 without control characters"},
    {"CN=bob\\0aCN=root", "it is UTF-8 without control characters"},
    {"CN=bob\\00", "it is UTF-8 without control characters"},
    {"CN=\x1b[2J", "it is UTF-8 without control characters"},
    {"CN=\x7f", "it is UTF-8 without control characters"},
    {"CN=\\C2\\9B2J", "it is UTF-8 without control characters"},
    {"CN=\xff", "it is UTF-8 without control characters"},
    {"CN=M\\C3ller", "it is UTF-8 without control characters"},
    {"CN=\xc3", "it is UTF-8 without control characters"},
    {"CN=\xc0\x80", "it is UTF-8 without control characters"},
    {"CN=\xe0\x80\xaf", "it is UTF-8 without control characters"},
    {"CN=\xed\xa0\x80", "it is UTF-8 without control characters"},
    {"CN=\xf4\x90\x80\x80", "it is UTF-8 without control characters"},
    {"CN=\xf8\x88\x80\x80\x80", "it is UTF-8 without control characters"},
    {"CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a+CN=a",
     "a part has too many values"},
};

static void test_none(void **state)
{
    char subject[SUBJECT_MAX], expected[FAULT_MESSAGE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct fault fault = {0};
        if (subject_normalise(none[i].text, subject, &fault) == 0)
            fail_msg("\"%s\" is \"%s\"", none[i].text, subject);
        assert_int_equal(fault.code, FAULT_CONF);
        assert_string_equal(subject, "");
        snprintf(expected, sizeof expected,
                 "expected a certificate's subject as in RFC 4514, e.g. \"CN=name,O=example\": %s",
                 none[i].why);
        assert_string_equal(fault.message, expected);
    }
}

/* The longest that is taken, and one byte more; and escapes that are shorter than what they stand
 * for. */
static void test_sizes(void **state)
{
    char text[SUBJECT_MAX * 5], subject[SUBJECT_MAX];
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "CN=", 3);
    text[SUBJECT_MAX - 1] = '\0';
    assert_int_equal(subject_normalise(text, subject, NULL), 0);
    assert_string_equal(subject, text);
    text[SUBJECT_MAX - 1] = 'a';
    for (size_t len = SUBJECT_MAX; len < sizeof text; len += len < SUBJECT_MAX + 9 ? 1 : 500) {
        text[len] = '\0';
        assert_int_equal(subject_normalise(text, subject, NULL), -1);
        text[len] = 'a';
    }
    for (size_t at = 3; at < sizeof text; at += 3) /* "\61" is "a" */
        memcpy(text + at, "\\61", sizeof text - at < 3 ? sizeof text - at : 3);
    text[3 + 3 * (SUBJECT_MAX - 4)] = '\0';
    assert_int_equal(subject_normalise(text, subject, NULL), 0);
    assert_int_equal(strlen(subject), SUBJECT_MAX - 1);
    for (size_t at = 3; at < SUBJECT_MAX; at++) /* each of them becomes two */
        text[at] = at % 2 == 1 ? '\\' : ',';
    text[3 + 2 * 510] = '\0';
    assert_int_equal(subject_normalise(text, subject, NULL), 0);
    memset(text, '"', 3 + 600);
    memcpy(text, "CN=\"", 4);
    for (size_t at = 4; at < 600; at++)
        text[at] = ';';
    text[600] = '"';
    text[601] = '\0';
    assert_int_equal(subject_normalise(text, subject, NULL), -1);
    assert_string_equal(subject, "");
}

static void test_turned(void **state)
{
    static const struct {
        const char *subject;
        bool turned;
    } rows[] = {
        {"C=DE,O=example,CN=bob", true},
        {"O=example,CN=bob", true},
        {"DC=net,DC=example,CN=bob", true},
        {"L=Berlin,CN=bob", true},
        {"ST=Berlin,UID=7", true},
        {"C=DE,CN=bob,emailAddress=a@b", true},
        {"CN=bob,O=example,C=DE", false},
        {"CN=bob", false},
        {"DC=conductor,DC=example,DC=net", false},
        {"UID=7,O=example", false},
        {"O=example\\,CN=bob", false},
        {"O=example\\\\,CN=bob", true},
        {"OU=x,CN=bob", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(subject_looks_turned(rows[i].subject), rows[i].turned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_form),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_turned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth = { strategy = "client_certificate"; ... }: its users, their subjects, and its complaints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf_lab.h"
#include "core/conf_parts.h"

#define NO_NODES "nmid.conf: nodes: there are none"

struct complaint {
    const char *text, *told;
};

#define CERTIFICATE(rest) "auth = { strategy = \"client_certificate\";\n" rest " };\n" ELSEWHERE
#define ELSEWHERE         "listen = ( { socket = \"/s\"; auth = { strategy = \"none\"; }; } );"
#define ADMIN             "roles = [\"admin\"];"

static void test_client_certificate(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab,
                  CERTIFICATE("users = ( { subject = \"CN=conductor,OU=cloud,O=example\";\n"
                              "name = \"ironic\"; roles = [\"member\"]; project_id = \"demo\"; },\n"
                              "{ subject = \"cn=root, o=example\"; system = true; " ADMIN " },\n"
                              "{ subject = \"CN=poor\"; roles = [\"member\"]; } );")),
        0);
    LAB_WARNINGS(lab,
                 "nmid.conf:5: auth.users.roles: CN=poor may nothing with these roles but in a "
                 "project: no project_id is given",
                 NO_NODES);
    const struct conf_auth *auth = &lab->conf->auths[0];
    assert_int_equal(auth->strategy, AUTH_CLIENT_CERTIFICATE);
    assert_int_equal(auth->user_count, 3);
    const struct conf_user *users = auth->users;
    assert_string_equal(users[0].subject, "CN=conductor,OU=cloud,O=example");
    assert_string_equal(users[0].name, "ironic");
    assert_string_equal(users[0].project_id, "demo");
    assert_string_equal(users[1].subject, "CN=root,O=example"); /* in the one form */
    assert_string_equal(users[1].name, "CN=root,O=example");
    assert_true(users[1].system);
    struct conf_auth copy = {0};
    assert_int_equal(conf_auth_copy(auth, &copy), 0);
    assert_string_equal(copy.users[0].subject, users[0].subject);
    assert_ptr_not_equal(copy.users[0].subject, users[0].subject);
    conf_auth_clear(&copy);
}

/* As openssl prints it by itself. It may be what the certificate has: so it stays. */
static void test_a_subject_that_is_turned(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, CERTIFICATE("users = ( { subject = \"C = DE, O = example, CN = bob\"; " ADMIN
                                   " } );")),
        0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: auth.users.subject: C=DE,O=example,CN=bob begins with its most "
                 "general part: RFC 4514 begins with CN; openssl x509 -nameopt RFC2253 prints it so",
                 NO_NODES);
    assert_string_equal(lab->conf->auths[0].users[0].subject, "C=DE,O=example,CN=bob");
}

static void test_client_certificate_complaints(void **state)
{
#define USERS(rest) CERTIFICATE("users = ( { " rest ADMIN " } );")
#define NO_SUBJECT                                                                                 \
    "nmid.conf:2: auth.users.subject: expected a certificate's subject as in RFC 4514, e.g. "      \
    "\"CN=name,O=example\": "
#define BAD_NAME                                                                                   \
    "nmid.conf:2: auth.users.name: expected 1 to 255 bytes, none of them a control character"
    static const struct complaint rows[] = {
        {CERTIFICATE(""),
         "nmid.conf:1: auth.users: missing: expected users = ( { subject = "
         "\"CN=conductor,O=example\"; roles = [\"member\"]; project_id = \"...\"; } ); who is not "
         "in it may nothing"},
        {USERS("name = \"a\";"), "nmid.conf:2: auth.users.subject: missing: expected a "
                                 "certificate's, as in \"CN=conductor,O=example\""},
        {USERS("subject = 1;"),
         "nmid.conf:2: auth.users.subject: expected a string (in double quotes)"},
        {USERS("subject = \"conductor\";"), NO_SUBJECT "each part is TYPE=VALUE"},
        {USERS("subject = \"\";"), NO_SUBJECT "each part is TYPE=VALUE"},
        {USERS("subject = \"CN=a,O\";"), NO_SUBJECT "each part is TYPE=VALUE"},
        {USERS("subject = \"/O=a/CN=b\";"),
         NO_SUBJECT "commas stand between its parts, not slashes"},
        {USERS("subject = \"CN=a+UID=7\"; " ADMIN " },\n{ subject = \"uid=7 + cn=a\"; name = \"x\";"),
         "nmid.conf:3: auth.users.subject: CN=a+UID=7 is listed twice"},
        {USERS("subject = \"CN=a\"; name = \"\";"), BAD_NAME},
        {USERS("subject = \"CN=a\"; name = \"a\\tb\";"), BAD_NAME},
        {USERS("subject = \"CN=a,O=b\"; " ADMIN " },\n{ subject = \"cn=a, o=b\"; name = \"x\";"),
         "nmid.conf:3: auth.users.subject: CN=a,O=b is listed twice"},
        {USERS("subject = \"CN=a\"; " ADMIN " },\n{ subject = \"CN=b\"; name = \"CN=a\";"),
         "nmid.conf:3: auth.users.name: CN=a is listed twice"},
        {USERS("subject = \"CN=a\"; user = \"root\";"),
         "nmid.conf:2: auth.users.user: unknown key"},
        {CERTIFICATE("user_file = \"x\"; users = ( { subject = \"CN=a\"; " ADMIN " } );"),
         "nmid.conf:2: auth.user_file: strategy \"client_certificate\" has no such key"},
        {CERTIFICATE("insecure = true; users = ( { subject = \"CN=a\"; " ADMIN " } );"),
         "nmid.conf:2: auth.insecure: strategy \"client_certificate\" has no such key"},
        {NULL, NULL},
    };
    struct lab *lab = *state;
    for (const struct complaint *row = rows; row->text != NULL; row++) {
        assert_int_equal(lab_parse(lab, row->text), -1);
        LAB_ERRORS(lab, row->told);
        report_clear(&lab->warnings);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_client_certificate),
        CASE(test_a_subject_that_is_turned),
        CASE(test_client_certificate_complaints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

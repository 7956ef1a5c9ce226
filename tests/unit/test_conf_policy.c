/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy = { ... } and audit = { ... }: every key, its default and its complaints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "conf/conf_lab.h"

#define NO_NODES "nmid.conf: nodes: there are none"

static void assert_checks(const struct conf_policy *policy, const enum policy_check *checks)
{
    for (enum policy_rule rule = 0; rule < POLICY_RULES; rule++)
        assert_int_equal(policy->checks[rule], checks[rule]);
}

static void assert_names(const struct conf_names *names, const char *first, const char *second)
{
    assert_int_equal(names->count, second != NULL ? 2 : 1);
    assert_string_equal(names->names[0], first);
    if (second != NULL)
        assert_string_equal(names->names[1], second);
}

static void test_defaults(void **state)
{
    static const enum policy_check checks[POLICY_RULES] = {
        [POLICY_INJECT_NMI] = POLICY_ADMIN_OR_OWNER,
        [POLICY_FORCE] = POLICY_ADMIN,
        [POLICY_PROBE] = POLICY_ADMIN_OR_OWNER,
        [POLICY_READ] = POLICY_ADMIN_OR_OWNER,
        [POLICY_LOCK] = POLICY_ADMIN,
        [POLICY_AUDIT] = POLICY_ADMIN,
        [POLICY_METRICS] = POLICY_ADMIN,
    };
    static const char *const texts[] = {"", "policy = { }; audit = { };"};
    struct lab *lab = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lab_parse(lab, texts[i]), 0);
        LAB_WARNINGS(lab, NO_NODES);
        assert_checks(&lab->conf->policy, checks);
        assert_names(&lab->conf->policy.roles[ROLE_READER], "reader", NULL);
        assert_names(&lab->conf->policy.roles[ROLE_MEMBER], "member", NULL);
        assert_names(&lab->conf->policy.roles[ROLE_ADMIN], "admin", NULL);
        assert_false(lab->conf->policy.system_admin_only);
        assert_int_equal(lab->conf->audit.records, 1000000);
        assert_int_equal(lab->conf->audit.days, 365);
        assert_int_equal(lab->conf->audit.refusals, 100);
        assert_false(lab->conf->audit.reads);
    }
}

static void test_every_key(void **state)
{
    static const enum policy_check checks[POLICY_RULES] = {
        [POLICY_INJECT_NMI] = POLICY_OWNER, [POLICY_FORCE] = POLICY_ADMIN_OR_OWNER,
        [POLICY_PROBE] = POLICY_ADMIN,      [POLICY_READ] = POLICY_OWNER,
        [POLICY_LOCK] = POLICY_OWNER,       [POLICY_AUDIT] = POLICY_ADMIN_OR_OWNER,
        [POLICY_METRICS] = POLICY_OWNER,
    };
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab, "policy = { inject_nmi = \"owner\"; force = \"admin_or_owner\";\n"
                       " probe = \"admin\"; read = \"owner\"; lock = \"owner\";\n"
                       " audit = \"admin_or_owner\"; metrics = \"owner\";\n"
                       " admin_roles = [\"admin\", \"baremetal admin\"];\n"
                       " member_roles = (\"operator\"); reader_roles = [\"auditor\"];\n"
                       " system_admin_only = true; };\n"
                       "audit = { records = 1000; days = 0; refusals = 1; reads = true; };\n"),
        0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_checks(&lab->conf->policy, checks);
    assert_names(&lab->conf->policy.roles[ROLE_ADMIN], "admin", "baremetal admin");
    assert_names(&lab->conf->policy.roles[ROLE_MEMBER], "operator", NULL);
    assert_names(&lab->conf->policy.roles[ROLE_READER], "auditor", NULL);
    assert_true(lab->conf->policy.system_admin_only);
    assert_int_equal(lab->conf->audit.records, 1000);
    assert_int_equal(lab->conf->audit.days, 0);
    assert_int_equal(lab->conf->audit.refusals, 1);
    assert_true(lab->conf->audit.reads);
}

static void test_complaints(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "policy = {\n"
                                    "  inject_nmi = \"members\";\n"
                                    "  force = true;\n"
                                    "  injectnmi = \"admin\";\n"
                                    "  admin_roles = \"admin\";\n"
                                    "  member_roles = [];\n"
                                    "  reader_roles = [\"reader\", \"\"];\n"
                                    "  system_admin_only = 1;\n"
                                    "};\n"),
                     -1);
    LAB_ERRORS(
        lab, "nmid.conf:2: policy.inject_nmi: expected \"admin\", \"owner\" or \"admin_or_owner\"",
        "nmid.conf:3: policy.force: expected a string (in double quotes)",
        "nmid.conf:7: policy.reader_roles: expected a list of names, each 1 to 255 characters",
        "nmid.conf:6: policy.member_roles: expected a list of 1 to 64 names, as [\"a\", \"b\"]",
        "nmid.conf:5: policy.admin_roles: expected a list of 1 to 64 names, as [\"a\", \"b\"]",
        "nmid.conf:8: policy.system_admin_only: expected true or false",
        "nmid.conf:4: policy.injectnmi: unknown key");
    assert_int_equal(lab_parse(lab, "policy = \"admin\";\naudit = ( );\n"), -1);
    LAB_ERRORS(lab, "nmid.conf:2: audit: expected a group { ... }",
               "nmid.conf:1: policy: expected a group { ... }");
    assert_int_equal(lab_parse(lab, "audit = {\n records = 999;\n days = 36501;\n"
                                    " refusals = 0;\n reads = \"yes\";\n read = true; };\n"),
                     -1);
    LAB_ERRORS(lab, "nmid.conf:2: audit.records: expected a decimal integer from 1000 to 100000000",
               "nmid.conf:3: audit.days: expected a decimal integer from 0 to 36500",
               "nmid.conf:4: audit.refusals: expected a decimal integer from 1 to 100000",
               "nmid.conf:5: audit.reads: expected true or false",
               "nmid.conf:6: audit.read: unknown key");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_key),
        TEST(test_complaints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

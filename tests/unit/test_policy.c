/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules: every one, with every check, for every kind of principal and every relation to the
 * node. docs/policy.md has the same as prose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "core/conf_parts.h"
#include "core/policy.h"

static struct conf conf;

static int setup(void **state)
{
    (void)state;
    memset(&conf, 0, sizeof conf);
    return conf_policy_defaults(&conf);
}

static int teardown(void **state)
{
    (void)state;
    conf_policy_clear(&conf.policy);
    return 0;
}

static const struct owners own = {{"demo", NULL}}, foreign = {{"other", NULL}};

/* ---- The table ---- */

/* x: allowed. To act (inject_nmi, force, probe, lock) on the own project's node, on another's, on
 * none in particular; and the same for reading (read, audit, metrics). */
static const struct row {
    const char *who, *role;
    const char *project_id;
    bool system, system_admin_only;
    const char *admin, *owner, *admin_or_owner;
} table[] = {
    {"a role that counts for nothing", "auditor", "demo", false, false, "......", "......",
     "......"},
    {"reader", "reader", "demo", false, false, "......", "...x.x", "...x.x"},
    {"member", "member", "demo", false, false, "......", "x.xx.x", "x.xx.x"},
    {"admin of a project", "admin", "demo", false, false, "xxxxxx", "x.xx.x", "xxxxxx"},
    {"the same, system_admin_only", "admin", "demo", false, true, "......", "x.xx.x", "x.xx.x"},
    {"member without a project", "member", NULL, false, false, "......", "..x..x", "..x..x"},
    {"member of a project without a name", "member", "", false, false, "......", "..x..x",
     "..x..x"},
    {"system reader", "reader", NULL, true, false, "......", "...xxx", "...xxx"},
    {"system member", "member", NULL, true, false, "......", "xxxxxx", "xxxxxx"},
    {"system admin", "admin", NULL, true, false, "xxxxxx", "xxxxxx", "xxxxxx"},
    {"the same, system_admin_only", "admin", NULL, true, true, "xxxxxx", "xxxxxx", "xxxxxx"},
};

static bool is_reading(enum policy_rule rule)
{
    return rule == POLICY_READ || rule == POLICY_AUDIT || rule == POLICY_METRICS;
}

static void check_rule(const struct row *row, enum policy_rule rule, enum policy_check check,
                       const struct principal *principal)
{
    const struct owners *const nodes[] = {&own, &foreign, NULL};
    const char *expected = check == POLICY_ADMIN   ? row->admin
                           : check == POLICY_OWNER ? row->owner
                                                   : row->admin_or_owner;
    conf.policy.checks[rule] = check;
    for (size_t i = 0; i < 3; i++) {
        struct fault fault = {0};
        bool want = expected[(is_reading(rule) ? 3 : 0) + i] == 'x';
        bool got = policy_check(&conf.policy, rule, principal, nodes[i], &fault) == 0;
        if (got != want)
            fail_msg("%s, rule %s, check %d, node %zu: %s", row->who, policy_rule_name(rule),
                     (int)check, i, got ? "allowed" : "refused");
        assert_int_equal(fault.code, want ? FAULT_NONE : FAULT_FORBIDDEN);
        if (!want)
            assert_non_null(strstr(fault.message, policy_rule_name(rule)));
    }
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct row *row = &table[i];
        struct principal principal = {.project_id = row->project_id, .system = row->system};
        conf.policy.system_admin_only = row->system_admin_only;
        policy_assign(&conf.policy, &row->role, 1, &principal);
        for (enum policy_rule rule = 0; rule < POLICY_RULES; rule++) {
            check_rule(row, rule, POLICY_ADMIN, &principal);
            check_rule(row, rule, POLICY_OWNER, &principal);
            check_rule(row, rule, POLICY_ADMIN_OR_OWNER, &principal);
        }
    }
}

/* ---- What a refusal says ---- */

static void expect_words(enum policy_rule rule, const struct principal *caller,
                         const struct owners *owners, const char *words)
{
    struct fault fault = {0};
    char wanted[FAULT_MESSAGE_MAX];
    assert_int_equal(policy_check(&conf.policy, rule, caller, owners, &fault), -1);
    snprintf(wanted, sizeof wanted,
             "Policy doesn't allow %s to be performed: it takes the role %s.",
             policy_rule_name(rule), words);
    assert_string_equal(fault.message, wanted);
}

static void test_words(void **state)
{
    const unsigned reader = ROLE_BIT(ROLE_READER), member = reader | ROLE_BIT(ROLE_MEMBER),
                   admin = member | ROLE_BIT(ROLE_ADMIN);
    struct principal caller = {.project_id = "demo"};
    char boss[] = "boss", cook[] = "cook", *bosses[] = {boss, cook};
    (void)state;
    expect_words(POLICY_READ, &caller, &own,
                 "reader in the node's project, and you have no role that counts");
    caller.roles = reader;
    expect_words(POLICY_INJECT_NMI, &caller, &own,
                 "member in the node's project, and you have reader");
    expect_words(POLICY_METRICS, &caller, NULL, "admin, and you have reader");
    caller.roles = member;
    expect_words(POLICY_INJECT_NMI, &caller, &foreign,
                 "member in the node's project, and you have member in another project");
    caller.project_id = NULL;
    expect_words(POLICY_INJECT_NMI, &caller, &foreign,
                 "member in the node's project, and you have member without a project");
    expect_words(POLICY_LOCK, &caller, &own, "admin, and you have member");
    conf.policy.system_admin_only = true;
    caller.roles = admin;
    expect_words(POLICY_LOCK, &caller, &own,
                 "admin with system scope, and you have admin in a project");
    conf.policy.checks[POLICY_READ] = POLICY_OWNER;
    expect_words(POLICY_READ, &caller, &foreign,
                 "reader in the node's project, and you have admin without a project");
    struct conf_names names = conf.policy.roles[ROLE_ADMIN];
    conf.policy.roles[ROLE_ADMIN] = (struct conf_names){bosses, 2};
    expect_words(POLICY_LOCK, &caller, &own,
                 "boss with system scope, and you have boss in a project");
    conf.policy.roles[ROLE_ADMIN] = names;
}

/* ---- Who sees and owns what ---- */

static void test_sees(void **state)
{
    const struct owners leased = {{"other", "demo"}}, nobodys = {{NULL, NULL}};
    struct principal demo = {.project_id = "demo"}, homeless = {0}, empty = {.project_id = ""};
    struct principal system = {.system = true}, admin = {.administrator = true};
    const struct owners empty_owner = {{"", NULL}};
    (void)state;
    assert_true(policy_sees(&demo, &own));
    assert_true(policy_sees(&demo, &leased));
    assert_false(policy_sees(&demo, &foreign));
    assert_false(policy_sees(&demo, &nobodys));
    assert_false(policy_sees(&homeless, &own));
    assert_false(policy_sees(&homeless, &nobodys)); /* two that have none are no project together */
    assert_false(policy_sees(&empty, &empty_owner));
    assert_true(policy_sees(&system, &foreign));
    assert_true(policy_sees(&system, &nobodys));
    assert_true(policy_sees(&admin, &nobodys));
    assert_false(policy_owns(&admin, &foreign));
}

static void test_lock(void **state)
{
    struct node node = {.uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"};
    struct principal member = {.project_id = "demo"}, admin = {.administrator = true};
    struct fault fault = {0};
    (void)state;
    assert_int_equal(policy_check_lock(&member, &node, false, &fault), 0);
    assert_int_equal(policy_check_lock(&admin, &node, true, &fault), 0);
    assert_int_equal(policy_check_lock(&member, &node, true, &fault), -1);
    assert_int_equal(fault.code, FAULT_LOCKED);
    assert_string_equal(fault.message, "Instance 1be26c0b-03f2-4d2e-ae87-c02d7f33c781 is locked");
}

/* ---- Roles ---- */

static unsigned assigned(const char *const *names, size_t count)
{
    struct principal principal = {.roles = ~0u, .administrator = true};
    policy_assign(&conf.policy, names, count, &principal);
    assert_int_equal(principal.administrator, (principal.roles & ROLE_BIT(ROLE_ADMIN)) != 0);
    return principal.roles;
}

static void test_roles(void **state)
{
    const unsigned reader = ROLE_BIT(ROLE_READER), member = reader | ROLE_BIT(ROLE_MEMBER),
                   admin = member | ROLE_BIT(ROLE_ADMIN);
    (void)state;
    assert_int_equal(assigned(NULL, 0), 0);
    assert_int_equal(assigned((const char *const[]){"reader"}, 1), reader);
    assert_int_equal(assigned((const char *const[]){"member"}, 1), member);
    assert_int_equal(assigned((const char *const[]){"Admin"}, 1), admin); /* as oslo.policy */
    assert_int_equal(assigned((const char *const[]){"x", "reader", "member"}, 3), member);
    assert_int_equal(assigned((const char *const[]){"administrator", "adm", "admin "}, 3), 0);
}

static void test_other_names(void **state)
{
    char baremetal[] = "baremetal_admin", observer[] = "baremetal_observer";
    char *admins[] = {baremetal}, *readers[] = {observer};
    struct conf_policy policy = {
        .roles = {[ROLE_ADMIN] = {admins, 1}, [ROLE_READER] = {readers, 1}}};
    struct principal principal = {0};
    (void)state;
    policy_assign(&policy, (const char *const[]){"admin", "member", "reader"}, 3, &principal);
    assert_int_equal(principal.roles, 0);
    assert_false(principal.administrator);
    policy_assign(&policy, (const char *const[]){"baremetal_observer"}, 1, &principal);
    assert_int_equal(principal.roles, ROLE_BIT(ROLE_READER));
    policy_assign(&policy, (const char *const[]){"baremetal_admin"}, 1, &principal);
    assert_true(principal.administrator);
}

/* ---- Names ---- */

static void test_texts(void **state)
{
    char text[POLICY_RULE_TEXT];
    (void)state;
    assert_string_equal(policy_rule_name(POLICY_INJECT_NMI), "inject_nmi");
    assert_string_equal(policy_rule_text(&conf.policy, POLICY_INJECT_NMI, text),
                        "inject_nmi:admin_or_owner");
    assert_string_equal(policy_rule_text(&conf.policy, POLICY_FORCE, text), "force:admin");
    conf.policy.checks[POLICY_LOCK] = POLICY_OWNER;
    assert_string_equal(policy_rule_text(&conf.policy, POLICY_LOCK, text), "lock:owner");
}

/* An identity lives as long as anybody holds it, with strings of its own. */
static void test_identity(void **state)
{
    char user[] = "alice", project[] = "demo";
    struct principal principal = {.user = user,
                                  .project_id = project,
                                  .address = "192.0.2.1",
                                  .method = "keystone",
                                  .roles = ROLE_BIT(ROLE_READER),
                                  .system = true};
    (void)state;
    struct identity *identity = identity_new(&principal);
    memset(user, 'x', 5);
    memset(project, 'x', 4);
    assert_ptr_equal(identity_ref(identity), identity);
    identity_unref(identity);
    assert_string_equal(identity->principal.user, "alice");
    assert_string_equal(identity->principal.project_id, "demo");
    assert_null(identity->principal.user_id);
    assert_null(identity->principal.address);
    assert_string_equal(identity->principal.method, "keystone");
    assert_int_equal(identity->principal.roles, ROLE_BIT(ROLE_READER));
    assert_true(identity->principal.system);
    identity_unref(identity);
    identity_unref(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_table), TEST(test_words),       TEST(test_sees),  TEST(test_lock),
        TEST(test_roles), TEST(test_other_names), TEST(test_texts), TEST(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

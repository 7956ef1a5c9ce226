/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "none": everybody, or the local users and groups of the configuration. The audit is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/audit.h"
#include "core/auth.h"

static char audited[FAULT_MESSAGE_MAX], audited_user[64];

int audit_record(struct audit *audit, const struct audit_record *record)
{
    (void)audit;
    snprintf(audited, sizeof audited, "%s", record->message);
    snprintf(audited_user, sizeof audited_user, "%s",
             record->caller == NULL ? "" : record->caller->user);
    return 0;
}

#define NOVA   4000000001u /* ids that nobody has */
#define CLOUD  4000000002u
#define STAFF  4000000003u
#define BOSSES 4000000005u
#define DEMO   4000000006u

static char *member[] = {(char *)"member"}, *reader[] = {(char *)"reader"},
            *both[] = {(char *)"reader", (char *)"boss"}, *odd[] = {(char *)"odd"},
            *boss[] = {(char *)"boss"};
static struct conf_user users[] = {
    {.name = (char *)"nova", .id = NOVA, .project_id = (char *)"demo", .roles = {member, 1}},
    {.name = (char *)"cloud", .id = CLOUD, .is_group = true, .roles = {reader, 1}, .system = true},
    {.name = (char *)"staff",
     .id = STAFF,
     .is_group = true,
     .project_id = (char *)"ops",
     .roles = {both, 2}},
    {.name = (char *)"odd", .id = 4000000004u, .roles = {odd, 1}},
    {.name = (char *)"bosses", .id = BOSSES, .is_group = true, .roles = {boss, 1}},
    {.name = (char *)"demo",
     .id = DEMO,
     .is_group = true,
     .project_id = (char *)"demo",
     .roles = {boss, 1}},
};
static const struct conf_policy policy = {
    .roles = {[ROLE_READER] = {reader, 1}, [ROLE_MEMBER] = {member, 1}, [ROLE_ADMIN] = {boss, 1}}};

static struct {
    unsigned answers;
    struct identity *identity;
    struct fault fault;
} answer;

static void on_done(void *arg, struct identity *identity, const struct fault *fault)
{
    (void)arg;
    answer.answers++;
    assert_true((identity == NULL) == (fault != NULL));
    answer.identity = identity == NULL ? NULL : identity_ref(identity);
    answer.fault = fault == NULL ? (struct fault){0} : *fault;
}

/* Who that is; NULL when refused. groups ends with a 0. */
static const struct principal *ask(struct auth *auth, bool local, uid_t uid, const gid_t *groups)
{
    struct credentials credentials = {
        .address = "unix", .local = local, .uid = uid, .gids = groups};
    while (groups != NULL && groups[credentials.gid_count] != 0)
        credentials.gid_count++;
    identity_unref(answer.identity);
    memset(&answer, 0, sizeof answer);
    audited[0] = audited_user[0] = '\0';
    assert_null(auth_check(auth, &credentials, on_done, NULL));
    assert_int_equal(answer.answers, 1);
    return answer.identity == NULL ? NULL : &answer.identity->principal;
}

static struct auth *open_auth(size_t user_count)
{
    struct conf_auth conf = {.strategy = AUTH_NONE, .users = users, .user_count = user_count};
    struct pool *pool = NULL;
    struct auth *auth = auth_new(NULL, &conf, &policy, NULL, &pool, NULL);
    assert_non_null(auth);
    assert_null(pool); /* nothing here blocks */
    assert_null(auth_challenge(auth));
    return auth;
}

static void assert_is(const struct principal *who, const char *user, const char *project,
                      unsigned roles, bool system, bool administrator)
{
    assert_non_null(who);
    assert_string_equal(who->user, user);
    if (project == NULL)
        assert_null(who->project_id);
    else
        assert_string_equal(who->project_id, project);
    assert_int_equal(who->roles, roles);
    assert_int_equal(who->system, system);
    assert_int_equal(who->administrator, administrator);
}

#define READER ROLE_BIT(ROLE_READER)
#define MEMBER (READER | ROLE_BIT(ROLE_MEMBER))
#define ADMIN  (MEMBER | ROLE_BIT(ROLE_ADMIN))

static void test_everybody(void **state)
{
    (void)state;
    struct auth *auth = open_auth(0);
    assert_is(ask(auth, false, 0, NULL), "admin", NULL, ADMIN, false, true);
    assert_string_equal(answer.identity->principal.method, "none");
    assert_is(ask(auth, true, NOVA, NULL), "admin", NULL, ADMIN, false, true);
    auth_free(auth);
}

static void test_users(void **state)
{
    (void)state;
    struct auth *auth = open_auth(6);
    assert_is(ask(auth, true, NOVA, NULL), "nova", "demo", MEMBER, false, false);
    assert_string_equal(answer.identity->principal.method, "local");
    assert_is(ask(auth, true, 5, (const gid_t[]){7, CLOUD, 0}), "uid 5", NULL, READER, true, false);
    assert_is(ask(auth, true, 5, (const gid_t[]){STAFF, 0}), "uid 5", "ops", ADMIN, false, true);
    /* The scope of the first entry that has one, with the roles of all that have the same or none:
     * a role in one project is none in another. */
    assert_is(ask(auth, true, NOVA, (const gid_t[]){CLOUD, STAFF, 0}), "nova", "demo", MEMBER,
              false, false);
    assert_is(ask(auth, true, NOVA, (const gid_t[]){CLOUD, DEMO, 0}), "nova", "demo", ADMIN, false,
              true);
    assert_is(ask(auth, true, NOVA, (const gid_t[]){BOSSES, 0}), "nova", "demo", ADMIN, false,
              true);
    assert_is(ask(auth, true, 5, (const gid_t[]){STAFF, CLOUD, 0}), "uid 5", NULL, READER, true,
              false);
    assert_is(ask(auth, true, 5, (const gid_t[]){BOSSES, 0}), "uid 5", NULL, ADMIN, false, true);
    /* A role that policy does not know gives nothing; a gid is no uid. */
    assert_is(ask(auth, true, 4000000004u, NULL), "odd", NULL, 0, false, false);
    assert_null(ask(auth, true, CLOUD, (const gid_t[]){NOVA, 0}));
    auth_free(auth);
}

static void test_refused(void **state)
{
    (void)state;
    struct auth *auth = open_auth(6);
    assert_null(ask(auth, true, 6, (const gid_t[]){6, 7, 0}));
    assert_int_equal(answer.fault.code, FAULT_FORBIDDEN);
    assert_string_equal(answer.fault.message,
                        "The local user uid 6 is in no entry of auth.users of nmid.conf.");
    assert_string_equal(audited, answer.fault.message);
    assert_string_equal(audited_user, "uid 6");
    /* Not even root's number counts when the kernel has not said it. */
    assert_null(ask(auth, false, 0, NULL));
    assert_int_equal(answer.fault.code, FAULT_FORBIDDEN);
    auth_free(auth);
}

static void test_administrators(void **state)
{
    (void)state;
    struct auth *auth = open_auth(6);
    assert_is(ask(auth, true, 0, NULL), "root", NULL, ADMIN, false, true);
    assert_string_equal(answer.identity->principal.method, "local");
    const struct principal *own = ask(auth, true, geteuid(), NULL);
    assert_non_null(own);
    assert_true(own->administrator);
    auth_free(auth);
}

static int forget(void **state)
{
    (void)state;
    identity_unref(answer.identity);
    answer.identity = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_everybody, forget),
        cmocka_unit_test_teardown(test_users, forget),
        cmocka_unit_test_teardown(test_refused, forget),
        cmocka_unit_test_teardown(test_administrators, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

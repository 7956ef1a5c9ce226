/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth = { ... }: each strategy with every key, its defaults, its complaints and warnings, at the
 * top and in listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf_lab.h"

#define REST       "3bQeUWr9E3gQp1kwRrVx8.aoUZlTHL1WF9/8Fs3cqdVo5u4pgsQe2"
#define NO_NODES   "nmid.conf: nodes: there are none"
#define HASH       "$2y$12$3bQeUWr9E3gQp1kwRrVx8.aoUZlTHL1WF9/8Fs3cqdVo5u4pgsQe2"
#define SOON_GUESSED                                                                               \
    " of a cost below 10, which is soon guessed: htpasswd -B -C 12 makes better ones"
#define STRATEGIES "\"none\", \"http_basic\", \"keystone\" or \"client_certificate\""

static void test_defaults(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, ""), 0);
    LAB_WARNINGS(lab, NO_NODES);
    assert_int_equal(lab->conf->auth_count, 1);
    assert_int_equal(lab->conf->auths[0].strategy, AUTH_NONE);
    assert_int_equal(lab->conf->auths[0].user_count, 0);
    assert_int_equal(lab->conf->listeners[0].auth, 0);
}

/* ---- none ---- */

static void test_local_users(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(
        lab_parse(lab,
                  "auth = { strategy = \"none\"; users = (\n"
                  " { user = \"daemon\"; roles = [\"member\", \"x\"]; project_id = \"demo\"; },\n"
                  " { user = \"2000000001\"; roles = [\"admin\"]; },\n"
                  " { user = 2000000002; roles = (\"reader\"); system = true; },\n"
                  " { group = \"daemon\"; roles = [\"member\"]; },\n"
                  " { group = 2000000001; roles = [\"reader\"]; } ); };"),
        0);
    LAB_WARNINGS(lab,
                 "nmid.conf:2: auth.users.roles: policy knows no role x; it knows admin, member, "
                 "reader",
                 NO_NODES);
    const struct conf_auth *auth = &lab->conf->auths[0];
    assert_int_equal(auth->strategy, AUTH_NONE);
    assert_int_equal(auth->user_count, 5);
    const struct conf_user *users = auth->users;
    assert_string_equal(users[0].name, "daemon");
    assert_int_equal(users[0].id, 1);
    assert_false(users[0].is_group || users[0].system);
    assert_int_equal(users[0].roles.count, 2);
    assert_string_equal(users[0].roles.names[1], "x");
    assert_string_equal(users[0].project_id, "demo");
    assert_string_equal(users[1].name, "uid 2000000001");
    assert_int_equal(users[1].id, 2000000001u);
    assert_int_equal(users[2].id, 2000000002u);
    assert_true(users[2].system);
    assert_null(users[2].project_id);
    assert_true(users[3].is_group);
    assert_int_equal(users[3].id, getgrnam("daemon")->gr_gid);
    assert_true(users[4].is_group);
    assert_string_equal(users[4].name, "gid 2000000001");
}

struct complaint {
    const char *text, *told;
};

static void assert_complaints(struct lab *lab, const struct complaint *row)
{
    for (; row->text != NULL; row++) {
        assert_int_equal(lab_parse(lab, row->text), -1);
        LAB_ERRORS(lab, row->told);
        report_clear(&lab->warnings);
    }
}

static void test_complaints(void **state)
{
#define NONE(rest) "auth = { strategy = \"none\";\n" rest " };"
#define USER(rest) NONE("users = ( { roles = [\"admin\"];\n" rest " } );")
#define ROLES      "roles = [\"admin\"]"
    static const struct complaint rows[] = {
        {"auth = { };", "nmid.conf:1: auth.strategy: missing: expected " STRATEGIES},
        {"auth = {\nstrategy = \"nobody\"; };", "nmid.conf:2: auth.strategy: expected " STRATEGIES},
        {"auth = { strategy = 1; };",
         "nmid.conf:1: auth.strategy: expected a string (in double quotes)"},
        {"auth = \"none\";", "nmid.conf:1: auth: expected a group { ... }"},
        /* Nothing follows from it for an address. */
        {"auth = { strategy = \"http-basic\"; };\nlisten = ( { address = \"10.0.0.1\"; } );",
         "nmid.conf:1: auth.strategy: expected " STRATEGIES},
        {"listen = ( { address = \"10.0.0.1\"; auth = { strategy = \"http-basic\"; }; } );",
         "nmid.conf:1: listen.auth.strategy: expected " STRATEGIES},
        {NONE("odd = 1;"), "nmid.conf:2: auth.odd: unknown key"},
        {NONE("user_file = \"x\";"),
         "nmid.conf:2: auth.user_file: strategy \"none\" has no such key"},
        {NONE("cache_s = 1;"), "nmid.conf:2: auth.cache_s: strategy \"none\" has no such key"},
        {NONE("auth_url = \"http://k/v3\";"),
         "nmid.conf:2: auth.auth_url: strategy \"none\" has no such key"},
        {NONE("users = ();"), "nmid.conf:2: auth.users: expected 1 to 10000 users"},
        {NONE("users = { };"), "nmid.conf:2: auth.users: expected a list ( { ... }, { ... } )"},
        {NONE("users = ( 1 );"), "nmid.conf:2: auth.users: expected a group { ... }"},
        {USER(""), "nmid.conf:2: auth.users.user: missing: expected user or group"},
        {USER("user = \"root\"; group = \"root\";"),
         "nmid.conf:3: auth.users.group: stands beside user: expected one of them"},
        {USER("user = \"no-such-user-here\";"),
         "nmid.conf:3: auth.users.user: this system has no user no-such-user-here"},
        {USER("group = \"no-such-group-here\";"),
         "nmid.conf:3: auth.users.group: this system has no group no-such-group-here"},
        {USER("user = \"\";"), "nmid.conf:3: auth.users.user: this system has no user "},
        {USER("user = \"4294967295\";"),
         "nmid.conf:3: auth.users.user: this system has no user 4294967295"},
        {USER("user = 4294967295L;"),
         "nmid.conf:3: auth.users.user: expected a decimal integer from 0 to 4294967294"},
        {USER("user = true;"),
         "nmid.conf:3: auth.users.user: expected a decimal integer from 0 to 4294967294"},
        {USER("name = \"alice\"; user = \"root\";"), "nmid.conf:3: auth.users.name: unknown key"},
        {USER("user = \"root\"; project_id = \"a b\";"),
         "nmid.conf:3: auth.users.project_id: expected 1 to 255 printable ASCII characters without "
         "blank"},
        {USER("user = \"root\"; system = true;\nproject_id = \"demo\";"),
         "nmid.conf:4: auth.users.project_id: stands beside system: expected one of them"},
        {USER("user = \"root\"; system = 1;"),
         "nmid.conf:3: auth.users.system: expected true or false"},
        {NONE("users = ( {\nuser = \"root\"; } );"),
         "nmid.conf:2: auth.users.roles: missing: expected a list of names, as [\"member\"]"},
        {NONE("users = ( { user = \"root\"; roles = []; } );"),
         "nmid.conf:2: auth.users.roles: expected a list of 1 to 64 names, as [\"a\", \"b\"]"},
        {NONE("users = ( { user = \"daemon\"; " ROLES "; },\n{ user = 1; " ROLES "; } );"),
         "nmid.conf:3: auth.users.user: daemon is listed twice"},
        {NONE("users = ( { group = 1; " ROLES "; }, { user = 1; " ROLES "; },\n{ group = 1; " ROLES
              "; } );"),
         "nmid.conf:3: auth.users.group: daemon is listed twice"},
        {NULL, NULL},
    };
    assert_complaints(*state, rows);
}

static void test_useless_users(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, "policy = { admin_roles = [\"boss\"]; };\n"
                                    "auth = { strategy = \"none\"; users = (\n"
                                    " { user = 2000000001; roles = [\"boss\"]; },\n"
                                    " { user = 2000000002; roles = [\"admin\"]; },\n"
                                    " { user = 2000000003; roles = [\"member\"]; } ); };"),
                     0);
    LAB_WARNINGS(lab,
                 "nmid.conf:4: auth.users.roles: uid 2000000002 may nothing: policy knows no role "
                 "admin; it knows boss, member, reader",
                 NO_NODES);
    lab_write(lab, "users", "alice:" HASH "\nbob:" HASH "\ncarol:" HASH "\n", 0640);
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"http_basic\"; user_file = \"users\"; users = (\n"
              " { name = \"alice\"; roles = [\"member\"]; },\n"
              " { name = \"bob\"; roles = [\"reader\"]; system = true; },\n"
              " { name = \"carol\"; roles = [\"boss\", \"x\"]; project_id = \"demo\"; } ); };",
              0644);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab,
                 "DIR/nmid.conf:2: auth.users.roles: alice may nothing with these roles but in a "
                 "project: no project_id is given",
                 "DIR/nmid.conf:4: auth.users.roles: carol may nothing: policy knows no role boss, "
                 "x; it knows admin, member, reader",
                 "DIR/nmid.conf: nodes: there are none");
}

/* ---- http_basic ---- */

static void test_http_basic(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "users", "alice:" HASH "\nbob:" HASH "\n", 0640);
    lab_write(lab, "nmid.conf",
              "auth = { strategy = \"http_basic\"; user_file = \"users\"; users = (\n"
              " { name = \"alice\"; project_id = \"demo\"; roles = [\"member\"]; },\n"
              " { name = \"bob\"; roles = [\"admin\"]; system = true; } ); };\n"
              "listen = ( { socket = \"/s\"; }, { address = \"127.0.0.1\"; },\n"
              " { address = \"0.0.0.0\"; port = 1; } );",
              0644);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab,
                 "DIR/nmid.conf:5: listen.address: http on 0.0.0.0: whoever listens on the way "
                 "reads passwords and tokens",
                 "DIR/nmid.conf: nodes: there are none");
    const struct conf_auth *auth = &lab->conf->auths[0];
    assert_int_equal(auth->strategy, AUTH_HTTP_BASIC);
    assert_string_equal(strrchr(auth->user_file, '/'), "/users");
    assert_int_equal(auth->user_file[0], '/');
    assert_int_equal(auth->cache_s, 60);
    assert_int_equal(auth->user_count, 2);
    assert_string_equal(auth->users[0].name, "alice");
    assert_string_equal(auth->users[0].project_id, "demo");
    assert_string_equal(auth->users[1].roles.names[0], "admin");
    assert_true(auth->users[1].system);
}

#define BASIC(rest) "auth = { strategy = \"http_basic\";\n" rest " };"
#define ALICE       "users = ( { name = \"alice\"; roles = [\"admin\"]; } );"

static void test_http_basic_complaints(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *text;
        const char *told[3];
    } rows[] = {
        {BASIC(""),
         {"DIR/nmid.conf:1: auth.user_file: missing: expected the path of a file of htpasswd -B",
          "DIR/nmid.conf:1: auth.users: missing: expected users = ( { name = \"alice\"; roles = "
          "[\"member\"]; project_id = \"...\"; } ); who is not in it may nothing"}},
        {BASIC("user_file = \"absent\"; " ALICE),
         {"DIR/absent: cannot open: No such file or directory",
          "DIR/nmid.conf:2: auth.user_file: DIR/absent cannot be used"}},
        {BASIC("user_file = \"public\"; " ALICE),
         {"DIR/public: the file holds the hashes of passwords and is readable by others: chmod o-r "
          "DIR/public",
          "DIR/nmid.conf:2: auth.user_file: DIR/public cannot be used"}},
        {BASIC("user_file = \"bad\"; " ALICE),
         {"DIR/bad:2: expected a bcrypt hash ($2y$, $2b$ or $2a$), as htpasswd -B makes it",
          "DIR/bad:4: this user stands twice",
          "DIR/nmid.conf:2: auth.user_file: DIR/bad cannot be used"}},
        {BASIC("user_file = \"good\"; users = ( { name = \"alice\"; roles = [\"admin\"]; },\n"
               "{ name = \"alice\"; roles = [\"member\"]; system = true; } );"),
         {"DIR/nmid.conf:3: auth.users.name: alice is listed twice"}},
        {BASIC("user_file = \"good\"; users = ( { user = \"alice\"; roles = [\"admin\"]; } );"),
         {"DIR/nmid.conf:2: auth.users.name: missing: every user needs one",
          "DIR/nmid.conf:2: auth.users.user: unknown key"}},
        {BASIC("user_file = \"good\"; users = ( { name = \"a:b\"; roles = [\"admin\"]; } );"),
         {"DIR/nmid.conf:2: auth.users.name: expected 1 to 255 bytes without a colon"}},
        {BASIC("user_file = \"good\"; cache_s = 86401; " ALICE),
         {"DIR/nmid.conf:2: auth.cache_s: expected a decimal integer from 0 to 86400"}},
        {BASIC("user_file = \"good\"; cache_size = 1; username = \"x\"; " ALICE),
         {"DIR/nmid.conf:2: auth.cache_size: strategy \"http_basic\" has no such key",
          "DIR/nmid.conf:2: auth.username: unknown key"}},
    };
    lab_write(lab, "good", "alice:" HASH "\n", 0600);
    lab_write(lab, "public", "alice:" HASH "\n", 0604);
    lab_write(lab, "bad", "a:" HASH "\nb:" LAB_SECRET "\n\na:" HASH "\n", 0600);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lab_write(lab, "nmid.conf", rows[i].text, 0600);
        assert_int_equal(lab_load(lab), -1);
        LAB_ERRORS(lab, rows[i].told[0], rows[i].told[1], rows[i].told[2]);
        report_clear(&lab->warnings);
    }
}

static void test_http_basic_warnings(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "users", "", 0600);
    lab_write(lab, "nmid.conf", BASIC("user_file = \"users\"; cache_s = 0;" ALICE), 0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab, "DIR/nmid.conf:2: auth.users: alice is not in DIR/users",
                 "DIR/nmid.conf:2: auth.user_file: DIR/users holds no user",
                 "DIR/nmid.conf: nodes: there are none");
    assert_int_equal(lab->conf->auths[0].cache_s, 0);
    /* A user's line is that of the entry; hashes are counted, not named. */
    lab_write(lab, "users",
              "carol:" HASH "\nbob:$2y$05$" REST "\ndora:$2y$09$" REST "\nemma:$2y$10$" REST "\n",
              0600);
    lab_write(lab, "nmid.conf",
              BASIC("user_file = \"users\"; users = (\n"
                    " { name = \"carol\"; roles = [\"admin\"]; },\n"
                    " { roles = [\"admin\"];\n name = \"anna\"; } );"),
              0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(lab, "DIR/nmid.conf:4: auth.users: anna is not in DIR/users",
                 "DIR/nmid.conf:2: auth.user_file: DIR/users: 2 of 4 hashes are" SOON_GUESSED,
                 "DIR/nmid.conf: nodes: there are none");
}

/* A project that no node has is a slip, unless Ironic says whose the nodes are. */
static void test_projects(void **state)
{
#define NODE(number, project)                                                                      \
    "{ uuid = \"1be26c0b-03f2-4d2e-ae87-c02d7f33c78" number "\"; " project                         \
    "driver = \"fake\"; driver_info = { address = \"10.0.0." number "\"; }; }"
#define USERS                                                                                      \
    "auth = { strategy = \"none\"; users = (\n"                                                   \
    " { user = 2000000001; roles = [\"member\"]; project_id = \"demo\"; },\n"                     \
    " { user = 2000000002; roles = [\"member\"]; project_id = \"dmeo\"; } ); };\n"                \
    "listen = ( { socket = \"/s\"; auth = { strategy = \"none\"; users = (\n"                     \
    " { group = 2000000001; roles = [\"member\"]; project_id = \"other\"; } ); }; } );\n"
#define NODES "nodes = ( " NODE("1", "project_id = \"demo\"; ") ", " NODE("2", "") " );\n"
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, USERS NODES), 0);
    LAB_WARNINGS(lab,
                 "nmid.conf:3: auth.users.project_id: no node is in the project dmeo of uid "
                 "2000000002",
                 "nmid.conf:5: listen.auth.users.project_id: no node is in the project other of "
                 "gid 2000000001");
    assert_int_equal(lab_parse(lab, USERS NODES "state_source = \"ironic\"; ironic = { url = "
                                    "\"http://127.0.0.1:6385\"; auth = \"none\"; };"),
                     0);
    for (size_t i = 0; i < lab->warnings.count; i++)
        assert_null(strstr(lab->warnings.lines[i], "no node"));
    report_clear(&lab->warnings);
}

/* ---- Listeners with their own ---- */

static void test_listeners(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "users", "alice:" HASH "\n", 0600);
    lab_write(lab, "nmid.conf",
              "listen = ( { address = \"127.0.0.1\"; auth = { strategy = \"http_basic\";\n"
              "  user_file = \"users\"; " ALICE " }; },\n"
              " { socket = \"/a\"; },\n"
              " { socket = \"/b\"; auth = { strategy = \"none\"; users = (\n"
              "  { user = \"daemon\"; roles = [\"admin\"]; } ); }; },\n"
              " { address = \"::1\"; } );\n",
              0600);
    assert_int_equal(lab_load(lab), 0);
    LAB_WARNINGS(
        lab,
        "DIR/nmid.conf:6: listen.address: auth \"none\" on ::1: every user of this host may "
        "inject; prefer a socket",
        "DIR/nmid.conf: nodes: there are none");
    const struct conf *conf = lab->conf;
    assert_int_equal(conf->auth_count, 3);
    assert_int_equal(conf->listeners[0].auth, 1);
    assert_int_equal(conf->listeners[1].auth, 0);
    assert_int_equal(conf->listeners[2].auth, 2);
    assert_int_equal(conf->listeners[3].auth, 0);
    assert_int_equal(conf->auths[0].strategy, AUTH_NONE);
    assert_int_equal(conf->auths[1].strategy, AUTH_HTTP_BASIC);
    assert_int_equal(conf->auths[2].user_count, 1);
}

static void test_listener_complaints(void **state)
{
    static const struct complaint rows[] = {
        {"listen = ( { socket = \"/s\"; auth = {\n strategy = \"odd\"; }; } );",
         "nmid.conf:2: listen.auth.strategy: expected " STRATEGIES},
        {"listen = ( { socket = \"/s\";\n auth = 1; } );",
         "nmid.conf:2: listen.auth: expected a group { ... }"},
        {"listen = ( { socket = \"/s\"; auth = { strategy = \"none\";\n users = 1; }; } );",
         "nmid.conf:2: listen.auth.users: expected a list ( { ... }, { ... } )"},
        {"listen = ( { socket = \"/s\"; auth = { strategy = \"none\";\n users = ( { roles = "
         "[\"admin\"]; } ); }; } );",
         "nmid.conf:2: listen.auth.users.user: missing: expected user or group"},
        {"auth = { strategy = \"none\"; users = ( { user = \"daemon\"; roles = [\"admin\"]; } ); "
         "};\n"
         "listen = ( { socket = \"/s\"; },\n{ address = \"127.0.0.1\"; } );",
         "nmid.conf:3: listen.address: auth \"none\" with users is for a socket: the kernel does "
         "not "
         "say who is at the other end of 127.0.0.1"},
        {NULL, NULL},
    };
    assert_complaints(*state, rows);
}

/* ---- keystone: what is not about nmid's own log-in ---- */

#define KEYSTONE(rest)                                                                             \
    "auth = { strategy = \"keystone\"; auth_url = \"http://127.0.0.1:5000/v3\";\n"                 \
    " username = \"nmid\"; user_domain_name = \"Default\"; password = \"" LAB_SECRET "\";\n"       \
    " project_name = \"service\"; project_domain_name = \"Default\";\n" rest " };"

static void test_keystone(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(lab_parse(lab, KEYSTONE("")), 0);
    LAB_WARNINGS(lab, NO_NODES);
    const struct conf_auth *auth = &lab->conf->auths[0];
    assert_int_equal(auth->strategy, AUTH_KEYSTONE);
    assert_int_equal(auth->cache_s, 60);
    assert_int_equal(auth->cache_size, 10000);
    assert_string_equal(auth->www_authenticate_uri, "http://127.0.0.1:5000/v3");
    assert_int_equal(lab_parse(lab, KEYSTONE("cache_s = 0; cache_size = 1;"
                                             "www_authenticate_uri = \"https://k.example:5000\";")),
                     0);
    LAB_WARNINGS(lab, NO_NODES);
    auth = &lab->conf->auths[0];
    assert_int_equal(auth->cache_s, 0);
    assert_int_equal(auth->cache_size, 1);
    assert_string_equal(auth->www_authenticate_uri, "https://k.example:5000");
}

static void test_keystone_complaints(void **state)
{
    static const struct complaint rows[] = {
        {KEYSTONE("users = ();"), "nmid.conf:4: auth.users: strategy \"keystone\" has no such key"},
        {KEYSTONE("user_file = \"x\";"),
         "nmid.conf:4: auth.user_file: strategy \"keystone\" has no such key"},
        {KEYSTONE("cache_size = 0;"),
         "nmid.conf:4: auth.cache_size: expected a decimal integer from 1 to 1000000"},
        {KEYSTONE("www_authenticate_uri = \"k\";"),
         "nmid.conf:4: auth.www_authenticate_uri: expected a URL: it must begin with http:// or "
         "https://"},
        {KEYSTONE("www_authenticate_uri = \"http://k/\\\"\";"),
         "nmid.conf:4: auth.www_authenticate_uri: expected a URL: it has a "
         "character that must be written with \"%\""},
        {KEYSTONE("odd = 1;"), "nmid.conf:4: auth.odd: unknown key"},
        {NULL, NULL},
    };
    assert_complaints(*state, rows);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_defaults),
        CASE(test_local_users),
        CASE(test_complaints),
        CASE(test_useless_users),
        CASE(test_http_basic),
        CASE(test_http_basic_complaints),
        CASE(test_http_basic_warnings),
        CASE(test_projects),
        CASE(test_listeners),
        CASE(test_listener_complaints),
        CASE(test_keystone),
        CASE(test_keystone_complaints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

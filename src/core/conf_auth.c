/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth = { ... }: how callers are known, at the top of nmid.conf or in a listener; and its users,
 * as nmid.conf(5) describes them. */
#include <grp.h>
#include <libconfig.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/url.h"
#include "core/conf_parts.h"
#include "core/htpasswd.h"
#include "core/policy.h"
#include "core/subject.h"

#define USERS_MAX      10000
#define COST_MIN       10 /* of bcrypt; what is below draws a warning */
#define ID_MAX         4294967294u /* the last one means nobody */
#define CACHE_S        60
#define CACHE_S_MAX    86400
#define CACHE_SIZE     10000

/* In the order of enum auth_strategy. */
static const char *const strategies[] = {"none", "http_basic", "keystone", "client_certificate",
                                         NULL};
#define STRATEGIES "\"none\", \"http_basic\", \"keystone\" or \"client_certificate\""

#define USERS_FORM(who) "users = ( { " who "; roles = [\"member\"]; project_id = \"...\"; } )"
#define NOBODY_ELSE     "; who is not in it may nothing"
#define NAME_MAX_BYTES  255

/* ---- One user ---- */

static char *copy(const struct conf_block *block, const char *key, const char *text)
{
    char *own = strdup(text);
    if (own == NULL)
        block_complain(block, key, "out of memory");
    return own;
}

/* user = "nova", "1001" or 1001: a name that this system knows, else a number. 1, 0 or -1, as the
 * takers do. */
static int take_name(struct conf_block *block, const char *key, const char **ret_name,
                     unsigned *ret_number)
{
    const config_setting_t *setting = block_take(block, key);
    char *end;
    *ret_name = NULL;
    if (setting != NULL && config_setting_type(setting) != CONFIG_TYPE_STRING)
        return block_unsigned(block, key, 0, ID_MAX, ret_number);
    int got = block_string(block, key, ret_name);
    if (got <= 0)
        return got;
    if ((*ret_name)[0] < '0' || (*ret_name)[0] > '9')
        return 1;
    unsigned long long number = strtoull(*ret_name, &end, 10);
    if (*end == '\0' && number <= ID_MAX) {
        *ret_number = (unsigned)number;
        *ret_name = NULL;
    }
    return 1;
}

static int read_local_user(struct conf_block *block, struct conf_user *user)
{
    const char *name;
    unsigned number = 0;
    char text[32];
    int got = take_name(block, "user", &name, &number);
    if (got <= 0)
        return got;
    const struct passwd *entry = name != NULL ? getpwnam(name) : getpwuid(number);
    if (name != NULL && entry == NULL)
        return block_complain(block, "user", "this system has no user %.64s", name);
    snprintf(text, sizeof text, "uid %u", number);
    user->id = entry != NULL ? entry->pw_uid : number;
    user->name = copy(block, "user", entry != NULL ? entry->pw_name : text);
    return 1;
}

static int read_local_group(struct conf_block *block, struct conf_user *user)
{
    const char *name;
    unsigned number = 0;
    char text[32];
    int got = take_name(block, "group", &name, &number);
    if (got <= 0)
        return got;
    const struct group *entry = name != NULL ? getgrnam(name) : getgrgid(number);
    if (name != NULL && entry == NULL)
        return block_complain(block, "group", "this system has no group %.64s", name);
    snprintf(text, sizeof text, "gid %u", number);
    user->is_group = true;
    user->id = entry != NULL ? entry->gr_gid : number;
    user->name = copy(block, "group", entry != NULL ? entry->gr_name : text);
    return 1;
}

static void read_local(struct conf_block *block, struct conf_user *user)
{
    struct conf_user group = {0};
    int got_user = read_local_user(block, user);
    int got_group = read_local_group(block, got_user == 0 ? user : &group);
    free(group.name);
    if (got_user != 0 && got_group != 0)
        block_complain(block, "group", "stands beside user: expected one of them");
    else if (got_user == 0 && got_group == 0)
        block_complain(block, "user", "missing: expected user or group");
}

static void read_basic(struct conf_block *block, struct conf_user *user)
{
    const char *name = NULL;
    int got = block_string(block, "name", &name);
    if (got == 0)
        block_complain(block, "name", "missing: every user needs one");
    if (got <= 0)
        return;
    if (name[0] == '\0' || strlen(name) > HTPASSWD_USER_MAX || strchr(name, ':') != NULL)
        block_complain(block, "name", "expected 1 to %d bytes without a colon", HTPASSWD_USER_MAX);
    else
        user->name = copy(block, "name", name);
}

/* Without a name of its own it is called by its subject. */
static void read_certificate(struct conf_block *block, struct conf_user *user)
{
    const char *text = NULL, *name = NULL;
    char subject[SUBJECT_MAX];
    struct fault fault = {0};
    int got = block_string(block, "subject", &text);
    if (got == 0)
        block_complain(block, "subject",
                       "missing: expected a certificate's, as in \"CN=conductor,O=example\"");
    else if (got > 0 && subject_normalise(text, subject, &fault) < 0)
        block_complain(block, "subject", "%s", fault.message);
    else if (got > 0)
        user->subject = copy(block, "subject", subject);
    if (user->subject != NULL && subject_looks_turned(user->subject))
        block_warn(block, "subject",
                   "%s begins with its most general part: RFC 4514 begins with CN; openssl x509 "
                   "-nameopt RFC2253 prints it so",
                   user->subject);
    got = block_string(block, "name", &name);
    if (got == 0 && user->subject != NULL)
        user->name = copy(block, "subject", user->subject);
    if (got <= 0)
        return;
    bool good = name[0] != '\0' && strlen(name) <= NAME_MAX_BYTES;
    for (size_t i = 0; good && name[i] != '\0'; i++)
        good = (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    if (good)
        user->name = copy(block, "name", name);
    else
        block_complain(block, "name", "expected 1 to %d bytes, none of them a control character",
                       NAME_MAX_BYTES);
}

/* ---- What a user's roles are good for ---- */

static bool is_known(const struct conf_policy *policy, const char *role)
{
    struct principal principal = {0};
    policy_assign(policy, &role, 1, &principal);
    return principal.roles != 0;
}

/* useless: none of them is known. */
static void warn_of_roles(struct conf_block *block, const struct conf_user *user, bool useless)
{
    const struct conf_policy *policy = &block->reader->conf->policy;
    char unknown[300] = "", known[300] = "";
    for (size_t i = 0; i < user->roles.count; i++) {
        if (!is_known(policy, user->roles.names[i]))
            conf_list_add(unknown, sizeof unknown, user->roles.names[i]);
    }
    if (unknown[0] == '\0')
        return;
    for (unsigned role = ROLES; role-- > 0;) {
        for (size_t i = 0; i < policy->roles[role].count; i++)
            conf_list_add(known, sizeof known, policy->roles[role].names[i]);
    }
    block_warn(block, "roles", "%s%spolicy knows no role %s; it knows %s",
               useless ? user->name : "", useless ? " may nothing: " : "", unknown, known);
}

/* A local user without a project may have one as member of a group, and a group's roles may count
 * in the project of another entry; of http_basic's users each has one entry. */
static void check_use(struct conf_block *block, const struct conf_user *user, bool local)
{
    struct principal principal = {.system = user->system};
    policy_assign(&block->reader->conf->policy, (const char *const *)user->roles.names,
                  user->roles.count, &principal);
    warn_of_roles(block, user, principal.roles == 0);
    if (principal.roles != 0 && !local && !principal.administrator && !user->system &&
        user->project_id == NULL)
        block_warn(block, "roles",
                   "%s may nothing with these roles but in a project: no project_id is given",
                   user->name);
}

static bool is_same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Two entries for one caller, or one name for two. */
static void refuse_twice(struct conf_block *block, const struct conf_auth *auth,
                         const struct conf_user *user)
{
    for (const struct conf_user *other = auth->users; other < user; other++) {
        const char *key = NULL, *what = user->name;
        if (auth->strategy != AUTH_NONE && is_same_text(other->name, user->name))
            key = "name";
        if (auth->strategy == AUTH_NONE && user->name != NULL && other->name != NULL &&
            other->is_group == user->is_group && other->id == user->id)
            key = user->is_group ? "group" : "user";
        if (is_same_text(other->subject, user->subject)) {
            key = "subject";
            what = user->subject;
        }
        if (key != NULL) {
            block_complain(block, key, "%s is listed twice", what);
            return;
        }
    }
}

static void read_user(struct conf_block *block, struct conf_auth *auth, struct conf_user *user)
{
    bool local = auth->strategy == AUTH_NONE;
    if (local)
        read_local(block, user);
    else if (auth->strategy == AUTH_CLIENT_CERTIFICATE)
        read_certificate(block, user);
    else
        read_basic(block, user);
    block_project_id(block, &user->project_id);
    block_boolean(block, "system", &user->system);
    if (user->system && block_take(block, "project_id") != NULL)
        block_complain(block, "project_id", "stands beside system: expected one of them");
    user->line = config_setting_source_line(block->group);
    int got = block_names(block, "roles", &user->roles);
    if (got == 0)
        block_complain(block, "roles", "missing: expected a list of names, as [\"member\"]");
    else if (got > 0 && user->name != NULL)
        check_use(block, user, local);
    refuse_twice(block, auth, user);
    block_finish(block);
}

/* True when the key is there. */
static bool read_users(struct conf_block *block, struct conf_auth *auth)
{
    struct config_setting_t *list;
    struct conf_block group;
    int got = block_list(block, "users", &list);
    if (got <= 0)
        return got < 0;
    unsigned count = (unsigned)config_setting_length(list);
    if (count < 1 || count > USERS_MAX) {
        block_complain(block, "users", "expected 1 to %d users", USERS_MAX);
        return true;
    }
    if ((auth->users = calloc(count, sizeof *auth->users)) == NULL) {
        block_complain(block, "users", "out of memory");
        return true;
    }
    const char *path = block->path[0] == 'l' ? "listen.auth.users." : "auth.users.";
    for (unsigned i = 0; i < count; i++) {
        if (block_list_group(block, list, i, path, &group) > 0)
            read_user(&group, auth, &auth->users[auth->user_count++]);
    }
    return true;
}

/* ---- The strategies ---- */

/* A user that may something and is not in the file (yet) is a slip, more often than not. */
static void compare_users(struct conf_block *block, const struct conf_auth *auth,
                          const struct htpasswd *users)
{
    const struct conf_reader *reader = block->reader;
    for (size_t i = 0; i < auth->user_count; i++) {
        const struct conf_user *user = &auth->users[i];
        if (user->name != NULL && htpasswd_find(users, user->name) == NULL)
            report_add(reader->warnings, reader->file, user->line, "%susers: %s is not in %s",
                       block->path, user->name, auth->user_file);
    }
    if (htpasswd_count(users) == 0)
        block_warn(block, "user_file", "%s holds no user", auth->user_file);
    size_t weak = htpasswd_count_below(users, COST_MIN);
    if (weak > 0)
        block_warn(block, "user_file",
                   "%s: %zu of %zu hashes are of a cost below %d, which is soon guessed: htpasswd "
                   "-B -C 12 makes better ones",
                   auth->user_file, weak, htpasswd_count(users), COST_MIN);
}

static void read_http_basic(struct conf_block *block, struct conf_auth *auth)
{
    int got = block_path(block, "user_file", &auth->user_file);
    if (got == 0)
        block_complain(block, "user_file", "missing: expected the path of a file of htpasswd -B");
    block_unsigned(block, "cache_s", 0, CACHE_S_MAX, &auth->cache_s);
    if (!read_users(block, auth))
        block_complain(block, "users",
                       "missing: expected " USERS_FORM("name = \"alice\"") NOBODY_ELSE);
    if (got <= 0)
        return;
    struct htpasswd_file *file = htpasswd_file_new(auth->user_file, block->reader->errors);
    if (file == NULL)
        block_complain(block, "user_file", "%s cannot be used", auth->user_file);
    else
        compare_users(block, auth, htpasswd_file_users(file));
    htpasswd_file_free(file);
}

static void read_client_certificate(struct conf_block *block, struct conf_auth *auth)
{
    if (!read_users(block, auth))
        block_complain(block, "users",
                       "missing: expected " USERS_FORM(
                           "subject = \"CN=conductor,O=example\"") NOBODY_ELSE);
}

static void read_keystone(struct conf_block *block, struct conf_auth *auth)
{
    const char *uri = NULL;
    struct url url;
    struct fault fault = {0};
    conf_read_keystone(block, &auth->keystone);
    block_unsigned(block, "cache_s", 0, CACHE_S_MAX, &auth->cache_s);
    block_unsigned(block, "cache_size", 1, 1000000, &auth->cache_size);
    int got = block_string(block, "www_authenticate_uri", &uri);
    if (got == 0)
        uri = auth->keystone.auth_url;
    if (got < 0 || uri == NULL)
        return;
    if (got > 0 && (url_parse(uri, &url, &fault) < 0 || strpbrk(uri, "\"\\ ") != NULL))
        block_complain(block, "www_authenticate_uri", "expected a URL%s%s",
                       fault.message[0] == '\0' ? "" : ": ", fault.message);
    else
        auth->www_authenticate_uri = copy(block, "www_authenticate_uri", uri);
}

/* Complains of what is a key, but of another strategy. */
static void refuse_strangers(struct conf_block *block, enum auth_strategy strategy)
{
    static const struct {
        const char *key;
        unsigned strategies;
    } keys[] = {
        {"users", 1u << AUTH_NONE | 1u << AUTH_HTTP_BASIC | 1u << AUTH_CLIENT_CERTIFICATE},
        {"user_file", 1u << AUTH_HTTP_BASIC},
        {"cache_s", 1u << AUTH_HTTP_BASIC | 1u << AUTH_KEYSTONE},
        {"cache_size", 1u << AUTH_KEYSTONE},
        {"auth_url", 1u << AUTH_KEYSTONE},
        {"www_authenticate_uri", 1u << AUTH_KEYSTONE},
        {"insecure", 1u << AUTH_KEYSTONE},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if ((keys[i].strategies & 1u << strategy) == 0 && block_take(block, keys[i].key) != NULL)
            block_complain(block, keys[i].key, "strategy \"%s\" has no such key",
                           strategies[strategy]);
    }
}

static void read_strategy(struct conf_block *block, struct conf_auth *auth)
{
    unsigned strategy = sizeof strategies / sizeof strategies[0];
    if (block_take(block, "strategy") == NULL)
        block_complain(block, "strategy", "missing: expected " STRATEGIES);
    block_word(block, "strategy", strategies, STRATEGIES, &strategy);
    if (strategy > AUTH_CLIENT_CERTIFICATE)
        return; /* reported; and which other keys there may be, nobody knows */
    auth->unknown = false;
    auth->strategy = (enum auth_strategy)strategy;
    auth->cache_s = CACHE_S;
    auth->cache_size = CACHE_SIZE;
    switch (auth->strategy) {
    case AUTH_NONE:
        read_users(block, auth);
        break;
    case AUTH_HTTP_BASIC:
        read_http_basic(block, auth);
        break;
    case AUTH_KEYSTONE:
        read_keystone(block, auth);
        break;
    case AUTH_CLIENT_CERTIFICATE:
        read_client_certificate(block, auth);
        break;
    }
    refuse_strangers(block, auth->strategy);
    block_finish(block);
}

/* Room at `at`, the first behind the last; false when memory is out. */
static bool make_room(struct conf *conf, size_t at)
{
    if (at < conf->auth_count)
        return true;
    struct conf_auth *auths = realloc(conf->auths, (at + 1) * sizeof *auths);
    if (auths == NULL)
        return false;
    auths[at] = (struct conf_auth){0};
    conf->auths = auths;
    conf->auth_count = at + 1;
    return true;
}

bool conf_read_auth(struct conf_block *block, size_t at)
{
    struct conf *conf = block->reader->conf;
    struct conf_block auth;
    if (block_take(block, "auth") == NULL)
        return false;
    if (!make_room(conf, at)) {
        block_complain(block, "auth", "out of memory");
        return false;
    }
    conf->auths[at].unknown = true;
    if (block_group(block, "auth", block->path[0] == '\0' ? "auth." : "listen.auth.", &auth) > 0)
        read_strategy(&auth, &conf->auths[at]);
    return true;
}

/* ---- Against the nodes ---- */

static void warn_of_projects(struct conf_reader *reader, const char *file,
                             const struct map *projects)
{
    const struct conf *conf = reader->conf;
    for (size_t i = 0; i < conf->auth_count; i++) {
        for (size_t j = 0; j < conf->auths[i].user_count; j++) {
            const struct conf_user *user = &conf->auths[i].users[j];
            if (user->project_id != NULL && map_get(projects, user->project_id) == NULL)
                report_add(reader->warnings, file, user->line,
                           "%sauth.users.project_id: no node is in the project %s of %s",
                           i == 0 ? "" : "listen.", user->project_id, user->name);
        }
    }
}

void conf_compare_projects(struct conf_reader *reader, const char *file)
{
    const struct conf *conf = reader->conf;
    size_t count = node_table_count(conf->nodes);
    struct map *projects = map_new();
    /* Without nodes there is a warning already; Ironic's nodes are not known here. */
    bool good = projects != NULL && count > 0 && !conf->state_source_ironic;
    for (size_t i = 0; good && i < count; i++) {
        struct node *node = node_table_at(conf->nodes, i);
        if (node->project_id != NULL)
            good = map_put(projects, node->project_id, node) == 0;
    }
    if (good)
        warn_of_projects(reader, file, projects);
    map_free(projects);
}

void conf_auth_clear(struct conf_auth *auth)
{
    for (size_t i = 0; i < auth->user_count; i++) {
        free(auth->users[i].name);
        free(auth->users[i].subject);
        free(auth->users[i].project_id);
        conf_names_clear(&auth->users[i].roles);
    }
    free(auth->users);
    free(auth->user_file);
    free(auth->www_authenticate_uri);
    conf_keystone_clear(&auth->keystone);
    *auth = (struct conf_auth){0};
}

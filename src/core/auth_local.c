/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "none": the kernel decides who reaches the listener. Without users, whoever does is
 * administrator. With users (on a UNIX socket), each local user has the roles of the entries that
 * name it or one of its groups; root and nmid's own user are administrators. Names were looked up
 * when the configuration was read: no request waits for a look-up. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/auth_state.h"

#define ALL_ROLES (ROLE_BIT(ROLE_READER) | ROLE_BIT(ROLE_MEMBER) | ROLE_BIT(ROLE_ADMIN))

struct local {
    const struct conf_auth *conf;
    const struct conf_policy *policy;
    struct identity *everybody; /* without users */
    struct identity *root, *own;
    uid_t own_uid;
    size_t roles_max; /* of all entries together */
};

static void local_close(void *self)
{
    struct local *local = self;
    identity_unref(local->everybody);
    identity_unref(local->root);
    identity_unref(local->own);
    free(local);
}

static struct identity *administrator(const char *user, const char *method)
{
    struct principal admin = {
        .user = user, .method = method, .roles = ALL_ROLES, .administrator = true};
    return identity_new(&admin);
}

static void *local_open(const struct auth_settings *settings, struct fault *fault)
{
    struct local *local = calloc(1, sizeof *local);
    if (local == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    local->conf = settings->conf;
    local->policy = settings->policy;
    local->own_uid = geteuid();
    for (size_t i = 0; i < local->conf->user_count; i++)
        local->roles_max += local->conf->users[i].roles.count;
    const struct passwd *own = getpwuid(local->own_uid);
    local->everybody = administrator("admin", "none");
    local->own = administrator(own != NULL ? own->pw_name : "nmid", "local");
    local->root = administrator("root", "local");
    if (local->everybody != NULL && local->own != NULL && local->root != NULL)
        return local;
    fault_set(fault, FAULT_MEMORY, "out of memory");
    local_close(local);
    return NULL;
}

static bool is_named(const struct conf_user *user, const struct credentials *credentials)
{
    if (!user->is_group)
        return user->id == credentials->uid;
    for (size_t i = 0; i < credentials->gid_count; i++) {
        if (user->id == credentials->gids[i])
            return true;
    }
    return false;
}

static bool has_scope(const struct conf_user *user)
{
    return user->system || user->project_id != NULL;
}

/* A role in one project is none in another. */
static bool counts_in(const struct conf_user *user, const struct principal *scope)
{
    if (!has_scope(user) || user->system || scope->system)
        return !has_scope(user) || user->system == scope->system;
    return strcmp(user->project_id, scope->project_id) == 0;
}

/* The scope of the first entry that names the caller and has one, and the roles of all that name
 * the caller and have the same or none. False when no entry does. */
static bool assign(const struct local *local, const struct credentials *credentials,
                   const char **roles, struct principal *principal)
{
    const struct conf_user *users = local->conf->users;
    size_t count = 0;
    bool found = false, scoped = false;
    for (size_t i = 0; i < local->conf->user_count; i++) {
        if (!is_named(&users[i], credentials))
            continue;
        found = true;
        if (!users[i].is_group)
            principal->user = users[i].name;
        if (!scoped && has_scope(&users[i])) {
            scoped = true;
            principal->system = users[i].system;
            principal->project_id = users[i].project_id;
        }
    }
    for (size_t i = 0; i < local->conf->user_count; i++) {
        bool counts = is_named(&users[i], credentials) && counts_in(&users[i], principal);
        for (size_t j = 0; counts && j < users[i].roles.count; j++)
            roles[count++] = users[i].roles.names[j];
    }
    policy_assign(local->policy, roles, count, principal);
    return found;
}

static void check_listed(const struct local *local, const struct credentials *credentials,
                         auth_done_fn *done, void *arg)
{
    char name[32];
    struct principal principal = {.user = name, .method = "local"};
    struct identity *identity = NULL;
    const char **roles = calloc(local->roles_max + 1, sizeof *roles);
    snprintf(name, sizeof name, "uid %lu", (unsigned long)credentials->uid);
    bool found = roles != NULL && assign(local, credentials, roles, &principal);
    if (roles != NULL)
        identity = identity_new(&principal);
    free(roles);
    if (identity == NULL) {
        auth_refuse(done, arg, FAULT_MEMORY, "out of memory");
    } else if (!found) {
        struct fault fault = {0};
        fault_set(&fault, FAULT_FORBIDDEN,
                  "The local user %s is in no entry of auth.users of nmid.conf.", name);
        done(arg, identity, &fault);
    } else {
        done(arg, identity, NULL);
    }
    identity_unref(identity);
}

static void *local_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                         void *arg)
{
    struct local *local = self;
    if (local->conf->user_count == 0)
        done(arg, local->everybody, NULL);
    else if (!credentials->local)
        auth_refuse(done, arg, FAULT_FORBIDDEN, "The kernel does not say which local user asks.");
    else if (credentials->uid == 0)
        done(arg, local->root, NULL);
    else if (credentials->uid == local->own_uid)
        done(arg, local->own, NULL);
    else
        check_listed(local, credentials, done, arg);
    return NULL;
}

static void local_cancel(void *self, void *check)
{
    (void)self, (void)check; /* no check waits */
}

const struct auth_method auth_local = {local_open, local_close, local_check, local_cancel};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies of what outlives the configuration that it came from: auth keeps its settings when those
 * of a reload cannot be used. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "core/conf_parts.h"

/* The members that are owned, by their place in the struct. */
#define KEYSTONE(member) offsetof(struct conf_keystone, member)

static const size_t keystone_texts[] = {
    KEYSTONE(auth_url),
    KEYSTONE(username),
    KEYSTONE(user_id),
    KEYSTONE(user_domain_name),
    KEYSTONE(user_domain_id),
    KEYSTONE(project_name),
    KEYSTONE(project_id),
    KEYSTONE(project_domain_name),
    KEYSTONE(project_domain_id),
    KEYSTONE(application_credential_id),
    KEYSTONE(application_credential_name),
    KEYSTONE(ca_file),
};

static const size_t keystone_secrets[] = {
    KEYSTONE(password),
    KEYSTONE(application_credential_secret),
};

#define COUNT(table) (sizeof table / sizeof table[0])

static int copy_text(const char *from, char **to)
{
    *to = from == NULL ? NULL : strdup(from);
    return from != NULL && *to == NULL ? -1 : 0;
}

static int copy_names(const struct conf_names *from, struct conf_names *to)
{
    to->names = calloc(from->count + 1, sizeof *to->names);
    if (to->names == NULL)
        return -1;
    for (; to->count < from->count; to->count++) {
        if (copy_text(from->names[to->count], &to->names[to->count]) < 0)
            return -1;
    }
    return 0;
}

static int copy_keystone(const struct conf_keystone *from, struct conf_keystone *to)
{
    int result = 0;
    for (size_t i = 0; i < COUNT(keystone_texts); i++) {
        char *const *source = (const void *)((const char *)from + keystone_texts[i]);
        result |= copy_text(*source, (void *)((char *)to + keystone_texts[i]));
    }
    for (size_t i = 0; i < COUNT(keystone_secrets); i++) {
        struct secret *const *source = (const void *)((const char *)from + keystone_secrets[i]);
        struct secret **copy = (void *)((char *)to + keystone_secrets[i]);
        *copy = *source == NULL ? NULL : secret_new((*source)->bytes, (*source)->len);
        if (*source != NULL && *copy == NULL)
            result = -1;
    }
    to->system_scope = from->system_scope;
    to->insecure = from->insecure;
    to->timeout_ms = from->timeout_ms;
    return result;
}

static int copy_user(const struct conf_user *from, struct conf_user *to)
{
    to->is_group = from->is_group;
    to->id = from->id;
    to->system = from->system;
    return copy_text(from->name, &to->name) | copy_text(from->subject, &to->subject) |
           copy_text(from->project_id, &to->project_id) | copy_names(&from->roles, &to->roles);
}

int conf_auth_copy(const struct conf_auth *from, struct conf_auth *ret_copy)
{
    struct conf_auth copy = {
        .strategy = from->strategy, .cache_s = from->cache_s, .cache_size = from->cache_size};
    int result = copy_text(from->user_file, &copy.user_file) |
                 copy_text(from->www_authenticate_uri, &copy.www_authenticate_uri) |
                 copy_keystone(&from->keystone, &copy.keystone);
    copy.users = calloc(from->user_count + 1, sizeof *copy.users);
    if (copy.users == NULL)
        result = -1;
    for (size_t i = 0; result == 0 && i < from->user_count; i++) {
        copy.user_count = i + 1; /* half a copy is cleared too */
        result = copy_user(&from->users[i], &copy.users[i]);
    }
    if (result < 0)
        conf_auth_clear(&copy);
    else
        *ret_copy = copy;
    return result;
}

int conf_policy_copy(const struct conf_policy *from, struct conf_policy *ret_copy)
{
    struct conf_policy copy = {.system_admin_only = from->system_admin_only};
    int result = 0;
    memcpy(copy.checks, from->checks, sizeof copy.checks);
    for (unsigned i = 0; i < ROLES; i++)
        result |= copy_names(&from->roles[i], &copy.roles[i]);
    if (result < 0)
        conf_policy_clear(&copy);
    else
        *ret_copy = copy;
    return result;
}

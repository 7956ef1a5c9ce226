/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A principal: who asks, as one of the ways of authentication told. And an identity: the counted
 * copy of a principal, which a cache and several requests may hold at once. */
#ifndef NMID_CORE_PRINCIPAL_H
#define NMID_CORE_PRINCIPAL_H

#include <stdbool.h>

/* The roles that policy knows. Each implies those below it, as Keystone's do. */
enum role { ROLE_READER, ROLE_MEMBER, ROLE_ADMIN, ROLES };
#define ROLE_BIT(role) (1u << (role))

/* Strings are borrowed, and copied where they are kept. */
struct principal {
    const char *user;       /* its name, for people */
    const char *user_id;    /* Keystone's; or NULL: then the name is the identity */
    const char *project_id; /* or NULL */
    const char *address;    /* "127.0.0.1", "unix" ...; of the request, not of the identity */
    const char *method;     /* "none", "local", "http_basic", "keystone", "client_certificate"; static */
    unsigned roles;         /* ROLE_BIT()s */
    bool system;            /* of the whole system: every node counts as its own */
    bool administrator;     /* may do everything, with every node */
};

struct identity {
    unsigned references;
    struct principal principal; /* address NULL */
};

/* A copy with one reference; NULL when memory is out. */
struct identity *identity_new(const struct principal *principal);
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity); /* NULL-safe; wipes nothing: there is no secret */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration of who may: auth, policy, audit, and the services that are asked about it. A
 * part of conf.h. Strings are owned by struct conf; NULL where there is none. */
#ifndef NMID_CORE_CONF_AUTH_H
#define NMID_CORE_CONF_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include "base/secret.h"
#include "core/principal.h"

struct conf_names {
    char **names;
    size_t count;
};

/* ---- policy = { ... } ---- */

enum policy_rule {
    POLICY_INJECT_NMI,
    POLICY_FORCE,
    POLICY_PROBE,
    POLICY_READ,
    POLICY_LOCK, /* and status */
    POLICY_AUDIT,
    POLICY_METRICS,
    POLICY_RULES
};

enum policy_check { POLICY_ADMIN, POLICY_OWNER, POLICY_ADMIN_OR_OWNER };

struct conf_policy {
    enum policy_check checks[POLICY_RULES];
    struct conf_names roles[ROLES]; /* the names that count as reader, member, admin */
    bool system_admin_only;         /* admin of a project is no administrator */
};

/* ---- audit = { ... } ---- */

struct conf_audit {
    unsigned records;  /* kept; the oldest go first */
    unsigned days;     /* and for how long; 0: however long */
    unsigned refusals; /* recorded per second; what is more is counted */
    bool reads;        /* reads that were allowed, too */
};

/* ---- Keystone, as nmid itself logs in to it: auth = { strategy = "keystone" }, ironic = { } ---- */

struct conf_keystone {
    char *auth_url; /* ".../v3", without a slash at its end */
    char *username, *user_id, *user_domain_name, *user_domain_id;
    struct secret *password;
    char *project_name, *project_id, *project_domain_name, *project_domain_id;
    bool system_scope;
    char *application_credential_id, *application_credential_name;
    struct secret *application_credential_secret;
    char *ca_file;
    bool insecure; /* its certificate is not verified */
    unsigned timeout_ms;
};

/* ---- auth = { ... } ---- */

enum auth_strategy { AUTH_NONE, AUTH_HTTP_BASIC, AUTH_KEYSTONE, AUTH_CLIENT_CERTIFICATE };

/* One of users = ( ... ): by http_basic's name; by the subject of a client's certificate; or, on a
 * UNIX socket with "none", a local user or group. */
struct conf_user {
    char *name;
    char *subject; /* client_certificate: RFC 4514, as "CN=conductor,O=example" */
    bool is_group;
    unsigned id; /* uid or gid */
    char *project_id;
    struct conf_names roles;
    bool system;
    unsigned line; /* of nmid.conf */
};

struct conf_auth {
    enum auth_strategy strategy;
    bool unknown; /* the strategy is told wrong: an error, from which nothing follows */
    struct conf_user *users;
    size_t user_count;
    char *user_file;            /* http_basic: htpasswd's */
    unsigned cache_s;           /* http_basic: a verified password; keystone: a valid token */
    unsigned cache_size;        /* keystone: tokens remembered */
    char *www_authenticate_uri; /* keystone: what clients are told; default: auth_url */
    struct conf_keystone keystone;
};

/* Copies of one's own, for conf_auth_clear() and conf_policy_clear(); -1 when memory is out. */
int conf_auth_copy(const struct conf_auth *from, struct conf_auth *ret_copy);
int conf_policy_copy(const struct conf_policy *from, struct conf_policy *ret_copy);

/* ---- ironic = { ... } ---- */

struct conf_ironic {
    char *url; /* without a slash at its end */
    enum auth_strategy auth;
    char *username; /* http_basic */
    struct secret *password;
    struct conf_keystone keystone;
    char *ca_file;
    bool insecure; /* its certificate is not verified */
    unsigned cache_s, timeout_ms;
    bool fail_open;          /* Ironic down: the configuration's status and owner count */
    bool ignore_reservation; /* else a reserved node is in flight */
};

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The OS_* variables of an openrc, and the request that logs in to Keystone with them (Identity API
 * v3: password or application credential). No files and no network. */
#ifndef NMID_CLI_OPENRC_H
#define NMID_CLI_OPENRC_H

#include <stdbool.h>
#include "base/fault.h"
#include "base/secret.h"
#include "base/url.h"

/* Strings are borrowed from the environment; NULL where there is none. */
struct openrc {
    char auth_url[URL_TEXT + 4]; /* ".../v3" */
    bool exposed;                /* what is sent there could be read on the way */
    const char *user_id, *username, *user_domain_id, *user_domain_name;
    const char *project_id, *project_name, *project_domain_id, *project_domain_name;
    bool system_scope;
    bool application_credential; /* else a password */
    const char *application_credential_id, *application_credential_name;
    const char *ca_file;
    const struct secret *password, *application_credential_secret;
};

/* The value of a variable; NULL when it is not set, or empty. */
typedef const char *openrc_get_fn(const char *name);

/* 0: complete. -1: FAULT_UNAUTHORIZED with what is missing or cannot be used. The two secrets are
 * those of OS_PASSWORD and OS_APPLICATION_CREDENTIAL_SECRET, borrowed; NULL when there is none. */
int openrc_read(openrc_get_fn *get, const struct secret *password,
                const struct secret *application_credential_secret, struct openrc *ret_openrc,
                struct fault *fault);

/* The body of POST auth/tokens; NULL when memory is out, or a value is longer than any can be. */
struct secret *openrc_body(const struct openrc *openrc);

/* Whom it logs in, without a secret: "the user 'alice' (project 'demo')". */
void openrc_describe(const struct openrc *openrc, char *text, size_t size);

#endif

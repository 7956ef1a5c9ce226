/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of users and bcrypt hashes, as `htpasswd -B` writes it and Ironic reads it; the check of a
 * password against a hash; and the header that brings user and password along. */
#ifndef NMID_CORE_HTPASSWD_H
#define NMID_CORE_HTPASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "base/report.h"

#define HTPASSWD_USER_MAX     255
#define HTPASSWD_PASSWORD_MAX 72 /* bcrypt reads no more, and would take any end after it */
#define HTPASSWD_HASH_LEN     60
#define HTPASSWD_COST_MAX     16 /* some four seconds of a processor for one check */

/* ---- The users of a file ---- */

struct htpasswd;

/* Lines "user:hash", empty ones, and comments (#). NULL with every mistake, as NAME:LINE, in
 * errors. No message holds a part of a line. */
struct htpasswd *htpasswd_parse(const char *name, const char *text, size_t len,
                                struct report *errors);
void htpasswd_free(struct htpasswd *users); /* NULL-safe; wipes the hashes */

size_t htpasswd_count(const struct htpasswd *users);
size_t htpasswd_count_below(const struct htpasswd *users, unsigned cost); /* of a lower cost */

/* A user's hash, borrowed; or NULL. */
const char *htpasswd_find(const struct htpasswd *users, const char *user);

/* The hash of one of the users, which one the number says; NULL when there is none. An unknown user
 * is checked against it, so that the time does not tell who is known. */
const char *htpasswd_decoy(const struct htpasswd *users, size_t number);

/* ---- A file that is watched ---- */

struct htpasswd_file;

/* Reads the file, which others may not be able to read. NULL with what is wrong in errors. */
struct htpasswd_file *htpasswd_file_new(const char *path, struct report *errors);
void htpasswd_file_free(struct htpasswd_file *file); /* NULL-safe */

/* Its users, borrowed until the next call. Looks at most once a second whether it has changed, and
 * reads it again then; while it is missing or broken (the log says so once), its users are those of
 * before. */
const struct htpasswd *htpasswd_file_users(struct htpasswd_file *file);

/* ---- A password ---- */

/* Does the hash belong to the password (without NUL)? It takes as long as the hash's cost says: for
 * a worker. Compares in constant time. 1 or 0; -1 when memory is out, and nothing is known. */
int htpasswd_matches(const char *hash, const char *password);

/* ---- Authorization: Basic ---- */

struct basic_login {
    char user[HTPASSWD_USER_MAX + 1];
    char password[HTPASSWD_PASSWORD_MAX + 1]; /* wipe it */
};

/* What the header's value says; -1 with FAULT_UNAUTHORIZED when it cannot be a log-in. */
int basic_login_parse(const char *header, struct basic_login *ret_login, struct fault *fault);

#endif

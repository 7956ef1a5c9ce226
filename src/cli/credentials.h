/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The user's credentials, and which of them nmid gets.
 *
 * What was named for nmid (--user or NMID_USER, --token-file) goes with every request. What lies in
 * the environment for a whole cloud (OS_TOKEN, an openrc) goes only to a nmid that asks for
 * Keystone, as its /healthz says, or else a 401: whoever has an openrc loaded and talks to a local
 * socket does not spread it. What was named on the command line and is not what nmid asks for is a
 * mistake, and not left out: the command would be carried out as somebody else. Once an interrupt
 * was asked for as somebody it is never asked for as somebody else, because nmid knows a repeat by
 * its key and its caller. */
#ifndef NMID_CLI_CREDENTIALS_H
#define NMID_CLI_CREDENTIALS_H

#include <stdbool.h>
#include "base/fault.h"
#include "base/secret.h"
#include "cli/openrc.h"

struct credentials;

/* What a 401 asks for: the scheme of WWW-Authenticate. */
enum challenge { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_KEYSTONE, CHALLENGE_OTHER };

/* What becomes of a request that was refused with 401. */
enum credentials_next {
    CREDENTIALS_FINAL, /* the fault says why */
    CREDENTIALS_AGAIN, /* send it again, with the credentials of now */
    CREDENTIALS_LOGIN, /* send it again after a log-in */
};

/* Reads the environment, and wipes the secrets there; user and token_file are those of the command
 * line, or NULL. NULL with FAULT_USAGE (a password is missing and stdin is no terminal, for one),
 * FAULT_MEMORY. */
struct credentials *credentials_new(const char *user, const char *token_file, struct fault *fault);

/* There are some. */
bool credentials_any(const struct credentials *credentials);

/* nmid at this url says that it asks for "none", "http_basic", "keystone" or "client_certificate";
 * with anything else nothing changes. certificate: TLS shows one. -1: FAULT_USAGE (the command line
 * has something else), FAULT_UNAUTHORIZED (so has the environment), FAULT_CONNECT (there is no
 * certificate). */
int credentials_told(struct credentials *credentials, const char *strategy, bool certificate,
                     const char *url, struct fault *fault);

/* Asks the terminal for the password where one is missing. -1: FAULT_USAGE, FAULT_MEMORY. */
int credentials_complete(struct credentials *credentials, struct fault *fault);

/* Wipes; NULL-safe. */
void credentials_free(struct credentials *credentials);

/* The header that a request gets now ("X-Auth-Token: ..."), or NULL: none. Until the next call that
 * changes something; `generation` tells which one it is. */
const struct secret *credentials_header(const struct credentials *credentials);
unsigned credentials_generation(const struct credentials *credentials);

/* What the header has in it: "the password", "the token"; for people. */
const char *credentials_secret_name(const struct credentials *credentials);

/* A 401 might change what requests get: until the first answer there should be one request alone.
 */
bool credentials_open(const struct credentials *credentials);

/* Without a log-in no request can be sent. */
bool credentials_wants_login(const struct credentials *credentials);
const struct openrc *credentials_openrc(const struct credentials *credentials);

/* Keystone gave this token. -1: it cannot be one, or memory is out. */
int credentials_logged_in(struct credentials *credentials, const char *token, struct fault *fault);

/* A request of this generation was let in. */
void credentials_worked(struct credentials *credentials, unsigned generation);

/* An interrupt was asked for: from here on the caller stays the same. */
void credentials_settle(struct credentials *credentials);

/* nmid answered 401 to a request of this generation. words: what it said, or "". */
enum credentials_next credentials_refused(struct credentials *credentials, unsigned generation,
                                          enum challenge challenge, const char *words,
                                          struct fault *fault);

/* The scheme of one value of WWW-Authenticate. */
enum challenge challenge_parse(const char *value);

#endif

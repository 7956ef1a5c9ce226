/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl's HTTP: many requests at a time to one nmid, over TCP or a UNIX socket (libcurl).
 * What the server sends is capped in size and is only ever data. Proxies of the environment are
 * not used, redirects are not followed. */
#ifndef NMID_CLI_CLIENT_H
#define NMID_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "cli/credentials.h"
#include "cli/tls.h"

#define CLIENT_CAP_LIST ((size_t)64 << 20)
#define CLIENT_CAP      ((size_t)1 << 20)

struct client;

struct client_request {
    const char *method, *path; /* the path begins with '/' and is already escaped */
    const char *body;          /* JSON, or NULL */
    const char *key;           /* Idempotency-Key, or NULL; takes a connection of its own */
    long timeout_ms;
    long latest_ms; /* to begin by, when nmid turns connections away; 0: timeout_ms */
    size_t cap;     /* of the answer's body; 0: CLIENT_CAP */
};

struct client_answer {
    struct fault fault;   /* why there is no answer; FAULT_NONE when there is one */
    bool away;            /* because nmid took no connection, or ended it without a word */
    bool sent;            /* something of the request may have reached nmid */
    long status;          /* HTTP's */
    json_t *body;         /* NULL: it was no JSON */
    const char *location; /* the header, or NULL; only during the callback */
};

typedef void client_done_fn(void *arg, const struct client_answer *answer);

/* url: http://, https:// (with a path, if any) or unix:PATH. limit: connections at a time.
 * NULL: FAULT_USAGE for a URL that cannot be, or files that cannot be used; FAULT_SYSTEM. */
struct client *client_new(const char *url, const struct tls_options *tls, size_t limit,
                          struct fault *fault);
void client_free(
    struct client *client); /* drops what is under way, without a callback; NULL-safe */

/* Requests bear these credentials from now on, and a 401 is answered with them, as credentials.h
 * has it. Takes them over. */
void client_use(struct client *client, struct credentials *credentials);

/* No request leaves from now on: each ends with this fault. */
void client_doom(struct client *client, const struct fault *fault);

/* What is sent to nmid goes through TLS; and there is a certificate to show. */
bool client_is_encrypted(const struct client *client);
bool client_has_certificate(const struct client *client);

/* What nmid shows may depend on who asks. */
bool client_is_personal(const struct client *client);

/* Begins a request; done(arg, answer) comes once, from a later client_turn(), which lends it the
 * answer. Everything in request is copied. */
int client_send(struct client *client, const struct client_request *request, client_done_fn *done,
                void *arg, struct fault *fault);

/* Moves everything on; waits at most timeout_ms, less when something happens or wake_fd (-1: none)
 * becomes readable. */
void client_turn(struct client *client, int timeout_ms, int wake_fd);

/* How many requests are under way. */
size_t client_pending(const struct client *client);

/* One request, waited for. 0: nmid said yes (2xx) and *ret_body is its object, to be freed by the
 * caller. -1: the fault says why not, in nmid's words where it gave any. */
int client_call(struct client *client, const struct client_request *request, json_t **ret_body,
                struct fault *fault);

/* "PREFIX" + escaped ident + "SUFFIX"; malloc'd, or NULL when memory is out. */
char *client_path(const char *prefix, const char *ident, const char *suffix);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rig for tests of what speaks HTTP: the real loop, server, engine, journal and contracts in a
 * thread, a fake driver whose nodes behave as their names say, and a client on raw sockets in the
 * test's own thread. Nothing is stubbed but the way to the BMC.
 *
 * Nodes: "good" delivers, "bad" fails (unreachable), "doubt" ends unknown, "off" is powered off,
 * "dull" has a driver without NMI, "still" waits for rig_release(), "stopped" is SHUTOFF, "paused"
 * is PAUSED, "locked" is locked and delivers. "good-2" ... "good-9" deliver too. */
#ifndef NMID_TESTS_HTTP_RIG_H
#define NMID_TESTS_HTTP_RIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/conf.h"
#include "core/engine.h"
#include "core/auth.h"
#include "http/server.h"
#include "state_dir.h"

struct rig {
    struct conf conf;           /* limits, hold_off_s: set before rig_start() */
    struct conf_auth auth_conf; /* "none" unless it is set before rig_start() */
    struct loop *loop;
    struct journal *journal;
    char dir[STATE_DIR_MAX];
    struct engine *engine;
    struct http_server *server;
    struct limits *limits; /* of conf.limits */
    struct agent *agent;
    struct nova *nova;
    struct ironic_api *ironic;
    struct auth *auth;
    struct pool *passwords; /* of every auth */
    const struct http_contract *extra; /* mounted too when set before rig_start() */
    void *extra_self;
    unsigned port;         /* of 127.0.0.1 */
    char path[64];         /* of the UNIX socket */
    unsigned starts, sent; /* driver->start() calls, and how many came to send */
    void *thread;
};

/* Defaults into conf; then tests change what they like; then the start. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);

/* Runs fn(arg) in the loop's thread and waits for it. */
void rig_call(struct rig *rig, void (*fn)(void *arg), void *arg);

/* Lets the actions on "still" finish as delivered; waits until there was one. */
void rig_release(struct rig *rig);

/* ---- The client ---- */

struct reply {
    int status; /* 0: the connection ended without an answer */
    char head[8192];
    char *body;
    size_t body_len;
    json_t *json; /* NULL when the body is none */
};

int client_connect(const struct rig *rig);
void client_send(int fd, const char *bytes, size_t len);
void client_write(int fd, const char *text);

/* Reads one answer (no body after HEAD). False when the connection ended before one came. */
bool client_read(int fd, struct reply *reply, bool head_only);
void reply_clear(struct reply *reply);

/* True when the other side closes within ms (bytes that come before are dropped). */
bool client_closed(int fd, int ms);

/* A whole request on a connection of its own. headers: lines with CRLF, or "". */
struct reply rig_ask(const struct rig *rig, const char *method, const char *path,
                     const char *headers, const char *body);

/* The value of a header of the answer (malloc'd by none: a static buffer), or NULL. */
const char *reply_header(const struct reply *reply, const char *name);
unsigned reply_header_count(const struct reply *reply, const char *name);

/* A string inside the answer: reply_text(&r, "error", "code"). NULL when it is not there. */
const char *reply_text(const struct reply *reply, const char *outer, const char *inner);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration: nmid.conf and every *.conf of its include_dir, read by libconfig, which is
 * known nowhere else. nmid.conf(5) describes each key. */
#ifndef NMID_CORE_CONF_H
#define NMID_CORE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "base/report.h"
#include "base/secret.h"
#include "core/conf_auth.h"
#include "core/conf_listen.h"
#include "core/node.h"

struct driver;

enum conf_resend { CONF_RESEND_NEVER, CONF_RESEND_IF_UNSEEN };

/* When the BMC's System Event Log is asked for a trace of the interrupt. */
enum conf_sel { CONF_SEL_NEVER, CONF_SEL_SILENCE, CONF_SEL_ALWAYS };

/* ipmi = { ... }; times in milliseconds. */
struct conf_ipmi {
    unsigned window;          /* actions under way at once */
    unsigned timeout_ms;      /* from leaving the window's queue to the outcome */
    unsigned answer_ms;       /* how long an answer to the Chassis Control is awaited */
    unsigned retransmit_ms;   /* first retransmission of what may be retransmitted */
    unsigned min_interval_ms; /* between two sessions on one BMC */
    unsigned auth_pause_s;    /* no session after an authentication failure; 0: no such pause */
    enum conf_resend resend;
    bool retry_busy; /* completion code C0 to the Chassis Control: again after a pause */
    enum conf_sel sel;
};

/* callback = { ... } */
struct conf_header {
    char *name;
    struct secret *value; /* it may be a token */
};

struct conf_callback {
    char *url; /* every finished action goes there; or NULL */
    struct conf_header *headers;
    size_t header_count;
    char *ca_file;           /* or NULL: the system's */
    bool insecure;           /* the receiver's certificate is not verified */
    struct secret *hmac_key; /* or NULL: no signature */
    char **allow;            /* prefixes of the URLs that callers may give; none: none allowed */
    size_t allow_count;
    unsigned timeout_ms;              /* of one try */
    const struct conf_ironic *ironic; /* told of each node's last action; or NULL; borrowed */
};

struct conf {
    struct conf_listener *listeners;
    size_t listener_count;
    struct conf_auth *auths; /* the first is the one at the top, or "none" */
    size_t auth_count;
    struct conf_policy policy;
    struct conf_audit audit;
    bool state_source_ironic; /* status and owner come from there */
    bool ironic_given;
    struct conf_ironic ironic;
    char *state_dir;
    unsigned hold_off_s;
    struct conf_ipmi ipmi;
    struct conf_limits limits;
    struct conf_callback callback;
    char *include_dir; /* or NULL */
    struct node_table *nodes;
};

/* Reads path and what it includes. drivers: NULL-terminated. On success 0 and *ret_conf. On
 * failure -1, every error in errors, *ret_conf untouched. What is allowed but unwise goes to
 * warnings (may be NULL) in either case. */
int conf_load(const char *path, const struct driver *const *drivers, struct conf **ret_conf,
              struct report *errors, struct report *warnings);

/* The same for a text that is in memory already, without its include_dir: conf_load() minus the
 * files. public: the text came from where others can read it, so it may hold no secret. */
struct conf_source {
    const char *name; /* of the file, for messages and relative paths */
    const char *text;
    size_t len;
    bool public;
};
int conf_parse(const struct conf_source *source, const struct driver *const *drivers,
               struct conf **ret_conf, struct report *errors, struct report *warnings);

void conf_free(struct conf *conf); /* NULL-safe */

#endif

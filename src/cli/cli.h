/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What nmictl's verbs share: what the user asked for, and how a verb is offered. */
#ifndef NMID_CLI_CLI_H
#define NMID_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"
#include "cli/client.h"

#define CLI_SOCKET   "/run/nmid/nmid.sock" /* the packaged daemon's */
#define CLI_URL      "http://127.0.0.1:8623"
#define CLI_PARALLEL 32 /* limits.connections_per_address is 64 by default */

/* Exit codes. The rest of them come from the fault table. */
enum { EXIT_DELIVERED = 0, EXIT_ONE_FAILED = 1, EXIT_USAGE = 2, EXIT_UNKNOWN = 3 };

/* The options that only some verbs take. */
enum cli_option {
    OPTION_FORCE = 1 << 0,
    OPTION_PARALLEL = 1 << 1,
    OPTION_NODE = 1 << 2,
    OPTION_STATE = 1 << 3,
    OPTION_LIMIT = 1 << 4,
    OPTION_TIMEOUT = 1 << 5,
    OPTION_FORMAT = 1 << 6,
    OPTION_ALL = 1 << 7,
    OPTION_MARKER = 1 << 8,
    OPTION_CALLBACK = 1 << 9,
    OPTION_DEFAULT = 1 << 10,
    OPTION_AUDIT = 1 << 11, /* those of the verb audit alone */
};

/* One call of nmictl. Strings are borrowed from argv and the environment. */
struct cli {
    const char *url;
    const char *user, *token_file; /* NULL: not said */
    struct tls_options tls;
    bool json, force, all, configured;
    long timeout_s; /* 0: the verb's own */
    size_t parallel;
    const char *node, *state, *marker, *callback_url;
    const char *action, *key, *by, *project, *since, *until; /* of the audit */
    bool refused;
    size_t limit; /* 0: the verb's own */
    char **args;  /* after the verb */
    size_t arg_count;
};

struct verb {
    const char *name, *arguments, *summary;
    const char *help; /* paragraphs and an example */
    unsigned options; /* which cli_option it takes */
    size_t args_min, args_max;
    int (*run)(const struct cli *cli); /* the exit code */
};

extern const struct verb verb_inject_nmi, verb_nodes, verb_show, verb_probe, verb_lock, verb_unlock,
    verb_status, verb_actions, verb_audit, verb_version;

/* Says it on stderr, escaped, as one line "nmictl: ...". */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says the fault and returns its exit code. */
int cli_fail(const struct fault *fault);

/* The same, with how to get help. */
int cli_usage(const struct fault *fault, const char *verb);

/* Prints json; 0, or the exit code of a failure. */
int cli_print_json(const json_t *json);

/* A client of cli->url with the user's credentials; where there are some, or TLS is spoken, nmid is
 * asked first which it wants. NULL with FAULT_USAGE, FAULT_SYSTEM, FAULT_MEMORY. Once: the secrets
 * of the environment are wiped by it. */
struct client *cli_connect(const struct cli *cli, size_t limit, struct fault *fault);

/* GET of path: 0 and *ret_body, or -1. */
int cli_get(const struct cli *cli, struct client *client, const char *path, size_t cap,
            json_t **ret_body, struct fault *fault);

/* Says that there is no such node; another project's looks like none. Returns -1. */
int cli_no_node(const struct client *client, const char *name, struct fault *fault);

/* How long a request may take: what the user said, else seconds. */
long cli_timeout_ms(const struct cli *cli, long seconds);

#endif

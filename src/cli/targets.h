/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The nodes that a command names: host lists expanded, every name looked up at nmid, and each node
 * kept once however often and under whatever names it was given. */
#ifndef NMID_CLI_TARGETS_H
#define NMID_CLI_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/hostlist.h"

struct target {
    char *asked;          /* as the user named it */
    char *label;          /* the node's name, else its UUID, else what was asked */
    char uuid[UUID_TEXT]; /* "": nmid has no such node */
    struct fault fault;   /* what nmid said then */
};

struct targets {
    struct target *items; /* in the order of the arguments */
    size_t count, missing;
    struct client *client;
    const struct cli *cli;
    size_t next;
    struct fault fault;
};

/* What a verb does with the nodes of its arguments. */
struct targets_use {
    const struct verb *verb;
    const char *nothing; /* said when one of the names is no node, and so nothing was done */
    int (*run)(void *arg, const struct cli *cli, struct client *client,
               const struct targets *targets); /* the exit code */
    /* For -f json, when nothing was done: because of whole, or (NULL) because of those that are
     * missing. May be NULL. */
    void (*unsent)(const struct targets *targets, const struct fault *whole);
    void *arg;
};

/* Looks the nodes up and runs it on them if each was found. The exit code. */
int targets_use(const struct cli *cli, const struct targets_use *use);

/* The width of the longest label. */
size_t targets_width(const struct targets *targets);

#endif

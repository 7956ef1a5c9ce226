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

/* Looks up names, which it takes over. 0: every name was looked up; `missing` of them are no nodes.
 * -1: the fault says why the look-up went no further. */
int targets_find(struct targets *targets, const struct cli *cli, struct client *client,
                 struct hostlist *names, struct fault *fault);

/* The names of all of a command's arguments, each once. */
int targets_names(const struct cli *cli, struct hostlist *ret_names, struct fault *fault);

/* Says which names are no nodes, one line each. */
void targets_say_missing(const struct targets *targets);

/* The width of the longest label. */
size_t targets_width(const struct targets *targets);

void targets_clear(struct targets *targets);

#endif

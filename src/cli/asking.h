/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One and the same request to each of the nodes that a command names, many at a time. For what may
 * be asked again without harm: an interrupt goes through inject.h. */
#ifndef NMID_CLI_ASKING_H
#define NMID_CLI_ASKING_H

#include <jansson.h>
#include "base/fault.h"
#include "cli/targets.h"

struct asked {
    const struct target *target;
    json_t *answer;     /* nmid's object, or NULL: */
    struct fault fault; /* why there is none */
};

struct asking {
    const struct cli *cli;
    struct client *client;
    const struct targets *targets;
    const char *method, *suffix, *body; /* suffix: of /agent/v1/nodes/UUID */
    long timeout_s;
    /* Its own. */
    struct asked *items; /* as many as targets, in their order */
    size_t next;
};

/* Asks all of them; fill in the first part. -1 when memory is out: then nobody was asked. */
int asking_run(struct asking *asking);

/* The answers as a JSON array; {"node_uuid", "node_name", "error"} where there is none. The exit
 * code. */
int asking_print_json(const struct asking *asking);

/* 0 when each had an answer, else the exit code of a failure. */
int asking_exit_code(const struct asking *asking);

void asking_clear(struct asking *asking);

#endif

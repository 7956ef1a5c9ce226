/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The injections of one nmictl inject-nmi, each node from its request to its outcome.
 *
 * Each node gets one Idempotency-Key and never a second one. Once a request may have reached nmid,
 * only nmid's own word makes it delivered or failed; whatever else happens makes it unknown. */
#ifndef NMID_CLI_INJECT_H
#define NMID_CLI_INJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/fault.h"
#include "cli/client.h"
#include "cli/targets.h"

enum verdict { VERDICT_NONE, VERDICT_DELIVERED, VERDICT_FAILED, VERDICT_UNKNOWN };

struct injection;

struct job {
    struct injection *injection;
    const struct target *target;
    void (*resume)(struct job *job); /* what comes after a pause */
    char key[UUID_TEXT];
    bool sent;                    /* a request may have reached nmid */
    int64_t deadline, lost, wake; /* monotonic; 0: none; lost: since when it is asked again */
    int64_t pause_us;             /* the next one */
    char *why;                    /* while it is asked again: what went wrong; or NULL */
    json_t *action;               /* nmid's action as last seen, or NULL */
    char id[48];                  /* its id, or "" */
    enum verdict verdict;
    char code[64], message[FAULT_MESSAGE_MAX];
    char earlier_id[48]; /* the action that a refusal speaks of, or "" */
    int exit_code;
};

struct injection {
    struct client *client;
    bool force;
    const char *callback_url; /* or NULL */
    size_t parallel;
    int64_t timeout_us; /* of each node */
    int wake_fd;
    void (*on_finished)(void *arg, const struct job *job);
    void (*on_turn)(void *arg, const struct injection *injection);
    void *arg;
    /* Its own. */
    struct job *jobs; /* as many as targets, in their order */
    size_t count, next, finished, active_count;
    char *body; /* of every request: a repeat must have the same */
    struct job **active;
    char instance[128]; /* of nmid's journal, as it said before anything was sent; or "" */
    struct fault fault;
};

/* Runs to the end, or until a signal came. Fill in the first part. 0, or -1 with nothing sent. */
int injection_run(struct injection *injection, const struct targets *targets, struct fault *fault);

/* nmictl's exit code: unknown (3) wins, then failed (1); 4 when nmid was not reached at all. */
int injection_exit_code(const struct injection *injection);

/* The job as an action object: nmid's own where there is one, else one that says the same. */
json_t *job_json(const struct job *job);

void injection_clear(struct injection *injection);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What ironic.c, ironic_known.c and ironic_ask.c share, and nobody else. */
#ifndef NMID_CORE_IRONIC_STATE_H
#define NMID_CORE_IRONIC_STATE_H

#include <stdint.h>
#include "base/map.h"
#include "core/ironic.h"
#include "core/keystone.h"
#include "loop/client.h"

#define IRONIC_NEVER INT64_MIN

/* What Ironic said of one configured node. */
struct known {
    struct ironic_node node; /* its uuid is set also when Ironic has no such node */
    bool found;
    int64_t asked_at; /* when the question was put; IRONIC_NEVER: what it says is out of date */
};

enum question_kind { ASK_NODE, ASK_INSTANCE, ASK_ALL };
enum question_phase { QUESTION_IDLE, QUESTION_QUEUED, QUESTION_ASKING };

/* One thing to ask for. It is put once at a time, whoever waits for it, and stays as the memory of
 * when it was answered. */
struct question {
    struct ironic *ironic;
    enum question_kind kind;
    char uuid[UUID_TEXT]; /* of a node or an instance */
    char key[UUID_TEXT + 16];
    enum question_phase phase;
    struct question *next, **link; /* all of them */
    struct question *queued;       /* the next in the queue */
    struct waiter *waiters;
    int64_t asked_at;    /* the try under way began */
    int64_t answered_at; /* when the last one began that was answered */
    int64_t failed_at;   /* the last failure */
    bool retried;        /* with another token */
    struct keystone_wait *token_wait;
    struct secret *token;
    struct client_call *call;
    struct ironic_node *found; /* ASK_ALL: the configured ones of the pages so far */
    size_t found_count;
    unsigned pages, kept; /* kept: of so many waits that are not over, which need what it says */
    char marker[UUID_TEXT];
};

/* One question that a wait waits for. */
struct waiter {
    struct question *question, *kept; /* NULL: no more; the same, until the wait is over */
    struct state_wait *wait;
    struct waiter *next, **link;
    bool later; /* the try under way is too old for it: the next one counts */
};

#define WAIT_QUESTIONS 8 /* more nodes than these: all are asked for at once */

struct state_wait {
    struct ironic *ironic;
    struct state_wait *next, **link; /* those that wait, are to be told, or were told */
    int64_t since;                   /* what was asked for from then on counts for it */
    int64_t told_at;                 /* IRONIC_NEVER: of what is out of date */
    loop_fn *done;
    void *arg;
    size_t pending;
    struct waiter waiters[WAIT_QUESTIONS];
};

struct ironic {
    struct loop *loop;
    const struct conf *conf; /* NULL: it is not asked any more */
    struct client *client;
    struct keystone *keystone; /* or NULL */
    struct map *known;         /* by node UUID */
    struct map *instances;     /* the same, by the instance UUID of those that have one */
    struct map *questions;     /* by key */
    struct question *all, *queue, **queue_end;
    size_t questions_max; /* with more, those of instances are forgotten */
    size_t queued, asking;
    bool pumping;
    struct state_wait *waits, *due, **due_end, *told;
    int64_t since;     /* what was asked for from then on counts in this turn; INT64_MAX: nothing */
    bool failing;      /* the last answer was none */
    int64_t failed_at; /* since when */
};

/* How old what is known may be. */
int64_t ironic_horizon(const struct ironic *ironic, int64_t now);

/* ironic_known.c. What Ironic says (NULL: it has no such node); takes over what is in node. -1 when
 * memory is out. What is older than what is known changes nothing. */
int known_set(struct ironic *ironic, const char *uuid, struct ironic_node *node, int64_t asked_at);
void known_clear(struct ironic *ironic);

/* All configured nodes at once; those that are not among them are absent. Takes over the nodes. */
int known_set_all(struct ironic *ironic, struct ironic_node *nodes, size_t count, int64_t asked_at);

/* The configured node of a UUID or name; not of the configuration's instance UUIDs, which do not
 * count where Ironic's do. */
struct node *known_configured(const struct conf *conf, const char *ident);

/* ironic_ask.c */
struct question *question_get(struct ironic *ironic, enum question_kind kind, const char *uuid);
struct question *question_find(const struct ironic *ironic, enum question_kind kind,
                               const char *uuid);

/* Callers decide which instances are asked for: the memory of it has a bound. */
void questions_trim(struct ironic *ironic);

/* Puts it, unless that is under way. It may have failed when this returns. */
void question_put(struct question *question);
void question_reset(struct question *question); /* as if it had never been put */
void question_free(struct question *question);
void question_watch(struct question *question, struct waiter *waiter, bool later);
void waiter_unlink(struct waiter *waiter);

/* ironic.c: nothing more is asked for this one. */
void wait_answered(struct state_wait *wait);

#endif

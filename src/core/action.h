/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An action: one request to inject, from acceptance to its outcome. */
#ifndef NMID_CORE_ACTION_H
#define NMID_CORE_ACTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/fault.h"
#include "core/node.h"
#include "core/principal.h"

enum action_state { ACTION_NEW, ACTION_ACCEPTED, ACTION_SENT, ACTION_FINISHED };

/* delivered: the BMC said so. failed: surely not delivered. unknown: it may have been. */
enum action_outcome { OUTCOME_NONE, OUTCOME_DELIVERED, OUTCOME_FAILED, OUTCOME_UNKNOWN };

#define ACTION_ID_TEXT       41 /* "req-" and a UUID */
#define ACTION_KEY_MAX       255
#define ACTION_NAME_TEXT     24
#define ACTION_CONTRACT_TEXT 16

struct engine;
struct action_wait;

struct action {
    unsigned references;
    char id[ACTION_ID_TEXT];
    struct node *node;                   /* counted */
    char name[ACTION_NAME_TEXT];         /* "inject_nmi" or "trigger_crash_dump" */
    char contract[ACTION_CONTRACT_TEXT]; /* "nova", "agent" ... */
    char *user, *project_id, *address;   /* the caller; project_id may be NULL */
    char *user_id; /* Keystone's; or NULL, also when an earlier daemon accepted it */
    bool force;
    char *resolved;     /* the BMC's address where node->target has a name; or NULL */
    char *key_scope;    /* caller, node and Idempotency-Key; NULL without a key */
    char *fingerprint;  /* of the body, to tell a repeat from a reuse of the key */
    char *callback_url; /* the caller's own, or NULL */
    enum action_state state;
    enum action_outcome outcome;
    enum fault_code code; /* FAULT_NONE when delivered */
    char *message;        /* NULL until finished */
    json_t *evidence;     /* an object, or NULL while there is none */
    char *evidence_text;  /* once finished: the same as text, and evidence is NULL again */
    unsigned sends;       /* Chassis Controls that the journal has been told of: n of sent(n) */
    int64_t created_at, sent_at, finished_at; /* wall clock, us; 0: not yet */
    int64_t finished_mono;                    /* for the hold-off */
    int64_t queued_mono;                      /* when it began to wait for the window */
    /* The engine's own. */
    struct engine *engine;
    enum action_state durable; /* what the journal has, or what is told all the same */
    bool recorded;             /* *accepted* is on disk */
    struct action_wait *waits;
    struct action *next, **link; /* in the window's queue; link is NULL: it is not there */
    struct action *next_telling; /* finished, and its callers wait for the journal */
    bool started;                /* holds a place in the window */
    void (*go)(void *arg);       /* the driver waits for *sent* on disk */
    void *go_arg;
    /* The journal's own. */
    uint64_t serial, finish_serial; /* in the order of acceptance, of the end */
    uint64_t audit_serial;          /* of the record that allowed it, in the audit; or 0 */
    struct action *older, *newer;   /* in the history */
    struct action *earlier, *later; /* the same of its node alone; refusals are left out */
    unsigned last_of;               /* so many "last NMI" entries are this one */
    bool in_history, refusal;       /* refusal: never accepted (a node of a batch) */
};

struct action *action_new(struct node *node, const char *name, const char *contract,
                          const struct principal *caller);
struct action *action_ref(struct action *action);
void action_unref(struct action *action); /* NULL-safe */

const char *action_state_name(enum action_state state);
const char *action_outcome_name(enum action_outcome outcome); /* "" for OUTCOME_NONE */

/* The action as INTERFACES' object; a new reference, or NULL when memory is out.
 * outcome, code, sent_at and finished_at are null where there is none yet. */
json_t *action_json(const struct action *action);
/* The same with its end, though that is not on disk yet: for what is written along with it. */
json_t *action_json_finished(const struct action *action);

#endif

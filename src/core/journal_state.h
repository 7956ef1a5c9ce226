/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the journal*.c files share, and nobody else. */
#ifndef NMID_CORE_JOURNAL_STATE_H
#define NMID_CORE_JOURNAL_STATE_H

#include "base/map.h"
#include "core/journal_ops.h"
#include "loop/pool.h"

/* Actions in the order of their serials, from the newest by `older`. */
struct history {
    struct action *newest, *oldest;
    size_t count;
};

enum { ACCEPTED_ONES, REFUSED_ONES, HISTORIES };

struct override_entry {
    char uuid[UUID_TEXT];
    struct journal_override value;
};

struct journal {
    struct loop *loop;
    struct journal_db *db;
    struct pool *pool; /* one thread */
    journal_done_fn *done;
    void *done_arg;

    /* What is known. */
    struct history histories[HISTORIES]; /* each action in them is counted */
    size_t history_max;
    unsigned history_days;
    struct map *by_id, *by_key;
    struct map *newest_of;                     /* by the node's UUID */
    struct map *last_by_uuid, *last_by_target; /* counted */
    struct map *overrides;                     /* struct override_entry, owned */
    struct journal_post *posts;                /* read at the start, until journal_outbox() */
    size_t post_count;
    uint64_t serial, finish_serial, post_serial; /* the last ones given */

    /* What is to be written. */
    struct ops turn;       /* of this turn, or since the thread has been busy */
    struct ops owed;       /* failed, and tried again before everything else */
    struct batch *writing; /* what the thread has; or NULL */
    int64_t writing_since;
    unsigned writing_s; /* seconds since then in which the loop turned */
    size_t pending, owed_count;
    struct loop_timer *retry, *age, *second;
    bool retry_due, failing;

    /* The audit. */
    uint64_t audit_serial, audit_deed; /* the last ones given */
    unsigned audit_records, audit_days; /* kept; records 0: not configured yet */
    size_t audit_waiting;              /* records to be written that may be forgotten */

    struct fault fault; /* why the last transaction failed */
};

/* ---- journal_history.c ---- */

/* Into the history at its newest end, and into the maps; -1 when memory is out. */
int history_add(struct journal *journal, struct action *action);

/* Out of it again, and out of the maps unless it is somebody's last. */
void history_remove(struct journal *journal, struct action *action);

/* For the hold-off: remembers a finished action that was or may have been delivered. */
int history_remember_nmi(struct journal *journal, struct action *action);

/* Forgets the last interrupts that no hold-off asks for any more. */
void history_forget_lasts(struct journal *journal);

/* Forgets what is too much or too old. */
void history_prune(struct journal *journal);
void history_free(struct journal *journal);

/* ---- journal.c ---- */

/* Room for one more op of this turn, zeroed; NULL when memory is out. */
struct op *journal_op(struct journal *journal, enum op_kind kind);

/* ---- journal_audit.c ---- */

void journal_audit_prune(struct journal *journal);

/* ---- journal_more.c ---- */

/* An override is on disk: now it counts. */
void journal_apply_override(struct journal *journal, const struct op *op);

/* ---- journal_load.c ---- */

int journal_load(struct journal *journal, struct fault *fault);

/* An override as its row. */
struct journal_override_row journal_override_row(const char *uuid,
                                                 const struct journal_override *value);

#endif

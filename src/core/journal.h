/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal: the durable record of actions, STATE_DIR/nmid.db (SQLite, WAL, synchronous=FULL).
 * It is written before the wire. All calls are the loop's; what one turn of the loop writes is one
 * transaction, made by a thread of the journal's own. The history is in memory too, so every
 * question is answered at once. */
#ifndef NMID_CORE_JOURNAL_H
#define NMID_CORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include "core/action.h"
#include "loop/loop.h"

struct journal;

/* done(arg, action, state, ok) after each write, from the loop, in the order of the writes.
 * ok = false: the record of this state could not be kept; *finished* is then tried again until it
 * can (without another call), and journal_check() fails meanwhile. */
typedef void journal_done_fn(void *arg, struct action *action, enum action_state state, bool ok);

struct journal_settings {
    const char *dir;       /* made, if only its last part is missing */
    size_t history;        /* finished actions kept; the oldest go first */
    unsigned history_days; /* and for how long; 0: however long */
};

/* Opens, migrates and reads the database; FAULT_JOURNAL when that fails, or when another nmid has
 * this directory. */
struct journal *journal_new(struct loop *loop, const struct journal_settings *settings,
                            struct fault *fault);
void journal_free(struct journal *journal); /* waits for what is being written; NULL-safe */
void journal_on_done(struct journal *journal, journal_done_fn *done, void *arg);
void journal_configure(struct journal *journal, size_t history, unsigned history_days);

/* The database's own UUID, made with it. */
const char *journal_instance(const struct journal *journal);

/* 0, or -1 with FAULT_JOURNAL and the reason while something finished is not recorded, or the disk
 * has hung for five seconds. */
int journal_check(const struct journal *journal, struct fault *fault);

/* What an earlier daemon left accepted or sent: calls each for it, once. -1 when memory is out. */
typedef void journal_each_fn(void *arg, struct action *action);
int journal_unfinished(struct journal *journal, journal_each_fn *each, void *arg);

/* Writes that have not completed yet; those that are tried again do not count. */
size_t journal_pending(const struct journal *journal);

/* Writes the action as it stands, in this state. -1 when memory is out (done is not called). */
int journal_write(struct journal *journal, struct action *action, enum action_state state);

/* By id, or by the scope of an Idempotency-Key; borrowed, or NULL. */
struct action *journal_find(struct journal *journal, const char *id);
struct action *journal_find_key(struct journal *journal, const char *key_scope);

/* The newest accepted action on a node (by UUID) in the history, or NULL; those before it by
 * action->earlier. One at a time is under way: so they are in the order of their ends, too. */
struct action *journal_newest(struct journal *journal, const char *node_uuid);

/* The latest finished action, delivered or unknown, on this node's UUID or BMC; or NULL. */
struct action *journal_last_nmi(struct journal *journal, const struct node *node);

/* The same for a BMC's address alone. */
struct action *journal_last_target(struct journal *journal, const char *target);

/* History, newest first. Calls each(arg, action) for at most limit actions older than the action
 * `marker` (NULL: from the newest) that match node (UUID; NULL: any), state (ACTION_NEW: any) and
 * match(match_arg, action) (NULL: any). Returns how many, or -1 when the marker is not known. */
struct journal_query {
    const char *node_uuid, *marker;
    enum action_state state;
    size_t limit;
    bool (*match)(void *arg, const struct action *action);
    void *match_arg;
};
int journal_list(struct journal *journal, const struct journal_query *query, journal_each_fn *each,
                 void *arg);

#endif

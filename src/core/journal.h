/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal: the record of actions. This one remembers in memory; its callers already live with
 * one that commits to disk in groups, because every write completes in a later turn of the loop. */
#ifndef NMID_CORE_JOURNAL_H
#define NMID_CORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include "core/action.h"
#include "loop/loop.h"

struct journal;

/* done(arg, action, state, ok) after each write, from the loop, in the order of the writes.
 * ok = false: the record of this state could not be kept. */
typedef void journal_done_fn(void *arg, struct action *action, enum action_state state, bool ok);

/* history: finished actions kept; the oldest go first. */
struct journal *journal_new(struct loop *loop, size_t history, struct fault *fault);
void journal_free(struct journal *journal); /* NULL-safe */
void journal_on_done(struct journal *journal, journal_done_fn *done, void *arg);

/* Writes that have not completed yet. */
size_t journal_pending(const struct journal *journal);

/* Writes the action as it stands in this state. -1 when memory is out (done is not called). */
int journal_write(struct journal *journal, struct action *action, enum action_state state);

/* By id, or by the scope of an Idempotency-Key; borrowed, or NULL. */
struct action *journal_find(struct journal *journal, const char *id);
struct action *journal_find_key(struct journal *journal, const char *key_scope);

/* The latest finished action, delivered or unknown, on this node's UUID or BMC; or NULL. */
struct action *journal_last_nmi(struct journal *journal, const struct node *node);

/* The same for a BMC's address alone. */
struct action *journal_last_target(struct journal *journal, const char *target);

/* History, newest first. Calls each(arg, action) for at most limit actions older than the action
 * `marker` (NULL: from the newest) that match node (UUID; NULL: any) and state (ACTION_NEW: any).
 * Returns how many, or -1 when the marker is not known. */
struct journal_query {
    const char *node_uuid, *marker;
    enum action_state state;
    size_t limit;
};
typedef void journal_each_fn(void *arg, struct action *action);
int journal_list(struct journal *journal, const struct journal_query *query, journal_each_fn *each,
                 void *arg);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the journal keeps besides actions: locks and status set at run time, and the outbox of what
 * must still be posted. Written in the same transactions, in the order of the calls. */
#ifndef NMID_CORE_JOURNAL_MORE_H
#define NMID_CORE_JOURNAL_MORE_H

#include "core/journal.h"

/* ---- Lock and status, set at run time: they win over the configuration ---- */

struct journal_override {
    bool has_lock, locked;
    bool has_status;
    enum node_status status;
};

/* What is set for a node; borrowed until the next call, or NULL. */
const struct journal_override *journal_override(const struct journal *journal,
                                                const char *node_uuid);

/* Sets it (neither has_lock nor has_status: forgets it). It counts from done(arg, ok = true) on,
 * which comes from the loop; ok = false: it could not be recorded, and nothing changed. 0, or -1
 * when memory is out. `done` may be NULL. */
typedef void journal_override_fn(void *arg, bool ok);
int journal_set_override(struct journal *journal, const char *node_uuid,
                         const struct journal_override *override, journal_override_fn *done,
                         void *arg);

/* ---- The outbox ---- */

struct journal_post {
    uint64_t serial; /* the journal's number for it; 0 asks for one */
    char action_id[ACTION_ID_TEXT];
    char *url, *body; /* as they will be sent */
    int64_t since;    /* wall clock, us: when the action finished */
    int64_t next_at;  /* wall clock, us: when it is to be tried again */
    unsigned tries;
};

/* Calls each for what an earlier daemon left there, once; the post is borrowed. */
typedef void journal_post_fn(void *arg, const struct journal_post *post);
void journal_outbox(struct journal *journal, journal_post_fn *each, void *arg);

/* Adds a post (copied; *ret_serial is its number), changes its next_at and tries, removes it. What
 * is called in the same turn as journal_write() is in the same transaction. What cannot be written
 * is tried again, as *finished* is. -1 when memory is out. */
int journal_post_add(struct journal *journal, const struct journal_post *post,
                     uint64_t *ret_serial);
int journal_post_later(struct journal *journal, uint64_t serial, unsigned tries, int64_t next_at);
int journal_post_remove(struct journal *journal, uint64_t serial);

#endif

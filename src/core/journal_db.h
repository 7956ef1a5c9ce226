/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's database: rows in, rows out. SQLite is known nowhere else. One thread at a time may
 * use it; it knows no loop. Every transaction is on disk when db_commit() returns 0. */
#ifndef NMID_CORE_JOURNAL_DB_H
#define NMID_CORE_JOURNAL_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fault.h"
#include "base/uuid.h"
#include "core/journal_audit.h"

struct journal_db;

/* One row of `actions`. Strings are borrowed, NULL where there is none. Times as in struct action.
 */
struct journal_row {
    uint64_t serial, finish_serial;
    const char *id, *node_uuid, *node_name, *target, *resolved;
    const char *name, *contract, *user, *project_id, *address;
    const char *key_scope, *fingerprint, *callback_url;
    const char *state, *outcome, *code, *message, *evidence; /* evidence: JSON */
    bool force, refusal;
    unsigned sends;
    int64_t created_at, sent_at, finished_at;
    int64_t
        finished_mono; /* reading: of this boot, whenever it was written; INT64_MIN: not known */
};

struct journal_override_row {
    const char *node_uuid, *status; /* status NULL: not set */
    int locked;                     /* 0, 1, or -1: not set */
};

struct journal_post_row {
    uint64_t serial;
    const char *action_id, *url, *body;
    int64_t since, next_at;
    unsigned tries;
};

/* Opens DIR/nmid.db: takes DIR/nmid.lock (FAULT_JOURNAL when another nmid has it), makes or
 * migrates the tables. */
struct journal_db *db_open(const char *dir, struct fault *fault);
void db_close(struct journal_db *db); /* NULL-safe */

/* The database's UUID, its file's name, and the last serial of its audit. */
const char *db_instance(const struct journal_db *db);
const char *db_path(const struct journal_db *db);
int db_audit_serial(struct journal_db *db, uint64_t *ret_serial, uint64_t *ret_deed,
                    struct fault *fault);

/* Calls for every row, actions in the order of their serials. -1 with FAULT_JOURNAL. */
struct journal_reader {
    int (*action)(void *arg, const struct journal_row *row);
    int (*override)(void *arg, const struct journal_override_row *row);
    int (*post)(void *arg, const struct journal_post_row *row);
};
int db_read(struct journal_db *db, const struct journal_reader *reader, void *arg,
            struct fault *fault);

/* The records of the audit that wait for an outcome; calls each with the action's id. Slow: looks at
 * all of them. */
typedef void db_open_audit_fn(void *arg, const char *action_id, uint64_t serial);
int db_read_open_audits(struct journal_db *db, db_open_audit_fn *each, void *arg,
                        struct fault *fault);

/* One transaction: db_begin(), any of the others, db_commit(). After a -1 of any of them nothing of
 * it is in the database; the fault (FAULT_JOURNAL) says why. */
int db_begin(struct journal_db *db, struct fault *fault);
int db_put_action(struct journal_db *db, const struct journal_row *row, struct fault *fault);
int db_forget_action(struct journal_db *db, uint64_t serial, struct fault *fault);
int db_put_override(struct journal_db *db, const struct journal_override_row *row,
                    struct fault *fault); /* nothing set: removes it */
int db_put_post(struct journal_db *db, const struct journal_post_row *row, struct fault *fault);
int db_move_post(struct journal_db *db, uint64_t serial, unsigned tries, int64_t next_at,
                 struct fault *fault);
int db_remove_post(struct journal_db *db, uint64_t serial, struct fault *fault);
int db_put_audit(struct journal_db *db, const struct journal_audit_row *row, struct fault *fault);
int db_put_outcome(struct journal_db *db, const struct journal_audit_outcome *outcome,
                   struct fault *fault);
/* Removes some of the oldest records: of deeds those up to this number, of the others those up to
 * this serial, or of all those from before this time. *more becomes true when there may be yet more
 * of them. */
enum audit_prune { AUDIT_DEEDS, AUDIT_OTHERS, AUDIT_BEFORE, AUDIT_PRUNES };
int db_prune_audit(struct journal_db *db, enum audit_prune what, int64_t bound, bool *more,
                   struct fault *fault);
int db_commit(struct journal_db *db, struct fault *fault);
void db_rollback(struct journal_db *db);

#endif

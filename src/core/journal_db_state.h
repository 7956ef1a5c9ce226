/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the journal_db*.c files share, and nobody else. */
#ifndef NMID_CORE_JOURNAL_DB_STATE_H
#define NMID_CORE_JOURNAL_DB_STATE_H

#include "core/journal_db.h"

#include <sqlite3.h>

#define DB_STATEMENTS       9
#define DB_AUDIT_STATEMENTS (2 + AUDIT_PRUNES)

/* The columns of an action, in the order in which both files bind and read them. */
#define DB_COLUMNS                                                                                 \
    "serial, id, node_uuid, node_name, bmc, bmc_address, action, contract, user, project_id, "     \
    "address, force, refusal, key_scope, fingerprint, state, outcome, code, message, evidence, "   \
    "sends, created_at, sent_at, finished_at, finish_serial, finished_mono, callback_url, boot"

struct journal_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[DB_STATEMENTS], *audit[DB_AUDIT_STATEMENTS];
    int lock_fd, dir_fd;
    int64_t boot; /* counts this machine's boots, as far as nmid ran in them */
    char instance[UUID_TEXT];
    char *path;
};

/* Prepares the statements of the writes, and those of the audit. */
int db_prepare(struct journal_db *db, struct fault *fault);
int db_prepare_audit(struct journal_db *db, struct fault *fault);
int db_prepare_all(struct journal_db *db, const char *const *texts, size_t count,
                   sqlite3_stmt **ret_statements, struct fault *fault);

/* NULL binds NULL. And: runs a bound statement to its end. A failed bind shows up here too: what it
 * should have bound is NULL, and the columns that matter are NOT NULL. */
void db_bind_text(sqlite3_stmt *statement, int i, const char *text);
int db_finish(struct journal_db *db, sqlite3_stmt *statement, struct fault *fault);

/* FAULT_JOURNAL with SQLite's last error in words, and the system's where it has one. */
int db_fault(const struct journal_db *db, const char *what, struct fault *fault);

#endif

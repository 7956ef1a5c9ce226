/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit's rows: written by the journal's thread, and read through a connection of their own by
 * whichever thread asks: in WAL a reader waits for nobody, and nobody for it. */
#include "core/journal_db_state.h"

#define BUSY_MS     2000
#define STOP_EVERY  20000 /* so many steps of SQLite's machine lie between two looks at *stop */
#define PRUNE_MAX   256   /* a transaction must not be long, however much there is to remove */
#define STRING(x)   #x
#define TEXT_OF(x)  STRING(x)

#define TEXT_COLUMNS                                                                               \
    "user, user_id, project_id, roles, method, address, contract, operation, node_uuid, "          \
    "node_name, ident, decision, rule, code, message, action_id, idempotency_key, "

enum statement { PUT, OUTCOME, PRUNE };

static const char *const texts[DB_AUDIT_STATEMENTS] = {
    /* Again after a commit that failed, and may be on disk all the same. */
    [PUT] = "INSERT OR REPLACE INTO audit (serial, at, " TEXT_COLUMNS
            "administrator, repeat, force, suppressed, deed) VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [OUTCOME] =
        "UPDATE audit SET outcome = ?, outcome_code = ?, finished_at = ? WHERE serial = ?",
    [PRUNE + AUDIT_DEEDS] =
        "DELETE FROM audit WHERE serial IN (SELECT serial FROM audit WHERE deed IS NOT NULL"
        " AND deed <= ? ORDER BY deed LIMIT " TEXT_OF(PRUNE_MAX) ")",
    [PRUNE + AUDIT_OTHERS] =
        "DELETE FROM audit WHERE serial IN (SELECT serial FROM audit WHERE deed IS NULL"
        " AND serial <= ? ORDER BY serial LIMIT " TEXT_OF(PRUNE_MAX) ")",
    [PRUNE + AUDIT_BEFORE] =
        "DELETE FROM audit WHERE serial IN (SELECT serial FROM"
        " (SELECT serial, at FROM audit ORDER BY serial LIMIT " TEXT_OF(PRUNE_MAX) ")"
        " WHERE at < ?)",
};

int db_prepare_audit(struct journal_db *db, struct fault *fault)
{
    return db_prepare_all(db, texts, DB_AUDIT_STATEMENTS, db->audit, fault);
}

/* ---- Writing ---- */

int db_put_audit(struct journal_db *db, const struct journal_audit_row *row, struct fault *fault)
{
    sqlite3_stmt *s = db->audit[PUT];
    int i = 1;
    sqlite3_bind_int64(s, i++, (int64_t)row->serial);
    sqlite3_bind_int64(s, i++, row->at);
    for (int k = 0; k < AUDIT_TEXTS; k++)
        db_bind_text(s, i++, row->texts[k]);
    sqlite3_bind_int(s, i++, row->administrator);
    sqlite3_bind_int(s, i++, row->repeat);
    sqlite3_bind_int(s, i++, row->force);
    sqlite3_bind_int64(s, i++, (int64_t)row->suppressed);
    if (row->deed != 0)
        sqlite3_bind_int64(s, i, (int64_t)row->deed);
    else
        sqlite3_bind_null(s, i);
    return db_finish(db, s, fault);
}

int db_put_outcome(struct journal_db *db, const struct journal_audit_outcome *outcome,
                   struct fault *fault)
{
    sqlite3_stmt *s = db->audit[OUTCOME];
    db_bind_text(s, 1, outcome->outcome);
    db_bind_text(s, 2, outcome->code);
    sqlite3_bind_int64(s, 3, outcome->finished_at);
    sqlite3_bind_int64(s, 4, (int64_t)outcome->serial);
    return db_finish(db, s, fault);
}

int db_prune_audit(struct journal_db *db, enum audit_prune what, int64_t bound, bool *more,
                   struct fault *fault)
{
    sqlite3_stmt *s = db->audit[PRUNE + what];
    sqlite3_bind_int64(s, 1, bound);
    if (db_finish(db, s, fault) < 0)
        return -1;
    *more = *more || sqlite3_changes(db->sqlite) >= PRUNE_MAX;
    return 0;
}

/* ---- Reading ---- */

int db_read_open_audits(struct journal_db *db, db_open_audit_fn *each, void *arg,
                        struct fault *fault)
{
    static const char open_ones[] =
        "SELECT serial, action_id FROM audit WHERE outcome IS NULL AND decision = 'allowed'"
        " AND repeat = 0 AND action_id IS NOT NULL";
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db->sqlite, open_ones, -1, &s, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(s);
        if (code == SQLITE_ROW)
            each(arg, (const char *)sqlite3_column_text(s, 1),
                 (uint64_t)sqlite3_column_int64(s, 0));
    }
    if (code != SQLITE_DONE)
        db_fault(db, "reading", fault);
    sqlite3_finalize(s);
    return code == SQLITE_DONE ? 0 : -1;
}

static const char query[] =
    "SELECT serial, at, " TEXT_COLUMNS "administrator, repeat, force, suppressed, outcome,"
    " outcome_code, finished_at FROM audit WHERE"
    " (?1 = 0 OR serial < ?1) AND (?2 = 0 OR at >= ?2) AND (?3 = 0 OR at < ?3)"
    " AND (?4 IS NULL OR user = ?4 OR user_id = ?4) AND (?5 IS NULL OR project_id = ?5)"
    " AND (?6 IS NULL OR decision = ?6) AND (?7 IS NULL OR action_id = ?7)"
    " AND (?9 IS NULL OR node_uuid = ?8 OR node_uuid = ?9 OR node_name = ?9 OR ident = ?9)"
    " AND (?10 = 0 OR rule IS NULL OR rule NOT IN ('node', 'owner', 'state-source'))"
    " AND (?12 IS NULL OR idempotency_key = ?12)"
    " ORDER BY serial DESC LIMIT ?11";

static void bind(sqlite3_stmt *s, const struct journal_audit_find *find)
{
    sqlite3_bind_int64(s, 1, (int64_t)find->marker);
    sqlite3_bind_int64(s, 2, find->since);
    sqlite3_bind_int64(s, 3, find->until);
    db_bind_text(s, 4, find->texts[AUDIT_USER]);
    db_bind_text(s, 5, find->texts[AUDIT_PROJECT_ID]);
    db_bind_text(s, 6, find->texts[AUDIT_DECISION]);
    db_bind_text(s, 7, find->texts[AUDIT_ACTION_ID]);
    db_bind_text(s, 8, find->texts[AUDIT_NODE_UUID]);
    db_bind_text(s, 9, find->ident);
    sqlite3_bind_int(s, 10, find->own);
    sqlite3_bind_int64(s, 11, (int64_t)find->limit);
    db_bind_text(s, 12, find->texts[AUDIT_KEY]);
}

static void take_row(sqlite3_stmt *s, struct journal_audit_row *row)
{
    int i = 0;
    row->serial = (uint64_t)sqlite3_column_int64(s, i++);
    row->at = sqlite3_column_int64(s, i++);
    for (int k = 0; k < AUDIT_TEXTS; k++)
        row->texts[k] = (const char *)sqlite3_column_text(s, i++);
    row->administrator = sqlite3_column_int(s, i++) != 0;
    row->repeat = sqlite3_column_int(s, i++) != 0;
    row->force = sqlite3_column_int(s, i++) != 0;
    row->suppressed = (uint64_t)sqlite3_column_int64(s, i++);
    row->outcome = (const char *)sqlite3_column_text(s, i++);
    row->outcome_code = (const char *)sqlite3_column_text(s, i++);
    row->finished_at = sqlite3_column_int64(s, i);
}

static int on_progress(void *arg)
{
    return atomic_load((const atomic_bool *)arg);
}

static int read_rows(sqlite3 *sqlite, const struct journal_audit_find *find, journal_audit_fn *each,
                     void *arg, struct fault *fault)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(sqlite, query, -1, &s, NULL);
    if (code == SQLITE_OK)
        bind(s, find);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        struct journal_audit_row row;
        code = sqlite3_step(s);
        if (code != SQLITE_ROW)
            break;
        take_row(s, &row);
        if (each(arg, &row) < 0)
            code = SQLITE_NOMEM;
    }
    sqlite3_finalize(s);
    if (code == SQLITE_DONE)
        return 0;
    if (code == SQLITE_NOMEM)
        return fault_set(fault, FAULT_MEMORY, "out of memory, reading the audit");
    if (code == SQLITE_INTERRUPT)
        return fault_set(fault, FAULT_STOPPING, "the reading of the audit was stopped");
    return fault_set(fault, FAULT_JOURNAL, "the audit could not be read: %.200s",
                     sqlite3_errmsg(sqlite));
}

int journal_audit_read(const char *path, const struct journal_audit_find *find,
                       journal_audit_fn *each, void *arg, const atomic_bool *stop,
                       struct fault *fault)
{
    sqlite3 *sqlite = NULL;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int result = -1;
    if (sqlite3_open_v2(path, &sqlite, flags, NULL) != SQLITE_OK) {
        fault_set(fault, FAULT_JOURNAL, "the audit could not be read: %.200s",
                  sqlite == NULL ? "out of memory" : sqlite3_errmsg(sqlite));
    } else {
        sqlite3_busy_timeout(sqlite, BUSY_MS);
        sqlite3_progress_handler(sqlite, STOP_EVERY, on_progress, (void *)stop);
        result = read_rows(sqlite, find, each, arg, fault);
    }
    sqlite3_close(sqlite);
    return result;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's writes: nine prepared statements, and the error that SQLite has for people. */
#include "core/journal_db_state.h"

#include <string.h>

enum statement {
    BEGIN,
    COMMIT,
    PUT_ACTION,
    FORGET_ACTION,
    PUT_OVERRIDE,
    REMOVE_OVERRIDE,
    PUT_POST,
    MOVE_POST,
    REMOVE_POST
};

static const char *const texts[DB_STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PUT_ACTION] =
        "INSERT INTO actions (" DB_COLUMNS
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (serial) DO UPDATE SET"
        " bmc_address = excluded.bmc_address, key_scope = excluded.key_scope,"
        " state = excluded.state, outcome = excluded.outcome,"
        " code = excluded.code, message = excluded.message, evidence = excluded.evidence,"
        " sends = excluded.sends, sent_at = excluded.sent_at, finished_at = excluded.finished_at,"
        " finish_serial = excluded.finish_serial, finished_mono = excluded.finished_mono,"
        " boot = excluded.boot WHERE id = excluded.id",
    [FORGET_ACTION] = "DELETE FROM actions WHERE serial = ?",
    [PUT_OVERRIDE] =
        "INSERT OR REPLACE INTO overrides (node_uuid, locked, status) VALUES (?, ?, ?)",
    [REMOVE_OVERRIDE] = "DELETE FROM overrides WHERE node_uuid = ?",
    [PUT_POST] =
        ("INSERT OR REPLACE INTO outbox (serial, action_id, url, body, since, next_at, tries)"
         " VALUES (?, ?, ?, ?, ?, ?, ?)"),
    [MOVE_POST] = "UPDATE outbox SET tries = ?, next_at = ? WHERE serial = ?",
    [REMOVE_POST] = "DELETE FROM outbox WHERE serial = ?",
};

int db_fault(const struct journal_db *db, const char *what, struct fault *fault)
{
    int code = sqlite3_extended_errcode(db->sqlite);
    int error = sqlite3_system_errno(db->sqlite);
    bool io = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN ||
              (code & 0xff) == SQLITE_FULL;
    bool damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    return fault_set(fault, FAULT_JOURNAL, "%.200s: %s: %s%s%s%s", db->path, what,
                     sqlite3_errmsg(db->sqlite), io && error != 0 ? ": " : "",
                     io && error != 0 ? strerror(error) : "",
                     damaged ? "; moved away, it is made anew, but then nmid knows of no earlier "
                               "interrupt and holds nothing off"
                             : "");
}

/* ---- Statements ---- */

int db_prepare_all(struct journal_db *db, const char *const *all, size_t count,
                   sqlite3_stmt **ret_statements, struct fault *fault)
{
    for (size_t i = 0; i < count; i++) {
        if (sqlite3_prepare_v3(db->sqlite, all[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &ret_statements[i], NULL) != SQLITE_OK)
            return db_fault(db, "opening", fault);
    }
    return 0;
}

int db_prepare(struct journal_db *db, struct fault *fault)
{
    return db_prepare_all(db, texts, DB_STATEMENTS, db->statements, fault);
}

void db_bind_text(sqlite3_stmt *s, int i, const char *text)
{
    if (text == NULL)
        sqlite3_bind_null(s, i);
    else
        sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

int db_finish(struct journal_db *db, sqlite3_stmt *s, struct fault *fault)
{
    int code = sqlite3_step(s);
    int result = code == SQLITE_DONE ? 0 : db_fault(db, "writing", fault);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return result;
}

/* What is written into a file that was removed, or put aside, is found by nobody. */
static int check_place(struct journal_db *db, struct fault *fault)
{
    int moved = 0;
    if (sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
        !moved)
        return 0;
    return fault_set(fault, FAULT_JOURNAL, "%.200s was removed or moved while nmid uses it",
                     db->path);
}

int db_begin(struct journal_db *db, struct fault *fault)
{
    return check_place(db, fault) < 0 ? -1 : db_finish(db, db->statements[BEGIN], fault);
}

int db_commit(struct journal_db *db, struct fault *fault)
{
    return db_finish(db, db->statements[COMMIT], fault);
}

void db_rollback(struct journal_db *db)
{
    if (sqlite3_get_autocommit(db->sqlite) == 0)
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

int db_put_action(struct journal_db *db, const struct journal_row *row, struct fault *fault)
{
    sqlite3_stmt *s = db->statements[PUT_ACTION];
    int i = 1;
    const char *const first[] = {row->id,         row->node_uuid, row->node_name, row->target,
                                 row->resolved,   row->name,      row->contract,  row->user,
                                 row->project_id, row->address};
    const char *const second[] = {row->key_scope, row->fingerprint, row->state,   row->outcome,
                                  row->code,      row->message,     row->evidence};
    sqlite3_bind_int64(s, i++, (int64_t)row->serial);
    for (size_t k = 0; k < sizeof first / sizeof first[0]; k++)
        db_bind_text(s, i++, first[k]);
    sqlite3_bind_int(s, i++, row->force);
    sqlite3_bind_int(s, i++, row->refusal);
    for (size_t k = 0; k < sizeof second / sizeof second[0]; k++)
        db_bind_text(s, i++, second[k]);
    sqlite3_bind_int64(s, i++, row->sends);
    sqlite3_bind_int64(s, i++, row->created_at);
    sqlite3_bind_int64(s, i++, row->sent_at);
    sqlite3_bind_int64(s, i++, row->finished_at);
    sqlite3_bind_int64(s, i++, (int64_t)row->finish_serial);
    sqlite3_bind_int64(s, i++, row->finished_mono);
    db_bind_text(s, i++, row->callback_url);
    sqlite3_bind_int64(s, i, db->boot);
    if (db_finish(db, s, fault) < 0)
        return -1;
    if (sqlite3_changes(db->sqlite) == 0) /* somebody else's row has this serial */
        return fault_set(fault, FAULT_JOURNAL, "%.200s is written by another program too",
                         db->path);
    return 0;
}

int db_forget_action(struct journal_db *db, uint64_t serial, struct fault *fault)
{
    sqlite3_stmt *s = db->statements[FORGET_ACTION];
    sqlite3_bind_int64(s, 1, (int64_t)serial);
    return db_finish(db, s, fault);
}

int db_put_override(struct journal_db *db, const struct journal_override_row *row,
                    struct fault *fault)
{
    bool nothing = row->locked < 0 && row->status == NULL;
    sqlite3_stmt *s = db->statements[nothing ? REMOVE_OVERRIDE : PUT_OVERRIDE];
    db_bind_text(s, 1, row->node_uuid);
    if (!nothing && row->locked >= 0)
        sqlite3_bind_int(s, 2, row->locked);
    if (!nothing)
        db_bind_text(s, 3, row->status);
    return db_finish(db, s, fault);
}

int db_put_post(struct journal_db *db, const struct journal_post_row *row, struct fault *fault)
{
    sqlite3_stmt *s = db->statements[PUT_POST];
    sqlite3_bind_int64(s, 1, (int64_t)row->serial);
    db_bind_text(s, 2, row->action_id);
    db_bind_text(s, 3, row->url);
    db_bind_text(s, 4, row->body);
    sqlite3_bind_int64(s, 5, row->since);
    sqlite3_bind_int64(s, 6, row->next_at);
    sqlite3_bind_int64(s, 7, row->tries);
    return db_finish(db, s, fault);
}

int db_move_post(struct journal_db *db, uint64_t serial, unsigned tries, int64_t next_at,
                 struct fault *fault)
{
    sqlite3_stmt *s = db->statements[MOVE_POST];
    sqlite3_bind_int64(s, 1, tries);
    sqlite3_bind_int64(s, 2, next_at);
    sqlite3_bind_int64(s, 3, (int64_t)serial);
    return db_finish(db, s, fault);
}

int db_remove_post(struct journal_db *db, uint64_t serial, struct fault *fault)
{
    sqlite3_stmt *s = db->statements[REMOVE_POST];
    sqlite3_bind_int64(s, 1, (int64_t)serial);
    return db_finish(db, s, fault);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* STATE_DIR/nmid.db. WAL with synchronous=FULL: a commit has been fsync()ed when it returns, and a
 * reader (sqlite3, a backup) disturbs nobody. The schema's version is PRAGMA user_version; each
 * version has one step here that leads to it from the one before. */
#include "core/journal_db_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"

#define APPLICATION_ID 0x6e6d6964 /* "nmid" */
#define BUSY_MS        2000       /* somebody else's write, e.g. by the sqlite3 program */
#define BOOT_TEXT      40

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE actions ("
    " serial INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, node_uuid TEXT NOT NULL, node_name TEXT,"
    " bmc TEXT, bmc_address TEXT, action TEXT NOT NULL, contract TEXT NOT NULL, user TEXT,"
    " project_id TEXT, address TEXT, force INTEGER NOT NULL, refusal INTEGER NOT NULL,"
    " key_scope TEXT, fingerprint TEXT, state TEXT NOT NULL, outcome TEXT, code TEXT, message TEXT,"
    " evidence TEXT, sends INTEGER NOT NULL, created_at INTEGER NOT NULL, sent_at INTEGER NOT NULL,"
    " finished_at INTEGER NOT NULL, finish_serial INTEGER NOT NULL, boot INTEGER NOT NULL,"
    " finished_mono INTEGER NOT NULL);"
    "CREATE TABLE overrides (node_uuid TEXT PRIMARY KEY, locked INTEGER, status TEXT) WITHOUT "
    "ROWID;",
    /* 2 */
    "ALTER TABLE actions ADD COLUMN callback_url TEXT;"
    "CREATE TABLE outbox (serial INTEGER PRIMARY KEY, action_id TEXT NOT NULL, url TEXT NOT NULL,"
    " body TEXT NOT NULL, since INTEGER NOT NULL, next_at INTEGER NOT NULL, tries INTEGER NOT "
    "NULL);",
    /* 3. Without an index to search by, which would cost each injection a page at random: searches
     * can wait. */
    "CREATE TABLE audit ("
    " serial INTEGER PRIMARY KEY, at INTEGER NOT NULL, user TEXT, user_id TEXT, project_id TEXT,"
    " roles TEXT, method TEXT, address TEXT, contract TEXT, operation TEXT NOT NULL,"
    " node_uuid TEXT, node_name TEXT, ident TEXT, decision TEXT NOT NULL, rule TEXT, code TEXT,"
    " message TEXT, action_id TEXT, administrator INTEGER NOT NULL, repeat INTEGER NOT NULL,"
    " force INTEGER NOT NULL, suppressed INTEGER NOT NULL, outcome TEXT, outcome_code TEXT,"
    " finished_at INTEGER, deed INTEGER);"
    /* For what goes first; both grow at their end alone. */
    "CREATE INDEX audit_deeds ON audit (deed) WHERE deed IS NOT NULL;"
    "CREATE INDEX audit_others ON audit (serial) WHERE deed IS NULL;",
    /* 4 */
    "ALTER TABLE audit ADD COLUMN idempotency_key TEXT;",
};
#define VERSION ((int)(sizeof steps / sizeof steps[0]))

/* ---- Opening ---- */

/* A directory that was just made is in its parent for good only when that is on disk; SQLite sees
 * to the files. */
static void sync_parent(int dir_fd)
{
    int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* One daemon per directory: the lock goes with the process, however it ends. */
static int take_lock(struct journal_db *db, const char *dir, struct fault *fault)
{
    char path[4096], pid[24] = "";
    bool made = mkdir(dir, 0700) == 0;
    if (!made && errno != EEXIST)
        return fault_set(fault, FAULT_JOURNAL, "state_dir %.300s: %s", dir, strerror(errno));
    snprintf(path, sizeof path, "%s/nmid.lock", dir);
    db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (db->lock_fd < 0)
        return fault_set(fault, FAULT_JOURNAL, "%.300s: %s", path, strerror(errno));
    /* The directory too, for people remove what looks like a stale lock. */
    db->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0 ||
        (flock(db->dir_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)) {
        ssize_t got = read(db->lock_fd, pid, sizeof pid - 1);
        if (got > 0)
            pid[strcspn(pid, "\n")] = '\0';
        return fault_set(fault, FAULT_JOURNAL,
                         errno == EWOULDBLOCK || got >= 0
                             ? "state_dir %.300s: another nmid (process %s) uses it; two daemons "
                               "on one journal would inject twice"
                             : "state_dir %.300s: it cannot be locked (process %s)",
                         dir, pid[0] != '\0' ? pid : "unknown");
    }
    if (made)
        sync_parent(db->dir_fd);
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(db->lock_fd, 0) < 0 || pwrite(db->lock_fd, pid, (size_t)len, 0) < 0)
        return 0; /* a full disk: the number is for people only */
    return 0;
}

static int run(struct journal_db *db, const char *sql, struct fault *fault)
{
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return db_fault(db, "opening", fault);
}

/* The first column of a query's first row, or fallback. */
static int64_t ask_number(struct journal_db *db, const char *sql, int64_t fallback)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = fallback;
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void ask_text(struct journal_db *db, const char *sql, char *text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    text[0] = '\0';
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

static int migrate(struct journal_db *db, struct fault *fault)
{
    char sql[64];
    int64_t id = ask_number(db, "PRAGMA application_id", -1);
    int64_t version = ask_number(db, "PRAGMA user_version", -1);
    int64_t tables = ask_number(db, "SELECT count(*) FROM sqlite_schema", -1);
    if (id < 0 || version < 0 || tables < 0)
        return db_fault(db, "reading", fault);
    if (tables > 0 && id != APPLICATION_ID)
        return fault_set(fault, FAULT_JOURNAL, "%.300s is not a database of nmid's", db->path);
    if (version > VERSION)
        return fault_set(fault, FAULT_JOURNAL,
                         "%.300s was made by a newer nmid (version %" PRId64 ", this one knows %d)",
                         db->path, version, VERSION);
    if (version == VERSION)
        return 0;
    if (run(db, "BEGIN IMMEDIATE", fault) < 0)
        return -1;
    for (int64_t i = version; i < VERSION; i++) {
        if (run(db, steps[i], fault) < 0)
            return -1;
    }
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d", APPLICATION_ID);
    if (run(db, sql, fault) < 0)
        return -1;
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", VERSION);
    return run(db, sql, fault) < 0 ? -1 : run(db, "COMMIT", fault);
}

/* Monotonic times compare only within one boot of the machine. */
static int know_boot(struct journal_db *db, struct fault *fault)
{
    char now[BOOT_TEXT] = "", before[BOOT_TEXT], sql[256];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, now, sizeof now - 1);
    if (fd >= 0)
        close(fd);
    if (got > 0)
        now[strspn(now, "0123456789abcdef-")] = '\0';
    ask_text(db, "SELECT value FROM meta WHERE name = 'boot_id'", before, sizeof before);
    db->boot = ask_number(db, "SELECT value FROM meta WHERE name = 'boot'", 0);
    if (now[0] != '\0' && strcmp(now, before) == 0)
        return 0;
    db->boot++;
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO meta VALUES ('boot_id', '%s'), ('boot', '%" PRId64 "')", now,
             db->boot);
    return run(db, sql, fault);
}

static int know_instance(struct journal_db *db, struct fault *fault)
{
    char sql[128];
    ask_text(db, "SELECT value FROM meta WHERE name = 'instance'", db->instance,
             sizeof db->instance);
    if (uuid_valid(db->instance))
        return 0;
    uuid_random(db->instance);
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO meta VALUES ('instance', '%s')",
             db->instance);
    return run(db, sql, fault);
}

static int open_file(struct journal_db *db, const char *dir, struct fault *fault)
{
    if (asprintf(&db->path, "%s/nmid.db", dir) < 0) {
        db->path = NULL;
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    }
    /* Made here for its mode: SQLite gives the same to its -wal and -shm. */
    int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault_set(fault, FAULT_JOURNAL, "%.300s: %s", db->path,
                         errno == ELOOP ? "a symbolic link: expected the file itself"
                                        : strerror(errno));
    struct stat status;
    if (fstat(fd, &status) == 0 && (status.st_mode & 077) != 0 && fchmod(fd, 0600) == 0)
        log_warning("%s could be read by others: its mode is 0600 now", db->path);
    close(fd);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(db->path, &db->sqlite, flags, NULL) != SQLITE_OK)
        return db_fault(db, "opening", fault);
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, BUSY_MS);
    if (run(db, "PRAGMA journal_mode = WAL", fault) < 0 ||
        run(db, "PRAGMA synchronous = FULL", fault) < 0 ||
        run(db, "PRAGMA journal_size_limit = 8388608", fault) < 0)
        return -1;
    char mode[16];
    ask_text(db, "PRAGMA journal_mode", mode, sizeof mode);
    if (strcmp(mode, "wal") != 0)
        return fault_set(fault, FAULT_JOURNAL, "%.300s: its file system allows no WAL", db->path);
    return migrate(db, fault) < 0 || know_boot(db, fault) < 0 || know_instance(db, fault) < 0 ||
                   db_prepare(db, fault) < 0 || db_prepare_audit(db, fault) < 0
               ? -1
               : 0;
}

struct journal_db *db_open(const char *dir, struct fault *fault)
{
    struct journal_db *db = calloc(1, sizeof *db);
    if (db == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    db->lock_fd = db->dir_fd = -1;
    if (take_lock(db, dir, fault) < 0 || open_file(db, dir, fault) < 0) {
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(struct journal_db *db)
{
    if (db == NULL)
        return;
    for (int i = 0; i < DB_STATEMENTS; i++)
        sqlite3_finalize(db->statements[i]);
    for (int i = 0; i < DB_AUDIT_STATEMENTS; i++)
        sqlite3_finalize(db->audit[i]);
    sqlite3_close(db->sqlite);
    if (db->lock_fd >= 0)
        close(db->lock_fd);
    if (db->dir_fd >= 0)
        close(db->dir_fd);
    free(db->path);
    free(db);
}

const char *db_instance(const struct journal_db *db)
{
    return db->instance;
}

const char *db_path(const struct journal_db *db)
{
    return db->path;
}

int db_audit_serial(struct journal_db *db, uint64_t *ret_serial, uint64_t *ret_deed,
                    struct fault *fault)
{
    int64_t serial = ask_number(db, "SELECT max(serial) FROM audit", -1);
    int64_t deed = ask_number(db, "SELECT max(deed) FROM audit WHERE deed IS NOT NULL", -1);
    if (serial < 0 || deed < 0) /* from 0 on, what is there would be written over */
        return db_fault(db, "reading", fault);
    *ret_serial = (uint64_t)serial;
    *ret_deed = (uint64_t)deed;
    return 0;
}

/* ---- Reading ---- */

static const char *text_at(sqlite3_stmt *statement, int column)
{
    return (const char *)sqlite3_column_text(statement, column);
}

static void read_action(const struct journal_db *db, sqlite3_stmt *s, struct journal_row *row)
{
    int i = 0;
    row->serial = (uint64_t)sqlite3_column_int64(s, i++);
    const char **first[] = {&row->id,         &row->node_uuid, &row->node_name, &row->target,
                            &row->resolved,   &row->name,      &row->contract,  &row->user,
                            &row->project_id, &row->address};
    for (size_t k = 0; k < sizeof first / sizeof first[0]; k++)
        *first[k] = text_at(s, i++);
    row->force = sqlite3_column_int(s, i++) != 0;
    row->refusal = sqlite3_column_int(s, i++) != 0;
    const char **second[] = {&row->key_scope, &row->fingerprint, &row->state,   &row->outcome,
                             &row->code,      &row->message,     &row->evidence};
    for (size_t k = 0; k < sizeof second / sizeof second[0]; k++)
        *second[k] = text_at(s, i++);
    row->sends = (unsigned)sqlite3_column_int(s, i++);
    row->created_at = sqlite3_column_int64(s, i++);
    row->sent_at = sqlite3_column_int64(s, i++);
    row->finished_at = sqlite3_column_int64(s, i++);
    row->finish_serial = (uint64_t)sqlite3_column_int64(s, i++);
    row->finished_mono = sqlite3_column_int64(s, i++);
    row->callback_url = text_at(s, i++);
    if (sqlite3_column_int64(s, i) != db->boot)
        row->finished_mono = INT64_MIN;
}

/* What one table's rows are read with. */
struct pass {
    const struct journal_db *db;
    const struct journal_reader *reader;
    void *arg;
};

static int pass_action(const struct pass *pass, sqlite3_stmt *s)
{
    struct journal_row row;
    read_action(pass->db, s, &row);
    return pass->reader->action(pass->arg, &row);
}

static int pass_override(const struct pass *pass, sqlite3_stmt *s)
{
    struct journal_override_row row = {
        .node_uuid = text_at(s, 0),
        .locked = sqlite3_column_type(s, 1) == SQLITE_NULL ? -1 : sqlite3_column_int(s, 1) != 0,
        .status = text_at(s, 2),
    };
    return pass->reader->override(pass->arg, &row);
}

static int pass_post(const struct pass *pass, sqlite3_stmt *s)
{
    struct journal_post_row row = {
        .serial = (uint64_t)sqlite3_column_int64(s, 0),
        .action_id = text_at(s, 1),
        .url = text_at(s, 2),
        .body = text_at(s, 3),
        .since = sqlite3_column_int64(s, 4),
        .next_at = sqlite3_column_int64(s, 5),
        .tries = (unsigned)sqlite3_column_int(s, 6),
    };
    return pass->reader->post(pass->arg, &row);
}

int db_read(struct journal_db *db, const struct journal_reader *reader, void *arg,
            struct fault *fault)
{
    static const struct {
        const char *sql;
        int (*row)(const struct pass *pass, sqlite3_stmt *s);
    } passes[] = {
        {"SELECT " DB_COLUMNS " FROM actions ORDER BY serial", pass_action},
        {"SELECT node_uuid, locked, status FROM overrides", pass_override},
        {"SELECT serial, action_id, url, body, since, next_at, tries FROM outbox ORDER BY serial",
         pass_post},
    };
    struct pass pass = {db, reader, arg};
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(db->sqlite, passes[i].sql, -1, &statement, NULL);
        while (code == SQLITE_OK || code == SQLITE_ROW) {
            code = sqlite3_step(statement);
            if (code == SQLITE_ROW && passes[i].row(&pass, statement) < 0) {
                sqlite3_finalize(statement);
                return fault_set(fault, FAULT_MEMORY, "out of memory, reading %.300s", db->path);
            }
        }
        if (code != SQLITE_DONE)
            db_fault(db, "reading", fault);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE)
            return -1;
    }
    return 0;
}

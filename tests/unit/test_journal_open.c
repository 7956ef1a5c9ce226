/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's start: an older nmid's database is taken along; what cannot be used is refused with
 * its file's name, and left as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "core/journal_db.h"
#include "core/journal_more.h"
#include "state_dir.h"

#define UUID "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
#define ID   "req-9be26c0b-03f2-4d2e-ae87-c02d7f33c789"

/* As version 1 made it, with one row each. */
static const char version_1[] =
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
    "ROWID;"
    "INSERT INTO meta VALUES ('instance', '7be26c0b-03f2-4d2e-ae87-c02d7f33c787'), ('boot', '3');"
    "INSERT INTO overrides VALUES ('" UUID "', 1, 'ERROR');"
    "INSERT INTO actions VALUES (7, '" ID "', '" UUID "', 'rack-1', '10.0.0.1:623', NULL,"
    " 'inject_nmi', 'nova', 'alice', 'demo', '127.0.0.1', 0, 0, 'a key', '{}', 'finished',"
    " 'delivered', NULL, 'done', '{\"sel\":\"none\"}', 1, 1000000, 2000000, 3000000, 5, 3, "
    "4000000);"
    "PRAGMA application_id = 1852664164;"
    "PRAGMA user_version = 1";

struct bench {
    struct loop *loop;
    char dir[STATE_DIR_MAX], path[STATE_DIR_MAX + 16];
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    log_set_level(LOG_LEVEL_ERROR - 1);
    bench->loop = loop_new(NULL);
    state_dir_make(bench->dir);
    snprintf(bench->path, sizeof bench->path, "%s/nmid.db", bench->dir);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    loop_free(bench->loop);
    rmdir(bench->path);
    state_dir_remove(bench->dir);
    assert_int_not_equal(access(bench->dir, F_OK), 0);
    free(bench);
    return 0;
}

static void sql(const struct bench *bench, const char *text)
{
    sqlite3 *database = NULL;
    char *error = NULL;
    assert_int_equal(sqlite3_open(bench->path, &database), SQLITE_OK);
    if (sqlite3_exec(database, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_close(database);
}

static long long number(const struct bench *bench, const char *text)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(bench->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    long long value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return value;
}

static struct journal *start(const struct bench *bench)
{
    struct fault fault = {0};
    struct journal *journal = state_dir_journal(bench->dir, bench->loop, 100, &fault);
    if (journal == NULL)
        fail_msg("%s", fault.message);
    return journal;
}

/* Refused, with the name of the file and these words. */
static void refuse(const struct bench *bench, const char *dir, const char *name, const char *words)
{
    struct fault fault = {0};
    char where[STATE_DIR_MAX + 32];
    snprintf(where, sizeof where, "%s%s%s", dir, name[0] != '\0' ? "/" : "", name);
    assert_null(state_dir_journal(dir, bench->loop, 100, &fault));
    assert_int_equal(fault.code, FAULT_JOURNAL);
    if (strstr(fault.message, where) == NULL || strstr(fault.message, words) == NULL)
        fail_msg("no %s and \"%s\" in \"%s\"", where, words, fault.message);
}

static void overwrite(const char *path, long offset, const char *text, int times)
{
    FILE *file = fopen(path, offset == 0 ? "w" : "r+");
    assert_non_null(file);
    fseek(file, offset, SEEK_SET);
    while (times-- > 0)
        fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- Versions ---- */

static void test_version_1(void **state)
{
    struct bench *bench = *state;
    sql(bench, version_1);
    for (int times = 0; times < 2; times++) {
        struct journal *journal = start(bench);
        assert_string_equal(journal_instance(journal), "7be26c0b-03f2-4d2e-ae87-c02d7f33c787");
        const struct action *action = journal_find(journal, ID);
        assert_non_null(action);
        assert_ptr_equal(journal_find_key(journal, "a key"), action);
        assert_int_equal(action->outcome, OUTCOME_DELIVERED);
        assert_string_equal(action->node->name, "rack-1");
        assert_string_equal(action->evidence_text, "{\"sel\":\"none\"}");
        assert_null(action->callback_url);
        assert_int_equal(action->sends, 1);
        assert_int_equal(action->finished_at, 3000000);
        assert_ptr_equal(journal_last_target(journal, "10.0.0.1:623"), action);
        assert_int_equal(journal_override(journal, UUID)->status, NODE_ERROR);
        struct journal_post post = {.url = (char *)"http://a/", .body = (char *)"{}"};
        uint64_t serial = 0;
        memcpy(post.action_id, ID, sizeof post.action_id);
        assert_int_equal(journal_post_add(journal, &post, &serial), 0);
        journal_free(journal); /* writes what is left */
        assert_int_equal(number(bench, "SELECT count(*) FROM outbox"), times + 1);
        assert_int_equal(number(bench, "PRAGMA user_version"), 4);
    }
}

static void test_newer(void **state)
{
    struct bench *bench = *state;
    journal_free(start(bench));
    assert_true(number(bench, "PRAGMA user_version") == 4);
    sql(bench, "PRAGMA user_version = 5; CREATE TABLE future (a)");
    refuse(bench, bench->dir, "nmid.db", "was made by a newer nmid (version 5, this one knows 4)");
    assert_int_equal(number(bench, "PRAGMA user_version"), 5);
    sql(bench, "PRAGMA user_version = 4; DROP TABLE future");
    journal_free(start(bench));
}

/* A migration that fails half way has done nothing. */
static void test_migration_fails(void **state)
{
    struct bench *bench = *state;
    sql(bench, version_1);
    sql(bench, "CREATE TABLE outbox (mine)");
    refuse(bench, bench->dir, "nmid.db", "outbox");
    assert_int_equal(number(bench, "PRAGMA user_version"), 1);
    assert_int_equal(
        number(bench,
               "SELECT count(*) FROM pragma_table_info('actions') WHERE name = 'callback_url'"),
        0);
    sql(bench, "DROP TABLE outbox");
    journal_free(start(bench));
}

static void test_instance(void **state)
{
    struct bench *bench = *state;
    char first[64];
    struct journal *journal = start(bench);
    snprintf(first, sizeof first, "%s", journal_instance(journal));
    assert_true(uuid_valid(first));
    journal_free(journal);
    journal = start(bench);
    assert_string_equal(journal_instance(journal), first);
    journal_free(journal);
}

/* ---- What is no journal ---- */

static void test_no_database(void **state)
{
    struct bench *bench = *state;
    overwrite(bench->path, 0, "dear diary, today ", 300);
    refuse(bench, bench->dir, "nmid.db", "not a database");
    struct stat info;
    assert_int_equal(stat(bench->path, &info), 0);
    assert_int_equal(info.st_size, 5400); /* it is somebody's */
}

static void test_other_application(void **state)
{
    struct bench *bench = *state;
    sql(bench, "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')");
    refuse(bench, bench->dir, "nmid.db", "is not a database of nmid's");
    assert_int_equal(number(bench, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void test_corrupt(void **state)
{
    struct bench *bench = *state;
    journal_free(start(bench));
    for (int i = 0; i < 8; i++)
        sql(bench,
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
            "INSERT INTO actions SELECT NULL, hex(randomblob(16)), '" UUID "', NULL, NULL, NULL,"
            " 'inject_nmi', 'agent', NULL, NULL, NULL, 0, 0, NULL, NULL, 'finished', 'failed', "
            "NULL,"
            " 'x', NULL, 0, 1, 0, 1, 1, 1, 1, NULL FROM n");
    long long page = number(bench, "SELECT rootpage FROM sqlite_schema WHERE name = 'actions'");
    overwrite(bench->path, (long)(page - 1) * 4096, "nonsense", 512);
    refuse(bench, bench->dir, "nmid.db", "malformed");
}

static void test_places(void **state)
{
    struct bench *bench = *state;
    char path[STATE_DIR_MAX + 16];
    assert_int_equal(mkdir(bench->path, 0700), 0);
    refuse(bench, bench->dir, "nmid.db", "Is a directory");
    assert_int_equal(rmdir(bench->path), 0);

    snprintf(path, sizeof path, "%s/nmid.d/state", bench->dir);
    refuse(bench, path, "", "No such file or directory");
    path[strlen(path) - 6] = '\0';
    overwrite(path, 0, "a file", 1);
    refuse(bench, path, "nmid.lock", "Not a directory");
    assert_int_equal(unlink(path), 0);
    journal_free(state_dir_journal(path, bench->loop, 100, NULL)); /* the last part is made */
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    state_dir_remove(path);
}

static void test_unwritable(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(chmod(bench->dir, 0500), 0);
    if (geteuid() == 0) { /* who may do everything is not kept out: tests/system has that */
        journal_free(start(bench));
        return;
    }
    refuse(bench, bench->dir, "nmid.lock", "Permission denied");
    assert_int_equal(chmod(bench->dir, 0700), 0);
}

/* Nobody else reads what callers and BMCs said. */
static void test_modes(void **state)
{
    static const char *const names[] = {"nmid.db", "nmid.db-wal", "nmid.db-shm", "nmid.lock"};
    struct bench *bench = *state;
    char path[STATE_DIR_MAX + 16];
    struct stat info;
    mode_t before = umask(0);
    struct journal *journal = start(bench);
    umask(before);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", bench->dir, names[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    journal_free(journal);
}

/* ---- Two daemons ---- */

static void test_second(void **state)
{
    struct bench *bench = *state;
    char words[64];
    struct journal *first = start(bench);
    snprintf(words, sizeof words, "another nmid (process %ld) uses it", (long)getpid());
    refuse(bench, bench->dir, "", words);
    assert_true(number(bench, "PRAGMA user_version") == 4); /* to look is allowed */
    journal_free(first);
    journal_free(start(bench));
}

/* Who takes nmid.lock for a stale one has not made room for a second. */
static void test_lock_removed(void **state)
{
    struct bench *bench = *state;
    char path[STATE_DIR_MAX + 16];
    struct journal *first = start(bench);
    snprintf(path, sizeof path, "%s/nmid.lock", bench->dir);
    assert_int_equal(unlink(path), 0);
    refuse(bench, bench->dir, "", "another nmid");
    journal_free(first);
    journal_free(start(bench));
}

/* Another program's row under our serial is not overwritten: it may be another daemon's action. */
static void test_serial_taken(void **state)
{
    struct bench *bench = *state;
    struct fault fault = {0};
    struct journal_db *db = db_open(bench->dir, NULL);
    assert_non_null(db);
    struct journal_row row = {.serial = 1,
                              .id = "req-mine",
                              .node_uuid = "u",
                              .name = "inject_nmi",
                              .contract = "agent",
                              .state = "accepted"};
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(db_put_action(db, &row, NULL), 0);
    row.state = "sent"; /* its own may change */
    assert_int_equal(db_put_action(db, &row, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    sql(bench, "UPDATE actions SET id = 'req-theirs'");
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(db_put_action(db, &row, &fault), -1);
    assert_non_null(strstr(fault.message, "another program"));
    db_rollback(db);
    db_close(db);
}

/* The state directory's database may not be somebody else's by another name; nor be read by all. */
static void test_link_and_mode(void **state)
{
    struct bench *bench = *state;
    char aside[STATE_DIR_MAX + 16];
    struct stat status;
    journal_free(start(bench));
    assert_int_equal(chmod(bench->path, 0644), 0);
    journal_free(start(bench));
    assert_int_equal(stat(bench->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    snprintf(aside, sizeof aside, "%s/nmid.aside", bench->dir);
    assert_int_equal(rename(bench->path, aside), 0);
    assert_int_equal(symlink(aside, bench->path), 0);
    refuse(bench, bench->dir, "", "a symbolic link");
}

/* A record in a file without a name is none. */
static void test_removed(void **state)
{
    struct bench *bench = *state;
    char aside[STATE_DIR_MAX + 16];
    struct fault fault = {0};
    struct journal_db *db = db_open(bench->dir, NULL);
    assert_non_null(db);
    snprintf(aside, sizeof aside, "%s/nmid.aside", bench->dir);
    assert_int_equal(rename(bench->path, aside), 0);
    assert_int_equal(db_begin(db, &fault), -1);
    assert_int_equal(fault.code, FAULT_JOURNAL);
    assert_non_null(strstr(fault.message, bench->path));
    assert_int_equal(rename(aside, bench->path), 0);
    assert_int_equal(db_begin(db, NULL), 0); /* put back in time */
    assert_int_equal(db_commit(db, NULL), 0);
    db_close(db);
}

/* The lock goes with its process, and what that had written is there. */
static void test_killed(void **state)
{
    struct bench *bench = *state;
    int ready[2], status;
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct loop *loop = loop_new(NULL);
        struct journal *journal = state_dir_journal(bench->dir, loop, 100, NULL);
        if (journal == NULL || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    refuse(bench, bench->dir, "", "another nmid");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    journal_free(start(bench));
    close(ready[0]);
    close(ready[1]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_version_1),    TEST(test_newer),        TEST(test_migration_fails),
        TEST(test_instance),     TEST(test_no_database),  TEST(test_other_application),
        TEST(test_corrupt),      TEST(test_places),       TEST(test_unwritable),
        TEST(test_modes),        TEST(test_second),       TEST(test_killed),
        TEST(test_lock_removed), TEST(test_serial_taken), TEST(test_link_and_mode),
        TEST(test_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

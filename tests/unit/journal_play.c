/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal_play.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/audit.h"
#include "core/engine_state.h"

struct play *play_now;

/* ---- A fresh reader ---- */

static sqlite3 *reader_open(const char *dir)
{
    char path[STATE_DIR_MAX + 16];
    sqlite3 *reader = NULL;
    snprintf(path, sizeof path, "%s/nmid.db", dir);
    if (sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, "unix") != SQLITE_OK)
        fail_msg("%s cannot be opened", path);
    sqlite3_exec(reader, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return reader;
}

/* The first column of the first row as text, or "". */
const char *play_ask(const char *dir, const char *sql, const char *argument)
{
    static char answer[160];
    sqlite3 *reader = reader_open(dir);
    sqlite3_stmt *statement = NULL;
    answer[0] = '\0';
    if (sqlite3_prepare_v2(reader, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(reader));
    sqlite3_bind_text(statement, 1, argument, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
        snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    else if (code != SQLITE_ROW && code != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(reader));
    sqlite3_finalize(statement);
    sqlite3_close(reader);
    return answer;
}

enum action_state play_state_in(const char *dir, const char *id)
{
    const char *name = play_ask(dir, "SELECT state FROM actions WHERE id = ?", id);
    for (enum action_state s = ACTION_ACCEPTED; s <= ACTION_FINISHED; s++) {
        if (strcmp(name, action_state_name(s)) == 0)
            return s;
    }
    return ACTION_NEW;
}

void play_check_audit(const char *id, enum action_state state)
{
    static const char records[] = "SELECT count(*) FROM audit WHERE action_id = ?"
                                  " AND decision = 'allowed' AND repeat = 0";
    static const char ends[] = "SELECT outcome FROM audit WHERE action_id = ?"
                               " AND decision = 'allowed' AND repeat = 0";
    static const char outcome[] = "SELECT outcome FROM actions WHERE id = ?";
    char wanted[32];
    assert_string_equal(play_ask(play_now->after, records, id), state == ACTION_NEW ? "0" : "1");
    snprintf(wanted, sizeof wanted, "%s", play_ask(play_now->after, outcome, id));
    assert_string_equal(play_ask(play_now->after, ends, id), wanted);
}

/* Whatever the machine wrote by itself of what was not fsync()ed. */
void play_check_kept(const char *id, enum action_state state)
{
    for (unsigned seed = 0; seed < 3; seed++) {
        fault_vfs_power_loss(play_now->after, seed);
        enum action_state found = play_state_in(play_now->after, id);
        if (found < state)
            fail_msg("told %s of %s, but after a power failure (%u) it is %s",
                     action_state_name(state), id, seed, action_state_name(found));
        play_check_audit(id, found);
    }
}

/* ---- Who is told ---- */

static void on_journal(void *arg, struct action *action, enum action_state state, bool ok)
{
    if (ok && play_now->told_fd < 0)
        play_check_kept(action->id, state);
    else if (ok)
        dprintf(play_now->told_fd, "%d %s\n", (int)state, action->id);
    for (int i = 0; ok && i < PLAY_NODES; i++)
        play_now->recorded[i] |= play_now->actions[i] == action;
    engine_on_journal(arg, action, state, ok);
}

/* A 202 promises a record, or comes with the outcome. */
static void on_accepted(void *arg, struct action *action)
{
    (void)arg;
    play_now->accepted_told++;
    for (int i = 0; i < PLAY_NODES; i++) {
        if (play_now->actions[i] == action && action->state != ACTION_FINISHED)
            assert_true(play_now->recorded[i]);
    }
}

static void on_end(void *arg, struct action *action)
{
    (void)arg;
    assert_int_equal(action->state, ACTION_FINISHED);
    play_now->ends_told++;
}

static void count_one(void *arg)
{
    ++*(unsigned *)arg;
}

/* So much time passes. */
void play_pass(struct rig *rig, int64_t us)
{
    unsigned count = 0;
    struct loop_timer *timer = loop_timer_new(rig->loop, count_one, &count, NULL);
    loop_timer_set(timer, fake.mono + us);
    rig_until_count(rig, &count, 1);
    loop_timer_free(timer);
}

struct action *play_submit(struct rig *rig, unsigned node)
{
    struct request request = rig_request(node);
    struct action *action = NULL;
    struct fault fault = {0};
    bool repeat = false;
    request.idempotency_key = rig_uuid(node);
    if (engine_submit(rig->engine, &request, &action, &repeat, &fault) < 0) {
        assert_int_equal(fault.code, FAULT_JOURNAL);
        return NULL;
    }
    assert_false(repeat);
    assert_non_null(engine_wait(rig->engine, action, ACTION_ACCEPTED, on_accepted, NULL));
    assert_non_null(engine_wait(rig->engine, action, ACTION_FINISHED, on_end, NULL));
    return action;
}

/* ---- The fixture ---- */

static void on_engine_freed(void *arg)
{
    audit_free(arg);
}

int play_setup(void **state)
{
    struct fault fault = {0};
    fake_reset();
    fault_vfs_reset();
    play_now = calloc(1, sizeof *play_now);
    assert_non_null(play_now);
    play_now->told_fd = play_now->override_told = -1;
    state_dir_make(play_now->after);
    int result = rig_setup(state);
    journal_on_done(rig_now->journal, on_journal, rig_now->engine);
    rig_now->freed_arg = audit_new(rig_now->loop, rig_now->journal, NULL, &fault);
    rig_now->freed = on_engine_freed;
    assert_non_null(rig_now->freed_arg);
    engine_set_audit(rig_now->engine, rig_now->freed_arg);
    return result;
}

int play_teardown(void **state)
{
    fault_vfs.kinds = 0;
    fake.hold = false;
    int result = rig_teardown(state);
    state_dir_remove(play_now->after);
    free(play_now);
    play_now = NULL;
    return result;
}

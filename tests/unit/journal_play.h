/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the tests of a failing disk: the engine's rig in simulated time, whose journal lies on
 * fault_vfs. Whatever the journal says that it has is looked for in what a power failure leaves;
 * who is told that an action was accepted must find it there too, or its outcome. */
#ifndef NMID_TESTS_JOURNAL_PLAY_H
#define NMID_TESTS_JOURNAL_PLAY_H

#include "engine_rig.h"
#include "fake_loop.h"
#include "fault_vfs.h"

#define PLAY_NODES 3
#define PLAY_SOON  (FAKE_SECOND / 10)

struct play {
    struct action *actions[PLAY_NODES]; /* borrowed from the journal; NULL: refused */
    enum action_outcome wanted[PLAY_NODES];
    unsigned accepted_told, ends_told;
    bool recorded[PLAY_NODES]; /* *accepted* or more */
    int override_told;         /* -1: not yet */
    uint64_t post;
    int told_fd; /* or -1: what was recorded goes there as a line, and is not looked for */
    char after[STATE_DIR_MAX]; /* where a power failure leaves its rest */
};

/* cmocka fixtures: *state is the rig; play_now is its play, from play_setup() to play_teardown().
 */
int play_setup(void **state);
int play_teardown(void **state);
extern struct play *play_now;

/* The first column of the first row, as text, in the database of dir; "" when there is none. */
const char *play_ask(const char *dir, const char *sql, const char *argument);
enum action_state play_state_in(const char *dir, const char *id);

/* After a power failure, whatever the machine wrote by itself of what was not fsync()ed, the action
 * is found in this state or a later one. */
void play_check_kept(const char *id, enum action_state state);

/* In what a power failure left, the audit and the actions say the same of it. */
void play_check_audit(const char *id, enum action_state state);

/* So much simulated time passes. */
void play_pass(struct rig *rig, int64_t us);

/* A request with an Idempotency-Key for the node of this number; NULL when the journal's state
 * refuses it, and only that may. Its callers are counted in play_now as they are told. */
struct action *play_submit(struct rig *rig, unsigned node);

#endif

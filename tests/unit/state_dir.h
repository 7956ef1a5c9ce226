/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A state directory for a test's journal: fresh, and gone afterwards. */
#ifndef NMID_TESTS_STATE_DIR_H
#define NMID_TESTS_STATE_DIR_H

#include "core/journal.h"

#define STATE_DIR_MAX 64

/* Makes one below TMPDIR or /tmp; its path into dir. Aborts when it cannot. */
void state_dir_make(char dir[STATE_DIR_MAX]);

/* Removes it with what a journal leaves there. */
void state_dir_remove(const char *dir);

/* journal_new() in it, with this history and no limit of age. */
struct journal *state_dir_journal(const char *dir, struct loop *loop, size_t history,
                                  struct fault *fault);

#endif

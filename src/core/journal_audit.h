/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit's records in the journal: written with what they speak of, in one transaction; not held
 * in memory; read by whoever asks, with a connection of his own. audit.h is what others use. */
#ifndef NMID_CORE_JOURNAL_AUDIT_H
#define NMID_CORE_JOURNAL_AUDIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fault.h"

struct action;
struct journal;

/* The texts of a record, in the order of their columns. */
enum audit_text {
    AUDIT_USER,
    AUDIT_USER_ID,
    AUDIT_PROJECT_ID,
    AUDIT_ROLES,
    AUDIT_METHOD,
    AUDIT_ADDRESS,
    AUDIT_CONTRACT,
    AUDIT_OPERATION,
    AUDIT_NODE_UUID,
    AUDIT_NODE_NAME,
    AUDIT_IDENT,
    AUDIT_DECISION, /* "allowed", "refused" or "suppressed" */
    AUDIT_RULE,
    AUDIT_CODE,
    AUDIT_MESSAGE,
    AUDIT_ACTION_ID,
    AUDIT_KEY, /* the caller's Idempotency-Key */
    AUDIT_TEXTS
};

struct journal_audit_row {
    uint64_t serial; /* the journal's; adding: not looked at */
    int64_t at;      /* wall clock, us */
    const char *texts[AUDIT_TEXTS]; /* NULL where there is none */
    bool administrator, repeat, force;
    bool is_deed;  /* adding: something was done; the others cannot push it out */
    uint64_t deed; /* the journal's: its number among these, from 1; reading: not looked at */
    uint64_t suppressed; /* so many refusals that have no record of their own */
    /* Only reading: */
    const char *outcome, *outcome_code;
    int64_t finished_at; /* 0: not yet */
};

/* Longer texts are cut, at the end of a character. */
#define AUDIT_TEXT_MAX    255
#define AUDIT_MESSAGE_MAX 511

/* Adds a record (copied). What is called in the same turn as journal_write() is in the same
 * transaction. What cannot be written is tried again. must: new actions are refused until it is; of
 * the rest a few thousand wait for the disk at most. 0; 1: it is one too many, and is forgotten; -1
 * when memory is out. */
int journal_audit_add(struct journal *journal, const struct journal_audit_row *row, bool must);

/* The number of the record that was added last. */
uint64_t journal_audit_serial(const struct journal *journal);

/* The outcome of a finished action, beside the record that allowed it (action->audit_serial), where
 * there is one. -1 when memory is out. */
struct journal_audit_outcome {
    uint64_t serial;
    const char *outcome, *code; /* static */
    int64_t finished_at;
};
int journal_audit_outcome(struct journal *journal, const struct action *action);

/* How much is kept: so many records of deeds, and of the others what is among the last so many
 * records; for so many days (0: however long). */
void journal_audit_configure(struct journal *journal, unsigned records, unsigned days);

/* The file, for journal_audit_read(). */
const char *journal_path(const struct journal *journal);

/* Records that match, newest first. From any thread. NULLs and zeros match everything. */
struct journal_audit_find {
    const char *texts[AUDIT_TEXTS];
    const char *ident;    /* besides the ident the node's name or UUID may be this */
    int64_t since, until; /* at from, and before */
    uint64_t marker;      /* only older ones */
    bool own;             /* nothing that tells whether another project's node is there */
    size_t limit;
};

/* Calls each(arg, row) for them; -1 of it ends the reading (FAULT_MEMORY). *stop ends it too
 * (FAULT_STOPPING). -1 with a fault. */
typedef int journal_audit_fn(void *arg, const struct journal_audit_row *row);
int journal_audit_read(const char *path, const struct journal_audit_find *find,
                       journal_audit_fn *each, void *arg, const atomic_bool *stop,
                       struct fault *fault);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ops: what the journal's loop collects and its thread writes. Nobody but the journal*.c files. */
#ifndef NMID_CORE_JOURNAL_OPS_H
#define NMID_CORE_JOURNAL_OPS_H

#include "core/journal_audit.h"
#include "core/journal_db.h"
#include "core/journal_more.h"

/* One thing to write. It owns or counts what its row points to. */
enum op_kind {
    OP_ACTION,
    OP_FORGET,
    OP_OVERRIDE,
    OP_POST,
    OP_POST_LATER,
    OP_POST_REMOVE,
    OP_AUDIT,
    OP_AUDIT_OUTCOME,
    OP_AUDIT_PRUNE
};

struct op {
    enum op_kind kind;
    bool told; /* its failure has been told, and it is tried again */
    union {
        struct {
            struct action *action; /* counted */
            enum action_state state;
            struct journal_row row;
        } action;
        struct {
            char uuid[UUID_TEXT];
            struct journal_override value;
            journal_override_fn *done;
            void *arg;
        } override;
        struct journal_post post; /* strings owned */
        uint64_t serial;
        struct {
            struct audit_op *audit; /* owned; all in one block */
            bool must;
        } audit;
        struct journal_audit_outcome outcome;
        struct {
            uint64_t deeds_upto, others_upto; /* a number among the deeds, and a serial */
            int64_t before;
            bool more; /* by the thread */
        } prune;
    };
};

struct ops {
    struct op *ops;
    size_t count, size;
};

/* One more, zeroed; NULL when memory is out. */
struct op *ops_add(struct ops *ops);
void ops_clear(struct ops *ops);

/* All of `from` to the end of `to`; -1 when memory is out (nothing moved). */
int ops_move(struct ops *to, struct ops *from);

/* Lost, it would leave the database saying less than is true, or a caller uncalled. */
bool op_must_be_written(const struct op *op);

/* Owed, nothing new is begun until it is written. */
bool op_holds_up(const struct op *op);

/* On the thread. */
int op_write(struct journal_db *db, struct op *op, struct fault *fault);

/* journal_audit.c: the same for the audit's ops; and what follows when one is written, or will never
 * be. */
int audit_op_write(struct journal_db *db, struct op *op, struct fault *fault);
void audit_op_over(struct journal *journal, const struct op *op);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit's records on their way to the disk. One that allowed an action is owed until it is
 * there, as the action's end is. The others may be as many as callers like, also while the disk
 * hangs: of them only so many wait. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/journal_state.h"

#define WAITING_MAX 4096
#define PRUNE_EVERY 64 /* records, and of those four times as many may go at once */
#define DAY_US      INT64_C(86400000000)

struct audit_op {
    struct journal_audit_row row;
    char data[];
};

/* The bytes of text that are kept: whole characters. */
static size_t kept(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len <= max)
        return len;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static size_t max_of(int text)
{
    return text == AUDIT_MESSAGE ? AUDIT_MESSAGE_MAX : AUDIT_TEXT_MAX;
}

static struct audit_op *audit_op_new(const struct journal_audit_row *row)
{
    size_t lens[AUDIT_TEXTS] = {0}, size = 0;
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        if (row->texts[i] != NULL)
            size += (lens[i] = kept(row->texts[i], max_of(i))) + 1;
    }
    struct audit_op *audit = malloc(sizeof *audit + size);
    if (audit == NULL)
        return NULL;
    audit->row = *row;
    char *at = audit->data;
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        if (row->texts[i] == NULL)
            continue;
        memcpy(at, row->texts[i], lens[i]);
        at[lens[i]] = '\0';
        audit->row.texts[i] = at;
        at += lens[i] + 1;
    }
    return audit;
}

/* Removes what is too much, a little at a time. Serials have no gaps to speak of. */
void journal_audit_prune(struct journal *journal)
{
    int64_t days = journal->audit_days;
    if (journal->audit_records == 0)
        return;
    struct op *op = journal_op(journal, OP_AUDIT_PRUNE);
    if (op == NULL)
        return;
    if (journal->audit_serial > journal->audit_records)
        op->prune.others_upto = journal->audit_serial - journal->audit_records;
    if (journal->audit_deed > journal->audit_records)
        op->prune.deeds_upto = journal->audit_deed - journal->audit_records;
    op->prune.before = days == 0 ? INT64_MIN : clock_wall_us() - days * DAY_US;
}

int journal_audit_add(struct journal *journal, const struct journal_audit_row *row, bool must)
{
    if (!must && journal->audit_waiting >= WAITING_MAX)
        return 1;
    struct audit_op *audit = audit_op_new(row);
    struct op *op = audit == NULL ? NULL : journal_op(journal, OP_AUDIT);
    if (op == NULL) {
        free(audit);
        return -1;
    }
    audit->row.serial = ++journal->audit_serial;
    audit->row.deed = row->is_deed ? ++journal->audit_deed : 0;
    op->audit.audit = audit;
    op->audit.must = must;
    journal->audit_waiting += !must;
    if (journal->audit_serial % PRUNE_EVERY == 0)
        journal_audit_prune(journal);
    return 0;
}

uint64_t journal_audit_serial(const struct journal *journal)
{
    return journal->audit_serial;
}

int journal_audit_outcome(struct journal *journal, const struct action *action)
{
    struct op *op =
        action->audit_serial == 0 ? NULL : journal_op(journal, OP_AUDIT_OUTCOME);
    if (op == NULL)
        return action->audit_serial == 0 ? 0 : -1;
    op->outcome = (struct journal_audit_outcome){
        .serial = action->audit_serial,
        .outcome = action_outcome_name(action->outcome),
        .code = action->code != FAULT_NONE ? fault_name(action->code) : NULL,
        .finished_at = action->finished_at,
    };
    return 0;
}

void journal_audit_configure(struct journal *journal, unsigned records, unsigned days)
{
    journal->audit_records = records;
    journal->audit_days = days;
    journal_audit_prune(journal);
}

const char *journal_path(const struct journal *journal)
{
    return db_path(journal->db);
}

/* ---- What journal.c calls for these ops ---- */

int audit_op_write(struct journal_db *db, struct op *op, struct fault *fault)
{
    if (op->kind == OP_AUDIT)
        return db_put_audit(db, &op->audit.audit->row, fault);
    if (op->kind == OP_AUDIT_OUTCOME)
        return db_put_outcome(db, &op->outcome, fault);
    const int64_t bounds[AUDIT_PRUNES] = {
        [AUDIT_DEEDS] = (int64_t)op->prune.deeds_upto,
        [AUDIT_OTHERS] = (int64_t)op->prune.others_upto,
        [AUDIT_BEFORE] = op->prune.before,
    };
    op->prune.more = false;
    for (unsigned i = 0; i < AUDIT_PRUNES; i++) {
        if (db_prune_audit(db, (enum audit_prune)i, bounds[i], &op->prune.more, fault) < 0)
            return -1;
    }
    return 0;
}

/* It is written, or will never be. */
void audit_op_over(struct journal *journal, const struct op *op)
{
    if (op->kind == OP_AUDIT)
        journal->audit_waiting -= !op->audit.must;
    if (op->kind == OP_AUDIT_PRUNE && op->prune.more)
        loop_timer_set(journal->age, clock_mono_us() + 1000000); /* on_age() does the next few */
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's writes. What a turn of the loop wants written collects in `turn`; before the loop
 * waits, it goes to the thread as one transaction, or stays until the thread is done with the one
 * before. When a transaction fails, what must not be lost (an end, a post) is `owed`: it goes first
 * in each later try, of which there is one a second. */
#include "core/journal.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/journal_state.h"

#define RETRY_US  INT64_C(1000000)
#define SECOND_US INT64_C(1000000)
#define HANG_S    5                   /* a transaction that takes longer: the disk hangs */
#define LATER_MAX 1000                /* of what may be lost, no more is tried again */
#define AGE_US    INT64_C(3600000000) /* how often the old is looked for */

/* One transaction, on its way through the thread. */
struct batch {
    struct journal *journal;
    struct ops ops;
    bool tried; /* the thread has had it */
    struct fault fault;
};

struct op *journal_op(struct journal *journal, enum op_kind kind)
{
    struct op *op = ops_add(&journal->turn);
    if (op == NULL)
        return NULL;
    op->kind = kind;
    journal->pending++;
    loop_wake(journal->loop);
    return op;
}

/* ---- On the thread ---- */

static void batch_write(void *arg)
{
    struct batch *batch = arg;
    struct journal_db *db = batch->journal->db;
    batch->tried = true;
    int result = db_begin(db, &batch->fault);
    for (size_t i = 0; result == 0 && i < batch->ops.count; i++)
        result = op_write(db, &batch->ops.ops[i], &batch->fault);
    if (result == 0)
        result = db_commit(db, &batch->fault);
    if (result < 0)
        db_rollback(db);
}

/* ---- Back on the loop ---- */

static void op_tell(struct journal *journal, const struct op *op, bool ok)
{
    if (op->told)
        return;
    journal->pending--;
    if (op->kind == OP_ACTION && journal->done != NULL)
        journal->done(journal->done_arg, op->action.action, op->action.state, ok);
    if (op->kind == OP_OVERRIDE && op->override.done != NULL)
        op->override.done(op->override.arg, ok);
}

static void batch_succeeded(struct journal *journal, struct batch *batch)
{
    if (journal->failing)
        log_info("the journal can be written again");
    journal->failing = false;
    for (size_t i = 0; i < batch->ops.count; i++) {
        struct op *op = &batch->ops.ops[i];
        journal->owed_count -= op->told && op_holds_up(op);
        if (op->kind == OP_OVERRIDE)
            journal_apply_override(journal, op);
        audit_op_over(journal, op);
    }
    for (size_t i = 0; i < batch->ops.count; i++)
        op_tell(journal, &batch->ops.ops[i], true);
    ops_clear(&batch->ops);
}

/* What could not be fsync()ed may be on disk all the same, and count at the next start: what its
 * caller was told to be still so is written again. */
static void owe_old_override(struct journal *journal, const struct op *op)
{
    const struct override_entry *entry = map_get(journal->overrides, op->override.uuid);
    struct op *owed = ops_add(&journal->owed);
    if (owed == NULL)
        return;
    owed->kind = OP_OVERRIDE;
    owed->told = true;
    memcpy(owed->override.uuid, op->override.uuid, sizeof owed->override.uuid);
    if (entry != NULL)
        owed->override.value = entry->value;
    journal->owed_count += !op->told;
}

/* What must be written moves to `owed`; who is told may find journal_check() failing already. */
static void batch_failed(struct journal *journal, struct batch *batch)
{
    if (!journal->failing && batch->tried)
        log_error("%s; what was not recorded is not done", batch->fault.message);
    journal->failing = true;
    journal->fault = batch->fault;
    for (size_t i = 0; i < batch->ops.count; i++) {
        struct op *op = &batch->ops.ops[i];
        if (op->kind == OP_POST_LATER && journal->owed.count >= LATER_MAX)
            continue; /* a post is then tried sooner after a restart: no harm */
        if (op->kind == OP_OVERRIDE) {
            owe_old_override(journal, op);
            continue;
        }
        struct op *owed = op_must_be_written(op) ? ops_add(&journal->owed) : NULL;
        if (owed == NULL) {
            audit_op_over(journal, op);
            continue;
        }
        *owed = *op;
        owed->told = true;
        journal->owed_count += !op->told && op_holds_up(op);
        if (op->kind == OP_ACTION)
            action_ref(op->action.action);
        if (op->kind == OP_POST) /* the copy has the strings */
            op->post.url = op->post.body = NULL;
        if (op->kind == OP_AUDIT)
            op->audit.audit = NULL;
    }
    if (journal->owed.count > 0)
        loop_timer_set(journal->retry, clock_mono_us() + RETRY_US);
    for (size_t i = 0; i < batch->ops.count; i++)
        op_tell(journal, &batch->ops.ops[i], false);
    ops_clear(&batch->ops);
}

static void batch_done(void *arg)
{
    struct batch *batch = arg;
    struct journal *journal = batch->journal;
    journal->writing = NULL;
    loop_timer_clear(journal->second);
    if (!batch->tried) /* journal_free() came first: write_rest() has it */
        fault_set(&batch->fault, FAULT_JOURNAL, "the journal is being closed");
    if (batch->fault.code == FAULT_NONE)
        batch_succeeded(journal, batch);
    else
        batch_failed(journal, batch);
    free(batch);
    loop_wake(journal->loop);
}

/* Takes what there is to write, the owed first; NULL when memory is out: then it stays. */
static struct batch *batch_new(struct journal *journal)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->journal = journal;
    if (journal->owed.count == 0) {
        batch->ops = journal->turn;
        journal->turn = (struct ops){0};
        return batch;
    }
    if (journal->turn.count > 0 && ops_move(&journal->owed, &journal->turn) < 0) {
        free(batch);
        return NULL;
    }
    batch->ops = journal->owed;
    journal->owed = (struct ops){0};
    return batch;
}

/* Before the loop waits. */
static void hand_over(void *arg)
{
    struct journal *journal = arg;
    if (journal->writing != NULL || (journal->turn.count == 0 && !journal->retry_due))
        return;
    journal->retry_due = false;
    struct batch *batch = batch_new(journal);
    if (batch == NULL || pool_submit(journal->pool, batch_write, batch_done, batch, NULL) < 0) {
        if (batch != NULL) /* the memory is out: again in a second, and nobody is told */
            journal->turn = batch->ops;
        free(batch);
        loop_timer_set(journal->retry, clock_mono_us() + RETRY_US);
        return;
    }
    journal->writing = batch;
    journal->writing_since = clock_mono_us();
    journal->writing_s = 0;
    loop_timer_set(journal->second, journal->writing_since + SECOND_US);
}

/* Only seconds in which the loop has turned count: after a pause of the whole process (SIGSTOP, a
 * virtual machine that is moved, a log that is not taken) the transaction is long done, and nobody has
 * come to hear of it. */
static void on_second(void *arg)
{
    struct journal *journal = arg;
    journal->writing_s++;
    loop_timer_set(journal->second, clock_mono_us() + SECOND_US);
}

static void on_retry(void *arg)
{
    struct journal *journal = arg;
    journal->retry_due = journal->owed.count > 0;
    loop_wake(journal->loop);
}

static void on_age(void *arg)
{
    struct journal *journal = arg;
    history_prune(journal);
    history_forget_lasts(journal);
    journal_audit_prune(journal);
    loop_timer_set(journal->age, clock_mono_us() + AGE_US);
}

/* ---- Life ---- */

static int prepare(struct journal *journal, struct loop *loop, struct fault *fault)
{
    journal->by_id = map_new();
    journal->by_key = map_new();
    journal->newest_of = map_new();
    journal->last_by_uuid = map_new();
    journal->last_by_target = map_new();
    journal->overrides = map_new();
    if (journal->by_id == NULL || journal->by_key == NULL || journal->newest_of == NULL ||
        journal->last_by_uuid == NULL || journal->last_by_target == NULL ||
        journal->overrides == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    journal->retry = loop_timer_new(loop, on_retry, journal, fault);
    journal->age = loop_timer_new(loop, on_age, journal, fault);
    journal->second = loop_timer_new(loop, on_second, journal, fault);
    if (journal->retry == NULL || journal->age == NULL || journal->second == NULL)
        return -1;
    loop_timer_set(journal->age, clock_mono_us() + AGE_US);
    journal->pool = pool_new(loop, 1, 1, fault);
    return journal->pool == NULL ? -1 : loop_before_wait(loop, hand_over, journal, fault);
}

struct journal *journal_new(struct loop *loop, const struct journal_settings *settings,
                            struct fault *fault)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    journal->loop = loop;
    journal->history_max = settings->history;
    journal->history_days = settings->history_days;
    journal->db = db_open(settings->dir, fault);
    if (journal->db == NULL || prepare(journal, loop, fault) < 0 ||
        journal_load(journal, fault) < 0) {
        journal_free(journal);
        return NULL;
    }
    return journal;
}

/* The thread is gone: what is left is written here, and nobody is told any more. */
static void write_rest(struct journal *journal)
{
    struct batch batch = {.journal = journal, .ops = journal->owed};
    if (journal->turn.count > 0 && ops_move(&batch.ops, &journal->turn) < 0)
        log_error("out of memory: the journal's last %zu records are lost", journal->turn.count);
    if (batch.ops.count > 0) {
        batch_write(&batch);
        if (batch.fault.code != FAULT_NONE)
            log_error("%s; %zu records are lost: an action that was sent will be called unknown",
                      batch.fault.message, batch.ops.count);
    }
    ops_clear(&batch.ops);
    ops_clear(&journal->turn);
}

void journal_free(struct journal *journal)
{
    size_t position = 0;
    if (journal == NULL)
        return;
    journal->done = NULL;
    pool_free(journal->pool);
    if (journal->by_id != NULL)
        write_rest(journal);
    db_close(journal->db);
    loop_timer_free(journal->retry);
    loop_timer_free(journal->age);
    loop_timer_free(journal->second);
    history_free(journal);
    for (void *entry;
         journal->overrides != NULL && (entry = map_next(journal->overrides, &position)) != NULL;)
        free(entry);
    map_free(journal->overrides);
    for (size_t i = 0; i < journal->post_count; i++) {
        free(journal->posts[i].url);
        free(journal->posts[i].body);
    }
    free(journal->posts);
    free(journal);
}

void journal_on_done(struct journal *journal, journal_done_fn *done, void *arg)
{
    journal->done = done;
    journal->done_arg = arg;
}

void journal_configure(struct journal *journal, size_t history, unsigned history_days)
{
    journal->history_max = history;
    journal->history_days = history_days;
    history_prune(journal);
}

const char *journal_instance(const struct journal *journal)
{
    return db_instance(journal->db);
}

int journal_check(const struct journal *journal, struct fault *fault)
{
    int64_t waits = journal->writing == NULL ? 0 : clock_mono_us() - journal->writing_since;
    if (journal->writing != NULL && journal->writing_s >= HANG_S)
        return fault_set(fault, FAULT_JOURNAL,
                         "nmid cannot record what it does and therefore does nothing: the disk of "
                         "its journal has not answered for %lld s",
                         (long long)(waits / SECOND_US));
    if (journal->owed_count == 0)
        return 0;
    return fault_set(fault, FAULT_JOURNAL,
                     "nmid cannot record what it does and therefore does nothing, until it can "
                     "again: %.300s",
                     journal->fault.message);
}

size_t journal_pending(const struct journal *journal)
{
    return journal->pending;
}

/* ---- Writes of actions ---- */

/* A key whose action never got as far as the disk is free again, also after a restart: its caller
 * was told that nothing was done. */
static bool key_is_free(const struct action *action)
{
    return action->code == FAULT_JOURNAL && action->durable == ACTION_NEW;
}

static void release_key(struct journal *journal, const struct action *action)
{
    if (action->key_scope != NULL && key_is_free(action) &&
        map_get(journal->by_key, action->key_scope) == action)
        map_remove(journal->by_key, action->key_scope);
}

static void row_of(const struct action *action, enum action_state state, struct journal_row *row)
{
    const struct node *node = action->node;
    bool finished = state == ACTION_FINISHED;
    *row = (struct journal_row){
        .serial = action->serial,
        .id = action->id,
        .node_uuid = node->uuid,
        .node_name = node->name,
        .target = node->target,
        .resolved = action->resolved,
        .name = action->name,
        .contract = action->contract,
        .user = action->user,
        .project_id = action->project_id,
        .address = action->address,
        .key_scope = key_is_free(action) ? NULL : action->key_scope,
        .fingerprint = action->fingerprint,
        .callback_url = action->callback_url,
        .force = action->force,
        .refusal = action->refusal,
        .state = action_state_name(state),
        .sends = action->sends,
        .created_at = action->created_at,
        .sent_at = action->sent_at,
    };
    if (state == ACTION_SENT && row->sent_at == 0)
        row->sent_at = clock_wall_us(); /* it leaves as soon as this is on disk */
    if (!finished)
        return;
    row->finish_serial = action->finish_serial;
    row->outcome = action_outcome_name(action->outcome);
    row->code = action->code != FAULT_NONE ? fault_name(action->code) : NULL;
    row->message = action->message;
    row->evidence = action->evidence_text;
    row->finished_at = action->finished_at;
    row->finished_mono = action->finished_mono;
}

static int remember(struct journal *journal, struct action *action, enum action_state state)
{
    if (action->serial == 0) {
        action->serial = ++journal->serial;
        if (history_add(journal, action) < 0) {
            action->serial = 0;
            return -1;
        }
    }
    if (state != ACTION_FINISHED)
        return 0;
    action->finish_serial = ++journal->finish_serial;
    release_key(journal, action);
    return history_remember_nmi(journal,
                                action); /* no memory, no hold-off: better no more actions */
}

int journal_write(struct journal *journal, struct action *action, enum action_state state)
{
    bool first = action->serial == 0;
    if (remember(journal, action, state) < 0)
        return -1;
    struct op *op = journal_op(journal, OP_ACTION);
    if (op == NULL) {
        if (first) /* else its key would be found, and whoever repeats it would wait for ever */
            history_remove(journal, action);
        return -1;
    }
    op->action.action = action_ref(action);
    op->action.state = state;
    row_of(action, state, &op->action.row);
    history_prune(journal);
    return 0;
}

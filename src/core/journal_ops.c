/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ops: what each kind owns, how it is written, and what must not be lost. */
#include "core/journal_ops.h"

#include <stdlib.h>
#include <string.h>
#include "core/journal_state.h"

struct op *ops_add(struct ops *ops)
{
    if (ops->count == ops->size) {
        size_t size = ops->size == 0 ? 64 : ops->size * 2;
        struct op *grown = reallocarray(ops->ops, size, sizeof *grown);
        if (grown == NULL)
            return NULL;
        ops->ops = grown;
        ops->size = size;
    }
    struct op *op = &ops->ops[ops->count++];
    memset(op, 0, sizeof *op);
    return op;
}

static void op_clear(struct op *op)
{
    if (op->kind == OP_ACTION)
        action_unref(op->action.action);
    if (op->kind == OP_POST) {
        free(op->post.url);
        free(op->post.body);
    }
    if (op->kind == OP_AUDIT)
        free(op->audit.audit);
}

void ops_clear(struct ops *ops)
{
    for (size_t i = 0; i < ops->count; i++)
        op_clear(&ops->ops[i]);
    free(ops->ops);
    *ops = (struct ops){0};
}

int ops_move(struct ops *to, struct ops *from)
{
    struct op *grown = reallocarray(to->ops, to->count + from->count, sizeof *grown);
    if (grown == NULL)
        return -1;
    to->ops = grown;
    to->size = to->count + from->count;
    memcpy(to->ops + to->count, from->ops, from->count * sizeof *from->ops);
    to->count = to->size;
    free(from->ops);
    *from = (struct ops){0};
    return 0;
}

bool op_must_be_written(const struct op *op)
{
    return op->kind != OP_OVERRIDE && op->kind != OP_AUDIT_PRUNE &&
           (op->kind != OP_ACTION || op->action.state == ACTION_FINISHED);
}

bool op_holds_up(const struct op *op)
{
    return op->kind != OP_AUDIT || op->audit.must;
}

/* ---- On the thread ---- */

int op_write(struct journal_db *db, struct op *op, struct fault *fault)
{
    switch (op->kind) {
    case OP_ACTION:
        return db_put_action(db, &op->action.row, fault);
    case OP_FORGET:
        return db_forget_action(db, op->serial, fault);
    case OP_OVERRIDE: {
        struct journal_override_row row =
            journal_override_row(op->override.uuid, &op->override.value);
        return db_put_override(db, &row, fault);
    }
    case OP_POST: {
        const struct journal_post *post = &op->post;
        struct journal_post_row row = {post->serial, post->action_id, post->url,  post->body,
                                       post->since,  post->next_at,   post->tries};
        return db_put_post(db, &row, fault);
    }
    case OP_POST_LATER:
        return db_move_post(db, op->post.serial, op->post.tries, op->post.next_at, fault);
    case OP_POST_REMOVE:
        return db_remove_post(db, op->post.serial, fault);
    case OP_AUDIT:
    case OP_AUDIT_OUTCOME:
    case OP_AUDIT_PRUNE:
        return audit_op_write(db, op, fault);
    }
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Locks and status set at run time, and the outbox. */
#include "core/journal_more.h"

#include <stdlib.h>
#include <string.h>
#include "core/journal_state.h"

const struct journal_override *journal_override(const struct journal *journal,
                                                const char *node_uuid)
{
    const struct override_entry *entry = map_get(journal->overrides, node_uuid);
    return entry == NULL ? NULL : &entry->value;
}

void journal_apply_override(struct journal *journal, const struct op *op)
{
    struct override_entry *entry = map_get(journal->overrides, op->override.uuid);
    if (!op->override.value.has_lock && !op->override.value.has_status) {
        free(map_remove(journal->overrides, op->override.uuid));
    } else if (entry != NULL) {
        entry->value = op->override.value;
    } else if ((entry = calloc(1, sizeof *entry)) != NULL) {
        memcpy(entry->uuid, op->override.uuid, sizeof entry->uuid);
        entry->value = op->override.value;
        if (map_put(journal->overrides, entry->uuid, entry) < 0)
            free(entry); /* it is on disk, and counts from the next start */
    }
}

int journal_set_override(struct journal *journal, const char *node_uuid,
                         const struct journal_override *override, journal_override_fn *done,
                         void *arg)
{
    struct op *op = journal_op(journal, OP_OVERRIDE);
    if (op == NULL)
        return -1;
    uuid_copy(op->override.uuid, node_uuid);
    op->override.value = *override;
    op->override.done = done;
    op->override.arg = arg;
    return 0;
}

void journal_outbox(struct journal *journal, journal_post_fn *each, void *arg)
{
    for (size_t i = 0; i < journal->post_count; i++) {
        each(arg, &journal->posts[i]);
        free(journal->posts[i].url);
        free(journal->posts[i].body);
    }
    free(journal->posts);
    journal->posts = NULL;
    journal->post_count = 0;
}

int journal_post_add(struct journal *journal, const struct journal_post *post, uint64_t *ret_serial)
{
    char *url = strdup(post->url), *body = strdup(post->body);
    struct op *op = url == NULL || body == NULL ? NULL : journal_op(journal, OP_POST);
    if (op == NULL) {
        free(url);
        free(body);
        return -1;
    }
    op->post = *post;
    op->post.url = url;
    op->post.body = body;
    op->post.serial = *ret_serial = ++journal->post_serial;
    return 0;
}

int journal_post_later(struct journal *journal, uint64_t serial, unsigned tries, int64_t next_at)
{
    struct op *op = journal_op(journal, OP_POST_LATER);
    if (op == NULL)
        return -1;
    op->post.serial = serial;
    op->post.tries = tries;
    op->post.next_at = next_at;
    return 0;
}

int journal_post_remove(struct journal *journal, uint64_t serial)
{
    struct op *op = journal_op(journal, OP_POST_REMOVE);
    if (op == NULL)
        return -1;
    op->post.serial = serial;
    return 0;
}

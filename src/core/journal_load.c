/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal at the start: rows become actions again. A node that an action of old names is a name
 * and a UUID only; the configuration may no longer have it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/journal_state.h"

struct load {
    struct journal *journal;
    struct map *nodes; /* by UUID: the latest of that UUID, counted */
};

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool copy(const char *text, char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *ret_copy != NULL;
}

/* Rows of the same machine share their node. */
static struct node *load_node(struct load *load, const struct journal_row *row)
{
    struct node *earlier = map_get(load->nodes, row->node_uuid);
    if (earlier != NULL && same(earlier->name, row->node_name) &&
        same(earlier->target, row->target))
        return earlier;
    struct node *node = node_new();
    if (node == NULL)
        return NULL;
    snprintf(node->uuid, sizeof node->uuid, "%s", row->node_uuid);
    if (!copy(row->node_name, &node->name) || !copy(row->target, &node->target) ||
        map_put(load->nodes, node->uuid, node) < 0) {
        node_unref(node);
        return NULL;
    }
    node_unref(earlier);
    return node;
}

static enum fault_code code_of(const char *name)
{
    for (int code = 0; name != NULL && code < FAULT_CODES; code++) {
        if (strcmp(fault_name((enum fault_code)code), name) == 0)
            return (enum fault_code)code;
    }
    return name == NULL ? FAULT_NONE : FAULT_SYSTEM;
}

static void load_state(struct action *action, const struct journal_row *row)
{
    action->state = ACTION_FINISHED;
    for (enum action_state s = ACTION_ACCEPTED; s < ACTION_FINISHED; s++) {
        if (strcmp(row->state, action_state_name(s)) == 0)
            action->state = s;
    }
    action->durable = action->state;
    if (action->state != ACTION_FINISHED)
        return;
    action->outcome = OUTCOME_UNKNOWN; /* unless the row says something else that we know */
    for (enum action_outcome o = OUTCOME_DELIVERED; o <= OUTCOME_UNKNOWN; o++) {
        if (row->outcome != NULL && strcmp(row->outcome, action_outcome_name(o)) == 0)
            action->outcome = o;
    }
    action->code = code_of(row->code);
}

/* When it finished, on this boot's monotonic clock. Across boots the wall clock must do; one that
 * was set back makes the action younger, never older. */
static int64_t finished_mono(const struct journal_row *row)
{
    int64_t now = clock_mono_us();
    if (row->finished_mono != INT64_MIN)
        return row->finished_mono < now ? row->finished_mono : now;
    int64_t age = clock_wall_us() - row->finished_at;
    return age > 0 ? now - age : now;
}

static bool load_texts(struct action *action, const struct journal_row *row)
{
    return copy(row->resolved, &action->resolved) && copy(row->key_scope, &action->key_scope) &&
           copy(row->fingerprint, &action->fingerprint) && copy(row->message, &action->message) &&
           copy(row->callback_url, &action->callback_url) &&
           copy(row->evidence, &action->evidence_text);
}

static int load_action(void *arg, const struct journal_row *row)
{
    struct load *load = arg;
    struct journal *journal = load->journal;
    const struct principal caller = {
        .user = row->user, .project_id = row->project_id, .address = row->address};
    struct node *node = load_node(load, row);
    struct action *action =
        node == NULL ? NULL : action_new(node, row->name, row->contract, &caller);
    if (action == NULL)
        return -1;
    snprintf(action->id, sizeof action->id, "%s", row->id);
    load_state(action, row);
    action->serial = row->serial;
    action->finish_serial = row->finish_serial;
    action->force = row->force;
    action->refusal = row->refusal;
    action->recorded = true;
    action->sends = row->sends;
    action->created_at = row->created_at;
    action->sent_at = row->sent_at;
    action->finished_at = row->finished_at;
    action->finished_mono = finished_mono(row);
    journal->serial = row->serial;
    if (row->finish_serial > journal->finish_serial)
        journal->finish_serial = row->finish_serial;
    int result = load_texts(action, row) && history_add(journal, action) == 0 ? 0 : -1;
    if (result == 0 && action->state == ACTION_FINISHED)
        result = history_remember_nmi(journal, action);
    action_unref(action);
    return result;
}

struct journal_override_row journal_override_row(const char *uuid,
                                                 const struct journal_override *value)
{
    return (struct journal_override_row){
        .node_uuid = uuid,
        .locked = value->has_lock ? (int)value->locked : -1,
        .status = value->has_status ? node_status_name(value->status) : NULL,
    };
}

static int load_override(void *arg, const struct journal_override_row *row)
{
    struct load *load = arg;
    struct override_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return -1;
    int status = row->status == NULL ? -1 : node_status_parse(row->status);
    snprintf(entry->uuid, sizeof entry->uuid, "%s", row->node_uuid);
    entry->value.has_lock = row->locked >= 0;
    entry->value.locked = row->locked > 0;
    entry->value.has_status = status >= 0;
    if (status >= 0)
        entry->value.status = (enum node_status)status;
    if (map_put(load->journal->overrides, entry->uuid, entry) == 0)
        return 0;
    free(entry);
    return -1;
}

static int load_post(void *arg, const struct journal_post_row *row)
{
    struct journal *journal = ((struct load *)arg)->journal;
    struct journal_post *posts =
        reallocarray(journal->posts, journal->post_count + 1, sizeof *posts);
    if (posts == NULL)
        return -1;
    journal->posts = posts;
    struct journal_post *post = &posts[journal->post_count];
    *post = (struct journal_post){
        .serial = row->serial, .since = row->since, .next_at = row->next_at, .tries = row->tries};
    snprintf(post->action_id, sizeof post->action_id, "%s", row->action_id);
    journal->post_count++; /* journal_free() frees what is there of it */
    journal->post_serial = row->serial;
    return copy(row->url, &post->url) && copy(row->body, &post->body) ? 0 : -1;
}

static void load_open_audit(void *arg, const char *action_id, uint64_t serial)
{
    struct action *action = action_id == NULL ? NULL : journal_find(arg, action_id);
    if (action != NULL)
        action->audit_serial = serial;
}

/* Whose outcome is to be told now needs the number of its record. */
static int load_audit(struct journal *journal, struct fault *fault)
{
    const struct action *action = journal->histories[ACCEPTED_ONES].newest;
    if (db_audit_serial(journal->db, &journal->audit_serial, &journal->audit_deed, fault) < 0)
        return -1;
    while (action != NULL && action->state == ACTION_FINISHED)
        action = action->older;
    return action == NULL ? 0 : db_read_open_audits(journal->db, load_open_audit, journal, fault);
}

int journal_load(struct journal *journal, struct fault *fault)
{
    static const struct journal_reader reader = {load_action, load_override, load_post};
    struct load load = {journal, map_new()};
    if (load.nodes == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int result = db_read(journal->db, &reader, &load, fault);
    size_t position = 0;
    for (struct node *node; (node = map_next(load.nodes, &position)) != NULL;)
        node_unref(node);
    map_free(load.nodes);
    if (result == 0)
        result = load_audit(journal, fault);
    if (result == 0) {
        history_prune(journal);
        history_forget_lasts(journal);
    }
    return result;
}

int journal_unfinished(struct journal *journal, journal_each_fn *each, void *arg)
{
    /* Each may write, which may move the history: first who, then the calls. */
    size_t count = 0, at = 0;
    for (struct action *a = journal->histories[ACCEPTED_ONES].newest; a != NULL; a = a->older)
        count += a->state != ACTION_FINISHED;
    struct action **left = count == 0 ? NULL : calloc(count, sizeof *left);
    if (left == NULL)
        return count == 0 ? 0 : -1;
    for (struct action *a = journal->histories[ACCEPTED_ONES].newest; a != NULL; a = a->older) {
        if (a->state != ACTION_FINISHED)
            left[at++] = action_ref(a);
    }
    while (at-- > 0) { /* the oldest first */
        each(arg, left[at]);
        action_unref(left[at]);
    }
    free(left);
    return 0;
}

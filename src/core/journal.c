/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal in memory. Actions stand in an array in the order of acceptance; the array slides
 * when the oldest finished ones are forgotten. A node's last NMI is remembered beyond that. */
#include "core/journal.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"

struct write {
    struct action *action; /* counted */
    enum action_state state;
};

struct journal {
    struct loop *loop;
    journal_done_fn *done;
    void *done_arg;

    struct action **actions; /* counted; actions[i]->serial == first_serial + i */
    size_t count, size, history;
    uint64_t first_serial;
    struct map *by_id, *by_key;
    struct map *last_by_uuid, *last_by_target; /* counted */

    struct write *writes; /* of this turn */
    size_t write_count, write_size;
};

static void complete_writes(void *arg)
{
    struct journal *journal = arg;
    if (journal->write_count == 0)
        return;
    /* What the done functions write belongs to the next turn. */
    struct write *writes = journal->writes;
    size_t count = journal->write_count;
    journal->writes = NULL;
    journal->write_count = journal->write_size = 0;
    for (size_t i = 0; i < count; i++) {
        if (journal->done != NULL)
            journal->done(journal->done_arg, writes[i].action, writes[i].state, true);
        action_unref(writes[i].action);
    }
    free(writes);
    loop_wake(journal->loop);
}

struct journal *journal_new(struct loop *loop, size_t history, struct fault *fault)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    journal->loop = loop;
    journal->history = history;
    journal->by_id = map_new();
    journal->by_key = map_new();
    journal->last_by_uuid = map_new();
    journal->last_by_target = map_new();
    if (journal->by_id == NULL || journal->by_key == NULL || journal->last_by_uuid == NULL ||
        journal->last_by_target == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        journal_free(journal);
        return NULL;
    }
    if (loop_before_wait(loop, complete_writes, journal, fault) < 0) {
        journal_free(journal);
        return NULL;
    }
    return journal;
}

static void free_last(struct map *map)
{
    size_t position = 0;
    for (struct action *action; map != NULL && (action = map_next(map, &position)) != NULL;)
        action_unref(action);
    map_free(map);
}

void journal_free(struct journal *journal)
{
    if (journal == NULL)
        return;
    for (size_t i = 0; i < journal->write_count; i++)
        action_unref(journal->writes[i].action);
    free(journal->writes);
    map_free(journal->by_id);
    map_free(journal->by_key);
    free_last(journal->last_by_uuid);
    free_last(journal->last_by_target);
    for (size_t i = 0; i < journal->count; i++)
        action_unref(journal->actions[i]);
    free(journal->actions);
    free(journal);
}

void journal_on_done(struct journal *journal, journal_done_fn *done, void *arg)
{
    journal->done = done;
    journal->done_arg = arg;
}

size_t journal_pending(const struct journal *journal)
{
    return journal->write_count;
}

/* Forgets the oldest finished actions beyond the history. One that is still under way at the
 * front holds back those behind it, so that the order stays true. A quarter more than the history
 * is let in before the array slides: amortised constant time. */
static void forget_old(struct journal *journal)
{
    if (journal->count <= journal->history + journal->history / 4 + 16)
        return;
    size_t gone = 0;
    while (journal->count - gone > journal->history &&
           journal->actions[gone]->durable == ACTION_FINISHED) {
        struct action *action = journal->actions[gone++];
        map_remove(journal->by_id, action->id);
        if (action->key_scope != NULL && map_get(journal->by_key, action->key_scope) == action)
            map_remove(journal->by_key, action->key_scope);
        action_unref(action);
    }
    journal->count -= gone;
    journal->first_serial += gone;
    memmove(journal->actions, journal->actions + gone, journal->count * sizeof *journal->actions);
}

static int remember(struct journal *journal, struct action *action)
{
    forget_old(journal);
    if (journal->count == journal->size) {
        size_t size = journal->size == 0 ? 64 : journal->size * 2;
        struct action **actions = reallocarray(journal->actions, size, sizeof *actions);
        if (actions == NULL)
            return -1;
        journal->actions = actions;
        journal->size = size;
    }
    if (map_put(journal->by_id, action->id, action) < 0)
        return -1;
    if (action->key_scope != NULL && map_put(journal->by_key, action->key_scope, action) < 0) {
        map_remove(journal->by_id, action->id);
        return -1;
    }
    action->serial = journal->first_serial + journal->count;
    journal->actions[journal->count++] = action_ref(action);
    return 0;
}

static int remember_last(struct map *map, const char *key, struct action *action)
{
    struct action *earlier = key == NULL ? NULL : map_get(map, key);
    if (key == NULL)
        return 0;
    if (map_put(map, key, action) < 0)
        return -1;
    action_ref(action);
    action_unref(earlier);
    return 0;
}

/* For the hold-off: by the node, and by both ways to name its BMC. */
static int remember_nmi(struct journal *journal, struct action *action)
{
    if (action->outcome != OUTCOME_DELIVERED && action->outcome != OUTCOME_UNKNOWN)
        return 0;
    return remember_last(journal->last_by_uuid, action->node->uuid, action) < 0 ||
                   remember_last(journal->last_by_target, action->node->target, action) < 0 ||
                   remember_last(journal->last_by_target, action->resolved, action) < 0
               ? -1
               : 0;
}

int journal_write(struct journal *journal, struct action *action, enum action_state state)
{
    if (journal->write_count == journal->write_size) {
        size_t size = journal->write_size == 0 ? 64 : journal->write_size * 2;
        struct write *writes = reallocarray(journal->writes, size, sizeof *writes);
        if (writes == NULL)
            return -1;
        journal->writes = writes;
        journal->write_size = size;
    }
    bool known = map_get(journal->by_id, action->id) != NULL;
    if (!known && remember(journal, action) < 0)
        return -1;
    if (state == ACTION_FINISHED && remember_nmi(journal, action) < 0)
        return -1; /* without it there is no hold-off: better no more actions */
    journal->writes[journal->write_count++] = (struct write){action_ref(action), state};
    loop_wake(journal->loop);
    return 0;
}

struct action *journal_find(struct journal *journal, const char *id)
{
    return map_get(journal->by_id, id);
}

struct action *journal_find_key(struct journal *journal, const char *key_scope)
{
    return map_get(journal->by_key, key_scope);
}

struct action *journal_last_target(struct journal *journal, const char *target)
{
    return map_get(journal->last_by_target, target);
}

struct action *journal_last_nmi(struct journal *journal, const struct node *node)
{
    struct action *a = map_get(journal->last_by_uuid, node->uuid);
    struct action *b = node->target == NULL ? NULL : map_get(journal->last_by_target, node->target);
    if (a == NULL || (b != NULL && b->finished_mono > a->finished_mono))
        return b;
    return a;
}

static bool query_matches(const struct journal_query *query, const struct action *action)
{
    if (query->node_uuid != NULL && strcmp(query->node_uuid, action->node->uuid) != 0)
        return false;
    return query->state == ACTION_NEW || query->state == action->state;
}

int journal_list(struct journal *journal, const struct journal_query *query, journal_each_fn *each,
                 void *arg)
{
    size_t i = journal->count;
    if (query->marker != NULL) {
        struct action *marker = map_get(journal->by_id, query->marker);
        if (marker == NULL)
            return -1;
        i = marker->serial - journal->first_serial;
    }
    size_t found = 0;
    while (i-- > 0 && found < query->limit) {
        if (query_matches(query, journal->actions[i])) {
            each(arg, journal->actions[i]);
            found++;
        }
    }
    return (int)found;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's memory: the history, newest first, and who had the last interrupt. Refusals (nodes
 * of a batch that got nothing) have a list and a limit of their own, so that they cannot push out
 * what was done, nor its Idempotency-Keys. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/journal_state.h"

#define DAY_US  INT64_C(86400000000)
#define LAST_US (8 * DAY_US) /* hold_off_s is at most seven days */

/* ---- The last interrupt ---- */

/* An action that is neither in the history nor anybody's last goes, and its key with it: a key must
 * outlive the hold-off that its action began. */
static void release(struct journal *journal, struct action *action)
{
    if (!action->in_history && action->last_of == 0 && action->serial != 0) {
        map_remove(journal->by_id, action->id);
        if (action->key_scope != NULL && map_get(journal->by_key, action->key_scope) == action)
            map_remove(journal->by_key, action->key_scope);
        struct op *op = journal_op(journal, OP_FORGET);
        if (op != NULL) /* without memory the row stays until the next start */
            op->serial = action->serial;
    }
    action_unref(action);
}

static int remember_last(struct journal *journal, struct map *map, const char *key,
                         struct action *action)
{
    struct action *earlier = key == NULL ? NULL : map_get(map, key);
    if (key == NULL || earlier == action)
        return 0;
    if (earlier != NULL && earlier->finish_serial > action->finish_serial)
        return 0; /* reading: they do not come in the order of their ends */
    if (map_put(map, key, action) < 0)
        return -1;
    action_ref(action)->last_of++;
    if (earlier != NULL) {
        earlier->last_of--;
        release(journal, earlier);
    }
    return 0;
}

int history_remember_nmi(struct journal *journal, struct action *action)
{
    if (action->outcome != OUTCOME_DELIVERED && action->outcome != OUTCOME_UNKNOWN)
        return 0;
    struct map *uuids = journal->last_by_uuid, *targets = journal->last_by_target;
    return remember_last(journal, uuids, action->node->uuid, action) < 0 ||
                   remember_last(journal, targets, action->node->target, action) < 0 ||
                   remember_last(journal, targets, action->resolved, action) < 0
               ? -1
               : 0;
}

/* Longer than any hold-off: nodes come and go. */
static bool is_past(const struct action *action, int64_t now)
{
    return !action->in_history && action->finished_mono < now - LAST_US;
}

static void forget_last(struct journal *journal, struct map *map, const char *key)
{
    struct action *action = key == NULL ? NULL : map_get(map, key);
    if (action == NULL || !is_past(action, clock_mono_us()))
        return;
    map_remove(map, key);
    action->last_of--;
    release(journal, action);
}

void history_forget_lasts(struct journal *journal)
{
    struct action *past[64];
    size_t count, position;
    do { /* a map must not change while it is walked */
        count = position = 0;
        for (struct action *action;
             count < 64 && (action = map_next(journal->last_by_uuid, &position)) != NULL;) {
            if (is_past(action, clock_mono_us()))
                past[count++] = action_ref(action);
        }
        for (size_t i = 0; i < count; i++) {
            forget_last(journal, journal->last_by_uuid, past[i]->node->uuid);
            forget_last(journal, journal->last_by_target, past[i]->node->target);
            forget_last(journal, journal->last_by_target, past[i]->resolved);
            action_unref(past[i]);
        }
    } while (count == 64);
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

/* ---- The history ---- */

static struct history *history_of(struct journal *journal, const struct action *action)
{
    return &journal->histories[action->refusal ? REFUSED_ONES : ACCEPTED_ONES];
}

/* Among its node's own. */
static int join_node(struct journal *journal, struct action *action)
{
    if (action->refusal)
        return 0;
    struct action *earlier = map_get(journal->newest_of, action->node->uuid);
    if (map_put(journal->newest_of, action->node->uuid, action) < 0)
        return -1;
    action->earlier = earlier;
    if (earlier != NULL)
        earlier->later = action;
    return 0;
}

/* As a rule the oldest of the history goes, which is its node's oldest too; the newest, when it could
 * not be accepted. */
static void leave_node(struct journal *journal, struct action *action)
{
    struct action *earlier = action->earlier, *later = action->later;
    if (action->refusal)
        return;
    if (earlier != NULL)
        earlier->later = later;
    if (later != NULL)
        later->earlier = earlier;
    else if (earlier != NULL)
        map_put(journal->newest_of, earlier->node->uuid, earlier); /* in its place: no memory */
    else
        map_remove(journal->newest_of, action->node->uuid);
    action->earlier = action->later = NULL;
}

int history_add(struct journal *journal, struct action *action)
{
    struct history *history = history_of(journal, action);
    if (map_put(journal->by_id, action->id, action) < 0)
        return -1;
    if (action->key_scope != NULL && map_put(journal->by_key, action->key_scope, action) < 0) {
        map_remove(journal->by_id, action->id);
        return -1;
    }
    if (join_node(journal, action) < 0) {
        map_remove(journal->by_id, action->id);
        if (action->key_scope != NULL)
            map_remove(journal->by_key, action->key_scope);
        return -1;
    }
    action_ref(action)->in_history = true;
    action->older = history->newest;
    action->newer = NULL;
    if (history->newest != NULL)
        history->newest->newer = action;
    else
        history->oldest = action;
    history->newest = action;
    history->count++;
    return 0;
}

void history_remove(struct journal *journal, struct action *action)
{
    struct history *history = history_of(journal, action);
    *(action->newer != NULL ? &action->newer->older : &history->newest) = action->older;
    *(action->older != NULL ? &action->older->newer : &history->oldest) = action->newer;
    history->count--;
    leave_node(journal, action);
    action->in_history = false;
    release(journal, action);
}

/* One that is still under way at the old end holds back those before it. Age is by the monotonic
 * clock: a machine that learns the year after its first actions has not had them for years. */
static void prune(struct journal *journal, struct history *history, size_t max)
{
    int64_t too_old = journal->history_days == 0
                          ? INT64_MIN
                          : clock_mono_us() - (int64_t)journal->history_days * DAY_US;
    struct action *oldest;
    while ((oldest = history->oldest) != NULL && oldest->durable == ACTION_FINISHED &&
           (history->count > max || oldest->finished_mono < too_old))
        history_remove(journal, oldest);
}

void history_prune(struct journal *journal)
{
    prune(journal, &journal->histories[ACCEPTED_ONES], journal->history_max);
    prune(journal, &journal->histories[REFUSED_ONES], journal->history_max / 4 + 1);
}

static void free_last(struct map *map)
{
    size_t position = 0;
    for (struct action *action; map != NULL && (action = map_next(map, &position)) != NULL;)
        action_unref(action);
    map_free(map);
}

void history_free(struct journal *journal)
{
    free_last(journal->last_by_uuid);
    free_last(journal->last_by_target);
    for (int i = 0; i < HISTORIES; i++) {
        struct action *older;
        for (struct action *action = journal->histories[i].newest; action != NULL; action = older) {
            older = action->older;
            action_unref(action);
        }
    }
    map_free(journal->by_id);
    map_free(journal->by_key);
    map_free(journal->newest_of);
}

/* ---- Questions ---- */

struct action *journal_find(struct journal *journal, const char *id)
{
    return map_get(journal->by_id, id);
}

struct action *journal_find_key(struct journal *journal, const char *key_scope)
{
    return map_get(journal->by_key, key_scope);
}

struct action *journal_newest(struct journal *journal, const char *node_uuid)
{
    return map_get(journal->newest_of, node_uuid);
}

static bool query_matches(const struct journal_query *query, const struct action *action)
{
    if (query->node_uuid != NULL && strcmp(query->node_uuid, action->node->uuid) != 0)
        return false;
    if (query->state != ACTION_NEW && query->state != action->state)
        return false;
    return query->match == NULL || query->match(query->match_arg, action);
}

int journal_list(struct journal *journal, const struct journal_query *query, journal_each_fn *each,
                 void *arg)
{
    struct action *at[HISTORIES];
    uint64_t before = UINT64_MAX;
    if (query->marker != NULL) {
        const struct action *marker = map_get(journal->by_id, query->marker);
        if (marker == NULL)
            return -1;
        before = marker->serial;
    }
    for (int i = 0; i < HISTORIES; i++) {
        at[i] = journal->histories[i].newest;
        while (at[i] != NULL && at[i]->serial >= before)
            at[i] = at[i]->older;
    }
    size_t found = 0;
    while (found < query->limit && (at[0] != NULL || at[1] != NULL)) {
        bool first = at[1] == NULL || (at[0] != NULL && at[0]->serial > at[1]->serial);
        struct action **newest = &at[first ? 0 : 1], *action = *newest;
        *newest = action->older;
        if (query_matches(query, action)) {
            each(arg, action);
            found++;
        }
    }
    return (int)found;
}

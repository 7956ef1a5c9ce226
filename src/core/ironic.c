/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who waits for what Ironic says, and what of it counts. An answer counts for cache_s from the
 * moment when it was asked for; and for the requests that waited for it, however long it took. */
#include "core/ironic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/ironic_state.h"

#define SECOND_US     INT64_C(1000000)
#define FAILURE_US    SECOND_US /* so long a failure is told again without asking again */
#define QUESTIONS_MAX 10000     /* under way and in the queue */


/* ---- Life ---- */

static void open_keystone(struct ironic *ironic)
{
    const struct conf_ironic *conf = &ironic->conf->ironic;
    struct fault fault = {0};
    if (conf->auth != AUTH_KEYSTONE)
        return;
    ironic->keystone = keystone_new(ironic->loop, ironic->client, &conf->keystone, &fault);
    if (ironic->keystone == NULL)
        log_error("Ironic: %s; it will not be asked", fault.message);
}

struct ironic *ironic_new(struct loop *loop, const struct conf *conf, struct fault *fault)
{
    struct ironic *ironic = calloc(1, sizeof *ironic);
    if (ironic == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    ironic->loop = loop;
    ironic->conf = conf;
    ironic->queue_end = &ironic->queue;
    ironic->due_end = &ironic->due;
    ironic->since = INT64_MAX;
    ironic->known = map_new();
    ironic->instances = map_new();
    ironic->questions = map_new();
    ironic->client = client_new(loop, fault);
    if (ironic->client == NULL || ironic->known == NULL || ironic->instances == NULL ||
        ironic->questions == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        ironic_free(ironic);
        return NULL;
    }
    open_keystone(ironic);
    return ironic;
}

static void wait_link(struct state_wait *wait, struct state_wait **link)
{
    wait->link = link;
    wait->next = *link;
    if (wait->next != NULL)
        wait->next->link = &wait->next;
    *link = wait;
}

static void wait_unlink(struct state_wait *wait)
{
    struct ironic *ironic = wait->ironic;
    *wait->link = wait->next;
    if (wait->next != NULL)
        wait->next->link = wait->link;
    else if (ironic->due_end == &wait->next)
        ironic->due_end = wait->link;
}

static void wait_free(struct state_wait *wait)
{
    for (size_t i = 0; i < WAIT_QUESTIONS; i++) {
        waiter_unlink(&wait->waiters[i]);
        if (wait->waiters[i].kept != NULL)
            wait->waiters[i].kept->kept--;
    }
    wait_unlink(wait);
    free(wait);
}

void ironic_free(struct ironic *ironic)
{
    if (ironic == NULL)
        return;
    while (ironic->waits != NULL)
        wait_free(ironic->waits);
    while (ironic->due != NULL)
        wait_free(ironic->due);
    while (ironic->told != NULL)
        wait_free(ironic->told);
    while (ironic->all != NULL)
        question_free(ironic->all);
    keystone_free(ironic->keystone);
    client_free(ironic->client);
    known_clear(ironic);
    map_free(ironic->questions);
    free(ironic);
}

static void make_due(struct state_wait *wait)
{
    struct ironic *ironic = wait->ironic;
    wait_unlink(wait);
    wait->next = NULL;
    wait->link = ironic->due_end;
    *ironic->due_end = wait;
    ironic->due_end = &wait->next;
    loop_wake(ironic->loop);
}

void wait_answered(struct state_wait *wait)
{
    if (--wait->pending == 0)
        make_due(wait);
}

/* Nothing that was asked of the old Ironic, or of the new one by the old token, may be taken for an
 * answer. */
void ironic_configure(struct ironic *ironic, const struct conf *conf)
{
    for (struct question *question = ironic->all; question != NULL; question = question->next)
        question_reset(question);
    keystone_free(ironic->keystone);
    ironic->keystone = NULL;
    for (struct state_wait *wait = ironic->told; wait != NULL; wait = wait->next)
        wait->told_at = IRONIC_NEVER;
    known_clear(ironic);
    ironic->known = map_new();
    ironic->instances = map_new();
    ironic->failing = false;
    bool usable = conf->state_source_ironic && ironic->known != NULL && ironic->instances != NULL;
    ironic->conf = usable ? conf : NULL;
    if (!usable) {
        while (ironic->waits != NULL)
            make_due(ironic->waits);
        return;
    }
    open_keystone(ironic);
    for (struct question *question = ironic->all; question != NULL; question = question->next) {
        if (question->waiters != NULL)
            question_put(question);
    }
}

/* ---- What counts ---- */

int64_t ironic_horizon(const struct ironic *ironic, int64_t now)
{
    return now - ironic->conf->ironic.cache_s * SECOND_US;
}

/* The horizon of what is read in this turn. */
static int64_t reading_horizon(const struct ironic *ironic)
{
    int64_t horizon = ironic_horizon(ironic, clock_mono_us());
    return ironic->since < horizon ? ironic->since : horizon;
}

static bool has_answered(const struct question *question, int64_t horizon)
{
    return question != NULL && question->answered_at >= horizon;
}

static bool has_failed(const struct question *question, int64_t horizon)
{
    return question != NULL && question->failed_at >= horizon &&
           question->failed_at >= question->answered_at;
}

static enum ironic_answer unanswered(const struct ironic *ironic, const struct question *question)
{
    int64_t horizon = clock_mono_us() - FAILURE_US;
    if (ironic->since < horizon)
        horizon = ironic->since;
    return has_failed(question, horizon) || has_failed(question_find(ironic, ASK_ALL, ""), horizon)
               ? IRONIC_FAILED
               : IRONIC_STALE;
}

enum ironic_answer ironic_node(const struct ironic *ironic, const char *uuid,
                               const struct ironic_node **ret_node)
{
    if (ironic->conf == NULL)
        return IRONIC_STALE;
    const struct known *known = map_get(ironic->known, uuid);
    if (known == NULL || known->asked_at < reading_horizon(ironic))
        return unanswered(ironic, question_find(ironic, ASK_NODE, uuid));
    *ret_node = &known->node;
    return known->found ? IRONIC_KNOWN : IRONIC_ABSENT;
}

/* The UUID by which an ident that is no configured node's is asked for. In place of a name one that
 * no instance has, so that an absent node and another project's take the same way, and get the same
 * answer while Ironic is down; each name its own (FNV-1a), for else the second absent name would be
 * answered at once, and how long another name takes would tell that there is such a node. */
static void instance_of(const char *ident, char uuid[UUID_TEXT])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (uuid_valid(ident)) {
        uuid_copy(uuid, ident);
        return;
    }
    for (; *ident != '\0'; ident++)
        hash = (hash ^ (unsigned char)*ident) * UINT64_C(0x100000001b3);
    snprintf(uuid, UUID_TEXT, "00000000-0000-0000-%04x-%012" PRIx64, (unsigned)(hash >> 48),
             hash & UINT64_C(0xffffffffffff));
}

enum ironic_answer ironic_instance(const struct ironic *ironic, const char *ident,
                                   const char **ret_uuid)
{
    char uuid[UUID_TEXT];
    if (ironic->conf == NULL)
        return IRONIC_STALE;
    instance_of(ident, uuid);
    int64_t horizon = reading_horizon(ironic);
    const struct known *known = map_get(ironic->instances, uuid);
    const struct question *question = question_find(ironic, ASK_INSTANCE, uuid);
    if (known != NULL && known->asked_at >= horizon) {
        *ret_uuid = known->node.uuid;
        return IRONIC_KNOWN;
    }
    if (has_answered(question, horizon) ||
        has_answered(question_find(ironic, ASK_ALL, ""), horizon))
        return IRONIC_ABSENT;
    return unanswered(ironic, question);
}

/* ---- Asking ---- */

/* What a refresh has to ask for. */
struct needs {
    struct question *questions[WAIT_QUESTIONS];
    size_t count;
    bool all, memory; /* too many for one by one; out of memory */
};

static void need(struct ironic *ironic, struct needs *needs, enum question_kind kind,
                 const char *uuid)
{
    struct question *question = question_get(ironic, kind, uuid);
    if (question == NULL)
        needs->memory = true;
    if (question == NULL || has_failed(question, clock_mono_us() - FAILURE_US))
        return;
    for (size_t i = 0; i < needs->count; i++) {
        if (needs->questions[i] == question)
            return;
    }
    if (needs->count == WAIT_QUESTIONS)
        needs->all = true;
    else
        needs->questions[needs->count++] = question;
}

static void need_ident(struct ironic *ironic, struct needs *needs, const char *ident,
                       int64_t horizon)
{
    char uuid[UUID_TEXT];
    const struct node *node = known_configured(ironic->conf, ident);
    if (node != NULL) {
        const struct known *known = map_get(ironic->known, node->uuid);
        if (known == NULL || known->asked_at < horizon)
            need(ironic, needs, ASK_NODE, node->uuid);
        return;
    }
    instance_of(ident, uuid);
    const struct known *known = map_get(ironic->instances, uuid);
    if ((known == NULL || known->asked_at < horizon) &&
        !has_answered(question_find(ironic, ASK_INSTANCE, uuid), horizon) &&
        !has_answered(question_find(ironic, ASK_ALL, ""), horizon))
        need(ironic, needs, ASK_INSTANCE, uuid);
}

/* A few nodes are asked for one by one: Ironic may have thousands that nmid has not. */
static void collect(struct ironic *ironic, const char *const *idents, size_t count, int64_t horizon,
                    struct needs *needs)
{
    const struct node_table *table = ironic->conf->nodes;
    size_t nodes = count > 0 ? count : node_table_count(table);
    for (size_t i = 0; i < nodes && !needs->all; i++)
        need_ident(ironic, needs, count > 0 ? idents[i] : node_table_at(table, i)->uuid, horizon);
    if (!needs->all)
        return;
    needs->count = 0;
    if (!has_answered(question_find(ironic, ASK_ALL, ""), horizon))
        need(ironic, needs, ASK_ALL, "");
}

static struct state_wait *wait_new(struct ironic *ironic, int64_t since, loop_fn *done, void *arg)
{
    struct state_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL)
        return NULL;
    wait->ironic = ironic;
    wait->since = since;
    wait->done = done;
    wait->arg = arg;
    wait_link(wait, &ironic->waits);
    return wait;
}

/* Puts the questions; those that fail at once are not waited for. */
static void wait_begin(struct state_wait *wait, const struct needs *needs)
{
    for (size_t i = 0; i < needs->count; i++) {
        struct question *question = needs->questions[i];
        question_put(question);
        if (question->phase == QUESTION_IDLE)
            continue;
        struct waiter *waiter = &wait->waiters[i];
        waiter->wait = wait;
        wait->pending++;
        question_watch(question, waiter,
                       question->phase == QUESTION_ASKING && question->asked_at < wait->since);
    }
}

int ironic_refresh(struct ironic *ironic, const char *const *idents, size_t count, loop_fn *done,
                   void *arg, struct state_wait **ret_wait, struct fault *fault)
{
    struct needs needs = {.count = 0};
    if (ironic->conf == NULL)
        return 0;
    int64_t horizon = ironic_horizon(ironic, clock_mono_us());
    questions_trim(ironic);
    collect(ironic, idents, count, horizon, &needs);
    if (ironic->queued + ironic->asking + needs.count > QUESTIONS_MAX)
        return fault_set(fault, FAULT_OVERLOADED, "too many questions wait for Ironic");
    struct state_wait *wait = needs.count == 0 ? NULL : wait_new(ironic, horizon, done, arg);
    if (needs.memory || (needs.count > 0 && wait == NULL)) {
        ironic_cancel(wait);
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    }
    if (wait != NULL)
        wait_begin(wait, &needs);
    if (wait == NULL || wait->pending == 0) {
        /* It counts until the end of the turn: not even a moment after it was found good may it be
         * too old. */
        if (horizon < ironic->since)
            ironic->since = horizon;
        ironic_cancel(wait);
        return 0;
    }
    *ret_wait = wait;
    return 1;
}

void ironic_cancel(struct state_wait *wait)
{
    if (wait != NULL)
        wait_free(wait);
}

bool ironic_lost(const struct state_wait *wait, int64_t most_us)
{
    return wait->told_at == IRONIC_NEVER || clock_mono_us() - wait->told_at > most_us;
}

/* Not beyond fn(): what is old counts only for who waited for it. */
void ironic_use(struct state_wait *wait, loop_fn *fn, void *arg)
{
    struct ironic *ironic = wait->ironic;
    int64_t outer = ironic->since;
    if (wait->since < outer)
        ironic->since = wait->since;
    wait_free(wait);
    fn(arg);
    ironic->since = outer;
}

void ironic_turn(struct ironic *ironic)
{
    if (ironic == NULL)
        return;
    ironic->since = INT64_MAX;
    while (ironic->due != NULL) {
        struct state_wait *wait = ironic->due;
        wait_unlink(wait);
        wait_link(wait, &ironic->told);
        wait->told_at = clock_mono_us();
        wait->done(wait->arg);
    }
    ironic->since = INT64_MAX;
}

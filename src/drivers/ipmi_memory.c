/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_memory.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/map.h"

#define ROUND_TRIP_MAX 2000000
#define REFUSALS_MAX   16 /* of one BMC: credentials of so many kinds */

/* Credentials that a BMC has refused. The node keeps them alive; no copy is made. */
struct refusal {
    struct node *node; /* counted */
    enum fault_code code;
    int64_t at;
    struct refusal *next; /* the earlier ones */
};

struct refuser {
    char *address;
    struct refusal *refusals; /* the newest first */
};

struct ipmi_memory {
    struct map *known;    /* struct ipmi_known by a node's target */
    struct map *refusers; /* struct refuser by numeric address */
};

struct ipmi_memory *ipmi_memory_new(void)
{
    struct ipmi_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->known = map_new();
    memory->refusers = memory->known == NULL ? NULL : map_new();
    if (memory->refusers != NULL)
        return memory;
    if (memory->known != NULL)
        map_free(memory->known);
    free(memory);
    return NULL;
}

/* Takes *link out of its list. */
static void drop_refusal(struct refusal **link)
{
    struct refusal *refusal = *link;
    *link = refusal->next;
    node_unref(refusal->node);
    free(refusal);
}

void ipmi_memory_free(struct ipmi_memory *memory)
{
    size_t position = 0;
    if (memory == NULL)
        return;
    for (struct ipmi_known *k; (k = map_next(memory->known, &position)) != NULL; free(k))
        free(k->target);
    position = 0;
    for (struct refuser *r; (r = map_next(memory->refusers, &position)) != NULL; free(r)) {
        while (r->refusals != NULL)
            drop_refusal(&r->refusals);
        free(r->address);
    }
    map_free(memory->known);
    map_free(memory->refusers);
    free(memory);
}

void ipmi_memory_clear(struct ipmi_memory *memory)
{
    size_t position = 0;
    for (struct ipmi_known *known; (known = map_next(memory->known, &position)) != NULL;) {
        known->suite = 0;
        known->has_2_0 = known->no_sel = false;
        known->round_trip = 0;
    }
}

const struct ipmi_known *ipmi_memory_find(const struct ipmi_memory *memory, const char *target)
{
    return map_get(memory->known, target);
}

static struct ipmi_known *find_or_make(struct ipmi_memory *memory, const char *target)
{
    struct ipmi_known *known = map_get(memory->known, target);
    if (known != NULL)
        return known;
    known = calloc(1, sizeof *known);
    if (known == NULL || (known->target = strdup(target)) == NULL ||
        map_put(memory->known, known->target, known) < 0) {
        if (known != NULL)
            free(known->target);
        free(known);
        return NULL;
    }
    return known;
}

void ipmi_memory_keep(struct ipmi_memory *memory, const char *target,
                      const struct ipmi_session *session, int64_t now)
{
    struct ipmi_known *known = find_or_make(memory, target);
    if (known == NULL)
        return;
    known->ended_at = now;
    known->no_sel = known->no_sel || session->sel.absent;
    if (!session->open)
        return;
    known->suite = session->channel.suite;
    known->has_2_0 = !session->channel.ipmi_1_5;
    known->round_trip = session->round_trip < ROUND_TRIP_MAX ? session->round_trip : ROUND_TRIP_MAX;
}

/* ---- The circuit breaker ---- */

static bool same_secret(const struct secret *a, const struct secret *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return secret_equal(a->bytes, a->len, b->bytes, b->len);
}

/* All that decides on a log-in; in a time that does not tell what differs. */
static bool same_credentials(const struct ipmi_info *a, const struct ipmi_info *b)
{
    bool user = secret_equal(a->username, strlen(a->username), b->username, strlen(b->username));
    bool password = same_secret(a->password, b->password), k_g = same_secret(a->k_g, b->k_g);
    bool way = a->ipmi_1_5 == b->ipmi_1_5 && a->plain_password == b->plain_password &&
               a->workarounds == b->workarounds && a->suite_count == b->suite_count &&
               memcmp(a->suites, b->suites, a->suite_count * sizeof a->suites[0]) == 0;
    return user & password & k_g & way;
}

/* The place of these credentials in the list, or of its end. */
static struct refusal **find_refusal(struct refuser *refuser, const struct node *node)
{
    struct refusal **link = &refuser->refusals;
    while (*link != NULL && !same_credentials((*link)->node->driver_info, node->driver_info))
        link = &(*link)->next;
    return link;
}

static const char *say_refusal(enum fault_code code)
{
    return code == FAULT_USER ? "it knows no such user"
           : code == FAULT_KG ? "it has another K_g"
                              : "the password is wrong";
}

int ipmi_memory_check(const struct ipmi_memory *memory, const char *address,
                      const struct node *node, int64_t pause_us, int64_t now, struct fault *fault)
{
    char again[CLOCK_TEXT_MAX];
    struct refuser *refuser = map_get(memory->refusers, address);
    const struct refusal *refusal = refuser == NULL ? NULL : *find_refusal(refuser, node);
    if (refusal == NULL || now - refusal->at >= pause_us)
        return 0;
    int64_t left = refusal->at + pause_us - now;
    return fault_set(fault, refusal->code,
                     "the BMC at %s refused the same credentials %lld s ago (%s); so that it locks "
                     "no account it is not asked again with them for %lld s, until %s "
                     "(ipmi.auth_pause_s), unless they are changed; nothing was sent",
                     address, (long long)((now - refusal->at) / 1000000),
                     say_refusal(refusal->code), (long long)((left + 999999) / 1000000),
                     clock_text(clock_wall_us() + left, again));
}

static struct refuser *find_or_make_refuser(struct ipmi_memory *memory, const char *address)
{
    struct refuser *refuser = map_get(memory->refusers, address);
    if (refuser != NULL)
        return refuser;
    refuser = calloc(1, sizeof *refuser);
    if (refuser == NULL || (refuser->address = strdup(address)) == NULL ||
        map_put(memory->refusers, refuser->address, refuser) < 0) {
        if (refuser != NULL)
            free(refuser->address);
        free(refuser);
        return NULL;
    }
    return refuser;
}

static void add_refusal(struct refuser *refuser, struct node *node, enum fault_code code,
                        int64_t now)
{
    struct refusal *refusal = calloc(1, sizeof *refusal), **link = &refuser->refusals;
    if (refusal == NULL)
        return;
    *refusal = (struct refusal){node_ref(node), code, now, refuser->refusals};
    refuser->refusals = refusal;
    for (int i = 0; i < REFUSALS_MAX && *link != NULL; i++)
        link = &(*link)->next;
    while (*link != NULL)
        drop_refusal(link);
}

void ipmi_memory_judge(struct ipmi_memory *memory, const char *address, struct node *node,
                       const struct ipmi_session *session, int64_t now)
{
    enum fault_code code = session->fail_code;
    bool refused = code == FAULT_PASSWORD || code == FAULT_USER || code == FAULT_KG;
    if (!refused && !session->opened)
        return; /* it says nothing of them */
    struct refuser *refuser =
        refused ? find_or_make_refuser(memory, address) : map_get(memory->refusers, address);
    if (refuser == NULL)
        return;
    struct refusal **link = find_refusal(refuser, node);
    if (*link != NULL)
        drop_refusal(link);
    if (refused)
        add_refusal(refuser, node, code, now);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sessions of one BMC and their sequence window (IPMI 2.0, 6.12.8 to 6.12.13).
 *
 * A session that is not active yet holds a slot only while no one needs it: the oldest one makes
 * room, as the specification suggests for pending challenges. count_half_open=on makes a BMC that
 * lets half-open sessions lock everyone out until they expire. */
#include <stdlib.h>
#include "sim.h"

#define WINDOW_AHEAD_15 8
#define WINDOW_AHEAD_20 15
#define WINDOW_BEHIND   16
#define CHALLENGES      8 /* a challenge is no session: the limit shows in Activate Session */

void session_free(struct bmc *bmc, struct session *session)
{
    for (struct session **p = &bmc->sessions; *p; p = &(*p)->next)
        if (*p == session) {
            *p = session->next;
            free(session);
            return;
        }
}

void sessions_free(struct bmc *bmc)
{
    while (bmc->sessions)
        session_free(bmc, bmc->sessions);
}

static void sessions_expire(struct bmc *bmc)
{
    struct session *next;

    for (struct session *s = bmc->sessions; s; s = next) {
        next = s->next;
        if (sim.now_us - s->used_us > (int64_t)bmc->settings.idle_s * 1000000)
            session_free(bmc, s);
    }
}

unsigned sessions_active(struct bmc *bmc)
{
    unsigned n = 0;

    sessions_expire(bmc);
    for (const struct session *s = bmc->sessions; s; s = s->next)
        n += s->state == STATE_ACTIVE || s->state == STATE_CLOSING;
    return n;
}

struct session *session_new(struct bmc *bmc, bool plus)
{
    struct session *oldest = NULL, *session;
    int32_t n = 0;

    sessions_expire(bmc);
    for (struct session *s = bmc->sessions; s; s = s->next) {
        n++;
        if (s->state < STATE_ACTIVE && (!oldest || s->used_us <= oldest->used_us))
            oldest = s;
    }
    if (n >= bmc->settings.session_limit + (plus ? 0 : CHALLENGES)) {
        if (!oldest || bmc->settings.count_half_open)
            return NULL;
        session_free(bmc, oldest);
    }
    session = calloc(1, sizeof(*session));
    if (!session)
        abort();
    do
        random_bytes(&session->id, sizeof(session->id));
    while (session->id == 0 || session_find(bmc, session->id));
    session->plus = plus;
    session->used_us = sim.now_us;
    session->next = bmc->sessions;
    bmc->sessions = session;
    return session;
}

struct session *session_find(struct bmc *bmc, uint32_t id)
{
    for (struct session *s = bmc->sessions; s; s = s->next)
        if (s->id == id && sim.now_us - s->used_us <= (int64_t)bmc->settings.idle_s * 1000000)
            return s;
    return NULL;
}

bool session_seq_fits(const struct bmc *bmc, const struct session *session, uint32_t seq)
{
    uint32_t ahead = seq - session->seq_highest, behind = session->seq_highest - seq;

    if (seq == 0)
        return false;
    if (ahead != 0 && ahead <= (session->plus ? WINDOW_AHEAD_20 : WINDOW_AHEAD_15))
        return true;
    if (behind > WINDOW_BEHIND)
        return false;
    return bmc->settings.duplicate_executes || !(session->seq_seen & (1U << behind));
}

void session_seq_take(struct session *session, uint32_t seq)
{
    uint32_t ahead = seq - session->seq_highest;

    if (ahead != 0 && ahead < 32) {
        session->seq_seen = session->seq_seen << ahead | 1;
        session->seq_highest = seq;
    } else {
        session->seq_seen |= 1U << ((session->seq_highest - seq) & 31);
    }
}

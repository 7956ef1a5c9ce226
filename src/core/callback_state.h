/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What callback.c and callback_send.c share. */
#ifndef NMID_CORE_CALLBACK_STATE_H
#define NMID_CORE_CALLBACK_STATE_H

#include "base/map.h"
#include "core/callback.h"
#include "core/journal_more.h"
#include "loop/client.h"

#define CALLBACK_SECOND ((int64_t)1000000)
#define CALLBACK_DAY    (86400 * CALLBACK_SECOND)

/* One body for one URL. Times are clock_mono_us(): the wall clock is asked only for what goes to
 * the journal, and when the outbox is read. */
struct post {
    struct callbacks *callbacks;
    struct origin *origin;
    struct post *older, *newer;
    uint64_t serial; /* the journal's; 0: it could not be told */
    uint64_t order;  /* of the adding */
    char action_id[ACTION_ID_TEXT];
    char *url, *body;
    int64_t due, give_up;
    unsigned tries;
    size_t slot; /* in its origin's heap, while no try is under way */
    struct client_call *call;
};

/* "https://host:port": what is slow or dead together. */
struct origin {
    struct origin *next, **link;
    char *name;
    struct post **heap; /* by due, then order */
    size_t count, room;
    unsigned active;
    unsigned failures;   /* in a row, of the receiver as a whole */
    int64_t pause_until; /* after a failure: no try before */
    int64_t warned_at;
    unsigned unwarned; /* failures since, that were not logged */
    bool warned;
};

struct callbacks {
    struct journal *journal;
    const struct conf_callback *conf;
    struct client *client;
    struct loop_timer *timer;
    struct map *by_name;                   /* origins */
    struct map *held; /* by action: posts of outcomes that are not told yet, linked by `newer` */
    struct origin *origins, **origins_end; /* the one that started a try longest ago first */
    struct post *oldest, *newest;
    size_t count;
    uint64_t order;
    unsigned active;
    int64_t drop_warned_at;
    unsigned dropped; /* since */
};

/* callback_send.c: puts a post with url, body and times into its origin's queue; -1 when memory is
 * out (the post stays the caller's). */
int post_queue(struct callbacks *callbacks, struct post *post);
/* Out of its queue or its try, out of the list, freed. */
void post_free(struct post *post);
/* Starts what is due and may be started, and sets the timer for the rest. */
void callbacks_pump(struct callbacks *callbacks);

/* callback.c: is this URL the configured one, or (still) allowed? */
bool callbacks_permit(const struct callbacks *callbacks, const char *url);

#endif

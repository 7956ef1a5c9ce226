/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What callback.c, callback_send.c and callback_ironic.c share. */
#ifndef NMID_CORE_CALLBACK_STATE_H
#define NMID_CORE_CALLBACK_STATE_H

#include "base/map.h"
#include "core/callback.h"
#include "core/journal_more.h"
#include "core/keystone.h"
#include "loop/client.h"

#define CALLBACK_SECOND ((int64_t)1000000)
#define CALLBACK_DAY    (86400 * CALLBACK_SECOND)
#define POST_NOT_QUEUED SIZE_MAX

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
    bool trying;
    struct client_call *call; /* of the try, unless it waits for a token */
    /* Of those for Ironic. */
    bool for_ironic;
    bool again;   /* it was taken, and is sent once more */
    bool retried; /* this try, with another token */
    struct secret *token;
    struct keystone_wait *token_wait;
    struct post *follower, *leader; /* the newer one of the same node, which waits for this try */
};

/* How a try ended. */
enum post_end {
    POST_TAKEN,
    POST_AGAIN,     /* something about this one post */
    POST_BUSY,      /* the same, and nothing unusual */
    POST_UNREACHED, /* something about the receiver: its other posts wait too */
    POST_REFUSED    /* it will never be taken */
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
    struct map *by_name;       /* origins */
    struct map *by_node;       /* what is for Ironic, and no follower */
    struct keystone *keystone; /* nmid's log-in for Ironic; or NULL */
    int64_t unanswered_at;     /* the last try at Ironic without an answer; or 0 */
    struct loop *loop;
    bool pumping;
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
/* Back into its origin's queue, where it has kept its place, or left it to a follower. */
void post_put_back(struct post *post);
/* Out of its queue or its try, out of the list, freed. */
void post_free(struct post *post);
/* The same, and out of the outbox. */
void post_done(struct post *post);
/* Its try has ended, with this status (0: there was no answer, and why says it); it may be freed.
 */
void post_tried(struct post *post, enum post_end end, unsigned status, const char *why);
/* Starts what is due and may be started, and sets the timer for the rest. */
void callbacks_pump(struct callbacks *callbacks);

/* callback_ironic.c. What stands in the outbox for Ironic is no URL that anybody could give, and
 * says nothing of where Ironic is or how it is asked: "ironic:UUID", of the node. */
#define IRONIC_POST      "ironic:"
#define IRONIC_POST_TEXT (sizeof IRONIC_POST + UUID_TEXT)
bool ironic_post_is(const char *url);
char *ironic_post_body(const struct action *action); /* NULL when memory is out */
/* As post_queue(): it takes the place of an older one of its node. */
int ironic_post_queue(struct callbacks *callbacks, struct post *post);
void ironic_post_leave(struct post *post); /* it is about to be freed */
/* It was taken: false when it is to be sent once more, and has been put back for that. */
bool ironic_post_taken(struct post *post);
void ironic_post_try(struct post *post); /* ends in post_tried(), perhaps before it returns */
void ironic_post_configure(struct callbacks *callbacks);

/* callback.c: is this URL the configured one, or (still) allowed? */
bool callbacks_permit(const struct callbacks *callbacks, const char *url);

#endif

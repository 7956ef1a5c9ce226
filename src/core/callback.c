/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to be posted, and where to. A post is written with the outcome, in one transaction, and
 * sent when that is told to others too: when it is on disk, or cannot be put there in time. */
#include "core/callback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/url.h"
#include "core/callback_state.h"

#define POSTS_MAX    100000
#define DELAY_MAX    (300 * CALLBACK_SECOND) /* between two tries, as in callback_send.c */
#define DROP_WARN_US (10 * CALLBACK_SECOND)

/* ---- Which URLs ---- */

static bool is_allowed(const struct callbacks *callbacks, const struct url *url)
{
    const struct conf_callback *conf = callbacks->conf;
    for (size_t i = 0; i < conf->allow_count; i++) {
        struct url prefix;
        if (url_parse(conf->allow[i], &prefix, NULL) == 0 && url_below(url, &prefix))
            return true;
    }
    return false;
}

int callbacks_check_url(const struct callbacks *callbacks, const char *url, struct fault *fault)
{
    struct url parsed;
    struct fault what = {0};
    if (url_parse(url, &parsed, &what) < 0)
        return fault_set(fault, FAULT_MALFORMED, "\"callback_url\" is no URL to post to: %s.",
                         what.message);
    if (callbacks == NULL || callbacks->conf->allow_count == 0)
        return fault_set(fault, FAULT_FORBIDDEN,
                         "\"callback_url\": no URL is allowed here (callback.allow in nmid.conf is "
                         "empty).");
    if (!is_allowed(callbacks, &parsed))
        return fault_set(fault, FAULT_FORBIDDEN,
                         "\"callback_url\" is below none of the prefixes that are allowed here "
                         "(callback.allow in nmid.conf).");
    return 0;
}

bool callbacks_permit(const struct callbacks *callbacks, const char *url)
{
    struct url parsed;
    if (ironic_post_is(url))
        return callbacks->conf->ironic != NULL;
    if (callbacks->conf->url != NULL && strcmp(callbacks->conf->url, url) == 0)
        return true;
    return url_parse(url, &parsed, NULL) == 0 && is_allowed(callbacks, &parsed);
}

/* ---- Posts ---- */

/* The outbox has a limit; what goes is what had the most time to be taken. */
static void drop_oldest(struct callbacks *callbacks)
{
    struct post *post = callbacks->oldest;
    int64_t now = clock_mono_us();
    callbacks->dropped++;
    if (callbacks->dropped == 1 || now - callbacks->drop_warned_at >= DROP_WARN_US) {
        log_error("callback: more than %d posts wait: the oldest go, %u so far, now that of %s",
                  POSTS_MAX, callbacks->dropped, post->action_id);
        callbacks->drop_warned_at = now;
    }
    if (post->serial != 0)
        journal_post_remove(callbacks->journal, post->serial);
    post_free(post);
}

static void drop_excess(struct callbacks *callbacks)
{
    while (callbacks->count > POSTS_MAX)
        drop_oldest(callbacks);
}

static struct post *post_new(struct callbacks *callbacks, const char *action_id, const char *url,
                             const char *body)
{
    struct post *post = calloc(1, sizeof *post);
    if (post == NULL)
        return NULL;
    post->callbacks = callbacks;
    post->for_ironic = ironic_post_is(url);
    post->slot = POST_NOT_QUEUED;
    memcpy(post->action_id, action_id, sizeof post->action_id);
    post->url = strdup(url);
    post->body = strdup(body);
    if (post->url != NULL && post->body != NULL)
        return post;
    free(post->url);
    free(post->body);
    free(post);
    return NULL;
}

/* The list of all, and the queue of one origin. */
static int post_keep(struct callbacks *callbacks, struct post *post)
{
    post->order = ++callbacks->order;
    int result =
        post->for_ironic ? ironic_post_queue(callbacks, post) : post_queue(callbacks, post);
    if (result < 0) {
        free(post->url);
        free(post->body);
        free(post);
        return -1;
    }
    post->older = callbacks->newest;
    if (post->older != NULL)
        post->older->newer = post;
    else
        callbacks->oldest = post;
    callbacks->newest = post;
    callbacks->count++;
    return 0;
}

static void drop_held(struct post *post)
{
    for (struct post *next; post != NULL; post = next) {
        next = post->newer;
        free(post->url);
        free(post->body);
        free(post);
    }
}

/* Into the journal, and held until the outcome is told. */
static void add(struct callbacks *callbacks, const struct action *action, const char *url,
                char *body)
{
    if (body == NULL) {
        log_error("callback: %s is not posted: out of memory", action->id);
        return;
    }
    int64_t wall = clock_wall_us();
    struct journal_post record = {.url = (char *)url, .body = body, .since = wall, .next_at = wall};
    struct post *post = post_new(callbacks, action->id, url, body);
    memcpy(record.action_id, action->id, sizeof record.action_id);
    uint64_t serial = 0;
    /* Without a record it is posted all the same, but would not outlive the daemon. */
    if (journal_post_add(callbacks->journal, &record, &serial) < 0)
        log_error("callback: the post of %s cannot be recorded: out of memory", action->id);
    if (post != NULL) {
        post->serial = serial;
        post->give_up = clock_mono_us() + CALLBACK_DAY;
    }
    struct post *last = map_get(callbacks->held, action->id);
    while (last != NULL && last->newer != NULL) /* there are three at most */
        last = last->newer;
    if (post != NULL && last != NULL) {
        last->newer = post;
    } else if (post == NULL || map_put(callbacks->held, post->action_id, post) < 0) {
        drop_held(post);
        log_error("callback: %s is not posted before a restart: out of memory", action->id);
    }
}

static void add_for_ironic(struct callbacks *callbacks, const struct action *action)
{
    char url[IRONIC_POST_TEXT];
    /* A refusal is none of the node's interrupts: it must not hide the last one. */
    if (callbacks->conf->ironic == NULL || action->refusal)
        return;
    char *body = ironic_post_body(action);
    snprintf(url, sizeof url, "%s%s", IRONIC_POST, action->node->uuid);
    add(callbacks, action, url, body);
    free(body);
}

static void add_for_receivers(struct callbacks *callbacks, const struct action *action)
{
    struct url own = {.text = ""};
    const char *configured = callbacks->conf->url;
    bool has_own = action->callback_url != NULL &&
                   url_parse(action->callback_url, &own, NULL) == 0 &&
                   (configured == NULL || strcmp(configured, own.text) != 0);
    if (configured == NULL && !has_own)
        return;
    json_t *json = action_json_finished(action);
    char *body = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (configured != NULL)
        add(callbacks, action, configured, body);
    if (has_own)
        add(callbacks, action, own.text, body);
    free(body);
}

void callbacks_finished(struct callbacks *callbacks, const struct action *action)
{
    if (callbacks == NULL)
        return;
    add_for_receivers(callbacks, action);
    add_for_ironic(callbacks, action);
}

void callbacks_told(struct callbacks *callbacks, const struct action *action)
{
    struct post *post = callbacks == NULL ? NULL : map_remove(callbacks->held, action->id);
    if (post == NULL)
        return;
    for (struct post *next; post != NULL; post = next) {
        next = post->newer;
        post->newer = NULL;
        post->due = clock_mono_us();
        if (post_keep(callbacks, post) < 0)
            log_error("callback: %s is not posted before a restart: out of memory", action->id);
    }
    drop_excess(callbacks);
    callbacks_pump(callbacks);
}

/* ---- What an earlier daemon left ---- */

/* From a time of the wall clock to one from now; a clock that was set makes it neither negative nor
 * longer than max. */
static int64_t span(int64_t us, int64_t max)
{
    return us < 0 ? 0 : us > max ? max : us;
}

static void on_left(void *arg, const struct journal_post *record)
{
    struct callbacks *callbacks = arg;
    int64_t now = clock_mono_us(), wall = clock_wall_us();
    struct post *post = post_new(callbacks, record->action_id, record->url, record->body);
    if (post != NULL) {
        if (post->for_ironic)
            callbacks->unanswered_at = now; /* a try may have been under way */
        post->serial = record->serial;
        post->tries = record->tries;
        post->due = now + span(record->next_at - wall, DELAY_MAX);
        post->give_up = now + CALLBACK_DAY - span(wall - record->since, CALLBACK_DAY);
    }
    if (post == NULL || post_keep(callbacks, post) < 0)
        log_error("callback: %s is not posted before a restart: out of memory", record->action_id);
}

/* ---- The whole ---- */

static void on_timer(void *arg)
{
    callbacks_pump(arg);
}

struct callbacks *callbacks_new(struct loop *loop, struct journal *journal,
                                const struct conf_callback *conf, struct fault *fault)
{
    struct callbacks *callbacks = calloc(1, sizeof *callbacks);
    if (callbacks != NULL) {
        callbacks->by_name = map_new();
        callbacks->by_node = map_new();
        callbacks->held = map_new();
    }
    if (callbacks == NULL || callbacks->by_name == NULL || callbacks->by_node == NULL ||
        callbacks->held == NULL) {
        callbacks_free(callbacks);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    callbacks->loop = loop;
    callbacks->journal = journal;
    callbacks->conf = conf;
    callbacks->origins_end = &callbacks->origins;
    callbacks->timer = loop_timer_new(loop, on_timer, callbacks, fault);
    callbacks->client = callbacks->timer == NULL ? NULL : client_new(loop, fault);
    if (callbacks->client == NULL) {
        callbacks_free(callbacks);
        return NULL;
    }
    ironic_post_configure(callbacks);
    journal_outbox(journal, on_left, callbacks);
    if (callbacks->count > 0)
        log_info("callback: %zu posts were left by an earlier nmid", callbacks->count);
    drop_excess(callbacks);
    callbacks_pump(callbacks);
    return callbacks;
}

void callbacks_free(struct callbacks *callbacks)
{
    if (callbacks == NULL)
        return;
    while (callbacks->oldest != NULL)
        post_free(callbacks->oldest);
    keystone_free(callbacks->keystone);
    client_free(callbacks->client);
    loop_timer_free(callbacks->timer);
    map_free(callbacks->by_name);
    map_free(callbacks->by_node);
    size_t position = 0;
    for (struct post *post;
         callbacks->held != NULL && (post = map_next(callbacks->held, &position)) != NULL;)
        drop_held(post);
    map_free(callbacks->held);
    free(callbacks);
}

void callbacks_configure(struct callbacks *callbacks, const struct conf_callback *conf)
{
    if (callbacks == NULL)
        return;
    callbacks->conf = conf;
    ironic_post_configure(callbacks);
    /* What made a receiver fail may have been a setting. */
    for (struct origin *origin = callbacks->origins; origin != NULL; origin = origin->next)
        origin->pause_until = 0;
    callbacks_pump(callbacks);
}

size_t callbacks_pending(const struct callbacks *callbacks)
{
    return callbacks->count;
}

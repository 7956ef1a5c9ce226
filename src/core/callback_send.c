/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tries. Posts wait in one queue for each origin, in the order in which they are due, so that a
 * slow or dead receiver stands in nobody else's way. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/url.h"
#include "core/callback_state.h"

#define ACTIVE_MAX        64 /* tries at once */
#define ORIGIN_ACTIVE_MAX 4  /* of these to one origin; one while it fails */
#define DELAY_MIN_S       1  /* of a post, from one try to the next: doubled ... */
#define DELAY_MAX_S       300
#define PAUSE_MAX_S       30 /* of an origin, for all its posts */
#define BUSY_TRIES        4  /* so many tries that end busy are as usual */
#define WARN_US           (60 * CALLBACK_SECOND)

/* ---- The queue of an origin: a binary heap ---- */

static bool is_before(const struct post *a, const struct post *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_set(struct origin *origin, size_t slot, struct post *post)
{
    origin->heap[slot] = post;
    post->slot = slot;
}

static void heap_up(struct origin *origin, size_t slot, struct post *post)
{
    while (slot > 0 && is_before(post, origin->heap[(slot - 1) / 2])) {
        heap_set(origin, slot, origin->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_set(origin, slot, post);
}

static void heap_down(struct origin *origin, size_t slot, struct post *post)
{
    for (size_t child; (child = 2 * slot + 1) < origin->count; slot = child) {
        if (child + 1 < origin->count && is_before(origin->heap[child + 1], origin->heap[child]))
            child++;
        if (!is_before(origin->heap[child], post))
            break;
        heap_set(origin, slot, origin->heap[child]);
    }
    heap_set(origin, slot, post);
}

/* There is room: every post of an origin has a slot, even while its try is under way. */
static void heap_put(struct origin *origin, struct post *post)
{
    heap_up(origin, origin->count++, post);
}

void post_put_back(struct post *post)
{
    heap_put(post->origin, post);
}

static void heap_take(struct origin *origin, struct post *post)
{
    size_t slot = post->slot;
    struct post *last = origin->heap[--origin->count];
    post->slot = POST_NOT_QUEUED;
    if (last == post)
        return;
    if (slot > 0 && is_before(last, origin->heap[(slot - 1) / 2]))
        heap_up(origin, slot, last);
    else
        heap_down(origin, slot, last);
}

/* ---- Origins ---- */

static void origin_append(struct callbacks *callbacks, struct origin *origin)
{
    origin->next = NULL;
    origin->link = callbacks->origins_end;
    *callbacks->origins_end = origin;
    callbacks->origins_end = &origin->next;
}

static void origin_unlink(struct callbacks *callbacks, struct origin *origin)
{
    *origin->link = origin->next;
    if (origin->next != NULL)
        origin->next->link = origin->link;
    else
        callbacks->origins_end = origin->link;
}

static struct origin *origin_of(struct callbacks *callbacks, const char *url)
{
    struct url parsed;
    if (ironic_post_is(url))
        parsed = (struct url){.text = "Ironic", .origin_len = 6};
    else if (url_parse(url, &parsed, NULL) < 0)
        parsed = (struct url){.text = "?", .origin_len = 1}; /* it will not be permitted */
    parsed.text[parsed.origin_len] = '\0';
    struct origin *origin = map_get(callbacks->by_name, parsed.text);
    if (origin != NULL)
        return origin;
    origin = calloc(1, sizeof *origin);
    if (origin == NULL)
        return NULL;
    origin->name = strdup(parsed.text);
    if (origin->name == NULL || map_put(callbacks->by_name, origin->name, origin) < 0) {
        free(origin->name);
        free(origin);
        return NULL;
    }
    origin_append(callbacks, origin);
    return origin;
}

static void origin_free_if_idle(struct callbacks *callbacks, struct origin *origin)
{
    if (origin->count > 0 || origin->active > 0)
        return;
    map_remove(callbacks->by_name, origin->name);
    origin_unlink(callbacks, origin);
    free(origin->heap);
    free(origin->name);
    free(origin);
}

int post_queue(struct callbacks *callbacks, struct post *post)
{
    struct origin *origin = origin_of(callbacks, post->url);
    if (origin == NULL)
        return -1;
    if (origin->count + origin->active >= origin->room) {
        size_t room = origin->room == 0 ? 16 : 2 * origin->room;
        struct post **heap = realloc(origin->heap, room * sizeof *heap);
        if (heap == NULL) {
            origin_free_if_idle(callbacks, origin);
            return -1;
        }
        origin->heap = heap;
        origin->room = room;
    }
    post->origin = origin;
    heap_put(origin, post);
    return 0;
}

/* ---- The end of a try ---- */

static void try_over(struct post *post)
{
    post->call = NULL;
    post->trying = false;
    post->origin->active--;
    post->callbacks->active--;
}

void post_free(struct post *post)
{
    struct callbacks *callbacks = post->callbacks;
    if (post->trying) {
        if (post->call != NULL)
            client_cancel(post->call);
        try_over(post);
    } else if (post->slot != POST_NOT_QUEUED) {
        heap_take(post->origin, post);
    }
    if (post->for_ironic)
        ironic_post_leave(post);
    origin_free_if_idle(callbacks, post->origin);
    *(post->older != NULL ? &post->older->newer : &callbacks->oldest) = post->newer;
    *(post->newer != NULL ? &post->newer->older : &callbacks->newest) = post->older;
    callbacks->count--;
    free(post->url);
    free(post->body);
    free(post);
}

void post_done(struct post *post)
{
    struct journal *journal = post->callbacks->journal;
    uint64_t serial = post->serial;
    post_free(post);
    if (serial != 0 && journal_post_remove(journal, serial) < 0)
        log_error("callback: a post cannot be taken from the outbox: out of memory");
}

/* From DELAY_MIN_S, doubled with each failure up to max_s; a fifth of it at random, so that many
 * posts do not come back at once. */
static int64_t delay_us(unsigned failures, unsigned max_s)
{
    unsigned doublings = failures > 16 ? 16 : failures - 1, random;
    uint64_t us = (uint64_t)DELAY_MIN_S << doublings;
    us = (us > max_s ? max_s : us) * (uint64_t)CALLBACK_SECOND;
    secret_random(&random, sizeof random);
    return (int64_t)(us - us / 5 * (random % 1000) / 1000);
}

/* Once a minute for each origin; never the path, which may hold a token. */
static void warn(struct origin *origin, const struct post *post, unsigned status, const char *why)
{
    int64_t now = clock_mono_us();
    char answered[48];
    if (origin->warned && now - origin->warned_at < WARN_US) {
        origin->unwarned++;
        return;
    }
    snprintf(answered, sizeof answered, "answered %u", status);
    log_warning("callback: %s: %s (action %s, try %u; %u more failures since the last such line)",
                origin->name, status != 0 ? answered : why, post->action_id, post->tries,
                origin->unwarned);
    origin->warned = true;
    origin->warned_at = now;
    origin->unwarned = 0;
}

static void origin_failed(struct origin *origin)
{
    int64_t now = clock_mono_us();
    if (origin->failures > 0 && now < origin->pause_until)
        return; /* of the same volley */
    origin->failures++;
    origin->pause_until = now + delay_us(origin->failures, PAUSE_MAX_S);
}

static void origin_succeeded(struct origin *origin)
{
    if (origin->failures > 0)
        log_info("callback: %s takes posts again", origin->name);
    origin->failures = 0;
    origin->pause_until = 0;
}

static void give_up(struct post *post)
{
    log_error("callback: %s: %u tries in a day; the post of %s is given up", post->origin->name,
              post->tries, post->action_id);
    post_done(post);
}

/* The post is in no queue and has no call. */
static void try_failed(struct post *post, enum post_end end, unsigned status, const char *why)
{
    struct callbacks *callbacks = post->callbacks;
    int64_t now = clock_mono_us();
    post->tries++;
    if (end != POST_BUSY || post->tries > BUSY_TRIES)
        warn(post->origin, post, status, why);
    if (now >= post->give_up) {
        give_up(post);
        return;
    }
    post->due = now + delay_us(post->tries, DELAY_MAX_S);
    if (post->due > post->give_up)
        post->due = post->give_up;
    if (post->serial != 0 && journal_post_later(callbacks->journal, post->serial, post->tries,
                                                clock_wall_us() + (post->due - now)) < 0)
        log_error("callback: a delay cannot be recorded: out of memory");
    heap_put(post->origin, post);
}

void post_tried(struct post *post, enum post_end end, unsigned status, const char *why)
{
    struct callbacks *callbacks = post->callbacks;
    try_over(post);
    if (end == POST_TAKEN || end == POST_REFUSED)
        origin_succeeded(post->origin);
    else if (end == POST_UNREACHED)
        origin_failed(post->origin);
    if (end == POST_REFUSED)
        log_error("callback: %s: %s (%u); the post of %s is given up", post->origin->name, why,
                  status, post->action_id);
    if (post->follower != NULL || end == POST_REFUSED)
        post_done(post); /* its follower takes its place */
    else if (end != POST_TAKEN)
        try_failed(post, end, status, why);
    else if (!post->for_ironic || ironic_post_taken(post))
        post_done(post);
    callbacks_pump(callbacks);
}

/* A 4xx may be about this one post; all else is about the receiver. */
static enum post_end end_of(unsigned status)
{
    if (status >= 200 && status <= 299)
        return POST_TAKEN;
    return status == 0 || status >= 500 || status == 408 || status == 429 ? POST_UNREACHED
                                                                          : POST_AGAIN;
}

static void on_done(void *arg, const struct client_answer *answer)
{
    post_tried(arg, end_of(answer->status), answer->status, answer->why);
}

/* ---- A try ---- */

/* Our own headers, then the configured ones: these go to the configured URL and nowhere else. */
#define OWN_HEADERS 4

static struct client_call *send_post(struct post *post, const char *signature, struct fault *fault)
{
    const struct conf_callback *conf = post->callbacks->conf;
    bool trusted = conf->url != NULL && strcmp(conf->url, post->url) == 0;
    size_t count = 0, more = trusted ? conf->header_count : 0;
    struct client_header *headers = calloc(OWN_HEADERS + more, sizeof *headers);
    if (headers == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    headers[count++] = (struct client_header){"Content-Type", "application/json"};
    headers[count++] = (struct client_header){"Idempotency-Key", post->action_id};
    headers[count++] = (struct client_header){"User-Agent", "nmid/" PACKAGE_VERSION};
    if (signature != NULL)
        headers[count++] = (struct client_header){"X-Nmid-Signature", signature};
    for (size_t i = 0; i < more; i++)
        headers[count++] = (struct client_header){conf->headers[i].name,
                                                  (const char *)conf->headers[i].value->bytes};
    struct client_request request = {.method = "POST",
                                     .url = post->url,
                                     .headers = headers,
                                     .header_count = count,
                                     .body = post->body,
                                     .body_len = strlen(post->body),
                                     .ca_file = conf->ca_file,
                                     .insecure = conf->insecure,
                                     .timeout_ms = conf->timeout_ms};
    struct client_call *call =
        client_start(post->callbacks->client, &request, on_done, post, fault);
    free(headers);
    return call;
}

static void try_post(struct post *post)
{
    const struct secret *key = post->callbacks->conf->hmac_key;
    struct fault fault = {0};
    char signature[8 + DIGEST_SHA256_TEXT] = "sha256=";
    if (key != NULL && digest_hmac_sha256(key, post->body, strlen(post->body), signature + 7) < 0)
        fault_set(&fault, FAULT_SYSTEM, "libgcrypt makes no HMAC-SHA256 with this key");
    else
        post->call = send_post(post, key != NULL ? signature : NULL, &fault);
    if (post->call == NULL)
        post_tried(post, POST_AGAIN, 0, fault.message);
}

/* Begins a try of the first post of an origin's queue. */
static void try_first(struct callbacks *callbacks, struct origin *origin)
{
    struct post *post = origin->heap[0];
    heap_take(origin, post);
    if (origin->failures > 0 && clock_mono_us() >= post->give_up) {
        give_up(post); /* without a last try, for of these a dead receiver gets but few */
        return;
    }
    origin_unlink(callbacks, origin);
    origin_append(callbacks, origin);
    post->trying = true;
    origin->active++;
    callbacks->active++;
    if (!callbacks_permit(callbacks, post->url))
        post_tried(post, POST_AGAIN, 0, "the configuration no longer allows this URL");
    else if (post->for_ironic)
        ironic_post_try(post);
    else
        try_post(post);
}

/* When this origin may start its next try; INT64_MAX: not before one has ended. */
static int64_t next_start(const struct origin *origin)
{
    unsigned limit = origin->failures > 0 ? 1 : ORIGIN_ACTIVE_MAX;
    if (origin->count == 0 || origin->active >= limit)
        return INT64_MAX;
    int64_t due = origin->heap[0]->due;
    return due > origin->pause_until ? due : origin->pause_until;
}

void callbacks_pump(struct callbacks *callbacks)
{
    int64_t now = clock_mono_us(), next = INT64_MAX;
    if (callbacks->pumping)
        return; /* a try that ends at once: the loop below goes on */
    callbacks->pumping = true;
    for (bool started = true; started;) {
        started = false;
        next = INT64_MAX;
        for (struct origin *origin = callbacks->origins; origin != NULL; origin = origin->next) {
            int64_t at = next_start(origin);
            if (at > now) {
                next = at < next ? at : next;
            } else if (callbacks->active < ACTIVE_MAX) {
                try_first(callbacks, origin);
                started = true;
                break; /* the list has changed */
            }
        }
    }
    callbacks->pumping = false;
    if (next == INT64_MAX)
        loop_timer_clear(callbacks->timer);
    else
        loop_timer_set(callbacks->timer, next);
}

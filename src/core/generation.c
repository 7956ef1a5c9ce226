/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/generation.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core/attempts.h"
#include "loop/pool.h"

#define SWEEP_US INT64_C(500000)

struct generation {
    struct generations *all;
    struct conf *conf;
    struct auth **auths; /* one for each of conf->auths */
    size_t users;
    struct generation *next; /* of those that were left */
};

struct generations {
    struct generations_settings settings;
    struct pool *passwords;    /* of every auth; NULL until one needs it */
    struct generation *left;   /* and still have checks under way */
    struct loop_timer *sweeper;
};

/* ---- Ends ---- */

static void end(struct generation *generation)
{
    for (size_t i = 0; generation->auths != NULL && i < generation->conf->auth_count; i++)
        auth_free(generation->auths[i]);
    free(generation->auths);
    conf_free(generation->conf);
    free(generation);
}

static size_t waiting(const struct generation *generation)
{
    size_t count = 0;
    for (size_t i = 0; generation->auths != NULL && i < generation->conf->auth_count; i++)
        count += generation->auths[i] == NULL ? 0 : auth_waiting(generation->auths[i]);
    return count;
}

/* From the loop, and so never from within an auth that it frees. */
static void on_sweep(void *arg)
{
    struct generations *all = arg;
    for (struct generation **at = &all->left, *generation; (generation = *at) != NULL;) {
        if (waiting(generation) > 0) {
            at = &generation->next;
            continue;
        }
        *at = generation->next;
        end(generation);
    }
    if (all->left != NULL)
        loop_timer_set(all->sweeper, clock_mono_us() + SWEEP_US);
}

void generation_leave(struct generation *generation)
{
    if (generation == NULL || --generation->users > 0)
        return;
    if (waiting(generation) == 0) {
        end(generation);
        return;
    }
    generation->next = generation->all->left;
    generation->all->left = generation;
    loop_timer_set(generation->all->sweeper, clock_mono_us() + SWEEP_US);
}

/* ---- Beginnings ---- */

struct generations *generations_new(const struct generations_settings *settings,
                                    struct fault *fault)
{
    struct generations *all = calloc(1, sizeof *all);
    if (all == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    all->settings = *settings;
    all->sweeper = loop_timer_new(settings->loop, on_sweep, all, fault);
    if (all->sweeper != NULL)
        return all;
    free(all);
    return NULL;
}

void generations_free(struct generations *all)
{
    if (all == NULL)
        return;
    for (struct generation *generation; (generation = all->left) != NULL;) {
        all->left = generation->next;
        end(generation);
    }
    loop_timer_free(all->sweeper);
    pool_free(all->passwords);
    free(all);
}

static int open_auths(struct generation *generation, struct fault *fault)
{
    const struct generations_settings *settings = &generation->all->settings;
    const struct conf *conf = generation->conf;
    generation->auths = calloc(conf->auth_count, sizeof *generation->auths);
    if (generation->auths == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (size_t i = 0; i < conf->auth_count; i++) {
        generation->auths[i] = auth_new(settings->loop, &conf->auths[i], &conf->policy,
                                        settings->audit, &generation->all->passwords, fault);
        if (generation->auths[i] == NULL)
            return -1;
        auth_set_attempts(generation->auths[i], settings->attempts);
    }
    return 0;
}

struct generation *generation_new(struct generations *all, struct conf *conf, struct fault *fault)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        conf_free(conf);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    generation->all = all;
    generation->conf = conf;
    generation->users = 1;
    if (open_auths(generation, fault) == 0)
        return generation;
    generation_leave(generation);
    return NULL;
}

struct generation *generation_join(struct generation *generation)
{
    generation->users++;
    return generation;
}

/* ---- What it has ---- */

const struct conf *generation_conf(const struct generation *generation)
{
    return generation->conf;
}

struct auth *generation_auth(const struct generation *generation, size_t listener)
{
    return generation->auths[generation->conf->listeners[listener].auth];
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_listener(const struct conf_listener *a, const struct conf_listener *b)
{
    return same_text(a->address, b->address) && same_text(a->socket, b->socket) &&
           a->port == b->port;
}

size_t generation_find(const struct generation *generation, size_t at, const struct conf *conf)
{
    const struct conf *then = generation->conf;
    const struct conf_listener *own = &then->listeners[at];
    size_t before = 0, found = 0;
    for (size_t i = 0; i < at; i++)
        before += same_listener(own, &then->listeners[i]);
    for (; found < conf->listener_count; found++) {
        if (same_listener(own, &conf->listeners[found]) && before-- == 0)
            break;
    }
    return found;
}

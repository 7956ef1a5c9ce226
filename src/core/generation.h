/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A generation: one configuration, and the ways of authentication that it has. It outlives the next
 * one's coming: a listener that the next has no more goes on with it, for listeners change only with
 * a restart; and whoever's credentials are being checked by it is answered by it. */
#ifndef NMID_CORE_GENERATION_H
#define NMID_CORE_GENERATION_H

#include "core/auth.h"
#include "core/conf.h"

struct attempts;
struct generation;
struct generations; /* all of a process */

struct generations_settings {
    struct loop *loop;
    struct audit *audit;       /* borrowed, as attempts: until generations_free() */
    struct attempts *attempts; /* of all */
};

struct generations *generations_new(const struct generations_settings *settings,
                                    struct fault *fault);

/* What still waits is answered with FAULT_IDENTITY; every generation must have been left. */
void generations_free(struct generations *all); /* NULL-safe */

/* Takes conf over, also when it fails (NULL with a fault). One user: who makes it. */
struct generation *generation_new(struct generations *all, struct conf *conf, struct fault *fault);
struct generation *generation_join(struct generation *generation);

/* The last one who leaves it ends it, as soon as none of its checks waits. NULL-safe. */
void generation_leave(struct generation *generation);

const struct conf *generation_conf(const struct generation *generation);

/* Of the listener at this place of its configuration. */
struct auth *generation_auth(const struct generation *generation, size_t listener);

/* At which place conf has the listener that this generation has at `at`; conf's count of listeners when
 * it has not. Port 0 can stand there more than once, with an auth each: the first is the first. */
size_t generation_find(const struct generation *generation, size_t at, const struct conf *conf);

#endif

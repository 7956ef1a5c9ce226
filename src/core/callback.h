/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Callbacks: each finished action is posted to the configured URL and to its caller's own, at least
 * once, from the journal's outbox, until the receiver answers 2xx or a day has passed; and Ironic
 * is told of each node's last one. Nothing waits for a receiver. docs/callbacks.md tells receivers
 * what to expect. */
#ifndef NMID_CORE_CALLBACK_H
#define NMID_CORE_CALLBACK_H

#include "core/action.h"
#include "core/conf.h"
#include "core/journal.h"
#include "loop/loop.h"

struct callbacks;

/* conf is borrowed until callbacks_configure() or callbacks_free(). Takes up what an earlier daemon
 * left in the outbox. */
struct callbacks *callbacks_new(struct loop *loop, struct journal *journal,
                                const struct conf_callback *conf, struct fault *fault);

/* What is under way is left to the next daemon. NULL-safe. */
void callbacks_free(struct callbacks *callbacks);

void callbacks_configure(struct callbacks *callbacks,
                         const struct conf_callback *conf); /* NULL-safe */

/* May a caller name this URL? FAULT_MALFORMED or FAULT_FORBIDDEN when not. callbacks may be NULL:
 * then none is allowed. */
int callbacks_check_url(const struct callbacks *callbacks, const char *url, struct fault *fault);

/* The action has finished: to be called in the turn in which journal_write() was told so, after it,
 * so that the posts are in the same transaction. callbacks may be NULL. */
void callbacks_finished(struct callbacks *callbacks, const struct action *action);

/* Its outcome is on disk, or cannot be put there in time and is told all the same: now it is posted.
 * A second call changes nothing. callbacks may be NULL. */
void callbacks_told(struct callbacks *callbacks, const struct action *action);

/* Posts that have not been taken yet. */
size_t callbacks_pending(const struct callbacks *callbacks);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A driver: how one kind of machine is reached. A table of functions, and what the engine offers
 * them. Drivers run on the loop and never block it. */
#ifndef NMID_CORE_DRIVER_H
#define NMID_CORE_DRIVER_H

#include <jansson.h>
#include <stdbool.h>
#include "base/report.h"
#include "core/action.h"
#include "core/conf.h"
#include "core/info.h"
#include "loop/loop.h"

typedef void driver_probe_fn(void *arg, json_t *result, const struct fault *fault);

struct driver {
    const char *name; /* as in the configuration: "ipmi" */
    bool has_nmi;     /* false: every injection is refused as unsupported */

    /* Takes the keys of driver_info. 0: *ret_info (the driver's own) and *ret_target (malloc'd, what
     * identifies the BMC; NULL for none). -1: the report has every mistake. */
    int (*parse)(struct info *info, void **ret_info, char **ret_target, struct report *report);
    void (*info_free)(void *info);
    /* driver_info for people and programs, secrets as "******"; a new reference. */
    json_t *(*info_json)(const void *info);

    /* One instance for the daemon's life. settings is copied. */
    void *(*open)(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault);
    void (*configure)(void *self, const struct conf_ipmi *settings); /* after a reload */
    void (*close)(void *self); /* nothing under way any more */

    /* Begins the action; action_finish() ends it, from a later turn or from within. */
    void (*start)(void *self, struct action *action);
    /* Gives up an action that has not been sent (NULL: all of them): it finishes as failed with this
     * reason. One that was sent goes on to its outcome, and nothing more of it is sent. */
    void (*abort)(void *self, struct action *action, enum fault_code code, const char *why);
    /* A session and the power state, no interrupt. done is called exactly once. */
    void (*probe)(void *self, struct node *node, driver_probe_fn *done, void *arg);
};

/* What a driver calls back. action_sending(): before the one irreversible datagram, and again before
 * another one where the settings allow it. go(arg) comes from a later turn, when the journal has
 * *sent* on disk; it never comes when the journal failed (the engine then calls abort(), perhaps
 * from within this call) or the action finished meanwhile. */
void action_sending(struct action *action, loop_fn *go, void *arg);

/* The action is about to begin at this address, in the form of a target ("10.0.0.1:623"): the hold-off
 * counts for it too, whatever a node calls it, and as of now: another node's action may have ended
 * there while this one waited. 0, or -1 with FAULT_HOLD_OFF: finish the action so. */
int action_resolved(struct action *action, const char *target, struct fault *fault);

/* Takes action_sending() back: go will not come. For a driver that gave up while it waited. */
void action_revoke(struct action *action);

/* Adds to the evidence; takes over value's reference. */
void action_evidence(struct action *action, const char *key, json_t *value);

/* The one completion. code is FAULT_NONE when delivered. The action may be gone afterwards. */
void action_finish(struct action *action, enum action_outcome outcome, enum fault_code code,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/noop.h"

static int parse(struct info *info, void **ret_info, char **ret_target, struct report *report)
{
    (void)info;
    (void)report;
    *ret_info = NULL;
    *ret_target = NULL;
    return 0;
}

static void free_info(void *info)
{
    (void)info;
}

static json_t *info_json(const void *info)
{
    (void)info;
    return json_object();
}

static int instance; /* there is nothing to hold, but an instance is never NULL */

static void *open_driver(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    (void)loop;
    (void)settings;
    (void)fault;
    return &instance;
}

static void configure(void *self, const struct conf_ipmi *settings)
{
    (void)self;
    (void)settings;
}

static void close_driver(void *self)
{
    (void)self;
}

static void start(void *self, struct action *action)
{
    (void)self;
    action_finish(action, OUTCOME_FAILED, FAULT_UNSUPPORTED, "the driver noop has no NMI");
}

static void abort_action(void *self, struct action *action, enum fault_code code, const char *why)
{
    (void)self;
    (void)action;
    (void)code;
    (void)why;
}

const struct driver noop_driver = {
    .name = "noop",
    .has_nmi = false,
    .parse = parse,
    .info_free = free_info,
    .info_json = info_json,
    .open = open_driver,
    .configure = configure,
    .close = close_driver,
    .start = start,
    .abort = abort_action,
};

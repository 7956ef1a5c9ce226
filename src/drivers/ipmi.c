/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ipmi driver: its instance, and what the engine calls. Flights are of ipmi_flight.c, sessions
 * of ipmi_session.c. */
#include "drivers/ipmi.h"

#include <stdlib.h>
#include "drivers/ipmi_flight.h"

static void start(void *self, struct action *action)
{
    struct flight *flight = ipmi_flight_new(self, action->node, action, NULL, NULL);
    if (flight == NULL)
        action_finish(action, OUTCOME_FAILED, FAULT_MEMORY, "out of memory; no interrupt was sent");
    else
        ipmi_flight_start(flight);
}

static void probe(void *self, struct node *node, driver_probe_fn *done, void *arg)
{
    struct flight *flight = ipmi_flight_new(self, node, NULL, done, arg);
    if (flight == NULL) {
        struct fault fault = {.code = FAULT_MEMORY, .message = "out of memory"};
        done(arg, NULL, &fault);
        return;
    }
    ipmi_flight_start(flight);
}

static void abort_actions(void *self, struct action *action, enum fault_code code, const char *why)
{
    ipmi_flights_abort(self, action, code, why);
}

/* ---- The instance ---- */

static void close_driver(void *self)
{
    struct ipmi *ipmi = self;
    ipmi_flights_stop(ipmi);
    ipmi_lookups_free(ipmi->lookups);
    ipmi_net_free(ipmi->net);
    ipmi_codec_free(ipmi->codec);
    ipmi_memory_free(ipmi->memory);
    free(ipmi);
}

static void *open_driver(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    struct ipmi *ipmi = calloc(1, sizeof *ipmi);
    if (ipmi == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    ipmi->loop = loop;
    ipmi->settings = *settings;
    ipmi->starting_end = &ipmi->starting;
    ipmi->memory = ipmi_memory_new();
    ipmi->codec = ipmi_codec_new(fault);
    ipmi->net = ipmi_net_new(loop, fault);
    ipmi->lookups = ipmi_lookups_new(loop, fault);
    if (ipmi->memory == NULL || ipmi->codec == NULL || ipmi->net == NULL || ipmi->lookups == NULL ||
        loop_before_wait(loop, ipmi_flights_begin, ipmi, fault) < 0) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        close_driver(ipmi);
        return NULL;
    }
    return ipmi;
}

/* After a reload credentials may be others: what was learnt with the old ones is forgotten. */
static void configure(void *self, const struct conf_ipmi *settings)
{
    struct ipmi *ipmi = self;
    ipmi->settings = *settings;
    ipmi_memory_clear(ipmi->memory);
}

const struct driver ipmi_driver = {
    .name = "ipmi",
    .has_nmi = true,
    .parse = ipmi_info_parse,
    .info_free = ipmi_info_free,
    .info_json = ipmi_info_json,
    .open = open_driver,
    .configure = configure,
    .close = close_driver,
    .start = start,
    .abort = abort_actions,
    .probe = probe,
};

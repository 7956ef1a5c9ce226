/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flights: each carries one action or probe. Its address is looked up (on a worker where it is a
 * name), its session runs over the shared sockets, and it ends in exactly one completion. */
#ifndef NMID_DRIVERS_IPMI_FLIGHT_H
#define NMID_DRIVERS_IPMI_FLIGHT_H

#include "core/driver.h"
#include "drivers/ipmi_lookup.h"
#include "drivers/ipmi_memory.h"
#include "drivers/ipmi_net.h"

struct flight;

/* The driver's instance: what all flights share. */
struct ipmi {
    struct loop *loop;
    struct conf_ipmi settings;
    struct ipmi_codec *codec;
    struct ipmi_net *net;
    struct ipmi_lookups *lookups;
    struct ipmi_memory *memory;
    struct flight *flights;                  /* all */
    struct flight *starting, **starting_end; /* with an address, not begun */
};

/* One for the action, or (done, with its arg) for a probe of the node. NULL when memory is out. */
struct flight *ipmi_flight_new(struct ipmi *ipmi, struct node *node, struct action *action,
                               driver_probe_fn *done, void *arg);

/* Looks up its address; it begins when the loop is about to wait. May complete it at once. */
void ipmi_flight_start(struct flight *flight);

/* Before the loop waits (arg: struct ipmi): begins so many, and asks for another turn while there
 * are more. */
void ipmi_flights_begin(void *arg);

/* As struct driver's abort. */
void ipmi_flights_abort(struct ipmi *ipmi, struct action *action, enum fault_code code,
                        const char *why);

/* Ends all, without waiting. */
void ipmi_flights_stop(struct ipmi *ipmi);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BMC names to addresses: numbers at once, host names by getaddrinfo() on a worker. */
#ifndef NMID_DRIVERS_IPMI_LOOKUP_H
#define NMID_DRIVERS_IPMI_LOOKUP_H

#include <stdbool.h>
#include <sys/socket.h>
#include "loop/loop.h"

struct ipmi_lookups;
struct ipmi_lookup;

/* address is NULL when error says why. Borrowed for the call. */
typedef void ipmi_lookup_fn(void *arg, const struct sockaddr_storage *address, const char *error);

struct ipmi_lookups *ipmi_lookups_new(struct loop *loop, struct fault *fault);

/* Waits for look-ups that run; nobody is called any more. NULL-safe. */
void ipmi_lookups_free(struct ipmi_lookups *lookups);

/* True, with the address, when host is a number (IPv6 may bear a scope, "fe80::1%eth0"). */
bool ipmi_lookup_numeric(const char *host, unsigned port, struct sockaddr_storage *ret_address);

#define IPMI_TARGET_MAX 80

/* An address as node->target has it: "10.0.0.1:623", "[fe80::1]:623". */
void ipmi_lookup_target(const struct sockaddr_storage *address, char target[IPMI_TARGET_MAX]);

/* Calls done once, from a later turn. NULL with a fault when too many wait. */
struct ipmi_lookup *ipmi_lookup_start(struct ipmi_lookups *lookups, const char *host, unsigned port,
                                      ipmi_lookup_fn *done, void *arg, struct fault *fault);

/* done will not be called. NULL-safe. */
void ipmi_lookup_cancel(struct ipmi_lookup *lookup);

#endif

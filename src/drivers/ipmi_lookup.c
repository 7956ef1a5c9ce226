/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_lookup.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loop/pool.h"

#define THREADS   16 /* each waits for a name server, up to half a minute for a dead one */
#define QUEUE_MAX 8192

struct ipmi_lookups {
    struct pool *pool;
};

/* Lives until its done function has run on the loop, even when it was cancelled. */
struct ipmi_lookup {
    char *host;
    unsigned port;
    ipmi_lookup_fn *done;  /* NULL: cancelled */
    atomic_bool cancelled; /* the same for the worker: whose time is over need not be looked up */
    void *arg;
    int error;
    struct sockaddr_storage address;
};

static int resolve(const char *host, unsigned port, int flags, struct sockaddr_storage *ret_address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0)
        return error;
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

bool ipmi_lookup_numeric(const char *host, unsigned port, struct sockaddr_storage *ret_address)
{
    return resolve(host, port, AI_NUMERICHOST, ret_address) == 0;
}

void ipmi_lookup_target(const struct sockaddr_storage *address, char target[IPMI_TARGET_MAX])
{
    char host[64] = "?", port[16] = "?";
    bool is_6 = address->ss_family == AF_INET6;
    getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM);
    snprintf(target, IPMI_TARGET_MAX, is_6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void work(void *arg)
{
    struct ipmi_lookup *lookup = arg;
    if (atomic_load(&lookup->cancelled))
        return;
    lookup->error = resolve(lookup->host, lookup->port, 0, &lookup->address);
}

static void finish(void *arg)
{
    struct ipmi_lookup *lookup = arg;
    if (lookup->done != NULL)
        lookup->done(lookup->arg, lookup->error == 0 ? &lookup->address : NULL,
                     lookup->error == 0 ? NULL : gai_strerror(lookup->error));
    free(lookup->host);
    free(lookup);
}

struct ipmi_lookups *ipmi_lookups_new(struct loop *loop, struct fault *fault)
{
    struct ipmi_lookups *lookups = calloc(1, sizeof *lookups);
    if (lookups == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    lookups->pool = pool_new(loop, THREADS, QUEUE_MAX, fault);
    if (lookups->pool == NULL) {
        free(lookups);
        return NULL;
    }
    return lookups;
}

void ipmi_lookups_free(struct ipmi_lookups *lookups)
{
    if (lookups == NULL)
        return;
    pool_free(lookups->pool);
    free(lookups);
}

struct ipmi_lookup *ipmi_lookup_start(struct ipmi_lookups *lookups, const char *host, unsigned port,
                                      ipmi_lookup_fn *done, void *arg, struct fault *fault)
{
    struct ipmi_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL || (lookup->host = strdup(host)) == NULL) {
        free(lookup);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    lookup->port = port;
    lookup->done = done;
    lookup->arg = arg;
    if (pool_submit(lookups->pool, work, finish, lookup, fault) < 0) {
        free(lookup->host);
        free(lookup);
        return NULL;
    }
    return lookup;
}

void ipmi_lookup_cancel(struct ipmi_lookup *lookup)
{
    if (lookup == NULL)
        return;
    lookup->done = NULL;
    atomic_store(&lookup->cancelled, true);
}

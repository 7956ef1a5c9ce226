/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two UDP sockets (IPv4, IPv6) that all sessions share, and who gets what arrives: one peer per
 * BMC address and port. What comes from any other address is counted and dropped. */
#ifndef NMID_DRIVERS_IPMI_NET_H
#define NMID_DRIVERS_IPMI_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "loop/loop.h"

struct ipmi_net;

#define IPMI_PEER_KEY 40

typedef void ipmi_peer_fn(void *arg, const uint8_t *bytes, size_t len);

struct ipmi_peer {
    struct sockaddr_storage address; /* set by the caller before ipmi_net_join() */
    ipmi_peer_fn *receive;
    void *arg;
    char key[IPMI_PEER_KEY]; /* the net's own */
};

struct ipmi_net_counts {
    uint64_t in, out, stray, oversized, unsent;
};

struct ipmi_net *ipmi_net_new(struct loop *loop, struct fault *fault);
void ipmi_net_free(struct ipmi_net *net); /* NULL-safe */

/* -1 when somebody has this address and port already, or memory is out. */
int ipmi_net_join(struct ipmi_net *net, struct ipmi_peer *peer);
void ipmi_net_leave(struct ipmi_net *net, struct ipmi_peer *peer);

/* 0: the kernel took it. -1: it surely did not leave. */
int ipmi_net_send(struct ipmi_net *net, const struct ipmi_peer *peer, const uint8_t *bytes,
                  size_t len);

const struct ipmi_net_counts *ipmi_net_counts(const struct ipmi_net *net);

#endif

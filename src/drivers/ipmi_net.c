/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared sockets: cheaper than one per BMC, and their number does not grow with the fleet. They
 * stay unconnected, so that no ICMP error of one BMC is reported to the sender of another's
 * datagram. */
#include "drivers/ipmi_net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/map.h"
#include "base/secret.h"

#define BATCH         64
#define ROUNDS        4 /* batches a turn, so that the rest of the loop gets its share */
#define BUFFER        1024
#define SOCKET_BUFFER (8 * 1024 * 1024)

struct ipmi_net {
    int fd[2]; /* IPv4, IPv6; -1 where the host has none */
    struct loop_watch *watch[2];
    struct map *peers;
    struct ipmi_net_counts counts;
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t buffers[BATCH][BUFFER];
};

static void on_readable_4(void *arg, unsigned events);
static void on_readable_6(void *arg, unsigned events);

static int open_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int size = SOCKET_BUFFER, on = 1;
    /* The FORCE variants need CAP_NET_ADMIN; without it the kernel's rmem_max is what we get. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fd;
}

struct ipmi_net *ipmi_net_new(struct loop *loop, struct fault *fault)
{
    struct ipmi_net *net = calloc(1, sizeof *net);
    if (net == NULL || (net->peers = map_new()) == NULL) {
        free(net);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    net->fd[0] = open_socket(AF_INET);
    net->fd[1] = open_socket(AF_INET6);
    if (net->fd[0] < 0 && net->fd[1] < 0) {
        fault_set(fault, FAULT_SYSTEM, "no UDP socket: %s", strerror(errno));
        ipmi_net_free(net);
        return NULL;
    }
    if (net->fd[0] >= 0)
        net->watch[0] = loop_watch_new(loop, net->fd[0], LOOP_READABLE, on_readable_4, net, fault);
    if (net->fd[1] >= 0)
        net->watch[1] = loop_watch_new(loop, net->fd[1], LOOP_READABLE, on_readable_6, net, fault);
    if ((net->fd[0] >= 0 && net->watch[0] == NULL) || (net->fd[1] >= 0 && net->watch[1] == NULL)) {
        ipmi_net_free(net);
        return NULL;
    }
    for (int i = 0; i < BATCH; i++) {
        net->vectors[i] = (struct iovec){net->buffers[i], BUFFER};
        net->messages[i].msg_hdr.msg_iov = &net->vectors[i];
        net->messages[i].msg_hdr.msg_iovlen = 1;
        net->messages[i].msg_hdr.msg_name = &net->from[i];
    }
    return net;
}

void ipmi_net_free(struct ipmi_net *net)
{
    if (net == NULL)
        return;
    for (int i = 0; i < 2; i++) {
        loop_watch_free(net->watch[i]);
        if (net->fd[i] >= 0)
            close(net->fd[i]);
    }
    map_free(net->peers);
    free(net);
}

/* Address and port as a string for the map; "" for a family that is neither. */
static void make_key(const struct sockaddr_storage *from, char key[IPMI_PEER_KEY])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[18];
    size_t len;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        memcpy(bytes, &in->sin_addr, 4);
        memcpy(bytes + 4, &in->sin_port, 2);
        len = 6;
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
        memcpy(bytes, &in->sin6_addr, 16);
        memcpy(bytes + 16, &in->sin6_port, 2);
        len = 18;
    } else {
        len = 0;
    }
    for (size_t i = 0; i < len; i++) {
        key[2 * i] = hex[bytes[i] >> 4];
        key[2 * i + 1] = hex[bytes[i] & 15];
    }
    key[2 * len] = '\0';
}

int ipmi_net_join(struct ipmi_net *net, struct ipmi_peer *peer)
{
    make_key(&peer->address, peer->key);
    if (map_get(net->peers, peer->key) != NULL)
        return -1;
    return map_put(net->peers, peer->key, peer);
}

void ipmi_net_leave(struct ipmi_net *net, struct ipmi_peer *peer)
{
    if (map_get(net->peers, peer->key) == peer)
        map_remove(net->peers, peer->key);
}

int ipmi_net_send(struct ipmi_net *net, const struct ipmi_peer *peer, const uint8_t *bytes,
                  size_t len)
{
    bool is_6 = peer->address.ss_family == AF_INET6;
    socklen_t size = is_6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (sendto(net->fd[is_6], bytes, len, 0, (const struct sockaddr *)&peer->address, size) < 0) {
        net->counts.unsent++;
        return -1;
    }
    net->counts.out++;
    return 0;
}

static void deliver(struct ipmi_net *net, int i)
{
    const struct mmsghdr *message = &net->messages[i];
    char key[IPMI_PEER_KEY];
    net->counts.in++;
    make_key(&net->from[i], key);
    struct ipmi_peer *peer = map_get(net->peers, key);
    if (peer == NULL)
        net->counts.stray++;
    else if (message->msg_hdr.msg_flags & MSG_TRUNC)
        net->counts.oversized++;
    else
        peer->receive(peer->arg, net->buffers[i], message->msg_len);
    /* A 1.5 BMC may send its password in clear. */
    secret_wipe(net->buffers[i], message->msg_len < BUFFER ? message->msg_len : BUFFER);
}

static void receive_all(struct ipmi_net *net, int fd)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BATCH; i++)
            net->messages[i].msg_hdr.msg_namelen = sizeof net->from[i];
        int count = recvmmsg(fd, net->messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            deliver(net, i);
        if (count < BATCH)
            return;
    }
}

static void on_readable_4(void *arg, unsigned events)
{
    struct ipmi_net *net = arg;
    (void)events;
    receive_all(net, net->fd[0]);
}

static void on_readable_6(void *arg, unsigned events)
{
    struct ipmi_net *net = arg;
    (void)events;
    receive_all(net, net->fd[1]);
}

const struct ipmi_net_counts *ipmi_net_counts(const struct ipmi_net *net)
{
    return &net->counts;
}

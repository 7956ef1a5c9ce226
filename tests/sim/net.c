/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UDP for all BMCs. A wildcard socket with IP_PKTINFO tells which BMC a datagram was for and sends
 * the answer from that address. With many BMCs a few such sockets share the port, each with its own
 * receive buffer. Datagrams for addresses that are not ours are dropped. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "flow.h"
#include "sim.h"

#define BATCH       64
#define SOCKETS_MAX 16
#define BUFFER      (16 << 20)
#define STRAY_FLIP  0x00800000U /* 127.1.0.1 strays from 127.129.0.1 */

struct slot {
    struct sockaddr_storage peer;
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t data[DATAGRAM_MAX];
};

static struct source sockets[SOCKETS_MAX + 1]; /* the last: IPv6 */
static struct slot in_slots[BATCH], out_slots[BATCH];
static struct mmsghdr in_headers[BATCH], out_headers[BATCH];
static unsigned out_count;
static int out_fd = -1;

static struct bmc *destination(struct msghdr *header, int fd)
{
    if (fd == sockets[SOCKETS_MAX].fd)
        return &sim.bmcs[sim.count];
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            uint32_t i;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            i = ntohl(info.ipi_addr.s_addr) - sim.first;
            return i < sim.count ? &sim.bmcs[i] : NULL;
        }
    return NULL;
}

static void receive(struct source *source, uint32_t events)
{
    int n;

    (void)events;
    for (unsigned i = 0; i < BATCH; i++) {
        struct slot *slot = &in_slots[i];

        slot->iov = (struct iovec){slot->data, sizeof(slot->data)};
        in_headers[i].msg_hdr = (struct msghdr){
            .msg_name = &slot->peer,
            .msg_namelen = sizeof(slot->peer),
            .msg_iov = &slot->iov,
            .msg_iovlen = 1,
            .msg_control = slot->control,
            .msg_controllen = sizeof(slot->control),
        };
    }
    n = recvmmsg(source->fd, in_headers, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct bmc *bmc = destination(&in_headers[i].msg_hdr, source->fd);
        struct peer peer = {.fd = source->fd, .length = in_headers[i].msg_hdr.msg_namelen};

        if (!bmc || peer.length > sizeof(peer.address))
            continue;
        memcpy(&peer.address, &in_slots[i].peer, peer.length);
        order_datagram(bmc, WAY_IN, &peer, false, in_slots[i].data, in_headers[i].msg_len);
    }
}

void net_flush(void)
{
    unsigned sent = 0;

    while (sent < out_count) {
        int n = sendmmsg(out_fd, out_headers + sent, out_count - sent, 0);

        if (n < 0 && errno == EINTR)
            continue;
        sent += n > 0 ? (unsigned)n : 1; /* what cannot be sent is lost, as on any network */
    }
    out_count = 0;
}

static void source_address(struct msghdr *header, struct slot *slot, uint32_t address)
{
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(address)};

    struct cmsghdr *control = (struct cmsghdr *)slot->control;

    memset(slot->control, 0, sizeof(slot->control));
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(control), &info, sizeof(info));
    header->msg_control = slot->control;
    header->msg_controllen = sizeof(slot->control);
}

void net_send(struct bmc *bmc, const struct peer *peer, bool stray, const uint8_t *data,
              size_t length)
{
    struct slot *slot;
    struct msghdr *header;

    if (out_count == BATCH || peer->fd != out_fd || length > DATAGRAM_MAX)
        net_flush();
    out_fd = peer->fd;
    slot = &out_slots[out_count];
    header = &out_headers[out_count++].msg_hdr;
    memcpy(&slot->peer, &peer->address, peer->length);
    slot->iov = (struct iovec){length > DATAGRAM_MAX ? (void *)data : slot->data, length};
    *header = (struct msghdr){.msg_name = &slot->peer,
                              .msg_namelen = peer->length,
                              .msg_iov = &slot->iov,
                              .msg_iovlen = 1};
    if (bmc->address != 0)
        source_address(header, slot, stray ? bmc->address ^ STRAY_FLIP : bmc->address);
    bmc->counters.datagrams_out++;
    if (length > DATAGRAM_MAX)
        net_flush();
    else
        memcpy(slot->data, data, length);
}

static void buffer_grow(int fd)
{
    int size = BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int socket_open4(unsigned port, bool shared)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return -1;
    /* Never beyond this machine; where the kernel does not allow it, destination() still holds. */
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    /* The first takes the port for itself and shares it only then: port 0 finds a free one. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    buffer_grow(fd);
    return fd;
}

static int socket_open6(unsigned port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)port),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    buffer_grow(fd);
    return fd;
}

static int port_open(unsigned port, bool ipv6, unsigned *ret_port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);

    sockets[0].fd = socket_open4(port, false);
    if (sockets[0].fd < 0 || getsockname(sockets[0].fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    *ret_port = ntohs(address.sin_port);
    sockets[SOCKETS_MAX].fd = ipv6 ? socket_open6(*ret_port) : -1;
    if (ipv6 && sockets[SOCKETS_MAX].fd < 0) {
        close(sockets[0].fd);
        return -1;
    }
    return 0;
}

int net_init(int epoll, unsigned port, bool ipv6, unsigned *ret_port)
{
    unsigned n = sim.count / 256 + 1, tries = port == 0 ? 20 : 1;

    while (port_open(port, ipv6, ret_port) != 0)
        if (--tries == 0)
            return -1;
    for (unsigned i = 0; i <= SOCKETS_MAX; i++) {
        if (i > 0 && i < SOCKETS_MAX)
            sockets[i].fd = i < n ? socket_open4(*ret_port, true) : -1;
        if (i < SOCKETS_MAX && i < n && sockets[i].fd < 0)
            return -1;
        sockets[i].ready = receive;
        if (sockets[i].fd >= 0 && source_add(epoll, &sockets[i], EPOLLIN) != 0)
            return -1;
    }
    return 0;
}

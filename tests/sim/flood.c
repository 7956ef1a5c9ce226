/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A flood of forged datagrams, with whatever source address: for tests in a network namespace of
 * their own (it needs a raw socket).
 *
 *     flood PER_SECOND TO_PORT SOURCE:PORT [SOURCE:PORT ...]
 *
 * To 127.0.0.1's TO_PORT, from the sources in turn, until stdin ends; then it tells how many have
 * left and in how many milliseconds. What they carry looks like answers of a BMC, as far as one can
 * know them without its keys: presence pongs, session headers of 1.5 and 2.0, messages of each
 * kind. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH   32
#define SOURCES 64
#define PAYLOAD 1200

struct packet {
    struct iphdr ip;
    struct udphdr udp;
    uint8_t payload[PAYLOAD];
};

static struct sockaddr_in sources[SOURCES];
static struct packet packets[BATCH];
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];

static uint32_t any(void)
{
    static uint32_t x = 88675123u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;
    while (len > 0)
        sum = (uint8_t)(sum + bytes[--len]);
    return (uint8_t)-sum;
}

/* A message from the BMC to its console, with checksums that are right. */
static size_t put_message(uint8_t *at)
{
    size_t data = any() % 24, len = 8 + data;
    const uint8_t net_fns[] = {7 << 2, 1 << 2, 11 << 2},
                  cmds[] = {0x38, 0x39, 0x3a, 0x3b, 0x01, 0x02};
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)any();
    at[0] = 0x81;
    at[1] = net_fns[any() % sizeof net_fns];
    at[2] = checksum(at, 2);
    at[3] = 0x20;
    at[4] = (uint8_t)(any() % 64 << 2);
    at[5] = cmds[any() % sizeof cmds];
    at[6] = 0;
    at[len - 1] = checksum(at + 3, len - 4);
    return len;
}

static size_t put_payload(uint8_t *at)
{
    static const uint8_t rmcp[] = {6, 0, 0xff, 7}, types[] = {0x11, 0x13, 0x15, 0xc0, 0x40, 0x00};
    unsigned kind = any() % 8;
    memcpy(at, rmcp, sizeof rmcp);
    if (kind == 0) { /* of any length, and nothing */
        size_t len = any() % PAYLOAD;
        for (size_t i = 4; i < len; i++)
            at[i] = (uint8_t)any();
        return len;
    }
    if (kind < 4) { /* 1.5, without a session or with one of any id */
        bool session = kind == 3;
        memset(at + 4, 0, 10);
        at[4] = session ? 2 : 0; /* MD5 */
        uint32_t id = session ? any() : 0, sequence = session ? any() % 64 : 0;
        memcpy(at + 5, &sequence, 4);
        memcpy(at + 9, &id, 4);
        size_t head = session ? 30 : 14;
        for (size_t i = 13; i < head; i++)
            at[i] = (uint8_t)any();
        size_t len = put_message(at + head);
        at[head - 1] = (uint8_t)len;
        return head + len;
    }
    size_t len = 8 + any() % 72; /* 2.0 */
    for (size_t i = 4; i < 16 + len; i++)
        at[i] = (uint8_t)any();
    at[4] = 6;
    at[5] = types[any() % sizeof types];
    if ((at[5] & 0xc0) == 0)
        memset(at + 6, 0, 8);
    at[14] = (uint8_t)len;
    at[15] = 0;
    at[16] = (uint8_t)(any() % 4); /* the tag */
    at[17] = 0;                    /* "it is well" */
    return 16 + len;
}

static void make(size_t i, unsigned number, unsigned source_count, uint16_t to)
{
    struct packet *packet = &packets[i];
    size_t len = put_payload(packet->payload);
    const struct sockaddr_in *source = &sources[number % source_count];
    memset(&packet->ip, 0, sizeof packet->ip + sizeof packet->udp);
    packet->ip.version = 4;
    packet->ip.ihl = 5;
    packet->ip.ttl = 64;
    packet->ip.protocol = IPPROTO_UDP;
    packet->ip.saddr = source->sin_addr.s_addr;
    packet->ip.daddr = htonl(INADDR_LOOPBACK);
    packet->ip.tot_len = htons((uint16_t)(sizeof packet->ip + sizeof packet->udp + len));
    packet->udp.source = source->sin_port;
    packet->udp.dest = htons(to);
    packet->udp.len = htons((uint16_t)(sizeof packet->udp + len)); /* no checksum: IPv4 may */
    vectors[i].iov_len = sizeof packet->ip + sizeof packet->udp + len;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool take_source(const char *text, struct sockaddr_in *source)
{
    char address[64];
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", (int)(colon - text), text);
    source->sin_port = htons((uint16_t)atoi(colon + 1));
    return inet_pton(AF_INET, address, &source->sin_addr) == 1;
}

/* Sends what is due by now; how many have left in all. */
static uint64_t catch_up(int fd, uint64_t due, uint64_t sent, unsigned source_count, uint16_t to)
{
    while (sent < due) {
        unsigned count = due - sent < BATCH ? (unsigned)(due - sent) : BATCH;
        for (unsigned i = 0; i < count; i++)
            make(i, (unsigned)sent + i, source_count, to);
        int done = sendmmsg(fd, messages, count, 0);
        if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED) {
            perror("sendmmsg");
            exit(EXIT_FAILURE);
        }
        sent += done > 0 ? (unsigned)done : count;
    }
    return sent;
}

int main(int argc, char **argv)
{
    static struct sockaddr_in to = {.sin_family = AF_INET};
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned source_count = 0;
    if (argc < 4 || argc - 3 > SOURCES)
        return EXIT_FAILURE;
    for (int i = 3; i < argc; i++) {
        if (!take_source(argv[i], &sources[source_count++]))
            return EXIT_FAILURE;
    }
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0) {
        perror("socket");
        return 77;
    }
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < BATCH; i++) {
        vectors[i].iov_base = &packets[i];
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof to};
    }
    uint64_t per_second = strtoull(argv[1], NULL, 10), sent = 0;
    int64_t begun = now_us(), now = begun;
    puts("ready");
    fflush(stdout);
    while (poll(&end, 1, 1) == 0) {
        now = now_us();
        sent = catch_up(fd, per_second * (uint64_t)(now - begun) / 1000000, sent, source_count,
                        (uint16_t)atoi(argv[2]));
    }
    printf("%llu %lld\n", (unsigned long long)sent, (long long)(now_us() - begun) / 1000);
    return EXIT_SUCCESS;
}

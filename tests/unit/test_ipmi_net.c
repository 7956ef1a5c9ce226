/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shared sockets: who gets what arrives. Over real sockets on loopback; the BMCs are plain
 * sockets of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "drivers/ipmi_net.h"

struct bmc {
    int fd;
    struct ipmi_peer peer;
    unsigned received;
    uint8_t last[64];
    size_t last_len;
    struct bmc *leaves; /* who leaves when this one receives */
};

struct fixture {
    struct loop *loop;
    struct loop_timer *watchdog;
    struct ipmi_net *net;
    uint64_t want_in; /* the loop stops when so many have arrived */
    bool timed_out;
    struct bmc a, b;
};

static struct fixture *current;

static void on_watchdog(void *arg)
{
    struct fixture *f = arg;
    f->timed_out = true;
    loop_stop(f->loop);
}

static void receive(void *arg, const uint8_t *bytes, size_t len)
{
    struct bmc *bmc = arg;
    bmc->received++;
    bmc->last_len = len < sizeof bmc->last ? len : sizeof bmc->last;
    memcpy(bmc->last, bytes, bmc->last_len);
    if (bmc->leaves != NULL)
        ipmi_net_leave(current->net, &bmc->leaves->peer);
}

static void check_count(void *arg)
{
    struct fixture *f = arg;
    if (ipmi_net_counts(f->net)->in >= f->want_in)
        loop_stop(f->loop);
}

/* Runs the loop until so many datagrams have arrived, in all. */
static void run_until(struct fixture *f, uint64_t in)
{
    f->want_in = in;
    loop_timer_set(f->watchdog, clock_mono_us() + 20000000);
    loop_wake(f->loop);
    loop_run(f->loop);
    assert_false(f->timed_out);
    assert_int_equal(ipmi_net_counts(f->net)->in, in);
}

/* A socket on loopback, and the peer of that address. -1 where there is no such loopback. */
static int bmc_open(struct bmc *bmc, int family)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof bmc->peer.address;
    bmc->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bmc->peer.receive = receive;
    bmc->peer.arg = bmc;
    if (bmc->fd < 0 || bind(bmc->fd, family == AF_INET ? (void *)&in : (void *)&in6,
                            family == AF_INET ? sizeof in : sizeof in6) < 0)
        return -1;
    return getsockname(bmc->fd, (struct sockaddr *)&bmc->peer.address, &len);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->a.fd = f->b.fd = -1;
    f->loop = loop_new(NULL);
    f->watchdog = loop_timer_new(f->loop, on_watchdog, f, NULL);
    f->net = ipmi_net_new(f->loop, NULL);
    loop_before_wait(f->loop, check_count, f, NULL);
    assert_non_null(f->net);
    assert_int_equal(bmc_open(&f->a, AF_INET), 0);
    assert_int_equal(bmc_open(&f->b, AF_INET), 0);
    *state = current = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ipmi_net_free(f->net);
    loop_timer_free(f->watchdog);
    loop_free(f->loop);
    close(f->a.fd);
    close(f->b.fd);
    free(f);
    return 0;
}

/* Our datagram reaches the BMC; ret_from is where it came from. */
static void assert_reaches(struct fixture *f, struct bmc *bmc, const char *text,
                           struct sockaddr_storage *ret_from)
{
    uint8_t bytes[64];
    socklen_t len = sizeof *ret_from;
    struct timeval patience = {20, 0};
    setsockopt(bmc->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(ipmi_net_send(f->net, &bmc->peer, (const uint8_t *)text, strlen(text)), 0);
    ssize_t got = recvfrom(bmc->fd, bytes, sizeof bytes, 0, (struct sockaddr *)ret_from, &len);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(bytes, text, (size_t)got);
}

static void answer(const struct bmc *bmc, const struct sockaddr_storage *to, const void *bytes,
                   size_t len)
{
    socklen_t size =
        to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    assert_int_equal(sendto(bmc->fd, bytes, len, 0, (const struct sockaddr *)to, size), len);
}

static void test_each_gets_its_own(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_int_equal(ipmi_net_join(f->net, &f->b.peer), 0);
    assert_reaches(f, &f->a, "to a", &us);
    assert_reaches(f, &f->b, "to b", &us);
    answer(&f->b, &us, "from b", 6);
    answer(&f->a, &us, "from a", 6);
    answer(&f->a, &us, "", 0);
    run_until(f, 3);
    assert_int_equal(f->a.received, 2);
    assert_int_equal(f->a.last_len, 0);
    assert_int_equal(f->b.received, 1);
    assert_memory_equal(f->b.last, "from b", 6);
    assert_int_equal(ipmi_net_counts(f->net)->out, 2);
    assert_int_equal(ipmi_net_counts(f->net)->stray, 0);
}

static void test_ipv6(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    struct bmc six = {.fd = -1};
    if (bmc_open(&six, AF_INET6) < 0) {
        if (six.fd >= 0)
            close(six.fd);
        print_message("no IPv6 loopback here\n");
        skip();
    }
    assert_int_equal(ipmi_net_join(f->net, &six.peer), 0);
    assert_reaches(f, &six, "to six", &us);
    answer(&six, &us, "from six", 8);
    run_until(f, 1);
    assert_int_equal(six.received, 1);
    assert_memory_equal(six.last, "from six", 8);
    ipmi_net_leave(f->net, &six.peer);
    close(six.fd);
}

static void test_strangers(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_reaches(f, &f->a, "to a", &us);
    answer(&f->b, &us, "from a stranger", 15); /* the same address, another port */
    run_until(f, 1);
    assert_int_equal(f->a.received, 0);
    assert_int_equal(ipmi_net_counts(f->net)->stray, 1);
    ipmi_net_leave(f->net, &f->a.peer);
    answer(&f->a, &us, "too late", 8);
    run_until(f, 2);
    assert_int_equal(f->a.received, 0);
    assert_int_equal(ipmi_net_counts(f->net)->stray, 2);
}

static void test_one_per_address(void **state)
{
    struct fixture *f = *state;
    struct bmc other = {.fd = -1};
    other.peer.address = f->a.peer.address;
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_int_equal(ipmi_net_join(f->net, &other.peer), -1);
    ipmi_net_leave(f->net, &other.peer); /* which never joined: a stays */
    assert_int_equal(ipmi_net_join(f->net, &other.peer), -1);
    ipmi_net_leave(f->net, &f->a.peer);
    assert_int_equal(ipmi_net_join(f->net, &other.peer), 0);
}

static void test_oversized(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    static uint8_t huge[60000];
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_reaches(f, &f->a, "to a", &us);
    answer(&f->a, &us, huge, sizeof huge);
    answer(&f->a, &us, huge, 1025);
    answer(&f->a, &us, huge, 1024);
    run_until(f, 3);
    assert_int_equal(f->a.received, 1);
    assert_int_equal(ipmi_net_counts(f->net)->oversized, 2);
}

/* More than a turn of the loop takes. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_reaches(f, &f->a, "to a", &us);
    for (uint32_t i = 0; i < 300; i++)
        answer(&f->a, &us, &i, sizeof i);
    run_until(f, 300);
    uint32_t last;
    memcpy(&last, f->a.last, sizeof last);
    assert_int_equal(f->a.received, 300);
    assert_int_equal(last, 299);
}

/* Both have arrived; the first one's end is the second one's: it gets nothing any more. */
static void test_leaving_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    assert_int_equal(ipmi_net_join(f->net, &f->b.peer), 0);
    assert_reaches(f, &f->a, "to a", &us);
    f->a.leaves = &f->b;
    answer(&f->a, &us, "1", 1);
    answer(&f->b, &us, "2", 1);
    answer(&f->a, &us, "3", 1);
    run_until(f, 3);
    assert_int_equal(f->a.received, 2);
    assert_int_equal(f->b.received, 0);
    assert_int_equal(ipmi_net_counts(f->net)->stray, 1);
}

/* A closed port's ICMP error is nobody else's trouble; what the kernel refuses is told. */
static void test_errors(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage us;
    static uint8_t huge[70000];
    assert_int_equal(ipmi_net_join(f->net, &f->a.peer), 0);
    close(f->b.fd);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ipmi_net_send(f->net, &f->b.peer, huge, 20), 0);
        assert_reaches(f, &f->a, "to a", &us);
    }
    answer(&f->a, &us, "from a", 6);
    run_until(f, 1);
    assert_int_equal(f->a.received, 1);
    assert_int_equal(ipmi_net_counts(f->net)->unsent, 0);
    assert_int_equal(ipmi_net_send(f->net, &f->a.peer, huge, sizeof huge), -1);
    assert_int_equal(ipmi_net_counts(f->net)->unsent, 1);
    assert_int_equal(ipmi_net_counts(f->net)->out, 40);
    f->b.fd = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_gets_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_per_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oversized, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaving_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

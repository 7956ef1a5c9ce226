/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bmcsim: many simulated BMCs in one process, written from the IPMI 2.0 specification (revision
 * 1.1) and independently of the libraries that nmid uses. For tests and benchmarks; README.md. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include "crypt.h"
#include "flow.h"
#include "sim.h"

struct sim sim;

struct options {
    const char *control;
    unsigned port;
    bool ipv6;
};

static int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

void random_bytes(void *out, size_t length)
{
    uint8_t *p = out;

    while (length > 0) {
        uint64_t bits = random_next(&sim.random);
        size_t n = length < sizeof(bits) ? length : sizeof(bits);

        memcpy(p, &bits, n);
        p += n;
        length -= n;
    }
}

bool random_percent(uint64_t *state, int32_t percent)
{
    return percent > 0 && random_next(state) % 100 < (uint64_t)percent;
}

const char *bmc_name(const struct bmc *bmc)
{
    struct in_addr address = {.s_addr = htonl(bmc->address)};

    return bmc->address ? inet_ntoa(address) : "::1";
}

struct bmc *bmc_find(const char *name)
{
    struct in_addr address;
    uint32_t i;

    if (!strcmp(name, "::1"))
        return sim.all > sim.count ? &sim.bmcs[sim.count] : NULL;
    if (inet_pton(AF_INET, name, &address) != 1)
        return NULL;
    i = ntohl(address.s_addr) - sim.first;
    return i < sim.count ? &sim.bmcs[i] : NULL;
}

void trace(const struct bmc *bmc, const char *format, ...)
{
    va_list args;

    if (!sim.trace)
        return;
    fprintf(stderr, "%.6f %s ", (double)sim.now_us / 1e6, bmc_name(bmc));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void bmc_start(struct bmc *bmc)
{
    uint64_t guid = sim.seed ^ (uint64_t)bmc->address << 20;

    sessions_free(bmc);
    bmc->settings = sim.defaults;
    bmc->counters = (struct counters){0};
    bmc->busy_until_us = 0;
    bmc->loss_random = guid;
    for (enum way way = 0; way < WAYS; way++)
        bmc->order_random[way] = guid ^ (way + 1ULL) << 56;
    order_forget(bmc);
    bmc->controlled = false;
    bmc->sel = (struct sel){0};
    for (size_t i = 0; i < sizeof(bmc->guid); i++)
        bmc->guid[i] = (uint8_t)random_next(&guid);
}

int source_add(int epoll, struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, source->fd, &event);
}

static void signal_ready(struct source *source, uint32_t events)
{
    (void)source;
    (void)events;
    sim.quit = true;
}

static int signals_init(int epoll)
{
    static struct source source = {-1, signal_ready};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    source.fd = signalfd(-1, &set, SFD_CLOEXEC);
    return source.fd < 0 ? -1 : source_add(epoll, &source, EPOLLIN);
}

static void usage(FILE *out)
{
    fputs("Usage: bmcsim [OPTION]...\n"
          "Simulates BMCs on loopback. Prints \"ready port=N control=PATH\" when it serves.\n\n"
          "  -f, --first ADDRESS   the first address (127.1.0.1)\n"
          "  -n, --count N         how many addresses from there (1)\n"
          "  -6, --ipv6            one more BMC on ::1\n"
          "  -p, --port N          the UDP port of all (0: a free one)\n"
          "  -c, --control PATH    the control socket\n"
          "  -S, --seed N          of all that is random (1)\n"
          "  -s, --set KEY=VALUE   for all BMCs; again and again\n"
          "  -t, --trace           a line per event on standard error\n"
          "  -h, --help            this\n\n",
          out);
    settings_help(out);
}

static int set_option(char *text)
{
    char *value = strchr(text, '=');
    const char *error = "no =";

    if (value) {
        *value++ = '\0';
        error = settings_set(&sim.defaults, text, value);
    }
    if (error)
        fprintf(stderr, "bmcsim: --set %s: %s\n", text, error);
    return error ? -1 : 0;
}

static int number_option(const char *text, unsigned long max, unsigned long *ret_number)
{
    char *end;

    errno = 0;
    *ret_number = strtoul(text, &end, 10);
    if (errno == 0 && *text && !*end && *ret_number <= max)
        return 0;
    fprintf(stderr, "bmcsim: bad number: %s\n", text);
    return -1;
}

static int option_take(struct options *options, int option, char *value)
{
    unsigned long number = 0;
    struct in_addr first;
    int rc = 0;

    switch (option) {
    case 'f':
        rc = inet_pton(AF_INET, value, &first) == 1 && ntohl(first.s_addr) >> 24 == 127 ? 0 : -1;
        sim.first = rc ? 0 : ntohl(first.s_addr);
        if (rc)
            fprintf(stderr, "bmcsim: not a loopback address: %s\n", value);
        break;
    case 'n':
        rc = number_option(value, 1000000, &number);
        sim.count = (uint32_t)number;
        break;
    case 'p':
        rc = number_option(value, 65535, &number);
        options->port = (unsigned)number;
        break;
    case 'S':
        rc = number_option(value, UINT32_MAX, &number);
        sim.seed = number;
        break;
    case 's':
        rc = set_option(value);
        break;
    case '6':
        options->ipv6 = true;
        break;
    case 'c':
        options->control = value;
        break;
    case 't':
        sim.trace = true;
        break;
    default:
        rc = -1;
    }
    return rc;
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option table[] = {
        {"first", 1, NULL, 'f'}, {"count", 1, NULL, 'n'},   {"ipv6", 0, NULL, '6'},
        {"port", 1, NULL, 'p'},  {"control", 1, NULL, 'c'}, {"seed", 1, NULL, 'S'},
        {"set", 1, NULL, 's'},   {"trace", 0, NULL, 't'},   {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "f:n:6p:c:S:s:th", table, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            exit(0);
        }
        if (option_take(options, option, optarg) != 0)
            exit(2);
    }
    if (optind < argc) {
        usage(stderr);
        exit(2);
    }
}

static void bmcs_init(bool ipv6)
{
    sim.all = sim.count + (ipv6 ? 1 : 0);
    sim.bmcs = calloc(sim.all ? sim.all : 1, sizeof(struct bmc));
    if (!sim.bmcs)
        abort();
    for (uint32_t i = 0; i < sim.all; i++) {
        sim.bmcs[i].address = i < sim.count ? sim.first + i : 0;
        bmc_start(&sim.bmcs[i]);
    }
}

static void serve(int epoll)
{
    struct epoll_event events[32];

    while (!sim.quit) {
        int n = epoll_wait(epoll, events, 32, -1);

        sim.now_us = clock_us();
        jobs_run();
        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;

            source->ready(source, events[i].events);
        }
        jobs_run();
        net_flush();
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    unsigned port;

    sim.first = 0x7f010001;
    sim.count = 1;
    sim.seed = 1;
    settings_init(&sim.defaults);
    options_parse(&options, argc, argv);
    sim.random = sim.seed;
    sim.now_us = clock_us();
    if (crypt_init() != 0) {
        fputs("bmcsim: libgcrypt does not compute the published vectors\n", stderr);
        return 1;
    }
    bmcs_init(options.ipv6);
    if (epoll < 0 || jobs_init(epoll) != 0 || signals_init(epoll) != 0 ||
        net_init(epoll, options.port, options.ipv6, &port) != 0 ||
        (options.control && control_init(epoll, options.control) != 0)) {
        fprintf(stderr, "bmcsim: %s\n", strerror(errno));
        return 1;
    }
    printf("ready port=%u control=%s\n", port, options.control ? options.control : "-");
    fflush(stdout);
    serve(epoll);
    control_free();
    jobs_free();
    for (uint32_t i = 0; i < sim.all; i++) {
        sessions_free(&sim.bmcs[i]);
        order_forget(&sim.bmcs[i]);
    }
    free(sim.bmcs);
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control socket: a line in, a line of JSON out (README.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "flow.h"
#include "sim.h"

#define LINE_MAX_BYTES 1024

struct client {
    struct source source; /* first: the loop hands it back */
    struct client *next;
    size_t in_length, out_length, out_sent;
    char *out; /* the answer under way, or NULL */
    char in[LINE_MAX_BYTES];
};

static struct client *clients;
static int epoll_fd;
static const char *socket_path;

static void print_counters(FILE *out, struct bmc *bmc)
{
    const struct counters *n = &bmc->counters;

    fprintf(out, "{\"nmi\":%ju", (uintmax_t)n->nmi);
    for (unsigned i = 0; i < CONTROL_VALUES; i++)
        fprintf(out, ",\"control_%u\":%ju,\"executed_%u\":%ju", i, (uintmax_t)n->control[i], i,
                (uintmax_t)n->executed[i]);
    fprintf(out,
            ",\"sessions_opened\":%ju,\"sessions_closed\":%ju,\"sessions_active\":%u,"
            "\"datagrams_in\":%ju,\"datagrams_out\":%ju,\"auth_failures\":%ju,\"dropped\":%ju,"
            "\"sel_requests\":%ju,\"sel_entries\":%u,\"power\":%s}",
            (uintmax_t)n->sessions_opened, (uintmax_t)n->sessions_closed, sessions_active(bmc),
            (uintmax_t)n->datagrams_in, (uintmax_t)n->datagrams_out, (uintmax_t)n->auth_failures,
            (uintmax_t)n->dropped, (uintmax_t)n->sel_requests, bmc->sel.count,
            bmc->settings.power ? "true" : "false");
}

static void print_total(FILE *out)
{
    struct bmc total = {.settings.power = true};
    uint64_t none = 0, once = 0, more = 0;
    uint64_t *sum = (uint64_t *)&total.counters;

    for (uint32_t i = 0; i < sim.all; i++) {
        const uint64_t *n = (const uint64_t *)&sim.bmcs[i].counters;

        for (size_t k = 0; k < sizeof(struct counters) / sizeof(uint64_t); k++)
            sum[k] += n[k];
        none += sim.bmcs[i].counters.nmi == 0;
        once += sim.bmcs[i].counters.nmi == 1;
        more += sim.bmcs[i].counters.nmi > 1;
    }
    fprintf(out, "{\"bmcs\":%u,\"none\":%ju,\"once\":%ju,\"more\":%ju,\"sum\":", sim.all,
            (uintmax_t)none, (uintmax_t)once, (uintmax_t)more);
    print_counters(out, &total);
    fputc('}', out);
}

static void print_error(FILE *out, const char *what)
{
    fprintf(out, "{\"error\":\"%s\"}", what);
}

/* For one address or "all"; a change that fails for one fails for all alike, at the first. */
static const char *each(const char *name, const char *(*run)(struct bmc *, char **), char **words)
{
    struct bmc *bmc = bmc_find(name);
    const char *error = NULL;

    if (bmc)
        return run(bmc, words);
    if (strcmp(name, "all"))
        return "no such address";
    for (uint32_t i = 0; i < sim.all && !error; i++)
        error = run(&sim.bmcs[i], words);
    return error;
}

static const char *run_set(struct bmc *bmc, char **words)
{
    return settings_set(&bmc->settings, words[2], words[3] ? words[3] : "");
}

static const char *run_reset(struct bmc *bmc, char **words)
{
    (void)words;
    bmc_start(bmc);
    return NULL;
}

static const char *run_zero(struct bmc *bmc, char **words)
{
    (void)words;
    bmc->counters = (struct counters){0};
    return NULL;
}

static const char *run_sel_add(struct bmc *bmc, char **words)
{
    unsigned long numbers[2];

    for (unsigned i = 0; i < 2; i++) {
        char *end, *word = words[2 + i];

        numbers[i] = strtoul(word, &end, 0);
        if (!*word || *end || numbers[i] > 255)
            return "bad value";
    }
    sel_add(bmc, (uint8_t)numbers[0], (uint8_t)numbers[1]);
    return NULL;
}

static const char *run_sel_clear(struct bmc *bmc, char **words)
{
    (void)words;
    sel_clear(bmc);
    return NULL;
}

static void print_executions(FILE *out, const struct bmc *bmc)
{
    uint64_t n = bmc->counters.nmi, i = n > EXECUTIONS_MAX ? n - EXECUTIONS_MAX : 0;

    fprintf(out, "{\"nmi\":%ju,\"at\":[", (uintmax_t)n);
    for (bool first = true; i < n; i++, first = false)
        fprintf(out, "%s%.6f", first ? "" : ",", (double)bmc->executions[i % EXECUTIONS_MAX] / 1e6);
    fputs("]}", out);
}

static void print_sel(FILE *out, const struct bmc *bmc)
{
    fputc('[', out);
    for (unsigned i = 0; i < bmc->sel.count; i++) {
        const struct sel_record *record = &bmc->sel.records[i];

        fprintf(out, "%s{\"id\":%u,\"sensor_type\":%u,\"offset\":%u,\"time\":%u}", i ? "," : "",
                record->id, record->type, record->offset, record->time);
    }
    fputc(']', out);
}

static void print_each(FILE *out, const char *error)
{
    if (error)
        print_error(out, error);
    else
        fputs("{\"ok\":true}", out);
}

static void print_counts(FILE *out)
{
    for (uint32_t i = 0; i < sim.all; i++) {
        fprintf(out, "%c\"%s\":", i ? ',' : '{', bmc_name(&sim.bmcs[i]));
        print_counters(out, &sim.bmcs[i]);
    }
    fputc('}', out);
}

/* What asks about one BMC; false: no such command. */
static bool print_one(FILE *out, const char *command, struct bmc *bmc)
{
    if (!strcmp(command, "count"))
        print_counters(out, bmc);
    else if (!strcmp(command, "executions"))
        print_executions(out, bmc);
    else if (!strcmp(command, "sel_list"))
        print_sel(out, bmc);
    else
        return false;
    return true;
}

static void command_answer(FILE *out, char **words, int n)
{
    static const struct {
        const char *name;
        int least, most; /* words */
        const char *(*run)(struct bmc *bmc, char **words);
    } changes[] = {
        {"set", 3, 4, run_set},     {"reset", 2, 2, run_reset},         {"zero", 2, 2, run_zero},
        {"sel", 4, 4, run_sel_add}, {"sel_clear", 2, 2, run_sel_clear},
    };
    struct bmc *bmc = n == 2 ? bmc_find(words[1]) : NULL;

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
        if (n >= changes[i].least && n <= changes[i].most && !strcmp(words[0], changes[i].name)) {
            print_each(out, each(words[1], changes[i].run, words));
            return;
        }
    if (bmc && print_one(out, words[0], bmc))
        return;
    if (n == 1 && !strcmp(words[0], "counts")) {
        print_counts(out);
    } else if (n == 1 && !strcmp(words[0], "total")) {
        print_total(out);
    } else if (n == 1 && !strcmp(words[0], "quit")) {
        sim.quit = true;
        fputs("{\"ok\":true}", out);
    } else {
        print_error(out, n == 2 && !bmc ? "no such address, or command" : "no such command");
    }
}

static void client_free(struct client *client)
{
    for (struct client **p = &clients; *p; p = &(*p)->next)
        if (*p == client) {
            *p = client->next;
            break;
        }
    close(client->source.fd);
    free(client->out);
    free(client);
}

/* The value of a set is the rest of its line: passwords have blanks. */
static int line_split(char *line, char **words, int max)
{
    int n = 0;

    while (n < max && *line) {
        words[n++] = line;
        if (n == max)
            break;
        line += strcspn(line, " ");
        if (*line)
            *line++ = '\0';
    }
    return n;
}

static void lines_answer(struct client *client)
{
    char *end, *words[4 + 1] = {NULL};
    FILE *out;

    end = memchr(client->in, '\n', client->in_length);
    if (client->out || !end)
        return;
    *end = '\0';
    out = open_memstream(&client->out, &client->out_length);
    if (!out)
        abort();
    command_answer(out, words, line_split(client->in, words, 4));
    fputc('\n', out);
    fclose(out);
    client->out_sent = 0;
    client->in_length -= (size_t)(end + 1 - client->in);
    memmove(client->in, end + 1, client->in_length);
}

/* 0: the answer is out; 1: wait; -1: gone. */
static int client_write(struct client *client)
{
    while (client->out && client->out_sent < client->out_length) {
        ssize_t n = send(client->source.fd, client->out + client->out_sent,
                         client->out_length - client->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN ? 1 : -1;
        client->out_sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    return 0;
}

static void client_ready(struct source *source, uint32_t events)
{
    struct client *client = (struct client *)source;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    int wait = 0;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !client->out) {
        ssize_t n = recv(source->fd, client->in + client->in_length,
                         sizeof(client->in) - client->in_length, MSG_DONTWAIT);

        if (n <= 0) { /* also a line that is too long: no room is 0 bytes */
            client_free(client);
            return;
        }
        client->in_length += (size_t)n;
    }
    do {
        lines_answer(client);
        wait = client_write(client);
    } while (wait == 0 && memchr(client->in, '\n', client->in_length));
    if (wait < 0) {
        client_free(client);
        return;
    }
    if (wait)
        event.events = EPOLLOUT;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

static void listener_ready(struct source *source, uint32_t events)
{
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    struct client *client;

    (void)events;
    if (fd < 0)
        return;
    client = calloc(1, sizeof(*client));
    if (!client)
        abort();
    client->source = (struct source){fd, client_ready};
    client->next = clients;
    clients = client;
    if (source_add(epoll_fd, &client->source, EPOLLIN) != 0)
        client_free(client);
}

static struct source listener = {-1, listener_ready};

int control_init(int epoll, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    epoll_fd = epoll;
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener.fd, 16) != 0)
        return -1;
    socket_path = path;
    return source_add(epoll, &listener, EPOLLIN);
}

void control_free(void)
{
    while (clients)
        client_free(clients);
    if (listener.fd >= 0)
        close(listener.fd);
    if (socket_path)
        unlink(socket_path);
}

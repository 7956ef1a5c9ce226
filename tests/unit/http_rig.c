/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "contracts/agent.h"
#include "contracts/discovery.h"
#include "contracts/ironic_api.h"
#include "contracts/nova.h"
#include "core/conf_parts.h"
#include "core/driver.h"
#include "core/limits.h"
#include "http/state.h"
#include "loop/pool.h"

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- The fake driver: what a node does is in its name ---- */

struct held {
    struct action *action;
    bool sending; /* waits for the journal; else for rig_release() */
    struct held *next;
};

static struct rig *current; /* one rig at a time */
static struct held *holding;
static unsigned held_count;

static struct held *hold(struct action *action)
{
    struct held *held = calloc(1, sizeof *held);
    MUST(held != NULL);
    held->action = action;
    held->next = holding;
    holding = held;
    return held;
}

static void let_go(struct held *held)
{
    struct held **at = &holding;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    free(held);
}

static void on_go(void *arg)
{
    struct held *held = arg;
    struct action *action = held->action;
    let_go(held);
    current->sent++;
    if (strcmp(action->node->name, "doubt") == 0)
        action_finish(action, OUTCOME_UNKNOWN, FAULT_NO_ANSWER, "no answer came");
    else
        action_finish(action, OUTCOME_DELIVERED, FAULT_NONE, "delivered");
}

static void begin_sending(struct held *held)
{
    held->sending = true;
    action_sending(held->action, on_go, held);
}

static void fake_start(void *self, struct action *action)
{
    const char *name = action->node->name;
    (void)self;
    current->starts++;
    if (strcmp(name, "bad") == 0) {
        action_finish(action, OUTCOME_FAILED, FAULT_UNREACHABLE, "no answer from the BMC");
    } else if (strcmp(name, "off") == 0) {
        action_finish(action, OUTCOME_FAILED, FAULT_POWERED_OFF, "the machine is off");
    } else if (strcmp(name, "still") == 0) {
        hold(action);
        held_count++;
    } else {
        begin_sending(hold(action));
    }
}

static void release(void *arg)
{
    unsigned *released = arg;
    struct held *next;
    for (struct held *held = holding; held != NULL; held = next) {
        next = held->next;
        if (!held->sending) {
            begin_sending(held);
            (*released)++;
        }
    }
}

/* Nothing was sent of those that are held, also when they wait for the journal. */
static void fake_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    struct held *next;
    (void)self;
    for (struct held *held = holding; held != NULL; held = next) {
        struct action *mine = held->action;
        next = held->next;
        if (action != NULL && mine != action)
            continue;
        let_go(held);
        action_finish(mine, OUTCOME_FAILED, code, "%s", why);
    }
}

static void *fake_open(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    static int instance;
    (void)loop;
    (void)settings;
    (void)fault;
    return &instance;
}

static void fake_configure(void *self, const struct conf_ipmi *settings)
{
    (void)self;
    (void)settings;
}

static void fake_close(void *self)
{
    (void)self;
}

static json_t *fake_info(const void *info)
{
    (void)info;
    return json_pack("{s:s, s:s}", "ipmi_address", "192.0.2.1", "ipmi_password", "******");
}

static void fake_probe(void *self, struct node *node, driver_probe_fn *done, void *arg)
{
    struct fault fault = {0};
    (void)self;
    if (strcmp(node->name, "bad") == 0) {
        fault_set(&fault, FAULT_UNREACHABLE, "no answer from the BMC");
        done(arg, NULL, &fault);
        return;
    }
    json_t *result =
        json_pack("{s:s, s:i, s:s}", "power", "on", "cipher_suite", 17, "protocol", "IPMI 2.0");
    done(arg, result, NULL);
    json_decref(result);
}

static const struct driver fake = {
    .name = "fake",
    .has_nmi = true,
    .info_json = fake_info,
    .open = fake_open,
    .configure = fake_configure,
    .close = fake_close,
    .start = fake_start,
    .abort = fake_abort,
    .probe = fake_probe,
};

static const struct driver dull = {
    .name = "dull",
    .has_nmi = false,
    .info_json = fake_info,
    .open = fake_open,
    .configure = fake_configure,
    .close = fake_close,
    .start = fake_start,
    .abort = fake_abort,
    .probe = NULL,
};

/* ---- The rig ---- */

static void add_node(struct rig *rig, const char *name, enum node_status status)
{
    static unsigned number;
    char target[32];
    const struct node *other = NULL;
    const char *what = NULL;
    struct node *node = node_new();
    MUST(node != NULL);
    snprintf(node->uuid, sizeof node->uuid, "00000000-0000-4000-8000-%012x", ++number);
    snprintf(target, sizeof target, "192.0.2.1:%u", number);
    node->name = strdup(name);
    node->target = strdup(target);
    node->status = status;
    node->locked = strcmp(name, "locked") == 0;
    node->driver = strcmp(name, "dull") == 0 ? &dull : &fake;
    if (strcmp(name, "good") == 0)
        snprintf(node->instance_uuid, sizeof node->instance_uuid,
                 "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
    MUST(node_table_add(rig->conf.nodes, node, &other, &what) == 0);
}

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->conf.hold_off_s = 0;
    rig->conf.ipmi.window = 64;
    rig->conf.limits = (struct conf_limits){
        .connections = 64,
        .connections_per_address = 64,
        .url_bytes = 8192,
        .header_bytes = 16384,
        .token_bytes = 8192,
        .body_bytes = 65536,
        .request_s = 10,
        .idle_s = 60,
        .requests_per_principal = 512,
        .answer_bytes_per_principal = 32u << 20,
        .history = 1000,
        .queue = 1000,
        .queue_s = 300,
    };
    rig->conf.nodes = node_table_new();
    MUST(conf_policy_defaults(&rig->conf) == 0);
    static const char *const names[] = {"good",   "bad",    "doubt",  "off",    "dull",
                                        "still",  "locked", "good-2", "good-3", "good-4",
                                        "good-5", "good-6", "good-7", "good-8", "good-9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_node(rig, names[i], NODE_ACTIVE);
    add_node(rig, "stopped", NODE_SHUTOFF);
    add_node(rig, "paused", NODE_PAUSED);
}

struct thread {
    pthread_t id;
    int pipe[2];
    struct loop_watch *watch;
    struct rig *rig;
    bool drained;
};

struct call {
    void (*fn)(void *arg);
    void *arg;
    int done[2];
};

static void on_call(void *arg, unsigned events)
{
    struct thread *thread = arg;
    struct call *call = NULL;
    (void)events;
    MUST(read(thread->pipe[0], &call, sizeof call) == sizeof call);
    call->fn(call->arg);
    MUST(write(call->done[1], "", 1) == 1);
}

void rig_call(struct rig *rig, void (*fn)(void *arg), void *arg)
{
    struct thread *thread = rig->thread;
    struct call call = {.fn = fn, .arg = arg}, *at = &call;
    char byte;
    MUST(pipe(call.done) == 0);
    MUST(write(thread->pipe[1], &at, sizeof at) == sizeof at);
    MUST(read(call.done[0], &byte, 1) == 1);
    close(call.done[0]);
    close(call.done[1]);
}

static void *run(void *arg)
{
    struct thread *thread = arg;
    loop_run(thread->rig->loop);
    return NULL;
}

static unsigned bound_port(const struct rig *rig)
{
    for (const struct listener *listener = rig->server->listeners; listener != NULL;
         listener = listener->next) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_LISTEN_FD);
        struct sockaddr_in address;
        socklen_t len = sizeof address;
        if (listener->address[0] != '\0' && info != NULL &&
            getsockname(info->listen_fd, (struct sockaddr *)&address, &len) == 0)
            return ntohs(address.sin_port);
    }
    return 0;
}

void rig_start(struct rig *rig)
{
    static const struct driver *const drivers[] = {&fake, &dull, NULL};
    struct fault fault = {0};
    struct thread *thread = calloc(1, sizeof *thread);
    MUST(thread != NULL);
    log_set_level(LOG_LEVEL_ERROR);
    current = rig;
    rig->thread = thread;
    thread->rig = rig;
    MUST((rig->loop = loop_new(&fault)) != NULL);
    state_dir_make(rig->dir);
    rig->journal = state_dir_journal(rig->dir, rig->loop, rig->conf.limits.history, &fault);
    MUST(rig->journal != NULL);
    MUST((rig->engine = engine_new(rig->loop, &rig->conf, drivers, rig->journal, &fault)) != NULL);
    MUST((rig->server = http_server_new(rig->loop, &rig->conf.limits, &fault)) != NULL);
    MUST((rig->limits = limits_new(&rig->conf.limits, &fault)) != NULL);
    http_server_set_limits(rig->server, rig->limits);
    engine_set_limits(rig->engine, rig->limits);
    MUST((rig->agent =
              agent_new(rig->loop, rig->engine, rig->conf.limits.history, "9.9", &fault)) != NULL);
    MUST((rig->nova = nova_new(rig->engine, &fault)) != NULL);
    MUST(http_server_mount(rig->server, &agent_contract, rig->agent, &fault) == 0);
    MUST(http_server_mount(rig->server, &nova_contract, rig->nova, &fault) == 0);
    MUST((rig->ironic = ironic_api_new(rig->engine, &fault)) != NULL);
    MUST(http_server_mount(rig->server, &ironic_contract, rig->ironic, &fault) == 0);
    MUST(http_server_mount(rig->server, &discovery_contract, NULL, &fault) == 0);
    if (rig->extra != NULL)
        MUST(http_server_mount(rig->server, rig->extra, rig->extra_self, &fault) == 0);
    char local[] = "127.0.0.1";
    snprintf(rig->path, sizeof rig->path, "/tmp/nmid-rig-%ld.sock", (long)getpid());
    rig->auth = auth_new(rig->loop, &rig->auth_conf, &rig->conf.policy, NULL, &rig->passwords,
                         &fault);
    MUST(rig->auth != NULL);
    MUST(http_server_listen(rig->server, &(struct conf_listener){.address = local}, rig->auth,
                            &fault) == 0);
    MUST(http_server_listen(rig->server, &(struct conf_listener){.socket = rig->path}, rig->auth,
                            &fault) == 0);
    MUST((rig->port = bound_port(rig)) != 0);
    MUST(pipe(thread->pipe) == 0);
    thread->watch =
        loop_watch_new(rig->loop, thread->pipe[0], LOOP_READABLE, on_call, thread, &fault);
    MUST(thread->watch != NULL);
    MUST(pthread_create(&thread->id, NULL, run, thread) == 0);
}

static void on_sent(void *arg)
{
    struct thread *thread = arg;
    loop_stop(thread->rig->loop);
}

static void on_drained(void *arg)
{
    struct thread *thread = arg;
    http_server_drain(thread->rig->server, on_sent, thread);
}

static void begin_stop(void *arg)
{
    struct thread *thread = arg;
    http_server_refuse(thread->rig->server);
    engine_drain(thread->rig->engine, on_drained, thread);
}

void rig_stop(struct rig *rig)
{
    struct thread *thread = rig->thread;
    rig_call(rig, begin_stop, thread);
    pthread_join(thread->id, NULL);
    http_server_free(rig->server);
    auth_free(rig->auth);
    ironic_api_free(rig->ironic);
    pool_free(rig->passwords);
    rig->passwords = NULL;
    nova_free(rig->nova);
    agent_free(rig->agent);
    engine_free(rig->engine);
    limits_free(rig->limits);
    journal_free(rig->journal);
    state_dir_remove(rig->dir);
    loop_watch_free(thread->watch);
    loop_free(rig->loop);
    node_table_free(rig->conf.nodes);
    conf_policy_clear(&rig->conf.policy);
    MUST(access(rig->path, F_OK) != 0); /* the server removed its socket */
    close(thread->pipe[0]);
    close(thread->pipe[1]);
    free(thread);
    holding = NULL;
}

void rig_release(struct rig *rig)
{
    unsigned released = 0;
    while (released == 0) {
        rig_call(rig, release, &released);
        if (released == 0)
            sched_yield();
    }
}

/* ---- The client ---- */

int client_connect(const struct rig *rig)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)rig->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the answer, or its absence, tells */
        bytes += sent;
        len -= (size_t)sent;
    }
}

void client_write(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

static bool read_head(int fd, struct reply *reply)
{
    size_t len = 0;
    while (len + 1 < sizeof reply->head) {
        if (recv(fd, reply->head + len, 1, 0) != 1)
            return false;
        reply->head[++len] = '\0';
        if (len >= 4 && memcmp(reply->head + len - 4, "\r\n\r\n", 4) == 0)
            return sscanf(reply->head, "HTTP/1.%*d %d", &reply->status) == 1;
    }
    return false;
}

bool client_read(int fd, struct reply *reply, bool head_only)
{
    memset(reply, 0, sizeof *reply);
    do {
        reply->status = 0;
        if (!read_head(fd, reply)) {
            reply->status = 0;
            return false;
        }
    } while (reply->status == 100);
    const char *length = reply_header(reply, "Content-Length");
    reply->body_len = length == NULL || head_only ? 0 : strtoul(length, NULL, 10);
    reply->body = calloc(1, reply->body_len + 1);
    MUST(reply->body != NULL);
    for (size_t len = 0; len < reply->body_len;) {
        ssize_t got = recv(fd, reply->body + len, reply->body_len - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    reply->json = json_loadb(reply->body, reply->body_len, 0, NULL);
    return true;
}

void reply_clear(struct reply *reply)
{
    free(reply->body);
    json_decref(reply->json);
    reply->body = NULL;
    reply->json = NULL;
}

bool client_closed(int fd, int ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    char bytes[4096];
    while (poll(&at, 1, ms) > 0) {
        if (recv(fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    }
    return false;
}

struct reply rig_ask(const struct rig *rig, const char *method, const char *path,
                     const char *headers, const char *body)
{
    struct reply reply;
    char *text = NULL;
    int fd = client_connect(rig);
    MUST(asprintf(&text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%sContent-Length: %zu\r\n\r\n%s",
                  method, path, headers,
                  strstr(headers, "Content-Type:") == NULL ? "Content-Type: application/json\r\n"
                                                           : "",
                  strlen(body), body) > 0);
    client_write(fd, text);
    client_read(fd, &reply, strcmp(method, "HEAD") == 0);
    free(text);
    close(fd);
    return reply;
}

static const char *next_header(const char *line, const char *name, const char **ret_value)
{
    size_t len = strlen(name);
    for (line = strstr(line, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            *ret_value = line + len + 1 + strspn(line + len + 1, " ");
            return line;
        }
    }
    return NULL;
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[1024];
    const char *at = NULL;
    if (next_header(reply->head, name, &at) == NULL)
        return NULL;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

unsigned reply_header_count(const struct reply *reply, const char *name)
{
    unsigned count = 0;
    const char *at = NULL;
    for (const char *line = reply->head; (line = next_header(line, name, &at)) != NULL;)
        count++;
    return count;
}

const char *reply_text(const struct reply *reply, const char *outer, const char *inner)
{
    const json_t *value = json_object_get(reply->json, outer);
    if (inner != NULL)
        value = json_object_get(value, inner);
    return json_string_value(value);
}

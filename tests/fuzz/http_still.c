/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http_still.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../unit/state_dir.h"
#include "base/log.h"
#include "contracts/agent.h"
#include "contracts/discovery.h"
#include "contracts/ironic_api.h"
#include "contracts/nova.h"
#include "core/audit.h"
#include "core/auth.h"
#include "core/conf_parts.h"
#include "core/driver.h"
#include "http/server.h"
#include "http/state.h"
#include "loop/pool.h"

#define IDLE_TURNS 3          /* so many in which nothing moves, and nothing will */
#define TURNS_MAX  20000      /* more is an endless loop */
#define ANSWERS    (16 << 20) /* of as many requests for long lists as fit into an input */

struct still still;

/* ---- Pools without threads ---- */

struct job {
    loop_fn *work, *done;
    void *arg;
    struct job *next;
};

struct pool {
    int unused;
};

static struct job *jobs, **jobs_end = &jobs;

struct pool *pool_new(struct loop *loop, unsigned threads, size_t queue_max, struct fault *fault)
{
    (void)loop;
    (void)threads;
    (void)queue_max;
    (void)fault;
    return calloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    free(pool);
}

int pool_submit(struct pool *pool, loop_fn *work, loop_fn *done, void *arg, struct fault *fault)
{
    struct job *job = calloc(1, sizeof *job);
    (void)pool;
    if (job == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    *job = (struct job){work, done, arg, NULL};
    *jobs_end = job;
    jobs_end = &job->next;
    return 0;
}

/* One is as urgent as the other where each is done before the loop waits. */
int pool_submit_ranked(struct pool *pool, unsigned rank, loop_fn *work, loop_fn *done, void *arg,
                       struct fault *fault)
{
    (void)rank;
    return pool_submit(pool, work, done, arg, fault);
}

static bool run_job(void)
{
    struct job *job = jobs;
    if (job == NULL)
        return false;
    jobs = job->next;
    if (jobs == NULL)
        jobs_end = &jobs;
    job->work(job->arg);
    job->done(job->arg);
    free(job);
    return true;
}

/* ---- The driver that counts ---- */

static void on_go(void *arg)
{
    struct action *action = arg;
    if (strcmp(action->node->name, "doubt") == 0)
        action_finish(action, OUTCOME_UNKNOWN, FAULT_NO_ANSWER, "no answer came");
    else
        action_finish(action, OUTCOME_DELIVERED, FAULT_NONE, "delivered");
}

static void fake_start(void *self, struct action *action)
{
    (void)self;
    still.starts++;
    if (strcmp(action->node->name, "bad") == 0)
        action_finish(action, OUTCOME_FAILED, FAULT_UNREACHABLE, "no answer from the BMC");
    else
        action_sending(action, on_go, action);
}

static void fake_abort(void *self, struct action *action, enum fault_code code, const char *why)
{
    (void)self;
    (void)code;
    (void)why;
    MUST(action == NULL); /* nothing here takes long enough */
}

static void fake_probe(void *self, struct node *node, driver_probe_fn *done, void *arg)
{
    json_t *result = json_pack("{s:s}", "power", "on");
    (void)self;
    (void)node;
    done(arg, result, NULL);
    json_decref(result);
}

static json_t *fake_info(const void *info)
{
    (void)info;
    return json_object();
}

static void *fake_open(struct loop *loop, const struct conf_ipmi *settings, struct fault *fault)
{
    (void)loop;
    (void)settings;
    (void)fault;
    return &still;
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

/* ---- The server ---- */

static struct rig {
    struct conf conf;
    struct conf_auth auth_conf;
    struct loop *loop;
    struct journal *journal;
    struct audit *audit;
    struct engine *engine;
    struct http_server *server;
    struct agent *agent;
    struct nova *nova;
    struct ironic_api *ironic;
    struct auth *auth;
    struct pool *passwords;
    char dir[STATE_DIR_MAX], path[2][STATE_DIR_MAX + 24];
    unsigned idle, turns;
    int client; /* -1: none */
    char *answers;
    unsigned long trace;
} rig;

static void add_node(const char *name, enum node_status status)
{
    static unsigned number;
    const struct node *other = NULL;
    const char *what = NULL;
    char target[32];
    struct node *node = node_new();
    MUST(node != NULL);
    snprintf(node->uuid, sizeof node->uuid, "00000000-0000-4000-8000-%012x", ++number);
    snprintf(target, sizeof target, "192.0.2.1:%u", number);
    node->name = strdup(name);
    node->target = strdup(target);
    node->status = status;
    node->locked = strcmp(name, "locked") == 0;
    node->driver = &fake;
    MUST(node_table_add(rig.conf.nodes, node, &other, &what) == 0);
}

static void make_conf(void)
{
    rig.conf.ipmi.window = 64;
    rig.conf.limits = (struct conf_limits){
        .connections = 64,
        .connections_per_address = 64,
        .url_bytes = 512,
        .header_bytes = 2048,
        .token_bytes = 256,
        .body_bytes = 1024,
        .request_s = 60,
        .idle_s = 60,
        .requests_per_principal = 64,
        .login_failures_s = 300,
        .history = 64,
        .queue = 64,
        .queue_s = 300,
    };
    rig.conf.nodes = node_table_new();
    MUST(conf_policy_defaults(&rig.conf) == 0);
    add_node("n1", NODE_ACTIVE);
    add_node("n2", NODE_ACTIVE);
    add_node("bad", NODE_ACTIVE);
    add_node("doubt", NODE_ACTIVE);
    add_node("locked", NODE_ACTIVE);
    add_node("stopped", NODE_SHUTOFF);
}

static void read_answers(void)
{
    while (rig.client >= 0 && !still.ended) {
        MUST(still.answers_len < ANSWERS);
        ssize_t got = recv(rig.client, rig.answers + still.answers_len, ANSWERS - still.answers_len,
                           MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        still.ended = got <= 0;
        still.answers_len += got > 0 ? (size_t)got : 0;
    }
}

/* The last before each wait of the loop, which never waits: nothing has to that is not seen here.
 */
static void on_before_wait(void *arg)
{
    int unread = 0;
    (void)arg;
    bool worked = run_job();
    read_answers();
    if (rig.client >= 0)
        ioctl(rig.client, TIOCOUTQ, &unread);
    struct engine_counts counts;
    engine_counts(rig.engine, &counts);
    unsigned long trace = still.answers_len * 31 + (unsigned long)unread * 7 + still.ended;
    trace = trace * 31 + rig.server->connections * 17 + (rig.server->exchanges != NULL);
    bool busy = worked || jobs != NULL || trace != rig.trace || counts.in_flight > 0;
    for (struct listener *at = rig.server->listeners; at != NULL; at = at->next)
        busy |= at->dirty;
    rig.trace = trace;
    rig.idle = busy ? 0 : rig.idle + 1;
    MUST(++rig.turns < TURNS_MAX);
    if (rig.idle >= IDLE_TURNS)
        loop_stop(rig.loop);
    else
        loop_wake(rig.loop);
}

static void run_until_idle(void)
{
    rig.idle = rig.turns = 0;
    loop_run(rig.loop);
}

static void stop_server(void)
{
    http_server_free(rig.server);
    auth_free(rig.auth);
    ironic_api_free(rig.ironic);
    nova_free(rig.nova);
    agent_free(rig.agent);
    engine_free(rig.engine);
    audit_free(rig.audit);
    journal_free(rig.journal);
    loop_free(rig.loop);
    pool_free(rig.passwords);
    node_table_free(rig.conf.nodes);
    conf_policy_clear(&rig.conf.policy);
    free(rig.answers);
    state_dir_remove(rig.dir);
}

static void mount(const struct http_contract *contract, void *self)
{
    MUST(http_server_mount(rig.server, contract, self, NULL) == 0);
}

/* A UNIX socket either way: half a million inputs would use up the ports. The second one takes
 * itself for one on 127.0.0.1. */
static void listen_twice(void)
{
    for (int i = 0; i < 2; i++) {
        snprintf(rig.path[i], sizeof rig.path[i], "%s/nmid.%d", rig.dir, i);
        const struct conf_listener conf = {.socket = rig.path[i]};
        MUST(http_server_listen(rig.server, &conf, rig.auth, NULL) == 0);
    }
    struct listener *second = rig.server->listeners;
    second->loopback = true;
    snprintf(second->address, sizeof second->address, "127.0.0.1");
}

void still_start(void)
{
    static const struct driver *const drivers[] = {&fake, NULL};
    if (rig.server != NULL)
        return;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0); /* a disk would be the slowest part by far */
    log_set_level(LOG_LEVEL_ERROR);
    make_conf();
    state_dir_make(rig.dir);
    MUST((still.answers = rig.answers = malloc(ANSWERS)) != NULL);
    MUST((rig.loop = loop_new(NULL)) != NULL);
    MUST(loop_before_wait(rig.loop, on_before_wait, NULL, NULL) == 0);
    rig.journal = state_dir_journal(rig.dir, rig.loop, rig.conf.limits.history, NULL);
    MUST(rig.journal != NULL);
    MUST((rig.engine = engine_new(rig.loop, &rig.conf, drivers, rig.journal, NULL)) != NULL);
    MUST((rig.audit = audit_new(rig.loop, rig.journal, &rig.conf.audit, NULL)) != NULL);
    engine_set_audit(rig.engine, rig.audit);
    MUST((rig.server = http_server_new(rig.loop, &rig.conf.limits, NULL)) != NULL);
    MUST((rig.agent = agent_new(rig.loop, rig.engine, 64, "9.9", NULL)) != NULL);
    MUST((rig.nova = nova_new(rig.engine, NULL)) != NULL);
    MUST((rig.ironic = ironic_api_new(rig.engine, NULL)) != NULL);
    mount(&agent_contract, rig.agent);
    mount(&nova_contract, rig.nova);
    mount(&ironic_contract, rig.ironic);
    mount(&discovery_contract, NULL);
    rig.auth = auth_new(rig.loop, &rig.auth_conf, &rig.conf.policy, NULL, &rig.passwords, NULL);
    MUST(rig.auth != NULL);
    listen_twice();
    atexit(stop_server);
}

/* ---- The client ---- */

void still_connect(unsigned listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.path[listener]);
    still.answers_len = 0;
    still.ended = false;
    rig.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(rig.client >= 0);
    MUST(connect(rig.client, (struct sockaddr *)&address, sizeof address) == 0);
}

void still_send(const char *bytes, size_t len)
{
    while (len > 0 && !still.ended) {
        ssize_t put = send(rig.client, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno != EAGAIN)
            return; /* closed: what came before that is read */
        bytes += put < 0 ? 0 : put;
        len -= put < 0 ? 0 : (size_t)put;
        run_until_idle();
    }
}

void still_throw(const char *bytes, size_t len)
{
    send(rig.client, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void still_close(void)
{
    close(rig.client);
    rig.client = -1;
    run_until_idle();
    MUST(rig.server->connections == 0);
    MUST(rig.server->exchanges == NULL);
}

void still_check_next(unsigned listener)
{
    static const char health[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    still_connect(listener);
    still_send(health, sizeof health - 1);
    MUST(still.answers_len > 20 && memcmp(rig.answers, "HTTP/1.1 200 OK\r\n", 17) == 0);
    still_close();
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmid: options, wiring in a visible order, teardown in reverse. This file alone knows all others. */
#include "config.h"

#include <commit.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "contracts/agent.h"
#include "contracts/discovery.h"
#include "contracts/ironic_api.h"
#include "contracts/nova.h"
#include "core/attempts.h"
#include "core/audit.h"
#include "core/auth.h"
#include "core/conf.h"
#include "core/driver.h"
#include "core/engine.h"
#include "core/generation.h"
#include "core/journal.h"
#include "core/limits.h"
#include "drivers/ipmi.h"
#include "drivers/noop.h"
#include "host/notify.h"
#include "host/process.h"
#include "http/server.h"

static const struct driver *const drivers[] = {&ipmi_driver, &noop_driver, NULL};

/* What listens: as its generation's configuration has it at this place. */
struct listening {
    struct generation *generation;
    size_t at;
};

struct daemon {
    const char *conf_path;
    struct loop *loop;
    struct loop_timer *reload_timer;
    struct generations *generations;
    struct generation *now; /* the one in force */
    struct listening *listening;
    size_t listening_count;
    struct journal *journal;
    struct audit *audit;
    struct limits *limits;
    struct attempts *attempts; /* failed log-ins, of all generations */
    struct engine *engine;
    struct http_server *server;
    struct nova *nova;
    struct ironic_api *ironic;
    struct agent *agent;
    struct notify *notify;
    bool stopping, reload_due, reload_failed;
};

static const char usage[] =
    "Usage: nmid [-c FILE] [-t] [-v]\n"
    "Injects non-maskable interrupts into machines through their BMCs, at most once each.\n"
    "\n"
    "  -c, --config FILE  the configuration (default " SYSCONFDIR "/nmid/nmid.conf)\n"
    "  -t, --test         check the configuration and exit: 0 good, 1 bad\n"
    "  -v, --verbose      log debugging lines too\n"
    "  -V, --version      print the version and exit\n"
    "  -h, --help         print this help and exit\n"
    "\n"
    "Runs in the foreground and logs to stderr. SIGHUP reloads the configuration, SIGTERM drains\n"
    "(what was sent is awaited) and exits. See nmid(8) and nmid.conf(5).\n";

/* ---- The configuration ---- */

static void print_report(const char *prefix, const struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        fprintf(stderr, "%s%s\n", prefix, report->lines[i]);
    if (report->dropped > 0)
        fprintf(stderr, "%s... and %zu more\n", prefix, report->dropped);
}

#define NODES_TEXT 40

static const char *nodes_text(const struct conf *conf, char text[NODES_TEXT])
{
    size_t count = node_table_count(conf->nodes);
    snprintf(text, NODES_TEXT, "%zu node%s", count, count == 1 ? "" : "s");
    return text;
}

static int check_configuration(const char *path)
{
    char text[NODES_TEXT];
    struct report errors = {0}, warnings = {0};
    struct conf *conf = NULL;
    int result = conf_load(path, drivers, &conf, &errors, &warnings);
    print_report("", &errors);
    print_report("warning: ", &warnings);
    if (result == 0)
        printf("%s: good, %s\n", path, nodes_text(conf, text));
    report_clear(&errors);
    report_clear(&warnings);
    conf_free(conf);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Loads and logs what is wrong. */
static struct conf *load_configuration(const char *path)
{
    struct report errors = {0}, warnings = {0};
    struct conf *conf = NULL;
    if (conf_load(path, drivers, &conf, &errors, &warnings) < 0)
        conf = NULL;
    for (size_t i = 0; i < errors.count; i++)
        log_error("%s", errors.lines[i]);
    if (errors.dropped > 0)
        log_error("... and %zu more errors", errors.dropped);
    for (size_t i = 0; i < warnings.count; i++)
        log_warning("%s", warnings.lines[i]);
    report_clear(&errors);
    report_clear(&warnings);
    return conf;
}

/* ---- Generations ---- */

/* Gives what listens the auth that the generation has for it; what it has not listed stays as it
 * is. */
static void switch_listeners(struct daemon *daemon, struct generation *next)
{
    const struct conf *conf = generation_conf(next);
    size_t found = 0;
    for (size_t i = 0; i < daemon->listening_count; i++) {
        struct listening *listening = &daemon->listening[i];
        size_t at = generation_find(listening->generation, listening->at, conf);
        if (at == conf->listener_count)
            continue;
        found++;
        http_server_set_auth(daemon->server, i, generation_auth(next, at));
        http_server_set_tls(daemon->server, i, conf->listeners[at].tls.tls);
        generation_leave(listening->generation);
        *listening = (struct listening){generation_join(next), at};
    }
    if (found != daemon->listening_count || found != conf->listener_count)
        log_warning("listeners change only with a restart");
}

/* ---- What the service manager hears ---- */

/* For `systemctl status`, which everybody may read: counts, and no names. */
static void tell_status(void *arg, char text[NOTIFY_STATUS_MAX])
{
    const struct daemon *daemon = arg;
    char nodes[NODES_TEXT];
    struct engine_counts counts;
    engine_counts(daemon->engine, &counts);
    snprintf(text, NOTIFY_STATUS_MAX, "%s%s; actions: %zu under way, %zu waiting%s",
             daemon->stopping ? "stopping; " : "", nodes_text(generation_conf(daemon->now), nodes),
             counts.in_flight, counts.queued,
             daemon->reload_failed
                 ? "; the configuration has mistakes now (see the log): the last good one is in force"
                 : "");
}

/* ---- Signals ---- */

/* Against what is in force: by itself a certificate that is out of date is no mistake. */
static bool certificates_are_good(const struct daemon *daemon, const struct conf *conf)
{
    bool good = true;
    for (size_t i = 0; i < daemon->listening_count; i++) {
        const struct listening *listening = &daemon->listening[i];
        size_t at = generation_find(listening->generation, listening->at, conf);
        struct fault fault = {0};
        if (at == conf->listener_count ||
            http_server_check_tls(daemon->server, i, &conf->listeners[at].tls, &fault) == 0)
            continue;
        log_error("%s: %s", daemon->conf_path, fault.message);
        good = false;
    }
    return good;
}

/* What the file says now, with all that can go wrong behind it; or NULL. */
static struct generation *next_generation(struct daemon *daemon)
{
    struct fault fault = {0};
    struct conf *conf = load_configuration(daemon->conf_path);
    if (conf != NULL && !certificates_are_good(daemon, conf)) {
        conf_free(conf);
        return NULL;
    }
    struct generation *next =
        conf == NULL ? NULL : generation_new(daemon->generations, conf, &fault);
    if (conf != NULL && next == NULL)
        log_error("%s", fault.message);
    return next;
}

/* All or nothing: a configuration with one error changes nothing. */
static bool reload(struct daemon *daemon)
{
    char text[NODES_TEXT];
    struct generation *next = next_generation(daemon), *last = daemon->now;
    if (next == NULL) {
        log_error("the configuration was not reloaded: the old one stays in force");
        return false;
    }
    const struct conf *conf = generation_conf(next);
    if (strcmp(generation_conf(last)->state_dir, conf->state_dir) != 0)
        log_warning("state_dir changes only with a restart");
    journal_configure(daemon->journal, conf->limits.history, conf->limits.history_days);
    audit_configure(daemon->audit, &conf->audit);
    attempts_configure(daemon->attempts, &conf->limits);
    engine_reload(daemon->engine, conf);
    http_server_configure(daemon->server, &conf->limits);
    limits_configure(daemon->limits, http_server_limits(daemon->server)); /* the log names these */
    switch_listeners(daemon, next);
    daemon->now = next;
    generation_leave(last); /* the checks that it has under way are still its own */
    log_info("reloaded: %s", nodes_text(conf, text));
    return true;
}

static void on_reload(void *arg)
{
    struct daemon *daemon = arg;
    daemon->reload_due = false; /* a signal from here on wants another */
    if (daemon->stopping)
        return;
    log_info("reloading %s", daemon->conf_path);
    notify_reloading(daemon->notify);
    daemon->reload_failed = !reload(daemon);
    heap_trim();
    notify_ready(daemon->notify);
}

/* Not at once: a thousand signals that came together are one reload, after what else the loop has
 * to do; SIGTERM, say. */
static void on_hangup(void *arg)
{
    struct daemon *daemon = arg;
    if (!daemon->reload_due)
        loop_timer_set(daemon->reload_timer, clock_mono_us());
    daemon->reload_due = true;
}

static void on_answers_sent(void *arg)
{
    struct daemon *daemon = arg;
    loop_stop(daemon->loop);
}

static void on_engine_drained(void *arg)
{
    struct daemon *daemon = arg;
    http_server_drain(daemon->server, on_answers_sent, daemon);
}

static void on_terminate(void *arg)
{
    struct daemon *daemon = arg;
    struct engine_counts counts;
    engine_counts(daemon->engine, &counts);
    if (daemon->stopping) {
        log_warning("stopping at once; the outcome of %zu actions stays unknown", counts.in_flight);
        loop_stop(daemon->loop);
        return;
    }
    daemon->stopping = true;
    log_info("stopping: %zu actions under way", counts.in_flight);
    notify_stopping(daemon->notify);
    http_server_refuse(daemon->server);
    attempts_hurry(daemon->attempts);
    engine_drain(daemon->engine, on_engine_drained, daemon);
}

/* ---- Wiring ---- */

static int watch_signals(struct daemon *daemon, struct fault *fault)
{
    return loop_on_signal(daemon->loop, SIGHUP, on_hangup, daemon, fault) < 0 ||
                   loop_on_signal(daemon->loop, SIGTERM, on_terminate, daemon, fault) < 0 ||
                   loop_on_signal(daemon->loop, SIGINT, on_terminate, daemon, fault) < 0
               ? -1
               : 0;
}

static int mount_contracts(struct daemon *daemon, struct fault *fault)
{
    daemon->nova = nova_new(daemon->engine, fault);
    daemon->ironic = ironic_api_new(daemon->engine, fault);
    daemon->agent = agent_new(daemon->loop, daemon->engine, generation_conf(daemon->now)->limits.history,
                              PACKAGE_VERSION, fault);
    if (daemon->nova == NULL || daemon->ironic == NULL || daemon->agent == NULL)
        return -1;
    return http_server_mount(daemon->server, &nova_contract, daemon->nova, fault) < 0 ||
                   http_server_mount(daemon->server, &ironic_contract, daemon->ironic, fault) < 0 ||
                   http_server_mount(daemon->server, &discovery_contract, NULL, fault) < 0 ||
                   http_server_mount(daemon->server, &agent_contract, daemon->agent, fault) < 0
               ? -1
               : 0;
}

static int listen_all(struct daemon *daemon, struct fault *fault)
{
    struct generation *now = daemon->now;
    const struct conf *conf = generation_conf(now);
    size_t count = conf->listener_count;
    daemon->listening = calloc(count, sizeof *daemon->listening);
    if (daemon->listening == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (http_server_listen(daemon->server, &conf->listeners[i], generation_auth(now, i), fault) < 0)
            return -1;
        daemon->listening[daemon->listening_count++] = (struct listening){generation_join(now), i};
    }
    return 0;
}

/* What every generation needs. */
static int daemon_prepare(struct daemon *daemon, const struct conf *conf, struct fault *fault)
{
    if ((daemon->loop = loop_new(fault)) == NULL ||
        (daemon->reload_timer = loop_timer_new(daemon->loop, on_reload, daemon, fault)) == NULL ||
        watch_signals(daemon, fault) < 0)
        return -1;
    if ((daemon->notify = notify_new(daemon->loop, tell_status, daemon, fault)) == NULL)
        return -1;
    const struct journal_settings settings = {conf->state_dir, conf->limits.history,
                                              conf->limits.history_days};
    if ((daemon->journal = journal_new(daemon->loop, &settings, fault)) == NULL)
        return -1;
    if ((daemon->audit = audit_new(daemon->loop, daemon->journal, &conf->audit, fault)) == NULL)
        return -1;
    if ((daemon->limits = limits_new(&conf->limits, fault)) == NULL)
        return -1;
    daemon->attempts = attempts_new(daemon->loop, &conf->limits, daemon->limits, fault);
    if (daemon->attempts == NULL)
        return -1;
    const struct generations_settings common = {daemon->loop, daemon->audit, daemon->attempts};
    daemon->generations = generations_new(&common, fault);
    return daemon->generations == NULL ? -1 : 0;
}

/* Takes conf over. */
static int daemon_start(struct daemon *daemon, struct conf *conf, struct fault *fault)
{
    if (daemon_prepare(daemon, conf, fault) < 0) {
        conf_free(conf);
        return -1;
    }
    if ((daemon->now = generation_new(daemon->generations, conf, fault)) == NULL)
        return -1;
    daemon->engine = engine_new(daemon->loop, conf, drivers, daemon->journal, fault);
    if (daemon->engine == NULL)
        return -1;
    engine_set_audit(daemon->engine, daemon->audit);
    engine_set_limits(daemon->engine, daemon->limits);
    if ((daemon->server = http_server_new(daemon->loop, &conf->limits, fault)) == NULL)
        return -1;
    http_server_set_limits(daemon->server, daemon->limits);
    limits_configure(daemon->limits, http_server_limits(daemon->server));
    if (mount_contracts(daemon, fault) < 0)
        return -1;
    return listen_all(daemon, fault);
}

static void daemon_stop(struct daemon *daemon)
{
    http_server_free(daemon->server);
    agent_free(daemon->agent);
    ironic_api_free(daemon->ironic);
    nova_free(daemon->nova);
    engine_free(daemon->engine);
    for (size_t i = 0; i < daemon->listening_count; i++)
        generation_leave(daemon->listening[i].generation);
    free(daemon->listening);
    generation_leave(daemon->now);
    generations_free(daemon->generations);
    attempts_free(daemon->attempts); /* what the generations' pool drops still counts there */
    limits_free(daemon->limits);
    audit_free(daemon->audit);
    journal_free(daemon->journal);
    notify_free(daemon->notify);
    loop_timer_free(daemon->reload_timer);
    loop_free(daemon->loop);
}

static int run(const char *conf_path)
{
    struct daemon daemon = {.conf_path = conf_path};
    char text[NODES_TEXT];
    struct fault fault = {0};
    struct conf *conf = load_configuration(conf_path);
    if (conf == NULL)
        return EXIT_FAILURE;
    int result = daemon_start(&daemon, conf, &fault);
    if (result < 0) {
        log_error("%s", fault.message);
    } else {
        heap_trim();
        log_info("nmid %s is ready: %s", PACKAGE_VERSION, nodes_text(generation_conf(daemon.now), text));
        process_remarks();
        notify_ready(daemon.notify);
        loop_run(daemon.loop);
        log_info("stopped");
    }
    daemon_stop(&daemon);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},      {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    const char *conf_path = SYSCONFDIR "/nmid/nmid.conf";
    bool test = false;
    process_settle();
    for (int option; (option = getopt_long(argc, argv, "c:tvVh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            conf_path = optarg;
            break;
        case 't':
            test = true;
            break;
        case 'v':
            log_set_level(LOG_LEVEL_DEBUG);
            break;
        case 'V':
            puts("nmid " PACKAGE_VERSION COMMIT);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("Try 'nmid --help'.\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "nmid: unexpected argument '%s'\nTry 'nmid --help'.\n", argv[optind]);
        return 2;
    }
    return test ? check_configuration(conf_path) : run(conf_path);
}

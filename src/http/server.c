/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libmicrohttpd inside the loop: its epoll descriptor is watched, its time-out is a timer, and it
 * runs once more before each wait after a resume or a closed connection (without that, resumed
 * connections stall, and clients that wait at the connection limit are never accepted). */
#include "http/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/tls.h"
#include "http/certificates.h"
#include "http/exchange_state.h"
#include "http/refused.h"
#include "http/secure.h"

#define DRAIN_US 2000000
/* More than any setting of limits.connections: at a limit of its own libmicrohttpd would accept
 * nobody, and nobody's place could be given to another. */
#define CONNECTIONS_MAX 100000

/* ---- Running the daemons ---- */

void listener_mark(struct listener *listener)
{
    if (listener->dirty)
        return;
    listener->dirty = true;
    loop_wake(listener->server->loop);
}

static void listener_run(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    listener->dirty = false;
    MHD_run(listener->daemon);
    refused_settle(listener);
    secure_hold(listener);
    if (MHD_get_timeout(listener->daemon, &wait_ms) != MHD_YES)
        loop_timer_clear(listener->timer);
    else if (wait_ms == 0)
        listener_mark(listener);
    else
        loop_timer_set(listener->timer, clock_mono_us() + (int64_t)wait_ms * 1000);
}

static void on_epoll(void *arg, unsigned events)
{
    (void)events;
    listener_run(arg);
}

static void on_timer(void *arg)
{
    listener_run(arg);
}

static void report_drained(struct http_server *server)
{
    loop_fn *drained = server->drained;
    server->drained = NULL;
    loop_timer_clear(server->drain_timer);
    if (drained != NULL)
        drained(server->drained_arg);
}

static void on_before_wait(void *arg)
{
    struct http_server *server = arg;
    for (struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->dirty)
            listener_run(listener);
    }
    lists_turn(server);
    if (server->drained != NULL && server->exchanges == NULL)
        report_drained(server);
}

/* ---- Listeners ---- */

static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text); /* decoded by us, after the split into segments */
}

static void on_log(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void on_log(void *cls, const char *format, va_list args)
{
    struct listener *listener = cls;
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    refused_line(listener, line);
    log_debug("http: %s", line);
}

/* What libmicrohttpd makes of a head stands beside it. It is asked for at the start, once. */
static size_t memory_for(const struct conf_limits *limits)
{
    size_t memory = (size_t)limits->header_bytes * 2;
    return memory < 32768 ? 32768 : memory;
}

static int daemon_start(struct listener *listener, int fd, struct fault *fault)
{
    size_t memory = listener->server->memory = memory_for(&listener->server->limits);
    /* Before 1.0, "strict" drops a malformed request without an answer; our guards give one. */
    const int strict = fields_are_in_place() ? 0 : 1;
    unsigned flags = 0;
    struct MHD_OptionItem secure[2];
    if (secure_options(listener, secure, &flags, fault) < 0) {
        close(fd);
        return -1;
    }
    flags |= MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (strchr(listener->address, ':') != NULL)
        flags |= MHD_USE_IPv6;
    listener->daemon = MHD_start_daemon(
        flags, 0, connection_on_accept, listener, exchange_on_access, listener, /* */
        MHD_OPTION_EXTERNAL_LOGGER, on_log, listener,                /* first: it hears the rest */
        MHD_OPTION_LISTEN_SOCKET, fd,                                /* */
        MHD_OPTION_ARRAY, secure,                                    /* */
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,                /* connection.c has ours */
        MHD_OPTION_CONNECTION_TIMEOUT, 0u,                           /* we have timers of our own */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,                  /* */
        MHD_OPTION_STRICT_FOR_CLIENT, strict,                        /* */
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,            /* */
        MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, listener,   /* */
        MHD_OPTION_NOTIFY_CONNECTION, connection_on_notify, listener,       /* */
        MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, listener, MHD_OPTION_END);
    if (listener->daemon != NULL)
        return 0;
    close(fd);
    return fault_set(fault, FAULT_SYSTEM, "libmicrohttpd did not start");
}

void listener_free(struct listener *listener)
{
    loop_watch_free(listener->watch);
    listener_close_socket(listener);
    if (listener->daemon != NULL)
        MHD_stop_daemon(listener->daemon);
    loop_timer_free(listener->timer);
    tls_session_free(listener->ended);
    tls_unref(listener->tls);
    free(listener);
}

static int listener_start(struct listener *listener, int fd, struct fault *fault)
{
    struct loop *loop = listener->server->loop;
    if (daemon_start(listener, fd, fault) < 0)
        return -1;
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return fault_set(fault, FAULT_SYSTEM, "libmicrohttpd has no epoll descriptor");
    listener->watch =
        loop_watch_new(loop, info->epoll_fd, LOOP_READABLE, on_epoll, listener, fault);
    listener->timer = loop_timer_new(loop, on_timer, listener, fault);
    return listener->watch == NULL || listener->timer == NULL ? -1 : 0;
}

int http_server_listen(struct http_server *server, const struct conf_listener *conf,
                       struct auth *auth, struct fault *fault)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    listener->server = server;
    listener->auth = auth;
    listener->tls = conf->tls.tls == NULL ? NULL : tls_ref(conf->tls.tls);
    listener->number = server->listeners != NULL ? server->listeners->number + 1 : 0;
    int fd = socket_open(conf, listener, fault);
    if (fd < 0 || listener_start(listener, fd, fault) < 0) {
        listener_free(listener);
        return -1;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    listener_mark(listener);
    return 0;
}

void http_server_set_auth(struct http_server *server, size_t n, struct auth *auth)
{
    for (struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->number == n)
            listener->auth = auth;
    }
}

int http_server_check_tls(const struct http_server *server, size_t n, const struct conf_tls *next,
                          struct fault *fault)
{
    for (const struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->number == n)
            return certificates_check_next(listener, next, fault);
    }
    return 0;
}

void http_server_set_tls(struct http_server *server, size_t n, struct tls *tls)
{
    for (struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->number == n)
            secure_switch(listener, tls);
    }
}

/* ---- The server ---- */

static void on_drain_timer(void *arg)
{
    report_drained(arg);
}

struct http_server *http_server_new(struct loop *loop, const struct conf_limits *limits,
                                    struct fault *fault)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL || (server->addresses = map_new()) == NULL) {
        free(server);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    server->loop = loop;
    TAILQ_INIT(&server->left);
    TAILQ_INIT(&server->turns);
    http_server_configure(server, limits);
    server->drain_timer = loop_timer_new(loop, on_drain_timer, server, fault);
    server->failures = tls_failures_new(loop, fault);
    if (server->drain_timer == NULL || server->failures == NULL ||
        certificates_watch(server, fault) < 0 ||
        loop_before_wait(loop, on_before_wait, server, fault) < 0) {
        http_server_free(server);
        return NULL;
    }
    return server;
}

/* A connection has the memory of the start. More than half of it would sometimes fit beside what
 * libmicrohttpd makes of it, and sometimes not: so no head is larger. */
static void fit_memory(struct conf_limits *limits, size_t memory)
{
    unsigned most = (unsigned)(memory / 2);
    if (memory == 0 || limits->header_bytes <= most)
        return;
    log_warning("limits.header_bytes grows beyond %u only with a restart: until then it is %u, and "
                "url_bytes and token_bytes are no more than that",
                most, most);
    limits->header_bytes = most;
    limits->url_bytes = limits->url_bytes < most ? limits->url_bytes : most;
    limits->token_bytes = limits->token_bytes < most ? limits->token_bytes : most;
}

void http_server_configure(struct http_server *server, const struct conf_limits *limits)
{
    server->limits = *limits;
    server->limits.connections = connections_fitting(limits->connections);
    fit_memory(&server->limits, server->memory);
}

const struct conf_limits *http_server_limits(const struct http_server *server)
{
    return &server->limits;
}

void http_server_set_limits(struct http_server *server, struct limits *limits)
{
    server->counts = limits;
}

int http_server_mount(struct http_server *server, const struct http_contract *contract, void *self,
                      struct fault *fault)
{
    struct mount *mount = calloc(1, sizeof *mount);
    if (mount == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    mount->contract = contract;
    mount->self = self;
    mount->next = server->mounts;
    server->mounts = mount;
    return 0;
}

void http_server_refuse(struct http_server *server)
{
    server->refusing = true;
    for (struct listener *listener = server->listeners; listener != NULL; listener = listener->next)
        listener_close_socket(listener);
}

void http_server_drain(struct http_server *server, loop_fn *done, void *arg)
{
    http_server_refuse(server);
    server->drained = done;
    server->drained_arg = arg;
    loop_timer_set(server->drain_timer, clock_mono_us() + DRAIN_US);
    loop_wake(server->loop);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    server->refusing = server->ending = true;
    exchange_end_all(server);
    for (struct listener *listener = server->listeners, *next; listener != NULL; listener = next) {
        next = listener->next;
        listener_free(listener);
    }
    for (struct mount *mount = server->mounts, *next; mount != NULL; mount = next) {
        next = mount->next;
        free(mount);
    }
    loop_timer_free(server->drain_timer);
    loop_timer_free(server->certificate_timer);
    tls_failures_free(server->failures);
    connection_forget(server);
    map_free(server->addresses);
    free(server);
}

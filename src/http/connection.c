/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "http/exchange_state.h"
#include "http/secure.h"

#define LATE_US     1000000 /* for what was sent in time, and not read yet */
#define KNOWN_US    (24 * INT64_C(3600) * 1000000)
#define KNOWN_MAX   4096 /* addresses without connections that are remembered */
#define OTHER_FILES 256 /* the journal, the BMCs' sockets, callbacks, libraries */

unsigned connections_fitting(unsigned wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY ||
        files.rlim_cur >= 2 * (rlim_t)wanted + OTHER_FILES)
        return wanted;
    rlim_t most = files.rlim_cur > OTHER_FILES + 2 ? (files.rlim_cur - OTHER_FILES) / 2 : 1;
    log_warning("limits.connections (%u) is more than %llu open files leave room for: it is %llu",
                wanted, (unsigned long long)files.rlim_cur, (unsigned long long)most);
    return (unsigned)most;
}

static struct places *places_of(const struct listener *listener)
{
    return &listener->server->places[listener->address[0] == '\0' ? 1 : 0];
}

/* ---- Waiting ---- */

void connection_works(struct connection *connection)
{
    struct places *places = places_of(connection->listener);
    enum wait_of wait = connection->wait;
    if (wait == WAIT_NONE)
        return;
    struct connection *before = connection->before, *behind = connection->behind;
    *(before != NULL ? &before->behind : &places->first[wait]) = behind;
    *(behind != NULL ? &behind->before : &places->last[wait]) = before;
    connection->before = connection->behind = NULL;
    connection->wait = WAIT_NONE;
}

static void wait_in(struct connection *connection, enum wait_of wait)
{
    struct places *places = places_of(connection->listener);
    connection_works(connection);
    if (connection->cut)
        return;
    struct connection *last = places->last[wait];
    connection->before = last;
    *(last != NULL ? &last->behind : &places->first[wait]) = connection;
    places->last[wait] = connection;
    connection->wait = wait;
}

static bool is_known(const struct connection *connection)
{
    const struct address_count *count = connection->count;
    return connection->known || (count != NULL && count->known_us > 0 &&
                                 clock_mono_us() - count->known_us < KNOWN_US);
}

void connection_is_known(struct connection *connection)
{
    connection->known = true;
    if (connection->count != NULL)
        connection->count->known_us = clock_mono_us();
}

void connection_waits(struct connection *connection)
{
    wait_in(connection, is_known(connection) ? WAIT_KNOWN : WAIT_STRANGER);
}

/* A check may take long (Keystone does not answer, passwords queue up), and anybody can have one:
 * else whoever has no password could keep all out who have. */
void connection_is_checked(struct connection *connection)
{
    if (!is_known(connection))
        wait_in(connection, WAIT_CHECKED);
}

/* ---- The end ---- */

static void connection_cut(struct connection *connection)
{
    if (connection->cut)
        return;
    connection_works(connection);
    loop_timer_clear(connection->timer);
    connection->cut = true;
    places_of(connection->listener)->taken--;
    shutdown(connection->fd, SHUT_RDWR); /* libmicrohttpd sees its end, and closes it */
    listener_mark(connection->listener);
}

/* When nmid did something else for long, a reload say, its timers come before its sockets: what a
 * client sent in time is read before it is judged. Once in a request, or a byte at a time would do. */
static bool put_off(struct connection *connection)
{
    int unread = 0;
    if (connection->late || ioctl(connection->fd, FIONREAD, &unread) < 0 || unread == 0)
        return false;
    connection->late = true;
    loop_timer_set(connection->timer, clock_mono_us() + LATE_US);
    return true;
}

static void on_deadline(void *arg)
{
    struct connection *connection = arg;
    if (put_off(connection))
        return;
    limits_reached(connection->listener->server->counts, connection->deadline,
                   connection->address);
    connection_cut(connection);
}

void connection_deadline(struct connection *connection, unsigned seconds, enum limit limit)
{
    connection->deadline = limit;
    connection->late = false;
    if (seconds == 0)
        loop_timer_clear(connection->timer);
    else
        loop_timer_set(connection->timer, clock_mono_us() + (int64_t)seconds * 1000000);
}

/* ---- Addresses ---- */

/* What is counted as one address: of IPv6 a /64, which is what one host has to itself (RFC 6177).
 * False when it is exempt: whoever is on this host, a proxy that stands before all others too. */
static bool address_key(const struct sockaddr *address, char key[64])
{
    const struct sockaddr_in *v4 = (const void *)address;
    struct in6_addr v6;
    if (address != NULL && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, key, 64);
        return (ntohl(v4->sin_addr.s_addr) >> 24) != 127;
    }
    if (address == NULL || address->sa_family != AF_INET6)
        return false;
    v6 = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    bool counted = !IN6_IS_ADDR_LOOPBACK(&v6);
    memset(v6.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &v6, key, 64);
    return counted;
}

static void address_text(const struct sockaddr *address, char text[64])
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    if (address != NULL && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, text, 64);
    else if (address != NULL && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, text, 64);
    else
        memcpy(text, "unix", 5);
}

static struct address_count *count_up(struct http_server *server, const char *text)
{
    struct address_count *count = map_get(server->addresses, text);
    if (count == NULL) {
        count = calloc(1, sizeof *count);
        if (count == NULL)
            return NULL;
        snprintf(count->text, sizeof count->text, "%s", text);
        if (map_put(server->addresses, count->text, count) < 0) {
            free(count);
            return NULL;
        }
    }
    if (count->connections++ == 0 && count->known_us > 0) {
        TAILQ_REMOVE(&server->left, count, entry);
        server->left_count--;
    }
    return count;
}

static void forget_oldest(struct http_server *server)
{
    struct address_count *count = TAILQ_FIRST(&server->left);
    TAILQ_REMOVE(&server->left, count, entry);
    server->left_count--;
    map_remove(server->addresses, count->text);
    free(count);
}

void connection_forget(struct http_server *server)
{
    while (server->left_count > 0)
        forget_oldest(server);
}

static void count_down(struct http_server *server, struct address_count *count)
{
    if (count == NULL || --count->connections > 0)
        return;
    if (count->known_us == 0) {
        map_remove(server->addresses, count->text);
        free(count);
        return;
    }
    TAILQ_INSERT_TAIL(&server->left, count, entry);
    if (++server->left_count > KNOWN_MAX)
        forget_oldest(server);
}

/* ---- The beginning ---- */

/* Room for one more: where there is none, the one that has waited longest goes, first of those that
 * nobody knows. One whose caller is known and whose request is being answered never does. */
static bool make_room(struct listener *listener, const char *newcomer)
{
    struct http_server *server = listener->server;
    struct places *places = places_of(listener);
    if (places->taken < server->limits.connections)
        return true;
    limits_reached(server->counts, LIMIT_CONNECTIONS, newcomer);
    struct connection *longest = NULL;
    for (enum wait_of wait = WAIT_STRANGER; wait < WAITS && longest == NULL; wait++)
        longest = places->first[wait];
    if (longest == NULL)
        return false;
    log_debug("connection from %s cut: others need its place", longest->address);
    connection_cut(longest);
    return true;
}

enum MHD_Result connection_on_accept(void *cls, const struct sockaddr *address, socklen_t len)
{
    struct listener *listener = cls;
    struct http_server *server = listener->server;
    bool local = listener->address[0] == '\0';
    char key[64], text[64];
    (void)len;
    if (server->refusing)
        return MHD_NO;
    address_text(local ? NULL : address, text);
    if (!local && address_key(address, key)) {
        const struct address_count *count = map_get(server->addresses, key);
        if (count != NULL && count->connections >= server->limits.connections_per_address) {
            limits_reached(server->counts, LIMIT_CONNECTIONS_PER_ADDRESS, text);
            log_debug("connection from %s refused: it has %u", key, count->connections);
            return MHD_NO;
        }
    }
    return make_room(listener, text) ? MHD_YES : MHD_NO;
}

/* A client that is gone without a word: who waits long for an answer sends nothing, and has no
 * timer here. The kernel asks it, and ends the connection when it has not answered for so long. */
static void watch_peer(int fd, const struct conf_limits *limits)
{
    const int on = 1, most = 32767; /* the kernel's */
    unsigned seconds = limits->idle_s > limits->request_s ? limits->idle_s : limits->request_s;
    int idle = seconds / 2 > (unsigned)most ? most : (int)(seconds / 2), every = idle / 4;
    unsigned all_ms = seconds * 1000;
    idle = idle > 0 ? idle : 1;
    every = every > 0 ? every : 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &all_ms, sizeof all_ms);
}

static struct connection *connection_new(struct listener *listener, struct MHD_Connection *mhd)
{
    struct http_server *server = listener->server;
    /* From 1.0 on, each answer of MHD_get_connection_info() overwrites the one before. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return NULL;
    int fd = info->connect_fd;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL ||
        (connection->timer = loop_timer_new(server->loop, on_deadline, connection, NULL)) == NULL) {
        free(connection);
        shutdown(fd, SHUT_RDWR); /* nothing would ever end it */
        return NULL;
    }
    connection->listener = listener;
    connection->mhd = mhd;
    connection->fd = fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    bool local = listener->address[0] == '\0';
    const struct sockaddr *address = info != NULL && !local ? info->client_addr : NULL;
    char key[64];
    address_text(address, connection->address);
    if (address_key(address, key))
        connection->count = count_up(server, key);
    if (!local)
        watch_peer(fd, &server->limits);
    secure_begin(connection, mhd);
    return connection;
}

void connection_on_notify(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    struct http_server *server = listener->server;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *connection = connection_new(listener, mhd);
        *context = connection; /* NULL: its first request ends it */
        server->connections++;
        places_of(listener)->taken++;
        if (connection == NULL)
            return;
        connection_deadline(connection, server->limits.request_s, LIMIT_REQUEST_S);
        connection_waits(connection);
        return;
    }
    struct connection *connection = *context;
    server->connections--;
    listener_mark(listener); /* the place is free for one that waits */
    if (connection == NULL || !connection->cut)
        places_of(listener)->taken--;
    if (connection == NULL)
        return;
    connection_works(connection);
    loop_timer_free(connection->timer);
    count_down(server, connection->count);
    secure_end(connection);
    free(connection->peer);
    free(connection);
    *context = NULL;
}

size_t http_connections(const struct http_exchange *exchange, bool local)
{
    return exchange->server->places[local ? 1 : 0].taken;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* listen: who may connect, and how they are known there. With auth "none" every caller is
 * administrator, or the local user that the kernel names: a UNIX socket has its file's permissions,
 * loopback is a warning, any other address an error. */
#include <arpa/inet.h>
#include <libconfig.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "core/conf_parts.h"

#define LISTENERS_MAX 64
#define DEFAULT_PORT  8623
#define SOCKET_MAX    (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* Rewrites a numeric address in its one short form. *ret_loopback: 127/8, ::1, or the former
 * mapped into IPv6. NULL when it is none or memory is out. */
static char *address_copy(const char *address, bool *ret_loopback)
{
    struct in_addr v4;
    struct in6_addr v6;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET, address, &v4) == 1) {
        *ret_loopback = (ntohl(v4.s_addr) >> 24) == 127;
        inet_ntop(AF_INET, &v4, text, sizeof text);
    } else if (inet_pton(AF_INET6, address, &v6) == 1) {
        *ret_loopback =
            IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
        inet_ntop(AF_INET6, &v6, text, sizeof text);
    } else {
        return NULL;
    }
    return strdup(text);
}

/* Clients' certificates are all that this way of authentication looks at. */
static int check_certificates(struct conf_block *block, const struct conf_listener *listener)
{
    const char *key = listener->tls.certificate_file != NULL ? "tls"
                      : listener->socket != NULL             ? "socket"
                                                             : "address";
    const struct conf_auth *auth = &block->reader->conf->auths[listener->auth];
    if (auth->strategy != AUTH_CLIENT_CERTIFICATE || auth->unknown ||
        listener->tls.client_ca_file != NULL)
        return 0;
    return block_complain(block, key,
                          "auth \"client_certificate\" needs tls = { ... } with a client_ca_file");
}

/* What its auth means for an address. */
static int check_address(struct conf_block *block, const struct conf_listener *listener,
                         bool loopback)
{
    const struct conf_auth *auth = &block->reader->conf->auths[listener->auth];
    if (auth->unknown)
        return 0;
    if (auth->strategy == AUTH_NONE && auth->user_count > 0)
        return block_complain(block, "address",
                              "auth \"none\" with users is for a socket: the kernel does not say "
                              "who is at the other end of %s",
                              listener->address);
    if (auth->strategy == AUTH_NONE && !loopback)
        return block_complain(block, "address",
                              "%s is not loopback, and auth \"none\" lets every "
                              "caller inject: expected 127.0.0.1, ::1 or a socket",
                              listener->address);
    if (auth->strategy == AUTH_NONE)
        block_warn(block, "address",
                   "auth \"none\" on %s: every user of this host may inject; prefer a socket",
                   listener->address);
    else if (!loopback && listener->tls.certificate_file == NULL)
        block_warn(block, "address",
                   "http on %s: whoever listens on the way reads passwords and tokens",
                   listener->address);
    return check_certificates(block, listener);
}

static int read_tcp(struct conf_block *block, const char *address, struct conf_listener *listener)
{
    bool loopback = false;
    listener->port = DEFAULT_PORT;
    int result = block_unsigned(block, "port", 0, 65535, &listener->port) < 0 ? -1 : 0;
    conf_read_tls(block, &listener->tls);
    listener->address = address_copy(address, &loopback);
    if (listener->address == NULL)
        return block_complain(block, "address", "expected a numeric IPv4 or IPv6 address");
    return check_address(block, listener, loopback) < 0 ? -1 : result;
}

/* Of a listener that is nowhere, so that nothing is said of its other keys. */
static void take_others(struct conf_block *block)
{
    block_take(block, "port");
    block_take(block, "tls");
}

static int read_socket(struct conf_block *block, struct conf_listener *listener)
{
    if (block_take(block, "port") != NULL)
        return block_complain(block, "port", "a socket has none");
    if (block_take(block, "tls") != NULL)
        return block_complain(block, "tls", "a socket has none: nobody listens on the way to it");
    if (block_path(block, "socket", &listener->socket) < 0)
        return -1;
    if (strlen(listener->socket) > SOCKET_MAX)
        return block_complain(block, "socket", "longer than %zu bytes", SOCKET_MAX);
    return check_certificates(block, listener);
}

static int read_listener(struct conf_block *block, struct conf_listener *listener)
{
    const char *address = NULL;
    int has_address = block_string(block, "address", &address);
    bool has_socket = block_take(block, "socket") != NULL;
    size_t next = block->reader->conf->auth_count;
    if (conf_read_auth(block, next) && block->reader->conf->auth_count > next)
        listener->auth = next;
    if (has_address != 0 && has_socket) {
        take_others(block);
        return block_complain(block, "socket", "stands beside address: expected one of them");
    }
    if (has_socket)
        return read_socket(block, listener);
    if (has_address > 0)
        return read_tcp(block, address, listener);
    take_others(block);
    if (has_address == 0)
        return block_complain(block, "address", "missing: expected address or socket");
    return -1;
}

static bool same_listener(const struct conf_listener *a, const struct conf_listener *b)
{
    if (a->socket != NULL && b->socket != NULL)
        return strcmp(a->socket, b->socket) == 0;
    return a->address != NULL && b->address != NULL && a->port == b->port && a->port != 0 &&
           strcmp(a->address, b->address) == 0;
}

/* Whom one listener's list revokes may not come in by another one, where the same CA is trusted. */
static void compare_lists(struct conf_block *block, const struct conf *conf,
                          const struct conf_listener *listener)
{
    const struct conf_tls *own = &listener->tls;
    for (const struct conf_listener *other = conf->listeners; other < listener; other++) {
        const struct conf_tls *its = &other->tls;
        if (own->client_ca_file == NULL || its->client_ca_file == NULL ||
            strcmp(own->client_ca_file, its->client_ca_file) != 0 ||
            (own->client_crl_file == NULL) == (its->client_crl_file == NULL))
            continue;
        const struct conf_listener *with = own->client_crl_file != NULL ? listener : other;
        const struct conf_listener *without = with == listener ? other : listener;
        block_warn(block, "tls",
                   "%s port %u has no client_crl_file, and lets in whom that of %s port %u revokes: "
                   "their client_ca_file is the same",
                   without->address, without->port, with->address, with->port);
        return;
    }
}

static void add_listener(struct conf_block *block, struct conf *conf)
{
    struct conf_listener *listener = &conf->listeners[conf->listener_count];
    int result = read_listener(block, listener);
    block_finish(block);
    conf->listener_count++; /* a bad one too: conf_free() frees what it has */
    if (result < 0)
        return;
    for (size_t i = 0; i + 1 < conf->listener_count; i++) {
        if (same_listener(&conf->listeners[i], listener)) {
            block_complain(block, listener->socket != NULL ? "socket" : "address", "listed twice");
            return;
        }
    }
    compare_lists(block, conf, listener);
}

void conf_read_listen(struct conf_block *root)
{
    struct conf *conf = root->reader->conf;
    struct config_setting_t *list;
    struct conf_block block;
    if (block_list(root, "listen", &list) <= 0)
        return;
    unsigned count = (unsigned)config_setting_length(list);
    if (count == 0 || count > LISTENERS_MAX) {
        block_complain(root, "listen", "expected 1 to %d listeners", LISTENERS_MAX);
        return;
    }
    struct conf_listener *listeners = calloc(count, sizeof *listeners);
    if (listeners == NULL) {
        block_complain(root, "listen", "out of memory");
        return;
    }
    for (size_t i = 0; i < conf->listener_count; i++)
        free(conf->listeners[i].socket); /* the default */
    free(conf->listeners);
    conf->listeners = listeners;
    conf->listener_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (block_list_group(root, list, i, "listen.", &block) > 0)
            add_listener(&block, conf);
    }
}

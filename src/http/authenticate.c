/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks: collects the credentials of a request, has them checked, and goes on with what came of
 * it: the handler, or an error in the words of the contract that owns the path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "core/auth.h"
#include "http/exchange_state.h"
#include "http/secure.h"

/* Who opened a UNIX connection; the effective group stands first. */
struct peer {
    uid_t uid;
    size_t gid_count;
    gid_t gids[];
};

static struct peer *peer_new(int fd)
{
    struct ucred opened;
    socklen_t len = sizeof opened, groups_len = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &opened, &len) < 0)
        return NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &groups_len) < 0 && errno != ERANGE)
        groups_len = 0;
    struct peer *peer = malloc(sizeof *peer + sizeof peer->gids[0] + groups_len);
    if (peer == NULL)
        return NULL;
    if (groups_len > 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->gids + 1, &groups_len) < 0)
        groups_len = 0;
    peer->uid = opened.uid;
    peer->gids[0] = opened.gid;
    peer->gid_count = 1 + groups_len / sizeof peer->gids[0];
    return peer;
}

/* Asked once: the kernel tells of the moment of connect(), which does not change. NULL: a TCP
 * connection, or it is not known. */
static const struct peer *peer_of(struct connection *connection)
{
    if (connection->peer == NULL && connection->listener->address[0] == '\0')
        connection->peer = peer_new(connection->fd);
    return connection->peer;
}

/* Whoever is known: has he not too much under way already? */
static void enter(struct http_exchange *exchange)
{
    struct fault fault = {0};
    exchange->account = limits_enter(exchange->server->counts, &exchange->principal, &fault);
    if (fault.code == FAULT_NONE)
        exchange_handle(exchange);
    else
        exchange_refuse(exchange, 0, &fault);
}

static void on_checked(void *arg, struct identity *identity, const struct fault *fault)
{
    struct http_exchange *exchange = arg;
    struct connection *connection = exchange->connection;
    struct fault cut = {0};
    exchange->check = NULL;
    connection_works(connection);
    if (connection->cut) { /* nobody would hear what came of it: nothing is begun */
        fault_set(&cut, FAULT_OVERLOADED, "Others needed the connection's place.");
        fault = &cut;
        identity = NULL;
    }
    if (identity != NULL) {
        exchange->identity = identity_ref(identity);
        exchange->principal = identity->principal;
        exchange->principal.address = connection->address;
        connection_is_known(connection);
        enter(exchange);
        return;
    }
    const char *challenge = auth_challenge(connection->listener->auth);
    if (fault->code == FAULT_UNAUTHORIZED && challenge != NULL)
        http_add_header(exchange, "WWW-Authenticate", challenge);
    exchange_refuse(exchange, 0, fault);
}

/* Credentials have done their work once they are checked, or copied into the memory of secrets:
 * they are wiped where libmicrohttpd has them, for an exchange may wait for minutes. */
static void forget_credentials(struct http_exchange *exchange)
{
    static const char *const names[] = {"Authorization", "X-Auth-Token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *value = (char *)http_header(exchange, names[i]);
        if (value != NULL)
            secret_wipe(value, strlen(value));
    }
}

void exchange_authenticate(struct http_exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct fault fault = {0};
    if (secure_check(connection, &fault) < 0) {
        exchange->close = true;
        exchange_refuse(exchange, 0, &fault);
        return;
    }
    const struct peer *peer = peer_of(connection);
    const struct credentials credentials = {
        .address = connection->address,
        .authorization = http_header(exchange, "Authorization"),
        .token = http_header(exchange, "X-Auth-Token"),
        .subject = secure_subject(connection),
        .local = peer != NULL,
        .uid = peer != NULL ? peer->uid : 0,
        .gids = peer != NULL ? peer->gids : NULL,
        .gid_count = peer != NULL ? peer->gid_count : 0,
        .contract = exchange_contract(exchange),
        .method = exchange->method,
        .path = exchange->target,
    };
    exchange->check = auth_check(connection->listener->auth, &credentials, on_checked, exchange);
    if (exchange->check != NULL)
        connection_is_checked(connection);
    forget_credentials(exchange);
}

enum auth_strategy http_auth_strategy(const struct http_exchange *exchange)
{
    return auth_strategy(exchange->connection->listener->auth);
}

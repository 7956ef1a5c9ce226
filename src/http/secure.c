/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections with TLS. Libmicrohttpd drives the handshake and the records; the session gets its
 * credentials from us, those of the moment, so that a reload needs no new listener.
 *
 * While a handshake waits for the client, libmicrohttpd with epoll takes its socket for readable
 * all the time, and turns without a pause (0.9.75 and 1.0.1 alike: they forget that only when
 * reading a record). One client that connects and says nothing would cost a whole processor. So
 * such a connection is suspended, and we wait for its socket. */
#include "http/secure.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/log.h"
#include "core/tls.h"
#include "http/certificates.h"
#include "http/connection.h"
#include "http/state.h"

struct secure {
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct tls_session *session;
    struct loop_watch *watch;    /* while it is suspended; else NULL */
    struct secure *next, **link; /* among listener->shaking or ->held; link is NULL: in neither */
};

/* ---- The listener ---- */

int secure_options(const struct listener *listener, struct MHD_OptionItem options[2],
                   unsigned *ret_flags, struct fault *fault)
{
    options[0] = options[1] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    *ret_flags = 0;
    if (listener->tls == NULL)
        return 0;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return fault_set(fault, FAULT_SYSTEM, "this libmicrohttpd was built without TLS");
    options[0].option = MHD_OPTION_HTTPS_CERT_CALLBACK;
    options[0].ptr_value = (void *)tls_no_certificate();
    *ret_flags = MHD_USE_TLS;
    return 0;
}

void secure_switch(struct listener *listener, struct tls *tls)
{
    if ((listener->tls == NULL) != (tls == NULL)) {
        log_warning("TLS of %s is switched on and off only with a restart", listener->label);
        return;
    }
    if (tls == NULL)
        return;
    struct tls *last = listener->tls;
    listener->tls = tls_ref(tls);
    if (!tls_is_same(last, tls))
        certificates_log_change(listener);
    tls_unref(last);
}

/* ---- Handshakes that wait ---- */

static void leave(struct secure *secure)
{
    if (secure->link == NULL)
        return;
    *secure->link = secure->next;
    if (secure->next != NULL)
        secure->next->link = secure->link;
    secure->link = NULL;
}

static void join(struct secure *secure, struct secure **list)
{
    leave(secure);
    secure->link = list;
    secure->next = *list;
    if (secure->next != NULL)
        secure->next->link = &secure->next;
    *list = secure;
}

static void release(struct secure *secure)
{
    struct listener *listener = secure->connection->listener;
    loop_watch_free(secure->watch);
    secure->watch = NULL;
    join(secure, &listener->shaking);
    MHD_resume_connection(secure->mhd);
    listener_mark(listener);
}

static void on_ready(void *arg, unsigned events)
{
    (void)events;
    release(arg);
}

static void hold(struct secure *secure, enum tls_wants wants)
{
    struct listener *listener = secure->connection->listener;
    struct loop *loop = listener->server->loop;
    unsigned events = wants == TLS_WANTS_TO_SEND ? LOOP_WRITABLE : LOOP_READABLE;
    secure->watch = loop_watch_new(loop, secure->connection->fd, events, on_ready, secure, NULL);
    if (secure->watch == NULL) { /* libmicrohttpd sees its end, and closes it */
        shutdown(secure->connection->fd, SHUT_RDWR);
        return;
    }
    join(secure, &listener->held);
    MHD_suspend_connection(secure->mhd);
}

/* Its socket is ready, and libmicrohttpd may have forgotten so: when one event told it of the first bytes
 * and of the end, and the bytes were a part of a record, it has read those, and waits for ever. Who is
 * resumed is looked at. */
static void look_again(struct secure *secure)
{
    MHD_suspend_connection(secure->mhd);
    release(secure);
}

void secure_hold(struct listener *listener)
{
    for (struct secure *secure = listener->shaking, *next; secure != NULL; secure = next) {
        enum tls_wants wants = tls_wants(secure->session);
        struct pollfd ready = {.fd = secure->connection->fd,
                               .events = wants == TLS_WANTS_TO_SEND ? POLLOUT : POLLIN};
        next = secure->next;
        if (wants == TLS_WANTS_NOTHING)
            leave(secure);
        else if (poll(&ready, 1, 0) == 0)
            hold(secure, wants);
        else
            look_again(secure);
    }
}

void secure_release(struct listener *listener)
{
    while (listener->held != NULL)
        release(listener->held);
}

/* ---- A connection ---- */

static struct secure *secure_new(struct connection *connection, struct MHD_Connection *mhd)
{
    struct listener *listener = connection->listener;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct secure *secure = info == NULL ? NULL : calloc(1, sizeof *secure);
    if (secure == NULL)
        return NULL;
    secure->connection = connection;
    secure->mhd = mhd;
    secure->session =
        tls_begin(listener->tls, info->tls_session, connection->fd, connection->address,
                  listener->server->failures);
    if (secure->session == NULL) {
        free(secure);
        return NULL;
    }
    join(secure, &listener->shaking);
    return secure;
}

void secure_begin(struct connection *connection, struct MHD_Connection *mhd)
{
    if (connection->listener->tls == NULL)
        return;
    connection->secure = secure_new(connection, mhd);
    if (connection->secure != NULL)
        return;
    log_error("TLS with %s failed: out of memory", connection->address);
    shutdown(connection->fd, SHUT_RDWR);
}

void secure_end(struct connection *connection)
{
    struct listener *listener = connection->listener;
    struct secure *secure = connection->secure;
    if (secure == NULL)
        return;
    tls_end(secure->session);
    /* In one of its error paths libmicrohttpd ends the session just after it told us: so the last
     * one is kept until the next has ended. */
    tls_session_free(listener->ended);
    listener->ended = secure->session;
    loop_watch_free(secure->watch);
    leave(secure);
    free(secure);
    connection->secure = NULL;
}

int secure_check(struct connection *connection, struct fault *fault)
{
    const struct secure *secure = connection->secure;
    if (secure == NULL || tls_recheck(secure->session, connection->listener->tls))
        return 0;
    return fault_set(fault, FAULT_UNAUTHORIZED, "The client's certificate is no longer accepted.");
}

const char *secure_subject(const struct connection *connection)
{
    return connection->secure == NULL ? NULL : tls_subject(connection->secure->session);
}

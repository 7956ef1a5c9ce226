/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listening sockets: TCP on a numeric address, or a UNIX socket of mode 0660. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log.h"
#include "http/certificates.h"
#include "http/state.h"

#define BACKLOG 1024

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static int bind_and_listen(int fd, const union any_address *address, socklen_t len,
                           const char *label, struct fault *fault)
{
    if (bind(fd, &address->any, len) < 0)
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on %s: %s", label, strerror(errno));
    if (listen(fd, BACKLOG) < 0)
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on %s: %s", label, strerror(errno));
    return 0;
}

static int tcp_address(const struct conf_listener *conf, union any_address *address,
                       socklen_t *ret_len, struct listener *listener, struct fault *fault)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, conf->address, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons((uint16_t)conf->port);
        listener->loopback = (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127;
        *ret_len = sizeof address->v4;
    } else if (inet_pton(AF_INET6, conf->address, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons((uint16_t)conf->port);
        listener->loopback = IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
        *ret_len = sizeof address->v6;
    } else {
        return fault_set(fault, FAULT_CONF, "%s is not a numeric address", conf->address);
    }
    snprintf(listener->address, sizeof listener->address, "%s", conf->address);
    return 0;
}

/* With the port that the kernel has chosen, where it was to. */
static void set_label(int fd, struct listener *listener)
{
    union any_address bound;
    socklen_t len = sizeof bound;
    if (getsockname(fd, &bound.any, &len) < 0)
        snprintf(listener->label, sizeof listener->label, "%s", listener->address);
    else if (bound.any.sa_family == AF_INET6)
        snprintf(listener->label, sizeof listener->label, "[%s]:%u", listener->address,
                 ntohs(bound.v6.sin6_port));
    else
        snprintf(listener->label, sizeof listener->label, "%s:%u", listener->address,
                 ntohs(bound.v4.sin_port));
}

static int tcp_open(const struct conf_listener *conf, struct listener *listener,
                    struct fault *fault)
{
    union any_address address;
    socklen_t len = 0;
    const int on = 1;
    char label[128];
    if (tcp_address(conf, &address, &len, listener, fault) < 0)
        return -1;
    snprintf(label, sizeof label, "%s port %u", conf->address, conf->port);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on %s: %s", label, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind_and_listen(fd, &address, len, label, fault) < 0) {
        close(fd);
        return -1;
    }
    set_label(fd, listener);
    certificates_log_listening(listener);
    return fd;
}

/* Removes a socket that nobody answers on, as a crash leaves it. */
static int remove_stale(const char *path, const union any_address *address, struct fault *fault)
{
    struct stat found;
    if (lstat(path, &found) < 0) {
        if (errno == ENOENT)
            return 0;
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on unix:%s: %s", path,
                         strerror(errno));
    }
    if (!S_ISSOCK(found.st_mode))
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on unix:%s: it is not a socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_set(fault, FAULT_SYSTEM, "socket: %s", strerror(errno));
    int error = connect(fd, &address->any, sizeof address->local) == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED)
        return fault_set(fault, FAULT_SYSTEM, "cannot listen on unix:%s: %s", path,
                         error == 0 || error == EAGAIN ? "somebody already does" : strerror(error));
    if (unlink(path) < 0 && errno != ENOENT)
        return fault_set(fault, FAULT_SYSTEM, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

/* The socket's own directory, if it is not there: /run/nmid is gone after each boot, and systemd makes
 * it only for its units. */
static void make_parent(const char *path)
{
    char parent[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent)
        return;
    *slash = '\0';
    if (mkdir(parent, 0755) == 0 && chmod(parent, 0755) == 0) /* whatever the umask is */
        log_info("made the directory %s", parent);
}

static int unix_bind(int fd, const union any_address *address, struct listener *listener,
                     struct fault *fault)
{
    char label[128];
    struct stat made;
    snprintf(label, sizeof label, "unix:%s", listener->path);
    mode_t before = umask(0117); /* 0660 from the first moment */
    int result = bind_and_listen(fd, address, sizeof address->local, label, fault);
    umask(before);
    if (result < 0)
        return -1;
    if (lstat(listener->path, &made) < 0)
        return fault_set(fault, FAULT_SYSTEM, "%s: %s", listener->path, strerror(errno));
    listener->path_dev = made.st_dev;
    listener->path_ino = made.st_ino;
    return 0;
}

static int unix_open(const struct conf_listener *conf, struct listener *listener,
                     struct fault *fault)
{
    union any_address address;
    memset(&address, 0, sizeof address);
    address.local.sun_family = AF_UNIX;
    size_t len = strlen(conf->socket);
    if (len >= sizeof address.local.sun_path)
        return fault_set(fault, FAULT_CONF, "the path of the socket %s is longer than %zu",
                         conf->socket, sizeof address.local.sun_path - 1);
    memcpy(address.local.sun_path, conf->socket, len);
    make_parent(conf->socket);
    if (remove_stale(conf->socket, &address, fault) < 0)
        return -1;
    listener->path = strdup(conf->socket);
    if (listener->path == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_set(fault, FAULT_SYSTEM, "socket: %s", strerror(errno));
    if (unix_bind(fd, &address, listener, fault) < 0) {
        close(fd);
        return -1;
    }
    log_info("listening on unix:%s", conf->socket);
    return fd;
}

int socket_open(const struct conf_listener *conf, struct listener *listener, struct fault *fault)
{
    return conf->socket != NULL ? unix_open(conf, listener, fault)
                                : tcp_open(conf, listener, fault);
}

/* Only ours, not the one of a daemon that came after us. */
static void remove_path(struct listener *listener)
{
    struct stat found;
    if (listener->path != NULL && lstat(listener->path, &found) == 0 &&
        found.st_dev == listener->path_dev && found.st_ino == listener->path_ino)
        unlink(listener->path);
    free(listener->path);
    listener->path = NULL;
}

void listener_close_socket(struct listener *listener)
{
    if (listener->daemon != NULL && !listener->closed) {
        int fd = MHD_quiesce_daemon(listener->daemon);
        if (fd >= 0)
            close(fd);
    }
    listener->closed = true;
    remove_path(listener);
}

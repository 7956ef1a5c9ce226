/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

/* Often enough for a status that people look at; a watchdog may want more. */
#define BEAT_US   5000000
#define BEAT_MIN  1000 /* the loop's timers know milliseconds; with 0 it would do nothing else */
#define EXTEND_US (3 * BEAT_US)

enum phase { STARTING, READY, RELOADING, STOPPING };

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_len;
    struct loop_timer *timer;
    int64_t beat_us;
    bool watchdog;
    enum phase phase;
    bool owed; /* the manager does not know the phase yet */
    notify_status_fn *status;
    void *arg;
    char told[NOTIFY_STATUS_MAX]; /* the last status */
};

/* Of the environment; 0 when it is none. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

static int take_address(struct notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || *path == '\0')
        return -1;
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof notify->address.sun_path) {
        log_warning("NOTIFY_SOCKET is no path of a socket: the service manager hears nothing");
        return -1;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, len + 1);
    if (path[0] == '@') /* an abstract name, which may be of any bytes and has no end but its length */
        notify->address.sun_path[0] = '\0';
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

/* WATCHDOG_PID is whom it is meant for: a shell that starts nmid has it in its environment too. */
static void take_watchdog(struct notify *notify)
{
    uint64_t watchdog_us = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");
    notify->watchdog = watchdog_us > 0 && (pid == 0 || pid == (uint64_t)getpid());
    notify->beat_us = BEAT_US;
    if (notify->watchdog && watchdog_us / 2 < BEAT_US)
        notify->beat_us = watchdog_us / 2 < BEAT_MIN ? BEAT_MIN : (int64_t)(watchdog_us / 2);
}

/* Never waits. 0, or -1 when the manager cannot take it now. */
static int send_text(const struct notify *notify, const char *text)
{
    ssize_t sent = sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&notify->address, notify->address_len);
    if (sent < 0)
        log_debug("the service manager does not hear: %s", strerror(errno));
    return sent < 0 ? -1 : 0;
}

static int tell_phase(const struct notify *notify)
{
    char text[64];
    switch (notify->phase) {
    case READY:
        return send_text(notify, "READY=1");
    case RELOADING: /* the time tells systemd's notify-reload which READY=1 is the answer */
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
        return send_text(notify, text);
    case STOPPING:
        return send_text(notify, "STOPPING=1");
    case STARTING:
        break;
    }
    return 0;
}

static void tell_status(struct notify *notify)
{
    char now[NOTIFY_STATUS_MAX] = "", text[NOTIFY_STATUS_MAX + 16];
    notify->status(notify->arg, now);
    if (strcmp(now, notify->told) == 0)
        return;
    snprintf(text, sizeof text, "STATUS=%s", now);
    if (send_text(notify, text) == 0)
        memcpy(notify->told, now, sizeof now);
}

static void on_beat(void *arg)
{
    struct notify *notify = arg;
    char text[64];
    if (notify->owed)
        notify->owed = tell_phase(notify) < 0;
    if (notify->watchdog)
        send_text(notify, "WATCHDOG=1");
    if (notify->phase == STOPPING) {
        snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%d", EXTEND_US);
        send_text(notify, text);
    }
    tell_status(notify);
    loop_timer_set(notify->timer, clock_mono_us() + notify->beat_us);
}

static void enter(struct notify *notify, enum phase phase)
{
    if (notify == NULL || notify->fd < 0)
        return;
    notify->phase = phase;
    notify->owed = true;
    on_beat(notify);
}

struct notify *notify_new(struct loop *loop, notify_status_fn *status, void *arg,
                          struct fault *fault)
{
    struct notify *notify = calloc(1, sizeof *notify);
    if (notify == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    notify->fd = -1;
    notify->status = status;
    notify->arg = arg;
    if (take_address(notify) < 0)
        return notify;
    take_watchdog(notify);
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0) {
        fault_set(fault, FAULT_SYSTEM, "socket: %s", strerror(errno));
        notify_free(notify);
        return NULL;
    }
    notify->timer = loop_timer_new(loop, on_beat, notify, fault);
    if (notify->timer == NULL) {
        notify_free(notify);
        return NULL;
    }
    loop_timer_set(notify->timer, clock_mono_us() + notify->beat_us);
    return notify;
}

void notify_free(struct notify *notify)
{
    if (notify == NULL)
        return;
    loop_timer_free(notify->timer);
    if (notify->fd >= 0)
        close(notify->fd);
    free(notify);
}

void notify_ready(struct notify *notify)
{
    enter(notify, READY);
}

void notify_reloading(struct notify *notify)
{
    enter(notify, RELOADING);
}

void notify_stopping(struct notify *notify)
{
    enter(notify, STOPPING);
}

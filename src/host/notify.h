/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the service manager hears: ready, reloading, stopping, how it stands, and that the loop still
 * turns. The datagrams of sd_notify(3), which are a stable interface, sent without libsystemd: its
 * sd_notify() blocks when the manager does not read, and the loop blocks on nobody.
 *
 * Without NOTIFY_SOCKET in the environment every call does nothing. For main.c, on the loop. */
#ifndef NMID_HOST_NOTIFY_H
#define NMID_HOST_NOTIFY_H

#include <stddef.h>
#include "base/fault.h"
#include "loop/loop.h"

#define NOTIFY_STATUS_MAX 256

struct notify;

/* Writes one line about what the daemon does now, for `systemctl status`. No secrets. */
typedef void notify_status_fn(void *arg, char text[NOTIFY_STATUS_MAX]);

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and beats from now on: each beat is one turn of
 * the loop and sends WATCHDOG=1 where it is wanted, and the status if it is another. NULL with a fault
 * when memory is out; a NOTIFY_SOCKET that is none is a warning in the log. */
struct notify *notify_new(struct loop *loop, notify_status_fn *status, void *arg,
                          struct fault *fault);
void notify_free(struct notify *notify); /* NULL-safe, as all of these */

/* What the manager cannot take now is sent again with the next beat. */
void notify_ready(struct notify *notify); /* after the start, and after each reload, good or bad */
void notify_reloading(struct notify *notify);

/* From here each beat asks for a little more than the time to the next one, so that a drain which
 * goes on is waited for, however short TimeoutStopSec= is, and one that hangs is not. */
void notify_stopping(struct notify *notify);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No more lines are remembered than there may be in a minute: a line that is older than that says
 * nothing of what may be logged now. So a flood from ever new addresses takes no memory. */
#include "core/tls_failures.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"

#define QUIET_US INT64_C(60000000)

/* A line that was logged. */
struct line {
    int64_t at; /* 0: none */
    enum tls_cause cause;
    char address[64];
    unsigned unlogged; /* of the same address and cause since */
};

struct tls_failures {
    struct line lines[TLS_FAILURE_LINES];
    uint64_t counts[TLS_CAUSES];
    unsigned unlogged; /* for which there was no line left */
    struct loop_timer *timer;
};

static void on_timer(void *arg)
{
    struct tls_failures *failures = arg;
    log_warning("TLS: %u handshakes more have failed without a line of their own, as too many did",
                failures->unlogged);
    failures->unlogged = 0;
}

struct tls_failures *tls_failures_new(struct loop *loop, struct fault *fault)
{
    struct tls_failures *failures = calloc(1, sizeof *failures);
    if (failures == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    failures->timer = loop_timer_new(loop, on_timer, failures, fault);
    if (failures->timer != NULL)
        return failures;
    free(failures);
    return NULL;
}

void tls_failures_free(struct tls_failures *failures)
{
    if (failures == NULL)
        return;
    loop_timer_free(failures->timer);
    free(failures);
}

static void drop(struct tls_failures *failures, unsigned count, int64_t now)
{
    if (count > 0 && failures->unlogged == 0)
        loop_timer_set(failures->timer, now + QUIET_US);
    failures->unlogged += count;
}

static struct line *find(struct tls_failures *failures, enum tls_cause cause, const char *address)
{
    for (struct line *line = failures->lines; line < failures->lines + TLS_FAILURE_LINES; line++) {
        if (line->at != 0 && line->cause == cause && strcmp(line->address, address) == 0)
            return line;
    }
    return NULL;
}

/* The one that has been there longest; NULL when even that is younger than a minute. */
static struct line *find_old(struct tls_failures *failures, int64_t now)
{
    struct line *oldest = failures->lines;
    for (struct line *line = failures->lines; line < failures->lines + TLS_FAILURE_LINES; line++) {
        if (line->at < oldest->at)
            oldest = line;
    }
    return oldest->at == 0 || now - oldest->at >= QUIET_US ? oldest : NULL;
}

/* May this one have a line? *ret_more: how many like it had none. */
static bool take_line(struct tls_failures *failures, enum tls_cause cause, const char *address,
                      unsigned *ret_more)
{
    int64_t now = clock_mono_us();
    struct line *line = find(failures, cause, address);
    if (line != NULL && now - line->at < QUIET_US) {
        line->unlogged++;
        return false;
    }
    if (line != NULL) {
        *ret_more = line->unlogged;
    } else if ((line = find_old(failures, now)) != NULL) {
        drop(failures, line->unlogged, now);
    } else {
        drop(failures, 1, now);
        return false;
    }
    *line = (struct line){.at = now, .cause = cause};
    snprintf(line->address, sizeof line->address, "%s", address);
    return true;
}

void tls_failures_note(struct tls_failures *failures, enum tls_cause cause, const char *address,
                       const char *why)
{
    unsigned more = 0;
    if (failures != NULL) {
        failures->counts[cause]++;
        if (!take_line(failures, cause, address, &more)) {
            log_debug("TLS with %s failed: %s", address, why);
            return;
        }
    }
    if (more > 0)
        log_warning("TLS with %s failed: %s (%u times more since the last line)", address, why,
                    more);
    else
        log_warning("TLS with %s failed: %s", address, why);
}

uint64_t tls_failures_count(const struct tls_failures *failures, enum tls_cause cause)
{
    return failures == NULL ? 0 : failures->counts[cause];
}

const char *tls_cause_name(enum tls_cause cause)
{
    static const char *const names[] = {
        [TLS_CLIENT_CERTIFICATE] = "client_certificate",
        [TLS_NO_CERTIFICATE] = "no_certificate",
        [TLS_NO_TLS] = "no_tls",
        [TLS_NOTHING_IN_COMMON] = "nothing_in_common",
        [TLS_BROKEN_OFF] = "broken_off",
    };
    return names[cause];
}

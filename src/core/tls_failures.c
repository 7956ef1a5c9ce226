/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No more lines are remembered than there may be in a minute: a line that is older than that says
 * nothing of what may be logged now. So a flood from ever new addresses, or with ever new subjects,
 * takes no memory. */
#include "core/tls_failures.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/trouble.h"

#define QUIET_US INT64_C(60000000)

/* A line that was logged. What it says of an address is why, the reason and the subject. */
struct line {
    int64_t at; /* 0: none */
    char address[64];
    char why[TLS_WHY_MAX];
    unsigned unlogged; /* of the same words since */
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

static bool is_fresh(const struct line *line, int64_t now)
{
    return line->at != 0 && now - line->at < QUIET_US;
}

/* The line of these words; and how many fresh ones the address has. */
static struct line *find(struct tls_failures *failures, const char *address, const char *why,
                         int64_t now, unsigned *ret_fresh)
{
    struct line *found = NULL;
    *ret_fresh = 0;
    for (struct line *line = failures->lines; line < failures->lines + TLS_FAILURE_LINES; line++) {
        if (line->at == 0 || strcmp(line->address, address) != 0)
            continue;
        *ret_fresh += is_fresh(line, now);
        if (strncmp(line->why, why, sizeof line->why - 1) == 0)
            found = line;
    }
    return found;
}

/* The one that has been there longest; NULL when even that is younger than a minute. */
static struct line *find_old(struct tls_failures *failures, int64_t now)
{
    struct line *oldest = failures->lines;
    for (struct line *line = failures->lines; line < failures->lines + TLS_FAILURE_LINES; line++) {
        if (line->at < oldest->at)
            oldest = line;
    }
    return is_fresh(oldest, now) ? NULL : oldest;
}

/* May this one have a line? *ret_more: how many of the same words had none. */
static bool take_line(struct tls_failures *failures, const char *address, const char *why,
                      unsigned *ret_more)
{
    int64_t now = clock_mono_us();
    unsigned fresh;
    struct line *line = find(failures, address, why, now, &fresh);
    if (line != NULL && (is_fresh(line, now) || fresh >= TLS_FAILURE_LINES_EACH)) {
        line->unlogged++;
        return false;
    }
    if (line != NULL) {
        *ret_more = line->unlogged;
    } else if (fresh < TLS_FAILURE_LINES_EACH && (line = find_old(failures, now)) != NULL) {
        drop(failures, line->unlogged, now);
    } else {
        drop(failures, 1, now);
        return false;
    }
    *line = (struct line){.at = now};
    snprintf(line->address, sizeof line->address, "%s", address);
    snprintf(line->why, sizeof line->why, "%s", why);
    return true;
}

void tls_failures_note(struct tls_failures *failures, enum tls_cause cause, const char *address,
                       const char *why)
{
    unsigned count = 0;
    char more[TROUBLE_MORE];
    if (failures != NULL) {
        failures->counts[cause]++;
        if (!take_line(failures, address, why, &count)) {
            log_debug("TLS with %s failed: %s", address, why);
            return;
        }
    }
    log_warning("TLS with %s failed: %s%s", address, why, trouble_more(count, more));
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

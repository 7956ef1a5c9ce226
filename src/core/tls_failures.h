/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handshakes that failed: counted by cause, and told to the log so that neither one client that
 * tries again and again nor a flood of them fills it. */
#ifndef NMID_CORE_TLS_FAILURES_H
#define NMID_CORE_TLS_FAILURES_H

#include <stdint.h>
#include "loop/loop.h"

/* Why a handshake failed. */
enum tls_cause {
    TLS_CLIENT_CERTIFICATE, /* it was not good */
    TLS_NO_CERTIFICATE,     /* one is required */
    TLS_NO_TLS,             /* what came is something else */
    TLS_NOTHING_IN_COMMON,  /* no version, cipher, group */
    TLS_BROKEN_OFF,         /* by the client, or it was too slow */
    TLS_CAUSES
};

#define TLS_FAILURE_LINES      20  /* a minute, at most */
#define TLS_FAILURE_LINES_EACH 10  /* of one address: who shows ever new subjects hides nobody else */
#define TLS_WHY_MAX            512 /* with its end; what is longer counts as the same */

struct tls_failures;

/* NULL with a fault when memory is out. */
struct tls_failures *tls_failures_new(struct loop *loop, struct fault *fault);
void tls_failures_free(struct tls_failures *failures); /* NULL-safe */

/* One more. Logs "TLS with ADDRESS failed: WHY", where WHY has the reason and the subject that the
 * client showed: the same words at most once a minute, and no more than TLS_FAILURE_LINES lines a
 * minute in all, TLS_FAILURE_LINES_EACH of one address; those that had no line are counted in a later
 * one: of the same words, or, when there were too many different ones, in one at the end of the
 * minute. failures may be NULL: then every one has its line. */
void tls_failures_note(struct tls_failures *failures, enum tls_cause cause, const char *address,
                       const char *why);

/* Since the start. NULL: 0. */
uint64_t tls_failures_count(const struct tls_failures *failures, enum tls_cause cause);
const char *tls_cause_name(enum tls_cause cause); /* "client_certificate" ... */

#endif

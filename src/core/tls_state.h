/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tls.c loads and tls_session.c uses. */
#ifndef NMID_CORE_TLS_STATE_H
#define NMID_CORE_TLS_STATE_H

#include <gnutls/gnutls.h>
#include <stdint.h>
#include "core/tls.h"

/* Why a handshake failed; each has its own line in the log. */
enum tls_cause {
    TLS_CLIENT_CERTIFICATE, /* it was not good */
    TLS_NO_CERTIFICATE,     /* one is required */
    TLS_NO_TLS,             /* what came is something else */
    TLS_NOTHING_IN_COMMON,  /* no version, cipher, group */
    TLS_BROKEN_OFF,         /* by the client, or it was too slow */
    TLS_CAUSES
};

struct tls {
    unsigned users;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    enum conf_verify verify;
    struct {
        int64_t logged_at; /* 0: never */
        unsigned unlogged; /* since */
    } causes[TLS_CAUSES];
};

#endif

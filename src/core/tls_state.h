/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tls.c loads and tls_session.c uses. */
#ifndef NMID_CORE_TLS_STATE_H
#define NMID_CORE_TLS_STATE_H

#include <gnutls/gnutls.h>
#include <stdint.h>
#include "core/tls.h"

struct tls {
    unsigned users;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    enum conf_verify verify;
    char *name;                    /* of its own certificate */
    int64_t begins;                /* the last of its chain to be valid */
    int64_t expires;               /* the first of its chain */
    int64_t ca_begins, ca_expires; /* the first of clients' CAs to be valid, and the last */
    unsigned char fingerprint[32]; /* of its own certificate: SHA-256 */
};

#endif

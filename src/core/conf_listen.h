/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration of where callers come in, and of how much they may take. A part of conf.h.
 * Strings are owned by struct conf; NULL where there is none. */
#ifndef NMID_CORE_CONF_LISTEN_H
#define NMID_CORE_CONF_LISTEN_H

#include <stddef.h>

struct tls;

/* ---- listen = ( { ... } ) ---- */

/* tls = { ... } of a listener */
enum conf_verify { CONF_VERIFY_NONE, CONF_VERIFY_OPTIONAL, CONF_VERIFY_REQUIRED };

struct conf_tls {
    char *certificate_file;    /* PEM: its own first, then those between it and the root; NULL: no TLS */
    char *key_file;            /* PEM; a secret */
    char *client_ca_file;      /* PEM: who signs clients' certificates; or NULL */
    char *client_crl_file;     /* PEM; or NULL */
    enum conf_verify verify;   /* NONE without a client_ca_file */
    unsigned version_min;      /* 12 or 13 */
    struct tls *tls;           /* all of it, loaded; NULL: no TLS */
};

struct conf_listener {
    char *address; /* a numeric IPv4 or IPv6 address; NULL for a UNIX socket */
    unsigned port; /* 0 asks the kernel for one (logged at start) */
    char *socket;  /* path of a UNIX socket; NULL for TCP */
    size_t auth;   /* which of conf.auths it has */
    struct conf_tls tls;
};

/* ---- limits = { ... } ---- */

struct conf_limits {
    unsigned connections;             /* 1024 */
    unsigned connections_per_address; /* 64; loopback and UNIX sockets are exempt */
    unsigned url_bytes;               /* 8192: the request target */
    unsigned header_bytes;            /* 16384: the request line and all headers */
    unsigned token_bytes;             /* 8192: a token, or the value of Authorization */
    unsigned body_bytes;              /* 65536 */
    unsigned request_s;               /* 10: to send a whole request */
    unsigned idle_s;                  /* 60: between requests; and to read an answer */
    unsigned requests_per_principal;  /* 512: in flight */
    unsigned answer_bytes_per_principal; /* 32 MiB: of answers that are not read yet */
    unsigned actions_per_minute;      /* 6000: of a principal; 0: however many */
    unsigned login_failures_per_address; /* 20: then 429; 0: however many */
    unsigned login_failures_per_user;    /* 10 */
    unsigned login_failures_s;           /* 300: after so long without one they are forgotten */
    unsigned history;                 /* 10000: finished actions remembered */
    unsigned history_days;            /* 90: and for how long; 0: however long */
    unsigned queue;                   /* 100000: actions that may wait for the window */
    unsigned queue_s;                 /* 300: and how long */
};

#endif

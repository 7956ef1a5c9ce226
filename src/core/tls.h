/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS for listeners, on GnuTLS, which is known only in tls*.c: certificate, key and clients' CA,
 * read from files and checked; and what a session needs of them. Built without GnuTLS, tls_load()
 * says so.
 *
 * A struct tls is counted: each session holds the one that it began with, so that a reload changes
 * what is new, and drops nothing. */
#ifndef NMID_CORE_TLS_H
#define NMID_CORE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fault.h"
#include "core/conf_listen.h"
#include "core/tls_failures.h"

#define TLS_NOTES_MAX 16
#define TLS_DATE_MAX  32

/* ---- The files ---- */

/* What is to be said of the files: `wrong` is the key of struct conf_tls that a failure is about.
 * The notes come beside success: it expires soon, it has expired, the key is short ... */
struct tls_note {
    const char *key; /* static */
    char text[256];
};

struct tls_notes {
    const char *wrong; /* static; or NULL */
    size_t count;
    struct tls_note notes[TLS_NOTES_MAX];
};

/* Loads what conf names (conf->tls itself is not looked at). NULL with FAULT_CONF or FAULT_MEMORY,
 * which names the file and what is wrong with it: it cannot be read, holds no PEM, the key is not
 * the certificate's, others can read the key, it has a passphrase ... What was read is wiped. */
struct tls *tls_load(const struct conf_tls *conf, struct tls_notes *ret_notes, struct fault *fault);
struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls); /* NULL-safe */

/* The listener's certificate: its subject; from when on and until when it and all behind it in the
 * file are valid (seconds since 1970); and whether two are the same. */
const char *tls_name(const struct tls *tls);
int64_t tls_begins(const struct tls *tls);
int64_t tls_expires(const struct tls *tls);
bool tls_is_same(const struct tls *a, const struct tls *b);

/* In date at this time: the listener's own; and one of the CAs that clients are verified by, true also
 * where there is none. */
bool tls_in_date(const struct tls *tls, int64_t now_s);
bool tls_ca_in_date(const struct tls *tls, int64_t now_s);

/* "2027-01-31T00:00:00Z"; returns text. */
const char *tls_date(int64_t when_s, char text[TLS_DATE_MAX]);

/* ---- Sessions ---- */

/* For libmicrohttpd's MHD_OPTION_HTTPS_CERT_CALLBACK: it wants a certificate when it starts, and
 * gets this, which gives none. So a session that tls_begin() could not have is refused. */
typedef void tls_callback(void);
tls_callback *tls_no_certificate(void);

/* A new connection: its gnutls_session_t, before the handshake, gets these credentials, the
 * versions and ciphers, and whether a certificate is asked of the client. fd: its socket. address:
 * of the client, for the log. failures: hears when the handshake fails; or NULL. Both are borrowed
 * until tls_end(). NULL when memory is out: then the handshake fails. */
struct tls_session *tls_begin(struct tls *tls, void *gnutls, int fd, const char *address,
                              struct tls_failures *failures);

/* How a handshake goes on: with what the client sends, with room for what we send, or not at all,
 * for it is done. */
enum tls_wants { TLS_WANTS_NOTHING, TLS_WANTS_TO_READ, TLS_WANTS_TO_SEND };
enum tls_wants tls_wants(const struct tls_session *session);

/* The connection ends; its socket is still open. When its handshake failed, failures are told why.
 * NULL-safe. */
void tls_end(struct tls_session *session);

/* After gnutls_deinit(), which may come after libmicrohttpd's notice that the connection ends.
 * NULL-safe. */
void tls_session_free(struct tls_session *session);

/* The subject of the client's certificate, which was verified, as subject_normalise() writes it;
 * NULL when it gave none. Lives as long as the session. */
const char *tls_subject(const struct tls_session *session);

/* At each request, with the credentials of the moment: is the client let in? After a reload the
 * client of a connection that stands is held against the new CA and list; false: it has to go. */
bool tls_recheck(struct tls_session *session, struct tls *now);

#endif

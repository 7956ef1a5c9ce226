/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TLS session, which libmicrohttpd drives: it calls gnutls_handshake() and keeps the error to
 * itself. So what is to be known of a handshake, GnuTLS tells us as it goes on: who the client is,
 * and how far it came. Sessions are not resumed: each client's certificate is looked at each time.
 */
#include <gnutls/abstract.h>
#include <ctype.h>
#include <gnutls/x509.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "base/log.h"
#include "core/subject.h"
#include "core/tls.h"
#include "core/tls_state.h"

#define STATUS_MAX    160
#define SHOWN_MAX     200 /* of a subject, in the log */
#define DISCARD_EACH  ((size_t)16 * 1024)
#define HANDSHAKE_MAX ((size_t)32 * 1024) /* one message of it; a client's chain fits */

struct tls_session {
    struct tls *tls;     /* counted: what it began with, where GnuTLS has pointers into */
    struct tls *checked; /* counted: what its client was last held against */
    gnutls_session_t gnutls;
    struct tls_failures *failures; /* or NULL */
    const char *address;
    int fd;
    bool hello;    /* its first message came */
    bool answered; /* and was good enough for an answer */
    bool done;     /* its last message came */
    bool finished; /* and ours left, which in TLS 1.3 is earlier */
    bool accepted; /* its client was verified, or has no certificate and needs none */
    enum tls_cause cause;
    char why[TLS_WHY_MAX]; /* of the cause, or "" */
    char *subject; /* or NULL */
};

/* ---- The client's certificate ---- */

/* GnuTLS escapes what is special in a value; other characters are as they are: control characters
 * and what is no UTF-8 are refused with the rest. */
static int dn_text(gnutls_x509_dn_t dn, char subject[SUBJECT_MAX])
{
    gnutls_datum_t text = {0};
    if (gnutls_x509_dn_get_str2(dn, &text, 0) < 0)
        return -1;
    const char *bytes = (const char *)text.data; /* with a NUL at its end */
    int result = bytes != NULL && strlen(bytes) == text.size
                     ? subject_normalise(bytes, subject, NULL)
                     : -1;
    gnutls_free(text.data);
    return result;
}

static int subject_of(const gnutls_datum_t *der, char subject[SUBJECT_MAX])
{
    gnutls_x509_crt_t certificate;
    gnutls_x509_dn_t dn; /* a part of the certificate */
    if (gnutls_x509_crt_init(&certificate) < 0)
        return -1;
    int result = gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0 &&
                         gnutls_x509_crt_get_subject(certificate, &dn) == 0
                     ? dn_text(dn, subject)
                     : -1;
    gnutls_x509_crt_deinit(certificate);
    return result;
}

/* What the client is told, beside what the log says. */
static gnutls_alert_description_t alert_for(unsigned status)
{
    if ((status & GNUTLS_CERT_REVOKED) != 0)
        return GNUTLS_A_CERTIFICATE_REVOKED;
    if ((status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) != 0)
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    if ((status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)) != 0)
        return GNUTLS_A_UNKNOWN_CA;
    return GNUTLS_A_BAD_CERTIFICATE;
}

/* The handshake fails: -1, for GnuTLS. */
static int refuse(struct tls_session *session, enum tls_cause cause,
                  gnutls_alert_description_t alert, const char *why)
{
    session->cause = cause;
    snprintf(session->why, sizeof session->why, "%s", why);
    if (!session->done) /* as much of it as goes without waiting */
        gnutls_alert_send(session->gnutls, GNUTLS_AL_FATAL, alert);
    return -1;
}

/* GnuTLS's words for what is wrong with a certificate, without the sentence that all of them begin
 * with. */
static void status_text(unsigned status, char text[STATUS_MAX])
{
    static const char all[] = "The certificate is NOT trusted. ";
    gnutls_datum_t print = {0};
    const char *from = "it was not accepted";
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &print, 0) == 0)
        from = (const char *)print.data;
    if (strncmp(from, all, strlen(all)) == 0 && from[strlen(all)] != '\0')
        from += strlen(all);
    snprintf(text, STATUS_MAX, "%s", from);
    gnutls_free(print.data);
    text[0] = (char)tolower((unsigned char)text[0]);
    for (size_t len = strlen(text); len > 0 && strchr(" .", text[len - 1]) != NULL; len--)
        text[len - 1] = '\0';
}

/* The date that is meant, of the client's own or of one behind it. */
static void date_text(const gnutls_datum_t *list, unsigned count, unsigned status,
                      char text[STATUS_MAX])
{
    time_t now = time(NULL);
    char date[TLS_DATE_MAX];
    text[0] = '\0';
    if ((status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) == 0)
        return;
    for (unsigned i = 0; i < count && text[0] == '\0'; i++) {
        gnutls_x509_crt_t certificate;
        if (gnutls_x509_crt_init(&certificate) < 0)
            return;
        if (gnutls_x509_crt_import(certificate, &list[i], GNUTLS_X509_FMT_DER) == 0) {
            time_t begins = gnutls_x509_crt_get_activation_time(certificate);
            time_t ends = gnutls_x509_crt_get_expiration_time(certificate);
            if (ends < now)
                snprintf(text, STATUS_MAX, " (it expired on %s)", tls_date(ends, date));
            else if (begins > now)
                snprintf(text, STATUS_MAX, " (it is not valid before %s)", tls_date(begins, date));
        }
        gnutls_x509_crt_deinit(certificate);
    }
}

/* Nothing proves that this subject is the client's, but it is what the client shows. */
static int refuse_bad(struct tls_session *session, const gnutls_datum_t *list, unsigned count,
                      unsigned status)
{
    char subject[SUBJECT_MAX], text[STATUS_MAX], date[STATUS_MAX], why[sizeof session->why];
    if (subject_of(&list[0], subject) < 0)
        snprintf(subject, sizeof subject, "a certificate");
    size_t shown = strlen(subject);
    if (shown > SHOWN_MAX) /* and no half of a character */
        for (shown = SHOWN_MAX; ((unsigned char)subject[shown] & 0xc0) == 0x80; shown--)
            ;
    status_text(status, text);
    date_text(list, count, status, date);
    snprintf(why, sizeof why, "%.*s%s: %s%s", (int)shown, subject,
             subject[shown] != '\0' ? "..." : "", text, date);
    return refuse(session, TLS_CLIENT_CERTIFICATE, alert_for(status), why);
}

/* Holds the client against session->checked: 0 when it is let in, else -1. The credentials of the
 * session are those of `checked` too. */
static int judge(struct tls_session *session)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = 0, count = 0;
    char subject[SUBJECT_MAX];
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session->gnutls, &count);
    free(session->subject);
    session->subject = NULL;
    session->accepted = false;
    if (list == NULL || count == 0) {
        if (session->checked->verify == CONF_VERIFY_REQUIRED)
            return refuse(session, TLS_NO_CERTIFICATE, GNUTLS_A_CERTIFICATE_REQUIRED,
                          "the client has no certificate");
        session->accepted = true;
        return 0;
    }
    if (gnutls_certificate_verify_peers(session->gnutls, &purpose, 1, &status) < 0)
        status = GNUTLS_CERT_INVALID;
    if (status != 0)
        return refuse_bad(session, list, count, status);
    if (subject_of(&list[0], subject) < 0)
        return refuse(session, TLS_CLIENT_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE,
                      "the certificate's subject cannot be written down");
    session->subject = strdup(subject);
    if (session->subject == NULL)
        return refuse(session, TLS_CLIENT_CERTIFICATE, GNUTLS_A_INTERNAL_ERROR, "out of memory");
    session->accepted = true;
    return 0;
}

/* GnuTLS asks when the client has sent its certificate, or none. The proof that it has the key is
 * part of the handshake. */
static int on_verify(gnutls_session_t gnutls)
{
    return judge(gnutls_db_get_ptr(gnutls));
}

const char *tls_subject(const struct tls_session *session)
{
    return session->accepted ? session->subject : NULL;
}

bool tls_recheck(struct tls_session *session, struct tls *now)
{
    if (session->checked == now)
        return now->verify == CONF_VERIFY_NONE || session->accepted;
    tls_unref(session->checked);
    session->checked = tls_ref(now);
    session->accepted = false;
    if (gnutls_credentials_set(session->gnutls, GNUTLS_CRD_CERTIFICATE, now->credentials) < 0)
        return now->verify == CONF_VERIFY_NONE;
    if (now->verify == CONF_VERIFY_NONE || judge(session) == 0)
        return true;
    log_warning("TLS with %s: its connection ends, as the certificates are other ones now: %s",
                session->address, session->why);
    return false;
}

/* ---- How far it came ---- */

static int on_message(gnutls_session_t gnutls, unsigned type, unsigned when, unsigned incoming,
                      const gnutls_datum_t *message)
{
    struct tls_session *session = gnutls_db_get_ptr(gnutls);
    (void)message;
    if (type == GNUTLS_HANDSHAKE_CLIENT_HELLO && incoming)
        session->hello = true;
    else if (type == GNUTLS_HANDSHAKE_SERVER_HELLO && !incoming)
        session->answered = true;
    if (type != GNUTLS_HANDSHAKE_FINISHED || when != GNUTLS_HOOK_POST)
        return 0;
    if (!incoming) {
        session->finished = true;
        return 0;
    }
    /* GnuTLS has asked on_verify() by now. Should a version of it ever not: nobody comes in. */
    if (session->tls->verify != CONF_VERIFY_NONE && !session->accepted)
        return GNUTLS_E_NO_CERTIFICATE_FOUND;
    session->done = true;
    return 0;
}

enum tls_wants tls_wants(const struct tls_session *session)
{
    if (session->done && session->finished)
        return TLS_WANTS_NOTHING;
    return gnutls_record_get_direction(session->gnutls) == 0 ? TLS_WANTS_TO_READ
                                                             : TLS_WANTS_TO_SEND;
}

/* Has it sent anything at all? Who only looks whether the port is open has not. The kernel counts
 * the end of what it sends (FIN) as one byte. */
static bool has_sent(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_bytes_received > 1;
}

static const char *find_cause(struct tls_session *session)
{
    if (session->why[0] != '\0')
        return session->why;
    if (session->answered) {
        session->cause = TLS_BROKEN_OFF;
        return "it broke off when it had seen the certificate, which it may not trust, or was too "
               "slow";
    }
    if (session->hello) {
        session->cause = TLS_NOTHING_IN_COMMON;
        return "it offered no version or cipher that is taken here";
    }
    session->cause = TLS_NO_TLS;
    return has_sent(session->fd) ? "what it sent was not TLS, or not all of a first message" : NULL;
}

/* What is left unread would turn the end of the connection into a reset, and that takes the alert
 * away from the client before it has read why. */
static void discard_input(int fd)
{
    char waste[DISCARD_EACH];
    for (int i = 0; i < 64; i++) {
        if (recv(fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
            return;
    }
}

/* ---- The session ---- */

static int give_none(gnutls_session_t gnutls, const gnutls_datum_t *names, int name_count,
                     const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                     gnutls_pcert_st **chain, unsigned *chain_len, gnutls_privkey_t *key)
{
    (void)gnutls;
    (void)names;
    (void)name_count;
    (void)algorithms;
    (void)algorithm_count;
    (void)chain;
    (void)chain_len;
    (void)key;
    return -1;
}

tls_callback *tls_no_certificate(void)
{
    gnutls_certificate_retrieve_function2 *function = give_none;
    return (tls_callback *)function;
}

struct tls_session *tls_begin(struct tls *tls, void *gnutls, int fd, const char *address,
                              struct tls_failures *failures)
{
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    if (gnutls_priority_set(gnutls, tls->priority) < 0 ||
        gnutls_credentials_set(gnutls, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0) {
        /* What libmicrohttpd has set gives no certificate. */
        gnutls_credentials_clear(gnutls);
        free(session);
        return NULL;
    }
    session->tls = tls_ref(tls);
    session->checked = tls_ref(tls);
    session->gnutls = gnutls;
    session->fd = fd;
    session->address = address;
    session->failures = failures;
    /* GnuTLS's own pointer is libmicrohttpd's; this one is for a store of sessions, which is not
     * there. */
    gnutls_db_set_ptr(gnutls, session);
    gnutls_handshake_set_hook_function(gnutls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, on_message);
    gnutls_handshake_set_max_packet_length(gnutls, HANDSHAKE_MAX);
    if (tls->verify != CONF_VERIFY_NONE) {
        /* Also when it is required: so we are asked, and the client is told. */
        gnutls_certificate_server_set_request(gnutls, GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(gnutls, on_verify);
    }
    return session;
}

void tls_end(struct tls_session *session)
{
    if (session == NULL || session->done)
        return;
    const char *why = find_cause(session);
    if (why != NULL)
        tls_failures_note(session->failures, session->cause, session->address, why);
    else
        log_debug("%s came and went without a word", session->address);
    discard_input(session->fd);
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    tls_unref(session->tls);
    tls_unref(session->checked);
    free(session->subject);
    free(session);
}

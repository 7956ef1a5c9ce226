/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Built --without-gnutls: no listener has TLS, and a configuration that wants it is told so. */
#include "core/tls.h"

struct tls *tls_load(const struct conf_tls *conf, struct tls_notes *ret_notes, struct fault *fault)
{
    (void)conf;
    *ret_notes = (struct tls_notes){.wrong = "certificate_file"};
    fault_set(fault, FAULT_CONF, "this nmid was built without GnuTLS: it has no TLS");
    return NULL;
}

struct tls *tls_ref(struct tls *tls)
{
    return tls;
}

void tls_unref(struct tls *tls)
{
    (void)tls;
}

tls_callback *tls_no_certificate(void)
{
    return NULL;
}

struct tls_session *tls_begin(struct tls *tls, void *gnutls, int fd, const char *address)
{
    (void)tls;
    (void)gnutls;
    (void)fd;
    (void)address;
    return NULL;
}

enum tls_wants tls_wants(const struct tls_session *session)
{
    (void)session;
    return TLS_WANTS_NOTHING;
}

void tls_end(struct tls_session *session)
{
    (void)session;
}

void tls_session_free(struct tls_session *session)
{
    (void)session;
}

const char *tls_subject(const struct tls_session *session)
{
    (void)session;
    return NULL;
}

bool tls_recheck(struct tls_session *session, struct tls *now)
{
    (void)session;
    (void)now;
    return true;
}

int tls_subject_normalise(const char *text, char subject[TLS_SUBJECT_MAX], struct fault *fault)
{
    (void)text;
    (void)subject;
    return fault_set(fault, FAULT_CONF,
                     "this nmid was built without GnuTLS: it knows no clients' certificates");
}

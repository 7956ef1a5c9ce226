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

const char *tls_name(const struct tls *tls)
{
    (void)tls;
    return "";
}

int64_t tls_begins(const struct tls *tls)
{
    (void)tls;
    return 0;
}

int64_t tls_expires(const struct tls *tls)
{
    (void)tls;
    return 0;
}

bool tls_in_date(const struct tls *tls, int64_t now_s)
{
    (void)tls;
    (void)now_s;
    return true;
}

bool tls_ca_in_date(const struct tls *tls, int64_t now_s)
{
    (void)tls;
    (void)now_s;
    return true;
}

bool tls_is_same(const struct tls *a, const struct tls *b)
{
    return a == b;
}

const char *tls_date(int64_t when_s, char text[TLS_DATE_MAX])
{
    (void)when_s;
    text[0] = '\0';
    return text;
}

struct tls_session *tls_begin(struct tls *tls, void *gnutls, int fd, const char *address,
                              struct tls_failures *failures)
{
    (void)failures;
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

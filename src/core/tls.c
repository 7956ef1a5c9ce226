/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Certificates, keys and lists of a listener, from their files into GnuTLS. Everything that can be
 * wrong with them is found here, before the listener has them: so a reload is all or nothing. */
#include "core/tls.h"

#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/secret.h"
#include "core/conf_file.h"
#include "core/tls_state.h"

#define CERTIFICATE_MAX ((size_t)256 * 1024)
#define KEY_MAX         ((size_t)64 * 1024)
#define CA_MAX          ((size_t)1024 * 1024)
#define CRL_MAX         ((size_t)16 * 1024 * 1024)
#define SOON_S          (30 * 86400)
#define RSA_BITS_MIN    2048
#define RSA_BITS_USABLE 1024
#define EC_BITS_USABLE  256

/* Forward secrecy and authenticated encryption only, the server's order, no finite-field groups
 * (their exponentiation costs the server ten times the client's); SHA-1 signs nothing. MEDIUM:
 * what a client's certificate must be worth, 2048 bits of RSA. */
#define PRIORITY_FROM_12 "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" PRIORITY_REST
#define PRIORITY_FROM_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:" PRIORITY_REST
#define PRIORITY_REST                                                                              \
    "-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"                                                             \
    "-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:"                     \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:"                 \
    "-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%PROFILE_MEDIUM:%SERVER_PRECEDENCE"

/* One load under way. */
struct load {
    const struct conf_tls *conf;
    struct tls *tls;
    struct tls_notes *notes;
    struct fault *fault;
    gnutls_x509_crt_t *ca; /* of clients */
    unsigned ca_count;
};

static void note(struct load *load, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(struct load *load, const char *key, const char *format, ...)
{
    struct tls_notes *notes = load->notes;
    va_list args;
    if (notes->count == TLS_NOTES_MAX)
        return;
    struct tls_note *next = &notes->notes[notes->count++];
    next->key = key;
    va_start(args, format);
    vsnprintf(next->text, sizeof next->text, format, args);
    va_end(args);
}

static int wrong(struct load *load, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int wrong(struct load *load, const char *key, const char *format, ...)
{
    char text[FAULT_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    load->notes->wrong = key;
    return fault_set(load->fault, FAULT_CONF, "%s", text);
}

/* GnuTLS's own words, and memory apart from the rest. */
static int failed(struct load *load, const char *key, const char *path, int error)
{
    if (error == GNUTLS_E_MEMORY_ERROR) {
        load->notes->wrong = key;
        return fault_set(load->fault, FAULT_MEMORY, "out of memory");
    }
    if (error == GNUTLS_E_NO_CERTIFICATE_FOUND || error == GNUTLS_E_BASE64_DECODING_ERROR ||
        error == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR)
        return wrong(load, key, "%s: it holds no %s (PEM)", path,
                     strcmp(key, "client_crl_file") == 0 ? "CRL"
                     : strcmp(key, "key_file") == 0      ? "private key"
                                                         : "certificate");
    return wrong(load, key, "%s: %s", path, gnutls_strerror(error));
}

/* ---- Files ---- */

static int read_file(struct load *load, const char *key, const char *path, size_t max,
                     struct conf_text *text)
{
    struct fault fault = {0};
    if (conf_file_read(path, max, text, &fault) == 0)
        return 0;
    return wrong(load, key, "%s: %s", path, fault.message);
}

static gnutls_datum_t datum_of(const struct conf_text *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)text->bytes, .size = (unsigned)text->len};
}

static bool holds(const struct conf_text *text, const char *what)
{
    return memmem(text->bytes, text->len, what, strlen(what)) != NULL;
}

/* ---- What is said of a certificate ---- */

static void name_of(gnutls_x509_crt_t certificate, char name[128])
{
    gnutls_datum_t text = {0};
    name[0] = '\0';
    if (gnutls_x509_crt_get_dn3(certificate, &text, 0) == 0)
        snprintf(name, 128, "%.*s", (int)text.size, text.data);
    gnutls_free(text.data);
    if (name[0] == '\0')
        memcpy(name, "it", 3);
}

static void say_date(struct load *load, const char *key, const char *path, const char *what,
                     time_t when)
{
    char text[TLS_DATE_MAX];
    note(load, key, "%.150s: %s %s", path, what, tls_date(when, text));
}

static void check_dates(struct load *load, const char *key, const char *path,
                        gnutls_x509_crt_t certificate)
{
    time_t now = time(NULL);
    time_t begins = gnutls_x509_crt_get_activation_time(certificate);
    time_t ends = gnutls_x509_crt_get_expiration_time(certificate);
    char name[128], what[192];
    name_of(certificate, name);
    const char *says = NULL;
    if (begins > now)
        says = "is not valid before";
    else if (ends < now)
        says = "expired on";
    else if (ends - now < SOON_S)
        says = "expires on";
    if (says == NULL)
        return;
    snprintf(what, sizeof what, "%.80s %s", name, says);
    say_date(load, key, path, what, begins > now ? begins : ends);
}

static void check_strength(struct load *load, const char *key, const char *path,
                           gnutls_x509_crt_t certificate)
{
    unsigned bits = 0;
    char name[128];
    name_of(certificate, name);
    int algorithm = gnutls_x509_crt_get_pk_algorithm(certificate, &bits);
    int sign = gnutls_x509_crt_get_signature_algorithm(certificate);
    if ((algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS) && bits < RSA_BITS_MIN)
        note(load, key, "%.150s: %.60s: an RSA key of %u bits is short: expected %d", path, name,
             bits, RSA_BITS_MIN);
    /* A root's own signature proves nothing, whatever it is. */
    if (gnutls_x509_crt_check_issuer(certificate, certificate) == 0 &&
        gnutls_sign_is_secure2((gnutls_sign_algorithm_t)sign, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS) ==
            0)
        note(load, key, "%.150s: %.60s is signed with %s, which clients do not trust", path, name,
             gnutls_sign_get_name((gnutls_sign_algorithm_t)sign));
}

/* Is it made for servers? */
static void check_use(struct load *load, const char *path, gnutls_x509_crt_t certificate)
{
    unsigned usage = 0, critical, type;
    char text[256];
    size_t size = sizeof text;
    bool any = false, server = false;
    int got = gnutls_x509_crt_get_subject_alt_name2(certificate, 0, text, &size, &type, NULL);
    if (got == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        note(load, "certificate_file",
             "%.150s: it has no subjectAltName: clients find no name in it", path);
    for (unsigned i = 0;; i++) {
        size = sizeof text;
        if (gnutls_x509_crt_get_key_purpose_oid(certificate, i, text, &size, NULL) < 0)
            break;
        any = true;
        server |= strcmp(text, GNUTLS_KP_TLS_WWW_SERVER) == 0 || strcmp(text, GNUTLS_KP_ANY) == 0;
    }
    if (any && !server)
        note(load, "certificate_file", "%.150s: its extendedKeyUsage does not name servers", path);
    if (gnutls_x509_crt_get_key_usage(certificate, &usage, &critical) == 0 &&
        (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) == 0)
        note(load, "certificate_file", "%.150s: its keyUsage has no digitalSignature", path);
}

/* ---- The listener's own ---- */

static int read_key(struct load *load, gnutls_x509_privkey_t key)
{
    const char *path = load->conf->key_file;
    struct conf_text text = {0};
    if (read_file(load, "key_file", path, KEY_MAX, &text) < 0)
        return -1;
    gnutls_datum_t datum = datum_of(&text);
    int result = 0;
    if (text.public)
        result = wrong(load, "key_file",
                       "%s holds a secret and is readable by others: chmod o-r %s", path, path);
    else if (!holds(&text, "PRIVATE KEY-----"))
        result = wrong(load, "key_file", "%s: it holds no private key (PEM)", path);
    else if (holds(&text, "BEGIN ENCRYPTED ") || holds(&text, "Proc-Type: 4,ENCRYPTED"))
        result = wrong(load, "key_file",
                       "%s: the key has a passphrase, which nobody is there to type", path);
    if (result == 0) {
        int error = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
        result = error < 0 ? failed(load, "key_file", path, error) : 0;
    }
    conf_text_wipe(&text);
    return result;
}

static int read_chain(struct load *load, gnutls_x509_crt_t **ret_chain, unsigned *ret_count)
{
    const char *key = "certificate_file", *path = load->conf->certificate_file;
    struct conf_text text = {0};
    if (read_file(load, key, path, CERTIFICATE_MAX, &text) < 0)
        return -1;
    gnutls_datum_t datum = datum_of(&text);
    int error = 0, result = 0;
    if (text.public && holds(&text, "PRIVATE KEY-----"))
        result = wrong(load, key, "%s holds a private key and is readable by others: chmod o-r %s",
                       path, path);
    else
        error = gnutls_x509_crt_list_import2(ret_chain, ret_count, &datum, GNUTLS_X509_FMT_PEM,
                                             GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    conf_text_wipe(&text);
    if (error == GNUTLS_E_CERTIFICATE_LIST_UNSORTED)
        return wrong(load, key,
                     "%s: each certificate must be followed by the one that signed it, the "
                     "listener's own first",
                     path);
    return error < 0 ? failed(load, key, path, error) : result;
}

static void chain_free(gnutls_x509_crt_t *chain, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
}

/* What is to be told of it later. */
static int remember(struct tls *tls, gnutls_x509_crt_t *chain, unsigned count)
{
    char name[128];
    size_t size = sizeof tls->fingerprint;
    name_of(chain[0], name);
    tls->name = strdup(strcmp(name, "it") == 0 ? "a certificate without a subject" : name);
    for (unsigned i = 0; i < count; i++) {
        time_t begins = gnutls_x509_crt_get_activation_time(chain[i]);
        time_t ends = gnutls_x509_crt_get_expiration_time(chain[i]);
        if (i == 0 || begins > tls->begins)
            tls->begins = begins;
        if (i == 0 || ends < tls->expires)
            tls->expires = ends;
    }
    int error =
        gnutls_x509_crt_get_fingerprint(chain[0], GNUTLS_DIG_SHA256, tls->fingerprint, &size);
    return tls->name == NULL ? GNUTLS_E_MEMORY_ERROR : error;
}

/* GnuTLS takes keys that nothing in the priorities above can sign with: every handshake would fail. */
static int check_key(struct load *load, gnutls_x509_crt_t certificate)
{
    unsigned bits = 0;
    gnutls_pk_algorithm_t algorithm =
        (gnutls_pk_algorithm_t)gnutls_x509_crt_get_pk_algorithm(certificate, &bits);
    bool rsa = algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
    if ((rsa && bits >= RSA_BITS_USABLE) ||
        (algorithm == GNUTLS_PK_ECDSA && bits >= EC_BITS_USABLE) ||
        algorithm == GNUTLS_PK_EDDSA_ED25519 || algorithm == GNUTLS_PK_EDDSA_ED448)
        return 0;
    return wrong(load, "key_file",
                 "%s: no client can use this key (%s, %u bits): expected ECDSA with P-256, P-384 or "
                 "P-521, EdDSA, or RSA with %d bits",
                 load->conf->key_file, gnutls_pk_get_name(algorithm), bits, RSA_BITS_MIN);
}

static int join(struct load *load, gnutls_x509_crt_t *chain, unsigned count,
                gnutls_x509_privkey_t key)
{
    const struct conf_tls *conf = load->conf;
    /* Both are copied. */
    int error = gnutls_certificate_set_x509_key(load->tls->credentials, chain, (int)count, key);
    if (error == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return wrong(load, "key_file", "%s is not the key of the certificate in %s", conf->key_file,
                     conf->certificate_file);
    if (error >= 0)
        error = remember(load->tls, chain, count);
    if (error < 0)
        return failed(load, "certificate_file", conf->certificate_file, error);
    if (check_key(load, chain[0]) < 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        check_dates(load, "certificate_file", conf->certificate_file, chain[i]);
        check_strength(load, "certificate_file", conf->certificate_file, chain[i]);
    }
    check_use(load, conf->certificate_file, chain[0]);
    return 0;
}

static int load_own(struct load *load)
{
    gnutls_x509_crt_t *chain = NULL;
    gnutls_x509_privkey_t key = NULL;
    unsigned count = 0;
    int result = read_chain(load, &chain, &count);
    if (result == 0 && gnutls_x509_privkey_init(&key) < 0)
        result = failed(load, "key_file", load->conf->key_file, GNUTLS_E_MEMORY_ERROR);
    if (result == 0)
        result = read_key(load, key);
    if (result == 0)
        result = join(load, chain, count, key);
    if (key != NULL)
        gnutls_x509_privkey_deinit(key); /* wipes it */
    chain_free(chain, count);
    return result;
}

/* ---- Who signs clients' ---- */

static int add_ca(struct load *load)
{
    const char *key = "client_ca_file", *path = load->conf->client_ca_file;
    int error = gnutls_certificate_set_x509_trust(load->tls->credentials, load->ca,
                                                  (int)load->ca_count); /* copies */
    if (error < 0)
        return failed(load, key, path, error);
    for (unsigned i = 0; i < load->ca_count; i++) {
        unsigned critical;
        char name[128];
        time_t begins = gnutls_x509_crt_get_activation_time(load->ca[i]);
        time_t ends = gnutls_x509_crt_get_expiration_time(load->ca[i]);
        if (i == 0 || begins < load->tls->ca_begins)
            load->tls->ca_begins = begins;
        if (i == 0 || ends > load->tls->ca_expires)
            load->tls->ca_expires = ends;
        check_dates(load, key, path, load->ca[i]);
        check_strength(load, key, path, load->ca[i]);
        name_of(load->ca[i], name);
        if (gnutls_x509_crt_get_ca_status(load->ca[i], &critical) <= 0)
            note(load, key,
                 "%.150s: %.60s is no CA: only a client with just this certificate is "
                 "let in",
                 path, name);
    }
    return 0;
}

static int load_ca(struct load *load)
{
    const char *key = "client_ca_file", *path = load->conf->client_ca_file;
    struct conf_text text = {0};
    if (path == NULL)
        return 0;
    if (read_file(load, key, path, CA_MAX, &text) < 0)
        return -1;
    gnutls_datum_t datum = datum_of(&text);
    int error =
        gnutls_x509_crt_list_import2(&load->ca, &load->ca_count, &datum, GNUTLS_X509_FMT_PEM, 0);
    conf_text_wipe(&text);
    return error < 0 ? failed(load, key, path, error) : add_ca(load);
}

/* GnuTLS takes any list as it is: that it is the CA's own, we see to. */
static bool is_signed(const struct load *load, gnutls_x509_crl_t list)
{
    const unsigned bad = GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
                         GNUTLS_CERT_SIGNATURE_FAILURE | GNUTLS_CERT_INSECURE_ALGORITHM;
    unsigned status = 0;
    return gnutls_x509_crl_verify(list, load->ca, load->ca_count, 0, &status) == 0 &&
           (status & bad) == 0;
}

/* Whom a missing list revoked is let in: the file may be half of what it was to be. */
static void check_lists(struct load *load, gnutls_x509_crl_t *list, unsigned count)
{
    for (unsigned i = 0; i < load->ca_count; i++) {
        char name[128];
        unsigned at = 0;
        while (at < count && gnutls_x509_crl_check_issuer(list[at], load->ca[i]) == 0)
            at++;
        name_of(load->ca[i], name);
        if (at == count)
            note(load, "client_crl_file", "%.150s: it has no list of %.60s, which revokes nothing",
                 load->conf->client_crl_file, name);
    }
}

static int add_crls(struct load *load, gnutls_x509_crl_t *list, unsigned count)
{
    const char *key = "client_crl_file", *path = load->conf->client_crl_file;
    unsigned strange = 0;
    for (unsigned i = 0; i < count; i++)
        strange += !is_signed(load, list[i]);
    if (strange > 0)
        return wrong(load, key, "%s: %u of its %u lists are not signed by a CA of client_ca_file",
                     path, strange, count);
    int added = gnutls_certificate_set_x509_crl(load->tls->credentials, list, (int)count);
    if (added < 0)
        return failed(load, key, path, added);
    for (unsigned i = 0; i < count; i++) {
        time_t next = gnutls_x509_crl_get_next_update(list[i]);
        if (next != (time_t)-1 && next < time(NULL))
            say_date(load, key, path, "the list was to be renewed by", next);
    }
    check_lists(load, list, count);
    return 0;
}

static int load_crl(struct load *load)
{
    const char *key = "client_crl_file", *path = load->conf->client_crl_file;
    struct conf_text text = {0};
    gnutls_x509_crl_t *list = NULL;
    unsigned count = 0;
    if (path == NULL)
        return 0;
    if (read_file(load, key, path, CRL_MAX, &text) < 0)
        return -1;
    gnutls_datum_t datum = datum_of(&text);
    int error = gnutls_x509_crl_list_import2(&list, &count, &datum, GNUTLS_X509_FMT_PEM, 0);
    conf_text_wipe(&text);
    int result = error < 0 ? failed(load, key, path, error) : add_crls(load, list, count);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crl_deinit(list[i]);
    gnutls_free(list);
    return result;
}

/* ---- The whole ---- */

struct tls *tls_load(const struct conf_tls *conf, struct tls_notes *ret_notes, struct fault *fault)
{
    *ret_notes = (struct tls_notes){0};
    struct tls *tls = calloc(1, sizeof *tls);
    struct load load = {.conf = conf, .tls = tls, .notes = ret_notes, .fault = fault};
    if (tls == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    tls->users = 1;
    tls->verify = conf->verify;
    const char *priority = conf->version_min == 13 ? PRIORITY_FROM_13 : PRIORITY_FROM_12;
    int error = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (error == 0)
        error = gnutls_priority_init(&tls->priority, priority, NULL);
    if (error < 0)
        failed(&load, "certificate_file", conf->certificate_file, error);
    bool bad = error < 0 || load_own(&load) < 0 || load_ca(&load) < 0 || load_crl(&load) < 0;
    chain_free(load.ca, load.ca_count);
    if (bad) {
        tls_unref(tls);
        return NULL;
    }
    /* A client's chain: no more work than that, whatever it sends. */
    gnutls_certificate_set_verify_limits(tls->credentials, 8192, 8);
    return tls;
}

struct tls *tls_ref(struct tls *tls)
{
    tls->users++;
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (tls == NULL || --tls->users > 0)
        return;
    if (tls->credentials != NULL)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priority != NULL)
        gnutls_priority_deinit(tls->priority);
    free(tls->name);
    free(tls);
}

const char *tls_name(const struct tls *tls)
{
    return tls->name;
}

bool tls_is_same(const struct tls *a, const struct tls *b)
{
    return memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clients' certificates, as a session sees them: handshakes over a socket pair, with certificates
 * made here, some of them such as no CA should sign. What a listener does with its files, and with
 * the rest of the network, is in tests/system/test_tls.py. */
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"
#include "core/subject.h"
#include "core/tls.h"

struct pair {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
};

struct lab {
    char dir[64];
    struct pair ca, server;
    struct tls *tls;
};

/* ---- Certificates ---- */

static gnutls_x509_privkey_t new_key(void)
{
    gnutls_x509_privkey_t key;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    return key;
}

/* A certificate without a name, signed by nobody yet. */
static struct pair pair_new(void)
{
    static unsigned char serial;
    struct pair pair = {.key = new_key()};
    serial++;
    assert_int_equal(gnutls_x509_crt_init(&pair.certificate), 0);
    gnutls_x509_crt_t certificate = pair.certificate;
    assert_int_equal(gnutls_x509_crt_set_key(certificate, pair.key), 0);
    assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(certificate, &serial, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + 90 * 86400), 0);
    return pair;
}

static void pair_sign(struct pair *pair, const struct pair *ca)
{
    assert_int_equal(
        gnutls_x509_crt_sign2(pair->certificate, ca->certificate, ca->key, GNUTLS_DIG_SHA256, 0),
        0);
}

static void pair_free(struct pair *pair)
{
    gnutls_x509_crt_deinit(pair->certificate);
    gnutls_x509_privkey_deinit(pair->key);
}

/* A client's. name: RFC 4514; NULL: the bytes as they are for its CN, in whatever string type
 * GnuTLS has for them; no bytes either: no subject at all. */
static struct pair client_new(const struct lab *lab, const char *name, const char *bytes,
                              size_t len)
{
    struct pair pair = pair_new();
    if (name != NULL)
        assert_int_equal(gnutls_x509_crt_set_dn(pair.certificate, name, NULL), 0);
    else if (bytes != NULL)
        assert_int_equal(gnutls_x509_crt_set_dn_by_oid(pair.certificate,
                                                       GNUTLS_OID_X520_COMMON_NAME, 0, bytes,
                                                       (unsigned)len),
                         0);
    assert_int_equal(
        gnutls_x509_crt_set_key_purpose_oid(pair.certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0), 0);
    pair_sign(&pair, &lab->ca);
    return pair;
}

static void write_pem(const struct lab *lab, const char *name, gnutls_datum_t *pem)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", lab->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pem->data, pem->size), pem->size);
    close(fd);
    gnutls_free(pem->data);
}

static struct tls *load(const struct lab *lab, enum conf_verify verify)
{
    char certificate[128], key[128], ca[128];
    struct tls_notes notes;
    struct fault fault = {0};
    snprintf(certificate, sizeof certificate, "%s/server.pem", lab->dir);
    snprintf(key, sizeof key, "%s/server.key", lab->dir);
    snprintf(ca, sizeof ca, "%s/ca.pem", lab->dir);
    const struct conf_tls conf = {.certificate_file = certificate,
                                  .key_file = key,
                                  .client_ca_file = verify == CONF_VERIFY_NONE ? NULL : ca,
                                  .verify = verify,
                                  .version_min = 12};
    struct tls *tls = tls_load(&conf, &notes, &fault);
    assert_string_equal(fault.message, "");
    assert_int_equal(notes.count, 0);
    assert_non_null(tls);
    return tls;
}

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    gnutls_datum_t pem;
    log_set_level(LOG_LEVEL_ERROR);
    snprintf(lab->dir, sizeof lab->dir, "%s", "/tmp/nmid-test-tls-XXXXXX");
    assert_non_null(mkdtemp(lab->dir));
    lab->ca = pair_new();
    assert_int_equal(gnutls_x509_crt_set_dn(lab->ca.certificate, "CN=site", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_ca_status(lab->ca.certificate, 1), 0);
    pair_sign(&lab->ca, &lab->ca);
    lab->server = pair_new();
    assert_int_equal(gnutls_x509_crt_set_dn(lab->server.certificate, "CN=web", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(lab->server.certificate,
                                                          GNUTLS_SAN_DNSNAME, "localhost", 9, 0),
                     0);
    pair_sign(&lab->server, &lab->ca);
    gnutls_x509_crt_export2(lab->ca.certificate, GNUTLS_X509_FMT_PEM, &pem);
    write_pem(lab, "ca.pem", &pem);
    gnutls_x509_crt_export2(lab->server.certificate, GNUTLS_X509_FMT_PEM, &pem);
    write_pem(lab, "server.pem", &pem);
    gnutls_x509_privkey_export2(lab->server.key, GNUTLS_X509_FMT_PEM, &pem);
    write_pem(lab, "server.key", &pem);
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"ca.pem", "server.pem", "server.key"};
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", lab->dir, names[i]);
        unlink(path);
    }
    rmdir(lab->dir);
    pair_free(&lab->ca);
    pair_free(&lab->server);
    tls_unref(lab->tls);
    free(lab);
    return 0;
}

/* ---- A handshake ---- */

struct ends {
    gnutls_session_t server, client;
    gnutls_certificate_credentials_t credentials;
    int fds[2];
    struct tls_session *session;
};

static void ends_open(struct ends *ends, struct tls *tls, const struct pair *client)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    assert_int_equal(gnutls_init(&ends->server, GNUTLS_SERVER | GNUTLS_NONBLOCK), 0);
    assert_int_equal(gnutls_init(&ends->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&ends->credentials), 0);
    if (client != NULL) {
        gnutls_x509_crt_t chain[1] = {client->certificate};
        assert_int_equal(gnutls_certificate_set_x509_key(ends->credentials, chain, 1, client->key),
                         0);
    }
    gnutls_set_default_priority(ends->client);
    gnutls_credentials_set(ends->client, GNUTLS_CRD_CERTIFICATE, ends->credentials);
    gnutls_transport_set_int(ends->server, ends->fds[0]);
    gnutls_transport_set_int(ends->client, ends->fds[1]);
    ends->session = tls_begin(tls, ends->server, ends->fds[0], "192.0.2.1", NULL);
    assert_non_null(ends->session);
}

/* True when the server takes the client. */
static bool ends_shake(struct ends *ends)
{
    int server = GNUTLS_E_AGAIN, client = GNUTLS_E_AGAIN;
    for (int i = 0; i < 100 && server == GNUTLS_E_AGAIN; i++) {
        if (client == GNUTLS_E_AGAIN)
            client = gnutls_handshake(ends->client);
        server = gnutls_handshake(ends->server);
    }
    return server == 0;
}

static void ends_close(struct ends *ends)
{
    tls_end(ends->session);
    gnutls_deinit(ends->server);
    gnutls_deinit(ends->client);
    tls_session_free(ends->session);
    gnutls_certificate_free_credentials(ends->credentials);
    close(ends->fds[0]);
    close(ends->fds[1]);
}

/* What the server knows a client as: "" when it has none, "(refused)". */
static void shake(struct tls *tls, const struct pair *client, char subject[SUBJECT_MAX])
{
    struct ends ends = {0};
    ends_open(&ends, tls, client);
    if (ends_shake(&ends))
        snprintf(subject, SUBJECT_MAX, "%s",
                 tls_subject(ends.session) == NULL ? "" : tls_subject(ends.session));
    else
        snprintf(subject, SUBJECT_MAX, "(refused)");
    ends_close(&ends);
}

/* ---- Cases ---- */

/* What a certificate has, by GnuTLS's names; and how such a client is known. */
static const struct {
    const char *text, *normal;
} subjects[] = {
    {"CN=bob", "CN=bob"},
    {"CN=bob,O=example", "CN=bob,O=example"},
    {"O=example,CN=bob", "O=example,CN=bob"},
    {"CN=a\\,b,O=c\\+d", "CN=a\\,b,O=c\\+d"},
    {"CN=m\xc3\xbcller", "CN=m\xc3\xbcller"},
    {"DC=conductor,DC=example,DC=net", "DC=conductor,DC=example,DC=net"},
    {"UID=nmi,OU=ops,O=example,C=DE", "UID=nmi,OU=ops,O=example,C=DE"},
    {"EMAIL=a@example,surName=b,street=c", "emailAddress=a@example,SN=b,STREET=c"},
};

static void test_a_client_is_known_by_the_normal_form(void **state)
{
    struct lab *lab = *state;
    char subject[SUBJECT_MAX];
    lab->tls = load(lab, CONF_VERIFY_REQUIRED);
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct pair client = client_new(lab, subjects[i].text, NULL, 0);
        shake(lab->tls, &client, subject);
        assert_string_equal(subject, subjects[i].normal);
        pair_free(&client);
    }
}

/* A CA that can be talked into odd names: none of them passes for another's. */
static void test_names_that_pass_for_no_other(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *subject;
    } names[] = {
        {"bob\0.evil.example", 17, "CN=#0c11626f62002e6576696c2e6578616d706c65"},
        {"bob\0", 4, "CN=#0c04626f6200"},
        {"\0bob", 4, "CN=#0c0400626f62"},
        {"bob,O=example", 13, "CN=bob\\,O=example"},
        {"bob+OU=ops", 10, "CN=bob\\+OU=ops"},
        {"bob ", 4, "CN=bob\\ "},
        {" bob", 4, "CN=\\ bob"},
        {"#04024869", 9, "CN=\\#04024869"},
        {"\"bob\"", 5, "CN=\\\"bob\\\""},
        {"bob\\", 4, "CN=bob\\\\"},
        {"bob\\,O=x", 8, "CN=bob\\\\\\,O=x"},
        {"<b>;=c", 6, "CN=\\<b\\>\\;=c"},
        {"bob\nCN=root", 11, "(refused)"}, /* nothing for a log, an answer, a terminal */
        {"bob\x1b[2J", 7, "(refused)"},
        {"bob\x7f", 4, "(refused)"},
        {"b\xff\xfe", 3, "(refused)"},
        {"bob\xc0\x80", 5, "(refused)"},
    };
    struct lab *lab = *state;
    char subject[SUBJECT_MAX];
    lab->tls = load(lab, CONF_VERIFY_REQUIRED);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pair client = client_new(lab, NULL, names[i].bytes, names[i].len);
        shake(lab->tls, &client, subject);
        assert_string_equal(subject, names[i].subject);
        pair_free(&client);
    }
}

static void test_subjects_that_cannot_be_compared(void **state)
{
    struct lab *lab = *state;
    char subject[SUBJECT_MAX];
    lab->tls = load(lab, CONF_VERIFY_OPTIONAL);
    struct pair client = client_new(lab, NULL, NULL, 0); /* nobody */
    shake(lab->tls, &client, subject);
    assert_string_equal(subject, "(refused)");
    pair_free(&client);
    client = pair_new(); /* too long */
    for (int i = 0; i < 20; i++) {
        char part[60];
        snprintf(part, sizeof part, "%055d", i);
        assert_int_equal(gnutls_x509_crt_set_dn_by_oid(client.certificate,
                                                       GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0,
                                                       part, (unsigned)strlen(part)),
                         0);
    }
    pair_sign(&client, &lab->ca);
    shake(lab->tls, &client, subject);
    assert_string_equal(subject, "(refused)");
    pair_free(&client);
}

static void test_who_is_asked(void **state)
{
    struct lab *lab = *state;
    char subject[SUBJECT_MAX];
    struct pair client = client_new(lab, "CN=bob", NULL, 0), false_ca = pair_new();
    struct lab others = {.ca = false_ca}; /* of the same name: else the client would not show it */
    assert_int_equal(gnutls_x509_crt_set_dn(false_ca.certificate, "CN=site", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_ca_status(false_ca.certificate, 1), 0);
    pair_sign(&false_ca, &false_ca);
    struct pair alone = client_new(&others, "CN=bob", NULL, 0);
    static const struct {
        enum conf_verify verify;
        const char *none, *good, *bad;
    } rows[] = {
        {CONF_VERIFY_NONE, "", "", ""}, /* what nobody asked for is not looked at */
        {CONF_VERIFY_OPTIONAL, "", "CN=bob", "(refused)"},
        {CONF_VERIFY_REQUIRED, "(refused)", "CN=bob", "(refused)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls *tls = load(lab, rows[i].verify);
        shake(tls, NULL, subject);
        assert_string_equal(subject, rows[i].none);
        shake(tls, &client, subject);
        assert_string_equal(subject, rows[i].good);
        shake(tls, &alone, subject);
        assert_string_equal(subject, rows[i].bad);
        tls_unref(tls);
    }
    pair_free(&client);
    pair_free(&alone);
    pair_free(&false_ca);
}

/* A session outlives what it began with, and is held against what there is now. */
static void test_recheck(void **state)
{
    struct lab *lab = *state;
    struct ends ends = {0};
    struct pair client = client_new(lab, "CN=bob", NULL, 0);
    struct tls *first = load(lab, CONF_VERIFY_OPTIONAL), *none = load(lab, CONF_VERIFY_NONE);
    ends_open(&ends, first, &client);
    tls_unref(first);
    assert_true(ends_shake(&ends));
    assert_true(tls_recheck(ends.session, first));
    assert_string_equal(tls_subject(ends.session), "CN=bob");
    assert_true(tls_recheck(ends.session, none));
    assert_null(tls_subject(ends.session)); /* nobody says who is trusted */
    struct tls *again = load(lab, CONF_VERIFY_REQUIRED);
    assert_true(tls_recheck(ends.session, again));
    assert_string_equal(tls_subject(ends.session), "CN=bob");
    gnutls_datum_t pem;
    struct pair other = pair_new();
    assert_int_equal(gnutls_x509_crt_set_dn(other.certificate, "CN=other", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_ca_status(other.certificate, 1), 0);
    pair_sign(&other, &other);
    gnutls_x509_crt_export2(other.certificate, GNUTLS_X509_FMT_PEM, &pem);
    write_pem(lab, "ca.pem", &pem); /* others are trusted now */
    struct tls *stranger = load(lab, CONF_VERIFY_OPTIONAL);
    for (int i = 0; i < 2; i++) {
        assert_false(tls_recheck(ends.session, stranger));
        assert_null(tls_subject(ends.session));
    }
    ends_close(&ends);
    tls_unref(none);
    tls_unref(again);
    tls_unref(stranger);
    pair_free(&client);
    pair_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_client_is_known_by_the_normal_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_pass_for_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subjects_that_cannot_be_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recheck, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

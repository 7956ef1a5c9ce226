/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/secret.h"
#include "base/verify.h"

#define FILE_MAX 131072 /* of a file, as far as it is looked at here */

/* ---- The files ---- */

struct pem {
    const char *path;
    const char *option; /* for people: "--cert" */
    const char *wanted; /* what must stand in it */
    const char *what;   /* and how that is called */
    bool is_secret;
    bool may_be_directory;
};

/* What is wrong with its contents; NULL: nothing. libcurl says no more of a key than that it is not
 * good. */
static const char *text_refuse(const struct pem *pem, const char *text, mode_t mode)
{
    static char refusal[96];
    if (strstr(text, pem->wanted) == NULL) {
        snprintf(refusal, sizeof refusal, " holds no %s, as PEM", pem->what);
        return refusal;
    }
    if (pem->is_secret && (mode & S_IROTH) != 0)
        return " is readable by others: chmod 600 it";
    if (pem->is_secret &&
        (strstr(text, "ENCRYPTED PRIVATE KEY") != NULL || strstr(text, "4,ENCRYPTED") != NULL))
        return " has a passphrase, which nmictl cannot use: openssl pkey -in FILE -out NEW writes "
               "it "
               "without one";
    return NULL;
}

static const char *errno_refuse(void)
{
    static char refusal[96];
    snprintf(refusal, sizeof refusal, ": %s", strerror(errno));
    return refusal;
}

static const char *file_refuse(const struct pem *pem, int fd)
{
    static char text[FILE_MAX + 1];
    struct stat found;
    size_t len = 0;
    ssize_t got = 1;
    if (fd < 0 || fstat(fd, &found) < 0)
        return errno_refuse();
    if (pem->may_be_directory && S_ISDIR(found.st_mode))
        return NULL;
    if (!S_ISREG(found.st_mode)) /* and no pipe: it is read for each connection */
        return pem->may_be_directory ? " is neither a file nor a directory" : " is no file";
    while (got > 0 && len < FILE_MAX) {
        got = read(fd, text + len, FILE_MAX - len);
        len += got > 0 ? (size_t)got : 0;
    }
    text[len] = '\0';
    const char *refusal = got < 0 ? errno_refuse() : text_refuse(pem, text, found.st_mode);
    if (pem->is_secret)
        secret_wipe(text, sizeof text);
    return refusal;
}

/* Better said once than by each connection, in libcurl's words. */
static int file_check(const struct pem *pem, struct fault *fault)
{
    if (pem->path == NULL)
        return 0;
    int fd = open(pem->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *refusal = file_refuse(pem, fd);
    if (refusal != NULL)
        fault_set(fault, FAULT_USAGE, "%s %.200s%s", pem->option, pem->path, refusal);
    if (fd >= 0)
        close(fd);
    return refusal == NULL ? 0 : -1;
}

/* ---- What the user said ---- */

static const char *environment_get(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

int tls_complete(struct tls_options *options, const struct client_url *url, struct fault *fault)
{
    const char *named = options->ca != NULL            ? "--cacert"
                        : options->certificate != NULL ? "--cert"
                        : options->key != NULL         ? "--key"
                                                       : NULL;
    if (!url->encrypted)
        return named == NULL
                   ? 0
                   : fault_set(fault, FAULT_USAGE,
                               "%s is for a nmid with TLS, at https:, and not for %.200s%s", named,
                               url->shown,
                               strcmp(named, "--key") == 0 ? " (the audit's is --idempotency-key)"
                                                           : "");
    if (options->ca == NULL)
        options->ca = environment_get("NMID_CACERT");
    /* NMID_KEY is the key of NMID_CERT, and of no other certificate. */
    if (options->certificate == NULL && options->key == NULL)
        options->key = environment_get("NMID_KEY");
    if (options->certificate == NULL)
        options->certificate = environment_get("NMID_CERT");
    if (options->certificate == NULL && options->key != NULL)
        return fault_set(fault, FAULT_USAGE, "--key, or NMID_KEY, wants a --cert, or NMID_CERT");
    bool is_in_one = options->key == NULL;
    if (is_in_one)
        options->key = options->certificate;
    const struct pem files[] = {
        {options->ca, "--cacert", "CERTIFICATE-----", "certificate", false, true},
        {options->certificate, "--cert", "-----BEGIN CERTIFICATE", "certificate", false, false},
        {options->key, is_in_one ? "--key is not given, and --cert" : "--key", "PRIVATE KEY-----",
         "private key", true, false},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (file_check(&files[i], fault) < 0)
            return -1;
    return 0;
}

/* ---- libcurl ---- */

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if ((rc = curl_easy_setopt(easy, option, value)) != CURLE_OK)                              \
            return rc;                                                                             \
    } while (0)

CURLcode tls_apply(const struct tls_options *options, CURL *easy)
{
    CURLcode rc;
    struct stat found;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (options->ca != NULL) { /* and nobody else is trusted */
        bool is_directory = stat(options->ca, &found) == 0 && S_ISDIR(found.st_mode);
        SET(CURLOPT_CAINFO, is_directory ? NULL : options->ca);
        SET(CURLOPT_CAPATH, is_directory ? options->ca : NULL);
    }
    if (options->certificate != NULL) {
        SET(CURLOPT_SSLCERT, options->certificate);
        SET(CURLOPT_SSLKEY, options->key);
    }
    return CURLE_OK;
}

#undef SET

/* ---- What went wrong ---- */

/* nmid's certificate is not to be trusted. */
static void explain_server(const struct tls_options *options, const char *url, CURL *easy,
                           const char *words, struct fault *fault)
{
    long result = 0;
    const char *what = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result) == CURLE_OK)
        what = verify_explain(curl_version_info(CURLVERSION_NOW)->ssl_version, result);
    if (what != NULL && strstr(what, "known here") != NULL)
        fault_set(fault, FAULT_CONNECT, "the certificate of %.200s %s; %s%.150s", url, what,
                  options->ca != NULL ? "nor is that CA in --cacert " : "--cacert FILE names one",
                  options->ca != NULL ? options->ca : "");
    else if (what != NULL)
        fault_set(fault, FAULT_CONNECT, "the certificate of %.200s %s", url, what);
    else if (strstr(words, "does not match") != NULL)
        fault_set(fault, FAULT_CONNECT, "the certificate of %.200s is for other names: %.250s", url,
                  words);
    else
        fault_set(fault, FAULT_CONNECT, "the certificate of %.200s is not good: %.250s", url,
                  words);
}

/* nmid has ended the handshake. Under TLS 1.3 that comes when the client has already begun to send,
 * and libcurl does not tell which alert it was. */
static bool is_refusal(CURLcode rc, const char *words)
{
    /* The last three: nmid was quicker to close than its alert to come. */
    static const char *const alerts[] = {"ertificate",        "CA is unknown", "Handshake failed",
                                         "Access was denied", "Send failure",  "Recv failure",
                                         "Failed sending"};
    if (rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR || rc == CURLE_GOT_NOTHING)
        return true;
    for (size_t i = 0; rc == CURLE_SSL_CONNECT_ERROR && i < sizeof alerts / sizeof alerts[0]; i++)
        if (strstr(words, alerts[i]) != NULL)
            return true;
    return false;
}

/* words: of an alert, or "". many: it may also have been one connection too many. */
static void explain_refusal(const struct tls_options *options, const char *url, const char *words,
                            bool many, struct fault *fault)
{
    char more[160] = "";
    if (many)
        snprintf(more, sizeof more,
                 "; or this host has as many connections as nmid's limits.connections_per_address "
                 "allows");
    else if (words[0] != '\0')
        snprintf(more, sizeof more, " (%.120s)", words);
    if (options->certificate == NULL)
        fault_set(fault, FAULT_CONNECT,
                  "nmid at %.200s ended the TLS connection: perhaps it wants a client certificate: "
                  "--cert FILE%s",
                  url, more);
    else
        fault_set(
            fault, FAULT_CONNECT,
            "nmid at %.150s ended the TLS connection: perhaps it does not trust --cert %.120s, "
            "or that has expired or was revoked%s",
            url, options->certificate, more);
}

/* http: to what may speak TLS. */
static bool explain_plain(const struct client_url *url, CURLcode rc, struct fault *fault)
{
    if (url->socket != NULL || (rc != CURLE_GOT_NOTHING && rc != CURLE_UNSUPPORTED_PROTOCOL))
        return false;
    fault_set(fault, FAULT_CONNECT,
              "what listens at %.200s gives no answer in HTTP; is it https:? If not, "
              "this host may have as many connections as nmid's limits.connections_per_address "
              "allows",
              url->shown);
    return true;
}

/* The connection was reset while it was being made. */
static bool explain_reset(const struct client_url *url, const char *words, struct fault *fault)
{
    if (strstr(words, "reset by peer") == NULL)
        return false;
    fault_set(fault, FAULT_CONNECT,
              "nmid at %.200s closes each connection at once: this host may have as many as its "
              "limits.connections_per_address allows",
              url->shown);
    return true;
}

bool tls_explain(const struct tls_options *options, const struct client_url *url, CURL *easy,
                 CURLcode rc, bool answered, bool away, const char *words, struct fault *fault)
{
    if (away && !answered && rc == CURLE_COULDNT_CONNECT)
        return explain_reset(url, words, fault);
    if (!url->encrypted)
        return !answered && explain_plain(url, rc, fault);
    if (rc == CURLE_PEER_FAILED_VERIFICATION)
        explain_server(options, url->shown, easy, words, fault);
    else if (rc == CURLE_SSL_CACERT_BADFILE)
        fault_set(fault, FAULT_CONNECT, "--cacert %.200s cannot be used: %.200s",
                  options->ca != NULL ? options->ca : "", words);
    else if (options->certificate != NULL &&
             (rc == CURLE_SSL_CERTPROBLEM || strstr(words, "error reading X.509 key") != NULL))
        fault_set(fault, FAULT_CONNECT,
                  "--cert %.150s and --key %.150s cannot be used: is it its key? (%.120s)",
                  options->certificate, options->key, words);
    else if (rc == CURLE_SSL_CONNECT_ERROR && strstr(words, "unexpected TLS packet") != NULL)
        fault_set(fault, FAULT_CONNECT, "what listens at %.200s does not speak TLS; is it http:?",
                  url->shown);
    else if (!answered && (away || is_refusal(rc, words)) && rc != CURLE_COULDNT_CONNECT)
        explain_refusal(options, url->shown, away ? "" : words,
                        away && rc == CURLE_SSL_CONNECT_ERROR, fault);
    else
        return false;
    return true;
}

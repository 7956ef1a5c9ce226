/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One log-in. Of the answer the header X-Subject-Token is wanted, and Keystone's own words when it
 * refuses. */
#include "cli/login.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/verify.h"
#include "cli/answer.h"

#define CONNECT_MS 5000L
#define ANSWER_MAX 65536

struct login {
    CURLM *multi;
    CURL *easy;
    const struct openrc *openrc;
    struct curl_slist *headers;
    struct secret *body;
    char error[CURL_ERROR_SIZE];
    char answer[ANSWER_MAX]; /* what is more is let go */
    size_t length;
};

static size_t answer_take(char *bytes, size_t size, size_t count, void *arg)
{
    struct login *login = arg;
    size_t length = size * count, room = sizeof login->answer - login->length;
    memcpy(login->answer + login->length, bytes, length < room ? length : room);
    login->length += length < room ? length : room;
    return length;
}

static int easy_prepare(struct login *login, long timeout_ms)
{
    CURL *easy = login->easy;
    char url[sizeof login->openrc->auth_url + 32];
    snprintf(url, sizeof url, "%s/auth/tokens?nocatalog", login->openrc->auth_url);
    login->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (login->headers == NULL || curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
        return -1;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, login->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)login->body->bytes);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)login->body->len);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, login->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, login);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "nmictl");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (login->openrc->ca_file == NULL)
        return 0;
    /* And nobody else is trusted: libcurl would add the system's. */
    return curl_easy_setopt(easy, CURLOPT_CAINFO, login->openrc->ca_file) == CURLE_OK &&
                   curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK
               ? 0
               : -1;
}

struct login *login_start(CURLM *multi, const struct openrc *openrc, long timeout_ms,
                          struct fault *fault)
{
    struct login *login = calloc(1, sizeof *login);
    if (login != NULL) {
        login->openrc = openrc;
        login->easy = curl_easy_init();
        login->body = openrc_body(openrc);
    }
    if (login == NULL || login->easy == NULL || login->body == NULL ||
        easy_prepare(login, timeout_ms) < 0 ||
        curl_multi_add_handle(multi, login->easy) != CURLM_OK) {
        login_free(login);
        fault_set(fault, FAULT_MEMORY,
                  "the log-in to Keystone: out of memory, or a value of the openrc is too long");
        return NULL;
    }
    login->multi = multi;
    return login;
}

bool login_owns(const struct login *login, const CURL *easy)
{
    return login != NULL && login->easy == easy;
}

static int refused(const struct login *login, long status, struct fault *fault)
{
    char who[256];
    json_t *body = json_loadb(login->answer, login->length, 0, NULL);
    const char *words = answer_text(json_object_get(body, "error"), "message");
    const char *url = login->openrc->auth_url;
    openrc_describe(login->openrc, who, sizeof who);
    /* It tells nobody which of these it was. */
    const char *why = login->openrc->application_credential
                          ? "wrong secret, or the credential has expired or does not exist"
                      : login->openrc->system_scope
                          ? "wrong password or domain, or no role in the system"
                          : "wrong password or domain, or no such project, or no role in it";
    if (words[0] == '\0')
        words = "it gives no reason";
    if (status == 401 || status == 403)
        fault_set(fault, FAULT_UNAUTHORIZED, "Keystone at %.100s refused %s: %s (%.120s)", url, who,
                  why, words);
    else if (status == 400)
        fault_set(fault, FAULT_UNAUTHORIZED,
                  "Keystone at %.100s does not take the log-in of %s: %.150s", url, who, words);
    else if (status >= 500 || status == 429)
        fault_set(fault, FAULT_IDENTITY, "Keystone at %.100s answers HTTP %ld: %.150s", url, status,
                  words);
    else
        fault_set(fault, FAULT_PROTOCOL, "no Keystone at %.100s: POST auth/tokens answers HTTP %ld",
                  url, status);
    json_decref(body);
    return -1;
}

/* A token for nothing gives no right anywhere: it is what an openrc without a project leads to,
 * unless the user has a default project. */
static int scope_check(const struct login *login, struct fault *fault)
{
    static const char *const scopes[] = {"project", "system", "domain"};
    char who[256];
    json_t *body = json_loadb(login->answer, login->length, 0, NULL);
    const json_t *token = json_object_get(body, "token");
    bool scoped = !json_is_object(token); /* it cannot be read: nmid will see */
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        scoped = scoped || json_object_get(token, scopes[i]) != NULL;
    json_decref(body);
    if (scoped)
        return 0;
    openrc_describe(login->openrc, who, sizeof who);
    return fault_set(fault, FAULT_UNAUTHORIZED,
                     "Keystone at %.100s gave %s a token that is for nothing: set OS_PROJECT_NAME "
                     "or OS_SYSTEM_SCOPE=all",
                     login->openrc->auth_url, who);
}

int login_finish(struct login *login, CURLcode rc, struct credentials *credentials,
                 struct fault *fault)
{
    long status = 0;
    struct curl_header *token = NULL;
    const char *url = login->openrc->auth_url;
    if (rc == CURLE_SSL_CACERT_BADFILE)
        return fault_set(fault, FAULT_CONNECT, "OS_CACERT %.200s cannot be used",
                         login->openrc->ca_file != NULL ? login->openrc->ca_file : "");
    const char *why = login->error[0] != '\0' ? login->error : curl_easy_strerror(rc);
    const char *bad = NULL;
    long result = 0;
    if (rc == CURLE_PEER_FAILED_VERIFICATION &&
        curl_easy_getinfo(login->easy, CURLINFO_SSL_VERIFYRESULT, &result) == CURLE_OK)
        bad = verify_explain(curl_version_info(CURLVERSION_NOW)->ssl_version, result);
    if (bad != NULL)
        return fault_set(
            fault, FAULT_CONNECT,
            "Keystone was not reached at %.150s: its certificate %s; OS_CACERT says whom to "
            "trust",
            url, bad);
    if (rc != CURLE_OK)
        return fault_set(fault, FAULT_CONNECT, "Keystone was not reached at %.150s: %s", url, why);
    curl_easy_getinfo(login->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 201)
        return refused(login, status, fault);
    if (curl_easy_header(login->easy, "X-Subject-Token", 0, CURLH_HEADER, -1, &token) != CURLHE_OK)
        return fault_set(fault, FAULT_PROTOCOL, "Keystone at %.150s gave no token", url);
    if (scope_check(login, fault) < 0)
        return -1;
    return credentials_logged_in(credentials, token->value, fault);
}

void login_free(struct login *login)
{
    if (login == NULL)
        return;
    if (login->multi != NULL)
        curl_multi_remove_handle(login->multi, login->easy);
    curl_easy_cleanup(login->easy);
    curl_slist_free_all(login->headers);
    secret_free(login->body);
    free(login);
}

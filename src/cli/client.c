/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl's HTTP over libcurl's multi interface. Whether a request may have left is told by
 * libcurl's PREREQFUNCTION: it runs when a connection stands, before the first byte of the request.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "cli/answer.h"

#define CONNECT_MS 5000L
#define TURN_MS    1000

struct transfer {
    struct client *client;
    struct transfer *next, **link;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    char *bytes;
    size_t length, room, cap;
    bool sent, too_large, out_of_memory;
    client_done_fn *done;
    void *arg;
};

struct client {
    CURLM *multi;
    char *shown;  /* the URL as the user gave it */
    char *base;   /* what a path is appended to */
    char *socket; /* of unix:PATH, or NULL */
    struct transfer *transfers;
    size_t pending;
};

/* Takes what the user gave apart. Credentials in a URL would be seen by everyone who runs ps. */
static int url_check(const char *url, struct fault *fault)
{
    static const struct {
        CURLUPart part;
        const char *what;
    } refused[] = {{CURLUPART_USER, "a user name"},
                   {CURLUPART_PASSWORD, "a password"},
                   {CURLUPART_QUERY, "a query"},
                   {CURLUPART_FRAGMENT, "a fragment"}};
    int rc = 0;
    char *text = NULL;
    CURLU *parts = curl_url();
    if (parts == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    CURLUcode bad = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (bad != CURLUE_OK || curl_url_get(parts, CURLUPART_SCHEME, &text, 0) != CURLUE_OK ||
        (strcmp(text, "http") != 0 && strcmp(text, "https") != 0))
        rc = fault_set(fault, FAULT_USAGE, "'%s' is no URL of nmid: http://HOST:PORT or unix:PATH",
                       url);
    curl_free(text);
    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof refused[0]; i++) {
        if (curl_url_get(parts, refused[i].part, &text, 0) != CURLUE_OK)
            continue;
        curl_free(text);
        rc = fault_set(fault, FAULT_USAGE, "the URL of nmid must not have %s in it",
                       refused[i].what);
    }
    curl_url_cleanup(parts);
    return rc;
}

static int url_take(struct client *client, const char *url, struct fault *fault)
{
    if (strncmp(url, "unix:", 5) == 0) {
        size_t length = strlen(url + 5);
        if (length == 0 || length >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return fault_set(fault, FAULT_USAGE, "the path of a unix: URL has 1 to %zu bytes",
                             sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
        struct stat found;
        if (stat(url + 5, &found) == 0 && !S_ISSOCK(found.st_mode))
            return fault_set(fault, FAULT_USAGE, "%s is not a socket", url + 5);
        client->socket = strdup(url + 5);
        client->base = strdup("http://localhost");
    } else {
        if (url_check(url, fault) < 0)
            return -1;
        size_t length = strlen(url);
        while (length > 0 && url[length - 1] == '/')
            length--;
        client->base = strndup(url, length);
    }
    client->shown = strdup(url);
    if (client->base == NULL || client->shown == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    return 0;
}

struct client *client_new(const char *url, size_t limit, struct fault *fault)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        fault_set(fault, FAULT_SYSTEM, "libcurl does not start");
        return NULL;
    }
    client->multi = curl_multi_init();
    if (client->multi == NULL)
        fault_set(fault, FAULT_SYSTEM, "libcurl does not start");
    if (client->multi == NULL || url_take(client, url, fault) < 0) {
        client_free(client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)limit);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)limit);
    return client;
}

static void transfer_free(struct transfer *transfer)
{
    struct client *client = transfer->client;
    if (transfer->link != NULL) {
        *transfer->link = transfer->next;
        if (transfer->next != NULL)
            transfer->next->link = transfer->link;
        curl_multi_remove_handle(client->multi, transfer->easy);
        client->pending--;
    }
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    free(transfer->bytes);
    free(transfer);
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    while (client->transfers != NULL)
        transfer_free(client->transfers);
    curl_multi_cleanup(client->multi);
    free(client->shown);
    free(client->base);
    free(client->socket);
    free(client);
    curl_global_cleanup();
}

static int connection_ready(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct transfer *transfer = arg;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    transfer->sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t body_take(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = size * count;
    if (length > transfer->cap - transfer->length) {
        transfer->too_large = true;
        return 0;
    }
    if (transfer->length + length > transfer->room) {
        size_t room = transfer->room == 0 ? 4096 : transfer->room;
        while (room < transfer->length + length)
            room *= 2;
        char *grown = realloc(transfer->bytes, room);
        if (grown == NULL) {
            transfer->out_of_memory = true;
            return 0;
        }
        transfer->bytes = grown;
        transfer->room = room;
    }
    memcpy(transfer->bytes + transfer->length, bytes, length);
    transfer->length += length;
    return length;
}

static int header_add(struct transfer *transfer, const char *name, const char *value)
{
    char line[320];
    int length = snprintf(line, sizeof line, "%s: %s", name, value);
    if (length < 0 || (size_t)length >= sizeof line)
        return -1;
    struct curl_slist *grown = curl_slist_append(transfer->headers, line);
    if (grown == NULL)
        return -1;
    transfer->headers = grown;
    return 0;
}

/* Every setting that is the same for all requests. */
static void easy_prepare(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connection_ready);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, transfer->client->socket);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "nmictl");
}

/* What is this request's own. 0, or -1 when memory is out. */
static int easy_request(struct transfer *transfer, const struct client_request *request)
{
    CURL *easy = transfer->easy;
    char *url = NULL;
    if (asprintf(&url, "%s%s", transfer->client->base, request->path) < 0)
        return -1;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    if (rc != CURLE_OK || header_add(transfer, "Accept", "application/json") < 0)
        return -1;
    if (strcmp(request->method, "GET") != 0) {
        const char *body = request->body == NULL ? "" : request->body;
        if (curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) != CURLE_OK ||
            header_add(transfer, "Content-Type", "application/json") < 0)
            return -1;
    }
    /* On a connection that another request has used and that turns out dead, libcurl would send the
     * request again by itself. With a key, asking again is the caller's business. */
    if (request->key != NULL && (header_add(transfer, "Idempotency-Key", request->key) < 0 ||
                                 curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK))
        return -1;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    return 0;
}

int client_send(struct client *client, const struct client_request *request, client_done_fn *done,
                void *arg, struct fault *fault)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    transfer->client = client;
    transfer->done = done;
    transfer->arg = arg;
    transfer->cap = request->cap == 0 ? CLIENT_CAP : request->cap;
    transfer->easy = curl_easy_init();
    if (transfer->easy != NULL)
        easy_prepare(transfer);
    if (transfer->easy == NULL || easy_request(transfer, request) < 0 ||
        curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
        transfer_free(transfer);
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    }
    transfer->next = client->transfers;
    transfer->link = &client->transfers;
    if (transfer->next != NULL)
        transfer->next->link = &transfer->next;
    client->transfers = transfer;
    client->pending++;
    return 0;
}

/* Why there is no answer. */
static void failure_tell(const struct transfer *transfer, CURLcode rc, struct fault *fault)
{
    const char *why = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(rc);
    long os_errno = 0;
    /* libcurl's own words speak of "localhost port 80" for a UNIX socket. */
    if (rc == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK &&
        os_errno != 0)
        why = strerror((int)os_errno);
    const char *url = transfer->client->shown;
    if (transfer->too_large)
        fault_set(fault, FAULT_PROTOCOL, "the answer of %s is larger than %zu bytes", url,
                  transfer->cap);
    else if (transfer->out_of_memory || rc == CURLE_OUT_OF_MEMORY)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if (!transfer->sent)
        fault_set(fault, FAULT_CONNECT, "nmid was not reached at %s: %s", url, why);
    else if (rc == CURLE_OPERATION_TIMEDOUT)
        fault_set(fault, FAULT_CONNECT, "no answer in time from nmid at %s", url);
    else
        fault_set(fault, FAULT_CONNECT, "the connection to nmid at %s was lost: %s", url, why);
}

static void transfer_finish(struct transfer *transfer, CURLcode rc)
{
    struct client_answer answer = {.sent = transfer->sent};
    struct curl_header *location = NULL;
    if (rc == CURLE_OK) {
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer.status);
        if (transfer->length > 0)
            answer.body = json_loadb(transfer->bytes, transfer->length, 0, NULL);
        if (curl_easy_header(transfer->easy, "Location", 0, CURLH_HEADER, -1, &location) ==
            CURLHE_OK)
            answer.location = location->value;
    } else {
        failure_tell(transfer, rc, &answer.fault);
    }
    transfer->done(transfer->arg, &answer);
    json_decref(answer.body);
    transfer_free(transfer);
}

void client_turn(struct client *client, int timeout_ms, int wake_fd)
{
    int running = 0, left = 0;
    bool finished = false;
    curl_multi_perform(client->multi, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *transfer = NULL;
        CURLcode rc = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer_finish((struct transfer *)(void *)transfer, rc);
        finished = true;
    }
    struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
    if (!finished)
        curl_multi_poll(client->multi, &wake, wake_fd >= 0 ? 1 : 0, timeout_ms, NULL);
}

size_t client_pending(const struct client *client)
{
    return client->pending;
}

struct call {
    json_t **ret_body;
    struct fault *fault;
    bool done;
    int rc;
};

static void call_done(void *arg, const struct client_answer *answer)
{
    struct call *call = arg;
    call->done = true;
    call->rc = answer_check(answer, call->fault);
    if (call->rc == 0)
        *call->ret_body = json_incref(answer->body);
}

int client_call(struct client *client, const struct client_request *request, json_t **ret_body,
                struct fault *fault)
{
    struct call call = {.ret_body = ret_body, .fault = fault, .rc = -1};
    if (client_send(client, request, call_done, &call, fault) < 0)
        return -1;
    while (!call.done)
        client_turn(client, TURN_MS, -1);
    return call.rc;
}

char *client_path(const char *prefix, const char *ident, const char *suffix)
{
    char *path = NULL, *escaped = curl_easy_escape(NULL, ident, 0);
    if (escaped == NULL || asprintf(&path, "%s%s%s", prefix, escaped, suffix) < 0)
        path = NULL;
    curl_free(escaped);
    return path;
}

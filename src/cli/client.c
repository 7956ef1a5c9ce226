/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl's HTTP over libcurl's multi interface. Whether a request may have left is told by
 * libcurl's PREREQFUNCTION: it runs when a connection stands, before the first byte of the request.
 */
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cli/answer.h"
#include "cli/client_state.h"

#define CONNECT_MS 5000L
#define SECURE_MS  10000L /* TLS: each connection reads anew all that is trusted */
#define TURN_MS    1000

struct client *client_new(const char *url, const struct tls_options *tls, size_t limit,
                          struct fault *fault)
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
    client->tls = *tls;
    if (client->multi == NULL || client_url_take(&client->url, url, fault) < 0 ||
        tls_complete(&client->tls, &client->url, fault) < 0) {
        client_free(client);
        return NULL;
    }
    /* And one for the log-in. */
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)limit + 1);
    client->limit = limit;
    client->room = limit + 1;
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
        transfer_stop(transfer);
        client->pending--;
    }
    curl_easy_cleanup(transfer->easy);
    secret_free(transfer->header);
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
    login_free(client->login);
    credentials_free(client->credentials);
    curl_multi_cleanup(client->multi);
    client_url_clear(&client->url);
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
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     transfer->client->url.encrypted ? SECURE_MS : CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connection_ready);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, transfer->client->url.socket);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "nmictl");
    transfer_count(transfer);
}

/* What is this request's own. 0, or -1 when memory is out. */
static int easy_request(struct transfer *transfer, const struct client_request *request)
{
    CURL *easy = transfer->easy;
    char *url = NULL;
    if (asprintf(&url, "%s%s", transfer->client->url.base, request->path) < 0)
        return -1;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    if (rc != CURLE_OK || tls_apply(&transfer->client->tls, easy) != CURLE_OK ||
        header_add(transfer, "Accept", "application/json") < 0)
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
    transfer->deadline = clock_mono_us() + request->timeout_ms * INT64_C(1000);
    transfer->timeout_ms = request->timeout_ms;
    transfer->latest = request->latest_ms == 0
                           ? transfer->deadline
                           : clock_mono_us() + request->latest_ms * INT64_C(1000);
    transfer->reads = strcmp(request->method, "GET") == 0 && request->key == NULL;
    transfer->keyed = request->key != NULL;
    transfer->agent = strncmp(request->path, "/agent/", 7) == 0;
    return 0;
}

/* ---- Requests ---- */

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
    if (transfer->easy == NULL || easy_request(transfer, request) < 0) {
        transfer_free(transfer);
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    }
    transfer->next = client->transfers;
    transfer->link = &client->transfers;
    if (transfer->next != NULL)
        transfer->next->link = &transfer->next;
    client->transfers = transfer;
    client->pending++;
    transfer_start(transfer);
    return 0;
}

/* Why there is no answer. */
static void failure_tell(const struct transfer *transfer, CURLcode rc, struct fault *fault)
{
    const char *why = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(rc);
    char text[300];
    long os_errno = 0;
    bool away = transfer_is_away(transfer, rc);
    /* libcurl's own words speak of "localhost port 80" for a UNIX socket. */
    if (rc == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK &&
        os_errno != 0)
        why = client_url_explain(&transfer->client->url, (int)os_errno, text, sizeof text);
    const char *url = transfer->client->url.shown;
    if (transfer->too_large)
        fault_set(fault, FAULT_PROTOCOL, "the answer of %s is larger than %zu bytes", url,
                  transfer->cap);
    else if (transfer->out_of_memory || rc == CURLE_OUT_OF_MEMORY)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if (tls_explain(&transfer->client->tls, &transfer->client->url, transfer->easy, rc,
                         transfer->client->answered, away, why, fault))
        ; /* it has said it all */
    else if (away && (rc != CURLE_COULDNT_CONNECT || os_errno == ECONNRESET))
        fault_set(fault, FAULT_CONNECT,
                  transfer->sent
                      ? "the connection to nmid at %s was lost, without an answer" AWAY_HINT
                      : "nmid was not reached at %s: it turned the connection away" AWAY_HINT,
                  url);
    else if (!transfer->sent)
        fault_set(fault, FAULT_CONNECT, "nmid was not reached at %s: %s", url, why);
    else if (rc == CURLE_OPERATION_TIMEDOUT)
        fault_set(fault, FAULT_CONNECT, "no answer in time from nmid at %s", url);
    else
        fault_set(fault, FAULT_CONNECT, "the connection to nmid at %s was lost: %s", url, why);
}

static void transfer_finish(struct transfer *transfer, CURLcode rc)
{
    struct client *client = transfer->client;
    struct client_answer answer = {.sent = transfer->sent, .fault = transfer->doom};
    struct curl_header *location = NULL;
    if (transfer->doom.code == FAULT_NONE && rc != CURLE_OK && transfer_pause(transfer, rc))
        return;
    if (client->asking == transfer)
        client->asking = NULL;
    if (transfer->doom.code != FAULT_NONE) {
        ; /* it never ran */
    } else if (rc == CURLE_OK) {
        client_let_in(client);
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer.status);
        if (transfer->length > 0)
            answer.body = json_loadb(transfer->bytes, transfer->length, 0, NULL);
        if (curl_easy_header(transfer->easy, "Location", 0, CURLH_HEADER, -1, &location) ==
            CURLHE_OK)
            answer.location = location->value;
    } else {
        answer.away = transfer_is_away(transfer, rc);
        failure_tell(transfer, rc, &answer.fault);
    }
    bool again =
        client->credentials != NULL && answer.status == 401 && transfer_again(transfer, &answer);
    if (!again) {
        if (client->credentials != NULL)
            transfer_learn(transfer, &answer);
        transfer->done(transfer->arg, &answer);
        transfer_free(transfer);
    }
    json_decref(answer.body);
    if (client->asking == NULL)
        waiting_start(client);
}

/* Tells those that will not run. True: there were some. */
static bool doomed_finish(struct client *client)
{
    bool any = false;
    for (struct transfer *at = client->transfers; at != NULL;) {
        if (at->doom.code == FAULT_NONE) {
            at = at->next;
            continue;
        }
        transfer_finish(at, CURLE_OK);
        any = true;
        at = client->transfers; /* its done() may have begun and ended others */
    }
    return any;
}

void client_turn(struct client *client, int timeout_ms, int wake_fd)
{
    int running = 0, left = 0;
    int64_t pause_ms = client_resume(client) / 1000 + 1;
    bool finished = doomed_finish(client);
    curl_multi_perform(client->multi, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *transfer = NULL;
        CURLcode rc = message->data.result;
        finished = true;
        if (login_owns(client->login, message->easy_handle)) {
            login_end(client, rc);
            continue;
        }
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer_finish((struct transfer *)(void *)transfer, rc);
    }
    struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
    if (!finished)
        curl_multi_poll(client->multi, &wake, wake_fd >= 0 ? 1 : 0,
                        pause_ms < timeout_ms ? (int)pause_ms : timeout_ms, NULL);
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

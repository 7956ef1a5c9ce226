/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libcurl's multi interface driven by its socket and timer callbacks, as libcurl-multi(3) describes
 * it. Names are looked up by libcurl's own threaded resolver. A look-up that hangs would make
 * libcurl wait for its thread when the call ends; CURLOPT_QUICK_EXIT lets the thread go, and it
 * cleans up after itself. */
#include "loop/client.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/vault.h"
#include "loop/client_headers.h"
#include "loop/client_tls.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or later: CURLOPT_QUICK_EXIT"
#endif

#define HEADERS_MAX     65536 /* bytes of an answer's headers, interim answers and trailers too */
#define BODY_MAX        65536 /* bytes of an answer's body */
#define CONNECTIONS_MAX 64L   /* kept open between requests */

struct client {
    CURLM *multi;
    struct loop *loop;
    struct loop_timer *timer;
    struct client_call *calls; /* under way */
};

struct client_call {
    struct client *client;
    struct client_call *next, **link;
    CURL *easy;
    struct curl_slist *headers;
    void *body;
    size_t body_len;
    size_t header_bytes, body_bytes; /* of the answer */
    char *kept;                      /* of its body: body_max bytes and a NUL; or NULL */
    size_t kept_len, body_max;
    const char *want;
    char *wanted;
    bool doomed;   /* end_calls() ends it */
    bool too_long; /* its body */
    bool too_many; /* its headers */
    client_done_fn *done;
    void *arg;
    char why[CURL_ERROR_SIZE];
};

/* ---- libcurl's memory ---- */

/* libcurl writes each request into buffers of its own, tokens and passwords too: what it gives back
 * is wiped. */
static void wiping_free(void *bytes)
{
    if (bytes != NULL)
        secret_wipe(bytes, malloc_usable_size(bytes));
    free(bytes);
}

static void *wiping_realloc(void *old, size_t size)
{
    size_t old_size = old == NULL ? 0 : malloc_usable_size(old);
    void *bytes = malloc(size);
    if (bytes == NULL)
        return NULL;
    if (old != NULL)
        memcpy(bytes, old, old_size < size ? old_size : size);
    wiping_free(old);
    return bytes;
}

static CURLcode begin_curl(void)
{
    client_tls_begin();
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup,
                                calloc);
}

/* ---- The end of a call ---- */

static void wipe_free(void *bytes, size_t len)
{
    if (bytes != NULL)
        secret_wipe(bytes, len);
    free(bytes);
}

static void call_unlink(struct client_call *call)
{
    if (call->link == NULL)
        return;
    curl_multi_remove_handle(call->client->multi, call->easy);
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    call->link = NULL;
}

static void call_free(struct client_call *call)
{
    call_unlink(call);
    curl_easy_cleanup(call->easy);
    client_headers_free(call->headers);
    vault_give(call->body);
    wipe_free(call->kept, call->kept_len);
    vault_give(call->wanted);
    free(call);
}

void client_cancel(struct client_call *call)
{
    if (call != NULL)
        call_free(call);
}

static void call_finish(struct client_call *call, CURLcode code)
{
    char why[CURL_ERROR_SIZE + 64];
    long status = 0;
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && call->too_long))
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->too_many)
        snprintf(why, sizeof why, "the answer has more than %d bytes of headers", HEADERS_MAX);
    else if (!client_tls_explain(call->easy, code, why, sizeof why))
        snprintf(why, sizeof why, "%s",
                 call->why[0] != '\0' ? call->why : curl_easy_strerror(code));
    struct client_answer answer = {
        .status = status > 0 ? (unsigned)status : 0,
        .why = status > 0 ? NULL : why,
        .body = call->kept != NULL ? call->kept : "",
        .body_len = call->kept_len,
        .cut = call->too_long,
        .wanted = call->wanted,
    };
    call_unlink(call); /* done may start, cancel and end others */
    call->done(call->arg, &answer);
    call_free(call);
}

static void finish_calls(struct client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct client_call *call = NULL;
        CURLcode code = message->data.result; /* the message is gone with its handle */
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_finish(call, code);
    }
}

/* Without memory libcurl leaves calls behind that no socket is watched for, and whose time never
 * comes; and stumbles when they go on. What is under way ends therefore. */
static void end_calls(struct client *client)
{
    struct client_call *call;
    for (call = client->calls; call != NULL; call = call->next)
        call->doomed = true;
    for (call = client->calls; call != NULL;) {
        bool doomed = call->doomed;
        if (doomed)
            call_finish(call, CURLE_OUT_OF_MEMORY);
        call = doomed ? client->calls : call->next; /* done may have begun and cancelled others */
    }
}

/* ---- Sockets and the timer, as libcurl asks for them ---- */

struct watched {
    struct client *client;
    struct loop_watch *watch;
    curl_socket_t fd;
};

static void drive(struct client *client, curl_socket_t fd, int flags)
{
    int running;
    CURLMcode code = curl_multi_socket_action(client->multi, fd, flags, &running);
    finish_calls(client);
    if (code != CURLM_OK)
        end_calls(client);
}

static void on_socket(void *arg, unsigned events)
{
    const struct watched *watched = arg;
    int flags = ((events & LOOP_READABLE) ? CURL_CSELECT_IN : 0) |
                ((events & LOOP_WRITABLE) ? CURL_CSELECT_OUT : 0) |
                ((events & LOOP_DISCONNECT) ? CURL_CSELECT_ERR : 0);
    drive(watched->client, watched->fd, flags); /* `watched` may be gone after this */
}

static void on_timer(void *arg)
{
    drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_socket(struct client *client, curl_socket_t fd, unsigned events)
{
    struct fault fault = {0};
    struct watched *watched = calloc(1, sizeof *watched);
    if (watched != NULL) {
        *watched = (struct watched){.client = client, .fd = fd};
        watched->watch = loop_watch_new(client->loop, fd, events, on_socket, watched, &fault);
    }
    if (watched == NULL || watched->watch == NULL) {
        /* The call then ends with its timeout. */
        log_error("watching a connection: %s", fault.message);
        free(watched);
        return;
    }
    curl_multi_assign(client->multi, fd, watched);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct client *client = arg;
    struct watched *watched = socket_arg;
    unsigned events =
        ((what & CURL_POLL_IN) ? LOOP_READABLE : 0) | ((what & CURL_POLL_OUT) ? LOOP_WRITABLE : 0);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        if (watched != NULL)
            loop_watch_free(watched->watch);
        free(watched);
    } else if (watched == NULL) {
        watch_socket(client, fd, events);
    } else {
        loop_watch_set(watched->watch, events);
    }
    return 0;
}

static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct client *client = arg;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(client->timer);
    else
        loop_timer_set(client->timer, clock_mono_us() + (int64_t)timeout_ms * 1000);
    return 0;
}

/* ---- The answer ---- */

/* The value of a header line that has this name; a copy, or NULL. */
static char *header_value(const char *line, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
        return NULL;
    line += name_len + 1;
    len -= name_len + 1;
    for (; len > 0 && (*line == ' ' || *line == '\t'); len--)
        line++;
    while (len > 0 && strchr(" \t\r\n", line[len - 1]) != NULL)
        len--;
    char *value = vault_take(len + 1); /* it may be a token */
    if (value != NULL)
        memcpy(value, line, len);
    return value;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    call->header_bytes += size * count;
    call->too_many = call->header_bytes > HEADERS_MAX;
    if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        /* A status line: what came before belongs to an interim answer. */
        vault_give(call->wanted);
        call->wanted = NULL;
    }
    if (call->want != NULL && call->wanted == NULL)
        call->wanted = header_value(bytes, size * count, call->want);
    return call->too_many ? 0 : size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    size_t len = size * count;
    call->body_bytes += len;
    call->too_long = call->body_bytes > (call->body_max > 0 ? call->body_max : BODY_MAX);
    if (call->body_max == 0 || call->too_long)
        return call->too_long ? 0 : len;
    char *kept = call->kept == NULL ? malloc(call->body_max + 1) : call->kept;
    if (kept == NULL)
        return 0;
    call->kept = kept;
    memcpy(kept + call->kept_len, bytes, len);
    call->kept_len += len;
    kept[call->kept_len] = '\0';
    return len;
}

/* ---- A call ---- */

static int add_headers(struct client_call *call, const struct client_request *request)
{
    for (size_t i = request->header_count; i-- > 0;) {
        if (client_headers_add(&call->headers, request->headers[i].name,
                               request->headers[i].value) < 0)
            return -1;
    }
    if (request->user != NULL &&
        client_headers_add_basic(&call->headers, request->user, request->password) < 0)
        return -1;
    /* No "Expect: 100-continue": it costs a second where the receiver does not know it. */
    return client_headers_add(&call->headers, "Expect", NULL);
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if ((code = curl_easy_setopt(call->easy, option, value)) != CURLE_OK)                      \
            return code;                                                                           \
    } while (0)

/* What makes a call safe. */
static CURLcode set_rules(struct client_call *call)
{
    CURLcode code;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_ERRORBUFFER, call->why);
    SET(CURLOPT_PRIVATE, call);
    return CURLE_OK;
}

static CURLcode set_request(struct client_call *call, const struct client_request *request)
{
    CURLcode code;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_HTTPHEADER, call->headers);
    if (strcmp(request->method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
    } else {
        SET(CURLOPT_POSTFIELDS, call->body);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    return client_tls_set(call->easy, request);
}

#undef SET

static struct client_call *call_new(struct client *client, const struct client_request *request)
{
    struct client_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = client;
    call->body = vault_take(request->body_len + 1); /* it may have a password */
    call->body_len = request->body_len;
    call->body_max = request->body_max;
    call->want = request->want;
    call->easy = curl_easy_init();
    if (call->body != NULL && request->body_len > 0)
        memcpy(call->body, request->body, request->body_len);
    if (call->body == NULL || call->easy == NULL || add_headers(call, request) < 0) {
        call_free(call);
        return NULL;
    }
    return call;
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault)
{
    struct client_call *call = call_new(client, request);
    if (call == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    call->done = done;
    call->arg = arg;
    CURLcode code = set_rules(call);
    if (code == CURLE_OK)
        code = set_request(call, request);
    if (code != CURLE_OK || curl_multi_add_handle(client->multi, call->easy) != CURLM_OK) {
        fault_set(fault, FAULT_SYSTEM, "libcurl: %s",
                  code != CURLE_OK ? curl_easy_strerror(code) : "no room for a request");
        call_free(call);
        return NULL;
    }
    call->next = client->calls;
    call->link = &client->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    client->calls = call;
    return call;
}

/* ---- The client ---- */

static int set_multi(struct client *client)
{
    CURLM *multi = client->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket) != CURLM_OK ||
                   curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
                   curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_timer) != CURLM_OK ||
                   curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client) != CURLM_OK ||
                   curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX) != CURLM_OK
               ? -1
               : 0;
}

struct client *client_new(struct loop *loop, struct fault *fault)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    client->loop = loop;
    client->timer = loop_timer_new(loop, on_timer, client, fault);
    if (client->timer == NULL || begin_curl() != CURLE_OK) {
        fault_set(fault, FAULT_SYSTEM, "libcurl cannot be initialised");
        loop_timer_free(client->timer);
        free(client);
        return NULL;
    }
    client->multi = curl_multi_init();
    if (client->multi == NULL || set_multi(client) < 0) {
        fault_set(fault, FAULT_MEMORY, "libcurl: out of memory");
        client_free(client);
        return NULL;
    }
    return client;
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    while (client->calls != NULL)
        call_free(client->calls);
    curl_multi_cleanup(client->multi); /* takes its sockets and its timer back */
    curl_global_cleanup();
    loop_timer_free(client->timer);
    free(client);
}

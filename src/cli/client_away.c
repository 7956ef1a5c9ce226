/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A nmid that turns connections away, as at its limits.connections_per_address: what has not been
 * sent goes again after a pause, and no more connections are opened than were let in.
 *
 * Again by itself goes only what cannot have reached nmid, and what only reads. An interrupt that
 * may have been sent is its caller's to ask for again, by its Idempotency-Key. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/client_state.h"

#define MS           INT64_C(1000)
#define PAUSE_MIN_US (200 * MS)
#define PAUSE_MAX_US (2000 * MS)
#define PATIENCE_US  (15000 * MS) /* with a nmid that gives no answer at all, meanwhile */
#define STRANGE_US   (3000 * MS)  /* over http:, with what may be no nmid: a TLS port, for one */
#define TELL_US      (1000 * MS)
#define RAISE_US     (2000 * MS) /* one connection more each time */

/* The handshake ended without an alert: in GnuTLS's, libcurl's and OpenSSL's words. */
static bool words_tell_end(const char *words)
{
    static const char *const ends[] = {"non-properly terminated",
                                       "pull function",
                                       "push function",
                                       "Recv failure",
                                       "Send failure",
                                       "SSL_ERROR_SYSCALL",
                                       "Connection reset",
                                       "unexpected eof",
                                       "getpeername"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strstr(words, ends[i]) != NULL)
            return true;
    return false;
}

bool transfer_is_away(const struct transfer *transfer, CURLcode rc)
{
    long os_errno = 0, status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    switch (rc) {
    case CURLE_COULDNT_CONNECT: /* EAGAIN: the queue of a UNIX socket is full */
        return os_errno == EAGAIN || os_errno == ECONNRESET ||
               (os_errno == ECONNREFUSED && transfer->client->answered);
    case CURLE_SSL_CONNECT_ERROR:
        return words_tell_end(transfer->error);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return status == 0 && transfer->length == 0;
    default:
        return false;
    }
}

/* ---- How many connections there may be ---- */

static curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct client *client = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    client->open++;
    return fd;
}

static int socket_close(void *arg, curl_socket_t fd)
{
    struct client *client = arg;
    client->open -= client->open > 0;
    return close(fd);
}

void transfer_count(struct transfer *transfer)
{
    curl_easy_setopt(transfer->easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(transfer->easy, CURLOPT_OPENSOCKETDATA, transfer->client);
    curl_easy_setopt(transfer->easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(transfer->easy, CURLOPT_CLOSESOCKETDATA, transfer->client);
}

/* libcurl closes idle connections for new ones when there are so many; those count at nmid too. */
static void room_set(struct client *client, size_t room)
{
    client->room = room;
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)room);
}

static void room_learn(struct client *client, int64_t now)
{
    size_t open = client->open > 0 ? client->open : 1;
    if (open < client->room)
        room_set(client, open);
    client->room_changed = now;
}

void client_let_in(struct client *client)
{
    int64_t now = clock_mono_us();
    client->answered = true;
    client->away_since = 0;
    if (client->room > client->limit || now - client->room_changed < RAISE_US)
        return;
    client->room_changed = now;
    room_set(client, client->room + 1);
}

/* ---- Again ---- */

static int64_t pause_next(struct transfer *transfer)
{
    int64_t pause = PAUSE_MIN_US << (transfer->pauses < 4 ? transfer->pauses : 4);
    uint16_t chance = 0;
    transfer->pauses++;
    secret_random(&chance, sizeof chance);
    if (pause > PAUSE_MAX_US)
        pause = PAUSE_MAX_US;
    return pause * 3 / 4 + pause / 2 * chance / UINT16_MAX;
}

/* Another request has a connection, and its answer is awaited: nmid is there. */
static bool another_stands(const struct transfer *transfer)
{
    for (const struct transfer *at = transfer->client->transfers; at != NULL; at = at->next)
        if (at != transfer && at->running && at->sent)
            return true;
    return false;
}

/* Whether it can go again, as far as the request is concerned. */
static bool may_go_again(const struct transfer *transfer)
{
    const struct client *client = transfer->client;
    if (!transfer->sent)
        return true;
    /* With TLS a connection that ends behind the handshake may have been ended for its
     * certificate, until there was an answer. */
    return transfer->reads && (client->answered || !client->url.encrypted);
}

bool transfer_pause(struct transfer *transfer, CURLcode rc)
{
    struct client *client = transfer->client;
    int64_t now = clock_mono_us();
    bool strange = !client->answered && !client->url.encrypted && client->url.socket == NULL;
    if (!transfer_is_away(transfer, rc))
        return false;
    if (rc != CURLE_COULDNT_CONNECT)
        room_learn(client, now);
    if (client->away_since == 0)
        client->away_since = now;
    int64_t end = client->away_since + (strange ? STRANGE_US : PATIENCE_US);
    int64_t pause = pause_next(transfer);
    if (!may_go_again(transfer) || now + pause >= transfer->latest ||
        (now >= end && !another_stands(transfer)))
        return false;
    if (!strange && !client->away_told && now - client->away_since >= TELL_US) {
        client->away_told = true;
        cli_say("nmid turns connections away; trying again");
    }
    transfer_stop(transfer);
    transfer->wake = now + pause;
    return true;
}

int64_t client_resume(struct client *client)
{
    static const struct fault fault = {
        .code = FAULT_CONNECT,
        .message =
            "nmid was not asked: in all the time it let no connection in for this" AWAY_HINT};
    int64_t now = clock_mono_us(), least = INT64_MAX;
    for (struct transfer *at = client->transfers; at != NULL; at = at->next) {
        if (at->running || at->doom.code != FAULT_NONE || (at->wake == 0 && !at->held))
            continue;
        int64_t when = at->wake != 0 ? at->wake : at->latest;
        if (at->held && now < at->latest && client->active < client->room) {
            transfer_start(at);
            continue;
        }
        if (now < when) {
            least = when - now < least ? when - now : least;
            continue;
        }
        if (at->held) {
            at->doom = fault;
        } else {
            at->wake = 0;
            transfer_start(at);
        }
        least = 0;
    }
    return least;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's credentials: which header a request gets, who waits for a log-in, and what goes
 * again after a 401. */
#include <string.h>
#include "base/clock.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client_state.h"

#define TRIES          3 /* of one request: without credentials, with them, after a new log-in */
#define LOGIN_MS       10000
#define LOGIN_PAUSE_US INT64_C(1000000) /* after a Keystone that was not reached */

void client_use(struct client *client, struct credentials *credentials)
{
    credentials_free(client->credentials);
    client->credentials = credentials;
}

void client_doom(struct client *client, const struct fault *fault)
{
    fault_set(&client->doom, fault->code, "%s", fault->message);
}

bool client_is_encrypted(const struct client *client)
{
    return client->url.encrypted;
}

bool client_has_certificate(const struct client *client)
{
    return client->tls.certificate != NULL;
}

bool client_is_personal(const struct client *client)
{
    return client->url.socket != NULL || client->tls.certificate != NULL ||
           (client->credentials != NULL && credentials_header(client->credentials) != NULL);
}

/* Its done() comes from the next turn. */
static void transfer_doom(struct transfer *transfer, const struct fault *fault)
{
    fault_set(&transfer->doom, fault->code, "%s", fault->message);
}

/* Those that wait hear why they have waited in vain. */
static void waiting_doom(struct client *client, const struct fault *fault)
{
    for (struct transfer *at = client->transfers; at != NULL; at = at->next)
        if (!at->running)
            transfer_doom(at, fault);
}

/* The milliseconds until its time is over, at least 1: 0 would be no limit. */
static long transfer_left_ms(const struct transfer *transfer)
{
    int64_t left = transfer->deadline - clock_mono_us();
    return left < 1000 ? 1 : (long)(left / 1000);
}

/* The header of now. libcurl borrows the list: credentials first, the others behind them. */
static int transfer_authorize(struct transfer *transfer)
{
    struct client *client = transfer->client;
    struct curl_slist *headers = transfer->headers;
    const struct secret *header =
        client->credentials == NULL ? NULL : credentials_header(client->credentials);
    secret_free(transfer->header);
    transfer->header = NULL;
    if (header != NULL) {
        transfer->header = secret_new(header->bytes, header->len);
        if (transfer->header == NULL)
            return -1;
        if (client->url.exposed && !client->warned)
            cli_say("warning: %s goes to %s in the clear, for everybody on the way to read",
                    credentials_secret_name(client->credentials), client->url.shown);
        client->warned = true;
        transfer->header_item.data = (char *)transfer->header->bytes;
        transfer->header_item.next = headers;
        headers = &transfer->header_item;
    }
    if (client->credentials != NULL)
        transfer->generation = credentials_generation(client->credentials);
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, transfer_left_ms(transfer));
    return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK ? 0 : -1;
}

/* transfer needs a log-in, and waits for it. A Keystone that has refused is not asked again: it
 * would lock the user out. */
static void login_begin(struct client *client, struct transfer *transfer)
{
    struct fault fault = {0};
    const struct openrc *openrc = credentials_openrc(client->credentials);
    long left = transfer_left_ms(transfer);
    if (clock_mono_us() < client->login_pause) {
        transfer_doom(transfer, &client->login_fault);
        return;
    }
    if (openrc->exposed)
        cli_say("warning: the password goes to Keystone at %s in the clear, for everybody on the "
                "way to read",
                openrc->auth_url);
    client->login = login_start(client->multi, openrc, left < LOGIN_MS ? left : LOGIN_MS, &fault);
    if (client->login == NULL)
        transfer_doom(transfer, &fault);
}

/* Time that it has waited for room is none of its own. */
static void transfer_renew(struct transfer *transfer)
{
    int64_t end = clock_mono_us() + transfer->timeout_ms * INT64_C(1000);
    if (transfer->tries == 0 && end > transfer->deadline)
        transfer->deadline = end < transfer->latest ? end : transfer->latest;
}

static void transfer_runs(struct transfer *transfer)
{
    transfer->running = true;
    transfer->client->active++;
}

void transfer_start(struct transfer *transfer)
{
    static const struct fault memory = {.code = FAULT_MEMORY, .message = "out of memory"};
    struct client *client = transfer->client;
    bool first = client->credentials != NULL && credentials_open(client->credentials);
    if (client->doom.code != FAULT_NONE) {
        transfer_doom(transfer, &client->doom);
        return;
    }
    transfer->held = transfer->wake == 0 && client->active >= client->room;
    if (transfer->held || transfer->wake != 0 || client->login != NULL ||
        (first && client->asking != NULL && client->asking != transfer))
        return;
    transfer_renew(transfer);
    if (first)
        client->asking = transfer;
    if (client->credentials != NULL && credentials_wants_login(client->credentials))
        login_begin(client, transfer);
    else if (transfer_authorize(transfer) < 0 ||
             curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK)
        transfer_doom(transfer, &memory);
    else
        transfer_runs(transfer);
}

void transfer_stop(struct transfer *transfer)
{
    if (transfer->running) {
        curl_multi_remove_handle(transfer->client->multi, transfer->easy);
        transfer->client->active--;
    }
    transfer->running = transfer->sent = false;
    transfer->length = 0;
    transfer->error[0] = '\0';
}

void waiting_start(struct client *client)
{
    for (struct transfer *at = client->transfers; at != NULL; at = at->next)
        if (!at->running && at->doom.code == FAULT_NONE)
            transfer_start(at);
}

void login_end(struct client *client, CURLcode rc)
{
    struct login *login = client->login;
    client->login_fault = (struct fault){0};
    client->login = NULL;
    if (login_finish(login, rc, client->credentials, &client->login_fault) == 0) {
        waiting_start(client);
    } else {
        client->login_pause = client->login_fault.code == FAULT_UNAUTHORIZED
                                  ? INT64_MAX
                                  : clock_mono_us() + LOGIN_PAUSE_US;
        waiting_doom(client, &client->login_fault);
    }
    login_free(login);
}

static enum challenge transfer_challenge(const struct transfer *transfer)
{
    enum challenge challenge = CHALLENGE_NONE;
    struct curl_header *header = NULL;
    for (size_t i = 0; curl_easy_header(transfer->easy, "WWW-Authenticate", i, CURLH_HEADER, -1,
                                        &header) == CURLHE_OK;
         i++) {
        enum challenge one = challenge_parse(header->value);
        if (challenge == CHALLENGE_NONE || challenge == CHALLENGE_OTHER)
            challenge = one;
    }
    return challenge;
}

/* What has a key and was refused by something before nmid is its caller's to repeat: perhaps it was
 * passed on. */
bool transfer_again(struct transfer *transfer, struct client_answer *answer)
{
    struct client *client = transfer->client;
    const json_t *error = answer_error(answer);
    if (transfer->keyed && error == NULL)
        return false;
    enum credentials_next next =
        credentials_refused(client->credentials, transfer->generation, transfer_challenge(transfer),
                            answer_text(error, "message"), &answer->fault);
    answer->sent = false;
    if (next == CREDENTIALS_FINAL) {
        waiting_doom(client, &answer->fault);
        return false;
    }
    if (++transfer->tries == TRIES) {
        fault_set(&answer->fault, FAULT_UNAUTHORIZED, "nmid refuses each token anew");
        return false;
    }
    transfer_stop(transfer);
    transfer_start(transfer);
    return true;
}

void transfer_learn(const struct transfer *transfer, const struct client_answer *answer)
{
    struct credentials *credentials = transfer->client->credentials;
    if (transfer->agent && answer->fault.code == FAULT_NONE && answer->status != 401)
        credentials_worked(credentials, transfer->generation);
    if (transfer->keyed && answer->sent)
        credentials_settle(credentials);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What client.c and client_auth.c share: a request on its way, and whose it is. */
#ifndef NMID_CLI_CLIENT_STATE_H
#define NMID_CLI_CLIENT_STATE_H

#include <curl/curl.h>
#include <stdint.h>
#include "cli/client.h"
#include "cli/client_url.h"
#include "cli/login.h"

struct transfer {
    struct client *client;
    struct transfer *next, **link;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    char *bytes;
    size_t length, room, cap;
    bool sent, too_large, out_of_memory;
    bool keyed, agent; /* it has an Idempotency-Key; it asks the agent API */
    client_done_fn *done;
    void *arg;
    /* What it says of its user. */
    struct secret *header; /* a copy: libcurl borrows it */
    struct curl_slist header_item;
    unsigned generation, tries;
    int64_t deadline;
    bool running;      /* else it waits, for a log-in or for what the first request learns */
    struct fault doom; /* why it will not run */
};

struct client {
    CURLM *multi;
    struct client_url url;
    struct tls_options tls;
    struct transfer *transfers;
    size_t pending;
    struct credentials *credentials; /* or NULL */
    struct transfer *asking;         /* the first request, which the others wait for */
    struct login *login;             /* under way, or NULL */
    struct fault login_fault;        /* of the last log-in, and until when none is tried anew */
    int64_t login_pause;
    bool warned, answered;
    struct fault doom; /* why no request will run */
};

/* Starts it; or lets it wait, for a log-in or for what the first request learns; or dooms it: its
 * done() then comes from the next turn. */
void transfer_start(struct transfer *transfer);

/* The same for all that wait. */
void waiting_start(struct client *client);

/* The log-in has ended: who waited for it goes on. */
void login_end(struct client *client, CURLcode rc);

/* nmid answered 401: nothing was done. True: the request goes once more by itself. False: answer
 * says why not. */
bool transfer_again(struct transfer *transfer, struct client_answer *answer);

/* What is learned of the credentials from an answer, or from there being none. */
void transfer_learn(const struct transfer *transfer, const struct client_answer *answer);

#endif

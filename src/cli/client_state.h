/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What client.c, client_auth.c and client_away.c share: a request on its way, and whose it is. */
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
    bool running;   /* else it waits, for a log-in or for what the first request learns */
    bool held;      /* or for room: nmid lets no more connections in */
    bool reads;     /* nothing comes of asking twice */
    int64_t wake;   /* or for this moment; 0: none */
    int64_t latest; /* it does not begin after this one */
    long timeout_ms;
    unsigned pauses;
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
    size_t limit, room;  /* connections at a time: as asked for, and as nmid lets them in */
    size_t open, active; /* sockets, and requests on their way */
    int64_t room_changed;
    int64_t away_since; /* nmid has turned connections away since then, and answered none; 0: no */
    bool away_told;
    struct fault doom; /* why no request will run */
};

/* Starts it; or lets it wait, for a log-in or for what the first request learns; or dooms it: its
 * done() then comes from the next turn. */
void transfer_start(struct transfer *transfer);

/* It is on its way no more, and can start anew. */
void transfer_stop(struct transfer *transfer);

/* ---- client_away.c ---- */

#define AWAY_HINT                                                                                  \
    "; perhaps this host has as many connections as nmid's limits.connections_per_address allows " \
    "(--parallel)"

/* It ended because nmid took no connection, or ended it without a word. */
bool transfer_is_away(const struct transfer *transfer, CURLcode rc);

/* True: that is so, and it goes again by itself, after a pause. */
bool transfer_pause(struct transfer *transfer, CURLcode rc);

/* Counts the sockets that it opens. */
void transfer_count(struct transfer *transfer);

/* nmid has answered. */
void client_let_in(struct client *client);

/* Starts what has paused long enough; the microseconds until the next one. */
int64_t client_resume(struct client *client);

/* ---- client_auth.c ---- */

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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The questions: each is one GET (or one for each page), so many at once, the others in a queue.
 * The next page is asked for by the last node's UUID and never by the link that Ironic gives: what
 * is asked with nmid's credentials goes nowhere but to the configured URL. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/ironic_state.h"

#define ASKING_MAX    16
#define IDLE_MAX      4096 /* questions that are but remembered */
#define NODE_BODY_MAX ((size_t)64 << 10)
#define PAGE_BODY_MAX ((size_t)8 << 20)
#define PAGES_MAX     1000
#define HEADERS       3

static void pump(struct ironic *ironic);

/* ---- Waiters ---- */

void question_watch(struct question *question, struct waiter *waiter, bool later)
{
    waiter->question = question;
    waiter->later = later;
    waiter->kept = question;
    question->kept++;
    waiter->next = question->waiters;
    waiter->link = &question->waiters;
    if (waiter->next != NULL)
        waiter->next->link = &waiter->next;
    question->waiters = waiter;
}

void waiter_unlink(struct waiter *waiter)
{
    if (waiter->question == NULL)
        return;
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    waiter->question = NULL;
}

/* ---- Questions ---- */

static void make_key(enum question_kind kind, const char *uuid, char *key, size_t size)
{
    static const char *const kinds[] = {"node", "instance", "all"};
    snprintf(key, size, "%s %s", kinds[kind], uuid);
}

struct question *question_find(const struct ironic *ironic, enum question_kind kind,
                               const char *uuid)
{
    char key[sizeof((struct question *)0)->key];
    make_key(kind, uuid, key, sizeof key);
    return map_get(ironic->questions, key);
}

void questions_trim(struct ironic *ironic)
{
    struct question *next;
    if (map_count(ironic->questions) < ironic->questions_max)
        return;
    for (struct question *question = ironic->all; question != NULL; question = next) {
        next = question->next;
        if (question->kind == ASK_INSTANCE && question->phase == QUESTION_IDLE &&
            question->kept == 0)
            question_free(question);
    }
    ironic->questions_max = map_count(ironic->questions) + IDLE_MAX;
}

struct question *question_get(struct ironic *ironic, enum question_kind kind, const char *uuid)
{
    struct question *question = question_find(ironic, kind, uuid);
    if (question != NULL)
        return question;
    if ((question = calloc(1, sizeof *question)) == NULL)
        return NULL;
    question->ironic = ironic;
    question->kind = kind;
    question->answered_at = question->failed_at = IRONIC_NEVER;
    snprintf(question->uuid, sizeof question->uuid, "%s", uuid);
    make_key(kind, uuid, question->key, sizeof question->key);
    if (map_put(ironic->questions, question->key, question) < 0) {
        free(question);
        return NULL;
    }
    question->next = ironic->all;
    question->link = &ironic->all;
    if (question->next != NULL)
        question->next->link = &question->next;
    ironic->all = question;
    return question;
}

/* ---- The end of a try ---- */

static void forget_found(struct question *question)
{
    for (size_t i = 0; i < question->found_count; i++)
        ironic_node_clear(&question->found[i]);
    free(question->found);
    question->found = NULL;
    question->found_count = 0;
    question->pages = 0;
    question->marker[0] = '\0';
}

static void stop_call(struct question *question)
{
    if (question->token_wait != NULL)
        keystone_cancel(question->token_wait);
    client_cancel(question->call);
    secret_free(question->token);
    question->token_wait = NULL;
    question->call = NULL;
    question->token = NULL;
}

static void take_from_queue(struct question *question)
{
    struct ironic *ironic = question->ironic;
    struct question **link = &ironic->queue;
    while (*link != question)
        link = &(*link)->queued;
    *link = question->queued;
    if (*link == NULL)
        ironic->queue_end = link;
    ironic->queued--;
}

/* Nothing of it is under way any more. */
static void make_idle(struct question *question)
{
    if (question->phase == QUESTION_QUEUED)
        take_from_queue(question);
    if (question->phase == QUESTION_ASKING)
        question->ironic->asking--;
    question->phase = QUESTION_IDLE;
    question->retried = false;
    stop_call(question);
    forget_found(question);
}

void question_reset(struct question *question)
{
    make_idle(question);
    question->answered_at = question->failed_at = IRONIC_NEVER;
    for (struct waiter *waiter = question->waiters; waiter != NULL; waiter = waiter->next)
        waiter->later = false;
}

void question_free(struct question *question)
{
    make_idle(question);
    while (question->waiters != NULL)
        waiter_unlink(question->waiters);
    map_remove(question->ironic->questions, question->key);
    *question->link = question->next;
    if (question->next != NULL)
        question->next->link = question->link;
    free(question);
}

/* Whoever waited hears that this one is answered, or will not be. */
static void tell(struct question *question)
{
    struct waiter *next;
    for (struct waiter *waiter = question->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->later) {
            waiter->later = false;
            continue;
        }
        waiter_unlink(waiter);
        wait_answered(waiter->wait);
    }
    if (question->waiters != NULL)
        question_put(question);
}

static void question_answered(struct question *question)
{
    struct ironic *ironic = question->ironic;
    if (ironic->failing)
        log_info("Ironic answers again after %lld s",
                 (long long)((clock_mono_us() - ironic->failed_at) / 1000000));
    ironic->failing = false;
    question->answered_at = question->asked_at;
    make_idle(question);
    tell(question);
    pump(ironic);
}

/* Once for each outage. */
static void warn(struct ironic *ironic, const char *why)
{
    if (ironic->failing)
        return;
    ironic->failing = true;
    ironic->failed_at = clock_mono_us();
    if (ironic->conf->ironic.fail_open)
        log_warning("Ironic cannot be asked: %s; until it can, the configuration's status and "
                    "owner count (ironic.fail_open)",
                    why);
    else
        log_error("Ironic cannot be asked: %s; until it can, whatever needs the status or the "
                  "owner of a node is refused",
                  why);
}

static void fail_one(struct question *question, const char *why)
{
    warn(question->ironic, why);
    make_idle(question);
    question->failed_at = clock_mono_us();
    tell(question);
}

/* Not reached at all: those in the queue would find out one after the other, each after the whole
 * timeout. */
static void question_unreached(struct question *question, const char *why)
{
    struct ironic *ironic = question->ironic;
    size_t waiting = ironic->queued;
    fail_one(question, why);
    while (waiting-- > 0 && ironic->queue != NULL)
        fail_one(ironic->queue, why);
    pump(ironic);
}

static void question_failed(struct question *question, const char *why)
{
    struct ironic *ironic = question->ironic;
    fail_one(question, why);
    pump(ironic);
}

/* ---- Answers ---- */

static void send_question(struct question *question);

static int take_node(struct question *question, const struct client_answer *answer,
                     struct fault *fault)
{
    struct ironic *ironic = question->ironic;
    struct ironic_node node = {0};
    if (answer->status == 404) {
        if (!ironic_parse_absent(answer->body, answer->body_len, question->uuid))
            return fault_set(fault, FAULT_STATE_SOURCE,
                             "its 404 is not Ironic's: is ironic.url right?");
        return known_set(ironic, question->uuid, NULL, question->asked_at);
    }
    if (ironic_parse_node(answer->body, answer->body_len, &node, fault) < 0)
        return -1;
    int result = strcmp(node.uuid, question->uuid) != 0
                     ? fault_set(fault, FAULT_STATE_SOURCE, "the answer is about another node")
                     : known_set(ironic, question->uuid, &node, question->asked_at);
    ironic_node_clear(&node);
    return result;
}

/* The node of an instance: none, or one, which may be none of the configuration's. */
static int take_instance(struct question *question, struct ironic_page *page)
{
    struct ironic *ironic = question->ironic;
    for (size_t i = 0; i < page->count; i++) {
        struct ironic_node *node = &page->nodes[i];
        if (strcmp(node->instance_uuid, question->uuid) == 0 &&
            known_configured(ironic->conf, node->uuid) != NULL &&
            known_set(ironic, node->uuid, node, question->asked_at) < 0)
            return -1;
    }
    return 0;
}

/* 1: there is another page. */
static int take_page(struct question *question, struct ironic_page *page, struct fault *fault)
{
    struct ironic *ironic = question->ironic;
    struct ironic_node *found = realloc(question->found, (question->found_count + page->count + 1) *
                                                             sizeof *question->found);
    if (found == NULL)
        return fault_set(fault, FAULT_STATE_SOURCE, "out of memory");
    question->found = found;
    char marker[UUID_TEXT] = "";
    if (page->count > 0)
        memcpy(marker, page->nodes[page->count - 1].uuid, sizeof marker);
    for (size_t i = 0; i < page->count; i++) {
        if (known_configured(ironic->conf, page->nodes[i].uuid) == NULL)
            continue;
        found[question->found_count++] = page->nodes[i];
        page->nodes[i] = (struct ironic_node){0};
    }
    if (page->more && (++question->pages >= PAGES_MAX || strcmp(marker, question->marker) == 0))
        return fault_set(fault, FAULT_STATE_SOURCE, "its list of nodes has no end");
    memcpy(question->marker, marker, sizeof marker);
    if (page->more)
        return 1;
    return known_set_all(ironic, question->found, question->found_count, question->asked_at);
}

static int take_list(struct question *question, const struct client_answer *answer,
                     struct fault *fault)
{
    struct ironic_page page = {0};
    if (ironic_parse_page(answer->body, answer->body_len, &page, fault) < 0)
        return -1;
    int result = question->kind == ASK_INSTANCE ? take_instance(question, &page)
                                                : take_page(question, &page, fault);
    ironic_page_clear(&page);
    return result;
}

static int check_status(const struct question *question, const struct client_answer *answer,
                        struct fault *fault)
{
    unsigned status = answer->status;
    if (status == 406)
        return fault_set(fault, FAULT_STATE_SOURCE,
                         "it does not speak API version " IRONIC_VERSION
                         " (Wallaby, of 2021, is the first release that does)");
    if (status == 401 || status == 403)
        return fault_set(fault, FAULT_STATE_SOURCE,
                         "it answered %u: it does not take nmid's credentials", status);
    if (status != 200 && !(status == 404 && question->kind == ASK_NODE))
        return fault_set(fault, FAULT_STATE_SOURCE, "it answered %u", status);
    if (answer->cut)
        return fault_set(fault, FAULT_STATE_SOURCE, "its answer is too long");
    return 0;
}

/* The token may have been revoked, or Ironic's Keystone restarted: once more with a new one. */
static bool ask_again(struct question *question, const struct client_answer *answer)
{
    if (answer->status != 401 || question->token == NULL || question->retried)
        return false;
    keystone_forget(question->ironic->keystone, (const char *)question->token->bytes);
    question->retried = true;
    secret_free(question->token);
    question->token = NULL;
    send_question(question);
    return true;
}

static void on_answer(void *arg, const struct client_answer *answer)
{
    struct question *question = arg;
    struct fault fault = {0};
    question->call = NULL;
    if (answer->status == 0) {
        question_unreached(question, answer->why);
        return;
    }
    if (ask_again(question, answer))
        return;
    int result = check_status(question, answer, &fault);
    if (result == 0)
        result = question->kind == ASK_NODE ? take_node(question, answer, &fault)
                                            : take_list(question, answer, &fault);
    if (result > 0)
        send_question(question);
    else if (result == 0)
        question_answered(question);
    else
        question_failed(question, fault.code != FAULT_NONE ? fault.message : "out of memory");
}

/* ---- A try ---- */

/* What is asked for holds nothing that needs an escape: UUIDs, in hexadecimal digits. */
static char *make_url(const struct question *question)
{
    const char *url = question->ironic->conf->ironic.url;
    const char *marker = question->marker;
    char *text = NULL;
    int len = -1;
    if (question->kind == ASK_NODE)
        len = asprintf(&text, "%s/v1/nodes/%s?fields=%s", url, question->uuid, IRONIC_FIELDS);
    else if (question->kind == ASK_INSTANCE)
        len = asprintf(&text, "%s/v1/nodes?instance_uuid=%s&fields=%s", url, question->uuid,
                       IRONIC_FIELDS);
    else
        len = asprintf(&text, "%s/v1/nodes?fields=%s&limit=%d%s%s", url, IRONIC_FIELDS,
                       IRONIC_PAGE_LIMIT, marker[0] != '\0' ? "&marker=" : "", marker);
    return len < 0 ? NULL : text;
}

static void send_request(struct question *question, const char *token)
{
    const struct conf_ironic *conf = &question->ironic->conf->ironic;
    struct fault fault = {0};
    struct client_header headers[HEADERS] = {
        {"X-OpenStack-Ironic-API-Version", IRONIC_VERSION},
        {"User-Agent", "nmid/" PACKAGE_VERSION},
        {"X-Auth-Token", token},
    };
    struct client_request request = {
        .method = "GET",
        .url = make_url(question),
        .headers = headers,
        .header_count = token != NULL ? HEADERS : HEADERS - 1,
        .ca_file = conf->ca_file,
        .insecure = conf->insecure,
        .timeout_ms = conf->timeout_ms,
        .body_max = question->kind == ASK_NODE ? NODE_BODY_MAX : PAGE_BODY_MAX,
    };
    if (conf->auth == AUTH_HTTP_BASIC) {
        request.user = conf->username;
        request.password = (const char *)conf->password->bytes;
    }
    if (request.url != NULL)
        question->call =
            client_start(question->ironic->client, &request, on_answer, question, &fault);
    free((char *)request.url);
    if (question->call == NULL)
        question_failed(question, fault.code != FAULT_NONE ? fault.message : "out of memory");
}

static void on_token(void *arg, const char *token, const struct fault *fault)
{
    struct question *question = arg;
    question->token_wait = NULL;
    if (token == NULL) {
        question_unreached(question, fault->message);
        return;
    }
    question->token = secret_new(token, strlen(token));
    if (question->token == NULL)
        question_failed(question, "out of memory");
    else
        send_request(question, token);
}

static void send_question(struct question *question)
{
    struct ironic *ironic = question->ironic;
    if (ironic->conf->ironic.auth != AUTH_KEYSTONE) {
        send_request(question, NULL);
    } else if (ironic->keystone == NULL) {
        question_failed(question, "nmid's log-in at Keystone could not be set up");
    } else if (question->token != NULL) { /* of the page before */
        send_request(question, (const char *)question->token->bytes);
    } else {
        struct keystone_wait *wait = keystone_token(ironic->keystone, on_token, question);
        if (wait != NULL)
            question->token_wait = wait;
    }
}

/* Not recursive: a question that fails at once only makes room for the loop here. */
static void pump(struct ironic *ironic)
{
    if (ironic->pumping)
        return;
    ironic->pumping = true;
    while (ironic->queue != NULL && ironic->asking < ASKING_MAX) {
        struct question *question = ironic->queue;
        take_from_queue(question);
        question->phase = QUESTION_ASKING;
        question->asked_at = clock_mono_us();
        ironic->asking++;
        send_question(question);
    }
    ironic->pumping = false;
}

void question_put(struct question *question)
{
    struct ironic *ironic = question->ironic;
    if (question->phase != QUESTION_IDLE)
        return;
    question->phase = QUESTION_QUEUED;
    question->queued = NULL;
    *ironic->queue_end = question;
    ironic->queue_end = &question->queued;
    ironic->queued++;
    pump(ironic);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What nmid asks Ironic, when, and what counts of the answers: in simulated time, with a client and
 * a Keystone of this file's own, so that every request can be counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/ironic.h"
#include "core/keystone.h"
#include "core/node_state.h"
#include "loop/client.h"

#define S      ((int64_t)1000000)
#define CALLS  64
#define FIELDS "fields=uuid,provision_state,instance_uuid,owner,lessee,reservation"
#define URL    "http://ironic.example:6385"

/* ---- Time and the loop ---- */

static int64_t now_us;
static unsigned wakes;

int64_t clock_mono_us(void)
{
    return now_us;
}

int64_t clock_wall_us(void)
{
    return now_us;
}

char *clock_text(int64_t us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "T%lld", (long long)us);
    return text;
}

void loop_wake(struct loop *loop)
{
    (void)loop;
    wakes++;
}

/* ---- The client: requests wait until a test answers them ---- */

struct client_call {
    char url[512], token[64], version[16], user[32];
    size_t body_max;
    client_done_fn *done;
    void *arg;
};

static struct client_call *calls[CALLS]; /* in their order; NULL: over */
static unsigned call_count, active;
static bool refuse_start;

struct client *client_new(struct loop *loop, struct fault *fault)
{
    (void)loop;
    (void)fault;
    return calloc(1, 1);
}

void client_free(struct client *client)
{
    assert_int_equal(active, 0);
    free(client);
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 client_done_fn *done, void *arg, struct fault *fault)
{
    (void)client;
    if (refuse_start) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    assert_true(call_count < CALLS);
    assert_string_equal(request->method, "GET");
    struct client_call *call = calls[call_count++] = calloc(1, sizeof *call);
    snprintf(call->url, sizeof call->url, "%s", request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct client_header *header = &request->headers[i];
        if (strcmp(header->name, "X-Auth-Token") == 0)
            snprintf(call->token, sizeof call->token, "%s", header->value);
        if (strcmp(header->name, "X-OpenStack-Ironic-API-Version") == 0)
            snprintf(call->version, sizeof call->version, "%s", header->value);
    }
    if (request->user != NULL)
        snprintf(call->user, sizeof call->user, "%s:%s", request->user, request->password);
    call->body_max = request->body_max;
    call->done = done;
    call->arg = arg;
    active++;
    return call;
}

static void call_drop(struct client_call *call)
{
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i] == call)
            calls[i] = NULL;
    }
    active--;
    free(call);
}

void client_cancel(struct client_call *call)
{
    if (call != NULL)
        call_drop(call);
}

static void answer(unsigned i, unsigned status, const char *body)
{
    struct client_call *call = calls[i];
    assert_non_null(call);
    struct client_answer answer = {.status = status,
                                   .why = status == 0 ? "connection refused" : NULL,
                                   .body = body,
                                   .body_len = strlen(body)};
    calls[i] = NULL;
    call->done(call->arg, &answer);
    active--;
    free(call);
}

/* ---- Keystone ---- */

static const char *token; /* NULL: it waits; "": it fails at once */
static unsigned forgets, tokens;
static keystone_token_fn *token_done;
static void *token_arg;

struct keystone *keystone_new(struct loop *loop, struct client *client,
                              const struct conf_keystone *conf, struct fault *fault)
{
    (void)loop, (void)client, (void)conf, (void)fault;
    return calloc(1, 1);
}

void keystone_free(struct keystone *keystone)
{
    free(keystone);
}

struct keystone_wait *keystone_token(struct keystone *keystone, keystone_token_fn *done, void *arg)
{
    struct fault fault = {0};
    assert_non_null(keystone);
    tokens++;
    if (token == NULL) {
        token_done = done;
        token_arg = arg;
        return (struct keystone_wait *)(void *)&token;
    }
    fault_set(&fault, FAULT_IDENTITY, "Keystone is down");
    done(arg, token[0] == '\0' ? NULL : token, token[0] == '\0' ? &fault : NULL);
    return NULL;
}

void keystone_cancel(struct keystone_wait *wait)
{
    assert_ptr_equal(wait, &token);
    token_done = NULL;
}

void keystone_forget(struct keystone *keystone, const char *old)
{
    (void)keystone;
    assert_string_equal(old, token);
    forgets++;
}

/* ---- The configuration ---- */

static struct conf conf;
static struct ironic *ironic;
static unsigned dones;

static const char *node_uuid(unsigned i)
{
    static char text[4][UUID_TEXT];
    static unsigned slot;
    slot = (slot + 1) % 4;
    snprintf(text[slot], UUID_TEXT, "aaaaaaaa-0000-4000-8000-%012u", i);
    return text[slot];
}

static const char *instance(unsigned i)
{
    static char text[4][UUID_TEXT];
    static unsigned slot;
    slot = (slot + 1) % 4;
    snprintf(text[slot], UUID_TEXT, "bbbbbbbb-0000-4000-8000-%012u", i);
    return text[slot];
}

static void add_nodes(unsigned count)
{
    conf.nodes = node_table_new();
    for (unsigned i = 0; i < count; i++) {
        const struct node *other;
        const char *what;
        struct node *node = node_new();
        uuid_copy(node->uuid, node_uuid(i));
        char name[16];
        snprintf(name, sizeof name, "node-%u", i);
        node->name = strdup(name);
        assert_int_equal(node_table_add(conf.nodes, node, &other, &what), 0);
    }
}

static int setup_with(unsigned nodes, enum auth_strategy auth)
{
    now_us = 1000 * S;
    call_count = active = wakes = dones = forgets = tokens = 0;
    refuse_start = false;
    token = "token-1";
    memset(&conf, 0, sizeof conf);
    conf.state_source_ironic = true;
    conf.ironic = (struct conf_ironic){
        .url = (char *)(uintptr_t)URL, .auth = auth, .cache_s = 5, .timeout_ms = 5000};
    add_nodes(nodes);
    ironic = ironic_new(NULL, &conf, NULL);
    return ironic == NULL ? -1 : 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(4, AUTH_NONE);
}

static int setup_many(void **state)
{
    (void)state;
    return setup_with(40, AUTH_NONE);
}

static int setup_keystone(void **state)
{
    (void)state;
    return setup_with(4, AUTH_KEYSTONE);
}

static int teardown(void **state)
{
    (void)state;
    ironic_free(ironic);
    node_table_free(conf.nodes);
    assert_int_equal(active, 0);
    return 0;
}

/* ---- Asking ---- */

static const char *node_json(unsigned i, const char *state, const char *on, const char *more)
{
    static char text[2][512];
    static unsigned slot;
    slot = !slot;
    snprintf(text[slot], sizeof text[slot],
             "{\"uuid\": \"%s\", \"provision_state\": \"%s\", \"instance_uuid\": %s%s%s, %s}",
             node_uuid(i), state, on != NULL ? "\"" : "", on != NULL ? on : "null",
             on != NULL ? "\"" : "",
             more != NULL ? more : "\"owner\": \"demo\", \"lessee\": null, \"reservation\": null");
    return text[slot];
}

static void on_done(void *arg)
{
    unsigned *count = arg;
    dones++;
    if (count != NULL)
        (*count)++;
}

static struct state_wait *last_wait;

static int refresh(const char *ident)
{
    struct fault fault = {0};
    last_wait = NULL;
    return ironic_refresh(ironic, ident != NULL ? &ident : NULL, ident != NULL, on_done, NULL,
                          &last_wait, &fault);
}

static void assert_node(unsigned i, enum ironic_answer expected)
{
    const struct ironic_node *node = NULL;
    assert_int_equal(ironic_node(ironic, node_uuid(i), &node), expected);
}

static void assert_status(unsigned i, enum node_status status, const char *owner)
{
    const struct ironic_node *node = NULL;
    assert_int_equal(ironic_node(ironic, node_uuid(i), &node), IRONIC_KNOWN);
    assert_int_equal(node->status, status);
    assert_string_equal(node->owner != NULL ? node->owner : "", owner);
}

/* ---- The tests ---- */

static void test_one_node(void **state)
{
    (void)state;
    assert_node(1, IRONIC_STALE);
    assert_int_equal(refresh("node-1"), 1);
    assert_int_equal(call_count, 1);
    assert_string_equal(calls[0]->version, "1.65");
    assert_string_equal(calls[0]->token, "");
    char url[300];
    snprintf(url, sizeof url, "%s/v1/nodes/%s?%s", URL, node_uuid(1), FIELDS);
    assert_string_equal(calls[0]->url, url);
    ironic_turn(ironic);
    assert_int_equal(dones, 0);
    now_us += S;
    wakes = 0;
    answer(0, 200, node_json(1, "active", NULL, NULL));
    assert_int_equal(dones, 0); /* in a turn of its own */
    assert_true(wakes > 0);
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    assert_status(1, NODE_ACTIVE, "demo");
    assert_int_equal(refresh(node_uuid(1)), 0);
    now_us += 4 * S; /* five seconds since it was asked for */
    assert_int_equal(refresh("node-1"), 0);
    now_us += 1;
    ironic_turn(ironic);
    assert_node(1, IRONIC_STALE);
    assert_int_equal(refresh("node-1"), 1);
    assert_int_equal(call_count, 2);
}

/* What was found good in a turn is good to its end. */
static void test_end_of_turn(void **state)
{
    (void)state;
    refresh("node-1");
    answer(0, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    now_us += 5 * S;
    assert_int_equal(refresh("node-1"), 0);
    now_us += 1000;
    assert_node(1, IRONIC_KNOWN);
    ironic_turn(ironic);
    assert_node(1, IRONIC_STALE);
}

static enum ironic_answer seen;

static void look(void *arg)
{
    const struct ironic_node *node = NULL;
    const char *ident = arg;
    struct state_wait *wait = NULL;
    seen = ironic_node(ironic, node_uuid(1), &node);
    assert_int_equal(ironic_refresh(ironic, &ident, 1, on_done, NULL, &wait, NULL), 1);
    ironic_cancel(wait);
}

/* cache_s = 0: an answer counts for those who waited for it, when they use it, however much later
 * that is; and for nobody else. */
static void test_no_cache(void **state)
{
    char ident[] = "node-1";
    (void)state;
    conf.ironic.cache_s = 0;
    assert_int_equal(refresh(ident), 1);
    struct state_wait *wait = last_wait;
    now_us += S;
    answer(0, 200, node_json(1, "active", NULL, NULL));
    now_us += 1000;
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    assert_node(1, IRONIC_STALE);
    now_us += 60 * S;
    ironic_turn(ironic);
    assert_int_equal(dones, 1); /* it is told once */
    assert_false(ironic_lost(wait, INT64_MAX));
    assert_false(ironic_lost(wait, 60 * S));
    assert_true(ironic_lost(wait, 60 * S - 1));
    ironic_use(wait, look, ident);
    assert_int_equal(seen, IRONIC_KNOWN);
    assert_node(1, IRONIC_STALE);
}

static void see_instance(void *arg)
{
    const char *uuid;
    seen = ironic_instance(ironic, arg, &uuid);
}

/* Nobody's instance stays known as that for who has not used it yet, whatever others make up. */
static void test_kept(void **state)
{
    char absent[] = "7f3c9f1e-6b1a-4b7d-8e56-0a8b1a8b0a33";
    (void)state;
    refresh(absent);
    struct state_wait *wait = last_wait;
    answer(0, 200, "{\"nodes\": []}");
    ironic_turn(ironic);
    for (unsigned i = 0; i < 10000; i++) {
        call_count = 0;
        assert_int_equal(refresh(instance(i)), 1);
        answer(0, 200, "{\"nodes\": []}");
        ironic_turn(ironic);
        ironic_cancel(last_wait); /* told, and not used */
    }
    now_us += 60 * S;
    ironic_use(wait, see_instance, absent);
    assert_int_equal(seen, IRONIC_ABSENT);
}

/* One request for all who wait; who comes after it was sent, and may have nothing old, waits for
 * the next one, together with all others who do. */
static void test_together(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(refresh("node-1"), 1);
    assert_int_equal(call_count, 1);
    answer(0, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 3);

    conf.ironic.cache_s = 0;
    dones = 0;
    now_us += 10;
    refresh("node-1");
    now_us += 10;
    for (int i = 0; i < 5; i++)
        assert_int_equal(refresh("node-1"), 1);
    assert_int_equal(call_count, 2);
    answer(1, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    assert_int_equal(call_count, 3);
    answer(2, 200, node_json(1, "error", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 6);
    assert_int_equal(call_count, 3);
}

static void test_failures(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
    } bad[] = {
        {0, ""},
        {500, ""},
        {503, "{}"},
        {401, ""},
        {403, ""},
        {406, "{}"},
        {302, ""},
        {404, ""},
        {200, ""},
        {200, "[]"},
        {200, "nope"},
        {200, "{}"},
        {404, "{\"error_message\": \"{\\\"faultstring\\\": \\\"Not Found\\\"}\"}"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(refresh("node-1"), 1);
        answer(i, bad[i].status, bad[i].body);
        ironic_turn(ironic);
        assert_int_equal(dones, i + 1);
        assert_node(1, IRONIC_FAILED);
        assert_int_equal(refresh("node-1"), 0); /* not so soon */
        assert_int_equal(call_count, i + 1);
        now_us += S + 1;
        ironic_turn(ironic);
        assert_node(1, IRONIC_STALE);
    }
}

/* What was known before an outage does not count in it, once it is old. */
static void test_outage(void **state)
{
    (void)state;
    refresh("node-1");
    answer(0, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    now_us += 5 * S + 1;
    refresh("node-1");
    answer(1, 0, "");
    ironic_turn(ironic);
    assert_node(1, IRONIC_FAILED);
    now_us += 2 * S;
    refresh("node-1");
    answer(2, 200, node_json(1, "error", NULL, NULL));
    ironic_turn(ironic);
    assert_status(1, NODE_ERROR, "demo");
}

static void test_wrong_node(void **state)
{
    (void)state;
    refresh("node-1");
    answer(0, 200, node_json(2, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_node(1, IRONIC_FAILED);
    assert_node(2, IRONIC_STALE);
}

static void test_absent(void **state)
{
    char body[256];
    (void)state;
    snprintf(body, sizeof body,
             "{\"error_message\": \"{\\\"faultcode\\\": \\\"Client\\\", \\\"faultstring\\\": "
             "\\\"Node %s could not be found.\\\", \\\"debuginfo\\\": null}\"}",
             node_uuid(1));
    refresh("node-1");
    answer(0, 404, body);
    ironic_turn(ironic);
    assert_node(1, IRONIC_ABSENT);
    assert_int_equal(refresh("node-1"), 0);
}

static void test_instance(void **state)
{
    const char *uuid = NULL;
    char url[300], body[700], upper[UUID_TEXT];
    (void)state;
    assert_int_equal(ironic_instance(ironic, instance(7), &uuid), IRONIC_STALE);
    snprintf(upper, sizeof upper, "%s", instance(7));
    upper[0] = 'B';
    assert_int_equal(refresh(upper), 1);
    snprintf(url, sizeof url, "%s/v1/nodes?instance_uuid=%s&%s", URL, instance(7), FIELDS);
    assert_string_equal(calls[0]->url, url);
    snprintf(body, sizeof body, "{\"nodes\": [%s]}", node_json(2, "active", instance(7), NULL));
    answer(0, 200, body);
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, upper, &uuid), IRONIC_KNOWN);
    assert_string_equal(uuid, node_uuid(2));
    assert_status(2, NODE_ACTIVE, "demo");
    assert_int_equal(refresh("node-2"), 0);

    /* It moves to another node. */
    now_us += S;
    refresh("node-3");
    answer(1, 200, node_json(3, "active", instance(7), NULL));
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, instance(7), &uuid), IRONIC_KNOWN);
    assert_string_equal(uuid, node_uuid(3));
    assert_node(2, IRONIC_STALE);

    /* It goes away. */
    now_us += 6 * S;
    refresh(instance(7));
    answer(2, 200, "{\"nodes\": []}");
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, instance(7), &uuid), IRONIC_ABSENT);
    assert_int_equal(refresh(instance(7)), 0);
}

/* Another's node, or one with another instance than was asked for, is not it. */
static void test_instance_elsewhere(void **state)
{
    const char *uuid;
    char body[700];
    (void)state;
    refresh(instance(7));
    snprintf(body, sizeof body, "{\"nodes\": [%s]}", node_json(90, "active", instance(7), NULL));
    answer(0, 200, body);
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, instance(7), &uuid), IRONIC_ABSENT);
    refresh(instance(8));
    snprintf(body, sizeof body, "{\"nodes\": [%s]}", node_json(2, "active", instance(7), NULL));
    answer(1, 200, body);
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, instance(8), &uuid), IRONIC_ABSENT);
    assert_node(2, IRONIC_STALE);
}

/* Names that are nobody's are asked for too, each by a UUID that no instance has: an absent node
 * takes the way, and the time, of one that is there; and nothing of the name reaches the URL. */
static void test_nobody(void **state)
{
    const char *uuid;
    (void)state;
    assert_int_equal(refresh("no-such"), 1);
    assert_non_null(strstr(calls[0]->url, "instance_uuid=00000000-0000-0000-03a7-b4c462fbc10e&"));
    answer(0, 0, "");
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, "no-such", &uuid), IRONIC_FAILED);
    now_us += 2 * S;
    refresh("no-such");
    answer(1, 200, "{\"nodes\": []}");
    ironic_turn(ironic);
    assert_int_equal(ironic_instance(ironic, "no-such", &uuid), IRONIC_ABSENT);
    assert_int_equal(refresh("no-such"), 0);
    assert_int_equal(ironic_instance(ironic, "nor-this", &uuid), IRONIC_STALE);
    assert_int_equal(refresh("detail?x=../"), 1);
    assert_null(strstr(calls[2]->url, "detail"));
    assert_null(strstr(calls[2]->url, "03a7-b4c462fbc10e"));
}

static void test_a_few(void **state)
{
    const char *idents[] = {"node-0", "node-1", "node-0"};
    struct state_wait *wait;
    (void)state;
    assert_int_equal(ironic_refresh(ironic, idents, 3, on_done, NULL, &wait, NULL), 1);
    assert_int_equal(call_count, 2);
    answer(1, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 0);
    conf.ironic.cache_s = 0;
    now_us += S;
    answer(0, 200, node_json(0, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    conf.ironic.cache_s = 5;
    assert_int_equal(refresh(NULL), 1); /* of four nodes, the other two */
    assert_int_equal(call_count, 4);
}

/* A page of nodes from..to-1, and whether there is another. */
static char *page(unsigned from, unsigned to, bool more)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    fprintf(file, "{\"nodes\": [");
    for (unsigned i = from; i < to; i++)
        fprintf(file, "%s%s", i > from ? ", " : "", node_json(i, "active", instance(i), NULL));
    fprintf(file, "]%s}", more ? ", \"next\": \"http://evil.example/v1/nodes?marker=x\"" : "");
    fclose(file);
    return text;
}

static void answer_page(unsigned call, unsigned from, unsigned to, bool more)
{
    char *text = page(from, to, more);
    answer(call, 200, text);
    free(text);
}

static void test_pages(void **state)
{
    char url[400];
    const char *uuid;
    (void)state;
    assert_int_equal(refresh(NULL), 1);
    snprintf(url, sizeof url, "%s/v1/nodes?%s&limit=1000", URL, FIELDS);
    assert_string_equal(calls[0]->url, url);
    answer_page(0, 0, 20, true);
    ironic_turn(ironic);
    assert_int_equal(dones, 0);
    assert_node(1, IRONIC_STALE); /* half a list is none */
    snprintf(url, sizeof url, "%s/v1/nodes?%s&limit=1000&marker=%s", URL, FIELDS, node_uuid(19));
    assert_string_equal(calls[1]->url, url);
    answer_page(1, 20, 39, false);
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    for (unsigned i = 0; i < 39; i++)
        assert_status(i, NODE_ACTIVE, "demo");
    assert_node(39, IRONIC_ABSENT);
    assert_int_equal(ironic_instance(ironic, instance(5), &uuid), IRONIC_KNOWN);
    assert_int_equal(ironic_instance(ironic, instance(99), &uuid), IRONIC_ABSENT);
    assert_int_equal(refresh("node-3"), 0);
    assert_int_equal(refresh(instance(99)), 0);
    assert_int_equal(refresh(NULL), 0);
}

static void test_page_fails(void **state)
{
    (void)state;
    refresh(NULL);
    answer_page(0, 0, 20, true);
    answer(1, 500, "");
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    assert_node(1, IRONIC_FAILED);
    assert_int_equal(refresh(NULL), 0);
    now_us += 2 * S;
    assert_int_equal(refresh(NULL), 1);
    answer_page(2, 0, 20, true);
    answer_page(3, 0, 20, true); /* the same page for ever */
    ironic_turn(ironic);
    assert_int_equal(dones, 2);
    assert_node(1, IRONIC_FAILED);
    assert_int_equal(call_count, 4);
}

/* A list takes long: what was asked for one node meanwhile is newer than what the list says of it.
 */
static void test_late_list(void **state)
{
    (void)state;
    refresh(NULL);
    now_us += S;
    refresh("node-1");
    answer(1, 200, node_json(1, "error", instance(77), NULL));
    now_us += S;
    answer_page(0, 0, 40, false);
    ironic_turn(ironic);
    assert_status(1, NODE_ERROR, "demo");
    assert_status(2, NODE_ACTIVE, "demo");
}

/* Sixteen at once; when Ironic is not reached the queue hears it too, not one by one. */
static void test_queue(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(refresh(node_uuid(i)), 1);
    assert_int_equal(call_count, 16);
    answer(0, 200, node_json(0, "active", NULL, NULL));
    assert_int_equal(call_count, 17);
    answer(1, 500, "");
    assert_int_equal(call_count, 18);
    answer(2, 0, "");
    ironic_turn(ironic);
    assert_int_equal(call_count, 18);
    assert_int_equal(dones, 3 + 22);
    assert_node(39, IRONIC_FAILED);
    for (unsigned i = 3; i < 18; i++)
        answer(i, 200, node_json(i, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 40);
}

static void test_cancel(void **state)
{
    (void)state;
    refresh("node-1");
    ironic_cancel(last_wait);
    refresh("node-1");
    assert_int_equal(call_count, 1);
    answer(0, 200, node_json(1, "active", NULL, NULL));
    ironic_cancel(last_wait); /* due, not told yet */
    ironic_turn(ironic);
    assert_int_equal(dones, 0);
    assert_int_equal(refresh("node-1"), 0);
    refresh("node-2"); /* left waiting at the end, as is a queue */
    refresh("node-3");
    answer(2, 200, node_json(3, "active", NULL, NULL));
}

/* More names than are remembered, from callers who make them up. */
static void test_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        call_count = 0;
        assert_int_equal(refresh(instance(i)), 1);
        answer(0, 200, "{\"nodes\": []}");
        ironic_turn(ironic);
        ironic_cancel(last_wait);
    }
    assert_int_equal(dones, 20000);
}

static void test_no_memory(void **state)
{
    (void)state;
    refuse_start = true;
    assert_int_equal(refresh("node-1"), 0);
    assert_node(1, IRONIC_FAILED);
}

static void test_basic(void **state)
{
    char name[] = "nmid";
    (void)state;
    conf.ironic.auth = AUTH_HTTP_BASIC;
    conf.ironic.username = name;
    conf.ironic.password = secret_new("secret", 6);
    refresh("node-1");
    assert_string_equal(calls[0]->user, "nmid:secret");
    secret_free(conf.ironic.password);
}

static void test_keystone(void **state)
{
    (void)state;
    refresh("node-1");
    assert_string_equal(calls[0]->token, "token-1");
    answer(0, 401, "");
    assert_int_equal(forgets, 1);
    assert_int_equal(call_count, 2);
    answer(1, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_status(1, NODE_ACTIVE, "demo");
    now_us += 6 * S;
    refresh("node-1");
    answer(2, 401, "");
    answer(3, 401, ""); /* no third time */
    ironic_turn(ironic);
    assert_int_equal(forgets, 2);
    assert_int_equal(call_count, 4);
    assert_node(1, IRONIC_FAILED);
}

static void test_keystone_waits(void **state)
{
    struct fault fault = {0};
    (void)state;
    token = NULL;
    assert_int_equal(refresh("node-1"), 1);
    assert_int_equal(call_count, 0);
    token = "token-2";
    token_done(token_arg, token, NULL);
    assert_string_equal(calls[0]->token, "token-2");
    token = NULL;
    refresh("node-2");
    fault_set(&fault, FAULT_IDENTITY, "Keystone is down");
    token_done(token_arg, NULL, &fault);
    ironic_turn(ironic);
    assert_int_equal(dones, 1);
    assert_node(2, IRONIC_FAILED);
    token = ""; /* it knows at once that it is down */
    assert_int_equal(refresh("node-3"), 0);
    assert_node(3, IRONIC_FAILED);
    token = NULL;
    assert_int_equal(refresh("node-0"), 1); /* left waiting at the end */
}

static void test_reload(void **state)
{
    struct conf other = conf;
    char url[] = "http://other.example";
    (void)state;
    refresh("node-1");
    struct state_wait *told = last_wait;
    answer(0, 200, node_json(1, "active", NULL, NULL));
    ironic_turn(ironic);
    refresh("node-2");
    other.ironic.url = url;
    ironic_configure(ironic, &other);
    assert_true(ironic_lost(told, INT64_MAX));
    assert_false(ironic_lost(last_wait, INT64_MAX));
    assert_node(1, IRONIC_STALE);
    assert_null(calls[1]); /* cancelled, and asked again of the other */
    assert_int_equal(strncmp(calls[2]->url, "http://other.example/v1/", 24), 0);
    answer(2, 200, node_json(2, "active", NULL, NULL));
    ironic_turn(ironic);
    assert_int_equal(dones, 2);
    refresh("node-3");
    other.state_source_ironic = false;
    ironic_configure(ironic, &other);
    ironic_turn(ironic);
    assert_int_equal(dones, 3);
    assert_int_equal(active, 0);
    assert_int_equal(refresh("node-3"), 0);
    assert_node(2, IRONIC_STALE);
    ironic_configure(ironic, &conf);
    assert_int_equal(refresh("node-3"), 1);
}

static void test_owners(void **state)
{
    const struct ironic_node *node = NULL;
    (void)state;
    refresh("node-1");
    answer(0, 200,
           node_json(1, "rescue", NULL,
                     "\"owner\": \"\", \"lessee\": \"tenant\", \"reservation\": \"conductor-1\""));
    ironic_turn(ironic);
    assert_int_equal(ironic_node(ironic, node_uuid(1), &node), IRONIC_KNOWN);
    assert_null(node->owner); /* nobody's project is "" */
    assert_string_equal(node->lessee, "tenant");
    assert_string_equal(node->reservation, "conductor-1");
    assert_int_equal(node->status, NODE_RESCUED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_node),
        TEST(test_end_of_turn),
        TEST(test_no_cache),
        TEST(test_kept),
        TEST(test_together),
        TEST(test_failures),
        TEST(test_outage),
        TEST(test_wrong_node),
        TEST(test_absent),
        TEST(test_instance),
        TEST(test_instance_elsewhere),
        TEST(test_nobody),
        TEST(test_a_few),
        cmocka_unit_test_setup_teardown(test_pages, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_page_fails, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_late_list, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_queue, setup_many, teardown),
        TEST(test_cancel),
        TEST(test_bounded),
        TEST(test_no_memory),
        TEST(test_basic),
        cmocka_unit_test_setup_teardown(test_keystone, setup_keystone, teardown),
        cmocka_unit_test_setup_teardown(test_keystone_waits, setup_keystone, teardown),
        TEST(test_reload),
        TEST(test_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

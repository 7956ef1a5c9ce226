/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way back to Ironic: each node's extra/last_nmi there is the end of its last action. One post
 * for a node is under way at a time, and a newer one takes the place of an older one, so that what
 * Ironic has in the end is the newest. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/callback_state.h"
#include "core/ironic_parse.h"

#define ANSWER_MAX   ((size_t)64 << 10)
#define HEADERS      4
#define ONCE_MORE_US (60 * CALLBACK_SECOND)
#define DOUBT_US     (300 * CALLBACK_SECOND)

static const char *node_uuid(const struct post *post)
{
    return post->url + strlen(IRONIC_POST);
}

bool ironic_post_is(const char *url)
{
    size_t len = strlen(IRONIC_POST);
    return strncmp(url, IRONIC_POST, len) == 0 && uuid_valid(url + len);
}

/* ---- What Ironic gets ---- */

/* Who asked is left out: others may read the node at Ironic than may read nmid's actions. */
char *ironic_post_body(const struct action *action)
{
    static const char *const keys[] = {"id",         "outcome", "code",       "message",
                                       "created_at", "sent_at", "finished_at"};
    json_t *whole = action_json_finished(action), *value = json_object();
    int result = whole == NULL || value == NULL ? -1 : 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && result == 0; i++)
        result = json_object_set(value, keys[i], json_object_get(whole, keys[i]));
    json_decref(whole);
    if (result < 0) {
        json_decref(value);
        return NULL;
    }
    json_t *patch =
        json_pack("[{s:s, s:s, s:o}]", "op", "add", "path", "/extra/last_nmi", "value", value);
    char *body = patch == NULL ? NULL : json_dumps(patch, JSON_COMPACT);
    json_decref(patch);
    return body;
}

/* ---- One for each node ---- */

/* There is a newer one. */
static void supersede(struct post *post)
{
    log_debug("callback: Ironic: %s is not posted: a newer action on the node is", post->action_id);
    post_done(post);
}

/* What is under way must end before the newer one is sent: only then does it come later. */
static void follow(struct post *leader, struct post *post)
{
    if (leader->follower != NULL)
        supersede(leader->follower);
    leader->follower = post;
    post->leader = leader;
    post->origin = leader->origin;
}

int ironic_post_queue(struct callbacks *callbacks, struct post *post)
{
    struct post *older = map_get(callbacks->by_node, node_uuid(post));
    if (older != NULL && older->trying) {
        follow(older, post);
        return 0;
    }
    if (older == NULL && map_put(callbacks->by_node, node_uuid(post), post) < 0)
        return -1;
    if (post_queue(callbacks, post) < 0) {
        if (older == NULL)
            map_remove(callbacks->by_node, node_uuid(post));
        return -1;
    }
    if (older != NULL) {
        map_put(callbacks->by_node, node_uuid(post), post); /* in its place: that needs no memory */
        supersede(older);
    }
    return 0;
}

void ironic_post_leave(struct post *post)
{
    struct map *by_node = post->callbacks->by_node;
    struct post *follower = post->follower;
    if (post->token_wait != NULL)
        keystone_cancel(post->token_wait);
    secret_free(post->token);
    post->token_wait = NULL;
    post->token = NULL;
    if (post->leader != NULL)
        post->leader->follower = NULL;
    if (follower != NULL) {
        map_put(by_node, node_uuid(follower), follower);
        follower->leader = NULL;
        follower->due = clock_mono_us();
        post_put_back(follower);
    } else if (map_get(by_node, node_uuid(post)) == post) {
        map_remove(by_node, node_uuid(post));
    }
}

/* What was sent and not answered may lie in Ironic's queues, and be done after what was sent later.
 * So what is taken soon after such a silence is sent once more. */
bool ironic_post_taken(struct post *post)
{
    int64_t now = clock_mono_us(), unanswered_at = post->callbacks->unanswered_at;
    if (post->again || unanswered_at == 0 || now - unanswered_at > DOUBT_US)
        return true;
    post->again = true;
    post->due = now + ONCE_MORE_US;
    post_put_back(post);
    return false;
}

/* ---- The end of a try ---- */

static void try_ended(struct post *post, enum post_end end, unsigned status, const char *why)
{
    secret_free(post->token);
    post->token = NULL;
    post_tried(post, end, status, why);
}

/* What nmid sends is always well-formed. So a 400 is about Ironic: no conductor for the node's
 * driver is there just now, as while it restarts. A 409: the node is reserved, as it is for a
 * moment after its own conductor has asked nmid; or it is on its way to another state. */
static enum post_end end_of(const struct post *post, const struct client_answer *answer,
                            const char **ret_why)
{
    unsigned status = answer->status;
    *ret_why = answer->why;
    if (status >= 200 && status <= 299)
        return POST_TAKEN;
    if (status == 0 || status >= 500 || status == 401 || status == 408 || status == 429)
        return POST_UNREACHED;
    if (status == 409)
        return POST_BUSY;
    if (status == 404 && ironic_parse_absent(answer->body, answer->body_len, node_uuid(post))) {
        *ret_why = "no node of this UUID, or none that nmid may see";
        return POST_REFUSED;
    }
    if (status < 400 || status == 400 || status == 404)
        return POST_AGAIN;
    *ret_why = status == 403   ? "nmid may not change the node's \"extra\""
               : status == 406 ? "it does not speak API version " IRONIC_VERSION
                               : "refused";
    return POST_REFUSED;
}

static void begin(struct post *post);

static void on_answer(void *arg, const struct client_answer *answer)
{
    struct post *post = arg;
    struct callbacks *callbacks = post->callbacks;
    const char *why;
    post->call = NULL;
    if (answer->status == 401 && post->token != NULL && !post->retried &&
        callbacks->keystone != NULL) {
        /* The token may have been revoked: once more with a new one. */
        keystone_forget(callbacks->keystone, (const char *)post->token->bytes);
        secret_free(post->token);
        post->token = NULL;
        post->retried = true;
        begin(post);
        return;
    }
    enum post_end end = end_of(post, answer, &why);
    if (answer->status == 0 || answer->status == 408 || answer->status >= 500)
        callbacks->unanswered_at = clock_mono_us();
    try_ended(post, end, answer->status, why);
}

/* ---- A try ---- */

static void send_patch(struct post *post)
{
    const struct conf_callback *callback = post->callbacks->conf;
    const struct conf_ironic *conf = callback->ironic;
    const char *token = post->token == NULL ? NULL : (const char *)post->token->bytes;
    struct fault fault = {0};
    char *url = NULL;
    struct client_header headers[HEADERS] = {
        {"X-OpenStack-Ironic-API-Version", IRONIC_VERSION},
        {"User-Agent", "nmid/" PACKAGE_VERSION},
        {"Content-Type", "application/json"},
        {"X-Auth-Token", token},
    };
    if (asprintf(&url, "%s/v1/nodes/%s", conf->url, node_uuid(post)) < 0)
        url = NULL;
    struct client_request request = {
        .method = "PATCH",
        .url = url,
        .headers = headers,
        .header_count = token != NULL ? HEADERS : HEADERS - 1,
        .body = post->body,
        .body_len = strlen(post->body),
        .ca_file = conf->ca_file,
        .insecure = conf->insecure,
        .timeout_ms = callback->timeout_ms,
        .body_max = ANSWER_MAX,
    };
    if (conf->auth == AUTH_HTTP_BASIC) {
        request.user = conf->username;
        request.password = (const char *)conf->password->bytes;
    }
    if (url != NULL)
        post->call = client_start(post->callbacks->client, &request, on_answer, post, &fault);
    free(url);
    if (post->call == NULL)
        try_ended(post, POST_AGAIN, 0, fault.code != FAULT_NONE ? fault.message : "out of memory");
}

static void on_token(void *arg, const char *token, const struct fault *fault)
{
    struct post *post = arg;
    post->token_wait = NULL;
    if (token == NULL) {
        try_ended(post, POST_UNREACHED, 0, fault->message);
        return;
    }
    post->token = secret_new(token, strlen(token));
    if (post->token == NULL)
        try_ended(post, POST_AGAIN, 0, "out of memory");
    else
        send_patch(post);
}

static void begin(struct post *post)
{
    struct callbacks *callbacks = post->callbacks;
    if (callbacks->conf->ironic == NULL) { /* it was switched off between the two halves of a try */
        try_ended(post, POST_AGAIN, 0, "the configuration no longer has Ironic told");
    } else if (callbacks->conf->ironic->auth != AUTH_KEYSTONE) {
        send_patch(post);
    } else if (callbacks->keystone == NULL) {
        try_ended(post, POST_AGAIN, 0, "nmid's log-in at Keystone could not be set up");
    } else {
        struct keystone_wait *wait = keystone_token(callbacks->keystone, on_token, post);
        if (wait != NULL)
            post->token_wait = wait;
    }
}

void ironic_post_try(struct post *post)
{
    post->retried = false;
    begin(post);
}

/* Those that wait for a token of the old log-in begin anew. */
void ironic_post_configure(struct callbacks *callbacks)
{
    const struct conf_ironic *conf = callbacks->conf->ironic;
    struct keystone *old = callbacks->keystone;
    struct fault fault = {0};
    bool pumping = callbacks->pumping;
    callbacks->keystone = NULL;
    callbacks->pumping = true;
    keystone_free(old);
    callbacks->pumping = pumping;
    if (conf == NULL || conf->auth != AUTH_KEYSTONE)
        return;
    callbacks->keystone = keystone_new(callbacks->loop, callbacks->client, &conf->keystone, &fault);
    if (callbacks->keystone == NULL)
        log_error("callback: Ironic: %s; it will not be told", fault.message);
}

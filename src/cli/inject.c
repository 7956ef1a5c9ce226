/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One node's way: POST -> (the answer is lost: is it the same journal? -> the same POST) -> the
 * action is awaited by its id -> outcome. And the loop that takes many nodes along at a time. */
#include "cli/inject.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cli/answer.h"
#include "cli/interrupt.h"
#include "cli/text.h"

#define SECOND_US     INT64_C(1000000)
#define PATIENCE_US   (30 * SECOND_US) /* how long a lost connection is asked again */
#define AWAY_US       (60 * SECOND_US) /* and where nmid only takes no connection */
#define PAUSE_MIN_US  (SECOND_US / 4)
#define PAUSE_MAX_US  (4 * SECOND_US)
#define POST_US       (10 * SECOND_US)
#define CHECK_US      (5 * SECOND_US)
#define WAIT_S        20   /* of one long poll */
#define POLL_GRACE_MS 5000 /* and how much longer its answer may take */
#define TURN_MS       1000
#define CUT_US        (SECOND_US / 100) /* a request ends so much before its job at most */

static void job_post(struct job *job);
static void job_check(struct job *job);
static void job_poll(struct job *job);

/* ---- The end of a job ---- */

static void job_end(struct job *job, enum verdict verdict, const char *code, int exit_code,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

static void job_end(struct job *job, enum verdict verdict, const char *code, int exit_code,
                    const char *format, ...)
{
    struct injection *injection = job->injection;
    va_list args;
    va_start(args, format);
    vsnprintf(job->message, sizeof job->message, format, args);
    va_end(args);
    snprintf(job->code, sizeof job->code, "%s", code);
    job->verdict = verdict;
    job->exit_code = exit_code;
    job->wake = 0;
    for (size_t i = 0; i < injection->active_count; i++) {
        if (injection->active[i] != job)
            continue;
        injection->active[i] = injection->active[--injection->active_count];
        break;
    }
    injection->finished++;
    injection->on_finished(injection->arg, job);
}

static void job_unknown(struct job *job, const char *why)
{
    job_end(job, VERDICT_UNKNOWN, "connection-lost", EXIT_UNKNOWN, "%s%s",
            job->id[0] != '\0' ? "" : "whether nmid took the request is not known: ", why);
}

/* The milliseconds that a request may take: at most limit_us, at most the job's own time. */
static long job_left_ms(const struct job *job, int64_t limit_us)
{
    int64_t left = job->deadline - clock_mono_us();
    if (left > limit_us)
        left = limit_us;
    return left < 1000 ? 1 : (long)(left / 1000);
}

/* Tries resume() again after a pause that grows, until patience or the job's time is over. What went
 * wrong is told of the last try, but for one that the end of the job's time cut short: that it was not
 * answered within some milliseconds says nothing of nmid. */
static void job_again(struct job *job, void (*resume)(struct job *job), bool away, const char *why)
{
    int64_t now = clock_mono_us();
    if (job->why == NULL || now < job->deadline - CUT_US) {
        free(job->why);
        job->why = strdup(why);
    }
    if (job->lost == 0)
        job->lost = now;
    int64_t end = job->lost + (away ? AWAY_US : PATIENCE_US);
    if (end > job->deadline)
        end = job->deadline;
    if (now + job->pause_us >= end) {
        job_unknown(job, job->why != NULL ? job->why : why);
        return;
    }
    job->resume = resume;
    job->wake = now + job->pause_us;
    job->pause_us = job->pause_us * 2 < PAUSE_MAX_US ? job->pause_us * 2 : PAUSE_MAX_US;
}

static void job_send(struct job *job, const struct client_request *request, client_done_fn *done)
{
    struct fault fault = {0};
    if (client_send(job->injection->client, request, done, job, &fault) == 0)
        return;
    if (job->sent)
        job_unknown(job, fault.message);
    else
        job_end(job, VERDICT_FAILED, fault_name(fault.code), EXIT_ONE_FAILED, "%s", fault.message);
}

/* ---- nmid's action ---- */

static bool action_id_valid(const char *id)
{
    return strncmp(id, "req-", 4) == 0 && uuid_valid(id + 4);
}

/* Takes an action object over if it is this job's. */
static bool job_take(struct job *job, json_t *action)
{
    const char *id = answer_text(action, "id"), *node = answer_text(action, "node_uuid");
    char uuid[UUID_TEXT];
    if (!action_id_valid(id) || !uuid_valid(node) || answer_text(action, "state")[0] == '\0' ||
        (job->id[0] != '\0' && strcmp(id, job->id) != 0))
        return false;
    uuid_copy(uuid, node);
    if (strcmp(uuid, job->target->uuid) != 0)
        return false;
    snprintf(job->id, sizeof job->id, "%s", id);
    json_decref(job->action);
    job->action = json_incref(action);
    free(job->why);
    job->why = NULL;
    job->lost = 0;
    job->pause_us = PAUSE_MIN_US;
    return true;
}

/* What the action says: an outcome, or that there is none yet. */
static void job_follow(struct job *job)
{
    const char *outcome = answer_text(job->action, "outcome");
    const char *code = answer_text(job->action, "code");
    const char *message = answer_text(job->action, "message");
    if (strcmp(answer_text(job->action, "state"), "finished") != 0)
        job_poll(job);
    else if (strcmp(outcome, "delivered") == 0)
        job_end(job, VERDICT_DELIVERED, "", EXIT_DELIVERED, "%s", message);
    else if (strcmp(outcome, "failed") == 0)
        job_end(job, VERDICT_FAILED, code, EXIT_ONE_FAILED, "%s",
                message[0] != '\0' ? message : code);
    else if (strcmp(outcome, "unknown") == 0)
        job_end(job, VERDICT_UNKNOWN, code, EXIT_UNKNOWN, "%s",
                message[0] != '\0' ? message : code);
    else
        job_end(job, VERDICT_UNKNOWN, fault_name(FAULT_PROTOCOL), EXIT_UNKNOWN,
                "nmid names no outcome that nmictl knows");
}

/* ---- The request ---- */

/* nmid said no in so many words. lost: an earlier POST of this key may have been taken. */
static void job_refused(struct job *job, const struct client_answer *answer, bool lost)
{
    const json_t *error = answer_error(answer);
    const char *name = answer_text(error, "code"), *message = answer_text(error, "message");
    enum fault_code code = answer_code(name);
    int exit_code = fault_row(code)->exit_code;
    if (message[0] == '\0')
        message = name;
    snprintf(job->earlier_id, sizeof job->earlier_id, "%s", answer_text(error, "action_id"));
    if (exit_code == EXIT_UNKNOWN) {
        job_end(job, VERDICT_UNKNOWN, name, EXIT_UNKNOWN, "%s", message);
    } else if (!lost) {
        job_end(job, VERDICT_FAILED, name, EXIT_ONE_FAILED, "%s", message);
    } else if (code == FAULT_LOCKED || code == FAULT_STATUS || code == FAULT_POWERED_OFF) {
        /* nmid looks for the key before it looks at these: it has not taken the lost request. */
        job_end(job, VERDICT_FAILED, name, EXIT_ONE_FAILED, "%s", message);
    } else if (answer->status >= 500 || answer->status == 429) {
        job_again(job, job_check, false, message);
    } else {
        /* A hold-off, for one, may well be there because of the lost request. */
        job_end(job, VERDICT_UNKNOWN, name, EXIT_UNKNOWN,
                "the answer to the request was lost, and nmid refused to be asked again: %s",
                message);
    }
}

/* A yes whose body is of no use may still name the action. */
static bool job_take_location(struct job *job, const struct client_answer *answer)
{
    const char *id = answer->location == NULL ? NULL : strrchr(answer->location, '/');
    if (id == NULL || !action_id_valid(id + 1))
        return false;
    snprintf(job->id, sizeof job->id, "%s", id + 1);
    return true;
}

static void job_posted(void *arg, const struct client_answer *answer)
{
    struct job *job = arg;
    bool lost = job->sent; /* before this one */
    job->sent = job->sent || answer->sent;
    if (answer->fault.code != FAULT_NONE && !job->sent) {
        job_end(job, VERDICT_FAILED, fault_name(answer->fault.code),
                fault_row(answer->fault.code)->exit_code, "%s", answer->fault.message);
    } else if (answer->fault.code == FAULT_UNAUTHORIZED) {
        job_end(job, VERDICT_UNKNOWN, fault_name(FAULT_UNAUTHORIZED), EXIT_UNKNOWN,
                "the answer to the request was lost, and it cannot be asked again: %s",
                answer->fault.message);
    } else if (answer->fault.code != FAULT_NONE) {
        job_again(job, job_check, answer->away, answer->fault.message);
    } else if (answer_error(answer) != NULL && answer->status >= 400) {
        job_refused(job, answer, lost);
    } else if (answer->status >= 200 && answer->status < 300) {
        if (job_take(job, answer->body))
            job_follow(job);
        else if (job_take_location(job, answer))
            job_poll(job);
        else
            job_again(job, job_check, false, "nmid's answer to the request cannot be read");
    } else {
        /* Not in nmid's words: of something between, which may have passed the request on. */
        char why[64];
        snprintf(why, sizeof why, "the answer to the request was not nmid's: HTTP %ld",
                 answer->status);
        job_again(job, job_check, false, why);
    }
}

static void job_post(struct job *job)
{
    char path[96];
    snprintf(path, sizeof path, "/agent/v1/nodes/%s/actions", job->target->uuid);
    struct client_request request = {.method = "POST",
                                     .path = path,
                                     .body = job->injection->body,
                                     .key = job->key,
                                     .timeout_ms = job_left_ms(job, POST_US),
                                     .latest_ms = job_left_ms(job, INT64_MAX)};
    job_send(job, &request, job_posted);
}

/* ---- Before a request is sent again ---- */

static void job_checked(void *arg, const struct client_answer *answer)
{
    struct job *job = arg;
    if (answer_check(answer, NULL) < 0)
        job_again(job, job_check, answer->away,
                  answer->fault.code != FAULT_NONE ? answer->fault.message
                                                   : "nmid is not in order");
    else if (strcmp(answer_text(answer->body, "instance"), job->injection->instance) == 0)
        job_post(job);
    else
        job_unknown(job, "nmid has another journal now, and knows nothing of the request");
}

/* A nmid that is started anew knows the keys of its journal, so it is asked again: it may have
 * been restarted since, and need a while. One with another journal (its instance: the database's
 * own id) would take a known key for a new one, and inject again: it is not asked. */
static void job_check(struct job *job)
{
    struct client_request request = {
        .method = "GET", .path = "/healthz", .timeout_ms = job_left_ms(job, CHECK_US)};
    if (job->injection->instance[0] == '\0')
        job_unknown(job, "nmid had not said which journal it has, so it was not asked again");
    else
        job_send(job, &request, job_checked);
}

/* ---- Awaiting the outcome ---- */

static void job_polled(void *arg, const struct client_answer *answer)
{
    struct job *job = arg;
    struct fault fault = {0};
    if (answer_check(answer, &fault) == 0 && job_take(job, answer->body)) {
        if (strcmp(answer_text(job->action, "state"), "finished") == 0) {
            job_follow(job);
            return;
        }
        /* Not finished: a server that does not wait must not be asked without a pause. */
        job->resume = job_poll;
        job->wake = clock_mono_us() + PAUSE_MIN_US;
    } else if (answer->fault.code == FAULT_UNAUTHORIZED) {
        /* The credentials are no longer good. That says nothing of the action. */
        job_end(job, VERDICT_UNKNOWN, fault_name(FAULT_UNAUTHORIZED), EXIT_UNKNOWN,
                "what came of the action cannot be asked: %s", answer->fault.message);
    } else if (answer->fault.code == FAULT_NONE && answer->status >= 400 && answer->status < 500) {
        job_unknown(job, fault.message);
    } else {
        job_again(job, job_poll, answer->away,
                  fault.code != FAULT_NONE ? fault.message
                                           : "nmid's answer about the action cannot be read");
    }
}

static void job_poll(struct job *job)
{
    int64_t left_s = (job->deadline - clock_mono_us()) / SECOND_US;
    int wait_s = left_s > WAIT_S ? WAIT_S : (int)left_s;
    char path[128];
    if (job->deadline <= clock_mono_us()) {
        job_end(job, VERDICT_UNKNOWN, "timeout", EXIT_UNKNOWN,
                "no outcome within %d s; the action goes on",
                (int)(job->injection->timeout_us / SECOND_US));
        return;
    }
    snprintf(path, sizeof path, "/agent/v1/actions/%s?wait=%d", job->id, wait_s);
    struct client_request request = {
        .method = "GET", .path = path, .timeout_ms = wait_s * 1000L + POLL_GRACE_MS};
    job_send(job, &request, job_polled);
}

/* ---- The loop ---- */

/* What nmid says of itself before anything is sent. After silence no request is sent twice. */
static void instance_ask(struct injection *injection)
{
    struct client_request request = {.method = "GET",
                                     .path = "/healthz",
                                     .timeout_ms = CHECK_US / 1000,
                                     .latest_ms = (long)(injection->timeout_us / 1000)};
    json_t *body = NULL;
    if (client_call(injection->client, &request, &body, NULL) == 0)
        snprintf(injection->instance, sizeof injection->instance, "%s",
                 answer_text(body, "instance"));
    json_decref(body);
}

static void jobs_start(struct injection *injection)
{
    while (injection->active_count < injection->parallel && injection->next < injection->count) {
        struct job *job = &injection->jobs[injection->next++];
        injection->active[injection->active_count++] = job;
        job->deadline = clock_mono_us() + injection->timeout_us;
        job_post(job);
    }
}

/* Resumes what has paused long enough; returns the milliseconds until the next one. */
static int jobs_wake(struct injection *injection)
{
    int64_t now = clock_mono_us(), least = TURN_MS * INT64_C(1000);
    for (size_t i = injection->active_count; i > 0; i--) {
        struct job *job = injection->active[i - 1];
        if (job->wake == 0)
            continue;
        if (job->wake <= now) {
            job->wake = 0;
            job->resume(job);
            least = 0;
        } else if (job->wake - now < least) {
            least = job->wake - now;
        }
    }
    return (int)((least + 999) / 1000);
}

/* nmictl goes; what it has asked for goes on. */
static void jobs_interrupt(struct injection *injection)
{
    for (size_t i = 0; i < injection->count; i++) {
        struct job *job = &injection->jobs[i];
        if (job->verdict != VERDICT_NONE)
            continue;
        if (i < injection->next)
            job_end(job, VERDICT_UNKNOWN, "interrupted", EXIT_UNKNOWN,
                    "interrupted: the action goes on without nmictl");
        else
            job_end(job, VERDICT_FAILED, "interrupted", 128 + interrupt_signal(),
                    "interrupted: nothing was sent");
    }
}

static char *body_make(const struct injection *injection)
{
    json_t *json = json_pack("{s:s, s:b}", "action", "inject_nmi", "force", (int)injection->force);
    if (injection->callback_url != NULL)
        json_object_set_new(json, "callback_url", text_json(injection->callback_url));
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return body;
}

int injection_run(struct injection *injection, const struct targets *targets, struct fault *fault)
{
    injection->count = targets->count;
    injection->jobs = calloc(targets->count, sizeof *injection->jobs);
    injection->active = calloc(injection->parallel, sizeof *injection->active);
    injection->body = body_make(injection);
    if (injection->jobs == NULL || injection->active == NULL || injection->body == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (size_t i = 0; i < injection->count; i++) {
        struct job *job = &injection->jobs[i];
        job->injection = injection;
        job->target = &targets->items[i];
        job->pause_us = PAUSE_MIN_US;
        uuid_random(job->key);
    }
    instance_ask(injection);
    while (injection->finished < injection->count) {
        if (interrupt_signal() != 0) {
            jobs_interrupt(injection);
            break;
        }
        jobs_start(injection);
        int wait_ms = jobs_wake(injection);
        injection->on_turn(injection->arg, injection);
        client_turn(injection->client, wait_ms, injection->wake_fd);
    }
    return 0;
}

int injection_exit_code(const struct injection *injection)
{
    int code = EXIT_DELIVERED;
    bool sent = false, mixed = false;
    for (size_t i = 0; i < injection->count; i++) {
        const struct job *job = &injection->jobs[i];
        if (job->verdict == VERDICT_UNKNOWN)
            return EXIT_UNKNOWN;
        sent = sent || job->sent;
        mixed = mixed || (code != EXIT_DELIVERED && job->exit_code != EXIT_DELIVERED &&
                          job->exit_code != code);
        if (job->exit_code > code)
            code = job->exit_code;
    }
    if (code > 128) /* a signal, and nothing left open */
        return code;
    if (mixed || (sent && code != EXIT_DELIVERED))
        return EXIT_ONE_FAILED;
    return code;
}

json_t *job_json(const struct job *job)
{
    static const char *const outcomes[] = {"", "delivered", "failed", "unknown"};
    const char *outcome = outcomes[job->verdict];
    if (job->action != NULL && strcmp(answer_text(job->action, "outcome"), outcome) == 0)
        return json_incref(job->action);
    json_t *json = job->action != NULL ? json_copy(job->action) : json_object();
    int rc = json_object_set_new(json, "outcome", json_string(outcome)) |
             json_object_set_new(json, "code", text_json(job->code)) |
             json_object_set_new(json, "message", text_json(job->message));
    if (job->action == NULL) {
        rc |= json_object_set_new(json, "id",
                                  job->id[0] != '\0' ? json_string(job->id) : json_null());
        rc |= json_object_set_new(json, "node_uuid", json_string(job->target->uuid));
        rc |= json_object_set_new(json, "node_name", text_json(job->target->label));
        rc |= json_object_set_new(json, "action", json_string("inject_nmi"));
        rc |= json_object_set_new(
            json, "state", job->verdict == VERDICT_FAILED ? json_string("finished") : json_null());
        rc |= json_object_set_new(json, "idempotency_key", json_string(job->key));
    }
    if (job->earlier_id[0] != '\0')
        rc |= json_object_set_new(json, "earlier_action_id", text_json(job->earlier_id));
    if (rc != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

void injection_clear(struct injection *injection)
{
    for (size_t i = 0; i < injection->count && injection->jobs != NULL; i++) {
        json_decref(injection->jobs[i].action);
        free(injection->jobs[i].why);
    }
    free(injection->jobs);
    free(injection->active);
    free(injection->body);
}

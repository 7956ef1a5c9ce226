/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/action.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

struct action *action_new(struct node *node, const char *name, const char *contract,
                          const struct principal *caller)
{
    struct action *action = calloc(1, sizeof *action);
    if (action == NULL)
        return NULL;
    action->references = 1;
    memcpy(action->id, "req-", 4);
    uuid_random(action->id + 4);
    action->node = node_ref(node);
    snprintf(action->name, sizeof action->name, "%s", name);
    snprintf(action->contract, sizeof action->contract, "%s", contract);
    action->user = copy(caller->user);
    action->user_id = copy(caller->user_id);
    action->project_id = copy(caller->project_id);
    action->address = copy(caller->address);
    action->created_at = clock_wall_us();
    if ((caller->user != NULL && action->user == NULL) ||
        (caller->user_id != NULL && action->user_id == NULL) ||
        (caller->project_id != NULL && action->project_id == NULL) ||
        (caller->address != NULL && action->address == NULL)) {
        action_unref(action);
        return NULL;
    }
    return action;
}

struct action *action_ref(struct action *action)
{
    action->references++;
    return action;
}

void action_unref(struct action *action)
{
    if (action == NULL || --action->references > 0)
        return;
    node_unref(action->node);
    free(action->user);
    free(action->user_id);
    free(action->project_id);
    free(action->address);
    free(action->resolved);
    free(action->key_scope);
    free(action->fingerprint);
    free(action->callback_url);
    free(action->message);
    free(action->evidence_text);
    json_decref(action->evidence);
    free(action);
}

const char *action_state_name(enum action_state state)
{
    switch (state) {
    case ACTION_NEW:
        return "new";
    case ACTION_ACCEPTED:
        return "accepted";
    case ACTION_SENT:
        return "sent";
    case ACTION_FINISHED:
        break;
    }
    return "finished";
}

const char *action_outcome_name(enum action_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_NONE:
        return "";
    case OUTCOME_DELIVERED:
        return "delivered";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_UNKNOWN:
        break;
    }
    return "unknown";
}

static json_t *text_or_null(const char *text)
{
    /* What cannot be UTF-8 (a caller's name from the network) becomes null, never a failure. */
    json_t *value = text == NULL ? NULL : json_string(text);
    return value != NULL ? value : json_null();
}

static json_t *time_or_null(int64_t wall_us)
{
    char text[CLOCK_TEXT_MAX];
    return wall_us == 0 ? json_null() : json_string(clock_text(wall_us, text));
}

static json_t *evidence_json(const struct action *action)
{
    json_t *json = NULL;
    if (action->evidence != NULL)
        json = json_deep_copy(action->evidence);
    else if (action->evidence_text != NULL)
        json = json_loads(action->evidence_text, 0, NULL);
    return json != NULL ? json : json_object();
}

static json_t *to_json(const struct action *action, bool finished)
{
    enum action_state state = action->state;
    if (state == ACTION_FINISHED && !finished)
        state = action->sent_at != 0 ? ACTION_SENT : ACTION_ACCEPTED;
    return json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:{s:o, s:o, s:o}, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "id", action->id, "node_uuid", action->node->uuid, "node_name",
        text_or_null(action->node->name), "action", action->name, "contract", action->contract,
        "caller", "user", text_or_null(action->user), "project_id",
        text_or_null(action->project_id), "address", text_or_null(action->address), "force",
        (int)action->force, "state", action_state_name(state), "outcome",
        text_or_null(finished ? action_outcome_name(action->outcome) : NULL), "code",
        text_or_null(finished && action->code != FAULT_NONE ? fault_name(action->code) : NULL),
        "message", text_or_null(finished ? action->message : NULL), "evidence",
        finished ? evidence_json(action) : json_object(), "created_at",
        time_or_null(action->created_at), "sent_at", time_or_null(action->sent_at), "finished_at",
        time_or_null(finished ? action->finished_at : 0));
}

/* What is not on disk yet is told to nobody: a daemon that is killed now says unknown tomorrow. */
json_t *action_json(const struct action *action)
{
    return to_json(action, action->state == ACTION_FINISHED && action->durable == ACTION_FINISHED);
}

json_t *action_json_finished(const struct action *action)
{
    return to_json(action, true);
}

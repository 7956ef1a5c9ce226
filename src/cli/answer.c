/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading nmid's answers, as contract 4 (the agent API) has them. */
#include "cli/answer.h"

#include <stdio.h>
#include <string.h>

const char *answer_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

const json_t *answer_error(const struct client_answer *answer)
{
    const json_t *error = json_object_get(answer->body, "error");
    return answer_text(error, "code")[0] != '\0' ? error : NULL;
}

enum fault_code answer_code(const char *name)
{
    for (int code = FAULT_NONE + 1; code < FAULT_CODES; code++)
        if (strcmp(fault_name((enum fault_code)code), name) == 0)
            return (enum fault_code)code;
    return FAULT_PROTOCOL;
}

int answer_check(const struct client_answer *answer, struct fault *fault)
{
    if (answer->fault.code != FAULT_NONE)
        return fault_set(fault, answer->fault.code, "%s", answer->fault.message);
    const json_t *error = answer_error(answer);
    if (answer->status >= 200 && answer->status < 300 && error == NULL) {
        if (json_is_object(answer->body))
            return 0;
        return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: HTTP %ld without JSON",
                         answer->status);
    }
    if (error == NULL)
        return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: HTTP %ld",
                         answer->status);
    fault_set(fault, answer_code(answer_text(error, "code")), "%s",
              answer_text(error, "message")[0] != '\0' ? answer_text(error, "message")
                                                       : answer_text(error, "code"));
    if (fault != NULL)
        snprintf(fault->action_id, sizeof fault->action_id, "%s", answer_text(error, "action_id"));
    return -1;
}

const json_t *answer_list(const json_t *body, const char *key, struct fault *fault)
{
    const json_t *list = json_object_get(body, key), *item;
    size_t i;
    if (!json_is_array(list)) {
        fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: it has no list \"%s\"", key);
        return NULL;
    }
    json_array_foreach(list, i, item)
    {
        if (!json_is_object(item)) {
            fault_set(fault, FAULT_PROTOCOL,
                      "this is no answer of nmid: \"%s\" has other things "
                      "than objects in it",
                      key);
            return NULL;
        }
    }
    return list;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* As many requests as --parallel says are under way; each answer begins the next. */
#include "cli/asking.h"

#include <stdio.h>
#include <stdlib.h>
#include "cli/answer.h"
#include "cli/text.h"

struct question {
    struct asking *asking;
    struct asked *asked;
};

static void ask_next(struct asking *asking);

static void on_answer(void *arg, const struct client_answer *answer)
{
    struct question question = *(struct question *)arg;
    free(arg);
    if (answer_check(answer, &question.asked->fault) == 0)
        question.asked->answer = json_incref(answer->body);
    ask_next(question.asking);
}

/* One request; -1 when it cannot be made, which its fault says. */
static int ask_one(struct asking *asking, struct asked *asked)
{
    char path[96];
    struct question *question = malloc(sizeof *question);
    if (question == NULL)
        return fault_set(&asked->fault, FAULT_MEMORY, "out of memory");
    *question = (struct question){.asking = asking, .asked = asked};
    snprintf(path, sizeof path, "/agent/v1/nodes/%s%s", asked->target->uuid, asking->suffix);
    struct client_request request = {.method = asking->method,
                                     .path = path,
                                     .body = asking->body,
                                     .timeout_ms = cli_timeout_ms(asking->cli, asking->timeout_s)};
    int rc = client_send(asking->client, &request, on_answer, question, &asked->fault);
    if (rc < 0)
        free(question);
    return rc;
}

static void ask_next(struct asking *asking)
{
    while (asking->next < asking->targets->count)
        if (ask_one(asking, &asking->items[asking->next++]) == 0)
            return;
}

int asking_run(struct asking *asking)
{
    asking->items = calloc(asking->targets->count, sizeof *asking->items);
    if (asking->items == NULL)
        return -1;
    for (size_t i = 0; i < asking->targets->count; i++)
        asking->items[i].target = &asking->targets->items[i];
    for (size_t i = 0; i < asking->cli->parallel; i++)
        ask_next(asking);
    while (client_pending(asking->client) > 0)
        client_turn(asking->client, 1000, -1);
    return 0;
}

int asking_print_json(const struct asking *asking)
{
    json_t *list = json_array();
    for (size_t i = 0; i < asking->targets->count; i++) {
        const struct asked *asked = &asking->items[i];
        json_t *item = asked->answer != NULL ? json_incref(asked->answer) : json_object();
        if (asked->answer == NULL) {
            json_object_set_new(item, "node_uuid", json_string(asked->target->uuid));
            json_object_set_new(item, "node_name", text_json(asked->target->label));
            json_object_set_new(item, "error",
                                json_pack("{s:s, s:o}", "code", fault_name(asked->fault.code),
                                          "message", text_json(asked->fault.message)));
        }
        json_array_append_new(list, item);
    }
    int rc = cli_print_json(list);
    json_decref(list);
    return rc;
}

int asking_exit_code(const struct asking *asking)
{
    for (size_t i = 0; i < asking->targets->count; i++)
        if (asking->items[i].answer == NULL)
            return EXIT_ONE_FAILED;
    return 0;
}

void asking_clear(struct asking *asking)
{
    for (size_t i = 0; i < asking->targets->count && asking->items != NULL; i++)
        json_decref(asking->items[i].answer);
    free(asking->items);
}

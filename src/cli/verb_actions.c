/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl actions: the history, newest first, page by page; or one action in full. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/uuid.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"

#define PAGE      100
#define PAGES_MAX 10000 /* a server that never ends its list is none of ours */

static int action_show(const struct cli *cli, struct client *client, struct fault *fault)
{
    json_t *action = NULL;
    int code = 0;
    char *path = client_path("/agent/v1/actions/", cli->args[0], "");
    if (path == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int rc = cli_get(cli, client, path, 0, &action, fault);
    free(path);
    if (rc < 0)
        return -1;
    if (cli->json)
        code = cli_print_json(action);
    else
        table_print_object(action, stdout);
    json_decref(action);
    return code;
}

/* The UUID of --node. One that has left the configuration still has its history. */
static int node_uuid(const struct cli *cli, struct client *client, char uuid[UUID_TEXT],
                     struct fault *fault)
{
    struct fault why = {0};
    json_t *node = NULL;
    char *path = client_path("/agent/v1/nodes/", cli->node, "");
    if (path == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int rc = cli_get(cli, client, path, 0, &node, &why);
    free(path);
    const char *found = answer_text(node, "uuid");
    if (rc == 0 && uuid_valid(found))
        uuid_copy(uuid, found);
    else if (rc == 0)
        rc = fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: a node without a UUID");
    else if (why.code == FAULT_NODE_NOT_FOUND && uuid_valid(cli->node)) {
        uuid_copy(uuid, cli->node);
        rc = 0;
    } else {
        rc = fault_set(fault, why.code, "%s", why.message);
    }
    json_decref(node);
    return rc;
}

/* The path of the page after marker ("": the first one). */
static char *page_path(const struct cli *cli, const char *uuid, const char *marker, size_t limit)
{
    char prefix[256], *path = NULL;
    snprintf(prefix, sizeof prefix, "/agent/v1/actions?limit=%zu%s%s%s%s", limit,
             uuid[0] != '\0' ? "&node=" : "", uuid, cli->state != NULL ? "&state=" : "",
             cli->state != NULL ? cli->state : "");
    if (marker[0] == '\0')
        return strdup(prefix);
    char *with = NULL;
    if (asprintf(&with, "%s&marker=", prefix) < 0)
        return NULL;
    path = client_path(with, marker, "");
    free(with);
    return path;
}

/* Gets one page, appends it to actions and takes the marker of the next one ("" at the end). */
static int page_get(const struct cli *cli, struct client *client, const char *path, json_t *actions,
                    char marker[128], struct fault *fault)
{
    json_t *body = NULL;
    const json_t *page = NULL;
    int rc = cli_get(cli, client, path, CLIENT_CAP_LIST, &body, fault);
    if (rc == 0)
        page = answer_list(body, "actions", fault);
    if (page == NULL)
        rc = -1;
    if (rc == 0) {
        const char *next = answer_text(body, "next");
        if (next[0] != '\0' && (strcmp(next, marker) == 0 || strlen(next) >= 128))
            rc = fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
        else if (json_array_extend(actions, (json_t *)page) < 0)
            rc = fault_set(fault, FAULT_MEMORY, "out of memory");
        snprintf(marker, 128, "%s", next);
    }
    json_decref(body);
    return rc;
}

static int actions_get(const struct cli *cli, struct client *client, json_t *actions,
                       char marker[128], struct fault *fault)
{
    char uuid[UUID_TEXT] = "";
    if (cli->node != NULL && node_uuid(cli, client, uuid, fault) < 0)
        return -1;
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        size_t limit = PAGE, have = json_array_size(actions);
        if (cli->limit > 0 && cli->limit - have < limit)
            limit = cli->limit - have;
        char *path = page_path(cli, uuid, marker, limit);
        if (path == NULL)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        int rc = page_get(cli, client, path, actions, marker, fault);
        free(path);
        if (rc < 0)
            return -1;
        while (cli->limit > 0 && json_array_size(actions) > cli->limit)
            json_array_remove(actions, json_array_size(actions) - 1);
        if (marker[0] == '\0' || json_array_size(actions) == cli->limit)
            return 0;
    }
    return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
}

static int actions_print(const json_t *actions)
{
    static const char *const titles[] = {"ID",      "NODE", "STATE",   "OUTCOME",
                                         "CREATED", "USER", "MESSAGE", NULL};
    struct table *table = table_new(titles);
    const json_t *action;
    size_t i;
    int rc = table == NULL ? -1 : 0;
    json_array_foreach(actions, i, action)
    {
        const char *name = answer_text(action, "node_name");
        const char *cells[] = {answer_text(action, "id"),
                               name[0] != '\0' ? name : answer_text(action, "node_uuid"),
                               answer_text(action, "state"),
                               answer_text(action, "outcome"),
                               answer_text(action, "created_at"),
                               answer_text(json_object_get(action, "caller"), "user"),
                               answer_text(action, "message")};
        if (rc == 0)
            rc = table_add(table, cells);
    }
    if (rc == 0)
        table_print(table, stdout);
    table_free(table);
    return rc == 0 ? 0 : cli_print_json(NULL);
}

static int actions_list(const struct cli *cli, struct client *client, struct fault *fault)
{
    char marker[128] = "";
    json_t *actions = json_array();
    int code = actions_get(cli, client, actions, marker, fault);
    if (code == 0 && !cli->json) {
        code = actions_print(actions);
    } else if (code == 0) {
        json_t *body = json_object();
        json_object_set(body, "actions", actions);
        json_object_set_new(body, "next", marker[0] != '\0' ? json_string(marker) : json_null());
        code = cli_print_json(body);
        json_decref(body);
    }
    json_decref(actions);
    return code;
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    struct client *client = NULL;
    int code = -1;
    if (cli->arg_count > 0 && (cli->node != NULL || cli->state != NULL || cli->limit > 0))
        fault_set(&fault, FAULT_USAGE, "an ID takes no --node, --state or --limit");
    else if (cli->state != NULL && strcmp(cli->state, "accepted") != 0 &&
             strcmp(cli->state, "sent") != 0 && strcmp(cli->state, "finished") != 0)
        fault_set(&fault, FAULT_USAGE, "--state is accepted, sent or finished, not '%.64s'",
                  cli->state);
    else
        client = client_new(cli->url, 1, &fault);
    if (client != NULL)
        code = cli->arg_count > 0 ? action_show(cli, client, &fault)
                                  : actions_list(cli, client, &fault);
    client_free(client);
    return code < 0 ? cli_usage(&fault, verb_actions.name) : code;
}

const struct verb verb_actions = {
    .name = "actions",
    .arguments = "[ID]",
    .summary = "list the actions, newest first, or show one",
    .help =
        "With an ID (req-...) that action in full, with its evidence. Without one the history,\n"
        "all of it unless --limit says how much.\n"
        "\n"
        "Example: nmictl actions --node rack1-n1 --limit 5\n",
    .options = OPTION_NODE | OPTION_STATE | OPTION_LIMIT | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_max = 1,
    .run = run,
};

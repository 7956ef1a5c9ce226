/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl actions: the history, newest first, page by page; or one action in full. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/uuid.h"
#include "cli/action_show.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"

#define LIMIT     100 /* unless the user says otherwise */
#define PAGE      1000
#define PAGES_MAX 10000 /* a server that never ends its list is none of ours */

static int action_get(const struct cli *cli, struct client *client, struct fault *fault)
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
    else if (action_show(action, stdout) < 0)
        code = cli_print_json(NULL);
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
    } else if (why.code == FAULT_NODE_NOT_FOUND) {
        rc = cli_no_node(client, cli->node, fault);
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

/* A list on its way out, page by page, so that its length costs no memory. */
struct listing {
    const struct cli *cli;
    struct table *table;   /* NULL: JSON */
    bool begun;            /* a page has come */
    size_t printed, limit; /* limit 0: none */
    char marker[128];      /* of the next page, "" when there is none */
};

static int row_add(struct table *table, const json_t *action)
{
    const char *name = answer_text(action, "node_name");
    const char *cells[] = {answer_text(action, "id"),
                           name[0] != '\0' ? name : answer_text(action, "node_uuid"),
                           answer_text(action, "state"),
                           answer_text(action, "outcome"),
                           answer_text(action, "created_at"),
                           answer_text(json_object_get(action, "caller"), "user"),
                           answer_text(action, "message")};
    return table_add(table, cells);
}

/* One line of the document's array. */
static int line_print(const struct listing *listing, const json_t *action)
{
    fputs(listing->printed == 0 ? "\n    " : ",\n    ", stdout);
    return text_put_json_line(stdout, action);
}

static int page_print(struct listing *listing, const json_t *page, struct fault *fault)
{
    const json_t *action;
    size_t i;
    if (listing->table == NULL && !listing->begun)
        fputs("{\n  \"actions\": [", stdout);
    listing->begun = true;
    json_array_foreach(page, i, action)
    {
        if (listing->limit > 0 && listing->printed == listing->limit)
            break;
        int rc =
            listing->table != NULL ? row_add(listing->table, action) : line_print(listing, action);
        if (rc < 0)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        listing->printed++;
    }
    if (listing->table != NULL)
        table_flush(listing->table, stdout);
    return 0;
}

/* Gets one page, prints it and takes the marker of the next one. */
static int page_get(struct listing *listing, struct client *client, const char *path,
                    struct fault *fault)
{
    json_t *body = NULL;
    const json_t *page = NULL;
    int rc = cli_get(listing->cli, client, path, CLIENT_CAP_LIST, &body, fault);
    if (rc == 0)
        page = answer_list(body, "actions", fault);
    rc = page == NULL ? -1 : page_print(listing, page, fault);
    if (rc == 0) {
        const char *next = answer_text(body, "next");
        if (next[0] != '\0' &&
            (strcmp(next, listing->marker) == 0 || strlen(next) >= sizeof listing->marker))
            rc = fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
        else
            snprintf(listing->marker, sizeof listing->marker, "%s", next);
    }
    json_decref(body);
    return rc;
}

static int pages_get(struct listing *listing, struct client *client, struct fault *fault)
{
    char uuid[UUID_TEXT] = "";
    if (listing->cli->node != NULL && node_uuid(listing->cli, client, uuid, fault) < 0)
        return -1;
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        size_t limit = PAGE;
        if (listing->limit > 0 && listing->limit - listing->printed < limit)
            limit = listing->limit - listing->printed;
        char *path = page_path(listing->cli, uuid, listing->marker, limit);
        if (path == NULL)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        int rc = page_get(listing, client, path, fault);
        free(path);
        if (rc < 0)
            return -1;
        if (listing->marker[0] == '\0' ||
            (listing->limit > 0 && listing->printed >= listing->limit))
            return 0;
    }
    return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
}

/* {"actions": [...], "next": ...}; when a later page fails, "next" is where to go on. */
static int list_json(struct listing *listing, struct client *client, struct fault *fault)
{
    int rc = pages_get(listing, client, fault);
    if (!listing->begun)
        return rc;
    json_t *next = listing->marker[0] == '\0' ? json_null() : text_json(listing->marker);
    fputs(listing->printed > 0 ? "\n  ],\n  \"next\": " : "],\n  \"next\": ", stdout);
    if (next == NULL || text_put_json_line(stdout, next) < 0)
        rc = fault_set(fault, FAULT_MEMORY, "out of memory");
    fputs("\n}\n", stdout);
    json_decref(next);
    return rc;
}

static int list_table(struct listing *listing, struct client *client, struct fault *fault)
{
    static const char *const titles[] = {"ID",      "NODE", "STATE",   "OUTCOME",
                                         "CREATED", "USER", "MESSAGE", NULL};
    listing->table = table_new(titles);
    if (listing->table == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int rc = pages_get(listing, client, fault);
    table_free(listing->table);
    if (rc == 0 && listing->marker[0] != '\0')
        cli_say("there are older ones: --marker %s, or --all", listing->marker);
    return rc;
}

static int actions_list(const struct cli *cli, struct client *client, struct fault *fault)
{
    struct listing listing = {.cli = cli, .limit = cli->limit > 0 ? cli->limit : LIMIT};
    if (cli->all)
        listing.limit = 0;
    if (cli->marker != NULL && strlen(cli->marker) >= sizeof listing.marker)
        return fault_set(fault, FAULT_USAGE, "--marker is the ID of an action");
    if (cli->marker != NULL)
        snprintf(listing.marker, sizeof listing.marker, "%s", cli->marker);
    return cli->json ? list_json(&listing, client, fault) : list_table(&listing, client, fault);
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    struct client *client = NULL;
    int code = -1;
    if (cli->arg_count > 0 && (cli->node != NULL || cli->state != NULL || cli->limit > 0 ||
                               cli->marker != NULL || cli->all))
        fault_set(&fault, FAULT_USAGE, "an ID takes no --node, --state, --limit, --marker, --all");
    else if (cli->all && cli->limit > 0)
        fault_set(&fault, FAULT_USAGE, "--all and --limit exclude each other");
    else if (cli->state != NULL && strcmp(cli->state, "accepted") != 0 &&
             strcmp(cli->state, "sent") != 0 && strcmp(cli->state, "finished") != 0)
        fault_set(&fault, FAULT_USAGE, "--state is accepted, sent or finished, not '%.64s'",
                  cli->state);
    else
        client = cli_connect(cli, 1, &fault);
    if (client != NULL)
        code = cli->arg_count > 0 ? action_get(cli, client, &fault)
                                  : actions_list(cli, client, &fault);
    client_free(client);
    return code < 0 ? cli_usage(&fault, verb_actions.name) : code;
}

const struct verb verb_actions = {
    .name = "actions",
    .arguments = "[ID]",
    .summary = "list the actions, newest first, or show one",
    .help =
        "With an ID (req-...) that action: its outcome, the evidence in words, and all the rest.\n"
        "Without one the newest 100 of the history; older ones with --limit, --all or --marker.\n"
        "With -f json {\"actions\": [...], \"next\": ID or null}, an action a line, as they come;\n"
        "\"next\" is the --marker to go on with.\n"
        "\n"
        "Example: nmictl actions --node rack1-n1 --limit 5\n",
    .options = OPTION_NODE | OPTION_STATE | OPTION_LIMIT | OPTION_ALL | OPTION_MARKER |
               OPTION_TIMEOUT | OPTION_FORMAT,
    .args_max = 1,
    .run = run,
};

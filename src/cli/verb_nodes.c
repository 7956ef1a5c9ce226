/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl nodes: every node that the caller may see. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"

/* A value, and that it was set at run time. */
static const char *with_source(const json_t *node, const char *value, const char *source_key,
                               char text[64])
{
    const char *source = answer_text(node, source_key);
    if (source[0] == '\0' || strcmp(source, "configuration") == 0)
        snprintf(text, 64, "%.40s", value);
    else
        snprintf(text, 64, "%.40s (%.16s)", value, source);
    return text;
}

static int nodes_print(const json_t *nodes)
{
    static const char *const titles[] = {"NAME", "UUID", "STATUS", "LOCKED", "DRIVER", "BMC", NULL};
    struct table *table = table_new(titles);
    const json_t *node;
    size_t i;
    int rc = table == NULL ? -1 : 0;
    json_array_foreach(nodes, i, node)
    {
        char status[64], lock[64];
        const char *locked = json_is_true(json_object_get(node, "locked")) ? "yes" : "no";
        const char *cells[] = {
            answer_text(node, "name"),
            answer_text(node, "uuid"),
            with_source(node, answer_text(node, "status"), "status_source", status),
            with_source(node, locked, "lock_source", lock),
            answer_text(node, "driver"),
            answer_text(node, "bmc")};
        if (rc == 0)
            rc = table_add(table, cells);
    }
    if (rc == 0)
        table_print(table, stdout);
    table_free(table);
    return rc == 0 ? 0 : cli_print_json(NULL);
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    json_t *body = NULL;
    const json_t *nodes = NULL;
    int code;
    struct client *client = cli_connect(cli, 1, &fault);
    if (client == NULL)
        return cli_usage(&fault, verb_nodes.name);
    if (cli_get(cli, client, "/agent/v1/nodes", CLIENT_CAP_LIST, &body, &fault) < 0 ||
        (nodes = answer_list(body, "nodes", &fault)) == NULL)
        code = cli_fail(&fault);
    else if (cli->json)
        code = cli_print_json(body);
    else
        code = nodes_print(nodes);
    json_decref(body);
    client_free(client);
    return code;
}

const struct verb verb_nodes = {
    .name = "nodes",
    .arguments = "",
    .summary = "list the nodes",
    .help =
        "Only those that you may see. \"(run-time)\" stands behind a status or a lock that was\n"
        "set with nmictl, \"(ironic)\" behind a status that Ironic tells.\n"
        "With -f json the document of GET /agent/v1/nodes: {\"nodes\": [...]}.\n"
        "\n"
        "Example: nmictl nodes -f json\n",
    .options = OPTION_TIMEOUT | OPTION_FORMAT,
    .run = run,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl show: one node, all that nmid tells of it; its secrets never come this far. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/cli.h"
#include "cli/hostlist.h"
#include "cli/table.h"

static int node_get(const struct cli *cli, json_t **ret_node, struct fault *fault)
{
    struct hostlist names = {0};
    struct client *client = cli_connect(cli, 1, fault);
    char *path = NULL;
    int rc = -1;
    if (client != NULL && hostlist_add(&names, cli->args[0], fault) == 0) {
        path = client_path("/agent/v1/nodes/", names.names[0], "");
        if (names.count > 1)
            fault_set(fault, FAULT_USAGE, "one node at a time, and this is %zu", names.count);
        else if (path == NULL)
            fault_set(fault, FAULT_MEMORY, "out of memory");
        else
            rc = cli_get(cli, client, path, 0, ret_node, fault);
        if (fault->code == FAULT_NODE_NOT_FOUND) {
            *fault = (struct fault){0};
            cli_no_node(client, names.names[0], fault);
        }
    }
    free(path);
    hostlist_clear(&names);
    client_free(client);
    return rc;
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    json_t *node = NULL;
    int code = 0;
    if (node_get(cli, &node, &fault) < 0)
        return cli_usage(&fault, verb_show.name);
    if (cli->json)
        code = cli_print_json(node);
    else
        table_print_object(node, stdout);
    json_decref(node);
    return code;
}

const struct verb verb_show = {
    .name = "show",
    .arguments = "NODE",
    .summary = "show one node",
    .help =
        "NODE is a name, a UUID or the UUID of the instance on it. One \"key: value\" line each.\n"
        "\n"
        "Example: nmictl show rack1-n1\n",
    .options = OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl lock, unlock, status: what a node may have done to it, set at run time. */
#include <ctype.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/answer.h"
#include "cli/asking.h"
#include "cli/cli.h"
#include "cli/text.h"

#define ANSWER_S 30

/* What each node is asked for. */
struct setting {
    const char *method, *suffix;
    char *body; /* owned; or NULL */
};

/* "locked", "unlocked (run-time)", "ERROR (run-time)". */
static void node_print(const struct setting *setting, const json_t *node)
{
    bool lock = strcmp(setting->suffix, "/lock") == 0;
    const char *source = answer_text(node, lock ? "lock_source" : "status_source");
    if (!lock)
        text_put(stdout, answer_text(node, "status"));
    else
        fputs(json_is_true(json_object_get(node, "locked")) ? "locked" : "unlocked", stdout);
    fputs(" (", stdout);
    text_put(stdout, source);
    fputs(")\n", stdout);
}

static int targets_set(void *arg, const struct cli *cli, struct client *client,
                       const struct targets *targets)
{
    const struct setting *setting = arg;
    struct asking asking = {.cli = cli,
                            .client = client,
                            .targets = targets,
                            .method = setting->method,
                            .suffix = setting->suffix,
                            .body = setting->body,
                            .timeout_s = ANSWER_S};
    size_t width = targets_width(targets);
    if (asking_run(&asking) < 0)
        return cli_print_json(NULL);
    int printed = 0;
    if (cli->json)
        printed = asking_print_json(&asking);
    for (size_t i = 0; !cli->json && i < targets->count; i++) {
        const struct asked *asked = &asking.items[i];
        text_put_padded(stdout, asked->target->label, width);
        fputs("  ", stdout);
        if (asked->answer != NULL) {
            node_print(setting, asked->answer);
        } else {
            fputs("failed  ", stdout);
            text_put(stdout, asked->fault.message);
            fputc('\n', stdout);
        }
    }
    int code = asking_exit_code(&asking);
    asking_clear(&asking);
    return code != 0 ? code : printed;
}

static int nodes_set(const struct cli *cli, const struct verb *verb, struct setting *setting)
{
    struct targets_use use = {
        .verb = verb, .nothing = "nothing was changed", .run = targets_set, .arg = setting};
    int code = targets_use(cli, &use);
    free(setting->body);
    return code;
}

static int run_lock(const struct cli *cli)
{
    struct setting setting = {.method = "PUT", .suffix = "/lock"};
    setting.body = strdup(cli->configured ? "{\"locked\":null}" : "{\"locked\":true}");
    return setting.body == NULL ? cli_print_json(NULL) : nodes_set(cli, &verb_lock, &setting);
}

static int run_unlock(const struct cli *cli)
{
    struct setting setting = {.method = "DELETE", .suffix = "/lock"};
    return nodes_set(cli, &verb_unlock, &setting);
}

/* Any case; nmid knows which statuses there are. NULL when memory is out. */
static char *status_body(const char *status)
{
    if (strcmp(status, "default") == 0)
        return strdup("{\"status\":null}");
    char *upper = strdup(status);
    if (upper == NULL)
        return NULL;
    for (char *at = upper; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    json_t *json = json_pack("{s:o}", "status", text_json(upper));
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    free(upper);
    return body;
}

static int run_status(const struct cli *cli)
{
    struct cli nodes = *cli;
    const char *status = cli->args[--nodes.arg_count];
    struct setting setting = {.method = "PUT", .suffix = "/status", .body = status_body(status)};
    return setting.body == NULL ? cli_print_json(NULL) : nodes_set(&nodes, &verb_status, &setting);
}

const struct verb verb_lock = {
    .name = "lock",
    .arguments = "NODE...",
    .summary = "lock nodes: only administrators may inject into them",
    .help =
        "Wins over the configuration, also after a reload or a restart, until unlock, or until\n"
        "lock --default, which goes back to what the configuration says.\n"
        "\n"
        "Example: nmictl lock 'rack1-n[1-64]'\n",
    .options = OPTION_DEFAULT | OPTION_PARALLEL | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .run = run_lock,
};

const struct verb verb_unlock = {
    .name = "unlock",
    .arguments = "NODE...",
    .summary = "unlock nodes, also those that the configuration locks",
    .help =
        "Wins over the configuration, also after a reload or a restart; 'nmictl lock --default'\n"
        "goes back to what the configuration says.\n"
        "\n"
        "Example: nmictl unlock rack1-n1\n",
    .options = OPTION_PARALLEL | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .run = run_unlock,
};

const struct verb verb_status = {
    .name = "status",
    .arguments = "NODE... STATUS",
    .summary = "set the status of nodes, e.g. ACTIVE, ERROR or SHUTOFF",
    .help =
        "An interrupt is injected only where the status is ACTIVE or ERROR; nmid.conf(5) has the\n"
        "others. Wins over the configuration, also after a reload or a restart; 'default' goes "
        "back\nto what the configuration says.\n"
        "\n"
        "Example: nmictl status rack1-n1 ERROR\n",
    .options = OPTION_PARALLEL | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 2,
    .args_max = SIZE_MAX,
    .run = run_status,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl probe: logs in to each node's BMC and asks for the power state; sends no interrupt. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include "cli/answer.h"
#include "cli/asking.h"
#include "cli/cli.h"
#include "cli/table.h"

#define TIMEOUT_S 60

/* A number as text, "" when there is none. */
static const char *number_text(const json_t *object, const char *key, char text[32])
{
    const json_t *value = json_object_get(object, key);
    text[0] = '\0';
    if (json_is_integer(value))
        snprintf(text, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, 32, "%.1f", json_real_value(value));
    return text;
}

static int probes_print(const struct asking *asking)
{
    static const char *const titles[] = {"NODE", "POWER", "PROTOCOL", "SUITE", "MS", "ERROR", NULL};
    struct table *table = table_new(titles);
    int rc = table == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < asking->targets->count; i++) {
        const struct asked *asked = &asking->items[i];
        char suite[32], elapsed[32];
        const char *cells[] = {asked->target->label,
                               answer_text(asked->answer, "power"),
                               answer_text(asked->answer, "protocol"),
                               number_text(asked->answer, "cipher_suite", suite),
                               number_text(asked->answer, "elapsed_ms", elapsed),
                               asked->fault.message};
        rc = table_add(table, cells);
    }
    if (rc == 0)
        table_print(table, stdout);
    table_free(table);
    return rc == 0 ? 0 : cli_print_json(NULL);
}

static int targets_probe(void *arg, const struct cli *cli, struct client *client,
                         const struct targets *targets)
{
    struct asking asking = {.cli = cli,
                            .client = client,
                            .targets = targets,
                            .method = "POST",
                            .suffix = "/probe",
                            .body = "{}",
                            .timeout_s = TIMEOUT_S};
    (void)arg;
    if (asking_run(&asking) < 0)
        return cli_print_json(NULL);
    int printed = cli->json ? asking_print_json(&asking) : probes_print(&asking);
    int code = asking_exit_code(&asking);
    asking_clear(&asking);
    return code != 0 ? code : printed;
}

static int run(const struct cli *cli)
{
    static const struct targets_use use = {
        .verb = &verb_probe, .nothing = "nothing was probed", .run = targets_probe};
    return targets_use(cli, &use);
}

const struct verb verb_probe = {
    .name = "probe",
    .arguments = "NODE...",
    .summary = "log in to each node's BMC and ask for the power state; no interrupt",
    .help =
        "What an inject-nmi needs is tried (address, user, password, cipher suite), and nothing\n"
        "is sent that a machine would notice. Exit code 1 when one of the BMCs did not answer.\n"
        "\n"
        "Example: nmictl probe 'rack1-n[1-64]'\n",
    .options = OPTION_PARALLEL | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .run = run,
};

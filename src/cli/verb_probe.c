/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl probe: logs in to each node's BMC and asks for the power state; sends no interrupt. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/targets.h"
#include "cli/text.h"

#define TIMEOUT_S 60

struct probing {
    const struct cli *cli;
    struct client *client;
    const struct targets *targets;
    struct probe *probes;
    size_t next;
};

struct probe {
    struct probing *probing;
    const struct target *target;
    json_t *result; /* or the error */
    struct fault fault;
};

static void probe_next(struct probing *probing);

static void probe_done(void *arg, const struct client_answer *answer)
{
    struct probe *probe = arg;
    if (answer_check(answer, &probe->fault) == 0)
        probe->result = json_incref(answer->body);
    probe_next(probe->probing);
}

static void probe_next(struct probing *probing)
{
    int rc = -1;
    while (rc < 0 && probing->next < probing->targets->count) {
        struct probe *probe = &probing->probes[probing->next];
        probe->probing = probing;
        probe->target = &probing->targets->items[probing->next++];
        char path[96];
        snprintf(path, sizeof path, "/agent/v1/nodes/%s/probe", probe->target->uuid);
        struct client_request request = {.method = "POST",
                                         .path = path,
                                         .body = "{}",
                                         .timeout_ms = cli_timeout_ms(probing->cli, TIMEOUT_S)};
        rc = client_send(probing->client, &request, probe_done, probe, &probe->fault);
    }
}

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

static int probes_print(const struct probing *probing)
{
    static const char *const titles[] = {"NODE", "POWER", "PROTOCOL", "SUITE", "MS", "ERROR", NULL};
    struct table *table = table_new(titles);
    int rc = table == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < probing->targets->count; i++) {
        const struct probe *probe = &probing->probes[i];
        char suite[32], elapsed[32];
        const char *cells[] = {probe->target->label,
                               answer_text(probe->result, "power"),
                               answer_text(probe->result, "protocol"),
                               number_text(probe->result, "cipher_suite", suite),
                               number_text(probe->result, "elapsed_ms", elapsed),
                               probe->fault.message};
        rc = table_add(table, cells);
    }
    if (rc == 0)
        table_print(table, stdout);
    table_free(table);
    return rc == 0 ? 0 : cli_print_json(NULL);
}

static int probes_print_json(const struct probing *probing)
{
    json_t *list = json_array();
    for (size_t i = 0; i < probing->targets->count; i++) {
        const struct probe *probe = &probing->probes[i];
        json_t *item = probe->result != NULL ? json_incref(probe->result) : json_object();
        if (probe->result == NULL) {
            json_object_set_new(item, "node_uuid", json_string(probe->target->uuid));
            json_object_set_new(item, "node_name", text_json(probe->target->label));
            json_object_set_new(item, "error",
                                json_pack("{s:s, s:o}", "code", fault_name(probe->fault.code),
                                          "message", text_json(probe->fault.message)));
        }
        json_array_append_new(list, item);
    }
    int rc = cli_print_json(list);
    json_decref(list);
    return rc;
}

static int targets_probe(const struct cli *cli, struct client *client,
                         const struct targets *targets)
{
    struct probing probing = {.cli = cli, .client = client, .targets = targets};
    probing.probes = calloc(targets->count, sizeof *probing.probes);
    if (probing.probes == NULL)
        return cli_print_json(NULL);
    for (size_t i = 0; i < cli->parallel; i++)
        probe_next(&probing);
    while (client_pending(client) > 0)
        client_turn(client, 1000, -1);
    int code = cli->json ? probes_print_json(&probing) : probes_print(&probing);
    for (size_t i = 0; i < targets->count; i++) {
        if (probing.probes[i].result == NULL)
            code = EXIT_ONE_FAILED;
        json_decref(probing.probes[i].result);
    }
    free(probing.probes);
    return code;
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    struct hostlist names = {0};
    struct targets targets = {0};
    struct client *client = client_new(cli->url, cli->parallel, &fault);
    int code;
    if (client == NULL || targets_names(cli, &names, &fault) < 0) {
        code = cli_usage(&fault, verb_probe.name);
    } else if (targets_find(&targets, cli, client, &names, &fault) < 0) {
        code = cli_fail(&fault);
    } else if (targets.missing > 0) {
        targets_say_missing(&targets);
        cli_say("nothing was probed");
        code = EXIT_ONE_FAILED;
    } else {
        code = targets_probe(cli, client, &targets);
    }
    targets_clear(&targets);
    hostlist_clear(&names);
    client_free(client);
    return code;
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

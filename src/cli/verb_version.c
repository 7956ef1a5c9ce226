/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl version: its own and, when it can be asked, nmid's. */
#include <config.h>
#include <jansson.h>
#include <stdio.h>
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/text.h"

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    json_t *body = NULL;
    int code = 0;
    /* No credentials are needed. */
    struct client *client = client_new(cli->url, &cli->tls, 1, &fault);
    if (client == NULL)
        return cli_usage(&fault, verb_version.name);
    if (cli_get(cli, client, "/healthz", 0, &body, &fault) == 0 &&
        answer_text(body, "version")[0] == '\0')
        fault_set(&fault, FAULT_PROTOCOL, "this is no answer of nmid: it names no version");
    const char *version = answer_text(body, "version");
    if (cli->json) {
        json_t *json = json_object();
        json_object_set_new(json, "nmictl", json_string(PACKAGE_VERSION));
        json_object_set_new(json, "nmid", version[0] != '\0' ? json_string(version) : json_null());
        json_object_set_new(json, "url", text_json(cli->url));
        code = cli_print_json(json);
        json_decref(json);
    } else {
        puts("nmictl " PACKAGE_VERSION);
        if (version[0] != '\0') {
            fputs("nmid ", stdout);
            text_put(stdout, version);
            fputc('\n', stdout);
        }
    }
    if (fault.code != FAULT_NONE)
        cli_say("%s", fault.message);
    json_decref(body);
    client_free(client);
    return code;
}

const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "the versions of nmictl and, when it is reached, of nmid",
    .help = "The exit code is 0 also when nmid is not reached; stderr then says why.\n"
            "\n"
            "Example: nmictl -u unix:/run/nmid/nmid.sock version\n",
    .options = OPTION_TIMEOUT | OPTION_FORMAT,
    .run = run,
};

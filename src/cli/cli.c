/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What nmictl's verbs share. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cli/text.h"

#define ANSWER_S 30

void cli_say(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fputs("nmictl: ", stderr);
    text_put(stderr, line);
    fputc('\n', stderr);
}

int cli_fail(const struct fault *fault)
{
    if (fault->action_id[0] != '\0' && strstr(fault->message, fault->action_id) == NULL)
        cli_say("%s (nmictl actions %s)", fault->message, fault->action_id);
    else
        cli_say("%s", fault->message);
    int code = fault_row(fault->code)->exit_code;
    return code == 0 ? EXIT_ONE_FAILED : code;
}

int cli_usage(const struct fault *fault, const char *verb)
{
    if (fault->code != FAULT_USAGE)
        return cli_fail(fault);
    cli_say("%s; try 'nmictl help%s%s'", fault->message, verb == NULL ? "" : " ",
            verb == NULL ? "" : verb);
    return EXIT_USAGE;
}

int cli_print_json(const json_t *json)
{
    if (json != NULL && text_put_json(stdout, json) == 0)
        return 0;
    cli_say("out of memory");
    return EXIT_ONE_FAILED;
}

struct client *cli_connect(const struct cli *cli, size_t limit, struct fault *fault)
{
    struct client *client = client_new(cli->url, limit, fault);
    struct credentials *credentials =
        client == NULL ? NULL : credentials_new(cli->user, cli->token_file, fault);
    if (credentials == NULL) {
        client_free(client);
        return NULL;
    }
    client_use(client, credentials);
    return client;
}

long cli_timeout_ms(const struct cli *cli, long seconds)
{
    return (cli->timeout_s > 0 ? cli->timeout_s : seconds) * 1000;
}

int cli_get(const struct cli *cli, struct client *client, const char *path, size_t cap,
            json_t **ret_body, struct fault *fault)
{
    struct client_request request = {
        .method = "GET", .path = path, .timeout_ms = cli_timeout_ms(cli, ANSWER_S), .cap = cap};
    return client_call(client, &request, ret_body, fault);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What nmictl's verbs share. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli/answer.h"
#include "cli/text.h"

#define ANSWER_S  30
#define HEALTH_MS 5000

void cli_say(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (isatty(STDERR_FILENO)) /* a line of progress may stand there */
        fputs("\r\033[K", stderr);
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

/* Which credentials nmid wants, without any but the client certificate: a request that lacks them
 * would be refused, and recorded in the audit. A nmid that does not say, or cannot be asked, gets
 * the command's own requests, and what comes of them is told as ever. */
static int strategy_ask(const struct cli *cli, struct client *client,
                        struct credentials *credentials, struct fault *fault)
{
    long timeout_ms = cli_timeout_ms(cli, ANSWER_S);
    struct client_request request = {.method = "GET",
                                     .path = "/healthz",
                                     .timeout_ms = timeout_ms < HEALTH_MS ? timeout_ms : HEALTH_MS,
                                     .latest_ms = timeout_ms};
    struct fault why = {0};
    json_t *body = NULL;
    int rc = 0;
    if (client_call(client, &request, &body, NULL) == 0)
        rc = credentials_told(credentials, answer_text(body, "auth"),
                              client_has_certificate(client), cli->url, &why);
    json_decref(body);
    if (rc < 0 && why.code != FAULT_UNAUTHORIZED && why.code != FAULT_CONNECT)
        return fault_set(fault, why.code, "%s", why.message);
    if (rc < 0) /* said of each request, as if nmid had refused it */
        client_doom(client, &why);
    return 0;
}

struct client *cli_connect(const struct cli *cli, size_t limit, struct fault *fault)
{
    struct client *client = client_new(cli->url, &cli->tls, limit, fault);
    struct credentials *credentials =
        client == NULL ? NULL : credentials_new(cli->user, cli->token_file, fault);
    if (credentials == NULL ||
        ((credentials_any(credentials) || client_is_encrypted(client)) &&
         strategy_ask(cli, client, credentials, fault) < 0) ||
        credentials_complete(credentials, fault) < 0) {
        credentials_free(credentials);
        client_free(client);
        return NULL;
    }
    client_use(client, credentials);
    return client;
}

int cli_no_node(const struct client *client, const char *name, struct fault *fault)
{
    return fault_set(fault, FAULT_NODE_NOT_FOUND, "no node '%.255s'%s", name,
                     client_is_personal(client) ? " that you may see" : "");
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

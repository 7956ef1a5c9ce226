/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl audit: who did what, or was refused; newest first, page by page. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/when.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"

#define LIMIT     100 /* unless the user says otherwise */
#define PAGE      1000
#define PAGES_MAX 100000 /* a server that never ends its list is none of ours */
#define MARKER    24

/* A list on its way out. */
struct listing {
    const struct cli *cli;
    struct client *client;
    char *query;         /* of every page: "&node=..." */
    struct table *table; /* NULL: JSON */
    bool begun;
    size_t printed, limit; /* limit 0: none */
    char marker[MARKER];   /* of the next page, "" when there is none */
};

/* ---- The query ---- */

/* "2h": so long ago; or a time as nmid takes it. */
static int time_parse(const char *name, const char *text, char when[CLOCK_TEXT_MAX],
                      struct fault *fault)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] != '\0' ? strchr(units, text[digits]) : NULL;
    int64_t wall_us = 0;
    if (digits >= 1 && digits <= 6 && unit != NULL && text[digits + 1] == '\0')
        wall_us = clock_wall_us() - strtoll(text, NULL, 10) * seconds[unit - units] * 1000000;
    else if (when_parse(text, &wall_us) < 0)
        wall_us = 0;
    if (wall_us < 1)
        return fault_set(fault, FAULT_USAGE,
                         "--%s is a time (2026-11-22T21:28:23Z), a day (2026-11-22), or how long "
                         "ago (90s, 30m, 2h, 7d), not '%.64s'",
                         name, text);
    clock_text(wall_us, when);
    return 0;
}

/* Appends "&key=value", escaped. */
static int query_add(char **query, const char *key, const char *value, struct fault *fault)
{
    char *prefix = NULL;
    if (value == NULL)
        return 0;
    if (asprintf(&prefix, "%s&%s=", *query, key) < 0)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    char *longer = client_path(prefix, value, "");
    free(prefix);
    if (longer == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    free(*query);
    *query = longer;
    return 0;
}

static int query_make(const struct cli *cli, char **query, struct fault *fault)
{
    char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
    *query = strdup("");
    if (*query == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    if ((cli->since != NULL && time_parse("since", cli->since, since, fault) < 0) ||
        (cli->until != NULL && time_parse("until", cli->until, until, fault) < 0))
        return -1;
    return query_add(query, "node", cli->node, fault) < 0 ||
                   query_add(query, "action", cli->action, fault) < 0 ||
                   query_add(query, "key", cli->key, fault) < 0 ||
                   query_add(query, "user", cli->by, fault) < 0 ||
                   query_add(query, "project", cli->project, fault) < 0 ||
                   query_add(query, "decision", cli->refused ? "refused" : NULL, fault) < 0 ||
                   query_add(query, "since", cli->since != NULL ? since : NULL, fault) < 0 ||
                   query_add(query, "until", cli->until != NULL ? until : NULL, fault) < 0
               ? -1
               : 0;
}

/* ---- Records ---- */

static const char *node_of(const json_t *record)
{
    static const char *const keys[] = {"node_name", "node_uuid", "ident"};
    for (size_t i = 0; i < 3; i++) {
        if (answer_text(record, keys[i])[0] != '\0')
            return answer_text(record, keys[i]);
    }
    return "";
}

static int row_add(struct table *table, const json_t *record)
{
    const json_t *caller = json_object_get(record, "caller");
    const char *cells[] = {answer_text(record, "at"),        answer_text(record, "decision"),
                           answer_text(caller, "user"),      answer_text(caller, "project_id"),
                           answer_text(caller, "address"),   answer_text(record, "operation"),
                           node_of(record),                  answer_text(record, "rule"),
                           answer_text(record, "outcome"),   answer_text(record, "action_id"),
                           answer_text(record, "message")};
    return table_add(table, cells);
}

static int page_print(struct listing *listing, const json_t *page, struct fault *fault)
{
    const json_t *record;
    size_t i;
    int rc = 0;
    if (listing->table == NULL && !listing->begun)
        fputs("{\n  \"records\": [", stdout);
    listing->begun = true;
    json_array_foreach(page, i, record)
    {
        if (rc < 0 || (listing->limit > 0 && listing->printed == listing->limit))
            break;
        if (listing->table == NULL)
            fputs(listing->printed == 0 ? "\n    " : ",\n    ", stdout);
        rc = listing->table != NULL ? row_add(listing->table, record)
                                    : text_put_json_line(stdout, record);
        listing->printed++;
    }
    if (listing->table != NULL)
        table_flush(listing->table, stdout);
    return rc < 0 ? fault_set(fault, FAULT_MEMORY, "out of memory") : 0;
}

/* Gets a page, prints it, and takes the marker of the next one, which only ever goes down. */
static int page_get(struct listing *listing, const char *path, struct fault *fault)
{
    json_t *body = NULL;
    const json_t *page = NULL;
    int rc = cli_get(listing->cli, listing->client, path, CLIENT_CAP_LIST, &body, fault);
    if (rc == 0)
        page = answer_list(body, "records", fault);
    rc = page == NULL ? -1 : page_print(listing, page, fault);
    if (rc == 0) {
        json_int_t next = json_integer_value(json_object_get(body, "next"));
        long long before = strtoll(listing->marker, NULL, 10);
        if (next < 0 || (before > 0 && next >= before))
            rc = fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
        listing->marker[0] = '\0';
        if (next > 0)
            snprintf(listing->marker, MARKER, "%lld", (long long)next);
    }
    json_decref(body);
    return rc;
}

static int pages_get(struct listing *listing, struct fault *fault)
{
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        size_t limit = PAGE;
        char *path = NULL;
        if (listing->limit > 0 && listing->limit - listing->printed < limit)
            limit = listing->limit - listing->printed;
        if (asprintf(&path, "/agent/v1/audit?limit=%zu%s%s%s", limit, listing->query,
                     listing->marker[0] != '\0' ? "&marker=" : "", listing->marker) < 0)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        int rc = page_get(listing, path, fault);
        free(path);
        if (rc < 0)
            return -1;
        if (listing->marker[0] == '\0' ||
            (listing->limit > 0 && listing->printed >= listing->limit))
            return 0;
    }
    return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: its list never ends");
}

/* {"records": [...], "next": ...}; when a later page fails, "next" is where to go on. */
static int list_json(struct listing *listing, struct fault *fault)
{
    int rc = pages_get(listing, fault);
    if (listing->begun)
        printf("%s],\n  \"next\": %s\n}\n", listing->printed > 0 ? "\n  " : "",
               listing->marker[0] != '\0' ? listing->marker : "null");
    return rc;
}

static int list_table(struct listing *listing, struct fault *fault)
{
    static const char *const titles[] = {"AT",        "DECISION", "USER", "PROJECT",
                                         "FROM",      "OPERATION", "NODE", "RULE",
                                         "OUTCOME",   "ACTION",   "MESSAGE", NULL};
    listing->table = table_new(titles);
    if (listing->table == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    int rc = pages_get(listing, fault);
    table_free(listing->table);
    if (rc == 0 && listing->marker[0] != '\0')
        cli_say("there are older ones: --marker %s, or --all", listing->marker);
    return rc;
}

static int check(const struct cli *cli, struct fault *fault)
{
    if (cli->all && cli->limit > 0)
        return fault_set(fault, FAULT_USAGE, "--all and --limit exclude each other");
    size_t len = cli->marker == NULL ? 1 : strlen(cli->marker);
    if (cli->marker != NULL &&
        (len == 0 || len > 18 || strspn(cli->marker, "0123456789") != len))
        return fault_set(fault, FAULT_USAGE, "--marker is the serial of a record");
    return 0;
}

static int run(const struct cli *cli)
{
    struct fault fault = {0};
    struct listing listing = {.cli = cli, .limit = cli->limit > 0 ? cli->limit : LIMIT};
    int code = -1;
    if (cli->all)
        listing.limit = 0;
    if (cli->marker != NULL)
        snprintf(listing.marker, MARKER, "%s", cli->marker);
    if (check(cli, &fault) == 0 && query_make(cli, &listing.query, &fault) == 0)
        listing.client = cli_connect(cli, 1, &fault);
    if (listing.client != NULL)
        code = cli->json ? list_json(&listing, &fault) : list_table(&listing, &fault);
    client_free(listing.client);
    free(listing.query);
    return code < 0 ? cli_usage(&fault, verb_audit.name) : code;
}

const struct verb verb_audit = {
    .name = "audit",
    .arguments = "",
    .summary = "list who did what, or was refused, newest first",
    .help = "The newest 100 records; older ones with --limit, --all or --marker. By nmid's default\n"
            "policy this is for administrators, and it is recorded, too.\n"
            "With -f json {\"records\": [...], \"next\": serial or null}, a record a line.\n"
            "\n"
            "Example: nmictl audit --refused --since 2h\n",
    .options = OPTION_NODE | OPTION_LIMIT | OPTION_ALL | OPTION_MARKER | OPTION_TIMEOUT |
               OPTION_FORMAT | OPTION_AUDIT,
    .args_max = 0,
    .run = run,
};

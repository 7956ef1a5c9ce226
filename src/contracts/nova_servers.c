/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nova's list of servers and one of them, enough for its clients to find a machine by what its user
 * calls it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "contracts/discovery.h"
#include "contracts/nova_query.h"
#include "contracts/ready.h"

/* One request for a list. */
struct listing {
    struct nova *nova;
    struct http_exchange *exchange;
    const char *rule; /* "index", "detail" */
    bool detail;
    struct microversion version;
    struct nova_query query;
    struct nova_server *servers; /* that the caller may see, in order */
    size_t count, first;         /* first: after the marker */
};

void nova_on_version(void *self, struct http_exchange *exchange)
{
    (void)self;
    json_t *version = discovery_nova("./");
    json_t *kind = json_pack("[{s:s, s:s}]", "base", "application/json", "type",
                             "application/vnd.openstack.compute+json;version=2.1");
    json_object_set_new(version, "media-types", kind);
    http_answer(exchange, 200, json_pack("{s:o}", "version", version));
}

/* ---- Which ---- */

static bool sees_all(const struct principal *caller)
{
    return caller->administrator || caller->system;
}

/* As in Nova, everybody's list is that of the own project, an administrator's too, unless all are
 * asked for. Who has no project (a local administrator, system scope) has them all. */
static bool is_asked_for(const struct listing *listing, const struct nova_server *server)
{
    const char *project = http_principal(listing->exchange)->project_id;
    if (listing->query.all_tenants || project == NULL)
        return true;
    for (size_t i = 0; i < OWNERS; i++) {
        const char *owner = server->state.owners.project_ids[i];
        if (owner != NULL && strcmp(owner, project) == 0)
            return true;
    }
    return false;
}

static int collect(struct listing *listing, struct fault *fault)
{
    struct engine *engine = listing->nova->engine;
    const struct principal *caller = http_principal(listing->exchange);
    const struct node_table *table = engine_nodes(engine);
    if (engine_states_known(engine, fault) < 0)
        return -1;
    listing->servers = calloc(node_table_count(table) + 1, sizeof *listing->servers);
    if (listing->servers == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (size_t i = 0; i < node_table_count(table); i++) {
        struct nova_server *server = &listing->servers[listing->count];
        server->node = node_table_at(table, i);
        if (engine_shows(engine, server->node, caller) &&
            engine_node_state(engine, server->node, &server->state, NULL) == 0 &&
            is_asked_for(listing, server))
            listing->count++;
    }
    return 0;
}

static bool answers_to(const struct nova_server *server, const char *ident)
{
    return strcasecmp(nova_server_id(server), ident) == 0 ||
           strcasecmp(server->node->uuid, ident) == 0;
}

/* The marker is looked for among all that the caller sees: it need not match any more. */
static int find_marker(struct listing *listing, struct fault *fault)
{
    const char *marker = listing->query.marker;
    if (marker == NULL)
        return 0;
    for (size_t i = 0; i < listing->count; i++) {
        if (answers_to(&listing->servers[i], marker)) {
            listing->first = i + 1;
            return 0;
        }
    }
    return fault_set(fault, FAULT_MALFORMED, "marker [%.80s] not found", marker);
}

/* ---- The answer ---- */

static void put_escaped(FILE *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x80 && (isalnum(c) || strchr("-._~", c) != NULL))
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

/* Where the next page is: the same question with another marker. A whole URL, as Nova's: what
 * openstacksdk and others make of a path alone is not the same. */
static json_t *next_links(const struct listing *listing, const struct nova_server *last)
{
    size_t count = 0, size = 0;
    const struct http_argument *arguments = http_arguments(listing->exchange, &count);
    char base[HTTP_BASE_MAX], *href = NULL;
    FILE *out = open_memstream(&href, &size);
    if (out == NULL)
        return NULL;
    fprintf(out, "%s%s?", http_base_url(listing->exchange, base), http_path(listing->exchange));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(arguments[i].name, "marker") == 0)
            continue;
        put_escaped(out, arguments[i].name);
        fputc('=', out);
        put_escaped(out, arguments[i].value);
        fputc('&', out);
    }
    fprintf(out, "marker=%s", nova_server_id(last));
    json_t *links = fclose(out) == 0
                        ? json_pack("[{s:s, s:s}]", "rel", "next", "href", href)
                        : NULL;
    free(href);
    return links;
}

static void answer_page(const struct listing *listing)
{
    const struct nova_query *query = &listing->query;
    bool administrator = http_principal(listing->exchange)->administrator;
    const struct nova_server *last = NULL;
    json_t *page = json_array(), *answer = json_pack("{s:o}", "servers", page);
    for (size_t i = listing->first; i < listing->count && query->limit > 0; i++) {
        const struct nova_server *server = &listing->servers[i];
        if (!nova_query_matches(query, server))
            continue;
        if (json_array_size(page) == query->limit) {
            json_object_set_new(answer, "servers_links", next_links(listing, last));
            break;
        }
        last = server;
        json_array_append_new(page, listing->detail
                                        ? nova_server_json(server, &listing->version, administrator)
                                        : nova_server_brief(server));
    }
    http_answer(listing->exchange, 200, answer);
}

/* ---- Lists ---- */

static int climb(struct listing *listing, struct fault *fault)
{
    const struct principal *caller = http_principal(listing->exchange);
    const struct access access = {NULL, caller, POLICY_READ, "list", nova_contract.name,
                                  NULL};
    if (engine_may(listing->nova->engine, &access, fault) < 0)
        return -1;
    if (listing->query.all_tenants && !sees_all(caller)) {
        listing->rule = listing->detail ? "detail:get_all_tenants" : "index:get_all_tenants";
        return fault_set(fault, FAULT_FORBIDDEN, "all projects are for administrators");
    }
    if (collect(listing, fault) < 0)
        return -1;
    if (listing->query.sort_count > 0)
        qsort_r(listing->servers, listing->count, sizeof *listing->servers, nova_query_compare,
                &listing->query);
    return find_marker(listing, fault);
}

static void list(struct listing *listing, http_handler_fn *again)
{
    size_t count = 0;
    struct fault fault = {0};
    struct http_exchange *exchange = listing->exchange;
    const struct http_argument *arguments = http_arguments(exchange, &count);
    listing->rule = listing->detail ? "detail" : "index";
    if (!nova_take_version(exchange, &listing->version))
        return;
    if (nova_query_parse(arguments, count, listing->version.minor, &listing->query, &fault) < 0)
        nova_error(NULL, exchange, 0, &fault);
    else if (!ready_for(listing->nova->engine, exchange, NULL, 0, again, listing->nova))
        ; /* it comes again */
    else if (climb(listing, &fault) < 0)
        nova_refusal(exchange, listing->rule, &fault);
    else
        answer_page(listing);
    nova_query_clear(&listing->query);
    free(listing->servers);
}

void nova_on_list(void *self, struct http_exchange *exchange)
{
    struct listing listing = {.nova = self, .exchange = exchange};
    list(&listing, nova_on_list);
}

void nova_on_detail(void *self, struct http_exchange *exchange)
{
    struct listing listing = {.nova = self, .exchange = exchange, .detail = true};
    list(&listing, nova_on_detail);
}

/* ---- One ---- */

void nova_on_show(void *self, struct http_exchange *exchange)
{
    struct nova *nova = self;
    struct microversion version;
    struct fault fault = {0};
    struct nova_server server;
    const struct principal *caller = http_principal(exchange);
    const struct access access = {http_param(exchange, "id"), caller, POLICY_READ, "show",
                                  nova_contract.name, NULL};
    if (!nova_take_version(exchange, &version))
        return;
    if (!ready_for(nova->engine, exchange, &access.ident, 1, nova_on_show, self))
        return;
    server.node = engine_find(nova->engine, &access, &server.state, &fault);
    if (server.node == NULL)
        nova_refusal(exchange, "show", &fault);
    else
        http_answer(exchange, 200,
                    json_pack("{s:o}", "server",
                              nova_server_json(&server, &version, caller->administrator)));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of nodes: what Ironic's clients filter, sort and page by. Each argument that Ironic 21.4
 * knows is answered truthfully: a filter by what nmid's nodes never have finds none of them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "contracts/ironic_api_state.h"
#include "contracts/ready.h"
#include "core/driver.h"

#define LIMIT_MAX     1000 /* Ironic's own */
#define SORT_BY_ORDER (-1) /* of the configuration */
#define DETAIL_MINOR  43
#define FIELDS_MINOR  8

enum argument {
    ARG_LIMIT,
    ARG_MARKER,
    ARG_SORT_KEY,
    ARG_SORT_DIR,
    ARG_FIELDS,
    ARG_DETAIL,
    /* Filters. */
    ARG_INSTANCE,
    ARG_ASSOCIATED,
    ARG_STATE,
    ARG_DRIVER,
    ARG_OWNER,
    ARG_LESSEE,
    ARG_PROJECT,
    ARG_GROUP,
    ARG_MAINTENANCE,
    ARG_RETIRED,
    ARG_SHARDED,
    ARG_CHASSIS,
    ARG_CLASS,
    ARG_FAULT,
    ARG_CONDUCTOR,
    ARG_DESCRIPTION,
    ARG_SHARD,
    ARGUMENTS
};

enum check { CHECK_TEXT, CHECK_UUID, CHECK_BOOLEAN };

static const struct {
    const char *name;
    unsigned since;
    enum check check;
} known[ARGUMENTS] = {
    [ARG_LIMIT] = {"limit", 1, CHECK_TEXT},
    [ARG_MARKER] = {"marker", 1, CHECK_UUID},
    [ARG_SORT_KEY] = {"sort_key", 1, CHECK_TEXT},
    [ARG_SORT_DIR] = {"sort_dir", 1, CHECK_TEXT},
    [ARG_FIELDS] = {"fields", FIELDS_MINOR, CHECK_TEXT},
    [ARG_DETAIL] = {"detail", 1, CHECK_BOOLEAN},
    [ARG_INSTANCE] = {"instance_uuid", 1, CHECK_UUID},
    [ARG_ASSOCIATED] = {"associated", 1, CHECK_BOOLEAN},
    [ARG_STATE] = {"provision_state", 9, CHECK_TEXT},
    [ARG_DRIVER] = {"driver", 16, CHECK_TEXT},
    [ARG_OWNER] = {"owner", 50, CHECK_TEXT},
    [ARG_LESSEE] = {"lessee", 65, CHECK_TEXT},
    [ARG_PROJECT] = {"project", 50, CHECK_TEXT},
    [ARG_GROUP] = {"conductor_group", 46, CHECK_TEXT},
    [ARG_MAINTENANCE] = {"maintenance", 1, CHECK_BOOLEAN},
    [ARG_RETIRED] = {"retired", 61, CHECK_BOOLEAN},
    [ARG_SHARDED] = {"sharded", 82, CHECK_BOOLEAN},
    [ARG_CHASSIS] = {"chassis_uuid", 1, CHECK_UUID},
    [ARG_CLASS] = {"resource_class", 21, CHECK_TEXT},
    [ARG_FAULT] = {"fault", 42, CHECK_TEXT},
    [ARG_CONDUCTOR] = {"conductor", 49, CHECK_TEXT},
    [ARG_DESCRIPTION] = {"description_contains", 51, CHECK_TEXT},
    [ARG_SHARD] = {"shard", 82, CHECK_TEXT},
};

struct query {
    struct http_exchange *exchange;
    const char *values[ARGUMENTS]; /* or NULL */
    unsigned minor;
    bool detail, descending;
    ironic_fields fields;
    size_t limit;
    int sort; /* a field, or SORT_BY_ORDER */
};

/* ---- The arguments ---- */

/* 1, 0, or -1, as oslo.utils reads it. */
static int read_boolean(const char *text)
{
    static const char *const words[][2] = {{"0", "1"}, {"f", "t"},    {"false", "true"},
                                           {"n", "y"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (int value = 0; value < 2; value++) {
            if (strcasecmp(words[i][value], text) == 0)
                return value;
        }
    }
    return -1;
}

static bool check_value(struct query *query, size_t argument, const char *value)
{
    const char *name = known[argument].name;
    if (known[argument].check == CHECK_UUID && !uuid_valid(value))
        ironic_malformed(query->exchange, "Expected UUID for %s: %.100s", name, value);
    else if (known[argument].check == CHECK_BOOLEAN && read_boolean(value) < 0)
        ironic_malformed(query->exchange,
                         "Invalid %s: Unrecognized value '%.100s', acceptable values are: '0', "
                         "'1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'",
                         name, value);
    else if (known[argument].since > query->minor)
        ironic_not_acceptable(query->exchange, known[argument].since);
    else
        return true;
    return false;
}

/* False when the error is answered. */
static bool take_values(struct query *query, bool detailed)
{
    size_t count = 0;
    const struct http_argument *arguments = http_arguments(query->exchange, &count);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < ARGUMENTS && strcmp(known[k].name, arguments[i].name) != 0)
            k++;
        if (k == ARGUMENTS || (detailed && (k == ARG_FIELDS || k == ARG_DETAIL))) {
            ironic_malformed(query->exchange, "Unexpected arguments: %.100s", arguments[i].name);
            return false;
        }
        if (query->values[k] != NULL) {
            ironic_malformed(query->exchange, "Expected one value for %s", known[k].name);
            return false;
        }
        if (!check_value(query, k, arguments[i].value))
            return false;
        query->values[k] = arguments[i].value;
    }
    return true;
}

static bool take_limit(struct query *query)
{
    const char *text = query->values[ARG_LIMIT];
    char *end = NULL;
    query->limit = LIMIT_MAX;
    if (text == NULL)
        return true;
    long long limit = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        ironic_malformed(query->exchange, "Expected an integer for limit: %.100s", text);
        return false;
    }
    if (limit <= 0) {
        ironic_malformed(query->exchange, "Limit must be positive");
        return false;
    }
    if (limit < LIMIT_MAX)
        query->limit = (size_t)limit;
    return true;
}

static bool take_sort(struct query *query)
{
    const char *key = query->values[ARG_SORT_KEY], *dir = query->values[ARG_SORT_DIR];
    query->sort = SORT_BY_ORDER;
    query->descending = dir != NULL && strcmp(dir, "desc") == 0;
    if (dir != NULL && !query->descending && strcmp(dir, "asc") != 0) {
        ironic_malformed(query->exchange,
                         "Invalid sort direction: %.100s. Acceptable values are 'asc' or 'desc'",
                         dir);
        return false;
    }
    if (key == NULL || strcmp(key, "id") == 0)
        return true;
    query->sort = ironic_field_find(key, strlen(key));
    if (query->sort < 0 || !ironic_field_sorts(query->sort)) {
        ironic_malformed(query->exchange,
                         "The sort_key value \"%.100s\" is an invalid field for sorting", key);
        return false;
    }
    if (ironic_field_since(query->sort) <= query->minor)
        return true;
    ironic_not_acceptable(query->exchange, 0);
    return false;
}

static bool take_shape(struct query *query, bool detailed)
{
    static const char *const few[] = {
        "uuid", "instance_uuid", "maintenance", "power_state", "provision_state", "name", "links"};
    const char *fields = query->values[ARG_FIELDS], *detail = query->values[ARG_DETAIL];
    query->detail = detailed || (detail != NULL && read_boolean(detail) == 1);
    if (detail != NULL && query->minor < DETAIL_MINOR) {
        ironic_malformed(query->exchange, "Invalid query parameter ?detail=%.10s received.",
                         detail);
        return false;
    }
    if (fields != NULL && query->detail) {
        ironic_malformed(query->exchange,
                         "Can not specify ?detail=True and fields in the same request.");
        return false;
    }
    if (fields != NULL)
        return ironic_take_fields(query->exchange, fields, query->minor, &query->fields);
    query->fields = ironic_fields_of(query->minor);
    ironic_fields brief = 0;
    for (size_t i = 0; i < sizeof few / sizeof few[0]; i++)
        brief |= IRONIC_FIELD(ironic_field_find(few[i], strlen(few[i])));
    if (!query->detail)
        query->fields &= brief;
    return true;
}

static bool take_query(struct query *query, bool detailed)
{
    if (!ironic_take_version(query->exchange, &query->minor) || !take_values(query, detailed) ||
        !take_limit(query) || !take_sort(query) || !take_shape(query, detailed))
        return false;
    const char *state = query->values[ARG_STATE];
    if (state == NULL || ironic_is_provision_state(state))
        return true;
    ironic_malformed(query->exchange, "Provision state \"%.100s\" is not valid", state);
    return false;
}

/* ---- The filters ---- */

static bool is_text(const char *asked, const char *own)
{
    return asked == NULL || (own != NULL && strcmp(asked, own) == 0);
}

static bool is_true(const char *asked, bool own)
{
    return asked == NULL || (read_boolean(asked) == 1) == own;
}

static bool matches(const struct query *query, const struct node *node,
                    const struct node_state *state)
{
    const char *const *asked = query->values, *const *owners = state->owners.project_ids;
    for (size_t i = ARG_CHASSIS; i < ARGUMENTS; i++) {
        if (asked[i] != NULL)
            return false; /* what no node of nmid's has */
    }
    if (asked[ARG_INSTANCE] != NULL && (state->instance_uuid == NULL ||
                                        strcasecmp(asked[ARG_INSTANCE], state->instance_uuid) != 0))
        return false;
    return is_true(asked[ARG_ASSOCIATED], state->instance_uuid != NULL) &&
           is_true(asked[ARG_MAINTENANCE], false) && is_true(asked[ARG_RETIRED], false) &&
           is_true(asked[ARG_SHARDED], false) && is_text(asked[ARG_GROUP], "") &&
           is_text(asked[ARG_STATE], ironic_provision_state(state)) &&
           is_text(asked[ARG_DRIVER], node->driver->name) && is_text(asked[ARG_OWNER], owners[0]) &&
           is_text(asked[ARG_LESSEE], owners[1]) &&
           (is_text(asked[ARG_PROJECT], owners[0]) || is_text(asked[ARG_PROJECT], owners[1]));
}

/* ---- The order ---- */

struct row {
    const struct node *node;
    const char *key; /* what it is sorted by; borrowed */
    size_t at;       /* in the configuration */
};

/* Nothing comes before something, as in Ironic's database; equals in the configuration's order. */
static int compare(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int order = 0;
    if (left->key != NULL && right->key != NULL)
        order = strcmp(left->key, right->key);
    else
        order = (left->key != NULL) - (right->key != NULL);
    return order != 0 ? order : (left->at > right->at) - (left->at < right->at);
}

static struct row row_of(const struct query *query, const struct node *node,
                         const struct node_state *state, size_t at)
{
    const char *key =
        query->sort == SORT_BY_ORDER ? NULL : ironic_field_text(query->sort, node, state);
    return (struct row){node, key, at};
}

/* The marker's row, which need not match the filters: it may have changed since its page. False
 * when the error is answered: there is none that the caller may see. */
static bool take_marker(const struct ironic_api *api, const struct query *query,
                        struct row *ret_row)
{
    const struct node_table *table = engine_nodes(api->engine);
    const char *uuid = query->values[ARG_MARKER];
    struct node_state state;
    for (size_t i = 0; i < node_table_count(table); i++) {
        const struct node *node = node_table_at(table, i);
        if (strcasecmp(node->uuid, uuid) == 0 &&
            engine_shows(api->engine, node, http_principal(query->exchange)) &&
            engine_node_state(api->engine, node, &state, NULL) == 0) {
            *ret_row = row_of(query, node, &state, i);
            return true;
        }
    }
    struct fault fault = {0};
    fault_set(&fault, FAULT_NODE_NOT_FOUND, "Node %.100s could not be found.", uuid);
    ironic_error(NULL, query->exchange, 0, &fault);
    return false;
}

/* ---- The list ---- */

/* The visible nodes that match, behind the marker, in order; malloc'd. NULL: memory is out. */
static struct row *collect(const struct ironic_api *api, const struct query *query,
                           const struct row *marker, size_t *ret_count)
{
    const struct node_table *table = engine_nodes(api->engine);
    const struct principal *caller = http_principal(query->exchange);
    size_t count = 0, total = node_table_count(table);
    struct row *rows = calloc(total + 1, sizeof *rows);
    struct node_state state;
    for (size_t i = 0; rows != NULL && i < total; i++) {
        const struct node *node = node_table_at(table, i);
        if (!engine_shows(api->engine, node, caller) ||
            engine_node_state(api->engine, node, &state, NULL) < 0 || !matches(query, node, &state))
            continue;
        rows[count] = row_of(query, node, &state, i);
        int order = marker == NULL ? 0 : compare(&rows[count], marker);
        count += marker == NULL || (query->descending ? order < 0 : order > 0);
    }
    if (rows != NULL)
        qsort(rows, count, sizeof *rows, compare);
    for (size_t i = 0; query->descending && rows != NULL && i < count / 2; i++) {
        struct row row = rows[i];
        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = row;
    }
    *ret_count = count;
    return rows;
}

/* Appends text to a query, with what might mean something in it percent-encoded. */
static void add_encoded(char **at, const char *text)
{
    static const char hex[] = "0123456789ABCDEF", plain[] = "-._~,";
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr(plain, c) != NULL) {
            *(*at)++ = (char)c;
            continue;
        }
        *(*at)++ = '%';
        *(*at)++ = hex[c >> 4];
        *(*at)++ = hex[c & 15];
    }
    **at = '\0';
}

/* The same question, from behind this node on. */
static json_t *next_link(const struct query *query, const char *base, const char *marker)
{
    size_t size = 1;
    for (size_t i = 0; i < ARGUMENTS; i++)
        size +=
            query->values[i] == NULL ? 0 : strlen(known[i].name) + 3 * strlen(query->values[i]) + 2;
    char *filters = malloc(size), *at = filters;
    if (filters == NULL)
        return NULL;
    *at = '\0';
    for (size_t i = 0; i < ARGUMENTS; i++) {
        if (query->values[i] == NULL || i == ARG_LIMIT || i == ARG_MARKER)
            continue;
        at = stpcpy(stpcpy(at, known[i].name), "=");
        add_encoded(&at, query->values[i]);
        at = stpcpy(at, "&");
    }
    json_t *link = json_sprintf("%s%s?%slimit=%zu&marker=%s", base, http_path(query->exchange),
                                filters, query->limit, marker);
    free(filters);
    return link;
}

static void answer_rows(const struct ironic_api *api, const struct query *query,
                        const struct row *rows, size_t count)
{
    char base[HTTP_BASE_MAX];
    struct node_state state;
    json_t *nodes = json_array();
    size_t shown = count < query->limit ? count : query->limit;
    http_base_url(query->exchange, base);
    for (size_t i = 0; i < shown; i++) {
        if (engine_node_state(api->engine, rows[i].node, &state, NULL) == 0)
            json_array_append_new(
                nodes, ironic_node_json(rows[i].node, &state, query->fields, query->minor, base));
    }
    json_t *answer = json_pack("{s:o}", "nodes", nodes);
    if (shown < count)
        json_object_set_new(answer, "next", next_link(query, base, rows[shown - 1].node->uuid));
    http_answer(query->exchange, 200, answer);
}

static void list(struct ironic_api *api, struct http_exchange *exchange, bool detailed,
                 http_handler_fn *again)
{
    struct query query = {.exchange = exchange};
    struct row marker, *rows = NULL;
    struct fault fault = {0};
    size_t count = 0;
    const struct access access = {NULL, http_principal(exchange), POLICY_READ, "list",
                                  ironic_contract.name, NULL};
    if (!take_query(&query, detailed) || !ready_for(api->engine, exchange, NULL, 0, again, api))
        return;
    /* A list without the nodes whose owner is not known would be taken for the whole. */
    if (engine_may(api->engine, &access, &fault) < 0 ||
        engine_states_known(api->engine, &fault) < 0) {
        ironic_refuse(exchange, "list", &fault);
        return;
    }
    bool marked = query.values[ARG_MARKER] != NULL;
    if (marked && !take_marker(api, &query, &marker))
        return;
    rows = collect(api, &query, marked ? &marker : NULL, &count);
    if (rows == NULL) {
        fault_set(&fault, FAULT_MEMORY, "out of memory");
        ironic_error(NULL, exchange, 0, &fault);
        return;
    }
    answer_rows(api, &query, rows, count);
    free(rows);
}

void ironic_on_list(void *self, struct http_exchange *exchange)
{
    list(self, exchange, false, ironic_on_list);
}

void ironic_on_detail(void *self, struct http_exchange *exchange)
{
    list(self, exchange, true, ironic_on_detail);
}

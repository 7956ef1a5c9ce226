/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/nova_query.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef int take_fn(struct nova_query *query, const char *name, const char *value,
                    struct fault *fault);

/* ---- Values ---- */

static int take_bool(const char *name, const char *value, bool *ret_value, struct fault *fault)
{
    static const char *const yes[] = {"1", "t", "true", "on", "y", "yes"};
    static const char *const no[] = {"0", "f", "false", "off", "n", "no"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
            *ret_value = strcasecmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return fault_set(fault, FAULT_MALFORMED, "Invalid value '%.80s' for the query parameter %s.",
                     value, name);
}

static int take_all_tenants(struct nova_query *query, const char *name, const char *value,
                            struct fault *fault)
{
    query->all_tenants = true; /* also when nothing stands behind it, as in Nova */
    return value[0] == '\0' ? 0 : take_bool(name, value, &query->all_tenants, fault);
}

static int take_deleted(struct nova_query *query, const char *name, const char *value,
                        struct fault *fault)
{
    return take_bool(name, value, &query->deleted, fault);
}

static int take_locked(struct nova_query *query, const char *name, const char *value,
                       struct fault *fault)
{
    query->has_locked = true;
    return take_bool(name, value, &query->locked, fault);
}

static int take_status(struct nova_query *query, const char *name, const char *value,
                       struct fault *fault)
{
    (void)name;
    (void)fault;
    query->has_status = true;
    query->statuses |= nova_statuses(value);
    return 0;
}

static int take_limit(struct nova_query *query, const char *name, const char *value,
                      struct fault *fault)
{
    size_t len = strlen(value);
    if (len == 0 || strspn(value, "0123456789") != len)
        return fault_set(fault, FAULT_MALFORMED,
                         "Invalid input for query parameters %s. Value: %.80s. '%.80s' does not "
                         "match '^[0-9]*$'",
                         name, value, value);
    unsigned long limit = len > 9 ? NOVA_LIMIT_MAX : strtoul(value, NULL, 10);
    query->limit = limit < NOVA_LIMIT_MAX ? limit : NOVA_LIMIT_MAX;
    return 0;
}

static int take_marker(struct nova_query *query, const char *name, const char *value,
                       struct fault *fault)
{
    (void)name;
    (void)fault;
    query->marker = value;
    return 0;
}

/* ---- Filters ---- */

static struct nova_filter *add_filter(struct nova_query *query, const char *name, const char *value,
                                      struct fault *fault)
{
    if (query->filter_count == NOVA_FILTERS_MAX) {
        fault_set(fault, FAULT_MALFORMED, "There are more than %d filters.", NOVA_FILTERS_MAX);
        return NULL;
    }
    struct nova_filter *filter = &query->filters[query->filter_count];
    *filter = (struct nova_filter){.field = name, .value = value};
    return filter;
}

static int take_exact(struct nova_query *query, const char *name, const char *value,
                      struct fault *fault)
{
    if (add_filter(query, name, value, fault) == NULL)
        return -1;
    query->filter_count++;
    return 0;
}

/* What is left after this takes regexec() a time that grows with the text and no faster: counted
 * repeats are written out by regcomp(), in number the product of all that stand around each other,
 * and a reference to a group makes a search of all ways to match. */
static bool is_simple(const char *pattern)
{
    if (strlen(pattern) > NOVA_PATTERN_MAX)
        return false;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '{')
            return false;
        if (*p == '\\' && (*++p == '\0' || (*p != ' ' && !ispunct((unsigned char)*p)) ||
                           strchr("<>'`", *p) != NULL))
            return false; /* a reference, a class, an anchor of a word */
    }
    return true;
}

static int take_pattern(struct nova_query *query, const char *name, const char *value,
                        struct fault *fault)
{
    struct nova_filter *filter = add_filter(query, name, value, fault);
    if (filter == NULL)
        return -1;
    if (!is_simple(value) || regcomp(&filter->regex, value, REG_EXTENDED | REG_NOSUB) != 0)
        return fault_set(fault, FAULT_MALFORMED,
                         "Invalid input for query parameters %s. Value: %.80s. '%.80s' is not a "
                         "'regex' that nmid takes: an extended one of at most %d bytes, without "
                         "counted repeats, references and classes such as \\w",
                         name, value, value, NOVA_PATTERN_MAX);
    filter->pattern = true;
    query->filter_count++;
    return 0;
}

static int take_unknown(struct nova_query *query, const char *name, const char *value,
                        struct fault *fault)
{
    (void)query;
    (void)value;
    return fault_set(fault, FAULT_MALFORMED,
                     "nmid does not know the %s of a server, and so cannot filter by it.", name);
}

static int take_joined(struct nova_query *query, const char *name, const char *value,
                       struct fault *fault)
{
    (void)query;
    (void)value;
    return fault_set(fault, FAULT_MALFORMED, "Invalid filter field: %.80s.", name);
}

/* ---- Order ---- */

/* Of these nmid knows nothing, or the same, of all servers. */
static const char *const same_for_all[] = {
    "access_ip_v4", "access_ip_v6",        "auto_disk_config", "availability_zone", "config_drive",
    "created_at",   "display_description", "host",             "image_ref",         "key_name",
    "instance_type_id", "kernel_id",       "launch_index",     "launched_at",       "power_state",
    "progress",     "ramdisk_id",          "root_device_name", "task_state",        "user_id",
    "terminated_at", "updated_at",
};

static int take_sort_key(struct nova_query *query, const char *name, const char *value,
                         struct fault *fault)
{
    static const char *const known[] = {"display_name", "node", "project_id", "uuid", "vm_state"};
    const char *field = NULL;
    bool found = strcmp(value, "hostname") == 0;
    if (found)
        field = "display_name";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(value, known[i]) == 0)
            field = known[i];
    }
    for (size_t i = 0; i < sizeof same_for_all / sizeof same_for_all[0]; i++)
        found = found || strcmp(value, same_for_all[i]) == 0;
    if ((!found && field == NULL) || query->sort_count == NOVA_SORTS_MAX)
        return fault_set(fault, FAULT_MALFORMED,
                         "Invalid input for query parameters %s. Value: %.80s. nmid cannot sort "
                         "by it",
                         name, value);
    query->sorts[query->sort_count++].field = field;
    return 0;
}

static int take_sort_dir(struct nova_query *query, const char *name, const char *value,
                         struct fault *fault)
{
    bool descending = strcmp(value, "desc") == 0;
    if ((!descending && strcmp(value, "asc") != 0) || query->direction_count == NOVA_SORTS_MAX)
        return fault_set(fault, FAULT_MALFORMED,
                         "Invalid input for query parameters %s. Value: %.80s. It is asc or desc",
                         name, value);
    query->sorts[query->direction_count++].descending = descending;
    return 0;
}

/* As in Nova: without a direction the first is descending, the others are as the first. */
static void finish_sorts(struct nova_query *query)
{
    bool first = query->direction_count > 0 ? query->sorts[0].descending : true;
    for (size_t i = query->direction_count; i < query->sort_count; i++)
        query->sorts[i].descending = first;
}

int nova_query_compare(const void *a, const void *b, void *arg)
{
    const struct nova_query *query = arg;
    const struct nova_server *one = a, *other = b;
    for (size_t i = 0; i < query->sort_count; i++) {
        const char *field = query->sorts[i].field;
        int order = field == NULL ? 0 : strcmp(nova_server_field(one, field),
                                               nova_server_field(other, field));
        if (order != 0)
            return query->sorts[i].descending ? -order : order;
    }
    return 0;
}

/* ---- The whole ---- */

static const struct {
    const char *name;
    take_fn *take;
} known[] = {
    {"name", take_pattern},
    {"display_name", take_pattern},
    {"node", take_pattern},
    {"uuid", take_exact},
    {"vm_state", take_exact},
    {"project_id", take_exact},
    {"tenant_id", take_exact},
    {"status", take_status},
    {"locked", take_locked},
    {"deleted", take_deleted},
    {"all_tenants", take_all_tenants},
    {"limit", take_limit},
    {"marker", take_marker},
    {"sort_key", take_sort_key},
    {"sort_dir", take_sort_dir},
    {"access_ip_v4", take_unknown},
    {"access_ip_v6", take_unknown},
    {"auto_disk_config", take_unknown},
    {"availability_zone", take_unknown},
    {"changes-before", take_unknown},
    {"changes-since", take_unknown},
    {"config_drive", take_unknown},
    {"created_at", take_unknown},
    {"description", take_unknown},
    {"display_description", take_unknown},
    {"flavor", take_unknown},
    {"host", take_unknown},
    {"hostname", take_unknown},
    {"image", take_unknown},
    {"image_ref", take_unknown},
    {"ip", take_unknown},
    {"ip6", take_unknown},
    {"kernel_id", take_unknown},
    {"key_name", take_unknown},
    {"launch_index", take_unknown},
    {"launched_at", take_unknown},
    {"locked_by", take_unknown},
    {"not-tags", take_unknown},
    {"not-tags-any", take_unknown},
    {"power_state", take_unknown},
    {"progress", take_unknown},
    {"ramdisk_id", take_unknown},
    {"reservation_id", take_unknown},
    {"root_device_name", take_unknown},
    {"soft_deleted", take_unknown},
    {"tags", take_unknown},
    {"tags-any", take_unknown},
    {"task_state", take_unknown},
    {"terminated_at", take_unknown},
    {"user_id", take_unknown},
    {"block_device_mapping", take_joined},
    {"info_cache", take_joined},
    {"metadata", take_joined},
    {"pci_devices", take_joined},
    {"security_groups", take_joined},
    {"services", take_joined},
    {"system_metadata", take_joined},
};

static int take_argument(struct nova_query *query, const struct http_argument *argument,
                         unsigned minor, struct fault *fault)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(argument->name, known[i].name) == 0)
            return known[i].take(query, known[i].name, argument->value, fault);
    }
    if (argument->name[0] == '_')
        return take_joined(query, argument->name, argument->value, fault);
    if (minor < 75)
        return 0; /* what Nova has never heard of it passed over, until then */
    return fault_set(fault, FAULT_MALFORMED,
                     "Invalid input for query parameters. Additional properties are not allowed "
                     "('%.80s' was unexpected)",
                     argument->name);
}

int nova_query_parse(const struct http_argument *arguments, size_t count, unsigned minor,
                     struct nova_query *ret_query, struct fault *fault)
{
    *ret_query = (struct nova_query){.limit = NOVA_LIMIT_MAX};
    for (size_t i = 0; i < count; i++) {
        if (take_argument(ret_query, &arguments[i], minor, fault) < 0)
            return -1;
    }
    finish_sorts(ret_query);
    if (ret_query->has_status && ret_query->statuses == 0 && minor >= 38)
        return fault_set(fault, FAULT_MALFORMED, "Invalid status value");
    return 0;
}

void nova_query_clear(struct nova_query *query)
{
    for (size_t i = 0; i < query->filter_count; i++) {
        if (query->filters[i].pattern)
            regfree(&query->filters[i].regex);
    }
    query->filter_count = 0;
}

static bool filter_matches(const struct nova_filter *filter, const struct nova_server *server)
{
    const char *text = nova_server_field(server, filter->field);
    if (filter->pattern)
        return regexec(&filter->regex, text, 0, NULL, 0) == 0;
    return strcmp(text, filter->value) == 0;
}

bool nova_query_matches(const struct nova_query *query, const struct nova_server *server)
{
    unsigned bit = NODE_STATUS_BIT(server->state.status);
    bool deleted = server->state.status == NODE_DELETED;
    if (query->has_status ? (query->statuses & bit) == 0 : deleted != query->deleted)
        return false;
    if (query->has_locked && query->locked != server->state.locked)
        return false;
    for (size_t i = 0; i < query->filter_count; i++) {
        if (!filter_matches(&query->filters[i], server))
            return false;
    }
    return true;
}

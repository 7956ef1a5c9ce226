/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes as Ironic shows them. What nmid does not know of a machine is null, or empty where Ironic
 * always has a list or an object: clients look into them without asking. */
#include <stdlib.h>
#include <string.h>

#include "contracts/body.h"
#include "contracts/ironic_api_state.h"
#include "contracts/ready.h"
#include "core/driver.h"

enum kind {
    KIND_NULL,
    KIND_NULL_DATE, /* null, and a list may be sorted by it */
    KIND_FALSE,
    KIND_EMPTY,
    KIND_OBJECT,
    KIND_LIST,
    KIND_UUID,
    KIND_NAME,
    KIND_INSTANCE,
    KIND_DRIVER,
    KIND_DRIVER_INFO,
    KIND_OWNER,
    KIND_LESSEE,
    KIND_RESERVATION,
    KIND_STATE,
    KIND_LINKS,
};

/* In the order and with the versions of Ironic 21.4. "ports", "states" and the like, links to what
 * nmid has not, are left out. */
static const struct field {
    const char *name;
    unsigned since;
    enum kind kind;
} fields[] = {
    {"uuid", 1, KIND_UUID},
    {"created_at", 1, KIND_NULL_DATE},
    {"updated_at", 1, KIND_NULL_DATE},
    {"automated_clean", 47, KIND_NULL},
    {"bios_interface", 40, KIND_NULL},
    {"boot_interface", 31, KIND_NULL},
    {"boot_mode", 75, KIND_NULL},
    {"clean_step", 7, KIND_OBJECT},
    {"conductor_group", 46, KIND_EMPTY},
    {"console_enabled", 1, KIND_FALSE},
    {"console_interface", 31, KIND_NULL},
    {"deploy_interface", 31, KIND_NULL},
    {"deploy_step", 44, KIND_OBJECT},
    {"description", 51, KIND_NULL},
    {"driver", 1, KIND_DRIVER},
    {"driver_info", 1, KIND_DRIVER_INFO},
    {"driver_internal_info", 3, KIND_OBJECT},
    {"extra", 1, KIND_OBJECT},
    {"fault", 42, KIND_NULL},
    {"inspection_finished_at", 6, KIND_NULL_DATE},
    {"inspection_started_at", 6, KIND_NULL_DATE},
    {"inspect_interface", 31, KIND_NULL},
    {"instance_info", 1, KIND_OBJECT},
    {"instance_uuid", 1, KIND_INSTANCE},
    {"last_error", 1, KIND_NULL},
    {"lessee", 65, KIND_LESSEE},
    {"maintenance", 1, KIND_FALSE},
    {"maintenance_reason", 1, KIND_NULL},
    {"management_interface", 31, KIND_NULL},
    {"name", 5, KIND_NAME},
    {"network_data", 66, KIND_OBJECT},
    {"network_interface", 20, KIND_NULL},
    {"owner", 50, KIND_OWNER},
    {"power_interface", 31, KIND_NULL},
    {"power_state", 1, KIND_NULL},
    {"properties", 1, KIND_OBJECT},
    {"protected", 48, KIND_FALSE},
    {"protected_reason", 48, KIND_NULL},
    {"provision_state", 1, KIND_STATE},
    {"provision_updated_at", 1, KIND_NULL_DATE},
    {"raid_config", 12, KIND_OBJECT},
    {"raid_interface", 31, KIND_NULL},
    {"rescue_interface", 38, KIND_NULL},
    {"reservation", 1, KIND_RESERVATION},
    {"resource_class", 21, KIND_NULL},
    {"retired", 61, KIND_FALSE},
    {"retired_reason", 61, KIND_NULL},
    {"secure_boot", 75, KIND_NULL},
    {"shard", 82, KIND_NULL},
    {"storage_interface", 33, KIND_NULL},
    {"target_power_state", 1, KIND_NULL},
    {"target_provision_state", 1, KIND_NULL},
    {"target_raid_config", 12, KIND_OBJECT},
    {"traits", 37, KIND_LIST},
    {"vendor_interface", 31, KIND_NULL},
    {"links", 1, KIND_LINKS},
    {"conductor", 49, KIND_NULL},
    {"allocation_uuid", 52, KIND_NULL},
    {"chassis_uuid", 1, KIND_NULL},
};

#define FIELDS ((int)(sizeof fields / sizeof fields[0]))
_Static_assert(sizeof fields / sizeof fields[0] <= 64, "a bit for each");

int ironic_field_find(const char *name, size_t len)
{
    for (int i = 0; i < FIELDS; i++) {
        if (strlen(fields[i].name) == len && memcmp(fields[i].name, name, len) == 0)
            return i;
    }
    return -1;
}

unsigned ironic_field_since(int field)
{
    return fields[field].since;
}

bool ironic_field_sorts(int field)
{
    enum kind kind = fields[field].kind;
    return kind != KIND_OBJECT && kind != KIND_LIST && kind != KIND_DRIVER_INFO &&
           kind != KIND_LINKS;
}

ironic_fields ironic_fields_of(unsigned minor)
{
    ironic_fields all = 0;
    for (int i = 0; i < FIELDS; i++) {
        if (fields[i].since <= minor)
            all |= IRONIC_FIELD(i);
    }
    return all;
}

/* ---- The state ---- */

static const char *const provision_states[] = {
    "active",          "deploying",    "wait call-back", "deploy failed", "deploy hold",
    "available",       "enroll",       "manageable",     "verifying",     "cleaning",
    "clean wait",      "clean failed", "clean hold",     "deleting",      "error",
    "inspecting",      "inspect wait", "inspect failed", "adopting",      "adopt failed",
    "rescue",          "rescuing",     "rescue wait",    "rescue failed", "unrescuing",
    "unrescue failed",
};

bool ironic_is_provision_state(const char *name)
{
    for (size_t i = 0; i < sizeof provision_states / sizeof provision_states[0]; i++) {
        if (strcmp(provision_states[i], name) == 0)
            return true;
    }
    return false;
}

/* Where Ironic itself is not the source: its word for a machine whose server is in that state. */
static const char *from_status(enum node_status status)
{
    switch (status) {
    case NODE_ACTIVE:
    case NODE_PAUSED:
    case NODE_RESIZED:
    case NODE_SHELVED:
    case NODE_SHUTOFF:
    case NODE_SUSPENDED:
    case NODE_SOFT_DELETED:
        return "active"; /* a server is on it, whatever Nova calls its state */
    case NODE_BUILD:
        return "deploying";
    case NODE_ERROR:
        return "error";
    case NODE_RESCUED:
        return "rescue";
    case NODE_SHELVED_OFFLOADED:
    case NODE_DELETED:
        return "available"; /* no server is on it */
    case NODE_UNKNOWN:
    case NODE_STATUSES:
        break;
    }
    return "enroll"; /* nothing is known of it: Ironic's first state. Null would mean available */
}

const char *ironic_provision_state(const struct node_state *state)
{
    return state->provision_state != NULL ? state->provision_state : from_status(state->status);
}

/* ---- A node ---- */

const char *ironic_field_text(int field, const struct node *node, const struct node_state *state)
{
    switch (fields[field].kind) {
    case KIND_UUID:
        return node->uuid;
    case KIND_NAME:
        return node->name;
    case KIND_INSTANCE:
        return state->instance_uuid;
    case KIND_DRIVER:
        return node->driver->name;
    case KIND_OWNER:
        return state->owners.project_ids[0];
    case KIND_LESSEE:
        return state->owners.project_ids[1];
    case KIND_RESERVATION:
        return state->reservation;
    case KIND_STATE:
        return ironic_provision_state(state);
    case KIND_EMPTY:
        return "";
    default:
        return NULL;
    }
}

static json_t *links_json(const struct node *node, const char *base)
{
    return json_pack("[{s:o, s:s}]", "href", json_sprintf("%s/v1/nodes/%s", base, node->uuid),
                     "rel", "self");
}

static json_t *field_json(int field, const struct node *node, const struct node_state *state,
                          unsigned minor, const char *base)
{
    const char *text = ironic_field_text(field, node, state);
    switch (fields[field].kind) {
    case KIND_FALSE:
        return json_false();
    case KIND_OBJECT:
        return json_object();
    case KIND_LIST:
        return json_array();
    case KIND_DRIVER_INFO:
        return node->driver->info_json != NULL ? node->driver->info_json(node->driver_info)
                                               : json_object();
    case KIND_LINKS:
        return links_json(node, base);
    case KIND_STATE: /* 1.1 had no word for it */
        return minor < 2 && strcmp(text, "available") == 0 ? json_null() : json_string(text);
    default:
        return text != NULL ? body_text(text) : json_null();
    }
}

json_t *ironic_node_json(const struct node *node, const struct node_state *state,
                         ironic_fields shown, unsigned minor, const char *base)
{
    json_t *object = json_object();
    for (int i = 0; object != NULL && i < FIELDS; i++) {
        if (shown & IRONIC_FIELD(i))
            json_object_set_new(object, fields[i].name, field_json(i, node, state, minor, base));
    }
    return object;
}

bool ironic_take_fields(struct http_exchange *exchange, const char *list, unsigned minor,
                        ironic_fields *ret_fields)
{
    ironic_fields asked = IRONIC_FIELD(ironic_field_find("links", 5));
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ",");
        int field = ironic_field_find(at, len);
        if (len > 0 && field < 0) {
            ironic_malformed(exchange, "Field %.*s is not a valid field.",
                             (int)(len < 100 ? len : 100), at);
            return false;
        }
        if (len > 0 && fields[field].since > minor) {
            ironic_not_acceptable(exchange, 0);
            return false;
        }
        if (len > 0)
            asked |= IRONIC_FIELD(field);
        at += len;
        at += *at == ',';
    }
    *ret_fields = asked;
    return true;
}

/* ---- One node ---- */

/* The node of the path, when the caller may read it. NULL when the error is answered, or when the
 * node's state is not there yet: then `again` is called with the exchange. */
static struct node *take_node(struct ironic_api *api, struct http_exchange *exchange,
                              unsigned minor, const char *rule, http_handler_fn *again,
                              struct node_state *ret_state)
{
    struct fault fault = {0};
    const struct access access = {ironic_take_ident(exchange), http_principal(exchange),
                                  POLICY_READ, "show", ironic_contract.name, NULL};
    if (access.ident == NULL)
        return NULL;
    if (minor < ironic_field_since(ironic_field_find("name", 4)) && !uuid_valid(access.ident)) {
        fault_set(&fault, FAULT_NODE_NOT_FOUND, "names came with 1.5");
        ironic_refuse(exchange, rule, &fault);
        return NULL;
    }
    if (!ready_for(api->engine, exchange, &access.ident, 1, again, api))
        return NULL;
    struct node *node = engine_find(api->engine, &access, ret_state, &fault);
    if (node == NULL)
        ironic_refuse(exchange, rule, &fault);
    return node;
}

/* "fields" alone may be asked for. */
static bool take_only_fields(struct http_exchange *exchange, unsigned minor,
                             ironic_fields *ret_fields)
{
    size_t count = 0;
    const struct http_argument *arguments = http_arguments(exchange, &count);
    *ret_fields = ironic_fields_of(minor);
    if (count != 1 || strcmp(arguments[0].name, "fields") != 0)
        return ironic_no_arguments(exchange, NULL);
    if (minor < 8) {
        ironic_not_acceptable(exchange, 0);
        return false;
    }
    return ironic_take_fields(exchange, arguments[0].value, minor, ret_fields);
}

void ironic_on_node(void *self, struct http_exchange *exchange)
{
    char base[HTTP_BASE_MAX];
    unsigned minor;
    ironic_fields shown;
    struct node_state state;
    if (!ironic_take_version(exchange, &minor) || !take_only_fields(exchange, minor, &shown))
        return;
    const struct node *node = take_node(self, exchange, minor, "get", ironic_on_node, &state);
    if (node != NULL)
        http_answer(exchange, 200,
                    ironic_node_json(node, &state, shown, minor, http_base_url(exchange, base)));
}

/* Of Ironic's interfaces, nmid has management; and of that, inject_nmi. */
void ironic_on_validate(void *self, struct http_exchange *exchange)
{
    static const char *const absent[] = {"boot",    "deploy",  "network", "power",  "bios",
                                         "console", "inspect", "raid",    "rescue", "storage"};
    unsigned minor;
    struct node_state state;
    if (!ironic_take_version(exchange, &minor) || !ironic_no_arguments(exchange, NULL))
        return;
    const struct node *node =
        take_node(self, exchange, minor, "validate", ironic_on_validate, &state);
    if (node == NULL)
        return;
    const char *driver = node->driver->name;
    json_t *answer = json_object();
    json_object_set_new(
        answer, "management",
        node->driver->has_nmi
            ? json_pack("{s:b}", "result", 1)
            : json_pack("{s:b, s:o}", "result", 0, "reason",
                        json_sprintf("Driver %s does not support inject_nmi (disabled or not "
                                     "implemented).",
                                     driver)));
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        json_object_set_new(answer, absent[i],
                            json_pack("{s:b, s:o}", "result", 0, "reason",
                                      json_sprintf("Driver %s does not support %s (disabled or not "
                                                   "implemented).",
                                                   driver, absent[i])));
    http_answer(exchange, 200, answer);
}

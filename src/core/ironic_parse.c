/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/ironic_parse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LEN_MAX 255 /* of an owner, a lessee, a conductor's name: Ironic's own limit */

/* Every state that a node of Ironic can be in, as nmid.conf(5) lists them. Where Nova has a server
 * on the machine, it is the vm_state that Nova gives it; BUILD also stands for all of Ironic's own
 * work on the machine, where Nova has a task_state and refuses for that reason; DELETED says that
 * no server is on it. BUILD, DELETED and UNKNOWN allow nothing. */
static const struct state_row {
    const char *provision_state;
    enum node_status status;
} states[] = {
    {"active", NODE_ACTIVE},
    {"error", NODE_ERROR}, /* tearing it down failed */
    {"rescue", NODE_RESCUED},
    /* A server is on it, or was to be, and Ironic's work on it has failed. */
    {"deploy failed", NODE_ERROR},
    {"rescue failed", NODE_ERROR},
    {"unrescue failed", NODE_ERROR},
    {"adopt failed", NODE_ERROR},
    {"service failed", NODE_ERROR},
    /* Ironic is at work on it. */
    {"deploying", NODE_BUILD},
    {"wait call-back", NODE_BUILD},
    {"deploy hold", NODE_BUILD},
    {"rescuing", NODE_BUILD},
    {"rescue wait", NODE_BUILD},
    {"unrescuing", NODE_BUILD},
    {"adopting", NODE_BUILD},
    {"servicing", NODE_BUILD},
    {"service wait", NODE_BUILD},
    {"service hold", NODE_BUILD},
    /* No server is on it: not yet, or no more. */
    {"deleting", NODE_DELETED},
    {"cleaning", NODE_DELETED},
    {"clean wait", NODE_DELETED},
    {"clean hold", NODE_DELETED},
    {"clean failed", NODE_DELETED},
    {"enroll", NODE_DELETED},
    {"verifying", NODE_DELETED},
    {"manageable", NODE_DELETED},
    {"available", NODE_DELETED},
    {"inspecting", NODE_DELETED},
    {"inspect wait", NODE_DELETED},
    {"inspect failed", NODE_DELETED},
};

enum node_status ironic_status(const char *provision_state)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(states[i].provision_state, provision_state) == 0)
            return states[i].status;
    }
    return NODE_UNKNOWN;
}

void ironic_node_clear(struct ironic_node *node)
{
    free(node->owner);
    free(node->lessee);
    free(node->reservation);
    *node = (struct ironic_node){0};
}

void ironic_page_clear(struct ironic_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        ironic_node_clear(&page->nodes[i]);
    free(page->nodes);
    *page = (struct ironic_page){0};
}

/* A field that is a string or null; *ret_text is borrowed, NULL for null. */
static int take_text(const json_t *object, const char *key, const char **ret_text,
                     struct fault *fault)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL)
        return fault_set(fault, FAULT_STATE_SOURCE, "a node in the answer has no \"%s\"", key);
    if (json_is_null(value)) {
        *ret_text = NULL;
        return 0;
    }
    if (!json_is_string(value) || json_string_length(value) > TEXT_LEN_MAX)
        return fault_set(fault, FAULT_STATE_SOURCE,
                         "\"%s\" of a node in the answer is not a text of at most %d bytes", key,
                         TEXT_LEN_MAX);
    *ret_text = json_string_value(value);
    return 0;
}

/* A copy, NULL for nothing: nobody's project and nobody's name is the empty one. */
static int take_copy(const json_t *object, const char *key, char **ret_copy, struct fault *fault)
{
    const char *text;
    if (take_text(object, key, &text, fault) < 0)
        return -1;
    if (text == NULL || text[0] == '\0')
        return 0;
    if ((*ret_copy = strdup(text)) == NULL)
        return fault_set(fault, FAULT_STATE_SOURCE, "out of memory");
    return 0;
}

static int take_state(const json_t *object, struct ironic_node *node, struct fault *fault)
{
    const char *state;
    if (take_text(object, "provision_state", &state, fault) < 0)
        return -1;
    node->status = NODE_UNKNOWN;
    if (state == NULL || strlen(state) >= sizeof node->provision_state)
        return 0;
    memcpy(node->provision_state, state, strlen(state) + 1);
    node->status = ironic_status(state);
    return 0;
}

/* Ironic writes a sentence in place of what nmid's user may not read. Taken for a conductor's name
 * it would refuse every request without telling why. */
static int check_redacted(const struct ironic_node *node, struct fault *fault)
{
    if (node->reservation == NULL || strncmp(node->reservation, "** ", 3) != 0)
        return 0;
    return fault_set(fault, FAULT_STATE_SOURCE,
                     "nmid's user at Ironic may not read reservations (policy "
                     "baremetal:node:get:reservation)");
}

static int take_node(const json_t *object, struct ironic_node *node, struct fault *fault)
{
    const char *uuid, *instance;
    if (!json_is_object(object))
        return fault_set(fault, FAULT_STATE_SOURCE, "a node in the answer is no JSON object");
    if (take_text(object, "uuid", &uuid, fault) < 0 ||
        take_text(object, "instance_uuid", &instance, fault) < 0)
        return -1;
    if (uuid == NULL || !uuid_valid(uuid))
        return fault_set(fault, FAULT_STATE_SOURCE, "a node in the answer has no valid \"uuid\"");
    uuid_copy(node->uuid, uuid);
    if (instance != NULL && uuid_valid(instance))
        uuid_copy(node->instance_uuid, instance);
    return take_state(object, node, fault) < 0 ||
                   take_copy(object, "owner", &node->owner, fault) < 0 ||
                   take_copy(object, "lessee", &node->lessee, fault) < 0 ||
                   take_copy(object, "reservation", &node->reservation, fault) < 0 ||
                   check_redacted(node, fault) < 0
               ? -1
               : 0;
}

static json_t *parse(const char *text, size_t len, struct fault *fault)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fault_set(fault, FAULT_STATE_SOURCE, "the answer is no JSON: line %d, column %d",
                  error.line, error.column);
    return root;
}

int ironic_parse_node(const char *text, size_t len, struct ironic_node *ret_node,
                      struct fault *fault)
{
    struct ironic_node node = {0};
    json_t *root = parse(text, len, fault);
    int result = root == NULL ? -1 : take_node(root, &node, fault);
    json_decref(root);
    if (result < 0)
        ironic_node_clear(&node);
    else
        *ret_node = node;
    return result;
}

static int take_page(const json_t *root, struct ironic_page *page, struct fault *fault)
{
    const json_t *nodes = json_object_get(root, "nodes");
    const json_t *next = json_object_get(root, "next");
    if (!json_is_array(nodes))
        return fault_set(fault, FAULT_STATE_SOURCE, "the answer has no list \"nodes\"");
    size_t count = json_array_size(nodes);
    if (count > IRONIC_PAGE_LIMIT)
        return fault_set(fault, FAULT_STATE_SOURCE, "the answer has more than %d nodes",
                         IRONIC_PAGE_LIMIT);
    if ((page->nodes = calloc(count + 1, sizeof *page->nodes)) == NULL)
        return fault_set(fault, FAULT_STATE_SOURCE, "out of memory");
    for (size_t i = 0; i < count; i++) {
        page->count++;
        if (take_node(json_array_get(nodes, i), &page->nodes[i], fault) < 0)
            return -1;
    }
    page->more = count > 0 && next != NULL && !json_is_null(next);
    return 0;
}

int ironic_parse_page(const char *text, size_t len, struct ironic_page *ret_page,
                      struct fault *fault)
{
    struct ironic_page page = {0};
    json_t *root = parse(text, len, fault);
    int result = root == NULL ? -1 : take_page(root, &page, fault);
    json_decref(root);
    if (result < 0)
        ironic_page_clear(&page);
    else
        *ret_page = page;
    return result;
}

/* {"error_message": "{\"faultstring\": \"Node UUID could not be found.\", ...}"}: a string that
 * holds JSON; in later releases an object. The sentence may be in another language. */
bool ironic_parse_absent(const char *text, size_t len, const char *uuid)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *message = json_object_get(root, "error_message");
    json_t *inner = json_is_string(message)
                        ? json_loads(json_string_value(message), JSON_REJECT_DUPLICATES, NULL)
                        : json_deep_copy(message);
    const char *sentence = json_string_value(json_object_get(inner, "faultstring"));
    bool absent = sentence != NULL && strstr(sentence, uuid) != NULL;
    json_decref(inner);
    json_decref(root);
    return absent;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic's answers, from whoever stands in its place. What is taken must be whole: valid UUIDs, a
 * state of the table, owners that are somebody. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/ironic_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_node(const struct ironic_node *node)
{
    require(uuid_valid(node->uuid));
    require(node->instance_uuid[0] == '\0' || uuid_valid(node->instance_uuid));
    require(node->status == ironic_status(node->provision_state));
    require(node->owner == NULL || node->owner[0] != '\0');
    require(node->lessee == NULL || node->lessee[0] != '\0');
    require(node->reservation == NULL || strlen(node->reservation) <= 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ironic_node node;
    struct ironic_page page;
    struct fault fault = {0}, page_fault = {0};
    if (ironic_parse_node(text, size, &node, &fault) == 0) {
        check_node(&node);
        ironic_node_clear(&node);
    } else {
        require(fault.code == FAULT_STATE_SOURCE && fault.message[0] != '\0');
    }
    if (ironic_parse_page(text, size, &page, &page_fault) == 0) {
        require(!page.more || page.count > 0);
        for (size_t i = 0; i < page.count; i++)
            check_node(&page.nodes[i]);
        ironic_page_clear(&page);
    } else {
        require(page_fault.code == FAULT_STATE_SOURCE && page_fault.message[0] != '\0');
    }
    ironic_parse_absent(text, size, "1be26c0b-03f2-4d2e-ae87-c02d7f33c781");
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing the arguments of Nova's list of servers: the first byte is the microversion, the rest the
 * query. What is taken must find, order and end in good time, also with names made for the worst.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "contracts/ironic_version.h"
#include "contracts/nova_query.h"
#include "core/node.h"
#include "http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVERS 4

static struct node *nodes[SERVERS];
static struct nova_server servers[SERVERS];

static void require(int condition)
{
    if (!condition)
        abort();
}

static void make_servers(void)
{
    char longest[256];
    memset(longest, 'a', 255);
    longest[255] = '\0';
    const char *const names[SERVERS] = {"a", "node-1.example", "", longest};
    for (size_t i = 0; i < SERVERS; i++) {
        struct node *node = nodes[i] = node_new();
        require(node != NULL && (node->name = strdup(names[i])) != NULL);
        strcpy(node->uuid, "00000000-0000-4000-8000-000000000000");
        servers[i].node = node;
        servers[i].state.status = NODE_ACTIVE;
    }
}

static void check_query(const struct http_argument *arguments, size_t count, unsigned minor)
{
    struct nova_query query;
    struct fault fault = {0};
    int result = nova_query_parse(arguments, count, minor, &query, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    require(fault.code == FAULT_NONE || fault.code == FAULT_MALFORMED);
    for (size_t i = 0; result == 0 && i < SERVERS; i++) {
        nova_query_matches(&query, &servers[i]);
        for (size_t k = 0; k < SERVERS; k++) {
            int one = nova_query_compare(&servers[i], &servers[k], &query);
            int other = nova_query_compare(&servers[k], &servers[i], &query);
            require((one > 0) == (other < 0) && (one == 0) == (other == 0));
        }
    }
    if (result == 0)
        require(query.limit <= NOVA_LIMIT_MAX);
    nova_query_clear(&query);
}

static void check_version(const char *text)
{
    struct fault fault = {0};
    unsigned minor = 0;
    int result = ironic_version_parse(text, &minor, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    require(result < 0 || (minor >= 1 && minor <= IRONIC_MINOR_MAXIMUM));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_argument *arguments = NULL;
    size_t count = 0;
    if (size == 0)
        return 0;
    if (nodes[0] == NULL)
        make_servers();
    char *text = strndup((const char *)data + 1, size - 1);
    require(text != NULL);
    check_version(text);
    if (route_query(text, &arguments, &count) == 0) {
        check_query(arguments, count, data[0]);
        route_query_free(arguments, count);
    }
    free(text);
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing: the bytes are a host list. What it makes are names, not too many and each of them once
 * after hostlist_unique(); what is refused says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cli/hostlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_names(const struct hostlist *list)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t length = strlen(list->names[i]);
        require(length > 0 && length <= HOSTLIST_NAME_MAX);
        require(strpbrk(list->names[i], "[],") == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hostlist list = {0};
    struct fault fault = {0};
    char *text = strndup((const char *)data, size);
    require(text != NULL);
    int rc = hostlist_add(&list, text, &fault);
    require((rc == 0) == (fault.code == FAULT_NONE));
    require(rc == 0 || (fault.code == FAULT_USAGE && fault.message[0] != '\0'));
    require(list.count <= HOSTLIST_MAX && (rc < 0 || list.count > 0));
    check_names(&list);
    size_t before = list.count;
    require(hostlist_unique(&list, &fault) == 0);
    require(list.count <= before && (before == 0 || list.count > 0));
    for (size_t i = 1; i < list.count && i < 16; i++)
        require(strcmp(list.names[0], list.names[i]) != 0);
    hostlist_clear(&list);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_memory.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"

#define ROUND_TRIP_MAX 2000000

struct ipmi_memory {
    struct map *known;
};

struct ipmi_memory *ipmi_memory_new(void)
{
    struct ipmi_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL || (memory->known = map_new()) == NULL) {
        free(memory);
        return NULL;
    }
    return memory;
}

static void free_all(struct map *map)
{
    size_t position = 0;
    for (struct ipmi_known *known; (known = map_next(map, &position)) != NULL; free(known))
        free(known->target);
    map_free(map);
}

void ipmi_memory_free(struct ipmi_memory *memory)
{
    if (memory == NULL)
        return;
    free_all(memory->known);
    free(memory);
}

void ipmi_memory_clear(struct ipmi_memory *memory)
{
    size_t position = 0;
    for (struct ipmi_known *known; (known = map_next(memory->known, &position)) != NULL;) {
        known->suite = 0;
        known->has_2_0 = false;
        known->round_trip = 0;
    }
}

const struct ipmi_known *ipmi_memory_find(const struct ipmi_memory *memory, const char *target)
{
    return map_get(memory->known, target);
}

static struct ipmi_known *find_or_make(struct ipmi_memory *memory, const char *target)
{
    struct ipmi_known *known = map_get(memory->known, target);
    if (known != NULL)
        return known;
    known = calloc(1, sizeof *known);
    if (known == NULL || (known->target = strdup(target)) == NULL ||
        map_put(memory->known, known->target, known) < 0) {
        if (known != NULL)
            free(known->target);
        free(known);
        return NULL;
    }
    return known;
}

void ipmi_memory_keep(struct ipmi_memory *memory, const char *target,
                      const struct ipmi_session *session, int64_t now)
{
    struct ipmi_known *known = find_or_make(memory, target);
    if (known == NULL)
        return;
    known->ended_at = now;
    if (!session->open)
        return;
    known->suite = session->channel.suite;
    known->has_2_0 = !session->channel.ipmi_1_5;
    known->round_trip = session->round_trip < ROUND_TRIP_MAX ? session->round_trip : ROUND_TRIP_MAX;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open addressing with linear probing; removal shifts entries back, so there are no tombstones.
 * The hash is FNV-1a over a random seed and finished with a 64-bit mixer. */
#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"

struct entry {
    const char *key; /* NULL: empty */
    void *value;
    uint64_t hash;
};

struct map {
    struct entry *entries;
    size_t size; /* a power of two */
    size_t count;
    uint64_t seed;
};

#define FIRST_SIZE 16

static uint64_t hash_key(const struct map *map, const char *key)
{
    uint64_t h = map->seed ^ 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++) {
        h = (h ^ *p) * 0x100000001b3u;
        h ^= h >> 29;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return h;
}

struct map *map_new(void)
{
    struct map *map = calloc(1, sizeof *map);
    if (map == NULL)
        return NULL;
    map->entries = calloc(FIRST_SIZE, sizeof *map->entries);
    if (map->entries == NULL) {
        free(map);
        return NULL;
    }
    map->size = FIRST_SIZE;
    secret_random(&map->seed, sizeof map->seed);
    return map;
}

void map_free(struct map *map)
{
    if (map == NULL)
        return;
    free(map->entries);
    free(map);
}

/* The slot of key, or the empty slot where it would go. */
static size_t find_slot(const struct map *map, const char *key, uint64_t hash)
{
    size_t i = hash & (map->size - 1);
    while (map->entries[i].key != NULL) {
        if (map->entries[i].hash == hash && strcmp(map->entries[i].key, key) == 0)
            break;
        i = (i + 1) & (map->size - 1);
    }
    return i;
}

static int grow(struct map *map)
{
    size_t old_size = map->size;
    struct entry *old = map->entries;
    struct entry *entries = calloc(old_size * 2, sizeof *entries);
    if (entries == NULL)
        return -1;
    map->entries = entries;
    map->size = old_size * 2;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].key != NULL)
            entries[find_slot(map, old[i].key, old[i].hash)] = old[i];
    }
    free(old);
    return 0;
}

void *map_get(const struct map *map, const char *key)
{
    size_t i = find_slot(map, key, hash_key(map, key));
    return map->entries[i].key == NULL ? NULL : map->entries[i].value;
}

int map_put(struct map *map, const char *key, void *value)
{
    uint64_t hash = hash_key(map, key);
    size_t i = find_slot(map, key, hash);
    if (map->entries[i].key == NULL) {
        if ((map->count + 1) * 3 > map->size * 2) {
            if (grow(map) < 0)
                return -1;
            i = find_slot(map, key, hash);
        }
        map->count++;
    }
    map->entries[i] = (struct entry){key, value, hash};
    return 0;
}

void *map_remove(struct map *map, const char *key)
{
    size_t mask = map->size - 1;
    size_t hole = find_slot(map, key, hash_key(map, key));
    if (map->entries[hole].key == NULL)
        return NULL;
    void *value = map->entries[hole].value;
    map->count--;
    for (size_t i = (hole + 1) & mask; map->entries[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;
        /* An entry may fill the hole only if its home is not between the hole and itself. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct entry){0};
    return value;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

void *map_next(const struct map *map, size_t *position)
{
    while (*position < map->size) {
        const struct entry *entry = &map->entries[(*position)++];
        if (entry->key != NULL)
            return entry->value;
    }
    return NULL;
}

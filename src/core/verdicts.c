/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/verdicts.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/map.h"

struct entry {
    struct entry *older, *newer; /* by use */
    struct verdict verdict;
    char hash[DIGEST_SHA256_TEXT];
};

struct verdicts {
    struct map *map;
    size_t max;
    struct entry *oldest, *newest;
};

static void entry_unlink(struct verdicts *verdicts, struct entry *entry)
{
    *(entry->older != NULL ? &entry->older->newer : &verdicts->oldest) = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &verdicts->newest) = entry->older;
}

static void entry_append(struct verdicts *verdicts, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = verdicts->newest;
    *(entry->older != NULL ? &entry->older->newer : &verdicts->oldest) = entry;
    verdicts->newest = entry;
}

static void entry_drop(struct verdicts *verdicts, struct entry *entry)
{
    map_remove(verdicts->map, entry->hash);
    entry_unlink(verdicts, entry);
    identity_unref(entry->verdict.identity);
    free(entry);
}

struct verdicts *verdicts_new(size_t max)
{
    struct verdicts *verdicts = calloc(1, sizeof *verdicts);
    if (verdicts == NULL)
        return NULL;
    verdicts->max = max;
    verdicts->map = map_new();
    if (verdicts->map == NULL) {
        free(verdicts);
        return NULL;
    }
    return verdicts;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (verdicts == NULL)
        return;
    while (verdicts->oldest != NULL)
        entry_drop(verdicts, verdicts->oldest);
    map_free(verdicts->map);
    free(verdicts);
}

const struct verdict *verdicts_get(struct verdicts *verdicts, const char *hash)
{
    struct entry *entry = map_get(verdicts->map, hash);
    if (entry == NULL)
        return NULL;
    const struct verdict *verdict = &entry->verdict;
    if (clock_mono_us() >= verdict->until ||
        (verdict->until_wall != 0 && clock_wall_us() >= verdict->until_wall)) {
        entry_drop(verdicts, entry);
        return NULL;
    }
    entry_unlink(verdicts, entry);
    entry_append(verdicts, entry);
    return verdict;
}

void verdicts_put(struct verdicts *verdicts, const char hash[DIGEST_SHA256_TEXT],
                  const struct verdict *verdict)
{
    struct entry *entry = map_get(verdicts->map, hash);
    if (entry != NULL)
        entry_drop(verdicts, entry);
    while (verdicts->oldest != NULL && map_count(verdicts->map) >= verdicts->max)
        entry_drop(verdicts, verdicts->oldest);
    if (verdicts->max == 0 || (entry = calloc(1, sizeof *entry)) == NULL)
        return;
    memcpy(entry->hash, hash, sizeof entry->hash);
    entry->verdict = *verdict;
    if (map_put(verdicts->map, entry->hash, entry) < 0) {
        free(entry);
        return;
    }
    if (entry->verdict.identity != NULL)
        identity_ref(entry->verdict.identity);
    entry_append(verdicts, entry);
}

size_t verdicts_count(const struct verdicts *verdicts)
{
    return map_count(verdicts->map);
}

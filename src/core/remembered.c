/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/remembered.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/map.h"

#define ENTRIES_MAX 4096
#define KNOWN_US    INT64_C(86400000000)

/* Oldest first: all live equally long. */
struct entry {
    char digest[DIGEST_SHA256_TEXT];
    int64_t until_us, known_until_us;
    struct entry *next;
};

struct remembered {
    int64_t cache_us;
    struct map *map; /* by digest; the newest of each */
    struct entry *oldest, **newest_end;
    size_t count;
};

struct remembered *remembered_new(unsigned cache_s)
{
    struct remembered *remembered = calloc(1, sizeof *remembered);
    if (remembered == NULL || (remembered->map = map_new()) == NULL) {
        free(remembered);
        return NULL;
    }
    remembered->cache_us = cache_s * INT64_C(1000000);
    remembered->newest_end = &remembered->oldest;
    return remembered;
}

static void forget_oldest(struct remembered *remembered)
{
    struct entry *oldest = remembered->oldest;
    if (map_get(remembered->map, oldest->digest) == oldest)
        map_remove(remembered->map, oldest->digest);
    if ((remembered->oldest = oldest->next) == NULL)
        remembered->newest_end = &remembered->oldest;
    remembered->count--;
    free(oldest);
}

void remembered_free(struct remembered *remembered)
{
    if (remembered == NULL)
        return;
    while (remembered->oldest != NULL)
        forget_oldest(remembered);
    map_free(remembered->map);
    free(remembered);
}

static const struct entry *find(struct remembered *remembered, const char *digest)
{
    int64_t now_us = clock_mono_us();
    while (remembered->oldest != NULL && remembered->oldest->known_until_us <= now_us)
        forget_oldest(remembered);
    return map_get(remembered->map, digest);
}

bool remembered_knows(struct remembered *remembered, const char *digest)
{
    return find(remembered, digest) != NULL;
}

bool remembered_believes(struct remembered *remembered, const char *digest)
{
    const struct entry *entry = find(remembered, digest);
    return entry != NULL && clock_mono_us() < entry->until_us;
}

void remembered_add(struct remembered *remembered, const char *digest)
{
    if (remembered->cache_us == 0 || remembered_believes(remembered, digest))
        return;
    if (remembered->count == ENTRIES_MAX)
        forget_oldest(remembered);
    struct entry *newest = calloc(1, sizeof *newest);
    if (newest == NULL)
        return;
    memcpy(newest->digest, digest, sizeof newest->digest);
    newest->until_us = clock_mono_us() + remembered->cache_us;
    newest->known_until_us = newest->until_us + (remembered->cache_us < KNOWN_US ? KNOWN_US : 0);
    if (map_put(remembered->map, newest->digest, newest) < 0) {
        free(newest);
        return;
    }
    *remembered->newest_end = newest;
    remembered->newest_end = &newest->next;
    remembered->count++;
}

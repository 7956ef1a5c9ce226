/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks of 64 KiB, each cut into slots of one size; what is larger than a slot can be has a
 * mapping of its own. A mapping begins at a multiple of 64 KiB with its header, so that the header
 * of any address within the first 64 KiB is found by its bits. Pages are locked when they are first
 * touched: a chunk that holds one secret costs one page. */
#include "base/vault.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP 1
#endif
#endif
#ifndef HEAP
#define HEAP 0
#endif

#define CHUNK  ((size_t)65536)
#define HEADER ((size_t)64) /* at the start of a chunk */
#define MAGIC  UINT64_C(0x6e6d69645661756c)

/* What waste there is: a third of a slot at most. */
static const unsigned slot_sizes[] = {32,  48,  64,  96,   128,  192, 256,
                                      384, 512, 768, 1024, 1536, 2048};
#define SIZES (sizeof slot_sizes / sizeof slot_sizes[0])

struct chunk {
    uint64_t magic;
    struct chunk *next, **link; /* in rooms, while it has room; else link is NULL */
    void *given_back;           /* a list through the first bytes of such slots */
    size_t mapped;
    unsigned size;               /* index of slot_sizes; SIZES: one piece of memory */
    unsigned used, fresh, slots; /* now in use; never used begin here; in all */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *rooms[SIZES]; /* chunks of this size with a free slot */
static atomic_bool unlocked;

_Static_assert(sizeof(struct chunk) <= HEADER, "the header has its place");

/* ---- Mappings ---- */

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* mlock2() is missing before Linux 4.4 and in some sandboxes. */
static void protect(void *bytes, size_t size)
{
    int result = mlock2(bytes, size, MLOCK_ONFAULT);
    if (result < 0 && (errno == ENOSYS || errno == EINVAL))
        result = mlock(bytes, size);
    if (madvise(bytes, size, MADV_DONTDUMP) < 0 || result < 0)
        atomic_store(&unlocked, true);
}

/* size is in whole pages. Maps one chunk more, and gives back what lies before and behind. */
static struct chunk *map(size_t size)
{
    uint8_t *start =
        mmap(NULL, size + CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    size_t before = (CHUNK - (uintptr_t)start % CHUNK) % CHUNK, behind = CHUNK - before;
    if (before > 0)
        munmap(start, before);
    if (behind > 0)
        munmap(start + before + size, behind);
    struct chunk *chunk = (void *)(start + before);
    protect(chunk, size);
    chunk->magic = MAGIC;
    chunk->mapped = size;
    return chunk;
}

/* ---- Slots ---- */

static void rooms_add(struct chunk *chunk)
{
    chunk->link = &rooms[chunk->size];
    chunk->next = rooms[chunk->size];
    if (chunk->next != NULL)
        chunk->next->link = &chunk->next;
    rooms[chunk->size] = chunk;
}

static void rooms_remove(struct chunk *chunk)
{
    *chunk->link = chunk->next;
    if (chunk->next != NULL)
        chunk->next->link = chunk->link;
    chunk->link = NULL;
}

static void *take_slot(unsigned size)
{
    struct chunk *chunk = rooms[size];
    if (chunk == NULL) {
        if ((chunk = map(CHUNK)) == NULL)
            return NULL;
        chunk->size = size;
        chunk->slots = (unsigned)((CHUNK - HEADER) / slot_sizes[size]);
        rooms_add(chunk);
    }
    uint8_t *slot = chunk->given_back;
    if (slot != NULL) {
        memcpy(&chunk->given_back, slot, sizeof chunk->given_back);
        explicit_bzero(slot, sizeof chunk->given_back);
    } else {
        slot = (uint8_t *)chunk + HEADER + (size_t)slot_sizes[size] * chunk->fresh++;
    }
    if (++chunk->used == chunk->slots)
        rooms_remove(chunk);
    return slot;
}

/* A chunk that is empty goes, unless it is the last one with room. */
static void give_slot(struct chunk *chunk, uint8_t *slot)
{
    size_t at = (size_t)(slot - (uint8_t *)chunk) - HEADER;
    if (at % slot_sizes[chunk->size] != 0 || chunk->used == 0)
        abort();
    explicit_bzero(slot, slot_sizes[chunk->size]);
    memcpy(slot, &chunk->given_back, sizeof chunk->given_back);
    chunk->given_back = slot;
    if (chunk->link == NULL)
        rooms_add(chunk);
    if (--chunk->used > 0 || (rooms[chunk->size] == chunk && chunk->next == NULL))
        return;
    rooms_remove(chunk);
    munmap(chunk, chunk->mapped);
}

/* ---- Pieces of memory ---- */

static void *take_large(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    struct chunk *chunk = map(whole_pages(HEADER + size));
    if (chunk == NULL)
        return NULL;
    chunk->size = SIZES;
    return (uint8_t *)chunk + HEADER;
}

static void give_large(struct chunk *chunk)
{
    size_t size = chunk->mapped;
    explicit_bzero(chunk, size);
    munmap(chunk, size);
}

void *vault_take(size_t size)
{
    if (HEAP)
        return calloc(1, size > 0 ? size : 1);
    unsigned i = 0;
    while (i < SIZES && slot_sizes[i] < size)
        i++;
    if (i == SIZES)
        return take_large(size);
    pthread_mutex_lock(&mutex);
    void *bytes = take_slot(i);
    pthread_mutex_unlock(&mutex);
    return bytes;
}

void vault_give(void *bytes)
{
    if (bytes == NULL)
        return;
    if (HEAP) {
        explicit_bzero(bytes, malloc_usable_size(bytes));
        free(bytes);
        return;
    }
    size_t within = (uintptr_t)bytes % CHUNK;
    struct chunk *chunk = (void *)((uint8_t *)bytes - within);
    if (within < HEADER || chunk->magic != MAGIC)
        abort();
    if (chunk->size == SIZES) {
        give_large(chunk);
        return;
    }
    pthread_mutex_lock(&mutex);
    give_slot(chunk, bytes);
    pthread_mutex_unlock(&mutex);
}

bool vault_locked(void)
{
    return !atomic_load(&unlocked);
}

bool vault_locks(void)
{
    return !HEAP;
}

bool vault_lock_process(void)
{
    struct rlimit limit;
    return !HEAP && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY &&
           mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every byte that leaves the heap's use is wiped, whoever had it: passwords and tokens pass through
 * libraries (libconfig's scanner, libcurl's buffers, jansson's strings, libmicrohttpd's and
 * GnuTLS's) that give their copies back as they are, and have no hook. So the whole process has a
 * free() and a realloc() that wipe first, in front of the C library's own. glibc allows that: the
 * manual, "Replacing malloc"; the heap stays glibc's, by its public names __libc_free() and so on.
 *
 * It is not in builds with a sanitizer, which have an allocator of their own. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)

void __libc_free(void *bytes);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

/* glibc writes this into the second word of a small piece of memory that is given back, and looks for
 * it when one is given back twice (glibc 2.29 and later; 0: elsewhere). */
static uintptr_t given_back;

__attribute__((constructor)) static void learn(void)
{
    void *bytes = __libc_calloc(1, 3 * sizeof given_back);
    volatile uintptr_t *words = bytes;
    if (bytes == NULL)
        return;
    __asm__("" : "+r"(words)); /* the compiler must not know that this is bytes */
    __libc_free(bytes);
    given_back = words[1];
}

/* What bears glibc's mark stays as it is: wiped of it, it would pass for what is in use, and the heap
 * would give it out twice. glibc ends the process instead. */
static void wipe(void *bytes)
{
    size_t size = malloc_usable_size(bytes);
    if (given_back != 0 && size > sizeof given_back && ((uintptr_t *)bytes)[1] == given_back)
        return;
    explicit_bzero(bytes, size);
}

#define FOR_LIBRARIES __attribute__((visibility("default")))

/* All four, or none of them: the manual wants it so. */
FOR_LIBRARIES void *malloc(size_t size)
{
    return __libc_malloc(size);
}

FOR_LIBRARIES void *calloc(size_t count, size_t size)
{
    return __libc_calloc(count, size);
}

FOR_LIBRARIES void free(void *bytes)
{
    if (bytes == NULL)
        return;
    int error = errno; /* free() leaves it alone, since glibc 2.33 */
    wipe(bytes);
    __libc_free(bytes);
    errno = error;
}

/* What grows in small steps gets a quarter more than it asks for: else each step copied and wiped it
 * all. */
static void *grow(size_t old_size, size_t size)
{
    size_t more = old_size + old_size / 4;
    void *bytes = size > old_size && size < more ? __libc_malloc(more) : NULL;
    return bytes != NULL ? bytes : __libc_malloc(size);
}

/* In place when it fits and little would be left over; else always a new place: glibc would move
 * the bytes and leave the old ones behind. */
FOR_LIBRARIES void *realloc(void *old, size_t size)
{
    if (old == NULL)
        return __libc_malloc(size);
    if (size == 0) {
        free(old);
        return NULL;
    }
    size_t old_size = malloc_usable_size(old);
    if (size <= old_size && size >= old_size / 2) {
        explicit_bzero((uint8_t *)old + size, old_size - size);
        return old;
    }
    void *bytes = grow(old_size, size);
    if (bytes == NULL)
        return NULL;
    memcpy(bytes, old, size < old_size ? size : old_size);
    free(old);
    return bytes;
}

#endif

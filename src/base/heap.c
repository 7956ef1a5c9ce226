/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/heap.h"

#include <malloc.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

struct heap_bytes heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return (struct heap_bytes){info.uordblks + info.hblkhd, info.fordblks};
}

void heap_trim(void)
{
    malloc_trim(0);
}

#else

struct heap_bytes heap_bytes(void)
{
    return (struct heap_bytes){0, 0};
}

void heap_trim(void)
{
}

#endif

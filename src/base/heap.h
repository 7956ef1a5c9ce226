/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The heap, as the C library has it. */
#ifndef NMID_BASE_HEAP_H
#define NMID_BASE_HEAP_H

#include <stddef.h>

/* Bytes that are in use, and that lie free between them: as pages can be given back to the host only
 * whole, what a process takes is more than what it uses. Both 0 where the library does not tell (it is
 * not glibc, or a sanitizer's). It looks at every free piece: 1.5 ms for 19,000. */
struct heap_bytes {
    size_t used, idle;
};
struct heap_bytes heap_bytes(void);

/* Gives the pages of the heap that nothing is left in back to the host. A configuration leaves many, once
 * it is read or replaced, and glibc would keep them: with 40,000 nodes, 135 of 190 MB. Of a process that
 * is locked in memory only those at the heap's end can be. */
void heap_trim(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of secrets: apart from the heap, locked (mlock2(2)) so that it never reaches a swap
 * device, left out of core dumps (madvise(2), MADV_DONTDUMP), and wiped when it is given back. From
 * any thread. Under AddressSanitizer it is the heap's memory, where the sanitizer sees overflows.
 */
#ifndef NMID_BASE_VAULT_H
#define NMID_BASE_VAULT_H

#include <stdbool.h>
#include <stddef.h>

/* size bytes of zeros, aligned to 16; NULL when memory is out. What cannot be locked is given all
 * the same: vault_locked() tells. */
void *vault_take(size_t size);

/* Wipes them all and takes them back; NULL is allowed. Ends the process when bytes is not of
 * vault_take(). */
void vault_give(void *bytes);

/* True while all that was given could be locked, and left out of core dumps. False for good after
 * the first that could not: RLIMIT_MEMLOCK is too low. */
bool vault_locked(void);

/* Are there locks at all in this build? False under AddressSanitizer. */
bool vault_locks(void);

/* Where RLIMIT_MEMLOCK has no limit: locks what the process has and will have of memory, page by
 * page as it is first used (mlockall(2), MCL_ONFAULT). True when that was done. Elsewhere nothing
 * is changed: with a limit, each later mmap() would count against it and fail. */
bool vault_lock_process(void);

#endif

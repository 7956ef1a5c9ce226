/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host lists: `rack1-n[1-64]`, `n[01-04,7]`, `a[1-2]b[1-2]`, and several of them with commas.
 * Zero padding is kept. The notation is that of pdsh and Slurm. */
#ifndef NMID_CLI_HOSTLIST_H
#define NMID_CLI_HOSTLIST_H

#include <stddef.h>
#include "base/fault.h"

#define HOSTLIST_MAX      65536 /* names in one list, duplicates counted */
#define HOSTLIST_NAME_MAX 255

struct hostlist {
    char **names; /* owned */
    size_t count;
};

/* Adds the names of text in their order. -1 (FAULT_USAGE, FAULT_MEMORY): it is not a host list, or
 * makes more names than HOSTLIST_MAX; counted before a single name is made. The list may then hold
 * some of the names. */
int hostlist_add(struct hostlist *list, const char *text, struct fault *fault);

/* Drops every name that came before; letters count, so "N1" and "n1" stay two. -1: no memory. */
int hostlist_unique(struct hostlist *list, struct fault *fault);

/* Frees the names; the struct itself is the caller's. */
void hostlist_clear(struct hostlist *list);

#endif

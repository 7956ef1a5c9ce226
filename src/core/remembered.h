/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests of log-ins that were right: believed for a while, and known for a day. Bounded; the
 * oldest go first. */
#ifndef NMID_CORE_REMEMBERED_H
#define NMID_CORE_REMEMBERED_H

#include <stdbool.h>

struct remembered;

struct remembered *remembered_new(unsigned cache_s); /* 0: believes nothing; NULL: memory is out */
void remembered_free(struct remembered *remembered); /* NULL-safe */

/* It was right at most cache_s seconds ago. */
bool remembered_believes(struct remembered *remembered, const char *digest);

/* It was right within the last day. That counts while the workers are swamped: whoever guesses
 * passwords must not shut those out who know theirs. */
bool remembered_knows(struct remembered *remembered, const char *digest);

/* It is right now. What cannot be remembered is checked again: no fault. */
void remembered_add(struct remembered *remembered, const char *digest);

#endif

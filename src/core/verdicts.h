/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of tokens: by a keyed hash of the token, never by the token itself. Bounded:
 * what was not used for longest goes first. */
#ifndef NMID_CORE_VERDICTS_H
#define NMID_CORE_VERDICTS_H

#include <stdint.h>
#include "base/digest.h"
#include "base/fault.h"
#include "core/principal.h"

struct verdicts;

/* Who it is; or, without an identity, why the token is good for nothing. */
struct verdict {
    struct identity *identity; /* or NULL */
    enum fault_code code;
    const char *why;    /* static */
    int64_t until;      /* clock_mono_us(): remembered until then, */
    int64_t until_wall; /* and no longer than this by the wall clock; 0: no such bound */
};

struct verdicts *verdicts_new(size_t max);     /* NULL when memory is out */
void verdicts_free(struct verdicts *verdicts); /* NULL-safe */

/* The verdict on the token with this hash, unless its time is over (it is forgotten then); borrowed
 * until the next call. Else NULL. */
const struct verdict *verdicts_get(struct verdicts *verdicts, const char *hash);

/* Remembers it (with a reference to the identity of its own); when memory is out it does not. */
void verdicts_put(struct verdicts *verdicts, const char hash[DIGEST_SHA256_TEXT],
                  const struct verdict *verdict);

size_t verdicts_count(const struct verdicts *verdicts);

#endif

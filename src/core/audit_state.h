/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What audit.c and audit_read.c share, and nobody else. */
#ifndef NMID_CORE_AUDIT_STATE_H
#define NMID_CORE_AUDIT_STATE_H

#include "base/record.h"
#include "core/audit.h"
#include "loop/pool.h"

struct audit {
    struct loop *loop;
    struct journal *journal;
    struct conf_audit conf;
    struct record *record; /* the system's journal; NULL: stderr is another log */
    struct audit_counts counts;

    /* Refusals that may be recorded now, in millionths; what is more is counted. */
    struct audit_bucket {
        int64_t level, filled_at;
    } buckets[2]; /* of nobody that is known, and of those who are: who has no credentials cannot
                   * hide what an insider tries */
    uint64_t suppressed;
    struct loop_timer *timer; /* set while there are any */

    /* Reading. */
    struct pool *pool; /* made when it is first asked for */
    struct audit_list *lists;
};

/* Ends every reading. */
void audit_read_end(struct audit *audit);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of each BMC from its earlier sessions, so that the next one is shorter. */
#ifndef NMID_DRIVERS_IPMI_MEMORY_H
#define NMID_DRIVERS_IPMI_MEMORY_H

#include "drivers/ipmi_session.h"

struct ipmi_memory;

struct ipmi_known {
    char *target;
    unsigned suite;     /* that worked; 0: none yet */
    bool has_2_0;       /* it has told its capabilities */
    int64_t round_trip; /* us, at most two seconds: it may have been slow only once */
    int64_t ended_at;   /* the last session */
};

struct ipmi_memory *ipmi_memory_new(void); /* NULL when memory is out */
void ipmi_memory_free(struct ipmi_memory *memory); /* NULL-safe */

/* Borrowed until the next call, or NULL. */
const struct ipmi_known *ipmi_memory_find(const struct ipmi_memory *memory, const char *target);

/* Keeps what an ended session has taught; nothing when memory is out. */
void ipmi_memory_keep(struct ipmi_memory *memory, const char *target,
                      const struct ipmi_session *session, int64_t now);

/* Forgets how each BMC speaks; not when it last spoke. */
void ipmi_memory_clear(struct ipmi_memory *memory);

#endif

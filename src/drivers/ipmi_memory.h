/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of each BMC from its earlier sessions: so that the next one is shorter, and so
 * that no account is locked by trying again what the BMC has refused. */
#ifndef NMID_DRIVERS_IPMI_MEMORY_H
#define NMID_DRIVERS_IPMI_MEMORY_H

#include "drivers/ipmi_session.h"

struct ipmi_memory;

struct ipmi_known {
    char *target;
    unsigned suite;     /* that worked; 0: none yet */
    bool has_2_0;       /* it has told its capabilities */
    bool no_sel;        /* it has told that it has no System Event Log */
    int64_t round_trip; /* us, at most two seconds: it may have been slow only once */
    int64_t ended_at;   /* the last session */
};

struct ipmi_memory *ipmi_memory_new(void);         /* NULL when memory is out */
void ipmi_memory_free(struct ipmi_memory *memory); /* NULL-safe */

/* Borrowed until the next call, or NULL. */
const struct ipmi_known *ipmi_memory_find(const struct ipmi_memory *memory, const char *target);

/* Keeps what an ended session has taught; nothing when memory is out. */
void ipmi_memory_keep(struct ipmi_memory *memory, const char *target,
                      const struct ipmi_session *session, int64_t now);

/* Forgets how each BMC speaks; not when it last spoke, and not whom it refused. */
void ipmi_memory_clear(struct ipmi_memory *memory);

/* ---- The circuit breaker: by the BMC's numeric address ---- */

/* 0: a session with this node's credentials may begin. -1: the BMC refused them less than pause_us
 * ago; fault has the same code, and says when they may be tried again. pause_us 0: always 0. */
int ipmi_memory_check(const struct ipmi_memory *memory, const char *address,
                      const struct node *node, int64_t pause_us, int64_t now, struct fault *fault);

/* Takes what a session's end says of its credentials: refused, or right. */
void ipmi_memory_judge(struct ipmi_memory *memory, const char *address, struct node *node,
                       const struct ipmi_session *session, int64_t now);

#endif

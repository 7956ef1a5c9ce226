/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit: every decision as one structured record, in the journal's database and in the system's
 * journal (plain lines where there is none). Never a secret or a token in it. What is allowed is in
 * the same transaction as the action that it allows. Refusals are bounded: beyond a rate they are
 * counted, and one record says how many were left out. */
#ifndef NMID_CORE_AUDIT_H
#define NMID_CORE_AUDIT_H

#include <jansson.h>
#include <stdint.h>
#include "core/action.h"
#include "core/conf.h"
#include "core/journal.h"
#include "core/journal_audit.h"

struct audit;

/* Everything is borrowed for the call. */
struct audit_record {
    const struct principal *caller; /* or NULL: nobody that nmid knows */
    const char *address;            /* of the client, where there is no caller */
    const char *claimed;            /* the user it says to be, where there is one; or NULL */
    const char *contract;           /* "nova", "agent" ...; or NULL */
    const char *operation;          /* "inject_nmi", "probe", "lock", "authenticate" ... */
    const char *node_uuid, *node_name; /* or NULL: no node in particular, or none that there is */
    const char *ident;              /* what the caller called the node; or NULL */
    const char *rule;               /* "inject_nmi:admin_or_owner", "hold-off" ...; or NULL */
    const char *action_id;          /* or NULL */
    const char *key;                /* the caller's Idempotency-Key; or NULL */
    uint64_t *ret_serial;           /* where the action keeps its record's number; or NULL */
    bool allowed, repeat, force;
    bool change;          /* of a node's lock or status */
    bool read;            /* it changes nothing: may go without a record, when too many wait */
    enum fault_code code; /* why it was refused */
    const char *message;  /* the same in words; or NULL */
};

/* journal is borrowed; NULL conf: the defaults. */
struct audit *audit_new(struct loop *loop, struct journal *journal, const struct conf_audit *conf,
                        struct fault *fault);
void audit_free(struct audit *audit); /* NULL-safe; before journal_free() */
void audit_configure(struct audit *audit, const struct conf_audit *conf);

/* Decisions since the start; of the refusals (and, while the disk fails, of reads) so many have no
 * record of their own. */
struct audit_counts {
    uint64_t allowed, refused, suppressed;
};
void audit_counts(const struct audit *audit, struct audit_counts *ret_counts);

/* Records a decision. NULL audit is allowed, and does nothing. -1 when memory is out, or too many
 * records wait for the disk: what is allowed must then not be done. */
int audit_record(struct audit *audit, const struct audit_record *record);

/* The outcome of an allowed action, beside its decision; to be called in the turn in which
 * *finished* is written. NULL audit is allowed. */
void audit_outcome(struct audit *audit, const struct action *action);

/* What is recorded, newest first, read by a thread of its own. done(arg, records, fault) comes once
 * from a later turn of the loop unless cancelled; records is {"records": [...], "next": serial or
 * null} (a new reference) or NULL with a fault. */
struct audit_query {
    const char *node_ident, *action_id, *key, *user, *project_id, *decision; /* or NULL: any */
    const char *node_uuid; /* of the node that node_ident names, where there is one */
    bool own;              /* nothing that tells whether another project's node is there */
    int64_t since, until; /* wall clock, us; 0: no such bound */
    uint64_t marker;      /* only what is older than this serial; 0: from the newest */
    size_t limit;
};
typedef void audit_list_fn(void *arg, json_t *records, const struct fault *fault);
struct audit_list;
struct audit_list *audit_list(struct audit *audit, const struct audit_query *query,
                              audit_list_fn *done, void *arg, struct fault *fault);
void audit_list_cancel(struct audit_list *list);

#endif

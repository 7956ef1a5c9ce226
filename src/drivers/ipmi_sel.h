/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The BMC's System Event Log as a witness: the last record before the interrupt (the mark), and
 * what has been added since. Answers to Get SEL Entry go in, the next record to ask for and a
 * finding come out; no session, no clock. The answers are a BMC's word: of any length, in any
 * order, in a circle. Rules: IPMI 2.0, sections 31.6 (Get SEL Entry), 32.1 (the record), table
 * 42-3. */
#ifndef NMID_DRIVERS_IPMI_SEL_H
#define NMID_DRIVERS_IPMI_SEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPMI_SEL_LAST      0xffff /* asks for the newest record; as a "next": there is none */
#define IPMI_SEL_RECORD    16     /* bytes */
#define IPMI_SEL_READ_MAX  32     /* new records that are read for one interrupt */
#define IPMI_SEL_FOUND_MAX 8      /* of these, told in the evidence */

enum ipmi_sel_result {
    IPMI_SEL_UNCHECKED,   /* not asked, or no mark was taken */
    IPMI_SEL_NONE,        /* this BMC has no SEL */
    IPMI_SEL_UNREADABLE,  /* cleared meanwhile, the mark gone, silent, against the specification */
    IPMI_SEL_NOTHING_NEW, /* nothing that speaks of the interrupt */
    IPMI_SEL_OS_STOPPED,  /* 20h offset 1: the operating system has stopped */
    IPMI_SEL_INTERRUPT    /* 13h offset 0: the diagnostic interrupt */
};

/* A new record that says something about the interrupt or its consequences. */
struct ipmi_sel_entry {
    uint16_t id;
    uint8_t sensor_type, offset;
};

struct ipmi_sel {
    bool absent; /* no SEL: the BMC knows no such command */
    bool marked; /* `last` and `record` are the newest before the interrupt; or, if empty, none was
                  */
    bool empty;
    bool doubted; /* it says that it has no newest record: has it an oldest one? */
    uint16_t last;
    uint8_t record[IPMI_SEL_RECORD];
    /* The pass under way. */
    uint16_t asked;
    bool resuming; /* asked for `last` again, for what follows it */
    /* What all passes have read. */
    uint16_t ids[IPMI_SEL_READ_MAX + 1];
    unsigned read;
    enum ipmi_sel_result result;
    struct ipmi_sel_entry found[IPMI_SEL_FOUND_MAX];
    unsigned found_count;
};

enum ipmi_sel_step {
    IPMI_SEL_MORE, /* ask for sel->asked */
    IPMI_SEL_END,  /* no more records now; later there may be */
    IPMI_SEL_STOP  /* nothing more is to be asked */
};

/* The record to ask for before the interrupt: the newest, then, where there is none, the oldest. */
uint16_t ipmi_sel_mark_id(const struct ipmi_sel *sel);

/* Takes the answer as the mark, if it may be one; IPMI_SEL_MORE: ask again. */
enum ipmi_sel_step ipmi_sel_mark(struct ipmi_sel *sel, uint8_t completion, const uint8_t *data,
                                 size_t len);

/* Begins a pass over what is newer than the mark, or than the last pass; sets sel->asked. `first`:
 * it begins a reading, and what an earlier reading has concluded does not count. */
void ipmi_sel_start(struct ipmi_sel *sel, bool first);

/* Takes the answer to sel->asked; sel->result is what is known after it. */
enum ipmi_sel_step ipmi_sel_take(struct ipmi_sel *sel, uint8_t completion, const uint8_t *data,
                                 size_t len);

/* "interrupt-recorded" ...; what an entry means, in words. */
const char *ipmi_sel_name(enum ipmi_sel_result result);
const char *ipmi_sel_text(const struct ipmi_sel_entry *entry);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the BMC's own session sequence numbers tell of a Chassis Control that was not answered. A
 * BMC numbers its answers one by one: a number that is missing was an answer that got lost. The
 * formula and its limits are in docs/ipmi.md. */
#ifndef NMID_DRIVERS_IPMI_NUMBERS_H
#define NMID_DRIVERS_IPMI_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

enum ipmi_sequence {
    IPMI_SEQUENCE_UNASKED,        /* no probe was needed */
    IPMI_SEQUENCE_NO_ANSWER_SEEN, /* not answered up to the probe's answer */
    IPMI_SEQUENCE_ANSWERED_LOST,  /* answered, and the answer was lost */
    IPMI_SEQUENCE_AMBIGUOUS,
    IPMI_SEQUENCE_DEAD /* no probe was answered */
};

/* One session's count. Answers to a Chassis Control are taken, but not counted as `answered`. */
struct ipmi_numbers {
    uint32_t last;            /* the newest answer's number */
    uint32_t base;            /* the same, when the Chassis Control left */
    unsigned asked, answered; /* requests but the Chassis Controls; answers to them */
    unsigned rises;           /* answers whose number was the last one's and 1 */
    bool any;
    bool watching; /* from the Chassis Control to its answer or the first probe's */
    bool spoilt;   /* a number that did not rise by 1 before, a datagram that came twice ever */
    bool extra;    /* after the verdict a number is missing: was it the answer, after all? */
    enum ipmi_sequence verdict;
    int32_t gap; /* of the probe's answer that decided */
};

/* The Chassis Control leaves now. */
void ipmi_numbers_watch(struct ipmi_numbers *numbers);

/* A fresh datagram of the session; expected: an answer to one of the requests that are counted. */
void ipmi_numbers_take(struct ipmi_numbers *numbers, uint32_t sequence, bool expected);

/* A fresh answer to the Chassis Control. */
void ipmi_numbers_control(struct ipmi_numbers *numbers, uint32_t sequence);

/* The first answer to a probe, after ipmi_numbers_take(). */
void ipmi_numbers_judge(struct ipmi_numbers *numbers, uint32_t sequence);

/* The verdict, as far as it still stands. */
enum ipmi_sequence ipmi_numbers_verdict(const struct ipmi_numbers *numbers);

/* "no-answer-seen" ... */
const char *ipmi_sequence_name(enum ipmi_sequence sequence);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_numbers.h"

void ipmi_numbers_watch(struct ipmi_numbers *numbers)
{
    numbers->base = numbers->last;
    numbers->watching = true;
}

/* Requests whose answers are still out: each of them may have taken a number. */
static unsigned outstanding(const struct ipmi_numbers *n)
{
    return n->asked > n->answered ? n->asked - n->answered : 0;
}

static void take(struct ipmi_numbers *n, uint32_t sequence)
{
    if (!n->any || (int32_t)(sequence - n->last) > 0)
        n->last = sequence;
    n->any = true;
}

/* After the verdict: what is missing now may be the answer that was missing then. */
static void take_after(struct ipmi_numbers *n, int32_t jump, bool expected)
{
    if (jump == 1 && expected)
        return;
    n->extra = true;
    if (expected && n->verdict == IPMI_SEQUENCE_NO_ANSWER_SEEN && jump > 1 &&
        (unsigned)jump - 1 > outstanding(n))
        n->verdict = IPMI_SEQUENCE_ANSWERED_LOST;
}

void ipmi_numbers_take(struct ipmi_numbers *numbers, uint32_t sequence, bool expected)
{
    struct ipmi_numbers *n = numbers;
    int32_t jump = n->any ? (int32_t)(sequence - n->last) : 1;
    n->answered += expected;
    if (n->watching) {
        if (!expected)
            n->spoilt = true; /* it has a number that nobody asked for */
    } else if (n->verdict != IPMI_SEQUENCE_UNASKED) {
        take_after(n, jump, expected);
    } else if (n->any && jump == 1) {
        n->rises++;
    } else if (n->any) {
        n->spoilt = true;
    }
    take(n, sequence);
}

void ipmi_numbers_control(struct ipmi_numbers *numbers, uint32_t sequence)
{
    if (numbers->any && sequence != numbers->last + 1)
        numbers->spoilt = true;
    numbers->watching = false;
    take(numbers, sequence);
}

void ipmi_numbers_judge(struct ipmi_numbers *numbers, uint32_t sequence)
{
    struct ipmi_numbers *n = numbers;
    n->gap = (int32_t)(sequence - n->base);
    n->watching = false;
    if (n->rises == 0 || n->gap < 1)
        n->verdict = IPMI_SEQUENCE_AMBIGUOUS;
    else if (n->gap == 1)
        n->verdict = IPMI_SEQUENCE_NO_ANSWER_SEEN;
    else if ((unsigned)n->gap > outstanding(n) + 1)
        n->verdict = IPMI_SEQUENCE_ANSWERED_LOST;
    else
        n->verdict = IPMI_SEQUENCE_AMBIGUOUS;
}

enum ipmi_sequence ipmi_numbers_verdict(const struct ipmi_numbers *numbers)
{
    bool told = numbers->verdict == IPMI_SEQUENCE_NO_ANSWER_SEEN ||
                numbers->verdict == IPMI_SEQUENCE_ANSWERED_LOST;
    return told && numbers->spoilt ? IPMI_SEQUENCE_AMBIGUOUS : numbers->verdict;
}

const char *ipmi_sequence_name(enum ipmi_sequence sequence)
{
    static const char *const names[] = {
        [IPMI_SEQUENCE_UNASKED] = "",
        [IPMI_SEQUENCE_NO_ANSWER_SEEN] = "no-answer-seen",
        [IPMI_SEQUENCE_ANSWERED_LOST] = "answered-but-lost",
        [IPMI_SEQUENCE_AMBIGUOUS] = "ambiguous",
        [IPMI_SEQUENCE_DEAD] = "session-dead",
    };
    return names[sequence];
}

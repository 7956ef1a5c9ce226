/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The interrupt's answer, and what is done when none comes: probes, the SEL, a second one. These
 * decide; ipmi_session.c acts. The rules, and what was measured for them, are in docs/ipmi.md. */
#include "drivers/ipmi_exchange.h"

#define NODE_BUSY 0xc0

/* ---- The answer ---- */

/* Which codes mean "surely not done" is the rule of docs/ipmi.md; a code that is not in it may have
 * come after the interrupt. */
static void take_completion(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    uint8_t code = packet->completion;
    s->answered = true;
    s->have_completion = true;
    s->completion = code;
    s->failed_in = IPMI_STATE_CONTROL;
    s->outcome = OUTCOME_FAILED;
    if (code == 0x00) {
        s->outcome = OUTCOME_DELIVERED;
        s->code = FAULT_NONE;
    } else if (code == 0xc1 || code == 0xcc) {
        s->code = FAULT_UNSUPPORTED;
    } else if (code == 0xd4) {
        s->code = FAULT_PRIVILEGE;
    } else if (code == NODE_BUSY || code == 0xc2 || (code >= 0xc5 && code <= 0xcd) ||
               (code >= 0xd3 && code <= 0xd6)) {
        s->code = FAULT_REFUSED;
    } else {
        s->outcome = OUTCOME_UNKNOWN;
        s->code = FAULT_COMPLETION_CODE;
    }
    if (s->maybe && s->outcome == OUTCOME_FAILED) { /* this one was not done; the first one? */
        s->outcome = OUTCOME_UNKNOWN;
        s->code = FAULT_NO_ANSWER;
    }
}

enum verdict ipmi_check_control(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    take_completion(s, packet);
    ipmi_numbers_control(&s->numbers, packet->sequence);
    bool retry = s->plan.retry_busy && s->completion == NODE_BUSY && !s->maybe && !s->no_more &&
                 s->control_sends <= IPMI_RETRIES_MAX;
    return retry ? BUSY_CONTROL : SETTLED;
}

/* What is not the awaited answer of the newest one counts only when it says "done": a BMC that
 * answers twice, or after its "busy" did what it had refused. The awaited one counts even when the
 * SEL has said "delivered" before: the record may have been another's interrupt. */
bool ipmi_take_late_control(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (packet->kind != IPMI_PACKET_MESSAGE || !packet->in_session || packet->rq_seq > 63 ||
        packet->net_fn != IPMI_CHASSIS + 1 || packet->cmd != IPMI_CHASSIS_CONTROL ||
        (s->control_asked & ((uint64_t)1 << packet->rq_seq)) == 0 || s->state == IPMI_STATE_DONE)
        return false;
    bool awaited = packet->rq_seq == s->control_number && !s->answered;
    if (s->outcome == OUTCOME_DELIVERED && !awaited)
        return false;
    if (awaited ? s->state == IPMI_STATE_CONTROL : packet->completion != 0)
        return false;
    if (s->control_sends == 1) /* the only one: another has not left yet */
        s->maybe = false;
    take_completion(s, packet);
    ipmi_numbers_control(&s->numbers, packet->sequence);
    s->late = true;
    s->retrying = false;
    ipmi_judge_sel(s);
    return true;
}

/* ---- Probes ---- */

void ipmi_build_probe(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    s->probes++;
    s->probe_asked |= (uint64_t)1 << number;
    ipmi_build_command(s, IPMI_CHASSIS, IPMI_CHASSIS_STATUS, NULL, 0, number, out);
}

enum verdict ipmi_check_probe(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    s->probe_asked &= ~((uint64_t)1 << packet->rq_seq);
    s->probes_answered++; /* whatever its completion code: it has a number */
    ipmi_numbers_judge(&s->numbers, packet->sequence);
    return SETTLED;
}

bool ipmi_is_late_probe(const struct ipmi_session *s, const struct ipmi_packet *packet)
{
    return s->state > IPMI_STATE_PROBE && packet->kind == IPMI_PACKET_MESSAGE &&
           packet->in_session && packet->rq_seq <= 63 && packet->net_fn == IPMI_CHASSIS + 1 &&
           packet->cmd == IPMI_CHASSIS_STATUS &&
           (s->probe_asked & ((uint64_t)1 << packet->rq_seq)) != 0;
}

/* ---- The SEL ---- */

/* Section 31.6: reservation 0 (a whole record), record, offset 0, FFh: all of it. */
static void build_entry(struct ipmi_session *s, uint16_t id, uint8_t number,
                        struct ipmi_datagram *out)
{
    const uint8_t data[6] = {0, 0, (uint8_t)id, (uint8_t)(id >> 8), 0, 0xff};
    ipmi_build_command(s, IPMI_STORAGE, IPMI_SEL_ENTRY, data, sizeof data, number, out);
}

void ipmi_build_mark(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    build_entry(s, ipmi_sel_mark_id(&s->sel), number, out);
}

void ipmi_build_sel(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    build_entry(s, s->sel.asked, number, out);
}

enum verdict ipmi_check_mark(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    return ipmi_sel_mark(&s->sel, packet->completion, packet->data, packet->len) == IPMI_SEL_MORE
               ? STAY
               : NEXT;
}

enum verdict ipmi_check_sel(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    switch (ipmi_sel_take(&s->sel, packet->completion, packet->data, packet->len)) {
    case IPMI_SEL_MORE:
        return STAY;
    case IPMI_SEL_END:
        return LATER;
    default:
        return SETTLED;
    }
}

void ipmi_judge_sel(struct ipmi_session *s)
{
    if (s->sel.result != IPMI_SEL_INTERRUPT)
        return;
    if (s->outcome == OUTCOME_UNKNOWN && s->code == FAULT_NO_ANSWER) {
        s->outcome = OUTCOME_DELIVERED;
        s->code = FAULT_NONE;
    } else if (s->outcome == OUTCOME_FAILED) {
        s->outcome = OUTCOME_UNKNOWN; /* it says "not done", and its SEL that it was */
        s->code = FAULT_COMPLETION_CODE;
    }
}

/* ---- Once more ---- */

bool ipmi_may_resend(const struct ipmi_session *s, int64_t now)
{
    /* All that the session knows must say "not seen", up to the acknowledged close: a number that
     * is missing later may have been the answer. In 1.5 a close is no fence: a BMC may give the
     * next session the same id, and take there what was delayed. */
    bool sel_says_so = !s->sel.marked || s->sel.result == IPMI_SEL_NOTHING_NEW;
    return !s->channel.ipmi_1_5 && sel_says_so && s->plan.resend == CONF_RESEND_IF_UNSEEN &&
           !s->no_more && s->control_sends == 1 && s->granted == 1 &&
           s->outcome == OUTCOME_UNKNOWN && s->code == FAULT_NO_ANSWER &&
           ipmi_numbers_verdict(&s->numbers) == IPMI_SEQUENCE_NO_ANSWER_SEEN && !s->numbers.extra &&
           s->close_acked && s->sel.found_count == 0 && now < s->deadline;
}

enum ipmi_sequence ipmi_session_sequence(const struct ipmi_session *session, int32_t *ret_gap)
{
    enum ipmi_sequence verdict = ipmi_numbers_verdict(&session->numbers);
    bool has = verdict != IPMI_SEQUENCE_UNASKED;
    *ret_gap = has ? session->numbers.gap : session->sequence_gap;
    return has ? verdict : session->sequence;
}

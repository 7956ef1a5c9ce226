/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's machine: the interrupt, and the way from there to the end. This is the only place
 * where a Chassis Control is built. */
#include <stdlib.h>
#include "drivers/ipmi_exchange.h"
#include "drivers/ipmi_machine.h"

#define DIAGNOSTIC_INTERRUPT 0x04 /* IPMI 2.0, table 28-4, data byte 1 */

#define SEL_PAUSE_US 1000000 /* between two looks at the SEL */
#define SEL_PASSES   4
#define SEL_MAX_US   10000000 /* all looks, with a BMC that is slow */

/* ---- The interrupt ---- */

/* The last guard, which rests on nothing but the plan and a count: one more than allowed would be
 * an NMI into a crash dump. Better no daemon. */
static void guard(const struct ipmi_session *s)
{
    unsigned allowed = 1;
    if (s->plan.resend == CONF_RESEND_IF_UNSEEN)
        allowed++;
    if (s->plan.retry_busy)
        allowed += IPMI_RETRIES_MAX;
    if (s->control_sends >= s->granted || s->control_sends >= allowed)
        abort();
}

void ipmi_session_go(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    ret_out->len = 0;
    if (s->state != IPMI_STATE_READY || s->plan.probe)
        return;
    if (now >= s->give_up_at) { /* the process stood still: it is too late, whoever is first */
        ipmi_fail(s, FAULT_DEADLINE);
        ipmi_end(s, now, ret_out);
        return;
    }
    guard(s);
    s->control_sends++;
    s->answered = s->late = s->retrying = s->have_completion = false;
    s->outcome = OUTCOME_NONE;
    s->code = FAULT_NONE;
    s->control_answered_at = 0;
    /* First the state, then the datagram: whatever comes, this line is passed once for each. */
    ipmi_enter(s, IPMI_STATE_CONTROL, now, ret_out);
    const uint8_t data[1] = {DIAGNOSTIC_INTERRUPT};
    ipmi_numbers_watch(&s->numbers);
    s->control_number = ipmi_next_number(s, now);
    s->control_asked |= (uint64_t)1 << s->control_number;
    ipmi_build_command(s, IPMI_CHASSIS, IPMI_CHASSIS_CONTROL, data, sizeof data, s->control_number,
                       ret_out);
    s->sends = 1;
    s->control_at = now;
    s->send_again_at = INT64_MAX;
    s->give_up_at = now + s->plan.answer;
    if (ret_out->len == 0) /* the library refused to build it */
        ipmi_session_unsent(s, now, ret_out);
}

void ipmi_session_unsent(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    ret_out->len = 0;
    if (s->state != IPMI_STATE_CONTROL)
        return;
    s->control_sends--;
    s->control_asked &= ~((uint64_t)1 << s->control_number); /* nobody can answer it */
    s->retrying = s->control_sends > 0 && !s->maybe;
    if (s->control_sends == 0)
        s->control_at = 0;
    ipmi_fail(s, FAULT_SYSTEM);
    ipmi_end(s, now, ret_out);
}

void ipmi_session_abort(struct ipmi_session *session, enum fault_code code, int64_t now,
                        struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    ret_out->len = 0;
    switch (s->state) {
    case IPMI_STATE_CONTROL:
    case IPMI_STATE_PROBE:
    case IPMI_STATE_SEL:
    case IPMI_STATE_SEL_PAUSE:
    case IPMI_STATE_CLOSE:
    case IPMI_STATE_DONE:
        s->no_more = true;
        break;
    default:
        ipmi_fail(s, code);
        ipmi_doubt_password(s);
        ipmi_end(s, now, ret_out);
    }
}

/* ---- After it ---- */

/* In the silence the SEL is a witness, unless the BMC is silent altogether. */
static bool wants_sel(const struct ipmi_session *s)
{
    if (!s->sel.marked || (s->state != IPMI_STATE_CONTROL && s->state != IPMI_STATE_PROBE))
        return false;
    return s->answered ? s->plan.sel == CONF_SEL_ALWAYS : s->numbers.verdict != IPMI_SEQUENCE_DEAD;
}

/* answer_ms is over: still there? The outcome is set; all that follows may only make it better. */
void ipmi_begin_probing(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    s->outcome = OUTCOME_UNKNOWN;
    s->code = FAULT_NO_ANSWER;
    s->failed_in = s->state;
    s->numbers.verdict = IPMI_SEQUENCE_DEAD; /* until a probe is answered */
    ipmi_enter(s, IPMI_STATE_PROBE, now, out);
}

void ipmi_look_at_sel(struct ipmi_session *s, bool first, int64_t now, struct ipmi_datagram *out)
{
    if (first) {
        s->sel_passes = 0;
        s->sel_until = now + SEL_MAX_US;
    }
    s->sel_passes++;
    ipmi_sel_start(&s->sel, first);
    ipmi_enter(s, IPMI_STATE_SEL, now, out);
}

/* A BMC that says "busy" and acts: its SEL, if it has one, is asked before it gets another one. */
void ipmi_resume(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    s->checking = s->sel.marked;
    if (s->checking)
        ipmi_look_at_sel(s, true, now, out);
    else
        ipmi_enter(s, IPMI_STATE_STATUS, now, out); /* still there, and still powered? */
}

void ipmi_leave_sel(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    bool checked = s->checking && s->retrying, trace = s->sel.found_count > 0;
    s->checking = false;
    /* A SEL that could be read before and cannot be now says nothing, and that is not enough. */
    if (checked && !trace && !s->no_more && s->sel.result == IPMI_SEL_NOTHING_NEW) {
        ipmi_enter(s, IPMI_STATE_STATUS, now, out); /* still there, and still powered? */
        return;
    }
    s->retrying = false;
    if (checked && trace) {
        s->outcome = OUTCOME_UNKNOWN; /* it says "busy", and something has happened */
        s->code = FAULT_COMPLETION_CODE;
    }
    ipmi_judge_sel(s);
    ipmi_end(s, now, out);
}

void ipmi_settle(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    if (wants_sel(s))
        ipmi_look_at_sel(s, true, now, out);
    else if (s->state == IPMI_STATE_SEL || s->state == IPMI_STATE_SEL_PAUSE)
        ipmi_leave_sel(s, now, out);
    else if (s->state != IPMI_STATE_CLOSE) /* a late answer: the close is under way already */
        ipmi_end(s, now, out);
}

/* The interrupt was refused as busy, and another one is still in time. */
void ipmi_hold(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    int64_t pause = PAUSE_FIRST_US;
    for (unsigned i = 1; i < s->control_sends && pause < PAUSE_MAX_US; i++)
        pause *= 2;
    if (now + pause >= s->deadline) {
        ipmi_settle(s, now, out);
        return;
    }
    s->retrying = true;
    s->granted++;
    ipmi_enter(s, IPMI_STATE_HOLD, now, out);
    s->send_again_at = now + pause;
}

void ipmi_pause_sel(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    if (s->checking || s->sel_passes >= SEL_PASSES) {
        ipmi_leave_sel(s, now, out);
        return;
    }
    ipmi_enter(s, IPMI_STATE_SEL_PAUSE, now, out);
    s->send_again_at = now + SEL_PAUSE_US;
}

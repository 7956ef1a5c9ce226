/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's machine: numbers, times, and the way through the table of ipmi_exchange.c.
 *
 * A request is sent again after max(retransmit, 2 x the longest round trip seen), each time half as
 * late again. A slow BMC is thus not asked twice, which matters for Open Session (each costs it a
 * session) and RAKP 1 (each makes it forget its random number). */
#include "drivers/ipmi_session.h"

#include <string.h>
#include "base/secret.h"
#include "drivers/ipmi_exchange.h"
#include "drivers/ipmi_machine.h"

#define INTERVAL_MAX_US 8000000
#define BUSY_TRIES      2 /* is the session still there after a pause? */

const char *ipmi_state_name(enum ipmi_state state)
{
    return (unsigned)state < IPMI_STATES ? ipmi_row(state)->name : "?";
}

/* The next rqSeq or message tag, marked as asked. */
uint8_t ipmi_next_number(struct ipmi_session *s, int64_t now)
{
    do /* an answer to a Chassis Control may still come: its rqSeq stays its own */
        s->number = (s->number + 1) & 63;
    while (s->control_asked & ((uint64_t)1 << s->number));
    s->asked |= (uint64_t)1 << s->number;
    s->sent_at[s->number & 7] = now;
    return s->number;
}

static int64_t interval(const struct ipmi_session *s)
{
    int64_t us = s->plan.retransmit;
    if (us < 2 * s->round_trip)
        us = 2 * s->round_trip;
    for (unsigned i = 1; i < s->sends && us < INTERVAL_MAX_US; i++)
        us += us / 2;
    return us < INTERVAL_MAX_US ? us : INTERVAL_MAX_US;
}

/* Sends the present state's request. Never the Chassis Control: its row has no builder. */
void ipmi_ask(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    const struct ipmi_row *row = ipmi_row(s->state);
    s->sends++;
    s->numbers.asked += s->channel.active;
    row->build(s, ipmi_next_number(s, now), out);
    s->send_again_at = now + interval(s);
}

/* Before the interrupt the deadline; afterwards each wait has its own end. */
static int64_t end_of(const struct ipmi_session *s, enum ipmi_state state)
{
    switch (state) {
    case IPMI_STATE_PROBE:
    case IPMI_STATE_CLOSE:
    case IPMI_STATE_DONE:
        return INT64_MAX;
    case IPMI_STATE_SEL:
    case IPMI_STATE_SEL_PAUSE:
        return s->sel_until;
    default:
        return s->deadline;
    }
}

void ipmi_enter(struct ipmi_session *s, enum ipmi_state state, int64_t now,
                struct ipmi_datagram *out)
{
    s->state = state;
    s->asked = 0;
    s->sends = 0;
    s->send_again_at = INT64_MAX;
    s->give_up_at = end_of(s, state);
    if (state == IPMI_STATE_CLOSE)
        s->close_acked = false;
    if (ipmi_row(state)->build != NULL)
        ipmi_ask(s, now, out);
}

/* The number of the BMC's first packet: 1 in 2.0; in 1.5 what we ask for in Activate Session, or
 * one off (the Intel SE7520JR2). The window begins there. */
static void expect_sequence(struct ipmi_session *s)
{
    uint32_t first = s->first_sequence;
    if (s->channel.workarounds & IPMI_WORKAROUND_ENDIANSEQ)
        first = __builtin_bswap32(first);
    s->in_highest = s->channel.ipmi_1_5 ? first - 2 : 0;
    s->in_seen = 0;
}

/* A new attempt: nothing of an earlier one is of use. */
static void open_anew(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    struct ipmi_channel *channel = &s->channel;
    s->attempts++;
    s->open = false;
    s->control_asked = s->probe_asked = 0;
    s->numbers = (struct ipmi_numbers){0};
    channel->active = false;
    channel->bmc_id = 0;
    s->plan.random(channel->console_random, sizeof channel->console_random);
    s->plan.random(&channel->console_id, sizeof channel->console_id);
    s->plan.random(&s->first_sequence, sizeof s->first_sequence);
    channel->console_id |= 1; /* neither may be 0 */
    /* Far from the end, in either byte order: the BMC's numbers do not pass 0. */
    s->first_sequence = (s->first_sequence & 0x7fffff7f) | 1;
    expect_sequence(s);
    if (s->heard || s->plan.skip_auth_cap)
        ipmi_enter(s, channel->ipmi_1_5 ? IPMI_STATE_CHALLENGE : IPMI_STATE_OPEN, now, out);
    else
        ipmi_enter(s, IPMI_STATE_AUTH_CAP, now, out);
}

static void prepare_channel(struct ipmi_session *s)
{
    const struct ipmi_info *info = s->plan.info;
    struct ipmi_channel *channel = &s->channel;
    channel->ipmi_1_5 = info->ipmi_1_5;
    channel->privilege = info->privilege;
    channel->workarounds = info->workarounds;
    channel->username_len = (unsigned)strlen(info->username);
    memcpy(channel->username, info->username, channel->username_len);
    if (info->password != NULL) {
        channel->password_len = (unsigned)info->password->len;
        memcpy(channel->password, info->password->bytes, channel->password_len);
    }
    if (info->k_g != NULL) {
        channel->has_k_g = true;
        memcpy(channel->k_g, info->k_g->bytes, sizeof channel->k_g);
    }
    for (unsigned i = 0; i < info->suite_count; i++) {
        if (info->suites[i] == s->plan.suite)
            s->suite_index = i;
    }
    channel->suite = info->suite_count > 0 ? info->suites[s->suite_index] : 0;
}

void ipmi_session_begin(struct ipmi_session *session, struct ipmi_codec *codec,
                        const struct ipmi_plan *plan, int64_t now, struct ipmi_datagram *ret_out)
{
    memset(session, 0, sizeof *session);
    ret_out->len = 0;
    session->plan = *plan;
    session->codec = codec;
    session->deadline = now + plan->timeout;
    session->granted = 1;
    session->sel.absent = plan->no_sel && plan->sel != CONF_SEL_NEVER;
    if (session->sel.absent)
        session->sel.result = IPMI_SEL_NONE;
    session->round_trip = plan->round_trip;
    prepare_channel(session);
    session->plan.random(&session->number, sizeof session->number);
    session->number &= 63;
    open_anew(session, now, ret_out);
}

/* ---- Steps ---- */

/* The newest record of the SEL is asked for once, before the first interrupt. */
static bool wants_mark(const struct ipmi_session *s)
{
    return s->plan.sel != CONF_SEL_NEVER && !s->sel.absent && s->control_sends == 0;
}

/* Behind an acknowledged close: the same again, with all that is known of the first. While the BMC
 * is given its rest, an answer to the first still counts. */
static void resend(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    s->sequence = ipmi_session_sequence(s, &s->sequence_gap);
    s->maybe = true;
    s->granted++;
    s->busy = 0;
    s->open = false;
    if (s->plan.min_interval == 0) {
        open_anew(s, now, out);
        return;
    }
    ipmi_enter(s, IPMI_STATE_PAUSE, now, out);
    s->send_again_at = now + s->plan.min_interval;
}

static void next_state(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    enum ipmi_state next = ipmi_row(s->state)->next;
    if (s->state == IPMI_STATE_AUTH_CAP && s->channel.ipmi_1_5)
        next = IPMI_STATE_CHALLENGE;
    if (s->state == IPMI_STATE_STATUS && s->plan.probe) {
        s->outcome = OUTCOME_DELIVERED;
        next = IPMI_STATE_CLOSE;
    } else if (s->state == IPMI_STATE_STATUS && wants_mark(s)) {
        next = IPMI_STATE_MARK;
    }
    if (s->state == IPMI_STATE_CLOSE && ipmi_may_resend(s, now))
        resend(s, now, out);
    else
        ipmi_enter(s, next, now, out);
}

/* Ends, politely: an open session is closed, a half-open one is given up. */
void ipmi_end(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    bool half_open = s->state == IPMI_STATE_RAKP_1 && s->channel.bmc_id != 0;
    ipmi_enter(s, s->open ? IPMI_STATE_CLOSE : IPMI_STATE_DONE, now, out);
    if (half_open && s->code == FAULT_PASSWORD) /* section 13.23: a RAKP 3 with an error status */
        ipmi_codec_rakp_3(s->codec, &s->channel, s->number, 0x0f, out);
}

static void restart(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    /* A BMC that does not answer Activate Session counts each as a failed log-in. */
    bool activating = s->state == IPMI_STATE_ACTIVATE && !s->opened;
    if (s->attempts >= (activating ? IPMI_ACTIVATIONS_MAX : IPMI_ATTEMPTS_MAX)) {
        ipmi_fail(s, activating ? FAULT_PASSWORD : FAULT_UNREACHABLE);
        ipmi_end(s, now, out);
    } else if (s->state == IPMI_STATE_RAKP_3) {
        /* The BMC may have opened it, with only RAKP 4 lost: close it unseen, then try again. */
        s->channel.active = true;
        s->out_sequence = 1;
        const struct ipmi_row *close = ipmi_row(IPMI_STATE_CLOSE);
        close->build(s, ipmi_next_number(s, now), out);
        s->channel.active = false;
        ipmi_enter(s, IPMI_STATE_PAUSE, now, out);
        s->send_again_at = now;
    } else {
        open_anew(s, now, out);
    }
}

static void pause_busy(struct ipmi_session *s, int64_t now)
{
    struct ipmi_datagram none;
    int64_t pause = PAUSE_FIRST_US;
    for (unsigned i = 0; i < s->busy && pause < PAUSE_MAX_US; i++)
        pause *= 2;
    s->busy++;
    s->attempts--; /* a BMC without a free session has not been tried */
    ipmi_enter(s, IPMI_STATE_PAUSE, now, &none);
    s->send_again_at = now + pause;
}

void ipmi_advance(struct ipmi_session *s, enum verdict verdict, int64_t now,
                  struct ipmi_datagram *out)
{
    switch (verdict) {
    case NEXT:
        next_state(s, now, out);
        break;
    case STAY:
        ipmi_enter(s, s->state, now, out);
        break;
    case RESTART:
        restart(s, now, out);
        break;
    case BUSY:
        pause_busy(s, now);
        break;
    case FAIL:
        ipmi_end(s, now, out);
        break;
    case SETTLED:
        ipmi_settle(s, now, out);
        break;
    case BUSY_CONTROL:
        ipmi_hold(s, now, out);
        break;
    case LATER:
        ipmi_pause_sel(s, now, out);
        break;
    case IGNORE:
        s->ignored[IPMI_IGNORED_UNASKED]++;
        break;
    }
}

/* ---- Time ---- */

/* A 1.5 BMC is silent when the password is wrong, and counts. Whatever ends the attempt: with so
 * many unanswered the next action must not go on where this one stopped. */
void ipmi_doubt_password(struct ipmi_session *s)
{
    if (!s->opened && s->activations >= 2)
        s->fail_code = FAULT_PASSWORD;
}

/* The deadline of everything before the interrupt, or the end of the wait for its answer. */
static void give_up(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    if (s->state == IPMI_STATE_CONTROL) {
        ipmi_begin_probing(s, now, out);
        return;
    }
    if (s->state == IPMI_STATE_SEL || s->state == IPMI_STATE_SEL_PAUSE) {
        ipmi_leave_sel(s, now, out);
        return;
    }
    if (s->state == IPMI_STATE_PAUSE && s->busy > 0) {
        ipmi_fail(s, FAULT_BMC_BUSY);
    } else if (s->state == IPMI_STATE_READY) {
        ipmi_fail(s, FAULT_DEADLINE);
    } else {
        ipmi_fail(s, FAULT_UNREACHABLE);
    }
    ipmi_doubt_password(s);
    ipmi_end(s, now, out);
}

void ipmi_session_time(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    const struct ipmi_row *row = ipmi_row(s->state);
    ret_out->len = 0;
    if (now >= s->give_up_at) {
        give_up(s, now, ret_out);
    } else if (now < s->send_again_at) {
        return;
    } else if (s->state == IPMI_STATE_PAUSE) {
        open_anew(s, now, ret_out);
    } else if (s->state == IPMI_STATE_SEL_PAUSE) {
        ipmi_look_at_sel(s, false, now, ret_out);
    } else if (s->state == IPMI_STATE_HOLD) {
        ipmi_resume(s, now, ret_out);
    } else if (s->state == IPMI_STATE_STATUS && s->retrying && s->open && s->sends >= BUSY_TRIES) {
        restart(s, now, ret_out);
    } else if (row->tries != 0 && s->sends >= row->tries) {
        ipmi_advance(s, row->exhausted, now, ret_out);
    } else if (row->build != NULL) {
        s->retransmissions += s->state != IPMI_STATE_PROBE; /* each probe is one of its own */
        ipmi_ask(s, now, ret_out);
    }
}

int64_t ipmi_session_deadline(const struct ipmi_session *session)
{
    return session->send_again_at < session->give_up_at ? session->send_again_at
                                                        : session->give_up_at;
}

void ipmi_session_end(struct ipmi_session *session)
{
    secret_wipe(&session->channel, sizeof session->channel);
}

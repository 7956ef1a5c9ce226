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

#define DIAGNOSTIC_INTERRUPT 0x04 /* IPMI 2.0, table 28-4, data byte 1 */

#define INTERVAL_MAX_US 8000000
#define PAUSE_FIRST_US  500000
#define PAUSE_MAX_US    4000000
#define WINDOW_AHEAD    64
#define WINDOW_BEHIND   32

static void advance(struct ipmi_session *s, enum verdict verdict, int64_t now,
                    struct ipmi_datagram *out);

const char *ipmi_state_name(enum ipmi_state state)
{
    return (unsigned)state < IPMI_STATES ? ipmi_row(state)->name : "?";
}

/* The next rqSeq or message tag, marked as asked. */
static uint8_t next_number(struct ipmi_session *s, int64_t now)
{
    s->number = (s->number + 1) & 63;
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
static void ask(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    const struct ipmi_row *row = ipmi_row(s->state);
    s->sends++;
    row->build(s, next_number(s, now), out);
    s->send_again_at = now + interval(s);
}

static void enter(struct ipmi_session *s, enum ipmi_state state, int64_t now,
                  struct ipmi_datagram *out)
{
    s->state = state;
    s->asked = 0;
    s->sends = 0;
    s->send_again_at = INT64_MAX;
    s->give_up_at = state == IPMI_STATE_CLOSE || state == IPMI_STATE_DONE ? INT64_MAX : s->deadline;
    if (ipmi_row(state)->build != NULL)
        ask(s, now, out);
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
    channel->active = false;
    channel->bmc_id = 0;
    s->plan.random(channel->console_random, sizeof channel->console_random);
    s->plan.random(&channel->console_id, sizeof channel->console_id);
    s->plan.random(&s->first_sequence, sizeof s->first_sequence);
    channel->console_id |= 1; /* neither may be 0 */
    s->first_sequence |= 1;
    expect_sequence(s);
    if (s->heard || s->plan.skip_auth_cap)
        enter(s, channel->ipmi_1_5 ? IPMI_STATE_CHALLENGE : IPMI_STATE_OPEN, now, out);
    else
        enter(s, IPMI_STATE_AUTH_CAP, now, out);
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
    session->round_trip = plan->round_trip;
    prepare_channel(session);
    open_anew(session, now, ret_out);
}

/* ---- Steps ---- */

static void next_state(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    enum ipmi_state next = ipmi_row(s->state)->next;
    if (s->state == IPMI_STATE_AUTH_CAP && s->channel.ipmi_1_5)
        next = IPMI_STATE_CHALLENGE;
    if (s->state == IPMI_STATE_STATUS && s->plan.probe) {
        s->outcome = OUTCOME_DELIVERED;
        next = IPMI_STATE_CLOSE;
    }
    enter(s, next, now, out);
}

/* Ends, politely: an open session is closed, a half-open one is given up. */
static void end(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    bool half_open = s->state == IPMI_STATE_RAKP_1 && s->channel.bmc_id != 0;
    enter(s, s->open ? IPMI_STATE_CLOSE : IPMI_STATE_DONE, now, out);
    if (half_open && s->code == FAULT_PASSWORD) /* section 13.23: a RAKP 3 with an error status */
        ipmi_codec_rakp_3(s->codec, &s->channel, s->number, 0x0f, out);
}

static void restart(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    /* A BMC that does not answer Activate Session counts each as a failed log-in. */
    bool activating = s->state == IPMI_STATE_ACTIVATE;
    if (s->attempts >= (activating ? IPMI_ACTIVATIONS_MAX : IPMI_ATTEMPTS_MAX)) {
        ipmi_fail(s, activating ? FAULT_PASSWORD : FAULT_UNREACHABLE);
        end(s, now, out);
    } else if (s->state == IPMI_STATE_RAKP_3) {
        /* The BMC may have opened it, with only RAKP 4 lost: close it unseen, then try again. */
        s->channel.active = true;
        s->out_sequence = 1;
        const struct ipmi_row *close = ipmi_row(IPMI_STATE_CLOSE);
        close->build(s, next_number(s, now), out);
        s->channel.active = false;
        enter(s, IPMI_STATE_PAUSE, now, out);
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
    enter(s, IPMI_STATE_PAUSE, now, &none);
    s->send_again_at = now + pause;
}

static void advance(struct ipmi_session *s, enum verdict verdict, int64_t now,
                    struct ipmi_datagram *out)
{
    switch (verdict) {
    case NEXT:
        next_state(s, now, out);
        break;
    case STAY:
        enter(s, s->state, now, out);
        break;
    case RESTART:
        restart(s, now, out);
        break;
    case BUSY:
        pause_busy(s, now);
        break;
    case FAIL:
    case SETTLED:
        end(s, now, out);
        break;
    case IGNORE:
        s->ignored[IPMI_IGNORED_UNASKED]++;
        break;
    }
}

/* ---- Input ---- */

/* The window of section 6.12.13, for what has been authenticated. */
static bool is_fresh(struct ipmi_session *s, uint32_t sequence)
{
    int32_t ahead = (int32_t)(sequence - s->in_highest);
    if (ahead > 0 && ahead <= WINDOW_AHEAD) {
        s->in_seen = ahead >= WINDOW_BEHIND ? 0 : s->in_seen << ahead;
        if (ahead <= WINDOW_BEHIND)
            s->in_seen |= (uint32_t)1 << (ahead - 1);
        s->in_highest = sequence;
        return true;
    }
    if (ahead < 0 && ahead >= -WINDOW_BEHIND) {
        uint32_t bit = (uint32_t)1 << (-ahead - 1);
        bool fresh = (s->in_seen & bit) == 0;
        s->in_seen |= bit;
        return fresh;
    }
    return false;
}

/* The answer to Activate Session may have any number: ipmi_sim refuses with 0, for it opens nothing
 * to number, and FreeIPMI knows BMCs that do not begin with the number that they are asked for. */
static bool is_numbered(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    return !s->channel.active || is_fresh(s, packet->sequence);
}

/* Is this an answer to what is being asked? */
static bool is_asked(const struct ipmi_session *s, const struct ipmi_packet *packet)
{
    const struct ipmi_row *row = ipmi_row(s->state);
    uint8_t number = packet->kind == IPMI_PACKET_MESSAGE ? packet->rq_seq : packet->tag;
    if (row->check == NULL || packet->kind != row->answer || number > 63 ||
        (s->asked & ((uint64_t)1 << number)) == 0)
        return false;
    return packet->kind != IPMI_PACKET_MESSAGE ||
           (packet->net_fn == row->net_fn && packet->cmd == row->cmd);
}

static void learn_round_trip(struct ipmi_session *s, const struct ipmi_packet *packet, int64_t now)
{
    uint8_t number = packet->kind == IPMI_PACKET_MESSAGE ? packet->rq_seq : packet->tag;
    int64_t took = now - s->sent_at[number & 7];
    if (s->sends <= 8 && took > s->round_trip)
        s->round_trip = took;
}

/* While RAKP 3 is under way, a second RAKP 2 may come, for a RAKP 1 that was sent again: a BMC that
 * made a new random number for it wants RAKP 3 to prove that one. */
static bool is_newer_rakp_2(const struct ipmi_session *s, const struct ipmi_packet *packet)
{
    return s->state == IPMI_STATE_RAKP_3 && packet->kind == IPMI_PACKET_RAKP_2 &&
           packet->status == 0 && packet->tag <= 63 &&
           (s->asked_rakp_1 & ((uint64_t)1 << packet->tag)) != 0 &&
           packet->console_id == s->channel.console_id &&
           memcmp(packet->bmc_random, s->channel.bmc_random, 16) != 0;
}

void ipmi_session_input(struct ipmi_session *session, const uint8_t *bytes, size_t len, int64_t now,
                        struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    struct ipmi_packet packet;
    ret_out->len = 0;
    enum ipmi_ignored why = ipmi_codec_read(s->codec, &s->channel, bytes, len, &packet);
    if (why == IPMI_GOOD && packet.in_session && !is_numbered(s, &packet))
        why = IPMI_IGNORED_SEQUENCE;
    if (why != IPMI_GOOD) {
        s->ignored[why]++;
        return;
    }
    if (is_newer_rakp_2(s, &packet)) {
        if (!ipmi_take_rakp_2(s, &packet))
            s->ignored[IPMI_IGNORED_AUTHCODE]++;
        else if (ipmi_codec_keys(s->codec, &s->channel) == 0)
            ask(s, now, ret_out);
        return;
    }
    if (!is_asked(s, &packet)) {
        s->ignored[IPMI_IGNORED_UNASKED]++;
        return;
    }
    s->heard = true;
    if (s->state == IPMI_STATE_CONTROL)
        s->control_answered_at = now; /* how long it took to inject says nothing of the way */
    else
        learn_round_trip(s, &packet, now);
    advance(s, ipmi_row(s->state)->check(s, &packet), now, ret_out);
}

/* ---- Time ---- */

/* The deadline of everything before the interrupt, or the end of the wait for its answer. */
static void give_up(struct ipmi_session *s, int64_t now, struct ipmi_datagram *out)
{
    if (s->state == IPMI_STATE_CONTROL) {
        s->outcome = OUTCOME_UNKNOWN;
        s->code = FAULT_NO_ANSWER;
        s->failed_in = s->state;
    } else if (s->state == IPMI_STATE_PAUSE && s->busy > 0) {
        ipmi_fail(s, FAULT_BMC_BUSY);
    } else if (s->state == IPMI_STATE_READY) {
        ipmi_fail(s, FAULT_DEADLINE);
    } else {
        ipmi_fail(s, FAULT_UNREACHABLE);
    }
    end(s, now, out);
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
    } else if (row->tries != 0 && s->sends >= row->tries) {
        advance(s, row->exhausted, now, ret_out);
    } else if (row->build != NULL) {
        s->retransmissions++;
        ask(s, now, ret_out);
    }
}

int64_t ipmi_session_deadline(const struct ipmi_session *session)
{
    return session->send_again_at < session->give_up_at ? session->send_again_at
                                                        : session->give_up_at;
}

/* ---- The interrupt ---- */

void ipmi_session_go(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    ret_out->len = 0;
    if (s->state != IPMI_STATE_READY || s->plan.probe)
        return;
    /* First the state, then the datagram: whatever comes, this line is passed once. */
    enter(s, IPMI_STATE_CONTROL, now, ret_out);
    const uint8_t data[1] = {DIAGNOSTIC_INTERRUPT};
    ipmi_build_command(s, IPMI_CHASSIS, IPMI_CHASSIS_CONTROL, data, sizeof data,
                       next_number(s, now), ret_out);
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
    s->control_at = 0;
    ipmi_fail(s, FAULT_SYSTEM);
    end(s, now, ret_out);
}

void ipmi_session_abort(struct ipmi_session *session, enum fault_code code, int64_t now,
                        struct ipmi_datagram *ret_out)
{
    struct ipmi_session *s = session;
    ret_out->len = 0;
    if (s->state == IPMI_STATE_CONTROL || s->state == IPMI_STATE_CLOSE ||
        s->state == IPMI_STATE_DONE)
        return;
    ipmi_fail(s, code);
    end(s, now, ret_out);
}

void ipmi_session_end(struct ipmi_session *session)
{
    secret_wipe(&session->channel, sizeof session->channel);
}

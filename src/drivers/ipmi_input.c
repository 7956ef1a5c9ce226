/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's machine: what comes in. A datagram that is authentic, fresh and asked for goes to
 * the check of its row; everything else is counted, and changes nothing but the window and what the
 * BMC's numbers are worth as evidence. */
#include <string.h>
#include "drivers/ipmi_exchange.h"
#include "drivers/ipmi_machine.h"

#define WINDOW_AHEAD  64
#define WINDOW_BEHIND 32

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

/* The number of the answer to Activate Session is for its check: a refusal has 0 from ipmi_sim, for
 * it opens nothing to number. Within the session a number that comes again makes all of them worth
 * nothing as evidence. */
static bool is_numbered(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (!s->channel.active || is_fresh(s, packet->sequence))
        return true;
    s->numbers.spoilt = true;
    return false;
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

/* What is authentic and new. */
static void take(struct ipmi_session *s, const struct ipmi_packet *packet, bool asked,
                 bool late_probe, int64_t now, struct ipmi_datagram *out)
{
    if (!asked && late_probe) {
        s->probe_asked &= ~((uint64_t)1 << packet->rq_seq); /* its double is no second answer */
        s->probes_answered++;
    } else if (!asked) {
        s->ignored[IPMI_IGNORED_UNASKED]++;
    } else {
        s->heard = true;
        if (s->state == IPMI_STATE_CONTROL)
            s->control_answered_at = now; /* how long it took to inject says nothing of the way */
        else
            learn_round_trip(s, packet, now);
        ipmi_advance(s, ipmi_row(s->state)->check(s, packet), now, out);
    }
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
            ipmi_ask(s, now, ret_out);
        return;
    }
    if (ipmi_take_late_control(s, &packet)) {
        s->control_answered_at = now;
        ipmi_settle(s, now, ret_out);
        return;
    }
    bool asked = is_asked(s, &packet), late_probe = ipmi_is_late_probe(s, &packet);
    if (s->channel.active && packet.in_session && !(asked && s->state == IPMI_STATE_CONTROL))
        ipmi_numbers_take(&s->numbers, packet.sequence, asked || late_probe);
    take(s, &packet, asked, late_probe, now, ret_out);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exchanges of a session: how each request is built and each answer is checked, and the table
 * that puts them in order. Only the row of Chassis Control may not be sent again, and it has no
 * builder: ipmi_session_go() has the only one. Measured reasons for the rules are in docs/ipmi.md.
 */
#include "drivers/ipmi_exchange.h"

#include <string.h>
#include "base/secret.h"

#define NET_FN_APP 0x06

#define CMD_AUTH_CAP  0x38 /* Get Channel Authentication Capabilities */
#define CMD_CHALLENGE 0x39
#define CMD_ACTIVATE  0x3a
#define CMD_PRIVILEGE 0x3b /* Set Session Privilege Level */
#define CMD_CLOSE     0x3c

/* RMCP+ status codes, table 13-15. */
#define STATUS_NO_RESOURCES      0x01
#define STATUS_INVALID_SESSION   0x02
#define STATUS_INACTIVE_SESSION  0x08
#define STATUS_INVALID_ROLE      0x09
#define STATUS_UNAUTHORIZED_ROLE 0x0a
#define STATUS_NO_RESOURCES_ROLE 0x0b
#define STATUS_NAME_LENGTH       0x0c
#define STATUS_UNAUTHORIZED_NAME 0x0d
#define STATUS_INTEGRITY         0x0f

/* Completion codes of a BMC that cannot open a session now, table 5-2. */
#define NODE_BUSY    0xc0
#define OUT_OF_SPACE 0xc4

#define CLOSE_TRIES 3
#define PROBE_TRIES 4
#define SEL_TRIES   2

/* ---- Results ---- */

enum verdict ipmi_fail(struct ipmi_session *s, enum fault_code code)
{
    s->fail_code = code;
    if (s->maybe) { /* nothing that happens later makes the first one undone */
        s->outcome = OUTCOME_UNKNOWN;
        s->code = FAULT_NO_ANSWER;
        s->failed_in = IPMI_STATE_CONTROL;
    } else if (s->retrying) { /* that it was refused remains what the BMC has said of it */
        s->outcome = OUTCOME_FAILED;
        s->code = FAULT_REFUSED;
        s->failed_in = IPMI_STATE_CONTROL;
        s->have_completion = true;
        s->completion = NODE_BUSY;
    } else {
        s->outcome = OUTCOME_FAILED;
        s->code = code;
        s->failed_in = s->state;
    }
    return FAIL;
}

enum verdict ipmi_fail_completion(struct ipmi_session *s, enum fault_code code,
                                  const struct ipmi_packet *packet)
{
    if (!s->maybe && !s->retrying) {
        s->have_completion = true;
        s->completion = packet->kind == IPMI_PACKET_MESSAGE ? packet->completion : packet->status;
    }
    return ipmi_fail(s, code);
}

/* ---- Requests ---- */

void ipmi_build_command(struct ipmi_session *s, uint8_t net_fn, uint8_t cmd, const uint8_t *data,
                        size_t len, uint8_t number, struct ipmi_datagram *out)
{
    struct ipmi_command command = {net_fn, cmd, data, len};
    uint32_t sequence = 0;
    if (s->channel.active) {
        sequence = s->out_sequence++;
        if (s->out_sequence == 0) /* 0 means "outside a session" */
            s->out_sequence = 1;
    }
    ipmi_codec_command(s->codec, &s->channel, &command, number, sequence, out);
}

static void build_auth_cap(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    /* This channel (0Eh); bit 7 asks for the 2.0 data (section 22.13). */
    uint8_t data[2] = {s->plan.info->ipmi_1_5 ? 0x0e : 0x8e, s->channel.privilege};
    ipmi_build_command(s, NET_FN_APP, CMD_AUTH_CAP, data, sizeof data, number, out);
}

static void build_open(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    ipmi_codec_open(s->codec, &s->channel, number, out);
}

static void build_rakp_1(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    ipmi_codec_rakp_1(s->codec, &s->channel, number, out);
}

static void build_rakp_3(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    ipmi_codec_rakp_3(s->codec, &s->channel, number, 0, out);
}

static void build_challenge(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    uint8_t data[17] = {s->channel.auth_type};
    memcpy(data + 1, s->channel.username, 16);
    ipmi_build_command(s, NET_FN_APP, CMD_CHALLENGE, data, sizeof data, number, out);
}

static void build_activate(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    s->activations++;
    ipmi_codec_activate(s->codec, &s->channel, s->first_sequence, number, out);
}

static void build_privilege(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    ipmi_build_command(s, NET_FN_APP, CMD_PRIVILEGE, &s->channel.privilege, 1, number, out);
}

static void build_status(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    ipmi_build_command(s, IPMI_CHASSIS, IPMI_CHASSIS_STATUS, NULL, 0, number, out);
}

static void build_close(struct ipmi_session *s, uint8_t number, struct ipmi_datagram *out)
{
    uint8_t data[4];
    for (int i = 0; i < 4; i++)
        data[i] = (uint8_t)(s->channel.bmc_id >> (8 * i));
    ipmi_build_command(s, NET_FN_APP, CMD_CLOSE, data, sizeof data, number, out);
}

/* ---- Answers ---- */

/* Authentication types by strength: MD5, MD2, straight password, none (table 22-15, byte 3). The
 * offer is not authenticated: who forges it must not get the password in clear, nor a session whose
 * answers anybody can forge; so the last two only where the node says so. */
static int choose_auth_type(uint8_t offered, bool plain)
{
    static const uint8_t by_strength[] = {2, 1, 4, 0};
    for (size_t i = 0; i < (plain ? sizeof by_strength : 2); i++) {
        if (offered & (1u << by_strength[i]))
            return by_strength[i];
    }
    return -1;
}

static enum verdict check_auth_cap(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    const struct ipmi_info *info = s->plan.info;
    bool trust = (info->workarounds & IPMI_WORKAROUND_AUTHCAP) == 0;
    if (packet->completion != 0 || packet->len < 4) {
        /* A BMC that cannot say may still speak 2.0; 1.5 cannot go on without an answer. */
        return info->ipmi_1_5 ? ipmi_fail_completion(s, FAULT_PROTOCOL, packet) : NEXT;
    }
    uint8_t types = packet->data[1], status = packet->data[2], versions = packet->data[3];
    if (!info->ipmi_1_5) {
        bool speaks_2_0 = (types & 0x80) != 0 && (versions & 0x02) != 0;
        return trust && !speaks_2_0 ? ipmi_fail(s, FAULT_SUITE) : NEXT;
    }
    int type = choose_auth_type(types & 0x37, info->plain_password);
    if (type < 0)
        return ipmi_fail(s, FAULT_SUITE);
    s->channel.auth_type = (uint8_t)type;
    s->channel.per_message =
        (status & 0x10) == 0 || (info->workarounds & IPMI_WORKAROUND_FORCEPERMSG) != 0;
    return NEXT;
}

/* Open Session refused the algorithms: another suite, if there is one. */
static enum verdict next_suite(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    const struct ipmi_info *info = s->plan.info;
    s->suites_refused |= 1u << s->suite_index;
    for (unsigned i = 0; i < info->suite_count; i++) {
        if ((s->suites_refused & (1u << i)) == 0) {
            s->suite_index = i;
            s->channel.suite = info->suites[i];
            return STAY;
        }
    }
    return ipmi_fail_completion(s, FAULT_SUITE, packet);
}

/* Is this answer to Open Session or RAKP of our session? An error has our id too (tables 13-10 to
 * 13-13); one without it could be anybody's, who has not seen a packet of ours. */
static bool is_ours(const struct ipmi_session *s, const struct ipmi_packet *packet)
{
    return packet->has_console_id && packet->console_id == s->channel.console_id;
}

/* ipmi_sim refuses a suite without our id. Such a refusal may cost a suite, and no more: of the
 * credentials Open Session knows nothing. */
static bool refuses_suite(const struct ipmi_packet *packet)
{
    uint8_t status = packet->status;
    return (status >= 0x04 && status <= 0x07) || status == 0x10 || status == 0x11;
}

static enum verdict check_open(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (packet->has_console_id ? !is_ours(s, packet) : !refuses_suite(packet))
        return IGNORE;
    switch (packet->status) {
    case 0x00:
        break;
    case STATUS_NO_RESOURCES:
    case STATUS_NO_RESOURCES_ROLE:
        return BUSY;
    case 0x04: /* invalid authentication algorithm */
    case 0x05: /* invalid integrity algorithm */
    case 0x06: /* no matching authentication payload */
    case 0x07: /* no matching integrity payload */
    case 0x10: /* invalid confidentiality algorithm */
    case 0x11: /* no cipher suite match */
        return next_suite(s, packet);
    case STATUS_INVALID_ROLE:
    case STATUS_UNAUTHORIZED_ROLE:
        return ipmi_fail_completion(s, FAULT_PRIVILEGE, packet);
    default:
        return ipmi_fail_completion(s, FAULT_PROTOCOL, packet);
    }
    /* The level that it echoes says nothing: ipmi_sim echoes 0 (FreeIPMI's "opensesspriv"). */
    s->channel.bmc_id = packet->bmc_id;
    return packet->bmc_id == 0 ? ipmi_fail(s, FAULT_PROTOCOL) : NEXT;
}

static enum verdict check_rakp_status(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    switch (packet->status) {
    case STATUS_NO_RESOURCES:
    case STATUS_NO_RESOURCES_ROLE:
        return BUSY;
    case STATUS_INVALID_SESSION:
    case STATUS_INACTIVE_SESSION:
        return RESTART; /* the BMC forgot it, or a late Open Session overtook us */
    case STATUS_INVALID_ROLE:
    case STATUS_UNAUTHORIZED_ROLE:
        return ipmi_fail_completion(s, FAULT_PRIVILEGE, packet);
    case STATUS_NAME_LENGTH:
    case STATUS_UNAUTHORIZED_NAME:
        return ipmi_fail_completion(s, FAULT_USER, packet);
    case STATUS_INTEGRITY:
        return ipmi_fail_completion(s, FAULT_PASSWORD, packet);
    default:
        return ipmi_fail_completion(s, FAULT_PROTOCOL, packet);
    }
}

/* Keeps the BMC's random number and GUID if the BMC proves that it knows the password. Only who
 * sees our packets can make one with our session id, tag and a wrong proof, and who sees them can
 * stop us anyway: so a wrong proof means a wrong password, and is believed. */
bool ipmi_take_rakp_2(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    uint8_t random[16], guid[16];
    memcpy(random, s->channel.bmc_random, 16);
    memcpy(guid, s->channel.bmc_guid, 16);
    memcpy(s->channel.bmc_random, packet->bmc_random, 16);
    memcpy(s->channel.bmc_guid, packet->bmc_guid, 16);
    if (ipmi_codec_proves_rakp_2(s->codec, &s->channel))
        return true;
    memcpy(s->channel.bmc_random, random, 16);
    memcpy(s->channel.bmc_guid, guid, 16);
    return false;
}

static enum verdict check_rakp_2(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (!is_ours(s, packet))
        return IGNORE;
    if (packet->status != 0)
        return check_rakp_status(s, packet);
    if (!ipmi_take_rakp_2(s, packet))
        return ipmi_fail(s, FAULT_PASSWORD);
    s->asked_rakp_1 = s->asked;
    return ipmi_codec_keys(s->codec, &s->channel) < 0 ? ipmi_fail(s, FAULT_PROTOCOL) : NEXT;
}

/* We know that the password is right. The BMC refuses our proof when it made a new random number
 * for a RAKP 1 that was sent again. Else once more, and no oftener: to the BMC it is a log-in that
 * failed. */
static bool may_prove_again(struct ipmi_session *s)
{
    bool asked_twice = (s->asked_rakp_1 & (s->asked_rakp_1 - 1)) != 0;
    return s->attempts < IPMI_ATTEMPTS_MAX && (asked_twice || s->proofs_refused++ == 0);
}

static enum verdict check_rakp_4(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (!is_ours(s, packet))
        return IGNORE;
    if (packet->status == STATUS_INTEGRITY && may_prove_again(s))
        return RESTART;
    if (packet->status != 0)
        return check_rakp_status(s, packet);
    bool proven = ipmi_codec_proves_rakp_4(s->codec, &s->channel);
    if (!proven && s->sends > 1)
        return IGNORE; /* it may answer a RAKP 3 for the BMC's earlier random number */
    if (!proven)
        return ipmi_fail(s, s->channel.has_k_g ? FAULT_KG : FAULT_PASSWORD);
    s->channel.active = true;
    s->open = s->opened = true;
    s->out_sequence = 1;
    return NEXT;
}

static enum verdict check_challenge(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (packet->completion == 0x81 || packet->completion == 0x82) /* table 22-21 */
        return ipmi_fail_completion(s, FAULT_USER, packet);
    if (packet->completion == NODE_BUSY || packet->completion == OUT_OF_SPACE)
        return BUSY;
    if (packet->completion != 0 || packet->len < 20)
        return ipmi_fail_completion(s, FAULT_PROTOCOL, packet);
    s->channel.bmc_id = 0;
    for (int i = 0; i < 4; i++)
        s->channel.bmc_id |= (uint32_t)packet->data[i] << (8 * i);
    memcpy(s->channel.challenge, packet->data + 4, 16);
    return s->channel.bmc_id == 0 ? ipmi_fail(s, FAULT_PROTOCOL) : NEXT;
}

static enum verdict check_activate(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    /* It has the number that we asked for, or nearly (the Intel SE7520JR2 is one off): in 1.5 that
     * number is all that tells it from an earlier session's. */
    int32_t off = (int32_t)(packet->sequence - s->in_highest);
    if (packet->completion == 0 && (off < 1 || off > 4))
        return IGNORE;
    s->activations = 0;
    switch (packet->completion) { /* table 22-23 */
    case 0x00:
        break;
    case 0x81:
    case 0x82:
    case 0x83:
    case NODE_BUSY:
    case OUT_OF_SPACE:
        return BUSY;
    case 0x84:
    case 0x85:
        return RESTART;
    case 0x86:
        return ipmi_fail_completion(s, FAULT_PRIVILEGE, packet);
    case 0xd4: /* the Xyratex HB-F8-SRAY, for any level but ADMINISTRATOR */
        return ipmi_fail_completion(s, FAULT_PRIVILEGE, packet);
    default:
        return ipmi_fail_completion(s, FAULT_PROTOCOL, packet);
    }
    if (packet->len < 10)
        return ipmi_fail(s, FAULT_PROTOCOL);
    s->channel.bmc_id = s->out_sequence = 0;
    for (int i = 0; i < 4; i++) {
        s->channel.bmc_id |= (uint32_t)packet->data[1 + i] << (8 * i);
        s->out_sequence |= (uint32_t)packet->data[5 + i] << (8 * i);
    }
    /* Quirk "endianseq": the Sun Fire 4100 counts in the other byte order. */
    if (s->plan.info->workarounds & IPMI_WORKAROUND_ENDIANSEQ)
        s->out_sequence = __builtin_bswap32(s->out_sequence);
    if (s->out_sequence == 0)
        s->out_sequence = 1;
    s->channel.active = true;
    s->open = s->opened = true;
    return NEXT;
}

static enum verdict check_privilege(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (packet->completion != 0)
        return ipmi_fail_completion(s, FAULT_PRIVILEGE, packet);
    return NEXT;
}

static enum verdict check_status(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    if (packet->completion != 0 || packet->len < 1) {
        s->power = IPMI_POWER_UNCHECKED; /* it may not or cannot tell: go on, and say so */
    } else if (packet->data[0] & 0x01) {
        s->power = IPMI_POWER_ON;
    } else {
        s->power = IPMI_POWER_OFF;
        if (!s->plan.probe)
            return ipmi_fail(s, FAULT_POWERED_OFF);
    }
    return NEXT;
}

static enum verdict check_close(struct ipmi_session *s, const struct ipmi_packet *packet)
{
    s->close_acked = packet->completion == 0;
    return NEXT;
}

/* Rows without build are states that ask for nothing. READY's successor is built by
 * ipmi_session_go() alone. */
static const struct ipmi_row table[IPMI_STATES] = {
    [IPMI_STATE_NEW] = {.name = "start"},
    [IPMI_STATE_AUTH_CAP] = {"Get Channel Authentication Capabilities", build_auth_cap,
                             check_auth_cap, IPMI_PACKET_MESSAGE, NET_FN_APP + 1, CMD_AUTH_CAP,
                             IPMI_STATE_OPEN, true, 0, FAIL},
    [IPMI_STATE_OPEN] = {"Open Session", build_open, check_open, IPMI_PACKET_OPEN, 0, 0,
                         IPMI_STATE_RAKP_1, true, 0, FAIL},
    [IPMI_STATE_RAKP_1] = {"RAKP Message 1", build_rakp_1, check_rakp_2, IPMI_PACKET_RAKP_2, 0, 0,
                           IPMI_STATE_RAKP_3, true, 4, RESTART},
    [IPMI_STATE_RAKP_3] = {"RAKP Message 3", build_rakp_3, check_rakp_4, IPMI_PACKET_RAKP_4, 0, 0,
                           IPMI_STATE_PRIVILEGE, true, 2, RESTART},
    [IPMI_STATE_CHALLENGE] = {"Get Session Challenge", build_challenge, check_challenge,
                              IPMI_PACKET_MESSAGE, NET_FN_APP + 1, CMD_CHALLENGE,
                              IPMI_STATE_ACTIVATE, true, 0, FAIL},
    [IPMI_STATE_ACTIVATE] = {"Activate Session", build_activate, check_activate,
                             IPMI_PACKET_MESSAGE, NET_FN_APP + 1, CMD_ACTIVATE,
                             IPMI_STATE_PRIVILEGE, true, 2, RESTART},
    [IPMI_STATE_PRIVILEGE] = {"Set Session Privilege Level", build_privilege, check_privilege,
                              IPMI_PACKET_MESSAGE, NET_FN_APP + 1, CMD_PRIVILEGE, IPMI_STATE_STATUS,
                              true, 0, FAIL},
    [IPMI_STATE_STATUS] = {"Get Chassis Status", build_status, check_status, IPMI_PACKET_MESSAGE,
                           IPMI_CHASSIS + 1, IPMI_CHASSIS_STATUS, IPMI_STATE_READY, true, 0, FAIL},
    [IPMI_STATE_MARK] = {"Get SEL Entry (newest)", ipmi_build_mark, ipmi_check_mark,
                         IPMI_PACKET_MESSAGE, IPMI_STORAGE + 1, IPMI_SEL_ENTRY, IPMI_STATE_READY,
                         true, SEL_TRIES, NEXT},
    [IPMI_STATE_READY] = {.name = "ready", .idempotent = true},
    [IPMI_STATE_CONTROL] = {"Chassis Control", NULL, ipmi_check_control, IPMI_PACKET_MESSAGE,
                            IPMI_CHASSIS + 1, IPMI_CHASSIS_CONTROL, IPMI_STATE_CLOSE, false, 1,
                            SETTLED},
    [IPMI_STATE_PROBE] = {"Get Chassis Status (probe)", ipmi_build_probe, ipmi_check_probe,
                          IPMI_PACKET_MESSAGE, IPMI_CHASSIS + 1, IPMI_CHASSIS_STATUS,
                          IPMI_STATE_CLOSE, true, PROBE_TRIES, SETTLED},
    [IPMI_STATE_SEL] = {"Get SEL Entry", ipmi_build_sel, ipmi_check_sel, IPMI_PACKET_MESSAGE,
                        IPMI_STORAGE + 1, IPMI_SEL_ENTRY, IPMI_STATE_CLOSE, true, SEL_TRIES,
                        SETTLED},
    [IPMI_STATE_SEL_PAUSE] = {.name = "pause (SEL)", .idempotent = true},
    [IPMI_STATE_HOLD] = {.name = "pause (busy)", .idempotent = true},
    [IPMI_STATE_CLOSE] = {"Close Session", build_close, check_close, IPMI_PACKET_MESSAGE,
                          NET_FN_APP + 1, CMD_CLOSE, IPMI_STATE_DONE, true, CLOSE_TRIES, NEXT},
    [IPMI_STATE_PAUSE] = {.name = "pause", .idempotent = true},
    [IPMI_STATE_DONE] = {.name = "end"},
};

const struct ipmi_row *ipmi_row(enum ipmi_state state)
{
    return &table[state];
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec's way in: datagrams to packets, and the checks of their authenticity. */
#include <string.h>
#include "drivers/ipmi_codec_state.h"
#include "drivers/ipmi_info.h"

static uint32_t swap32(uint32_t x)
{
    return __builtin_bswap32(x);
}

static uint32_t le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Command, completion code and data; net_fn and rq_seq. */
static bool read_message(struct ipmi_codec *codec, struct ipmi_packet *packet)
{
    uint8_t bytes[2 + IPMI_DATA_MAX], header[8];
    int len = fiid_obj_get_all(codec->object[ANSWER], bytes, sizeof bytes);
    if (len < 2 || fiid_obj_get_all(codec->object[MESSAGE_HEADER_IN], header, sizeof header) != 5)
        return false;
    packet->kind = IPMI_PACKET_MESSAGE;
    packet->net_fn = header[1] >> 2; /* section 13.8: address, netFn and LUN, checksum, */
    packet->rq_seq = header[4] >> 2; /* address, rqSeq and LUN */
    packet->cmd = bytes[0];
    packet->completion = bytes[1];
    packet->len = (size_t)len - 2;
    memcpy(packet->data, bytes + 2, packet->len);
    return true;
}

static bool authentic_1_5(const struct ipmi_channel *channel, uint8_t type, const uint8_t *bytes,
                          size_t len)
{
    /* Quirk "noauthcodecheck": the Xyratex HB-F8-SRAY leaves the code blank. */
    if (type == IPMI_AUTHENTICATION_TYPE_NONE ||
        (channel->workarounds & IPMI_WORKAROUND_NOAUTHCODECHECK))
        return true;
    /* All 16 bytes: for a straight password libfreeipmi 1.6.10 does not pad what it compares. */
    return ipmi_lan_check_packet_session_authentication_code(
               bytes, (unsigned)len, type, channel->password, IPMI_PASSWORD_MAX_1_5) == 1;
}

/* Session id, sequence number and authentication of a 1.5 packet. */
static enum ipmi_ignored check_1_5(const struct ipmi_channel *channel, const uint8_t *bytes,
                                   size_t len, struct ipmi_packet *packet)
{
    /* Table 13-8: RMCP header, authentication type, sequence number, session id. */
    uint8_t type = bytes[4];
    uint32_t id = le32(bytes + 9);
    packet->sequence = le32(bytes + 5);
    if (channel->workarounds & IPMI_WORKAROUND_ENDIANSEQ)
        packet->sequence = swap32(packet->sequence);
    packet->in_session = channel->ipmi_1_5 && channel->bmc_id != 0;
    /* Within a 2.0 session a 1.5 packet proves nothing: anybody can make it. */
    if (!packet->in_session)
        return id == 0 && !channel->active ? IPMI_GOOD : IPMI_IGNORED_SESSION;
    /* Quirk "idzero": the Tyan S2882 with m3289 answers with session id 0. */
    bool zero = id == 0 && (channel->workarounds & IPMI_WORKAROUND_IDZERO);
    if (id != channel->bmc_id && !zero)
        return IPMI_IGNORED_SESSION;
    /* The answer to Activate Session (we are not active yet) is authenticated; later ones as
     * agreed. Quirk "unexpectedauth": the Dell PowerEdge 2850 authenticates all the same. */
    bool must = !channel->active || channel->per_message;
    uint8_t expected = must ? channel->auth_type : IPMI_AUTHENTICATION_TYPE_NONE;
    if (type != expected && (channel->workarounds & IPMI_WORKAROUND_UNEXPECTEDAUTH) && !must)
        expected = channel->auth_type;
    if (type != expected || !authentic_1_5(channel, expected, bytes, len))
        return IPMI_IGNORED_AUTHCODE;
    return IPMI_GOOD;
}

static enum ipmi_ignored read_1_5(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                                  const uint8_t *bytes, size_t len, struct ipmi_packet *packet)
{
    fiid_obj_t *o = codec->object;
    if (unassemble_ipmi_lan_pkt(bytes, (unsigned)len, o[RMCP_IN], o[LAN_SESSION_IN],
                                o[MESSAGE_HEADER_IN], o[ANSWER], o[MESSAGE_TRAILER_IN],
                                IPMI_INTERFACE_FLAGS_DEFAULT) != 1)
        return IPMI_IGNORED_MALFORMED;
    /* Quirk "nochecksumcheck": the Supermicro X9SCM-iiF sums wrongly. */
    if (!(channel->workarounds & IPMI_WORKAROUND_NOCHECKSUMCHECK) &&
        ipmi_lan_check_packet_checksum(bytes, (unsigned)len) != 1)
        return IPMI_IGNORED_MALFORMED;
    if (!read_message(codec, packet))
        return IPMI_IGNORED_MALFORMED;
    return check_1_5(channel, bytes, len, packet);
}

/* An answer to Open Session (table 13-10), RAKP 2 or 4 (tables 13-12, 13-14). */
static enum ipmi_ignored read_setup(enum ipmi_packet_kind kind, const uint8_t *payload, size_t len,
                                    struct ipmi_packet *packet)
{
    size_t whole = kind == IPMI_PACKET_OPEN ? 12 : kind == IPMI_PACKET_RAKP_2 ? 40 : 8;
    if (len < 2)
        return IPMI_IGNORED_MALFORMED;
    packet->kind = kind;
    packet->tag = payload[0];
    packet->status = payload[1];
    /* With an error status a BMC may end the message here. */
    packet->has_console_id = len >= 8;
    if (packet->has_console_id)
        packet->console_id = le32(payload + 4);
    if (len < whole)
        return packet->status != 0 ? IPMI_GOOD : IPMI_IGNORED_MALFORMED;
    if (kind == IPMI_PACKET_OPEN)
        packet->bmc_id = le32(payload + 8);
    if (kind == IPMI_PACKET_RAKP_2) {
        memcpy(packet->bmc_random, payload + 8, 16);
        memcpy(packet->bmc_guid, payload + 24, 16);
    }
    return IPMI_GOOD;
}

/* A message within the session: authentic, then its checksums and its parts. */
static enum ipmi_ignored read_sealed(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                                     const uint8_t *bytes, size_t len, struct ipmi_packet *packet)
{
    uint8_t message[IPMI_DATAGRAM_MAX];
    size_t size;
    enum ipmi_ignored why =
        ipmi_unseal(codec->seal, channel, bytes, len, message, &size, &packet->sequence);
    if (why != IPMI_GOOD)
        return why;
    /* Header of five bytes, command, completion code, data, checksum. */
    if (size < 8 || size > 8 + IPMI_DATA_MAX)
        return IPMI_IGNORED_MALFORMED;
    if (!(channel->workarounds & IPMI_WORKAROUND_NOCHECKSUMCHECK) &&
        (ipmi_codec_checksum(message, 3) != 0 || ipmi_codec_checksum(message + 3, size - 3) != 0))
        return IPMI_IGNORED_MALFORMED;
    packet->kind = IPMI_PACKET_MESSAGE;
    packet->in_session = true;
    packet->net_fn = message[1] >> 2;
    packet->rq_seq = message[4] >> 2;
    packet->cmd = message[5];
    packet->completion = message[6];
    packet->len = size - 8;
    memcpy(packet->data, message + 7, packet->len);
    return IPMI_GOOD;
}

/* Keeps what lies behind the first `from` bytes of RAKP 2 or 4: its proof. */
static enum ipmi_ignored keep_proof(struct ipmi_codec *codec, const uint8_t *payload, size_t len,
                                    size_t from)
{
    codec->proof_len = len > from ? len - from : 0;
    if (codec->proof_len > sizeof codec->proof)
        return IPMI_IGNORED_MALFORMED;
    if (codec->proof_len > 0)
        memcpy(codec->proof, payload + from, codec->proof_len);
    return IPMI_GOOD;
}

static enum ipmi_ignored read_2_0(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                                  const uint8_t *bytes, size_t len, struct ipmi_packet *packet)
{
    const uint8_t *payload;
    size_t size;
    uint8_t type;
    enum ipmi_ignored why;
    if (le32(bytes + 6) != 0 || (bytes[5] & 0xc0) != 0) /* a session id, or protected */
        return channel->active && !channel->ipmi_1_5
                   ? read_sealed(codec, channel, bytes, len, packet)
                   : IPMI_IGNORED_SESSION;
    bool one_less = (channel->workarounds & IPMI_WORKAROUND_SUPERMICRO20) != 0;
    if (ipmi_unframe(bytes, len, one_less, &type, &payload, &size) < 0)
        return IPMI_IGNORED_MALFORMED;
    switch (type) {
    case IPMI_PAYLOAD_TYPE_RMCPPLUS_OPEN_SESSION_RESPONSE:
        return read_setup(IPMI_PACKET_OPEN, payload, size, packet);
    case IPMI_PAYLOAD_TYPE_RAKP_MESSAGE_2:
        why = read_setup(IPMI_PACKET_RAKP_2, payload, size, packet);
        return why == IPMI_GOOD ? keep_proof(codec, payload, size, 40) : why;
    case IPMI_PAYLOAD_TYPE_RAKP_MESSAGE_4:
        why = read_setup(IPMI_PACKET_RAKP_4, payload, size, packet);
        return why == IPMI_GOOD ? keep_proof(codec, payload, size, 8) : why;
    case IPMI_PAYLOAD_TYPE_IPMI:
        return IPMI_IGNORED_SESSION;
    default:
        return IPMI_IGNORED_MALFORMED;
    }
}

enum ipmi_ignored ipmi_codec_read(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                                  const uint8_t *bytes, size_t len, struct ipmi_packet *ret_packet)
{
    /* RMCP version 6, no acknowledge, class IPMI (13.1.3); then the format byte. */
    if (len < 16 || len > IPMI_DATAGRAM_MAX || bytes[0] != RMCP_VERSION_1_0 ||
        bytes[3] != RMCP_HDR_MESSAGE_CLASS_IPMI)
        return IPMI_IGNORED_MALFORMED;
    struct ipmi_packet packet = {0};
    enum ipmi_ignored why;
    if (bytes[4] == IPMI_AUTHENTICATION_TYPE_RMCPPLUS) {
        why = read_2_0(codec, channel, bytes, len, &packet);
    } else {
        why = read_1_5(codec, channel, bytes, len, &packet);
        fiid_obj_clear(codec->object[LAN_SESSION_IN]); /* it may have the password in clear */
    }
    if (why == IPMI_GOOD)
        *ret_packet = packet;
    return why;
}

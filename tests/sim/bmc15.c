/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets: RMCP and ASF presence ping (IPMI 2.0, 13.1 and 13.2), IPMI 1.5 session headers (13.6)
 * with their authentication codes (22.17.1), and the IPMI message itself (13.8). */
#include "crypt.h"
#include "flow.h"
#include "sim.h"
#include "wire.h"

#define CLASS_ASF  6
#define CLASS_IPMI 7
#define AUTH_NONE  0
#define AUTH_MD5   2
#define AUTH_PLUS  6

static void ping_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length,
                    bool lost)
{
    static const uint8_t iana[] = {0, 0, 0x11, 0xbe};
    uint8_t out[28] = {6, 0, 0xff, CLASS_ASF};

    if (length < 12 || memcmp(in + 4, iana, 4) || in[8] != 0x80 ||
        request_lost(bmc, KIND_PING, 0, lost))
        return;
    memcpy(out + 4, iana, 4);
    out[8] = 0x40;
    out[9] = in[9];
    out[11] = 16;
    memcpy(out + 12, iana, 4);
    out[20] = 0x81; /* IPMI supported, ASF 1.0 */
    if (!response_lost(bmc, KIND_PING, 0))
        datagram_answer(bmc, peer, out, sizeof(out));
}

/* rsAddr, netFn/LUN, checksum, rqAddr, rqSeq/LUN, cmd, data, checksum. */
int message_parse(struct request *request, const uint8_t *message, size_t length)
{
    if (length < 7 || checksum(message, 3) != 0 || checksum(message + 3, length - 3) != 0)
        return -1;
    if (message[1] >> 2 & 1) /* a response */
        return -1;
    request->rs_addr = message[0];
    request->netfn = message[1] >> 2;
    request->rs_lun = message[1] & 3;
    request->rq_addr = message[3];
    request->rq_seq = message[4] >> 2;
    request->rq_lun = message[4] & 3;
    request->cmd = message[5];
    request->length = length - 7;
    if (request->length <= REQUEST_DATA_MAX)
        memcpy(request->data, message + 6, request->length);
    request->kind = command_kind(request->netfn, request->cmd);
    return 0;
}

/* The authentication code of one message in a 1.5 session; false: this password has none. */
static bool code15(uint8_t code[16], const struct bmc *bmc, uint8_t auth_type, uint32_t id,
                   uint32_t seq, const uint8_t *message, size_t length)
{
    uint8_t text[16 + 4 + 255 + 4 + 16], *p = text, password[16] = {0};
    size_t n = strlen(bmc->settings.password);

    if (n > sizeof(password))
        return false;
    memcpy(password, bmc->settings.password, n);
    if (auth_type != AUTH_MD5) {
        memcpy(code, password, 16);
        return true;
    }
    p = put(p, password, 16);
    le32_put(p, id);
    p = put(p + 4, message, length);
    le32_put(p, seq);
    p = put(p + 4, password, 16);
    crypt_md5(text, (size_t)(p - text), code);
    return true;
}

size_t packet15(uint8_t *out, const struct bmc *bmc, const struct session *session, uint32_t id,
                uint32_t seq, const uint8_t *message, size_t length)
{
    uint8_t auth_type = session ? session->auth_type : AUTH_NONE;
    uint8_t *p = put(out, RMCP_HEADER, 4);

    *p++ = auth_type;
    le32_put(p, seq);
    le32_put(p + 4, id);
    p += 8;
    if (auth_type != AUTH_NONE) {
        code15(p, bmc, auth_type, id, seq, message, length);
        p += 16;
    }
    *p++ = (uint8_t)length;
    p = put(p, message, length);
    return (size_t)(p - out);
}

struct header15 {
    uint8_t auth_type;
    uint32_t seq, id;
    const uint8_t *code, *message;
    size_t length;
};

static int header15_parse(struct header15 *header, const uint8_t *in, size_t length)
{
    const uint8_t *end = in + length, *p = in + 13;

    if (length < 14)
        return -1;
    header->auth_type = in[4];
    header->seq = le32(in + 5);
    header->id = le32(in + 9);
    header->code = p;
    if (header->auth_type != AUTH_NONE)
        p += 16;
    if (p >= end || p + 1 + *p > end)
        return -1;
    header->message = p + 1;
    header->length = *p;
    return 0;
}

/* A challenged session takes its Activate Session only, and, where the answer may have been lost,
 * again. Everything else is numbered. */
static bool turn15(struct bmc *bmc, struct session *session, const struct request *request,
                   uint32_t seq)
{
    if (session->state == STATE_CHALLENGED)
        return request->kind == KIND_ACTIVATE;
    if (request->kind == KIND_ACTIVATE)
        return bmc->settings.rakp3_repeat;
    if (!session_seq_fits(bmc, session, seq))
        return false;
    session_seq_take(session, seq);
    return true;
}

static bool session15_allows(struct bmc *bmc, const struct header15 *header,
                             struct session *session)
{
    uint8_t code[16];

    if (!session || session->plus || session->state == STATE_CLOSING) {
        bmc->counters.dropped++;
        return false;
    }
    if (header->auth_type == session->auth_type &&
        (header->auth_type == AUTH_NONE || (code15(code, bmc, header->auth_type, header->id,
                                                   header->seq, header->message, header->length) &&
                                            !memcmp(code, header->code, 16))))
        return true;
    bmc->counters.auth_failures++;
    return false;
}

static void packet15_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length,
                        bool lost)
{
    struct request request = {.bmc = bmc, .peer = *peer};
    struct session *session = NULL;
    struct header15 header;

    if (header15_parse(&header, in, length) != 0 ||
        message_parse(&request, header.message, header.length) != 0) {
        bmc->counters.dropped++;
        return;
    }
    request.session_id = header.id;
    if (header.id != 0) {
        session = session_find(bmc, header.id);
        if (!session15_allows(bmc, &header, session))
            return;
    } else if (header.auth_type != AUTH_NONE) {
        bmc->counters.dropped++;
        return;
    }
    if (!request_arrives(&request, lost))
        return;
    if (session && !turn15(bmc, session, &request, header.seq)) {
        bmc->counters.dropped++;
        return;
    }
    if (session) {
        session->used_us = sim.now_us;
        request.privilege = session->privilege;
    }
    request_serve(&request);
}

void datagram_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length)
{
    bool lost = random_percent(&bmc->loss_random, bmc->settings.loss_in) || bmc->settings.blackhole;

    bmc->counters.datagrams_in++;
    if (length < 5 || in[0] != 6)
        bmc->counters.dropped++;
    else if ((in[3] & 0x1f) == CLASS_ASF)
        ping_in(bmc, peer, in, length, lost);
    else if ((in[3] & 0x1f) == CLASS_IPMI && in[4] == AUTH_PLUS)
        packet20_in(bmc, peer, in, length, lost);
    else if ((in[3] & 0x1f) == CLASS_IPMI)
        packet15_in(bmc, peer, in, length, lost);
    else
        bmc->counters.dropped++;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RMCP+ packets: session header and trailer (IPMI 2.0, 13.6), integrity (13.28.4) and AES-CBC-128
 * confidentiality (13.29). */
#include "crypt.h"
#include "flow.h"
#include "sim.h"
#include "wire.h"

#define HEADER        16 /* RMCP 4, authentication type, payload type, id 4, sequence 4, length 2 */
#define AUTHENTICATED 0x40
#define ENCRYPTED     0x80
#define NEXT_HEADER   7

const struct suite suites[] = {
    {0, 0, 0, 0, HASH_NONE, 0},     {1, 1, 0, 0, HASH_SHA1, 0},    {2, 1, 1, 0, HASH_SHA1, 12},
    {3, 1, 1, 1, HASH_SHA1, 12},    {15, 3, 0, 0, HASH_SHA256, 0}, {16, 3, 4, 0, HASH_SHA256, 16},
    {17, 3, 4, 1, HASH_SHA256, 16},
};
const size_t suites_count = sizeof(suites) / sizeof(*suites);

/* IV, then the payload padded with 1, 2, 3 ... and the length of that pad. */
static size_t seal(uint8_t *out, const uint8_t *key, const uint8_t *payload, size_t length)
{
    uint8_t *p = out + 16;
    size_t pad = (16 - (length + 1) % 16) % 16;

    random_bytes(out, 16);
    p = put(p, payload, length);
    for (size_t i = 1; i <= pad; i++)
        *p++ = (uint8_t)i;
    *p++ = (uint8_t)pad;
    crypt_encrypt(key, out, out + 16, (size_t)(p - out) - 16);
    return (size_t)(p - out);
}

static int unseal(uint8_t *out, size_t *ret_length, const uint8_t *key, const uint8_t *in,
                  size_t length)
{
    size_t n = length - 16, pad;

    if (length < 32 || n % 16)
        return -1;
    memcpy(out, in + 16, n);
    crypt_decrypt(key, in, out, n);
    pad = out[n - 1];
    if (pad > 15)
        return -1;
    for (size_t i = 0; i < pad; i++)
        if (out[n - 1 - pad + i] != i + 1)
            return -1;
    *ret_length = n - 1 - pad;
    return 0;
}

size_t packet20(uint8_t *out, const struct session *session, uint8_t type, uint32_t id,
                uint32_t seq, const uint8_t *payload, size_t length)
{
    const struct suite *suite = &suites[session ? session->suite : 0];
    uint8_t *p = put(out, RMCP_HEADER, 4), code[32];

    *p++ = 6;
    *p++ = (uint8_t)(type | (suite->integrity ? AUTHENTICATED : 0) |
                     (suite->confidentiality ? ENCRYPTED : 0));
    le32_put(p, id);
    le32_put(p + 4, seq);
    p = out + HEADER;
    if (suite->confidentiality)
        length = seal(p, session->k2, payload, length);
    else
        memcpy(p, payload, length);
    out[14] = (uint8_t)length;
    out[15] = (uint8_t)(length >> 8);
    p += length;
    if (suite->integrity) {
        size_t pad = (4 - (size_t)(p - out - 4 + 2) % 4) % 4;

        memset(p, 0xff, pad);
        p += pad;
        *p++ = (uint8_t)pad;
        *p++ = NEXT_HEADER;
        crypt_hmac(suite->hash, session->k1, hash_length(suite->hash), out + 4,
                   (size_t)(p - out) - 4, code);
        p = put(p, code, suite->code_length);
    }
    return (size_t)(p - out);
}

/* The packet's authentication code, and that the suite's protections are all there. */
static bool packet_authentic(const struct session *session, const uint8_t *in, size_t length,
                             size_t payload)
{
    const struct suite *suite = &suites[session->suite];
    uint8_t code[32];

    if (suite->confidentiality && !(in[5] & ENCRYPTED))
        return false;
    if (!suite->integrity)
        return true;
    if (!(in[5] & AUTHENTICATED) || length < HEADER + payload + 2 + suite->code_length)
        return false;
    length -= suite->code_length;
    crypt_hmac(suite->hash, session->k1, hash_length(suite->hash), in + 4, length - 4, code);
    return !memcmp(code, in + length, suite->code_length);
}

static void session20_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length,
                         size_t payload, bool lost)
{
    struct request request = {.bmc = bmc, .peer = *peer, .plus = true};
    struct session *session = session_find(bmc, le32(in + 6));
    const uint8_t *message = in + HEADER;
    uint8_t plain[DATAGRAM_MAX];

    if (!session || !session->plus || session->state != STATE_ACTIVE) {
        bmc->counters.dropped++;
        return;
    }
    if (!packet_authentic(session, in, length, payload)) {
        bmc->counters.auth_failures++;
        return;
    }
    if (suites[session->suite].confidentiality) {
        if (unseal(plain, &payload, session->k2, message, payload) != 0) {
            bmc->counters.auth_failures++;
            return;
        }
        message = plain;
    }
    request.session_id = session->id;
    request.privilege = session->privilege;
    if ((in[5] & 0x3f) != 0 || message_parse(&request, message, payload) != 0) {
        bmc->counters.dropped++;
        return;
    }
    if (!request_arrives(&request, lost))
        return;
    if (!session_seq_fits(bmc, session, le32(in + 10))) {
        trace(bmc, "duplicate or out of the window: %u", le32(in + 10));
        bmc->counters.dropped++;
        return;
    }
    session_seq_take(session, le32(in + 10));
    session->used_us = sim.now_us;
    request_serve(&request);
}

void packet20_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length,
                 bool lost)
{
    struct request request = {.bmc = bmc, .peer = *peer, .plus = true};
    size_t payload = length >= HEADER ? in[14] | (size_t)in[15] << 8 : 0;

    if (bmc->settings.version == VERSION_15 || length < HEADER || HEADER + payload > length) {
        bmc->counters.dropped++;
        return;
    }
    if (le32(in + 6) != 0) {
        session20_in(bmc, peer, in, length, payload, lost);
        return;
    }
    switch (in[5]) { /* outside a session nothing is protected */
    case 0x00:
        if (message_parse(&request, in + HEADER, payload) == 0 && request_arrives(&request, lost))
            request_serve(&request);
        break;
    case 0x10:
    case 0x12:
    case 0x14:
        setup20_in(bmc, peer, in[5], in + HEADER, payload, lost);
        break;
    default:
        bmc->counters.dropped++;
    }
}

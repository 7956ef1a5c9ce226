/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets out: IPMI 1.5 (section 13.6) and RMCP+ (13.6 and 13.27-13.29); and the checks of codes
 * of packets in. */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include "crypt.h"

uint32_t wire_get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void wire_put(struct ipmi_datagram *to, const void *bytes, size_t len)
{
    if (to->len + len > sizeof to->bytes)
        abort();
    if (len > 0)
        memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

void wire_put8(struct ipmi_datagram *to, uint8_t byte)
{
    wire_put(to, &byte, 1);
}

void wire_put32(struct ipmi_datagram *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        wire_put8(to, (uint8_t)(value >> (8 * i)));
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;
    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    return (uint8_t)-total;
}

/* The message itself, from the BMC to the console (81h). */
static void put_message(struct ipmi_datagram *to, const struct bmc_reply *reply)
{
    size_t start = to->len;
    wire_put8(to, 0x81);
    wire_put8(to, (uint8_t)(reply->net_fn << 2));
    wire_put8(to, sum(to->bytes + start, 2));
    wire_put8(to, 0x20);
    wire_put8(to, (uint8_t)(reply->number << 2));
    wire_put8(to, reply->cmd);
    wire_put8(to, reply->completion);
    wire_put(to, reply->data, reply->len);
    wire_put8(to, sum(to->bytes + start + 3, to->len - start - 3));
}

static const uint8_t rmcp[4] = {0x06, 0x00, 0xff, 0x07};

/* ---- 1.5 ---- */

/* Table 13-8: MD5 over password, session id, message, sequence number, password. */
static void make_code_1_5(uint8_t type, const char *password, uint32_t id, uint32_t sequence,
                          const uint8_t *message, size_t len, uint8_t ret[16])
{
    struct ipmi_datagram text = {0};
    uint8_t padded[16] = {0};
    memcpy(padded, password, strlen(password));
    memcpy(ret, padded, 16);
    if (type == BMC_PASSWORD)
        return;
    wire_put(&text, padded, 16);
    wire_put32(&text, id);
    wire_put(&text, message, len);
    wire_put32(&text, sequence);
    wire_put(&text, padded, 16);
    crypt_md5(text.bytes, text.len, ret);
}

bool wire_check_1_5(const char *password, const uint8_t *bytes, size_t len)
{
    uint8_t code[16];
    if (bytes[4] == BMC_NONE || bytes[4] == BMC_MD2)
        return true;
    if (len < 30)
        return false;
    make_code_1_5(bytes[4], password, wire_get32(bytes + 9), wire_get32(bytes + 5), bytes + 30,
                  bytes[29], code);
    return memcmp(code, bytes + 13, 16) == 0;
}

static void seal_1_5(const struct bmc *bmc, uint8_t type, uint32_t id, uint32_t sequence,
                     const struct bmc_reply *reply, struct ipmi_datagram *ret)
{
    struct ipmi_datagram message = {0};
    uint8_t code[16];
    put_message(&message, reply);
    wire_put(ret, rmcp, 4);
    wire_put8(ret, type);
    wire_put32(ret, sequence);
    wire_put32(ret, id);
    if (type != BMC_NONE) {
        make_code_1_5(type, bmc->password, id, sequence, message.bytes, message.len, code);
        wire_put(ret, code, 16);
    }
    wire_put8(ret, (uint8_t)message.len);
    wire_put(ret, message.bytes, message.len);
}

/* ---- 2.0 ---- */

void bmc_plain(uint8_t payload, const uint8_t *bytes, size_t len, struct ipmi_datagram *ret)
{
    ret->len = 0;
    wire_put(ret, rmcp, 4);
    wire_put8(ret, 0x06);
    wire_put8(ret, payload);
    wire_put32(ret, 0);
    wire_put32(ret, 0);
    wire_put8(ret, (uint8_t)len);
    wire_put8(ret, (uint8_t)(len >> 8));
    wire_put(ret, bytes, len);
}

static void seal_2_0(const struct bmc *bmc, const struct bmc_session *session, uint32_t id,
                     uint32_t sequence, const struct bmc_reply *reply, struct ipmi_datagram *ret)
{
    struct ipmi_datagram text = {0};
    uint8_t iv[16], code[32];
    put_message(&text, reply);
    uint8_t pad = (uint8_t)((16 - (text.len + 1) % 16) % 16);
    for (uint8_t i = 1; i <= pad; i++)
        wire_put8(&text, i);
    wire_put8(&text, pad);
    memset(iv, (int)(sequence & 0xff), sizeof iv);
    crypt_aes(1, session->k2, iv, text.bytes, text.len);
    wire_put(ret, rmcp, 4);
    wire_put8(ret, 0x06);
    wire_put8(ret, 0xc0);
    wire_put32(ret, id);
    wire_put32(ret, sequence);
    wire_put8(ret, (uint8_t)(16 + text.len));
    wire_put8(ret, 0);
    wire_put(ret, iv, 16);
    wire_put(ret, text.bytes, text.len);
    uint8_t fill = (uint8_t)((4 - (ret->len - 4 + 2) % 4) % 4);
    for (uint8_t i = 0; i < fill; i++)
        wire_put8(ret, 0xff);
    wire_put8(ret, fill);
    wire_put8(ret, 0x07);
    crypt_hmac(bmc->suite, session->k1, crypt_code_len(bmc->suite), ret->bytes + 4, ret->len - 4,
               code);
    wire_put(ret, code, crypt_integrity_len(bmc->suite));
}

bool wire_open_2_0(unsigned suite, const struct bmc_session *session, const uint8_t *bytes,
                   size_t len, uint8_t *payload, size_t *ret_len)
{
    uint8_t code[32];
    size_t code_len = crypt_integrity_len(suite);
    if (len < 16 + 32 + 2 + code_len)
        return false;
    size_t payload_len = bytes[14] | (size_t)bytes[15] << 8;
    crypt_hmac(suite, session->k1, crypt_code_len(suite), bytes + 4, len - 4 - code_len, code);
    if (memcmp(code, bytes + len - code_len, code_len) != 0 || payload_len % 16 != 0 ||
        payload_len < 32 || 16 + payload_len + 2 + code_len > len)
        return false;
    memcpy(payload, bytes + 32, payload_len - 16);
    crypt_aes(0, session->k2, bytes + 16, payload, payload_len - 16);
    uint8_t pad = payload[payload_len - 17];
    if (pad > 15)
        return false;
    *ret_len = payload_len - 17 - pad;
    return true;
}

/* ---- Both ---- */

void bmc_seal(struct bmc *bmc, const struct bmc_session *session, uint32_t id, uint32_t sequence,
              const struct bmc_reply *reply, struct ipmi_datagram *ret)
{
    ret->len = 0;
    if (bmc->ipmi_1_5) {
        bool authenticated = session != NULL && (bmc->per_message || !session->active);
        uint8_t type = BMC_NONE;
        if (authenticated)
            type = bmc->auth_types & (1u << BMC_MD5)        ? BMC_MD5
                   : bmc->auth_types & (1u << BMC_PASSWORD) ? BMC_PASSWORD
                                                            : BMC_NONE;
        seal_1_5(bmc, type, id, sequence, reply, ret);
    } else if (session == NULL) {
        seal_1_5(bmc, BMC_NONE, 0, 0, reply, ret);
    } else {
        seal_2_0(bmc, session, id, sequence, reply, ret);
    }
}

void bmc_reply(struct bmc *bmc, struct bmc_session *session, const struct bmc_reply *reply,
               struct ipmi_datagram *ret)
{
    uint32_t id = session == NULL ? 0 : bmc->ipmi_1_5 ? session->id : session->console_id;
    bmc_seal(bmc, session, id, session == NULL ? 0 : session->out_sequence++, reply, ret);
}

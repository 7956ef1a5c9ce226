/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening an RMCP+ session: Open Session (IPMI 2.0, 13.17 and 13.18), RAKP 1 to 4 (13.20 to 13.24)
 * and the session's keys (13.31, 13.32). */
#include "crypt.h"
#include "flow.h"
#include "sim.h"
#include "wire.h"

enum status {
    STATUS_OK = 0,
    STATUS_RESOURCES = 0x01,
    STATUS_SESSION_ID = 0x02,
    STATUS_PRIVILEGE = 0x0a,
    STATUS_NAME_LENGTH = 0x0c,
    STATUS_NAME = 0x0d,
    STATUS_INTEGRITY = 0x0f,
    STATUS_SUITE = 0x11
};

struct setup {
    struct bmc *bmc;
    const struct peer *peer;
    enum kind kind;
    uint8_t type; /* of the answer */
    uint8_t tag;
};

static void extra(const struct setup *setup, const uint8_t *payload, size_t length, size_t at,
                  uint8_t flip)
{
    uint8_t copy[ANSWER_MAX], out[ANSWER_MAX];

    memcpy(copy, payload, length);
    copy[at] ^= flip;
    if (setup->bmc->settings.lie && copy[1] == STATUS_OK)
        copy[1] = STATUS_RESOURCES;
    datagram_extra(setup->bmc, setup->peer, false, out,
                   packet20(out, NULL, setup->type, 0, 0, copy, length));
}

static void send_setup(const struct setup *setup, const uint8_t *payload, size_t length)
{
    const struct settings *set = &setup->bmc->settings;
    uint8_t out[ANSWER_MAX];

    trace(setup->bmc, "%s status %02x", kind_names[setup->kind], payload[1]);
    if (response_lost(setup->bmc, setup->kind, 0))
        return;
    if (set->wrong_session)
        extra(setup, payload, length, 4, 0x5a);
    if (set->wrong_seq)
        extra(setup, payload, length, 0, 0x5a);
    if (set->bad_rakp && setup->kind != KIND_OPEN && payload[1] == STATUS_OK)
        extra(setup, payload, length, length - 1, 0x5a);
    datagram_answer(setup->bmc, setup->peer, out,
                    packet20(out, NULL, setup->type, 0, 0, payload, length));
}

static void send_status(const struct setup *setup, enum status status, uint32_t console_id)
{
    uint8_t payload[8] = {setup->tag, (uint8_t)status};

    le32_put(payload + 4, console_id);
    send_setup(setup, payload, sizeof(payload));
}

/* An algorithm of the proposal fits when it is the same or left to us (length 0). */
static bool fits(const uint8_t *proposal, uint8_t algorithm)
{
    return proposal[3] == 0 || (proposal[4] & 0x3f) == algorithm;
}

static int suite_pick(const struct bmc *bmc, const uint8_t *in)
{
    for (size_t i = suites_count; i-- > 0;)
        if (bmc->settings.suites & 1U << suites[i].id && fits(in + 8, suites[i].auth) &&
            fits(in + 16, suites[i].integrity) && fits(in + 24, suites[i].confidentiality))
            return (int)i;
    return -1;
}

static void open_in(const struct setup *setup, const uint8_t *in, size_t length)
{
    uint8_t payload[36] = {setup->tag, STATUS_OK}, *p = payload + 12;
    struct session *session;
    int suite;

    if (length < 32)
        return;
    suite = suite_pick(setup->bmc, in);
    if (suite < 0) {
        send_status(setup, STATUS_SUITE, le32(in + 4));
        return;
    }
    session = session_new(setup->bmc, true);
    if (!session) {
        send_status(setup, STATUS_RESOURCES, le32(in + 4));
        return;
    }
    session->state = STATE_OPEN;
    session->suite = (uint8_t)suite;
    session->peer_id = le32(in + 4);
    session->limit = in[1] & 0xf;
    if (session->limit == 0 || session->limit > 4)
        session->limit = 4;
    payload[2] = setup->bmc->settings.open_privilege_zero ? 0 : session->limit;
    le32_put(payload + 4, session->peer_id);
    le32_put(payload + 8, session->id);
    p = put(p, (uint8_t[]){0, 0, 0, 8, suites[suite].auth, 0, 0, 0}, 8);
    p = put(p, (uint8_t[]){1, 0, 0, 8, suites[suite].integrity, 0, 0, 0}, 8);
    put(p, (uint8_t[]){2, 0, 0, 8, suites[suite].confidentiality, 0, 0, 0}, 8);
    send_setup(setup, payload, sizeof(payload));
}

/* The key exchange authentication code of RAKP 2. */
static size_t code2(const struct bmc *bmc, const struct session *session, uint8_t *out)
{
    uint8_t text[4 + 4 + 16 + 16 + 16 + 2 + 16], *p = text;

    le32_put(p, session->peer_id);
    le32_put(p + 4, session->id);
    p = put(p + 8, session->console_random, 16);
    p = put(p, session->random, 16);
    p = put(p, bmc->guid, 16);
    *p++ = session->role;
    *p++ = session->name_length;
    p = put(p, session->name, session->name_length);
    return crypt_hmac(suites[session->suite].hash, bmc->settings.password,
                      strlen(bmc->settings.password), text, (size_t)(p - text), out);
}

static enum status rakp1_check(struct bmc *bmc, const uint8_t *in, size_t length)
{
    uint8_t level = in[24] & 0xf, name_length = in[27];

    if (name_length > 16 || length < 28U + name_length)
        return STATUS_NAME_LENGTH;
    if (name_length != strlen(bmc->settings.user) ||
        memcmp(in + 28, bmc->settings.user, name_length) != 0)
        return STATUS_NAME;
    return level > bmc->settings.privilege ? STATUS_PRIVILEGE : STATUS_OK;
}

static void rakp1_in(const struct setup *setup, const uint8_t *in, size_t length)
{
    struct session *session = length < 28 ? NULL : session_find(setup->bmc, le32(in + 4));
    uint8_t payload[40 + 32] = {setup->tag, STATUS_OK};
    enum status status;

    if (length < 28)
        return;
    if (!session || !session->plus || session->state > STATE_RAKP) {
        send_status(setup, STATUS_SESSION_ID, 0);
        return;
    }
    status = rakp1_check(setup->bmc, in, length);
    if (status != STATUS_OK) {
        setup->bmc->counters.auth_failures++;
        send_status(setup, status, session->peer_id);
        session_free(setup->bmc, session);
        return;
    }
    if (setup->bmc->settings.rakp_fresh_random || session->state != STATE_RAKP)
        random_bytes(session->random, 16);
    session->state = STATE_RAKP;
    session->used_us = sim.now_us;
    memcpy(session->console_random, in + 8, 16);
    session->role = in[24];
    session->name_length = in[27];
    memcpy(session->name, in + 28, in[27]);
    if ((in[24] & 0xf) != 0 && (in[24] & 0xf) < session->limit)
        session->limit = in[24] & 0xf;
    if (session->limit > setup->bmc->settings.privilege)
        session->limit = (uint8_t)setup->bmc->settings.privilege;
    le32_put(payload + 4, session->peer_id);
    memcpy(payload + 8, session->random, 16);
    memcpy(payload + 24, setup->bmc->guid, 16);
    send_setup(setup, payload, 40 + code2(setup->bmc, session, payload + 40));
}

/* SIK, K1 and K2; K1 and K2 are the HMAC of twenty 01 or 02 with the SIK. */
static void keys_make(const struct bmc *bmc, struct session *session)
{
    const struct settings *set = &bmc->settings;
    enum hash hash = suites[session->suite].hash;
    uint8_t text[16 + 16 + 2 + 16], *p = text, constant[20];

    p = put(p, session->console_random, 16);
    p = put(p, session->random, 16);
    *p++ = session->role;
    *p++ = session->name_length;
    p = put(p, session->name, session->name_length);
    if (set->has_kg)
        crypt_hmac(hash, set->kg, sizeof(set->kg), text, (size_t)(p - text), session->sik);
    else
        crypt_hmac(hash, set->password, strlen(set->password), text, (size_t)(p - text),
                   session->sik);
    memset(constant, 1, sizeof(constant));
    crypt_hmac(hash, session->sik, hash_length(hash), constant, sizeof(constant), session->k1);
    memset(constant, 2, sizeof(constant));
    crypt_hmac(hash, session->sik, hash_length(hash), constant, sizeof(constant), session->k2);
}

static bool rakp3_authentic(const struct bmc *bmc, const struct session *session, const uint8_t *in,
                            size_t length)
{
    uint8_t text[16 + 4 + 2 + 16], *p = text, code[32];
    size_t n;

    p = put(p, session->random, 16);
    le32_put(p, session->peer_id);
    p += 4;
    *p++ = session->role;
    *p++ = session->name_length;
    p = put(p, session->name, session->name_length);
    n = crypt_hmac(suites[session->suite].hash, bmc->settings.password,
                   strlen(bmc->settings.password), text, (size_t)(p - text), code);
    return length >= 8 + n && !memcmp(in + 8, code, n);
}

/* RAKP 4: HMAC(SIK) of R_m, SID_c and GUID, cut to 12 (SHA-1) or 16 bytes (SHA-256). */
static void send_rakp4(const struct setup *setup, const struct session *session)
{
    uint8_t payload[8 + 32] = {setup->tag, STATUS_OK}, text[16 + 4 + 16];
    enum hash hash = suites[session->suite].hash;

    le32_put(payload + 4, session->peer_id);
    memcpy(text, session->console_random, 16);
    le32_put(text + 16, session->id);
    memcpy(text + 20, setup->bmc->guid, 16);
    crypt_hmac(hash, session->sik, hash_length(hash), text, sizeof(text), payload + 8);
    send_setup(setup, payload, 8 + (hash == HASH_SHA1 ? 12 : hash == HASH_SHA256 ? 16 : 0));
}

static void rakp3_in(const struct setup *setup, const uint8_t *in, size_t length)
{
    struct session *session = length < 8 ? NULL : session_find(setup->bmc, le32(in + 4));
    bool again = session && session->state == STATE_ACTIVE && setup->bmc->settings.rakp3_repeat;

    if (length < 8)
        return;
    if (!session || !session->plus || (session->state != STATE_RAKP && !again)) {
        if (in[1] == STATUS_OK)
            send_status(setup, STATUS_SESSION_ID, 0);
        return;
    }
    if (in[1] != STATUS_OK || !rakp3_authentic(setup->bmc, session, in, length)) {
        if (again) /* a datagram that anyone can send must not end a session */
            return;
        setup->bmc->counters.auth_failures++;
        if (in[1] == STATUS_OK)
            send_status(setup, STATUS_INTEGRITY, session->peer_id);
        session_free(setup->bmc, session);
        return;
    }
    if (!again) {
        keys_make(setup->bmc, session);
        session->state = STATE_ACTIVE;
        session->privilege = session->limit < 2 ? session->limit : 2;
        session->seq_out = 1;
        session->seq_seen = UINT32_MAX;
        setup->bmc->counters.sessions_opened++;
    }
    session->used_us = sim.now_us;
    send_rakp4(setup, session);
}

void setup20_in(struct bmc *bmc, const struct peer *peer, uint8_t type, const uint8_t *in,
                size_t length, bool lost)
{
    struct setup setup = {
        .bmc = bmc,
        .peer = peer,
        .kind = type == 0x10   ? KIND_OPEN
                : type == 0x12 ? KIND_RAKP1
                               : KIND_RAKP3,
        .type = (uint8_t)(type + 1),
        .tag = length ? in[0] : 0,
    };

    if (request_lost(bmc, setup.kind, 0, lost))
        return;
    if (setup.kind == KIND_OPEN)
        open_in(&setup, in, length);
    else if (setup.kind == KIND_RAKP1)
        rakp1_in(&setup, in, length);
    else
        rakp3_in(&setup, in, length);
}

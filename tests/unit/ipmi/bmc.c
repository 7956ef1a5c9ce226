/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The BMC in a test: reading requests and serving them. */
#include "bmc.h"

#include <string.h>
#include "crypt.h"
#include "wire.h"

#define APP 0x06

void bmc_init(struct bmc *bmc, bool ipmi_1_5, unsigned suite)
{
    *bmc = (struct bmc){
        .ipmi_1_5 = ipmi_1_5,
        .suite = suite,
        .auth_types = 1u << BMC_MD5 | 1u << BMC_PASSWORD,
        .per_message = true,
        .user = "admin",
        .password = "secret",
        .fresh_random = true,
        .power = true,
    };
}

/* ---- Reading ---- */

static struct bmc_session *find_session(struct bmc *bmc, uint32_t id)
{
    for (unsigned i = 0; i < bmc->session_count && i < BMC_SESSIONS_MAX; i++) {
        if (bmc->sessions[i].id == id)
            return &bmc->sessions[i];
    }
    return NULL;
}

static struct bmc_session *add_session(struct bmc *bmc)
{
    /* The oldest makes room. */
    struct bmc_session *session = &bmc->sessions[bmc->session_count++ % BMC_SESSIONS_MAX];
    memset(session, 0, sizeof *session);
    session->id = 0x02000100 + bmc->session_count;
    session->out_sequence = 1;
    memset(session->guid, 0xa5, 16);
    return session;
}

static bool read_message(const uint8_t *message, size_t len, struct bmc_request *ret)
{
    if (len < 7)
        return false;
    ret->kind = BMC_MESSAGE;
    ret->net_fn = message[1] >> 2;
    ret->number = message[4] >> 2;
    ret->cmd = message[5];
    ret->len = len - 7;
    memcpy(ret->data, message + 6, ret->len);
    return true;
}

static bool read_1_5(struct bmc *bmc, const struct ipmi_datagram *d, struct bmc_request *ret)
{
    size_t start = d->bytes[4] == BMC_NONE ? 14 : 30;
    ret->auth_type = d->bytes[4];
    ret->sequence = wire_get32(d->bytes + 5);
    ret->session_id = wire_get32(d->bytes + 9);
    ret->session = ret->session_id == 0 ? NULL : find_session(bmc, ret->session_id);
    if (d->len < start || d->bytes[start - 1] != d->len - start ||
        (ret->session_id != 0 && ret->session == NULL) ||
        !wire_check_1_5(bmc->password, d->bytes, d->len))
        return false;
    return read_message(d->bytes + start, d->len - start, ret);
}

static bool read_2_0(struct bmc *bmc, const struct ipmi_datagram *d, struct bmc_request *ret)
{
    static const enum bmc_kind kinds[] = {[0] = BMC_OPEN, [2] = BMC_RAKP_1, [4] = BMC_RAKP_3};
    uint8_t payload[IPMI_DATAGRAM_MAX], type = d->bytes[5];
    size_t len;
    ret->session_id = wire_get32(d->bytes + 6);
    ret->sequence = wire_get32(d->bytes + 10);
    if (type == 0xc0) {
        ret->session = find_session(bmc, ret->session_id);
        return ret->session != NULL &&
               wire_open_2_0(bmc->suite, ret->session, d->bytes, d->len, payload, &len) &&
               read_message(payload, len, ret);
    }
    if ((type != 0x10 && type != 0x12 && type != 0x14) || d->len - 16 > sizeof ret->data)
        return false;
    ret->kind = kinds[type - 0x10];
    ret->len = d->len - 16;
    memcpy(ret->data, d->bytes + 16, ret->len);
    ret->number = ret->data[0];
    if (type != 0x10)
        ret->session = find_session(bmc, wire_get32(ret->data + 4));
    return type == 0x10 || ret->session != NULL;
}

bool bmc_read(struct bmc *bmc, const struct ipmi_datagram *d, struct bmc_request *ret)
{
    static const uint8_t rmcp[4] = {0x06, 0x00, 0xff, 0x07};
    memset(ret, 0, sizeof *ret);
    if (d->len < 16 || memcmp(d->bytes, rmcp, 4) != 0)
        return false;
    return d->bytes[4] == 0x06 ? read_2_0(bmc, d, ret) : read_1_5(bmc, d, ret);
}

bool bmc_is_control(const struct bmc_request *request)
{
    return request->kind == BMC_MESSAGE && request->net_fn == 0 && request->cmd == 2;
}

/* ---- RMCP+ ---- */

static void serve_open(struct bmc *bmc, const struct bmc_request *request,
                       struct ipmi_datagram *ret)
{
    struct ipmi_datagram out = {0};
    uint8_t asked = request->data[8 + 4], mine = bmc->suite == 17 ? 3 : 1, status = 0;
    if (bmc->busy > 0) {
        bmc->busy--;
        status = 0x01;
    } else if (bmc->open_status != 0) {
        status = bmc->open_status;
    } else if (asked != mine) {
        status = 0x11;
    }
    wire_put8(&out, request->number);
    wire_put8(&out, status);
    if (status != 0) {
        wire_put(&out, "\0\0", 2);
        wire_put(&out, request->data + 4, 4);
    } else {
        struct bmc_session *session = add_session(bmc);
        session->console_id = wire_get32(request->data + 4);
        wire_put8(&out, request->data[1]);
        wire_put8(&out, 0);
        wire_put32(&out, session->console_id);
        wire_put32(&out, session->id);
        wire_put(&out, request->data + 8, 24);
    }
    bmc_plain(0x11, out.bytes, out.len, ret);
}

/* SIK, K1, K2 (section 13.31 and 13.32). */
static void make_keys(const struct bmc *bmc, struct bmc_session *s)
{
    struct ipmi_datagram text = {0};
    uint8_t constant[20];
    wire_put(&text, s->console_random, 16);
    wire_put(&text, s->bmc_random, 16);
    wire_put8(&text, s->privilege);
    wire_put8(&text, (uint8_t)s->name_len);
    wire_put(&text, s->name, s->name_len);
    size_t len =
        crypt_hmac(bmc->suite, bmc->k_g != NULL ? (const void *)bmc->k_g : bmc->password,
                   bmc->k_g != NULL ? 20 : strlen(bmc->password), text.bytes, text.len, s->sik);
    memset(constant, 1, sizeof constant);
    crypt_hmac(bmc->suite, s->sik, len, constant, sizeof constant, s->k1);
    memset(constant, 2, sizeof constant);
    crypt_hmac(bmc->suite, s->sik, len, constant, sizeof constant, s->k2);
}

static void put_status(struct ipmi_datagram *out, uint8_t number, uint8_t status, uint32_t id)
{
    wire_put8(out, number);
    wire_put8(out, status);
    wire_put(out, "\0\0", 2);
    wire_put32(out, id);
}

static void put_rakp_2_code(const struct bmc *bmc, const struct bmc_session *s,
                            struct ipmi_datagram *out)
{
    struct ipmi_datagram text = {0};
    uint8_t code[32];
    wire_put32(&text, s->console_id);
    wire_put32(&text, s->id);
    wire_put(&text, s->console_random, 16);
    wire_put(&text, s->bmc_random, 16);
    wire_put(&text, s->guid, 16);
    wire_put8(&text, s->privilege);
    wire_put8(&text, (uint8_t)s->name_len);
    wire_put(&text, s->name, s->name_len);
    wire_put(
        out, code,
        crypt_hmac(bmc->suite, bmc->password, strlen(bmc->password), text.bytes, text.len, code));
}

static void serve_rakp_1(struct bmc *bmc, const struct bmc_request *request,
                         struct ipmi_datagram *ret)
{
    struct ipmi_datagram out = {0};
    struct bmc_session *s = request->session;
    uint8_t status = bmc->rakp_2_status;
    memcpy(s->console_random, request->data + 8, 16);
    s->privilege = request->data[24];
    s->name_len = request->data[27] <= 16 ? request->data[27] : 16;
    memcpy(s->name, request->data + 28, s->name_len);
    if (bmc->fresh_random || bmc->last_random == 0)
        bmc->last_random++;
    memset(s->bmc_random, (int)bmc->last_random, 16);
    if (s->name_len != strlen(bmc->user) || memcmp(s->name, bmc->user, s->name_len) != 0)
        status = 0x0d;
    put_status(&out, request->number, status, s->console_id);
    if (status == 0) {
        wire_put(&out, s->bmc_random, 16);
        wire_put(&out, s->guid, 16);
        put_rakp_2_code(bmc, s, &out);
        make_keys(bmc, s);
    }
    bmc_plain(0x13, out.bytes, out.len, ret);
}

static bool is_rakp_3_right(const struct bmc *bmc, const struct bmc_request *request)
{
    const struct bmc_session *s = request->session;
    struct ipmi_datagram text = {0};
    uint8_t code[32];
    wire_put(&text, s->bmc_random, 16);
    wire_put32(&text, s->console_id);
    wire_put8(&text, s->privilege);
    wire_put8(&text, (uint8_t)s->name_len);
    wire_put(&text, s->name, s->name_len);
    size_t len =
        crypt_hmac(bmc->suite, bmc->password, strlen(bmc->password), text.bytes, text.len, code);
    return request->len == 8 + len && memcmp(request->data + 8, code, len) == 0;
}

static void serve_rakp_3(struct bmc *bmc, const struct bmc_request *request,
                         struct ipmi_datagram *ret)
{
    struct ipmi_datagram out = {0}, text = {0};
    struct bmc_session *s = request->session;
    uint8_t code[32], status = 0;
    if (request->data[1] != 0)
        return; /* the console gives up */
    if (bmc->rakp_4_refused > 0 || !is_rakp_3_right(bmc, request)) {
        if (bmc->rakp_4_refused > 0)
            bmc->rakp_4_refused--;
        status = 0x0f;
    }
    put_status(&out, request->number, status, s->console_id);
    if (status == 0) {
        wire_put(&text, s->console_random, 16);
        wire_put32(&text, s->id);
        wire_put(&text, s->guid, 16);
        crypt_hmac(bmc->suite, s->sik, crypt_code_len(bmc->suite), text.bytes, text.len, code);
        wire_put(&out, code, crypt_integrity_len(bmc->suite));
        s->active = true;
    }
    bmc_plain(0x15, out.bytes, out.len, ret);
}

/* ---- Commands ---- */

static void serve_auth_cap(const struct bmc *bmc, struct bmc_reply *reply, uint8_t data[32])
{
    data[0] = 0x01;
    data[1] = (uint8_t)(bmc->auth_types | (bmc->ipmi_1_5 ? 0 : 0x80));
    data[2] = bmc->per_message ? 0x04 : 0x14;
    data[3] = bmc->ipmi_1_5 ? 0x01 : 0x03;
    reply->completion = bmc->auth_cap_completion;
    reply->len = 8;
}

static void serve_challenge(struct bmc *bmc, const struct bmc_request *request,
                            struct bmc_reply *reply, uint8_t data[32])
{
    reply->completion = bmc->challenge_completion;
    if (strncmp((const char *)request->data + 1, bmc->user, 16) != 0)
        reply->completion = 0x81;
    if (reply->completion != 0)
        return;
    struct bmc_session *session = add_session(bmc);
    struct ipmi_datagram out = {0};
    wire_put32(&out, session->id);
    memcpy(data, out.bytes, 4);
    memset(data + 4, 0x5a, 16);
    reply->len = 20;
}

static void serve_activate(struct bmc *bmc, const struct bmc_request *request,
                           struct bmc_reply *reply, uint8_t data[32])
{
    struct bmc_session *session = request->session;
    reply->completion = bmc->activate_completion;
    if (bmc->busy > 0) {
        bmc->busy--;
        reply->completion = 0x81;
    }
    session->out_sequence = 0; /* a refusal is of no session */
    if (reply->completion != 0)
        return;
    session->out_sequence = wire_get32(request->data + 18) + bmc->first_off;
    data[0] = bmc->per_message ? request->auth_type : BMC_NONE;
    struct ipmi_datagram out = {0};
    wire_put32(&out, session->id);
    wire_put32(&out, 0x00004000); /* the first sequence number of the console */
    memcpy(data + 1, out.bytes, 8);
    data[9] = 4;
    reply->len = 10;
}

static void serve_app(struct bmc *bmc, const struct bmc_request *request, struct bmc_reply *reply,
                      uint8_t data[32])
{
    switch (request->cmd) {
    case 0x38:
        serve_auth_cap(bmc, reply, data);
        break;
    case 0x39:
        serve_challenge(bmc, request, reply, data);
        break;
    case 0x3a:
        serve_activate(bmc, request, reply, data);
        break;
    case 0x3b:
        reply->completion = bmc->privilege_completion;
        data[0] = request->data[0];
        reply->len = reply->completion == 0;
        break;
    case 0x3c:
        bmc->closes++;
        break;
    default:
        reply->completion = 0xc1;
    }
}

void bmc_sel_add(struct bmc *bmc, uint8_t sensor_type, uint8_t offset)
{
    static uint8_t time;
    uint8_t *record = bmc->sel[bmc->sel_count++];
    memset(record, 0, 16);
    record[0] = (uint8_t)(0x10 + bmc->sel_count); /* the ids need not begin with 1 */
    record[2] = 0x02;
    record[3] = ++time;
    record[7] = 0x20;
    record[9] = 0x04;
    record[10] = sensor_type;
    record[12] = 0x6f;
    record[13] = offset;
}

/* Get SEL Entry: 0000h is the oldest, FFFFh the newest. */
static void serve_sel(const struct bmc *bmc, const struct bmc_request *request,
                      struct bmc_reply *reply, uint8_t data[32])
{
    uint16_t id = (uint16_t)(request->data[2] | request->data[3] << 8);
    unsigned i = id == 0xffff && bmc->sel_count > 0 ? bmc->sel_count - 1 : 0;
    while (id != 0 && id != 0xffff && i < bmc->sel_count && bmc->sel[i][0] != id)
        i++;
    reply->completion = bmc->sel_completion;
    if (reply->completion == 0 && i >= bmc->sel_count)
        reply->completion = 0xcb;
    if (reply->completion != 0)
        return;
    data[0] = data[1] = 0xff;
    if (i + 1 < bmc->sel_count)
        memcpy(data, bmc->sel[i + 1], 2);
    memcpy(data + 2, bmc->sel[i], 16);
    reply->len = 18;
}

static void serve_control(struct bmc *bmc, struct bmc_reply *reply)
{
    bool busy = bmc->control_busy > 0;
    bmc->controls++;
    reply->completion = busy ? 0xc0 : bmc->control_completion;
    bmc->control_busy -= busy;
    if (reply->completion != 0 && !(busy && bmc->busy_executes))
        return;
    bmc->executed++;
    if (bmc->sel_records)
        bmc_sel_add(bmc, 0x13, 0);
}

static void serve_message(struct bmc *bmc, const struct bmc_request *request,
                          struct ipmi_datagram *ret)
{
    uint8_t data[32] = {0};
    struct bmc_reply reply = {.net_fn = request->net_fn + 1,
                              .cmd = request->cmd,
                              .number = request->number,
                              .data = data};
    if (request->net_fn == APP) {
        serve_app(bmc, request, &reply, data);
    } else if (request->cmd == 0x01) {
        data[0] = bmc->power ? 0x01 : 0x00;
        reply.completion = bmc->status_completion;
        reply.len = reply.completion == 0 ? 3 : 0;
    } else if (bmc_is_control(request)) {
        serve_control(bmc, &reply);
    } else if (request->net_fn == 0x0a && request->cmd == 0x43) {
        serve_sel(bmc, request, &reply, data);
    } else {
        reply.completion = 0xc1;
    }
    bmc_reply(bmc, request->session, &reply, ret);
    if (request->session != NULL && request->cmd == 0x3a && reply.completion == 0) {
        request->session->active = true;
        request->session->out_sequence -= bmc->repeats_first;
    }
    if (request->session != NULL && request->cmd == 0x3c && request->net_fn == APP)
        request->session->closed = true;
}

void bmc_serve(struct bmc *bmc, const struct bmc_request *request, struct ipmi_datagram *ret)
{
    ret->len = 0;
    switch (request->kind) {
    case BMC_OPEN:
        serve_open(bmc, request, ret);
        break;
    case BMC_RAKP_1:
        serve_rakp_1(bmc, request, ret);
        break;
    case BMC_RAKP_3:
        serve_rakp_3(bmc, request, ret);
        break;
    case BMC_MESSAGE:
        if (request->session == NULL || !request->session->closed)
            serve_message(bmc, request, ret);
    }
}

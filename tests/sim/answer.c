/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way of an IPMI command through the BMC: counted, executed (perhaps late), answered (perhaps
 * late) in its session's format. Also the misdeeds that need the session's keys: extra answers that
 * are wrong in just one thing.
 *
 * An answer gets its session sequence number when it leaves the BMC, not when the request came. */
#include "flow.h"
#include "sim.h"
#include "wire.h"

/* A Get Chassis Status after a Chassis Control of the same session is a probe, and numbered. */
static void probe_number(struct request *request)
{
    struct session *session =
        request->session_id ? session_find(request->bmc, request->session_id) : NULL;

    if (session && request->kind == KIND_CONTROL)
        session->controlled = true;
    if (session && request->kind == KIND_STATUS && session->controlled)
        request->probe = ++session->probes;
}

bool request_arrives(struct request *request, bool lost)
{
    struct bmc *bmc = request->bmc;
    uint8_t control = request->data[0] & 0xf;

    probe_number(request);
    if (request->kind == KIND_CONTROL && request->length >= 1 && control < CONTROL_VALUES) {
        bmc->counters.control[control]++;
        bmc->controlled = true;
    }
    if (request->kind == KIND_SEL)
        bmc->counters.sel_requests++;
    return !request_lost(bmc, request->kind, request->probe, lost);
}

/* A session that is closed before a late execution does not stop it: the BMC has begun. */
void request_serve(const struct request *request)
{
    int32_t delay = request->bmc->settings.execute_delay_ms;

    if (request->kind == KIND_CONTROL && delay > 0)
        job_execute(sim.now_us + delay * 1000LL, request);
    else
        request_execute(request);
}

/* Its BMC forgets the session over the command: no answer can come in it any more. */
static void session_drop(const struct request *request)
{
    struct session *session =
        request->session_id ? session_find(request->bmc, request->session_id) : NULL;

    if (session)
        session_free(request->bmc, session);
}

void request_execute(const struct request *request)
{
    struct bmc *bmc = request->bmc;
    struct answer answer;
    int64_t due_us = sim.now_us;

    answer.data[0] = command_run(request, answer.data + 1, &answer.length);
    answer.length++;
    trace(bmc, "%s seq %u -> %02x", kind_names[request->kind], request->rq_seq, answer.data[0]);
    if (request->kind == KIND_CONTROL)
        due_us += bmc->settings.control_delay_ms * 1000LL;
    if (bmc->settings.control_blocks && due_us < bmc->busy_until_us)
        due_us = bmc->busy_until_us;
    if (request->kind == KIND_CONTROL)
        bmc->busy_until_us = due_us;
    if (request->kind == KIND_CONTROL && bmc->settings.control_drops_session)
        session_drop(request);
    if (due_us > sim.now_us)
        job_answer(due_us, request, &answer);
    else
        answer_send(request, &answer);
}

/* What an answer may be wrong in; all zero: right. */
struct wrong {
    uint32_t id, seq;
    uint8_t rq_seq;
    bool code, lie;
};

static size_t message_build(uint8_t *out, const struct request *request,
                            const struct answer *answer, const struct wrong *wrong)
{
    uint8_t *p = out + 6;
    uint8_t rq_seq = (uint8_t)((request->rq_seq ^ wrong->rq_seq) << 2);

    out[0] = request->rq_addr;
    out[1] = (uint8_t)((request->netfn | 1) << 2 | request->rq_lun);
    out[2] = checksum(out, 2);
    out[3] = request->rs_addr;
    out[4] = rq_seq | request->rs_lun;
    out[5] = request->cmd;
    if (wrong->lie)
        *p++ = answer->data[0] == 0 ? 0xc1 : 0x00;
    else
        p = put(p, answer->data, answer->length);
    *p = checksum(out + 3, (size_t)(p - out) - 3);
    return (size_t)(p + 1 - out);
}

static uint32_t seq_next(struct session *session)
{
    uint32_t seq = session ? session->seq_out : 0;

    if (session && ++session->seq_out == 0)
        session->seq_out = 1;
    return seq;
}

static size_t packet_build(uint8_t *out, const struct request *request, const struct answer *answer,
                           const struct session *session, uint32_t seq, const struct wrong *wrong)
{
    uint8_t message[128];
    size_t n = message_build(message, request, answer, wrong);
    uint32_t id = (!session ? 0 : request->plus ? session->peer_id : session->id) ^ wrong->id;

    seq += wrong->seq;
    if (!request->plus)
        n = packet15(out, request->bmc, session, id, seq, message, n);
    else
        n = packet20(out, session, 0, id, seq, message, n);
    if (wrong->code && session)
        out[request->plus ? n - 1 : 13] ^= 0x5a;
    return n;
}

static void extras_send(const struct request *request, const struct answer *answer,
                        struct session *session)
{
    const struct settings *set = &request->bmc->settings;
    const struct {
        bool on, stray;
        struct wrong wrong;
    } extras[] = {
        {set->wrong_session, false, {.id = 0x5a5a5a5a}},
        {set->wrong_seq && session, false, {.seq = 0x10000}},
        {set->wrong_rqseq, false, {.rq_seq = 0x15}},
        {set->bad_authcode && session, false, {.code = true}},
        {set->stray && set->lie, true, {0}},
    };

    for (size_t i = 0; i < sizeof(extras) / sizeof(*extras); i++) {
        struct wrong wrong = extras[i].wrong;
        uint8_t out[ANSWER_MAX];
        uint32_t seq;

        if (!extras[i].on)
            continue;
        wrong.lie = set->lie;
        /* An answer to some other request is numbered like any; the forgeries are not. */
        seq = wrong.rq_seq ? seq_next(session) : session ? session->seq_out : 0;
        datagram_extra(request->bmc, &request->peer, extras[i].stray, out,
                       packet_build(out, request, answer, session, seq, &wrong));
    }
}

void answer_send(const struct request *request, const struct answer *answer)
{
    static const struct wrong right;
    struct session *session = NULL;
    uint8_t out[ANSWER_MAX];
    uint32_t seq;

    if (request->session_id != 0) {
        session = session_find(request->bmc, request->session_id);
        if (!session)
            return;
    }
    if (response_lost(request->bmc, request->kind, request->probe)) {
        trace(request->bmc, "answer to %s lost", kind_names[request->kind]);
        seq_next(session);
    } else {
        extras_send(request, answer, session);
        seq = seq_next(session);
        datagram_answer(request->bmc, &request->peer, out,
                        packet_build(out, request, answer, session, seq, &right));
    }
    if (session && session->state == STATE_CLOSING && request->kind == KIND_CLOSE)
        session_free(request->bmc, session);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rig: virtual time, the way of datagrams, and what was seen. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include "recording.h"
#include "wire.h"

static struct ipmi_codec *codec;

int rig_setup(void **state)
{
    (void)state;
    codec = ipmi_codec_new(NULL);
    return codec == NULL ? -1 : 0;
}

int rig_teardown(void **state)
{
    (void)state;
    ipmi_codec_free(codec);
    codec = NULL;
    return 0;
}

void rig_init(struct rig *rig, bool ipmi_1_5, unsigned suite)
{
    memset(rig, 0, sizeof *rig);
    bmc_init(&rig->bmc, ipmi_1_5, suite);
    rig->delay = 1000;
    rig->info = (struct ipmi_info){
        .address = (char *)"192.0.2.7",
        .port = 623,
        .username = (char *)"admin",
        .password = secret_new("secret", 6),
        .privilege = IPMI_PRIVILEGE_OPERATOR,
        .suites = {suite},
        .suite_count = ipmi_1_5 ? 0 : 1,
        .ipmi_1_5 = ipmi_1_5,
    };
    rig->plan = (struct ipmi_plan){
        .info = &rig->info,
        .timeout = 20000000,
        .answer = 10000000,
        .retransmit = 1000000,
        .random = recording_random,
    };
    recording_seed(suite + ipmi_1_5);
}

void rig_free(struct rig *rig)
{
    ipmi_session_end(&rig->session);
    secret_free(rig->info.password);
}

/* ---- Datagrams ---- */

/* With what the session itself believes, where the BMC has other keys or no such session (it has
 * made a new random number, or was played by somebody else): nothing that leaves goes uncounted. */
static bool read_as_session(const struct rig *rig, const struct ipmi_datagram *d,
                            struct bmc_request *ret)
{
    static struct bmc copy;
    static char password[sizeof rig->session.channel.password + 1];
    const struct ipmi_channel *channel = &rig->session.channel;
    copy = rig->bmc;
    memcpy(password, channel->password, sizeof channel->password);
    copy.password = password;
    copy.session_count = 1;
    copy.sessions[0].id = wire_get32(d->bytes + (channel->ipmi_1_5 ? 9 : 6));
    memcpy(copy.sessions[0].k1, channel->integrity_key, 32);
    memcpy(copy.sessions[0].k2, channel->confidentiality_key, 32);
    if (d->len >= 24 && d->bytes[4] == 0x06 && (d->bytes[5] == 0x12 || d->bytes[5] == 0x14))
        copy.sessions[0].id = wire_get32(d->bytes + 20);
    bool readable = bmc_read(&copy, d, ret);
    ret->session = NULL;
    return readable;
}

static void queue_answer(struct rig *rig, const struct ipmi_datagram *answer, int64_t at)
{
    unsigned i = rig->answer_count;
    if (rig->answer_count++ == RIG_OUT_MAX)
        abort();
    for (; i > 0 && rig->answers[i - 1].at > at; i--)
        rig->answers[i] = rig->answers[i - 1];
    rig->answers[i] = (struct rig_answer){at, *answer};
}

static void carry(struct rig *rig, const struct ipmi_datagram *out)
{
    struct ipmi_datagram answer;
    struct bmc_request request;
    if (out->len == 0)
        return;
    bool readable = bmc_read(&rig->bmc, out, &request);
    if (!readable) {
        rig->unreadable++;
        if (!read_as_session(rig, out, &request))
            abort(); /* then nothing that is counted here would be worth anything */
    }
    rig->controls += bmc_is_control(&request);
    if (rig->out_count == RIG_OUT_MAX)
        abort();
    rig->outs[rig->out_count++] = (struct rig_out){rig->now, rig->session.state, *out, request};
    if (!readable || rig->deaf ||
        (rig->mute != IPMI_STATE_NEW && rig->session.state == rig->mute) ||
        (rig->lose != NULL && rig->lose(rig, &request)))
        return;
    bmc_serve(&rig->bmc, &request, &answer);
    if (answer.len > 0 && (rig->lose_answer == NULL || !rig->lose_answer(rig, &request)))
        queue_answer(rig, &answer,
                     rig->now + rig->delay + (bmc_is_control(&request) ? rig->control_delay : 0));
}

void rig_begin(struct rig *rig)
{
    struct ipmi_datagram out;
    ipmi_session_begin(&rig->session, codec, &rig->plan, rig->now, &out);
    carry(rig, &out);
}

void rig_input(struct rig *rig, const uint8_t *bytes, size_t len)
{
    struct ipmi_datagram out;
    uint8_t *exact = malloc(len > 0 ? len : 1); /* a sanitizer sees one byte too many */
    if (exact == NULL)
        abort();
    if (len > 0)
        memcpy(exact, bytes, len);
    ipmi_session_input(&rig->session, exact, len, rig->now, &out);
    free(exact);
    carry(rig, &out);
}

void rig_time(struct rig *rig)
{
    struct ipmi_datagram out;
    ipmi_session_time(&rig->session, rig->now, &out);
    carry(rig, &out);
}

void rig_go(struct rig *rig)
{
    struct ipmi_datagram out;
    ipmi_session_go(&rig->session, rig->now, &out);
    carry(rig, &out);
}

void rig_abort(struct rig *rig, enum fault_code code)
{
    struct ipmi_datagram out;
    ipmi_session_abort(&rig->session, code, rig->now, &out);
    carry(rig, &out);
}

/* ---- Time ---- */

static int64_t next_time(const struct rig *rig)
{
    int64_t at = ipmi_session_deadline(&rig->session);
    if (rig->answer_count > 0 && rig->answers[0].at < at)
        at = rig->answers[0].at;
    return at;
}

bool rig_step(struct rig *rig)
{
    int64_t at = next_time(rig);
    if (at == INT64_MAX)
        return false;
    if (at > rig->now)
        rig->now = at;
    if (rig->answer_count > 0 && rig->answers[0].at <= rig->now) {
        struct ipmi_datagram datagram = rig->answers[0].datagram;
        memmove(rig->answers, rig->answers + 1, --rig->answer_count * sizeof rig->answers[0]);
        if (rig->in_count < RIG_OUT_MAX)
            rig->ins[rig->in_count++] = datagram;
        rig_input(rig, datagram.bytes, datagram.len);
    } else {
        rig_time(rig);
    }
    return true;
}

bool rig_run_to(struct rig *rig, enum ipmi_state state)
{
    while (rig->session.state != state && rig->session.state != IPMI_STATE_DONE)
        if (!rig_step(rig))
            break;
    return rig->session.state == state;
}

void rig_finish(struct rig *rig)
{
    while (rig->session.state != IPMI_STATE_DONE) {
        if (rig->session.state == IPMI_STATE_READY)
            rig_go(rig);
        if (!rig_step(rig))
            break;
    }
}

void rig_run_until(struct rig *rig, int64_t time)
{
    while (next_time(rig) <= time)
        rig_step(rig);
    rig->now = time;
}

/* ---- What was seen ---- */

unsigned rig_count(const struct rig *rig, enum ipmi_state state)
{
    unsigned count = 0;
    for (unsigned i = 0; i < rig->out_count; i++)
        count += rig->outs[i].state == state;
    return count;
}

void rig_control_answer(struct rig *rig, uint8_t completion, struct ipmi_datagram *ret)
{
    for (unsigned i = 0; i < rig->out_count; i++) {
        const struct bmc_request *request = &rig->outs[i].request;
        struct bmc_reply reply = {
            .net_fn = 1, .cmd = 2, .number = request->number, .completion = completion};
        if (!bmc_is_control(request))
            continue;
        bmc_reply(&rig->bmc, request->session, &reply, ret);
        return;
    }
    abort();
}

unsigned rig_ignored(const struct rig *rig)
{
    unsigned count = 0;
    for (int i = 0; i < IPMI_IGNORED_KINDS; i++)
        count += rig->session.ignored[i];
    return count;
}

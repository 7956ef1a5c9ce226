/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing: a session with a BMC that the bytes play. The first byte chooses version, suite and how
 * far the session goes by itself, the last one what the settings allow; then each step is a genuine
 * answer, a damaged one, a forged one (even with the session's own keys), time, go or abort. The
 * rig's BMC reads all that leaves. */
#include <stdlib.h>
#include <string.h>
#include "drivers/ipmi_exchange.h"
#include "unit/ipmi/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The input, taken byte by byte; 0 when it has ended. */
struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t take(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

static size_t take_bytes(struct input *input, uint8_t *bytes, size_t max)
{
    size_t len = take(input);
    if (len > max)
        len = max;
    for (size_t i = 0; i < len; i++)
        bytes[i] = take(input);
    return len;
}

static void set_options(struct rig *rig, uint8_t options)
{
    rig->plan.sel = (enum conf_sel)((options & 3) % 3);
    rig->plan.resend = options & 4 ? CONF_RESEND_IF_UNSEEN : CONF_RESEND_NEVER;
    rig->plan.retry_busy = (options & 8) != 0;
    rig->plan.min_interval = options & 0x10 ? 500000 : 0;
    rig->plan.no_sel = (options & 0x30) == 0x30;
    rig->bmc.sel_records = (options & 0x40) != 0;
    rig->bmc.control_busy = options & 0x80 ? 2 : 0;
}

/* How far it goes by itself. */
static void begin(struct rig *rig, uint8_t choice, uint8_t options)
{
    static const enum ipmi_state states[2][8] = {
        {IPMI_STATE_AUTH_CAP, IPMI_STATE_OPEN, IPMI_STATE_RAKP_1, IPMI_STATE_RAKP_3,
         IPMI_STATE_PRIVILEGE, IPMI_STATE_STATUS, IPMI_STATE_READY, IPMI_STATE_CONTROL},
        {IPMI_STATE_AUTH_CAP, IPMI_STATE_CHALLENGE, IPMI_STATE_ACTIVATE, IPMI_STATE_PRIVILEGE,
         IPMI_STATE_STATUS, IPMI_STATE_READY, IPMI_STATE_CONTROL, IPMI_STATE_CLOSE}};
    bool old = (choice & 3) >= 2;
    enum ipmi_state state = states[old][choice >> 5];
    rig_init(rig, old, choice & 1 ? 17 : 3);
    rig->bmc.per_message = (choice & 3) == 2;
    if (choice & 4)
        rig->bmc.auth_types = 1u << BMC_PASSWORD | 1u << BMC_NONE;
    rig->info.plain_password = true;
    rig->plan.skip_auth_cap = (choice & 8) && !old;
    rig->plan.probe = (choice & 16) && state < IPMI_STATE_READY;
    rig->control_delay = options & 0x20 ? 12000000 : 5000000; /* late, or not */
    set_options(rig, options);
    rig_begin(rig);
    if (state > IPMI_STATE_READY) {
        rig_run_to(rig, IPMI_STATE_READY);
        rig_go(rig);
    }
    if (rig->session.state != IPMI_STATE_DONE)
        rig_run_to(rig, state);
}

static void give_setup(struct rig *rig, struct input *input)
{
    struct ipmi_datagram datagram;
    uint8_t bytes[128], type = take(input);
    size_t len = take_bytes(input, bytes, sizeof bytes);
    if (len > 0 && (type & 0x80)) /* the tag that is asked */
        bytes[0] = rig->session.number;
    for (size_t i = 4; i < 8 && i < len && (type & 0x40); i++) /* our session id */
        bytes[i] = (uint8_t)(rig->session.channel.console_id >> (8 * (i - 4)));
    bmc_plain(0x10 | (type & 0x0f), bytes, len, &datagram);
    rig_input(rig, datagram.bytes, datagram.len);
}

/* A message, in the session if there is one, else outside. */
static void give_message(struct rig *rig, struct input *input)
{
    struct ipmi_datagram datagram;
    struct bmc_session session = {.active = rig->session.channel.active};
    const struct ipmi_channel *channel = &rig->session.channel;
    uint8_t data[IPMI_DATA_MAX], flags = take(input);
    struct bmc_reply reply = {.net_fn = take(input) & 63,
                              .cmd = take(input),
                              .number = (rig->session.number + (flags >> 4)) & 63,
                              .completion = take(input),
                              .data = data};
    reply.len = take_bytes(input, data, sizeof data);
    if (flags & 4) { /* an answer to what is asked */
        reply.net_fn = ipmi_row(rig->session.state)->net_fn;
        reply.cmd = ipmi_row(rig->session.state)->cmd;
    }
    if (flags & 8) /* to the Chassis Control */
        reply.number = rig->session.control_number;
    memcpy(session.k1, channel->integrity_key, 32);
    memcpy(session.k2, channel->confidentiality_key, 32);
    uint32_t id = channel->ipmi_1_5 ? channel->bmc_id : channel->console_id;
    bool inside = (flags & 1) && id != 0 && (channel->ipmi_1_5 || channel->active);
    bmc_seal(&rig->bmc, inside ? &session : NULL, inside ? id : 0,
             rig->session.in_highest + 1 + (flags & 2 ? take(input) - 128u : 0), &reply, &datagram);
    rig_input(rig, datagram.bytes, datagram.len);
}

static void give_damaged(struct rig *rig, struct input *input)
{
    struct ipmi_datagram datagram = {0};
    uint8_t which = take(input), at = take(input), by = take(input), cut = take(input);
    if (rig->answer_count > 0 && which < 128)
        datagram = rig->answers[which % rig->answer_count].datagram;
    else if (rig->in_count > 0)
        datagram = rig->ins[which % rig->in_count];
    if (datagram.len == 0)
        return;
    datagram.bytes[at % datagram.len] ^= by;
    rig_input(rig, datagram.bytes, cut < datagram.len ? datagram.len - cut : datagram.len);
}

static void step(struct rig *rig, struct input *input)
{
    uint8_t raw[256];
    switch (take(input) % 8) {
    case 0:
        rig_input(rig, raw, take_bytes(input, raw, sizeof raw));
        break;
    case 1:
        give_setup(rig, input);
        break;
    case 2:
        give_message(rig, input);
        break;
    case 3:
        rig->now += (int64_t)take(input) * 40000;
        rig_time(rig);
        break;
    case 4:
        rig_go(rig);
        break;
    case 5:
        if (take(input) == 'a')
            rig_abort(rig, FAULT_STOPPING);
        break;
    case 6:
        rig_step(rig);
        break;
    default:
        give_damaged(rig, input);
    }
}

/* What holds after every step. */
static void check(const struct rig *rig)
{
    const struct ipmi_session *s = &rig->session;
    unsigned allowed = 1 + (s->plan.resend == CONF_RESEND_IF_UNSEEN) + 16 * s->plan.retry_busy;
    require(rig->controls <= allowed);
    require(rig->controls == s->control_sends);
    require(!s->plan.probe || rig->controls == 0);
    require((s->control_at != 0) == (rig->controls > 0));
    require(s->state != IPMI_STATE_CONTROL || rig->controls > 0);
    require(s->outcome != OUTCOME_DELIVERED || s->plan.probe || rig->controls > 0);
    require(s->outcome != OUTCOME_UNKNOWN || rig->controls > 0);
    /* What was sent and is "surely not done" was refused by an answer; and a second one, behind one
     * that was not answered, makes that one no better. */
    require(s->outcome != OUTCOME_FAILED || rig->controls == 0 ||
            (s->have_completion && s->failed_in == IPMI_STATE_CONTROL && !s->maybe));
    require(s->sel.read <= IPMI_SEL_READ_MAX && s->sel.found_count <= IPMI_SEL_FOUND_MAX);
    require(s->state != IPMI_STATE_DONE || s->outcome != OUTCOME_NONE);
    require((ipmi_session_deadline(s) == INT64_MAX) == (s->state == IPMI_STATE_DONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    static bool ready;
    struct input input = {data, size};
    char text[FAULT_MESSAGE_MAX];
    if (!ready)
        ready = rig_setup(NULL) == 0;
    require(ready);
    begin(&rig, take(&input), size > 1 ? data[size - 1] : 0);
    check(&rig);
    for (int i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(&rig, &input);
        check(&rig);
    }
    ipmi_session_explain(&rig.session, text, sizeof text);
    /* Whatever has happened, it ends by time alone. */
    rig.answer_count = 0;
    rig.deaf = true;
    for (int i = 0; i < 200 && rig_step(&rig); i++)
        check(&rig);
    require(rig.session.state == IPMI_STATE_DONE);
    rig_free(&rig);
    return 0;
}

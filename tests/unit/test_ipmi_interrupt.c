/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Chassis Control: it leaves once, whatever comes; and each outcome says the truth. Every
 * datagram that leaves is read by the rig's BMC with keys of its own, so that what is counted does
 * not rest on the session's state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "unit/ipmi/rig.h"

static const struct way {
    bool ipmi_1_5;
    unsigned suite;
} ways[] = {{false, 3}, {false, 17}, {true, 0}};

#define FOR_EACH_WAY(way) for (const struct way *way = ways; way < ways + 3; way++)

static void assert_end(const struct rig *rig, enum action_outcome outcome, enum fault_code code)
{
    assert_int_equal(rig->session.state, IPMI_STATE_DONE);
    assert_string_equal(action_outcome_name(rig->session.outcome), action_outcome_name(outcome));
    assert_string_equal(fault_name(rig->session.code), fault_name(code));
}

static void begin_ready(struct rig *rig, const struct way *way)
{
    rig_init(rig, way->ipmi_1_5, way->suite);
    rig_begin(rig);
    assert_true(rig_run_to(rig, IPMI_STATE_READY));
}

/* ---- Once ---- */

static void test_go_outside_ready(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig_go(&rig); /* not even begun */
        assert_int_equal(rig.out_count, 0);
        rig_begin(&rig);
        while (rig.session.state != IPMI_STATE_READY) {
            unsigned sent = rig.out_count;
            enum ipmi_state before = rig.session.state;
            rig_go(&rig);
            assert_int_equal(rig.out_count, sent);
            assert_int_equal(rig.session.state, before);
            rig_step(&rig);
        }
        rig_go(&rig);
        assert_int_equal(rig.controls, 1);
        while (rig.session.state != IPMI_STATE_DONE) {
            unsigned sent = rig.out_count;
            rig_go(&rig);
            assert_int_equal(rig.out_count, sent);
            rig_step(&rig);
        }
        rig_go(&rig);
        assert_int_equal(rig.controls, 1);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        rig_free(&rig);
    }
}

static void test_go_of_a_probe(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.plan.probe = true;
        rig_begin(&rig);
        while (rig.session.state != IPMI_STATE_DONE) {
            rig_go(&rig);
            rig_step(&rig);
        }
        assert_int_equal(rig.controls, 0);
        rig.session.state = IPMI_STATE_READY; /* which it never has */
        rig_go(&rig);
        assert_int_equal(rig.controls, 0);
        rig_free(&rig);
    }
}

static uint32_t noise;

static uint32_t next_noise(void)
{
    noise = noise * 1664525 + 1013904223;
    return noise >> 8;
}

/* Something of everything: an old datagram, an old one with a flipped bit, garbage, time, go,
 * abort, unsent. */
static void disturb(struct rig *rig)
{
    uint8_t garbage[128];
    struct ipmi_datagram out, old;
    size_t len = next_noise() % sizeof garbage;
    if (rig->in_count == 0)
        return;
    old = rig->ins[next_noise() % rig->in_count];
    for (size_t i = 0; i < len; i++)
        garbage[i] = (uint8_t)next_noise();
    switch (next_noise() % 6) {
    case 0:
        rig_input(rig, old.bytes, old.len);
        break;
    case 1:
        old.bytes[next_noise() % old.len] ^= (uint8_t)(1u << next_noise() % 8);
        rig_input(rig, old.bytes, old.len);
        break;
    case 2:
        memcpy(garbage, old.bytes, len < 16 ? len : 16);
        rig_input(rig, garbage, len);
        break;
    case 3:
        rig_time(rig);
        break;
    case 4:
        rig_go(rig);
        break;
    default:
        rig_abort(rig, FAULT_STOPPING);
        if (rig->session.state == IPMI_STATE_CONTROL)
            break; /* there it would be believed */
        ipmi_session_unsent(&rig->session, rig->now, &out);
        assert_int_equal(out.len, 0);
    }
}

/* Silence after the interrupt, for the whole answer time and with all that noise. */
static void test_silence(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        begin_ready(&rig, way);
        rig.mute = IPMI_STATE_CONTROL;
        rig_go(&rig);
        assert_int_equal(rig.controls, 1);
        unsigned sent = rig.out_count;
        for (noise = 1; rig.now < rig.session.control_at + rig.plan.answer - 10000;) {
            rig.now += 10000;
            for (int i = 0; i < 4; i++)
                disturb(&rig);
            assert_int_equal(rig.session.state, IPMI_STATE_CONTROL);
            assert_int_equal(rig.out_count, sent);
        }
        rig.deaf = true;
        rig_run_to(&rig, IPMI_STATE_PROBE);
        assert_int_equal(rig.now, rig.session.control_at + rig.plan.answer);
        while (rig.session.state != IPMI_STATE_DONE) {
            assert_int_equal(rig.session.outcome, OUTCOME_UNKNOWN);
            assert_int_equal(rig.session.code, FAULT_NO_ANSWER);
            rig_step(&rig);
            disturb(&rig);
        }
        assert_end(&rig, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
        assert_int_equal(rig_count(&rig, IPMI_STATE_PROBE), 4);
        assert_int_equal(rig_count(&rig, IPMI_STATE_CLOSE), 3);
        for (unsigned i = sent; i < rig.out_count; i++)
            assert_int_equal(rig.outs[i].request.cmd, i < sent + 4 ? 0x01 : 0x3c);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

/* Noise from the first datagram on, with many seeds: at most one, whatever becomes of it. */
static void test_noise(void **state)
{
    (void)state;
    static struct rig rig;
    unsigned delivered = 0, failed = 0;
    FOR_EACH_WAY(way)
    {
        for (uint32_t seed = 1; seed <= 300; seed++) {
            rig_init(&rig, way->ipmi_1_5, way->suite);
            rig.control_delay = 500000;
            rig_begin(&rig);
            noise = seed;
            for (unsigned i = 0; i < 200 && rig.session.state != IPMI_STATE_DONE; i++) {
                if (next_noise() % 4 == 0)
                    disturb(&rig);
                if (rig.session.state == IPMI_STATE_READY)
                    rig_go(&rig);
                rig_step(&rig);
            }
            assert_true(rig.controls <= 1);
            delivered += rig.session.outcome == OUTCOME_DELIVERED;
            failed += rig.session.outcome == OUTCOME_FAILED;
            if (rig.session.outcome == OUTCOME_FAILED)
                assert_int_equal(rig.controls, 0);
            if (rig.session.outcome == OUTCOME_DELIVERED)
                assert_int_equal(rig.controls, 1);
            rig_free(&rig);
        }
    }
    assert_true(delivered > 100);
    assert_true(failed > 100);
}

/* ---- Answers ---- */

/* The answer comes with the last microsecond of answer_ms: that is not late. */
static void test_last_moment(void **state)
{
    (void)state;
    static struct rig rig;
    struct ipmi_datagram answer;
    FOR_EACH_WAY(way)
    {
        begin_ready(&rig, way);
        rig.mute = IPMI_STATE_CONTROL;
        rig_go(&rig);
        rig_control_answer(&rig, 0, &answer);
        rig_run_until(&rig, rig.session.control_at + rig.plan.answer - 1);
        assert_int_equal(rig.session.state, IPMI_STATE_CONTROL);
        rig_input(&rig, answer.bytes, answer.len);
        assert_int_equal(rig.session.state, IPMI_STATE_CLOSE);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_false(rig.session.late);
        assert_int_equal(rig.session.probes, 0);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

/* Point 6 of the rule, in a table of the test's own. */
static enum action_outcome expected(unsigned completion, enum fault_code *ret_code)
{
    static const uint8_t refused[] = {0xc0, 0xc2, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
                                      0xca, 0xcb, 0xcd, 0xd3, 0xd5, 0xd6};
    *ret_code = FAULT_NONE;
    if (completion == 0x00)
        return OUTCOME_DELIVERED;
    *ret_code = completion == 0xc1 || completion == 0xcc ? FAULT_UNSUPPORTED
                : completion == 0xd4                     ? FAULT_PRIVILEGE
                                                         : FAULT_COMPLETION_CODE;
    if (memchr(refused, (int)completion, sizeof refused) != NULL)
        *ret_code = FAULT_REFUSED;
    return *ret_code == FAULT_COMPLETION_CODE ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
}

static void test_completion_codes(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (unsigned completion = 0; completion <= 0xff; completion++) {
            enum fault_code code;
            enum action_outcome outcome = expected(completion, &code);
            begin_ready(&rig, way);
            rig.bmc.control_completion = (uint8_t)completion;
            rig_finish(&rig);
            assert_end(&rig, outcome, code);
            assert_true(rig.session.have_completion);
            assert_int_equal(rig.session.completion, completion);
            assert_int_equal(rig.controls, 1);
            assert_true(rig.session.close_acked);
            rig_free(&rig);
        }
    }
}

static void test_power(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.power = false;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_POWERED_OFF);
        assert_int_equal(rig.session.power, IPMI_POWER_OFF);
        assert_int_equal(rig.controls, 0);
        assert_int_equal(rig.bmc.closes, 1);
        rig_free(&rig);

        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.status_completion = 0xd4;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.session.power, IPMI_POWER_UNCHECKED);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

/* ---- Given up ---- */

static void test_abort_before(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int target = IPMI_STATE_AUTH_CAP; target <= IPMI_STATE_READY; target++) {
            rig_init(&rig, way->ipmi_1_5, way->suite);
            rig_begin(&rig);
            if (!rig_run_to(&rig, (enum ipmi_state)target)) {
                rig_free(&rig); /* a state of the other version */
                continue;
            }
            rig_abort(&rig, FAULT_STOPPING);
            assert_int_equal(rig.session.outcome, OUTCOME_FAILED);
            bool opened = target >= IPMI_STATE_PRIVILEGE;
            assert_int_equal(rig.session.state, opened ? IPMI_STATE_CLOSE : IPMI_STATE_DONE);
            rig_go(&rig);
            rig_abort(&rig, FAULT_DEADLINE); /* the first one counts */
            rig_finish(&rig);
            while (rig.answer_count > 0) /* what still arrives changes nothing */
                rig_step(&rig);
            assert_end(&rig, OUTCOME_FAILED, FAULT_STOPPING);
            assert_int_equal(rig.session.failed_in, target);
            assert_int_equal(rig.controls, 0);
            assert_int_equal(rig.bmc.closes, opened);
            rig_free(&rig);
        }
    }
}

static void test_abort_in_pause(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.busy = 1;
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_PAUSE));
        rig_abort(&rig, FAULT_STOPPING);
        assert_end(&rig, OUTCOME_FAILED, FAULT_STOPPING);
        assert_int_equal(ipmi_session_deadline(&rig.session), INT64_MAX);
        rig_free(&rig);
    }
}

static void test_abort_after(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int answered = 0; answered <= 1; answered++) {
            begin_ready(&rig, way);
            rig.mute = answered ? IPMI_STATE_CLOSE : IPMI_STATE_CONTROL;
            rig_go(&rig);
            rig_run_to(&rig, answered ? IPMI_STATE_CLOSE : IPMI_STATE_CONTROL);
            struct ipmi_session before = rig.session;
            rig_abort(&rig, FAULT_STOPPING);
            assert_true(rig.session.no_more); /* and nothing else has changed */
            before.no_more = true;
            assert_memory_equal(&before, &rig.session, sizeof before);
            rig_finish(&rig);
            if (answered)
                assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
            else
                assert_end(&rig, OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            before = rig.session;
            rig_abort(&rig, FAULT_STOPPING);
            assert_memory_equal(&before, &rig.session, sizeof before);
            rig_free(&rig);
        }
    }
}

/* The journal's go does not come: the deadline ends it. */
static void test_ready_until_deadline(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        begin_ready(&rig, way);
        rig_run_to(&rig, IPMI_STATE_DONE);
        assert_end(&rig, OUTCOME_FAILED, FAULT_DEADLINE);
        assert_true(rig.now >= rig.plan.timeout);
        assert_int_equal(rig.controls, 0);
        assert_int_equal(rig.bmc.closes, 1);
        rig_free(&rig);
    }
}

/* The kernel refused the datagram: surely not sent, and said so. */
static void test_unsent(void **state)
{
    (void)state;
    static struct rig rig;
    struct ipmi_datagram out;
    FOR_EACH_WAY(way)
    {
        begin_ready(&rig, way);
        ipmi_session_unsent(&rig.session, rig.now, &out); /* nothing was to be sent yet */
        assert_int_equal(out.len, 0);
        assert_int_equal(rig.session.state, IPMI_STATE_READY);
        ipmi_session_go(&rig.session, rig.now, &out);
        assert_int_not_equal(out.len, 0);
        ipmi_session_unsent(&rig.session, rig.now, &out);
        struct bmc_request request;
        assert_true(bmc_read(&rig.bmc, &out, &request));
        assert_int_equal(request.cmd, 0x3c);
        rig_go(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_SYSTEM);
        assert_int_equal(rig.session.control_at, 0);
        assert_int_equal(rig.controls, 0);
        rig_free(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_outside_ready),
        cmocka_unit_test(test_go_of_a_probe),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_last_moment),
        cmocka_unit_test(test_completion_codes),
        cmocka_unit_test(test_power),
        cmocka_unit_test(test_abort_before),
        cmocka_unit_test(test_abort_in_pause),
        cmocka_unit_test(test_abort_after),
        cmocka_unit_test(test_ready_until_deadline),
        cmocka_unit_test(test_unsent),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

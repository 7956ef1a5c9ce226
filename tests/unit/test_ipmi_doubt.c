/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must not be believed, sent or said when the BMC, the network or the clock leaves a doubt:
 * played answers, forged errors, a SEL that cannot be read, log-ins that nobody answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "unit/ipmi/rig.h"

static struct rig rig;

static void assert_end(enum action_outcome outcome, enum fault_code code)
{
    assert_int_equal(rig.session.state, IPMI_STATE_DONE);
    assert_string_equal(action_outcome_name(rig.session.outcome), action_outcome_name(outcome));
    assert_string_equal(fault_name(rig.session.code), fault_name(code));
}

static bool is_sel(const struct bmc_request *request)
{
    return request->net_fn == 0x0a;
}

/* ---- Fresh and authentic ---- */

/* All that a 1.5 BMC said in one session, to a later one with a deaf BMC: nothing is believed. */
static void test_replay_1_5(void **state)
{
    (void)state;
    static struct ipmi_datagram heard[RIG_OUT_MAX];
    rig_init(&rig, true, 0);
    rig_begin(&rig);
    rig_finish(&rig);
    assert_end(OUTCOME_DELIVERED, FAULT_NONE);
    unsigned count = rig.in_count;
    memcpy(heard, rig.ins, sizeof heard);
    rig_free(&rig);
    for (uint8_t skip = 1; skip < 100; skip++) {
        uint8_t other[100];
        rig_init(&rig, true, 0);
        rig.plan.random(other, skip); /* other random numbers */
        rig.deaf = true;
        rig_begin(&rig);
        for (unsigned i = 0; i < count; i++) {
            for (unsigned j = 0; j < count; j++)
                rig_input(&rig, heard[j].bytes, heard[j].len);
            if (rig.session.state == IPMI_STATE_READY)
                rig_go(&rig);
        }
        assert_false(rig.session.opened);
        assert_int_equal(rig.controls, 0);
        assert_int_not_equal(rig.session.outcome, OUTCOME_DELIVERED);
        rig_free(&rig);
    }
}

static void test_random_start(void **state)
{
    (void)state;
    for (int old = 0; old <= 1; old++) {
        uint64_t seen = 0;
        for (uint8_t skip = 1; skip < 100; skip++) {
            uint8_t other[100];
            rig_init(&rig, old, 3);
            rig.plan.random(other, skip);
            rig_begin(&rig);
            assert_true(rig.outs[0].request.number <= 63);
            seen |= (uint64_t)1 << rig.outs[0].request.number;
            rig_free(&rig);
        }
        assert_true(__builtin_popcountll(seen) > 30);
    }
}

/* An error without our session id: from anybody, and of no effect. */
static void test_short_errors(void **state)
{
    (void)state;
    static const enum ipmi_state states[] = {IPMI_STATE_OPEN, IPMI_STATE_RAKP_1, IPMI_STATE_RAKP_3};
    for (int i = 0; i < 3; i++) {
        for (unsigned status = 1; status <= 0x12; status++) {
            bool suite = (status >= 4 && status <= 7) || status == 0x10 || status == 0x11;
            if (states[i] == IPMI_STATE_OPEN && suite)
                continue; /* ipmi_sim's */
            rig_init(&rig, false, 17);
            rig_begin(&rig);
            assert_true(rig_run_to(&rig, states[i]));
            for (uint8_t tag = 0; tag < 64; tag++) {
                struct ipmi_datagram bad;
                const uint8_t bytes[2] = {tag, (uint8_t)status};
                bmc_plain((uint8_t)(0x11 + 2 * i), bytes, sizeof bytes, &bad);
                rig_input(&rig, bad.bytes, bad.len);
            }
            assert_int_equal(rig.session.state, states[i]);
            rig_finish(&rig);
            assert_end(OUTCOME_DELIVERED, FAULT_NONE);
            rig_free(&rig);
        }
    }
}

/* The offer of a 1.5 BMC is not authentic: no password in clear, and no session without any. */
static void test_weak_offers(void **state)
{
    (void)state;
    static const uint8_t refused[] = {1u << 5, 1u << BMC_PASSWORD, 1u << BMC_NONE};
    for (size_t i = 0; i < sizeof refused; i++) { /* OEM only; what the node must allow */
        rig_init(&rig, true, 0);
        rig.bmc.auth_types = refused[i];
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(OUTCOME_FAILED, FAULT_SUITE);
        assert_int_equal(rig.out_count, 1); /* nothing with a name or a password */
        rig_free(&rig);
    }
}

/* ---- The SEL ---- */

static bool lose_sel_after(struct rig *r, const struct bmc_request *request)
{
    return is_sel(request) && r->session.control_sends > 0;
}

/* Refused as busy, and then the SEL says nothing: no second interrupt. */
static void test_busy_and_no_sel(void **state)
{
    (void)state;
    rig_init(&rig, false, 17);
    bmc_sel_add(&rig.bmc, 0x01, 7);
    rig.plan.sel = CONF_SEL_SILENCE;
    rig.plan.retry_busy = true;
    rig.bmc.control_busy = 1;
    rig.bmc.busy_executes = true;
    rig.lose_answer = lose_sel_after;
    rig_begin(&rig);
    rig_finish(&rig);
    assert_end(OUTCOME_FAILED, FAULT_REFUSED);
    assert_int_equal(rig.controls, 1);
    assert_int_equal(rig.bmc.executed, 1);
    rig_free(&rig);
}

static bool lose_first_control(struct rig *r, const struct bmc_request *request)
{
    return bmc_is_control(request) && r->controls == 1;
}

/* Never a resend in 1.5, nor when the SEL was marked and is something else than unchanged. */
static void test_no_resend(void **state)
{
    (void)state;
    for (int why = 0; why < 3; why++) {
        rig_init(&rig, why == 0, 17);
        bmc_sel_add(&rig.bmc, 0x01, 7);
        rig.plan.resend = CONF_RESEND_IF_UNSEEN;
        rig.plan.sel = why == 0 ? CONF_SEL_NEVER : CONF_SEL_SILENCE;
        rig.lose = lose_first_control;
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        if (why == 1)
            rig.bmc.sel_completion = 0xff;
        rig_go(&rig);
        rig_finish(&rig);
        assert_int_equal(rig.controls, why == 2 ? 2 : 1);
        assert_end(why == 2 ? OUTCOME_DELIVERED : OUTCOME_UNKNOWN,
                   why == 2 ? FAULT_NONE : FAULT_NO_ANSWER);
        rig_free(&rig);
    }
}

static bool lose_control_answer(struct rig *r, const struct bmc_request *request)
{
    (void)r;
    return bmc_is_control(request);
}

/* Somebody's record made it "delivered"; then the answer comes after all: not done. */
static void test_refusal_after_the_record(void **state)
{
    (void)state;
    struct ipmi_datagram answer;
    rig_init(&rig, false, 17);
    bmc_sel_add(&rig.bmc, 0x01, 7);
    rig.plan.sel = CONF_SEL_SILENCE;
    rig.bmc.control_completion = 0xd5;
    rig.lose_answer = lose_control_answer;
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig_go(&rig);
    bmc_sel_add(&rig.bmc, 0x13, 0);
    assert_true(rig_run_to(&rig, IPMI_STATE_CLOSE));
    assert_int_equal(rig.session.outcome, OUTCOME_DELIVERED);
    rig_control_answer(&rig, 0xd5, &answer);
    rig_input(&rig, answer.bytes, answer.len);
    rig_finish(&rig);
    assert_end(OUTCOME_UNKNOWN, FAULT_COMPLETION_CODE);
    rig_free(&rig);
}

/* ---- The clock ---- */

static void test_too_late(void **state)
{
    (void)state;
    for (int old = 0; old <= 1; old++) {
        rig_init(&rig, old, 17);
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_READY));
        rig.now = rig.plan.timeout;
        rig_go(&rig);
        rig_finish(&rig);
        assert_end(OUTCOME_FAILED, FAULT_DEADLINE);
        assert_int_equal(rig.controls, 0);
        assert_int_equal(rig.bmc.closes, 1);
        rig_free(&rig);
    }
}

/* ---- Log-ins ---- */

/* 1.5: two unanswered log-ins and then the end, of whatever kind, stop the next action too. */
static void test_unanswered_log_ins(void **state)
{
    (void)state;
    for (int stop = 0; stop <= 1; stop++) {
        for (unsigned asked = 1; asked <= 2; asked++) {
            rig_init(&rig, true, 0);
            rig.bmc.password = "other";
            rig.plan.timeout = asked == 1 ? 900000 : 2000000;
            rig_begin(&rig);
            while (rig_count(&rig, IPMI_STATE_ACTIVATE) < asked)
                assert_true(rig_step(&rig));
            if (stop)
                rig_abort(&rig, FAULT_STOPPING);
            rig_finish(&rig);
            assert_end(OUTCOME_FAILED, stop ? FAULT_STOPPING : FAULT_UNREACHABLE);
            assert_int_equal(rig.session.fail_code, asked == 2 ? FAULT_PASSWORD : rig.session.code);
            rig_free(&rig);
        }
    }
}

/* The numbers that a 1.5 BMC is asked to begin with are far from the end, in both byte orders. */
static void random_ones(void *bytes, size_t len)
{
    memset(bytes, 0xff, len);
}

static void test_first_number(void **state)
{
    (void)state;
    rig_init(&rig, true, 0);
    rig.plan.random = random_ones;
    rig_begin(&rig);
    assert_true(rig.session.first_sequence < 0x80000000);
    assert_true(__builtin_bswap32(rig.session.first_sequence) < 0x80000000);
    rig_finish(&rig);
    assert_end(OUTCOME_DELIVERED, FAULT_NONE);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_1_5),   cmocka_unit_test(test_random_start),
        cmocka_unit_test(test_short_errors), cmocka_unit_test(test_busy_and_no_sel),
        cmocka_unit_test(test_no_resend),    cmocka_unit_test(test_refusal_after_the_record),
        cmocka_unit_test(test_too_late),     cmocka_unit_test(test_unanswered_log_ins),
        cmocka_unit_test(test_first_number), cmocka_unit_test(test_weak_offers),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

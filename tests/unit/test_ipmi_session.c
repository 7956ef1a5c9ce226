/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session with a BMC that behaves, is slow, is silent or is busy: the whole exchange, what is
 * sent again and what is not, the one Chassis Control, and what comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "unit/ipmi/rig.h"

/* The three ways to speak; every property holds for each. */
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

/* ---- The whole exchange ---- */

static void test_delivers(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 1);
        assert_int_equal(rig.bmc.controls, 1);
        assert_int_equal(rig.bmc.closes, 1);
        assert_true(rig.session.close_acked);
        assert_int_equal(rig.session.power, IPMI_POWER_ON);
        assert_int_equal(rig.out_count, way->ipmi_1_5 ? 7 : 8);
        assert_int_equal(rig.unreadable, 0);
        assert_int_equal(rig.session.retransmissions, 0);
        assert_int_equal(rig_ignored(&rig), 0);
        assert_int_equal(rig.session.control_answered_at - rig.session.control_at, rig.delay);
        rig_free(&rig);
    }
}

/* Table 28-4: the request is one byte, 04h, and nothing else. */
static void test_control_datagram(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_READY));
        assert_int_equal(rig.controls, 0);
        rig_go(&rig);
        const struct bmc_request *request = &rig.outs[rig.out_count - 1].request;
        assert_true(bmc_is_control(request));
        assert_int_equal(request->len, 1);
        assert_int_equal(request->data[0], 0x04);
        assert_non_null(request->session);
        assert_int_equal(request->auth_type, way->ipmi_1_5 ? BMC_MD5 : 0);
        rig_free(&rig);
    }
}

static void test_authentication_types_1_5(void **state)
{
    (void)state;
    static struct rig rig;
    static const struct {
        uint8_t offered, type;
        bool per_message;
    } cases[] = {{1u << BMC_PASSWORD, BMC_PASSWORD, true},
                 {1u << BMC_MD5 | 1u << BMC_NONE, BMC_MD5, false},
                 {1u << BMC_NONE, BMC_NONE, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_init(&rig, true, 0);
        rig.bmc.auth_types = cases[i].offered;
        rig.info.plain_password = true;
        rig.bmc.per_message = cases[i].per_message;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.outs[2].request.auth_type, cases[i].type);
        assert_int_equal(rig.outs[5].request.auth_type,
                         cases[i].per_message ? cases[i].type : BMC_NONE);
        rig_free(&rig);
    }
}

/* Ours and the BMC's K_g: equal, different, and only the BMC has one. */
static void test_k_g(void **state)
{
    (void)state;
    static struct rig rig;
    static const uint8_t k_g[20] = "0123456789abcdefghi", other[20] = "another";
    static const struct {
        const uint8_t *ours, *bmc;
        enum fault_code code;
    } cases[] = {{k_g, k_g, FAULT_NONE}, {k_g, other, FAULT_KG}, {NULL, k_g, FAULT_PASSWORD}};
    for (size_t i = 0; i < 6; i++) {
        rig_init(&rig, false, i % 2 == 0 ? 3 : 17);
        rig.bmc.k_g = cases[i / 2].bmc;
        if (cases[i / 2].ours != NULL)
            rig.info.k_g = secret_new(cases[i / 2].ours, 20);
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, cases[i / 2].code == FAULT_NONE ? OUTCOME_DELIVERED : OUTCOME_FAILED,
                   cases[i / 2].code);
        assert_int_equal(rig.controls, cases[i / 2].code == FAULT_NONE);
        secret_free(rig.info.k_g);
        rig_free(&rig);
    }
}

static void test_suites(void **state)
{
    (void)state;
    static struct rig rig;
    rig_init(&rig, false, 3);
    rig.info.suites[0] = 17;
    rig.info.suites[1] = 3;
    rig.info.suite_count = 2;
    rig_begin(&rig);
    rig_finish(&rig);
    assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(rig.session.channel.suite, 3);
    assert_int_equal(rig_count(&rig, IPMI_STATE_OPEN), 2);
    rig_free(&rig);

    rig_init(&rig, false, 3); /* what is remembered comes first */
    rig.info.suites[0] = 17;
    rig.info.suites[1] = 3;
    rig.info.suite_count = 2;
    rig.plan.suite = 3;
    rig.plan.skip_auth_cap = true;
    rig_begin(&rig);
    rig_finish(&rig);
    assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
    assert_int_equal(rig.out_count, 7);
    rig_free(&rig);

    rig_init(&rig, false, 3);
    rig.info.suites[0] = 17;
    rig_begin(&rig);
    rig_finish(&rig);
    assert_end(&rig, OUTCOME_FAILED, FAULT_SUITE);
    assert_int_equal(rig.out_count, 2);
    rig_free(&rig);
}

static void test_probe(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int on = 0; on <= 1; on++) {
            rig_init(&rig, way->ipmi_1_5, way->suite);
            rig.plan.probe = true;
            rig.bmc.power = on;
            rig_begin(&rig);
            rig_finish(&rig); /* never READY */
            assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
            assert_int_equal(rig.session.power, on ? IPMI_POWER_ON : IPMI_POWER_OFF);
            assert_int_equal(rig.controls, 0);
            assert_int_equal(rig.bmc.closes, 1);
            rig_free(&rig);
        }
    }
}

/* ---- Sent again ---- */

/* A request that nobody answers: numbers, intervals, and the end at the deadline. */
static void silence_in(const struct way *way, enum ipmi_state mute)
{
    static struct rig rig;
    /* A 1.5 BMC is silent at Activate Session when the password is wrong, and may lock the account.
     */
    bool password = mute == IPMI_STATE_ACTIVATE;
    enum fault_code code = password ? FAULT_PASSWORD : FAULT_UNREACHABLE;
    rig_init(&rig, way->ipmi_1_5, way->suite);
    rig.mute = mute;
    rig.plan.timeout = 12000000;
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    const struct rig_out *last = NULL;
    int64_t interval = 0;
    unsigned in_a_row = 0;
    for (unsigned i = 0; i < rig.out_count; i++) {
        const struct rig_out *out = &rig.outs[i];
        bool same = last != NULL && out->state == mute && last->state == mute;
        if (same) {
            assert_int_not_equal(out->request.number, last->request.number);
            assert_memory_not_equal(out->datagram.bytes, last->datagram.bytes, out->datagram.len);
            assert_true(out->at - last->at >= rig.plan.retransmit);
            assert_true(in_a_row < 2 || out->at - last->at > interval);
            if (out->request.session != NULL && out->request.session->active)
                assert_int_equal(out->request.sequence, last->request.sequence + 1);
            interval = out->at - last->at;
        }
        in_a_row = same ? in_a_row + 1 : 1;
        last = out;
    }
    assert_true(password ? rig_count(&rig, mute) == 4 : rig_count(&rig, mute) >= 2);
    assert_int_equal(rig.session.outcome, OUTCOME_FAILED);
    assert_int_equal(rig.session.code, code);
    assert_int_equal(rig.controls, 0);
    rig_run_to(&rig, IPMI_STATE_DONE);
    assert_end(&rig, OUTCOME_FAILED, code);
    assert_true(rig.now <= rig.plan.timeout + 8000000);
    rig_free(&rig);
}

static void test_retransmits(void **state)
{
    (void)state;
    static const enum ipmi_state plus[] = {IPMI_STATE_AUTH_CAP,  IPMI_STATE_OPEN,
                                           IPMI_STATE_RAKP_1,    IPMI_STATE_RAKP_3,
                                           IPMI_STATE_PRIVILEGE, IPMI_STATE_STATUS};
    static const enum ipmi_state old[] = {IPMI_STATE_AUTH_CAP, IPMI_STATE_CHALLENGE,
                                          IPMI_STATE_ACTIVATE, IPMI_STATE_PRIVILEGE,
                                          IPMI_STATE_STATUS};
    FOR_EACH_WAY(way)
    {
        size_t count = way->ipmi_1_5 ? sizeof old / sizeof old[0] : sizeof plus / sizeof plus[0];
        for (size_t i = 0; i < count; i++)
            silence_in(way, way->ipmi_1_5 ? old[i] : plus[i]);
    }
}

/* Each request but the Chassis Control lost once, then each answer: delivered all the same. */
static uint64_t lost;

static bool lose_first(struct rig *rig, const struct bmc_request *request)
{
    uint64_t bit = (uint64_t)1 << rig->session.state;
    bool lose = !bmc_is_control(request) && (lost & bit) == 0;
    lost |= bit;
    return lose;
}

static void test_each_lost_once(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int answers = 0; answers <= 1; answers++) {
            rig_init(&rig, way->ipmi_1_5, way->suite);
            rig.plan.timeout = 60000000;
            rig.lose = answers ? NULL : lose_first;
            rig.lose_answer = answers ? lose_first : NULL;
            lost = 0;
            rig_begin(&rig);
            rig_finish(&rig);
            assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
            assert_int_equal(rig.controls, 1);
            /* A BMC does not know the session that it has closed. */
            assert_int_equal(rig.session.close_acked, !answers);
            assert_true(rig.session.retransmissions >= 6);
            rig_free(&rig);
        }
    }
}

/* A round trip of 1.5 s with 1 s before the first retransmission: the answer to the earlier
 * transmission is taken, and after the first measurement nothing is sent twice. */
static void test_slow_bmc(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.delay = 1500000;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig_count(&rig, IPMI_STATE_AUTH_CAP), 2);
        assert_int_equal(rig.session.retransmissions, 1);
        assert_int_equal(rig.out_count, way->ipmi_1_5 ? 8 : 9);
        assert_int_equal(rig.session.round_trip, 1500000);
        rig_free(&rig);
    }
}

/* The same, known from an earlier session: no retransmission at all, even if it is slower now. */
static void test_slow_bmc_known(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.delay = 2500000;
        rig.plan.round_trip = 1500000;
        rig.plan.skip_auth_cap = !way->ipmi_1_5;
        rig.plan.timeout = 30000000;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.session.retransmissions, 0);
        rig_free(&rig);
    }
}

/* It becomes slow in the midst: RAKP 1 goes twice, each makes a new random number, and RAKP 3
 * proves the one that the BMC has last. */
static void test_new_random_number(void **state)
{
    (void)state;
    static struct rig rig;
    for (unsigned suite = 3; suite <= 17; suite += 14) {
        for (int64_t delay = 1100000; delay <= 4000000; delay += 100000) {
            rig_init(&rig, false, suite);
            rig.plan.timeout = 120000000;
            rig_begin(&rig);
            assert_true(rig_run_to(&rig, IPMI_STATE_OPEN));
            rig.delay = delay;
            rig_finish(&rig);
            assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
            assert_int_equal(rig.controls, 1);
            rig_free(&rig);
        }
    }
}

/* Where the answer of the Chassis Control takes long, what follows is not slower for it. */
static void test_slow_control(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.control_delay = 9000000;
        rig.mute = IPMI_STATE_CLOSE;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig_count(&rig, IPMI_STATE_CLOSE), 3);
        assert_int_equal(rig.session.round_trip, 1000);
        assert_true(rig.now < 9000000 + 5000000);
        assert_false(rig.session.close_acked);
        rig_free(&rig);
    }
}

/* ---- Busy and refused ---- */

static void test_busy(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.busy = 3;
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_PAUSE));
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_true(rig.now > 3000000); /* 0.5 + 1 + 2 s */
        rig_free(&rig);

        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.busy = 1000;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_BMC_BUSY);
        assert_int_equal(rig.now, rig.plan.timeout);
        assert_true(rig.bmc.busy > 990); /* paced */
        assert_int_equal(rig.controls, 0);
        rig_free(&rig);
    }
    /* Node busy and out of space are no failure of the node either (1.5). */
    for (int code = 0xc0; code <= 0xc4; code += 4) {
        rig_init(&rig, true, 0);
        rig.bmc.challenge_completion = (uint8_t)code;
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_PAUSE));
        rig.bmc.challenge_completion = 0;
        rig.bmc.activate_completion = (uint8_t)code;
        assert_true(rig_run_to(&rig, IPMI_STATE_ACTIVATE));
        assert_true(rig_run_to(&rig, IPMI_STATE_PAUSE));
        rig.bmc.activate_completion = 0;
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        rig_free(&rig);
    }
}

/* The BMC refuses RAKP 3 though it knows the password: another session, with new numbers. */
static void test_rakp_4_refused(void **state)
{
    (void)state;
    static struct rig rig;
    for (unsigned suite = 3; suite <= 17; suite += 14) {
        rig_init(&rig, false, suite);
        rig.bmc.rakp_4_refused = 1;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.bmc.session_count, 2);
        const struct bmc_session *s = rig.bmc.sessions;
        assert_int_not_equal(s[0].console_id, s[1].console_id);
        assert_memory_not_equal(s[0].console_random, s[1].console_random, 16);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);

        rig_init(&rig, false, suite);
        rig.bmc.rakp_4_refused = 1000;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_PASSWORD);
        assert_int_equal(rig_count(&rig, IPMI_STATE_RAKP_3), 2); /* each is a failed log-in */
        assert_int_equal(rig.controls, 0);
        rig_free(&rig);
    }
}

static void test_wrong_password(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.password = "other";
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_PASSWORD);
        assert_int_equal(rig.controls, 0);
        if (!way->ipmi_1_5) { /* told to the BMC: section 13.23 */
            const struct bmc_request *last = &rig.outs[rig.out_count - 1].request;
            assert_int_equal(last->kind, BMC_RAKP_3);
            assert_int_equal(last->data[1], 0x0f);
            assert_int_equal(rig_count(&rig, IPMI_STATE_RAKP_1), 1);
        }
        rig_free(&rig);
    }
}

static void test_unknown_user(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&rig, way->ipmi_1_5, way->suite);
        rig.bmc.user = "other";
        rig_begin(&rig);
        rig_finish(&rig);
        assert_end(&rig, OUTCOME_FAILED, FAULT_USER);
        assert_int_equal(rig.controls, 0);
        rig_free(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers),
        cmocka_unit_test(test_control_datagram),
        cmocka_unit_test(test_authentication_types_1_5),
        cmocka_unit_test(test_k_g),
        cmocka_unit_test(test_suites),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_retransmits),
        cmocka_unit_test(test_each_lost_once),
        cmocka_unit_test(test_slow_bmc),
        cmocka_unit_test(test_slow_bmc_known),
        cmocka_unit_test(test_new_random_number),
        cmocka_unit_test(test_slow_control),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_rakp_4_refused),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_unknown_user),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The silence after the interrupt: probes and what the BMC's numbers say, late answers. The formula
 * of docs/ipmi.md, row by row, with losses of single datagrams; what was executed is the rig's
 * BMC's to say. */
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

static struct rig rig;

static void assert_end(enum action_outcome outcome, enum fault_code code)
{
    assert_int_equal(rig.session.state, IPMI_STATE_DONE);
    assert_string_equal(action_outcome_name(rig.session.outcome), action_outcome_name(outcome));
    assert_string_equal(fault_name(rig.session.code), fault_name(code));
    assert_int_equal(rig.controls, rig.session.control_sends);
}

static void assert_sequence(enum ipmi_sequence sequence, int32_t gap)
{
    int32_t seen;
    assert_string_equal(ipmi_sequence_name(ipmi_session_sequence(&rig.session, &seen)),
                        ipmi_sequence_name(sequence));
    if (sequence != IPMI_SEQUENCE_DEAD)
        assert_int_equal(seen, gap);
}

/* ---- What gets lost: bit i: the i-th (from 0) of its kind ---- */

static struct {
    unsigned control, control_answer, probe, probe_answer, close_answer, status_answer;
    unsigned controls, control_answers, probes, probe_answers, closes, statuses;
} lost;

static bool hit(unsigned mask, unsigned *count)
{
    return (mask & 1u << (*count)++) != 0;
}

static bool lose(struct rig *r, const struct bmc_request *request)
{
    if (bmc_is_control(request))
        return hit(lost.control, &lost.controls);
    return r->session.state == IPMI_STATE_PROBE && hit(lost.probe, &lost.probes);
}

static bool lose_answer(struct rig *r, const struct bmc_request *request)
{
    if (bmc_is_control(request))
        return hit(lost.control_answer, &lost.control_answers);
    if (r->session.state == IPMI_STATE_PROBE)
        return hit(lost.probe_answer, &lost.probe_answers);
    if (r->session.state == IPMI_STATE_CLOSE)
        return hit(lost.close_answer, &lost.closes);
    return r->session.state == IPMI_STATE_STATUS && hit(lost.status_answer, &lost.statuses);
}

static void init(const struct way *way)
{
    memset(&lost, 0, sizeof lost);
    rig_init(&rig, way->ipmi_1_5, way->suite);
    rig.lose = lose;
    rig.lose_answer = lose_answer;
}

static void run(void)
{
    rig_begin(&rig);
    rig_finish(&rig);
    rig_free(&rig);
}

/* ---- The formula ---- */

static void test_formula(void **state)
{
    (void)state;
    static const struct {
        unsigned control, control_answer, probe, probe_answer;
        enum ipmi_sequence sequence;
        int32_t gap;
        unsigned probes;
    } rows[] = {
        {1, 0, 0, 0, IPMI_SEQUENCE_NO_ANSWER_SEEN, 1, 1},
        {0, 1, 0, 0, IPMI_SEQUENCE_ANSWERED_LOST, 2, 1},
        {1, 0, 1, 0, IPMI_SEQUENCE_NO_ANSWER_SEEN, 1, 2}, /* u = 1, and it took no number */
        {1, 0, 7, 0, IPMI_SEQUENCE_NO_ANSWER_SEEN, 1, 4},
        {0, 1, 1, 0, IPMI_SEQUENCE_AMBIGUOUS, 2, 2},
        {1, 0, 0, 1, IPMI_SEQUENCE_AMBIGUOUS, 2, 2},
        {0, 1, 0, 1, IPMI_SEQUENCE_ANSWERED_LOST, 3, 2},
        {0, 1, 2, 1, IPMI_SEQUENCE_AMBIGUOUS, 3, 3}, /* u = 2: one lost there, one here */
        {0, 1, 0, 7, IPMI_SEQUENCE_ANSWERED_LOST, 5, 4},
        {1, 0, 0, 7, IPMI_SEQUENCE_AMBIGUOUS, 4, 4},
        {1, 0, 15, 0, IPMI_SEQUENCE_DEAD, 0, 4},
        {0, 1, 0, 15, IPMI_SEQUENCE_DEAD, 0, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FOR_EACH_WAY(way)
        {
            init(way);
            rig.bmc.repeats_first = true; /* 1.5: ipmi_sim's Activate Session */
            lost.control = rows[i].control;
            lost.control_answer = rows[i].control_answer;
            lost.probe = rows[i].probe;
            lost.probe_answer = rows[i].probe_answer;
            run();
            assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            assert_sequence(rows[i].sequence, rows[i].gap);
            assert_int_equal(rig.session.probes, rows[i].probes);
            assert_int_equal(rig.session.probes_answered, rows[i].sequence != IPMI_SEQUENCE_DEAD);
            assert_int_equal(rig.controls, 1);
            assert_int_equal(rig.bmc.executed, !rows[i].control);
            assert_true(rig.session.close_acked);
            assert_int_equal(rig.session.retransmissions, 0);
        }
    }
}

/* The count alone: one answer before the interrupt shows no rise, and what goes back is no gap. */
static void test_count(void **state)
{
    (void)state;
    for (uint32_t first = UINT32_MAX - 2; first != 2; first++) { /* it may wrap */
        struct ipmi_numbers n = {.asked = 1};
        ipmi_numbers_take(&n, first, true);
        for (int second = 0; second <= 1; second++) {
            if (second) {
                n = (struct ipmi_numbers){.asked = 2};
                ipmi_numbers_take(&n, first - 1, true);
                ipmi_numbers_take(&n, first, true);
            }
            ipmi_numbers_watch(&n);
            n.asked++;
            ipmi_numbers_take(&n, first + 1, true);
            ipmi_numbers_judge(&n, first + 1);
            assert_int_equal(n.gap, 1);
            assert_int_equal(ipmi_numbers_verdict(&n),
                             second ? IPMI_SEQUENCE_NO_ANSWER_SEEN : IPMI_SEQUENCE_AMBIGUOUS);
        }
        ipmi_numbers_judge(&n, first);
        assert_int_equal(ipmi_numbers_verdict(&n), IPMI_SEQUENCE_AMBIGUOUS);
    }
}

/* Each probe has a rqSeq of its own, none the Chassis Control's, and they keep their distance. */
static void test_probes_apart(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        uint64_t numbers = 0;
        int64_t last = 0, apart = 0;
        init(way);
        lost.control = 1;
        lost.probe = 15;
        run();
        for (unsigned i = 0; i < rig.out_count; i++) {
            const struct rig_out *out = &rig.outs[i];
            if (out->state != IPMI_STATE_CONTROL && out->state != IPMI_STATE_PROBE)
                continue;
            assert_false(numbers & (uint64_t)1 << out->request.number);
            numbers |= (uint64_t)1 << out->request.number;
            assert_true(out->at - last > apart || last == 0);
            if (out->state == IPMI_STATE_PROBE) {
                assert_true(last == 0 || out->at - last >= 1000000);
                last = out->at;
            }
        }
        assert_int_equal(__builtin_popcountll(numbers), 5);
    }
}

/* A hint that is not what it seems: then nothing is concluded, and nothing sent. */

static void init_silent(const struct way *way)
{
    init(way);
    lost.control = 1;
    rig.plan.resend = CONF_RESEND_IF_UNSEEN;
}

static void assert_ambiguous(void)
{
    assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    int32_t gap;
    assert_int_equal(ipmi_session_sequence(&rig.session, &gap), IPMI_SEQUENCE_AMBIGUOUS);
    assert_int_equal(rig.controls, 1);
}

static void test_skip_before(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        init_silent(way); /* the first answer to Get Chassis Status is lost: a number is missing */
        lost.status_answer = 1;
        run();
        assert_ambiguous();
    }
}

/* In each state from READY on, an earlier datagram comes again. */
static void test_duplicate(void **state)
{
    (void)state;
    static const enum ipmi_state states[] = {IPMI_STATE_READY, IPMI_STATE_CONTROL, IPMI_STATE_PROBE,
                                             IPMI_STATE_CLOSE};
    FOR_EACH_WAY(way)
    {
        for (size_t i = 0; i < 4; i++) {
            init_silent(way);
            rig_begin(&rig);
            assert_true(rig_run_to(&rig, IPMI_STATE_READY));
            if (i > 0)
                rig_go(&rig);
            assert_true(rig_run_to(&rig, states[i]));
            const struct ipmi_datagram again = rig.ins[rig.in_count - 1];
            rig_input(&rig, again.bytes, again.len);
            rig_finish(&rig);
            rig_free(&rig);
            assert_ambiguous();
        }
    }
}

/* An authentic answer to something that was never asked, between the interrupt and the probe's. */
static void test_foreign_number(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int in_probe = 0; in_probe <= 1; in_probe++) {
            struct ipmi_datagram foreign;
            init_silent(way);
            rig_begin(&rig);
            rig_run_to(&rig, IPMI_STATE_READY);
            rig_go(&rig);
            if (in_probe)
                rig_run_to(&rig, IPMI_STATE_PROBE);
            struct bmc_session *session = &rig.bmc.sessions[rig.bmc.session_count - 1];
            const struct bmc_reply reply = {
                .net_fn = 1, .cmd = 1, .number = (rig.session.number + 9) & 63};
            if (in_probe) /* its answer is under way: this overtakes it */
                rig.answer_count = 0;
            bmc_reply(&rig.bmc, session, &reply, &foreign);
            rig_input(&rig, foreign.bytes, foreign.len);
            rig_finish(&rig);
            rig_free(&rig);
            assert_ambiguous();
        }
    }
}

/* ---- Late answers ---- */

/* The session with silence behind it, in this state; ret is the answer that the BMC has kept. */
static void begin_silent_in(const struct way *way, enum ipmi_state in, uint8_t completion,
                            struct ipmi_datagram *ret)
{
    init(way);
    rig.plan.sel = CONF_SEL_SILENCE;
    lost.control = 1;
    rig_begin(&rig);
    assert_true(rig_run_to(&rig, IPMI_STATE_READY));
    rig_go(&rig);
    assert_true(rig_run_to(&rig, in));
    rig_control_answer(&rig, completion, ret);
}

static void test_late(void **state)
{
    (void)state;
    static const enum ipmi_state states[] = {IPMI_STATE_PROBE, IPMI_STATE_SEL, IPMI_STATE_SEL_PAUSE,
                                             IPMI_STATE_CLOSE};
    static const struct {
        uint8_t completion;
        enum action_outcome outcome;
        enum fault_code code;
    } codes[] = {{0x00, OUTCOME_DELIVERED, FAULT_NONE},
                 {0xc0, OUTCOME_FAILED, FAULT_REFUSED},
                 {0xc1, OUTCOME_FAILED, FAULT_UNSUPPORTED},
                 {0xff, OUTCOME_UNKNOWN, FAULT_COMPLETION_CODE}};
    FOR_EACH_WAY(way)
    {
        for (size_t i = 0; i < 16; i++) {
            struct ipmi_datagram answer;
            begin_silent_in(way, states[i / 4], codes[i % 4].completion, &answer);
            assert_int_equal(rig.session.outcome, OUTCOME_UNKNOWN);
            rig.now += 500; /* before what is under way */
            rig_input(&rig, answer.bytes, answer.len);
            assert_int_equal(rig.session.state, IPMI_STATE_CLOSE);
            assert_true(rig.session.late);
            rig_input(&rig, answer.bytes, answer.len); /* and again, as a copy */
            rig_finish(&rig);
            assert_end(codes[i % 4].outcome, codes[i % 4].code);
            assert_int_equal(rig.session.completion, codes[i % 4].completion);
            assert_int_equal(rig.controls, 1);
            assert_true(rig.session.close_acked);
            rig_free(&rig);
        }
    }
}

/* What only looks like it: another rqSeq, another command, not authentic, after the end. */
static void test_late_but_wrong(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int wrong = 0; wrong < 4; wrong++) {
            struct ipmi_datagram answer;
            begin_silent_in(way, wrong == 3 ? IPMI_STATE_DONE : IPMI_STATE_CLOSE, 0, &answer);
            struct bmc_session *session = &rig.bmc.sessions[rig.bmc.session_count - 1];
            struct bmc_reply reply = {.net_fn = 1, .cmd = 2, .number = rig.session.control_number};
            if (wrong == 0)
                reply.number ^= 1;
            if (wrong == 1)
                reply.cmd = 3;
            bmc_reply(&rig.bmc, session, &reply, &answer);
            if (wrong == 2)
                answer.bytes[answer.len - 1] ^= 1;
            rig_input(&rig, answer.bytes, answer.len);
            rig_finish(&rig);
            assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            assert_false(rig.session.late);
            rig_free(&rig);
        }
    }
}

/* Over a hundred requests after the interrupt: none of them has its rqSeq. */
static void test_number_is_kept(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        struct ipmi_datagram answer;
        begin_silent_in(way, IPMI_STATE_SEL, 0, &answer);
        unsigned first = rig.out_count;
        while (rig.out_count < first + 130) { /* it is looked at without end */
            rig.session.sel_passes = 1;
            rig.session.sel_until = INT64_MAX;
            assert_true(rig_step(&rig));
        }
        for (unsigned i = first; i < rig.out_count; i++)
            assert_int_not_equal(rig.outs[i].request.number, rig.session.control_number);
        rig_input(&rig, answer.bytes, answer.len);
        rig_free(&rig);
    }
}

/* A BMC that serves a doubled probe twice has still answered one probe. */
static void test_doubled_probe(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        struct ipmi_datagram twice;
        init_silent(way);
        rig.plan.resend = CONF_RESEND_NEVER;
        rig_begin(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_READY));
        rig_go(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_PROBE));
        const struct bmc_request request = rig.outs[rig.out_count - 1].request;
        assert_true(rig_run_to(&rig, IPMI_STATE_CLOSE));
        assert_int_equal(rig.session.probes_answered, 1);
        bmc_serve(&rig.bmc, &request, &twice);
        rig_input(&rig, twice.bytes, twice.len);
        assert_int_equal(rig.session.probes_answered, 1);
        rig_free(&rig);
    }
}

/* The rest that min_interval_ms gives the BMC before a resend: an answer to the first one that
 * comes now is the answer, and nothing else is sent. */
static void test_late_before_the_second(void **state)
{
    (void)state;
    static const struct {
        uint8_t completion;
        enum action_outcome outcome;
        enum fault_code code;
    } rows[] = {{0x00, OUTCOME_DELIVERED, FAULT_NONE},
                {0xd5, OUTCOME_FAILED, FAULT_REFUSED},
                {0xff, OUTCOME_UNKNOWN, FAULT_COMPLETION_CODE}};
    FOR_EACH_WAY(way)
    {
        for (size_t i = 0; i < 5; i++) {
            struct ipmi_datagram answer;
            if (way->ipmi_1_5) /* never a resend */
                continue;
            init_silent(way);
            rig.plan.min_interval = 700000;
            rig_begin(&rig);
            assert_true(rig_run_to(&rig, IPMI_STATE_READY));
            rig_go(&rig);
            assert_true(rig_run_to(&rig, IPMI_STATE_PAUSE));
            int64_t paused = rig.now;
            if (i < 3) {
                rig_control_answer(&rig, rows[i].completion, &answer);
                rig_input(&rig, answer.bytes, answer.len);
                assert_end(rows[i].outcome, rows[i].code);
                assert_int_equal(rig.controls, 1);
            } else if (i == 3) {
                rig_abort(&rig, FAULT_STOPPING);
                assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
                assert_int_equal(rig.controls, 1);
            } else {
                unsigned first = rig.out_count;
                rig_finish(&rig);
                assert_int_equal(rig.outs[first].at - paused, 700000);
                assert_end(OUTCOME_DELIVERED, FAULT_NONE);
                assert_int_equal(rig.controls, 2);
            }
            assert_int_equal(rig.bmc.closes, i == 4 ? 2 : 1);
            rig_free(&rig);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),        cmocka_unit_test(test_count),
        cmocka_unit_test(test_probes_apart),   cmocka_unit_test(test_skip_before),
        cmocka_unit_test(test_duplicate),      cmocka_unit_test(test_foreign_number),
        cmocka_unit_test(test_late),           cmocka_unit_test(test_late_but_wrong),
        cmocka_unit_test(test_number_is_kept), cmocka_unit_test(test_late_before_the_second),
        cmocka_unit_test(test_doubled_probe),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

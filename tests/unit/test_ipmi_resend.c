/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The second interrupt that `resend` and `retry_busy` allow, and no other: with each reason not to
 * send it, each way in which it fails, and every datagram counted by the rig's BMC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/ipmi/rig.h"

static const struct way {
    bool ipmi_1_5;
    unsigned suite;
} ways[] = {{false, 3}, {false, 17}, {true, 0}};

#define FOR_EACH_WAY(way) for (const struct way *way = ways; way < ways + 3; way++)
#define FOR_EACH_2_0(way) for (const struct way *way = ways; way < ways + 2; way++)

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

/* What gets lost: bit i: the i-th (from 0) of its kind. */
static struct {
    unsigned control, control_answer, probe, probe_answer, close_answer, sel_answer;
    unsigned controls, control_answers, probes, probe_answers, closes, sels;
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
    return r->session.state == IPMI_STATE_SEL && hit(lost.sel_answer, &lost.sels);
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

static void init_silent(const struct way *way)
{
    init(way);
    lost.control = 1;
    rig.plan.resend = CONF_RESEND_IF_UNSEEN;
}

/* ---- resend ---- */

static void test_resend(void **state)
{
    (void)state;
    FOR_EACH_2_0(way)
    {
        init_silent(way);
        run();
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 2);
        assert_int_equal(rig.bmc.executed, 1);
        assert_int_equal(rig.bmc.session_count, 2);
        assert_int_equal(rig.bmc.closes, 2);
        /* The second has left after the first session was closed, and in another one. */
        unsigned closes = 0, controls = 0;
        for (unsigned i = 0; i < rig.out_count; i++) {
            closes += rig.outs[i].state == IPMI_STATE_CLOSE;
            if (rig.outs[i].state == IPMI_STATE_CONTROL)
                assert_int_equal(closes, controls++);
        }
        assert_sequence(IPMI_SEQUENCE_NO_ANSWER_SEEN, 1);
    }
}

/* Each time something else than "not seen, and closed": one datagram, and no more. */
static void test_no_resend(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int why = 0; why < 8; why++) {
            init_silent(way);
            switch (why) {
            case 0:
                lost.control = 0; /* answered, and lost */
                lost.control_answer = 1;
                break;
            case 1:
                lost.probe_answer = 1; /* ambiguous */
                break;
            case 2:
                lost.probe = 15; /* dead */
                break;
            case 3:
                lost.close_answer = 7; /* no fence */
                break;
            case 4:
                rig.plan.sel =
                    CONF_SEL_SILENCE; /* closed, but a number is missing: the answer's? */
                lost.sel_answer = 1;
                break;
            case 5:
                rig.plan.resend = CONF_RESEND_NEVER;
                break;
            case 6:
                rig.plan.timeout = rig.plan.answer; /* too late for another */
                break;
            default:
                lost.control = 0;
                rig.bmc.control_completion = 0xff; /* answered with what says nothing */
            }
            run();
            assert_int_equal(rig.controls, 1);
            assert_int_equal(rig.bmc.session_count, 1);
            assert_int_equal(rig.session.outcome, OUTCOME_UNKNOWN);
            if (why == 4) /* a lost answer about the SEL explains it */
                assert_sequence(IPMI_SEQUENCE_NO_ANSWER_SEEN, 1);
        }
    }
}

/* SIGTERM meanwhile: the outcome is awaited, nothing else is sent. */
static void test_abort_before_resend(void **state)
{
    (void)state;
    static const enum ipmi_state states[] = {IPMI_STATE_CONTROL, IPMI_STATE_PROBE,
                                             IPMI_STATE_CLOSE};
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < 3; i++) {
            init_silent(way);
            rig_begin(&rig);
            rig_run_to(&rig, IPMI_STATE_READY);
            rig_go(&rig);
            assert_true(rig_run_to(&rig, states[i]));
            rig_abort(&rig, FAULT_STOPPING);
            assert_int_equal(rig.session.state, states[i]);
            rig_finish(&rig);
            assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            assert_sequence(IPMI_SEQUENCE_NO_ANSWER_SEEN, 1);
            assert_int_equal(rig.controls, 1);
            rig_free(&rig);
        }
    }
}

/* The BMC answers after the probe, and that is lost: its number is missing in the close's. */
static void test_answer_behind_the_probe(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        struct ipmi_datagram answer;
        init_silent(way);
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig_go(&rig);
        rig_run_to(&rig, IPMI_STATE_PROBE);
        while (rig.session.state == IPMI_STATE_PROBE && rig.session.probes_answered == 0) {
            if (rig.answer_count == 1) /* the BMC has answered the probe; now the interrupt */
                rig_control_answer(&rig, 0, &answer);
            rig_step(&rig);
        }
        rig_finish(&rig);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
        assert_sequence(IPMI_SEQUENCE_ANSWERED_LOST, 1);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

static void begin_second(const struct way *way)
{
    init_silent(way);
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig_go(&rig);
    assert_true(rig_run_to(&rig, IPMI_STATE_CLOSE));
    while (!rig.session.maybe)
        rig_step(&rig);
}

/* The second one is not answered, refused, or does not even leave: never "failed". */
static void test_second_fails(void **state)
{
    (void)state;
    FOR_EACH_2_0(way)
    {
        for (int why = 0; why < 9; why++) {
            begin_second(way);
            unsigned controls = 1;
            if (why == 0)
                rig.bmc.rakp_2_status = 0x0d, rig.bmc.activate_completion = 0x86;
            else if (why == 1)
                rig.deaf = true;
            else if (why == 2)
                rig.bmc.power = false;
            else if (why == 3)
                rig.bmc.rakp_2_status = 0x01, rig.bmc.busy = 1000;
            if (why >= 4)
                assert_true(rig_run_to(&rig, IPMI_STATE_READY));
            if (why == 4) /* the journal could not record it */
                rig_abort(&rig, FAULT_JOURNAL);
            if (why == 5) { /* the kernel did not take it */
                struct ipmi_datagram out;
                ipmi_session_go(&rig.session, rig.now, &out);
                ipmi_session_unsent(&rig.session, rig.now, &out);
            }
            if (why == 6) { /* the journal does not answer in time */
                while (rig.session.state == IPMI_STATE_READY)
                    rig_step(&rig);
            }
            if (why >= 7)
                controls = 2;
            if (why == 7)
                rig.bmc.control_completion = 0xc1;
            if (why == 8)
                rig.mute = IPMI_STATE_CONTROL;
            rig_finish(&rig);
            assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            assert_int_equal(rig.controls, controls);
            assert_int_equal(rig.session.failed_in, IPMI_STATE_CONTROL);
            rig_free(&rig);
        }
    }
}

/* The second session's close is its own: that the first was closed says nothing of it. */
static void test_second_not_closed(void **state)
{
    (void)state;
    FOR_EACH_2_0(way)
    {
        begin_second(way);
        assert_true(rig.session.close_acked);
        assert_true(rig_run_to(&rig, IPMI_STATE_READY));
        rig.mute = IPMI_STATE_CLOSE;
        rig_finish(&rig);
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_false(rig.session.close_acked);
        rig_free(&rig);
    }
}

/* Never a third, whatever the second's numbers say, and not because it is busy either. */
static void test_never_a_third(void **state)
{
    (void)state;
    FOR_EACH_2_0(way)
    {
        for (int busy = 0; busy <= 1; busy++) {
            init_silent(way);
            rig.plan.retry_busy = true;
            rig.plan.timeout = 600000000;
            lost.control = busy ? 1 : 3;
            rig.bmc.control_busy = busy ? 5 : 0;
            run();
            assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            assert_int_equal(rig.controls, 2);
        }
    }
}

/* ---- retry_busy ---- */

static void test_retry_busy(void **state)
{
    (void)state;
    static const int64_t pauses[] = {500000, 1000000, 2000000, 4000000, 4000000};
    FOR_EACH_WAY(way)
    {
        init(way);
        rig.plan.retry_busy = true;
        rig.bmc.control_busy = 5;
        run();
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 6);
        assert_int_equal(rig.bmc.executed, 1);
        assert_int_equal(rig.bmc.session_count, 1);
        int64_t last = 0;
        for (unsigned i = 0, n = 0; i < rig.out_count; i++) {
            if (rig.outs[i].state != IPMI_STATE_CONTROL)
                continue;
            if (n > 0) /* an answer, the pause, Get Chassis Status and its answer */
                assert_int_equal(rig.outs[i].at - last, pauses[n - 1] + 2 * rig.delay);
            last = rig.outs[i].at;
            n++;
        }

        init(way); /* busy for ever */
        rig.plan.retry_busy = true;
        rig.bmc.control_busy = 1000;
        run();
        assert_end(OUTCOME_FAILED, FAULT_REFUSED);
        assert_int_equal(rig.session.completion, 0xc0);
        assert_true(rig.now < 19700000);   /* the next would be too late: not waited for */
        assert_int_equal(rig.controls, 8); /* at 0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5 and 19.5 s */

        init(way); /* off, as it is by default */
        rig.bmc.control_busy = 1;
        run();
        assert_end(OUTCOME_FAILED, FAULT_REFUSED);
        assert_int_equal(rig.controls, 1);
    }
}

/* A timeout of ten minutes: the count has an end of its own. */
static void test_retry_busy_has_an_end(void **state)
{
    (void)state;
    init(&ways[0]);
    rig.plan.retry_busy = true;
    rig.plan.timeout = 600000000;
    rig.bmc.control_busy = 1000;
    run();
    assert_end(OUTCOME_FAILED, FAULT_REFUSED);
    assert_int_equal(rig.controls, 17);
}

static void begin_busy(const struct way *way, enum ipmi_state in)
{
    init(way);
    rig.plan.retry_busy = true;
    rig.plan.resend = CONF_RESEND_IF_UNSEEN;
    rig.bmc.control_busy = 1;
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig_go(&rig);
    assert_true(rig_run_to(&rig, in));
}

static void test_retry_fails(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        begin_busy(way, IPMI_STATE_HOLD); /* the next one gets no answer: unknown, never again */
        lost.control = 1u << lost.controls;
        rig_finish(&rig);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
        assert_sequence(IPMI_SEQUENCE_NO_ANSWER_SEEN, 1);
        assert_int_equal(rig.controls, 2);
        rig_free(&rig);
        static const enum ipmi_state states[] = {IPMI_STATE_HOLD, IPMI_STATE_STATUS,
                                                 IPMI_STATE_READY};
        for (int i = 0; i < 3; i++) { /* given up before the next one: the refusal stands */
            begin_busy(way, states[i]);
            rig_abort(&rig, FAULT_STOPPING);
            rig_finish(&rig);
            assert_end(OUTCOME_FAILED, FAULT_REFUSED);
            assert_int_equal(rig.session.completion, 0xc0);
            assert_int_equal(rig.controls, 1);
            rig_free(&rig);
        }
        begin_busy(way, IPMI_STATE_HOLD); /* switched off in the pause */
        rig.bmc.power = false;
        rig_finish(&rig);
        assert_end(OUTCOME_FAILED, FAULT_REFUSED);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

/* A BMC that says "busy" and acts all the same: its SEL stops the second one, where it has a SEL.
 */
static void test_busy_that_acts(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int sel = 0; sel <= 1; sel++) {
            init(way);
            rig.plan.retry_busy = true;
            rig.plan.sel = CONF_SEL_SILENCE;
            rig.bmc.sel_completion = sel ? 0 : 0xc1;
            rig.bmc.sel_records = true;
            rig.bmc.control_busy = 1;
            rig.bmc.busy_executes = true;
            run();
            assert_end(sel ? OUTCOME_UNKNOWN : OUTCOME_DELIVERED,
                       sel ? FAULT_COMPLETION_CODE : FAULT_NONE);
            assert_int_equal(rig.controls, sel ? 1 : 2);
            assert_int_equal(rig.bmc.executed, sel ? 1 : 2); /* the risk that remains */
        }

        init(way); /* a trace of another kind: no more either */
        rig.plan.retry_busy = true;
        rig.plan.sel = CONF_SEL_SILENCE;
        rig.bmc.control_busy = 1;
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig_go(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_HOLD));
        bmc_sel_add(&rig.bmc, 0x20, 1);
        rig_finish(&rig);
        assert_end(OUTCOME_UNKNOWN, FAULT_COMPLETION_CODE);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);

        init(way); /* busy, and truly not done: its SEL is asked each time, and does not stop it */
        rig.plan.retry_busy = true;
        rig.plan.sel = CONF_SEL_SILENCE;
        rig.bmc.sel_records = true;
        rig.bmc.control_busy = 3;
        run();
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 4);
        assert_int_equal(rig.bmc.executed, 1);

        init(way); /* given up while its SEL is read */
        rig.plan.retry_busy = true;
        rig.plan.sel = CONF_SEL_SILENCE;
        rig.bmc.control_busy = 1;
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig_go(&rig);
        assert_true(rig_run_to(&rig, IPMI_STATE_SEL));
        rig_abort(&rig, FAULT_STOPPING);
        rig_finish(&rig);
        assert_end(OUTCOME_FAILED, FAULT_REFUSED);
        assert_int_equal(rig.controls, 1);
        rig_free(&rig);
    }
}

/* The session dies in the pause: a new one, and the interrupt there. */
static void test_retry_in_a_new_session(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        begin_busy(way, IPMI_STATE_HOLD);
        rig.bmc.sessions[rig.bmc.session_count - 1].closed = true;
        rig_finish(&rig);
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 2);
        assert_int_equal(rig.bmc.executed, 1);
        assert_int_equal(rig.bmc.session_count, 2);
        rig_free(&rig);
    }
}

/* "Done" in answer to the first ends the wait; a second "busy" is not the second one's answer. */
static void test_busy_and_then_done(void **state)
{
    (void)state;
    static const enum ipmi_state states[] = {IPMI_STATE_HOLD, IPMI_STATE_STATUS, IPMI_STATE_READY};
    FOR_EACH_WAY(way)
    {
        struct ipmi_datagram answer;
        for (int i = 0; i < 3; i++) {
            begin_busy(way, states[i]);
            rig_control_answer(&rig, 0, &answer);
            rig_input(&rig, answer.bytes, answer.len);
            assert_int_equal(rig.session.state, IPMI_STATE_CLOSE);
            rig_finish(&rig);
            assert_end(OUTCOME_DELIVERED, FAULT_NONE);
            assert_int_equal(rig.controls, 1);
            rig_free(&rig);
        }
        begin_busy(way, IPMI_STATE_HOLD);
        assert_true(rig_run_to(&rig, IPMI_STATE_READY));
        rig_go(&rig);
        rig_control_answer(&rig, 0xc0, &answer);
        rig_input(&rig, answer.bytes, answer.len);
        assert_int_equal(rig.session.state, IPMI_STATE_CONTROL);
        rig_finish(&rig);
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        assert_int_equal(rig.controls, 2);
        rig_free(&rig);
    }
}

/* A session that believes, by some mistake, that it is ready once more: the process ends first. */
static void test_guard(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        init(&ways[0]);
        rig.plan.retry_busy = i == 2; /* it allows more, but none was granted */
        rig_begin(&rig);
        rig_finish(&rig);
        assert_int_equal(rig.controls, 1);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct ipmi_datagram out;
            signal(SIGABRT, SIG_DFL);
            rig.session.state = IPMI_STATE_READY;
            rig.session.granted += i == 1; /* granted by mistake: the plan forbids it */
            ipmi_session_go(&rig.session, rig.now, &out);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
        rig_free(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resend),
        cmocka_unit_test(test_no_resend),
        cmocka_unit_test(test_abort_before_resend),
        cmocka_unit_test(test_answer_behind_the_probe),
        cmocka_unit_test(test_second_fails),
        cmocka_unit_test(test_second_not_closed),
        cmocka_unit_test(test_never_a_third),
        cmocka_unit_test(test_retry_busy),
        cmocka_unit_test(test_retry_busy_has_an_end),
        cmocka_unit_test(test_retry_fails),
        cmocka_unit_test(test_busy_that_acts),
        cmocka_unit_test(test_retry_in_a_new_session),
        cmocka_unit_test(test_busy_and_then_done),
        cmocka_unit_test(test_guard),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

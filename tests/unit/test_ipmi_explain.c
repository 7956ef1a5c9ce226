/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sentences for each outcome: each names the BMC, says whether the interrupt was sent where
 * that is the question, fits its buffer, and none tells the password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "unit/ipmi/rig.h"

#define SECRET "Xq7!zz-K"

static struct rig rig;
static char text[FAULT_MESSAGE_MAX];

static const char *explain(void)
{
    memset(text, '?', sizeof text);
    ipmi_session_explain(&rig.session, text, sizeof text);
    assert_true(strlen(text) > 20);
    assert_non_null(strstr(text, "192.0.2.7:623"));
    assert_null(strstr(text, SECRET));
    assert_null(strstr(text, "(null)"));
    return text;
}

static void begin(bool ipmi_1_5)
{
    rig_init(&rig, ipmi_1_5, 17);
    secret_free(rig.info.password);
    rig.info.password = secret_new(SECRET, strlen(SECRET));
    rig.bmc.password = SECRET;
}

static const char *run(void)
{
    rig_begin(&rig);
    rig_finish(&rig);
    explain();
    rig_free(&rig);
    return text;
}

static void assert_says(const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, text);
}

static void test_delivered(void **state)
{
    (void)state;
    begin(false);
    run();
    assert_says("took the diagnostic interrupt");
}

static void test_probe(void **state)
{
    (void)state;
    begin(false);
    rig.plan.probe = true;
    run();
    assert_null(strstr(text, "interrupt"));
}

static void test_credentials(void **state)
{
    (void)state;
    for (int old = 0; old <= 1; old++) {
        begin(old);
        rig.bmc.password = "other";
        run();
        assert_says("password of user admin");
        assert_says("no interrupt was sent");
        begin(old);
        rig.bmc.user = "other";
        run();
        assert_says("no user admin");
        assert_says("no interrupt was sent");
        begin(old);
        rig.bmc.privilege_completion = 0x81;
        run();
        assert_says("OPERATOR");
    }
    static const uint8_t k_g[20] = "k";
    begin(false);
    rig.bmc.k_g = k_g;
    run();
    assert_says("ipmi_hex_kg_key");
    begin(false);
    rig.info.k_g = secret_new(k_g, 20);
    rig_begin(&rig);
    rig_finish(&rig);
    explain();
    assert_says("does not have the configured K_g");
    secret_free(rig.info.k_g);
    rig_free(&rig);
}

static void test_null_user(void **state)
{
    (void)state;
    begin(false);
    rig.info.username = (char *)"";
    run();
    assert_says("(the null user)");
}

static void test_unreachable(void **state)
{
    (void)state;
    begin(false);
    rig.deaf = true;
    run();
    assert_says("no answer from the BMC");
    assert_says("no interrupt was sent");
    begin(false);
    rig.mute = IPMI_STATE_STATUS;
    run();
    assert_says("stopped answering at Get Chassis Status");
    assert_says("not sent");
    begin(false);
    rig.bmc.busy = 1000;
    run();
    assert_says("no free session");
}

static void test_suite(void **state)
{
    (void)state;
    begin(false);
    rig.bmc.suite = 3;
    run();
    assert_says("refused cipher suite 17");
    begin(false);
    rig.bmc.suite = 8;
    rig.info.suites[1] = 3;
    rig.info.suite_count = 2;
    rig.bmc.open_status = 0x11;
    run();
    assert_says("cipher suites 17 and 3");
    begin(false);
    rig.bmc.ipmi_1_5 = true;
    run();
    assert_says("does not speak IPMI 2.0");
    begin(true);
    rig.bmc.auth_types = 1u << 5;
    run();
    assert_says("neither MD5 nor MD2 for IPMI 1.5 (ipmi_plain_password");
}

static void test_completion_codes(void **state)
{
    (void)state;
    for (unsigned completion = 1; completion <= 0xff; completion++) {
        char hex[8];
        snprintf(hex, sizeof hex, "%02Xh", completion);
        begin(completion % 2 == 0);
        rig.bmc.control_completion = (uint8_t)completion;
        run();
        assert_says(hex);
        assert_null(strstr(text, "no interrupt was sent"));
        if (rig.session.outcome == OUTCOME_UNKNOWN)
            assert_says("may have been delivered");
        else
            assert_null(strstr(text, "may have been delivered"));
    }
}

static void test_rest(void **state)
{
    (void)state;
    begin(false);
    rig.bmc.power = false;
    run();
    assert_says("powered off");
    begin(false);
    rig.bmc.rakp_2_status = 0x12;
    run();
    assert_says("RAKP Message 1");
    begin(false);
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig_run_to(&rig, IPMI_STATE_DONE);
    explain();
    assert_says("time ran out");
    rig_free(&rig);
}

static bool lose_control(struct rig *r, const struct bmc_request *request)
{
    (void)r;
    return bmc_is_control(request);
}

static bool lose_first_control(struct rig *r, const struct bmc_request *request)
{
    return bmc_is_control(request) && r->controls == 1;
}

static void assert_warns(const char *words)
{
    assert_says(words);
    assert_says("may have been delivered; look at the machine before you send another");
}

static void test_silence(void **state)
{
    (void)state;
    begin(false);
    rig.lose = lose_control;
    run();
    assert_warns("had not answered it yet");
    begin(false);
    rig.lose_answer = lose_control;
    run();
    assert_warns("it did answer and that the answer was lost");
    begin(false);
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig.deaf = true;
    rig_finish(&rig);
    explain();
    assert_warns("nor has it answered anything since");
    rig.session.numbers.verdict = IPMI_SEQUENCE_AMBIGUOUS;
    explain();
    assert_warns("does not tell whether it answered");
    rig_free(&rig);
}

static void test_sel(void **state)
{
    (void)state;
    begin(false);
    rig.plan.sel = CONF_SEL_SILENCE;
    rig.bmc.sel_records = true;
    rig.lose_answer = lose_control;
    run();
    assert_says("has recorded the diagnostic interrupt in its event log (record 0011h)");
    assert_says("it was delivered, and only the answer was lost");
    begin(false);
    rig.plan.sel = CONF_SEL_SILENCE;
    rig.lose = lose_control;
    run();
    assert_warns("its event log shows nothing of it");
    rig.session.sel.result = IPMI_SEL_OS_STOPPED;
    explain();
    assert_warns("the operating system has stopped since");
    rig.session.sel.result = IPMI_SEL_UNREADABLE;
    explain();
    assert_warns("could not be read");
    begin(false);
    rig.plan.sel = CONF_SEL_ALWAYS;
    rig.bmc.control_completion = 0xd5;
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_READY);
    rig_go(&rig);
    bmc_sel_add(&rig.bmc, 0x13, 0);
    rig_finish(&rig);
    explain();
    assert_warns("D5h (not supported in the present state), and its event log has recorded one");
    rig_free(&rig);
}

static void test_late(void **state)
{
    (void)state;
    begin(false);
    rig.control_delay = 10000500;
    run();
    assert_says("came late, after 10.0 s");
}

static void test_once_more(void **state)
{
    (void)state;
    for (int second = 0; second < 4; second++) {
        begin(false);
        rig.plan.resend = CONF_RESEND_IF_UNSEEN;
        rig.lose = second == 1 ? lose_control : lose_first_control;
        rig.bmc.control_completion = second == 2 ? 0xd5 : 0;
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig_go(&rig);
        if (second == 3) {
            rig_run_to(&rig, IPMI_STATE_CLOSE);
            rig_run_to(&rig, IPMI_STATE_READY);
            rig_abort(&rig, FAULT_JOURNAL);
        }
        rig_finish(&rig);
        explain();
        if (second == 0)
            assert_says("took the diagnostic interrupt when it was sent once more");
        else if (second == 1)
            assert_warns("twice, and neither was answered");
        else if (second == 2)
            assert_warns("once more, which it refused with completion code D5h");
        else
            assert_warns("it could not be sent once more (journal)");
        rig_free(&rig);
    }
    for (unsigned busy = 2; busy <= 1000; busy += 998) {
        begin(false);
        rig.plan.retry_busy = true;
        rig.bmc.control_busy = busy;
        run();
        assert_says(busy == 2 ? "sent for the 3. time; before that it was busy"
                              : "each time that it was sent, at last with completion code C0h");
    }
}

/* Any code with any state, whatever may come together: a sentence. */
static void test_all_combinations(void **state)
{
    (void)state;
    begin(false);
    rig_begin(&rig);
    for (int code = 0; code < FAULT_CODES; code++) {
        for (int in = 0; in < IPMI_STATES; in++) {
            rig.session.code = (enum fault_code)code;
            rig.session.failed_in = (enum ipmi_state)in;
            rig.session.heard = in % 2;
            explain();
        }
    }
    rig_free(&rig);
}

static void test_addresses(void **state)
{
    (void)state;
    char small[24];
    begin(false);
    rig_begin(&rig);
    rig.info.address = (char *)"fe80::1";
    ipmi_session_explain(&rig.session, text, sizeof text);
    assert_says("[fe80::1]:623");
    ipmi_session_explain(&rig.session, small, sizeof small);
    assert_int_equal(strlen(small), sizeof small - 1);
    rig_free(&rig);
}

static void test_state_names(void **state)
{
    (void)state;
    for (int i = 0; i < IPMI_STATES; i++) {
        assert_true(strlen(ipmi_state_name((enum ipmi_state)i)) > 2);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ipmi_state_name((enum ipmi_state)i),
                                    ipmi_state_name((enum ipmi_state)j));
    }
    assert_string_equal(ipmi_state_name(IPMI_STATE_RAKP_1), "RAKP Message 1");
    assert_string_equal(ipmi_state_name(IPMI_STATES), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_null_user),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_completion_codes),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_all_combinations),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_state_names),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_sel),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_once_more),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

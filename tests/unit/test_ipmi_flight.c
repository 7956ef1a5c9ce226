/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flights: the driver over real sockets on loopback, with the in-memory BMC behind one of them and
 * an engine of the test's own. Each Chassis Control has asked the journal first; what ends a flight
 * between them; and the circuit breaker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "unit/ipmi/flight_lab.h"

/* ---- One, and not more ---- */

static void test_one(void **state)
{
    (void)state;
    flight_inject("secret");
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 1);
    assert_int_equal(lab.asked, 1);
    assert_int_equal(flight_evidence("sends"), 1);
    assert_string_equal(flight_words("answer"), "on-time");
    assert_null(json_object_get(lab.action->evidence, "probes"));
    assert_null(json_object_get(lab.action->evidence, "sel"));
}

static void test_silence(void **state)
{
    (void)state;
    lab.lose_controls = 1;
    flight_inject("secret");
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 1);
    assert_int_equal(lab.asked, 1);
    assert_int_equal(flight_evidence("sends"), 1);
    assert_int_equal(flight_evidence("probes"), 1);
    assert_int_equal(flight_evidence("probes_answered"), 1);
    assert_int_equal(flight_evidence("sequence_gap"), 1);
    assert_string_equal(flight_words("sequence"), "no-answer-seen");
    assert_string_equal(flight_words("sel"), "unchecked");
    assert_true(json_is_true(json_object_get(lab.action->evidence, "session_closed")));
    assert_string_equal(flight_words("answer"), "");
}

static void test_sel(void **state)
{
    (void)state;
    lab.settings.sel = CONF_SEL_ALWAYS;
    flight_configure();
    lab.bmc.sel_records = true;
    flight_inject("secret");
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 1);
    assert_string_equal(flight_words("sel"), "interrupt-recorded");
    const json_t *record = json_array_get(json_object_get(lab.action->evidence, "sel_records"), 0);
    assert_string_equal(json_string_value(json_object_get(record, "id")), "0011");
    assert_int_equal(json_integer_value(json_object_get(record, "sensor_type")), 0x13);
    assert_int_equal(json_integer_value(json_object_get(record, "offset")), 0);
    assert_string_equal(json_string_value(json_object_get(record, "text")), "diagnostic interrupt");
}

static void test_no_sel_is_remembered(void **state)
{
    (void)state;
    lab.settings.sel = CONF_SEL_SILENCE;
    flight_configure();
    lab.bmc.sel_completion = 0xc1;
    flight_inject("secret");
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 1);
    assert_int_equal(lab.sel_requests, 1);
    lab.lose_controls = 1;
    flight_inject("secret");
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 2);
    assert_int_equal(lab.sel_requests, 1);
    assert_string_equal(flight_words("sel"), "none");
    flight_configure(); /* a reload: it may have got new firmware */
    flight_inject("secret");
    assert_int_equal(lab.sel_requests, 2);
}

/* ---- Another one ---- */

static void init_resend(void)
{
    lab.settings.resend = CONF_RESEND_IF_UNSEEN;
    flight_configure();
    lab.lose_controls = 1;
}

static void test_resend(void **state)
{
    (void)state;
    init_resend();
    flight_inject("secret");
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 2);
    assert_int_equal(lab.asked, 2);
    assert_int_equal(lab.answered, 2);
    assert_int_equal(lab.bmc.executed, 1);
    assert_int_equal(flight_evidence("sends"), 2);
    assert_string_equal(flight_words("sequence"), "no-answer-seen");
}

static void test_resend_not_recorded(void **state)
{
    (void)state;
    init_resend();
    lab.refuse_at = 2;
    flight_inject("secret");
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 1);
    assert_non_null(strstr(lab.action->message, "may have been delivered"));
    assert_int_equal(flight_evidence("sends"), 1);
}

/* The first is not recorded: nothing has left. */
static void test_not_recorded(void **state)
{
    (void)state;
    init_resend();
    lab.refuse_at = 1;
    flight_inject("secret");
    flight_assert_end(OUTCOME_FAILED, FAULT_JOURNAL, 0);
    assert_string_equal(lab.action->message, "could not be recorded");
}

static void test_retry_busy(void **state)
{
    (void)state;
    lab.settings.retry_busy = true;
    flight_configure();
    lab.bmc.control_busy = 1;
    flight_inject("secret");
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 2);
    assert_int_equal(lab.asked, 2);
    lab.bmc.control_busy = 1;
    lab.refuse_at = 4;
    flight_inject("secret");
    flight_assert_end(OUTCOME_FAILED, FAULT_REFUSED, 3);
}

/* ---- The end of nmid ---- */

static void test_stop_in_the_silence(void **state)
{
    (void)state;
    init_resend();
    lab.stop_at_controls = 1;
    flight_inject("secret");
    assert_int_equal(lab.action->outcome, OUTCOME_NONE);
    ipmi_driver.abort(lab.driver, NULL, FAULT_STOPPING, "stopping");
    flight_run();
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 1);
    assert_string_equal(flight_words("sequence"), "no-answer-seen");
}

static void test_stop_before_the_second(void **state)
{
    (void)state;
    init_resend();
    lab.hold_at = 2;
    flight_inject("secret");
    assert_int_equal(lab.action->outcome, OUTCOME_NONE);
    ipmi_driver.abort(lab.driver, NULL, FAULT_STOPPING, "stopping");
    assert_int_equal(lab.revoked, 1);
    if (lab.action->outcome == OUTCOME_NONE)
        flight_run();
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 1);
}

static void close_now(void)
{
    ipmi_driver.close(lab.driver);
    lab.driver = NULL;
}

static void test_close_after_the_first(void **state)
{
    (void)state;
    lab.stop_at_controls = 1;
    lab.lose_controls = 1;
    flight_inject("secret");
    close_now();
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_DAEMON_STOPPED, 1);
}

static void test_close_before_the_first(void **state)
{
    (void)state;
    lab.hold_at = 1;
    flight_inject("secret");
    close_now();
    flight_assert_end(OUTCOME_FAILED, FAULT_STOPPING, 0);
}

static void test_close_before_the_second(void **state)
{
    (void)state;
    init_resend();
    lab.hold_at = 2;
    flight_inject("secret");
    close_now();
    flight_assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER, 1);
}

/* ---- The circuit breaker ---- */

static void on_probe(void *arg, json_t *result, const struct fault *fault)
{
    (void)arg;
    (void)result;
    lab.probed = true;
    lab.probe_code = fault == NULL ? FAULT_NONE : fault->code;
    loop_stop(lab.loop);
}

static void test_breaker(void **state)
{
    (void)state;
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 0);
    flight_drain();
    unsigned before = lab.received;
    assert_true(before > 0);
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 0);
    assert_non_null(strstr(lab.action->message, "nothing was sent"));
    assert_non_null(strstr(lab.action->message, "ipmi.auth_pause_s"));
    flight_configure(); /* a reload with the same credentials */
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 0);
    struct node *node = flight_node("wrong"); /* a probe is a log-in too */
    ipmi_driver.probe(lab.driver, node, on_probe, NULL);
    if (!lab.probed)
        flight_run();
    assert_int_equal(lab.probe_code, FAULT_PASSWORD);
    node_unref(node);
    flight_drain();
    assert_int_equal(lab.received, before);
    flight_inject("secret"); /* others are tried at once */
    flight_assert_end(OUTCOME_DELIVERED, FAULT_NONE, 1);
    flight_drain();
    before = lab.received;
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 1);
    flight_drain();
    assert_int_equal(lab.received, before);
    lab.settings.auth_pause_s = 0;
    flight_configure();
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 1);
    assert_true(lab.received > before);
}

/* A probe that was refused breaks it for the actions. */
static void test_breaker_by_probe(void **state)
{
    (void)state;
    struct node *node = flight_node("wrong");
    ipmi_driver.probe(lab.driver, node, on_probe, NULL);
    flight_run();
    assert_int_equal(lab.probe_code, FAULT_PASSWORD);
    flight_drain();
    unsigned before = lab.received;
    flight_inject("wrong");
    flight_assert_end(OUTCOME_FAILED, FAULT_PASSWORD, 0);
    flight_drain();
    assert_int_equal(lab.received, before);
    node_unref(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_silence, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_sel, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_no_sel_is_remembered, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_resend, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_resend_not_recorded, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_not_recorded, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_retry_busy, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_stop_in_the_silence, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_stop_before_the_second, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_close_after_the_first, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_close_before_the_first, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_close_before_the_second, flight_setup,
                                        flight_teardown),
        cmocka_unit_test_setup_teardown(test_breaker, flight_setup, flight_teardown),
        cmocka_unit_test_setup_teardown(test_breaker_by_probe, flight_setup, flight_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

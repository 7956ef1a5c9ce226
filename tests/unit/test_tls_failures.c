/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Failed handshakes in the log: what has a line, what is counted in a later one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/tls_failures.h"
#include "fake_loop.h"

struct lab {
    struct loop *loop;
    struct tls_failures *failures;
    int saved; /* stderr */
    FILE *log;
};

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    fake_reset();
    lab->loop = loop_new(NULL);
    lab->failures = tls_failures_new(lab->loop, NULL);
    assert_non_null(lab->failures);
    lab->log = tmpfile();
    fflush(stderr);
    lab->saved = dup(STDERR_FILENO);
    dup2(fileno(lab->log), STDERR_FILENO);
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    fflush(stderr);
    dup2(lab->saved, STDERR_FILENO);
    close(lab->saved);
    fclose(lab->log);
    tls_failures_free(lab->failures);
    loop_free(lab->loop);
    free(lab);
    return 0;
}

/* How many lines have this in them; all of them when it is "". */
static unsigned count_lines(const struct lab *lab, const char *text)
{
    char line[1024];
    unsigned count = 0;
    fflush(stderr);
    rewind(lab->log);
    while (fgets(line, sizeof line, lab->log) != NULL)
        count += strstr(line, text) != NULL;
    return count;
}

static void note(struct lab *lab, const char *address, enum tls_cause cause)
{
    tls_failures_note(lab->failures, cause, address, tls_cause_name(cause));
}

static void test_one_line_a_minute(void **state)
{
    struct lab *lab = *state;
    for (int i = 0; i < 5; i++) {
        note(lab, "192.0.2.1", TLS_CLIENT_CERTIFICATE);
        note(lab, "192.0.2.2", TLS_CLIENT_CERTIFICATE); /* does not hide behind the first */
        note(lab, "192.0.2.1", TLS_NO_TLS);             /* nor one reason behind the other */
    }
    assert_int_equal(count_lines(lab, ""), 3);
    assert_int_equal(count_lines(lab, "TLS with 192.0.2.2 failed: client_certificate\n"), 1);
    fake_run_for(lab->loop, 61 * FAKE_SECOND);
    note(lab, "192.0.2.1", TLS_CLIENT_CERTIFICATE);
    assert_int_equal(count_lines(lab, "TLS with 192.0.2.1 failed: client_certificate (4 times more "
                                      "since the last line)\n"),
                     1);
    assert_int_equal(count_lines(lab, ""), 4);
    assert_int_equal(tls_failures_count(lab->failures, TLS_CLIENT_CERTIFICATE), 11);
    assert_int_equal(tls_failures_count(lab->failures, TLS_NO_TLS), 5);
    assert_int_equal(tls_failures_count(lab->failures, TLS_BROKEN_OFF), 0);
}

static void test_a_flood(void **state)
{
    struct lab *lab = *state;
    char address[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "198.51.100.%u", i % 250);
        note(lab, address, TLS_BROKEN_OFF);
    }
    assert_int_equal(count_lines(lab, ""), TLS_FAILURE_LINES);
    fake_run_for(lab->loop, 61 * FAKE_SECOND);
    /* 230 addresses without a line, four times each; the 20 others are counted in lines of theirs
     */
    assert_int_equal(count_lines(lab, "TLS: 920 handshakes more have failed without a line"), 1);
    assert_int_equal(count_lines(lab, ""), TLS_FAILURE_LINES + 1);
    fake_run_for(lab->loop, FAKE_DAY);
    assert_int_equal(count_lines(lab, ""), TLS_FAILURE_LINES + 1);
    for (unsigned i = 0; i < TLS_FAILURE_LINES; i++) { /* others take all places */
        snprintf(address, sizeof address, "203.0.113.%u", i);
        note(lab, address, TLS_BROKEN_OFF);
    }
    assert_int_equal(count_lines(lab, ""), 2 * TLS_FAILURE_LINES + 1);
    fake_run_for(lab->loop, 61 * FAKE_SECOND);
    assert_int_equal(count_lines(lab, "TLS: 60 handshakes more have failed without a line"), 1);
    assert_int_equal(tls_failures_count(lab->failures, TLS_BROKEN_OFF), 1020);
}

static void test_without_a_place(void **state)
{
    struct lab *lab = *state;
    for (int i = 0; i < 3; i++)
        tls_failures_note(NULL, TLS_NO_TLS, "192.0.2.1", "why");
    assert_int_equal(count_lines(lab, "TLS with 192.0.2.1 failed: why\n"), 3);
    assert_int_equal(tls_failures_count(NULL, TLS_NO_TLS), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_one_line_a_minute),
        CASE(test_a_flood),
        CASE(test_without_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

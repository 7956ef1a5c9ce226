/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Failed handshakes in the log: what has a line, what is counted in a later one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <malloc.h>
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
    char line[2048];
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

static void refuse(struct lab *lab, const char *why)
{
    tls_failures_note(lab->failures, TLS_CLIENT_CERTIFICATE, "192.0.2.1", why);
}

/* Who was refused, and why, hides behind no other reason and no other subject; and is counted with
 * none. */
static void test_each_reason_and_subject(void **state)
{
    struct lab *lab = *state;
    for (int i = 0; i < 2; i++) {
        refuse(lab, "CN=alice: the certificate issuer is unknown");
        refuse(lab, "CN=alice: the certificate chain is revoked");
        refuse(lab, "CN=bob: the certificate chain is revoked");
    }
    for (int i = 0; i < 7; i++)
        refuse(lab, "CN=bob: the certificate chain is revoked");
    assert_int_equal(count_lines(lab, ""), 3);
    fake_run_for(lab->loop, 61 * FAKE_SECOND);
    refuse(lab, "CN=alice: the certificate chain is revoked");
    refuse(lab, "CN=bob: the certificate chain is revoked");
    refuse(lab, "CN=carol: the certificate chain is revoked");
    assert_int_equal(count_lines(lab, "alice: the certificate chain is revoked (once more since"), 1);
    assert_int_equal(count_lines(lab, "bob: the certificate chain is revoked (8 times more since"), 1);
    assert_int_equal(count_lines(lab, "carol: the certificate chain is revoked\n"), 1);
    assert_int_equal(count_lines(lab, ""), 6);
}

/* Whoever makes himself a new certificate for each try has no more than his lines, takes no memory,
 * and keeps nobody else's failure out of the log. */
static void test_a_flood_of_subjects(void **state)
{
    struct lab *lab = *state;
    char why[64];
    refuse(lab, "CN=0: it was not accepted");
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(why, sizeof why, "CN=%u: it was not accepted", i);
        refuse(lab, why);
    }
    assert_in_range(mallinfo2().uordblks, 0, before + 1000);
    assert_int_equal(count_lines(lab, ""), TLS_FAILURE_LINES_EACH);
    note(lab, "192.0.2.2", TLS_CLIENT_CERTIFICATE);
    assert_int_equal(count_lines(lab, "TLS with 192.0.2.2 failed: client_certificate\n"), 1);
    fake_run_for(lab->loop, 61 * FAKE_SECOND);
    assert_int_equal(count_lines(lab, "TLS: 9990 handshakes more have failed without a line"), 1);
    refuse(lab, "CN=0: it was not accepted");
    assert_int_equal(count_lines(lab, "CN=0: it was not accepted (once more since the last line)"), 1);
}

/* Words that are longer than what is remembered of them are one line. */
static void test_long_words(void **state)
{
    struct lab *lab = *state;
    char why[2 * TLS_WHY_MAX];
    memset(why, 'y', sizeof why);
    why[sizeof why - 1] = '\0';
    refuse(lab, why);
    why[sizeof why - 2] = 'z';
    refuse(lab, why);
    why[TLS_WHY_MAX - 2] = 'z';
    refuse(lab, why);
    assert_int_equal(count_lines(lab, "TLS with"), 2);
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
        CASE(test_each_reason_and_subject),
        CASE(test_a_flood_of_subjects),
        CASE(test_long_words),
        CASE(test_without_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

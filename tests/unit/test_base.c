/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The base: faults, times, UUIDs, secrets, reports and the log. The map has test_map.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/uuid.h"

/* ---- Faults ---- */

static void test_fault_set(void **state)
{
    struct fault fault = {0};
    char text[FAULT_MESSAGE_MAX + 100];
    (void)state;
    assert_int_equal(fault_set(NULL, FAULT_USER, "x"), -1);
    assert_int_equal(fault_set(&fault, FAULT_LOCKED, "node %d", 7), -1);
    assert_int_equal(fault_set(&fault, FAULT_STATUS, "later"), -1);
    assert_int_equal(fault.code, FAULT_LOCKED); /* the first wins */
    assert_string_equal(fault.message, "node 7");
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    memset(&fault, 0, sizeof fault);
    fault_set(&fault, FAULT_USER, "%s", text);
    assert_int_equal(strlen(fault.message), FAULT_MESSAGE_MAX - 1);
}

/* Each code has a row of its own; what the statuses must never be. */
static void test_fault_rows(void **state)
{
    (void)state;
    for (enum fault_code i = 0; i < FAULT_CODES; i++) {
        const struct fault_row *row = fault_row(i);
        assert_true(row == fault_row(FAULT_SYSTEM) ? i == FAULT_SYSTEM : true);
        assert_string_equal(fault_name(i), row->name);
        for (enum fault_code k = 0; k < i; k++)
            assert_string_not_equal(fault_name(k), row->name);
        assert_in_range(row->exit_code, 0, 4);
        if (i == FAULT_NONE)
            continue;
        assert_in_range(row->nova, 400, 599);
        assert_in_range(row->redfish, 400, 599);
        assert_in_range(row->agent, 400, 599);
        assert_int_not_equal(row->exit_code, 0);
        /* Ironic's client sends a 409 and a 503 again: only what was never begun may be that. */
        assert_in_range(row->ironic, 400, 500);
        if (i != FAULT_IN_FLIGHT)
            assert_int_not_equal(row->ironic, 409);
    }
    assert_ptr_equal(fault_row(FAULT_CODES), fault_row(FAULT_SYSTEM));
    assert_ptr_equal(fault_row((enum fault_code) - 1), fault_row(FAULT_SYSTEM));
}

/* The tables of the contracts, for what a node's condition and its BMC may say. */
static void test_fault_statuses(void **state)
{
    static const struct {
        enum fault_code code;
        const char *name;
        int nova, ironic, agent, exit_code;
    } expected[] = {
        {FAULT_NODE_NOT_FOUND, "node-not-found", 404, 404, 404, 1},
        {FAULT_FORBIDDEN, "forbidden", 403, 403, 403, 1},
        {FAULT_UNAUTHORIZED, "unauthorized", 401, 401, 401, 1},
        {FAULT_KEY_REUSED, "idempotency-key", 422, 422, 422, 1},
        {FAULT_STATUS, "status", 409, 400, 409, 1},
        {FAULT_LOCKED, "locked", 409, 400, 409, 1},
        {FAULT_IN_FLIGHT, "in-flight", 409, 409, 409, 1},
        {FAULT_HOLD_OFF, "hold-off", 409, 400, 409, 1},
        {FAULT_POWERED_OFF, "powered-off", 409, 400, 409, 1},
        {FAULT_UNSUPPORTED, "unsupported", 400, 400, 400, 1},
        {FAULT_REFUSED, "refused", 400, 500, 502, 1},
        {FAULT_UNREACHABLE, "unreachable", 400, 500, 502, 1},
        {FAULT_NO_ANSWER, "no-answer", 400, 500, 502, 3},
        {FAULT_COMPLETION_CODE, "completion-code", 400, 500, 502, 3},
        {FAULT_JOURNAL, "journal", 500, 500, 503, 1},
        {FAULT_USAGE, "usage", 400, 400, 400, 2},
        {FAULT_CONNECT, "not-reached", 500, 500, 500, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const struct fault_row *row = fault_row(expected[i].code);
        assert_string_equal(row->name, expected[i].name);
        assert_int_equal(row->nova, expected[i].nova);
        assert_int_equal(row->ironic, expected[i].ironic);
        assert_int_equal(row->agent, expected[i].agent);
        assert_int_equal(row->exit_code, expected[i].exit_code);
    }
}

/* ---- Times ---- */

static void test_clock(void **state)
{
    char text[CLOCK_TEXT_MAX];
    (void)state;
    assert_string_equal(clock_text(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(clock_text(INT64_C(1795382903000042), text), "2026-11-22T21:28:23.000042Z");
    assert_string_equal(clock_text(INT64_C(951782399999999), text), "2000-02-28T23:59:59.999999Z");
    assert_string_equal(clock_text(INT64_C(951782400000000), text), "2000-02-29T00:00:00.000000Z");
    int64_t wall = clock_wall_us();
    assert_true(wall > INT64_C(1700000000000000)); /* microseconds since 1970, not another unit */
    assert_true(wall < INT64_C(7000000000000000));
    int64_t before = clock_mono_us();
    assert_true(clock_mono_us() >= before);
    assert_true(before > 0);
}

/* ---- UUIDs ---- */

static void test_uuid_valid(void **state)
{
    static const char *const good[] = {"1be26c0b-03f2-4d2e-ae87-c02d7f33c781",
                                       "1BE26C0B-03F2-4D2E-AE87-C02D7F33C781",
                                       "00000000-0000-0000-0000-000000000000"};
    static const char *const bad[] = {"",
                                      "1be26c0b",
                                      "1be26c0b-03f2-4d2e-ae87-c02d7f33c78",
                                      "1be26c0b-03f2-4d2e-ae87-c02d7f33c7811",
                                      "1be26c0b-03f2-4d2e-ae87-c02d7f33c78g",
                                      "1be26c0b003f2-4d2e-ae87-c02d7f33c781",
                                      "1be26c0b-03f2-4d2e-ae87c-02d7f33c781",
                                      "{be26c0b-03f2-4d2e-ae87-c02d7f33c781",
                                      " 1be26c0b-03f2-4d2e-ae87-c02d7f33c78",
                                      "\351be26c0b-03f2-4d2e-ae87-c02d7f33c781",
                                      "1be26c0b03f24d2eae87c02d7f33c781----"};
    char text[UUID_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(uuid_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(uuid_valid(bad[i]));
    uuid_copy(text, good[1]);
    assert_string_equal(text, good[0]);
}

static void test_uuid_random(void **state)
{
    char one[UUID_TEXT], other[UUID_TEXT];
    (void)state;
    for (int i = 0; i < 100; i++) {
        uuid_random(one);
        uuid_random(other);
        assert_true(uuid_valid(one));
        assert_string_not_equal(one, other);
        assert_int_equal(one[14], '4');           /* version */
        assert_non_null(strchr("89ab", one[19])); /* variant */
        assert_int_equal(strspn(one, "0123456789abcdef-"), UUID_TEXT - 1);
    }
}

/* ---- Secrets ---- */

static void test_secret(void **state)
{
    unsigned char bytes[64];
    struct secret *secret = secret_new("a\0b", 3);
    (void)state;
    assert_non_null(secret);
    assert_int_equal(secret->len, 3);
    assert_memory_equal(secret->bytes, "a\0b\0", 4);
    secret_free(secret);
    secret = secret_new(NULL, 0);
    assert_int_equal(secret->len, 0);
    assert_int_equal(secret->bytes[0], 0);
    secret_free(secret);
    secret_free(NULL);

    memset(bytes, 0xaa, sizeof bytes);
    secret_wipe(bytes + 1, sizeof bytes - 2);
    assert_int_equal(bytes[0], 0xaa);
    assert_int_equal(bytes[63], 0xaa);
    for (size_t i = 1; i < 63; i++)
        assert_int_equal(bytes[i], 0);
}

static void test_secret_equal(void **state)
{
    (void)state;
    assert_true(secret_equal("abc", 3, "abc", 3));
    assert_true(secret_equal("", 0, "x", 0));
    assert_true(secret_equal("abc", 2, "abd", 2));
    assert_false(secret_equal("abc", 3, "abd", 3));
    assert_false(secret_equal("abc", 3, "xbc", 3));
    assert_false(secret_equal("abc", 3, "abc", 2));
    assert_false(secret_equal("a\0b", 3, "a\0c", 3));
    assert_false(secret_equal("\x01\x01", 2, "\x02\x02", 2)); /* differences must not cancel out */
}

/* Every byte is written, and nothing beside it. */
static void test_secret_random(void **state)
{
    unsigned char bytes[34], seen[34] = {0};
    (void)state;
    for (int round = 0; round < 64; round++) {
        memset(bytes, 0, sizeof bytes);
        secret_random(bytes + 1, sizeof bytes - 2);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    assert_int_equal(seen[0], 0);
    assert_int_equal(seen[33], 0);
    for (size_t i = 1; i < 33; i++)
        assert_int_not_equal(seen[i], 0);
}

/* ---- Reports ---- */

/* A megabyte is in use until it is given back; the library's pieces are no smaller than what was asked
 * for. Where it does not tell, it says 0. */
static void test_heap(void **state)
{
    (void)state;
    const size_t size = 1000, count = 1000;
    struct heap_bytes before = heap_bytes();
    void *pieces[1000];
    for (size_t i = 0; i < count; i++)
        assert_non_null(pieces[i] = malloc(size));
    struct heap_bytes during = heap_bytes();
    for (size_t i = 0; i < count; i++)
        free(pieces[i]);
    heap_trim();
    struct heap_bytes after = heap_bytes();
    if (before.used == 0)
        skip();
    assert_true(during.used >= before.used + size * count);
    assert_true(after.used + size * count <= during.used);
}

static size_t resident(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The last piece keeps the heap from shrinking by itself, as what a new configuration leaves does. */
static void test_heap_trim(void **state)
{
    (void)state;
    enum { SIZE = 1000, COUNT = 32768 };
    static void *pieces[COUNT];
    if (heap_bytes().used == 0)
        skip();
    for (size_t i = 0; i < COUNT; i++) {
        assert_non_null(pieces[i] = malloc(SIZE));
        memset(pieces[i], 1, SIZE);
    }
    for (size_t i = 0; i + 1 < COUNT; i++)
        free(pieces[i]);
    size_t before = resident();
    heap_trim();
    assert_true(resident() + (size_t)SIZE * COUNT / 2 < before);
    free(pieces[COUNT - 1]);
}

static void test_report(void **state)
{
    struct report report = {0};
    (void)state;
    assert_int_equal(report_add(NULL, "f", 1, "x"), -1);
    assert_int_equal(report_add(&report, "nmid.conf", 12, "bad %s", "key"), -1);
    assert_int_equal(report_add(&report, "nmid.conf", 0, "whole file"), -1);
    assert_int_equal(report_add(&report, NULL, 3, "nowhere"), -1);
    assert_int_equal(report.count, 3);
    assert_string_equal(report.lines[0], "nmid.conf:12: bad key");
    assert_string_equal(report.lines[1], "nmid.conf: whole file");
    assert_string_equal(report.lines[2], "nowhere");
    for (unsigned i = 0; i < REPORT_MAX; i++)
        report_add(&report, "f", 1, "more");
    assert_int_equal(report.count, REPORT_MAX);
    assert_int_equal(report.dropped, 3);
    report_clear(&report);
    assert_int_equal(report.count + report.dropped, 0);
    assert_null(report.lines);
    report_clear(&report);
}

/* ---- The log ---- */

static char log_text[8192];
static int log_pipe[2], log_stderr;

/* What is logged between these two is in log_text. as_journal: as if the pipe were the journal's.
 */
static void log_begin(bool as_journal)
{
    struct stat status;
    char stream[64];
    assert_int_equal(pipe(log_pipe), 0);
    log_stderr = dup(STDERR_FILENO);
    assert_true(log_stderr >= 0);
    dup2(log_pipe[1], STDERR_FILENO);
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    /* Else it is set all the same, as a child of a service inherits it: it is not this stream. */
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino + (as_journal ? 0 : 1));
    setenv("JOURNAL_STREAM", stream, 1);
}

static void log_end(void)
{
    dup2(log_stderr, STDERR_FILENO);
    close(log_stderr);
    close(log_pipe[1]);
    unsetenv("JOURNAL_STREAM");
    size_t len = 0;
    for (ssize_t got; (got = read(log_pipe[0], log_text + len, sizeof log_text - 1 - len)) > 0;)
        len += (size_t)got;
    log_text[len] = '\0';
    close(log_pipe[0]);
}

static void test_log_levels(void **state)
{
    (void)state;
    log_begin(true);
    log_error("e%d", 1);
    log_warning("w");
    log_info("i");
    log_debug("d"); /* not by default */
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("d2");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("w2");
    log_error("e2");
    log_set_level(LOG_LEVEL_INFO);
    log_end();
    assert_string_equal(log_text, "<3>e1\n<4>w\n<6>i\n<7>d2\n<3>e2\n");
}

static void test_log_to_a_person(void **state)
{
    (void)state;
    log_begin(false);
    log_info("hello");
    log_error("broken");
    log_end();
    char *second = strchr(log_text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    assert_string_equal(log_text + strlen("2026-11-22T21:28:23.000000Z"), " nmid: hello");
    assert_string_equal(second + strlen("2026-11-22T21:28:23.000000Z"), " nmid: error: broken\n");
    assert_int_equal(log_text[4], '-');
    assert_int_equal(log_text[10], 'T');
    assert_int_equal(log_text[26], 'Z');
}

/* Nobody reads the log: it does not wait (the alarm would end the test), and says later what is
 * lost. */
static void test_log_that_nobody_reads(void **state)
{
    char page[4096];
    (void)state;
    alarm(20);
    log_begin(true);
    for (int i = 0; i < 200; i++)
        log_info("%01000d", i); /* 200 KB, into a pipe of 64 */
    for (size_t room = 0; room < 8 * sizeof page;) {
        ssize_t got = read(log_pipe[0], page, sizeof page);
        assert_true(got > 0);
        room += (size_t)got;
    }
    log_info("read again");
    /* What is left is more than log_text holds, so read it here. */
    char tail[65536];
    size_t len = 0;
    dup2(log_stderr, STDERR_FILENO);
    close(log_stderr);
    close(log_pipe[1]);
    for (ssize_t got; (got = read(log_pipe[0], tail + len, sizeof tail - 1 - len)) > 0;)
        len += (size_t)got;
    tail[len] = '\0';
    close(log_pipe[0]);
    alarm(0);
    assert_non_null(strstr(tail, "<6>read again\n<4>"));
    assert_non_null(strstr(tail, " lines of this log were lost: nobody read it\n"));
}

/* Nothing from the network can forge a line, and no line is too long. */
static void test_log_is_one_line(void **state)
{
    char text[5000];
    (void)state;
    log_begin(true);
    log_info("a\nb\rc\x1b[1m\td\x7f\xc3\xa9%s", "%s");
    log_end();
    assert_string_equal(log_text, "<6>a\\x0ab\\x0dc\\x1b[1m\\x09d\\x7f\xc3\xa9%s\n");
    for (size_t plain = 0; plain < sizeof text; plain += plain < 5 ? 1 : 999) {
        memset(text, '\n', sizeof text); /* each becomes four: the end may fall anywhere in them */
        memset(text, 'x', plain);
        text[sizeof text - 1] = '\0';
        log_begin(true);
        log_info("%s", text);
        log_end();
        size_t len = strlen(log_text);
        assert_in_range(len, 2000, 2048);
        assert_ptr_equal(strchr(log_text, '\n'), log_text + len - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_set),       cmocka_unit_test(test_fault_rows),
        cmocka_unit_test(test_fault_statuses),  cmocka_unit_test(test_clock),
        cmocka_unit_test(test_uuid_valid),      cmocka_unit_test(test_uuid_random),
        cmocka_unit_test(test_secret),          cmocka_unit_test(test_secret_equal),
        cmocka_unit_test(test_secret_random),   cmocka_unit_test(test_report),
        cmocka_unit_test(test_heap),            cmocka_unit_test(test_heap_trim),
        cmocka_unit_test(test_log_levels),      cmocka_unit_test(test_log_to_a_person),
        cmocka_unit_test(test_log_is_one_line), cmocka_unit_test(test_log_that_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

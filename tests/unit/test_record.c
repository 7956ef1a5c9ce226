/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries for the system's journal, as the one who reads that socket sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/record.h"

struct bench {
    char dir[64], path[96];
    int fd; /* the journal's end */
    struct record *record;
    char got[32768];
};

static void journal_listen(struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", bench->path);
    bench->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->fd, (struct sockaddr *)&address, sizeof address), 0);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    const char *tmp = getenv("TMPDIR");
    snprintf(bench->dir, sizeof bench->dir, "%.40s/nmid-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(bench->dir));
    snprintf(bench->path, sizeof bench->path, "%s/socket", bench->dir);
    bench->record = record_new(bench->path);
    assert_non_null(bench->record);
    journal_listen(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    record_free(bench->record);
    close(bench->fd);
    unlink(bench->path);
    rmdir(bench->dir);
    free(bench);
    return 0;
}

static const char *receive(struct bench *bench)
{
    ssize_t got = recv(bench->fd, bench->got, sizeof bench->got - 1, MSG_DONTWAIT);
    if (got < 0)
        return NULL;
    bench->got[got] = '\0';
    assert_int_equal(strlen(bench->got), got); /* no NUL */
    return bench->got;
}

static void test_entry(void **state)
{
    struct bench *bench = *state;
    const struct record_field fields[] = {
        {"MESSAGE", "d\xc3\xa4mmerung = a\nPRIORITY=0\x7f\x1b[2J"},
        {"NMID_USER", NULL},
        {"NMID_NODE", ""},
        {"PRIORITY", "6"},
    };
    assert_int_equal(record_send(bench->record, fields, 4), 0);
    assert_string_equal(receive(bench), "MESSAGE=d\xc3\xa4mmerung = a\\x0aPRIORITY=0\\x7f\\x1b[2J\n"
                                        "NMID_NODE=\nPRIORITY=6\n");
    assert_null(receive(bench));
}

static void test_too_long(void **state)
{
    struct bench *bench = *state;
    char *text = malloc(20000);
    memset(text, 'a', 19999);
    text[19999] = '\0';
    const struct record_field fields[] = {{"MESSAGE", "short"}, {"LONG", text}, {"LAST", "too"}};
    assert_int_equal(record_send(bench->record, fields, 3), 0);
    assert_string_equal(receive(bench), "MESSAGE=short\nLAST=too\n");
    memset(text, '\n', 19999); /* each four times as long */
    text[4200] = '\0';
    assert_int_equal(record_send(bench->record, fields, 3), 0);
    assert_string_equal(receive(bench), "MESSAGE=short\nLAST=too\n");
    free(text);
}

/* A journal that is slow, gone, or started anew: no call waits (an alarm would end the test). */
static void test_slow_and_gone(void **state)
{
    struct bench *bench = *state;
    const struct record_field field = {"MESSAGE", "again"};
    int sent = 0;
    alarm(20);
    while (sent < 100000 && record_send(bench->record, &field, 1) == 0)
        sent++;
    assert_in_range(sent, 1, 99999);
    assert_non_null(receive(bench));
    assert_int_equal(record_send(bench->record, &field, 1), 0);
    close(bench->fd);
    assert_int_equal(record_send(bench->record, &field, 1), -1);
    unlink(bench->path);
    assert_int_equal(record_send(bench->record, &field, 1), -1);
    journal_listen(bench);
    assert_int_equal(record_send(bench->record, &field, 1), 0);
    assert_string_equal(receive(bench), "MESSAGE=again\n");
    alarm(0);
}

static void test_path(void **state)
{
    char path[300];
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_null(record_new(path));
    record_free(NULL);
}

static void test_is_journal(void **state)
{
    struct stat status;
    char stream[64];
    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    unsetenv("JOURNAL_STREAM");
    assert_false(record_is_journal());
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(record_is_journal());
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino + 1); /* somebody else's, inherited */
    setenv("JOURNAL_STREAM", stream, 1);
    assert_false(record_is_journal());
    setenv("JOURNAL_STREAM", "", 1);
    assert_false(record_is_journal());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_and_gone, setup, teardown),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_is_journal),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}

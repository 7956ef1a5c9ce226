/* SPDX-License-Identifier: GPL-3.0-or-later */
/* driver_info: types, limits, secrets inline and in files, and that no value is ever printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/info.h"
#include "core/info_parts.h"

#define SECRET "hunter2-swordfish"

struct fixture {
    char dir[64];
    char conf[128]; /* the file that info claims to stand in; never opened */
    struct info *info;
    struct report report;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/nmid-test-info-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->conf, sizeof f->conf, "%s/nmid.conf", f->dir);
    f->info = info_new(f->conf, 10);
    assert_non_null(f->info);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    for (size_t i = 0; i < f->report.count; i++)
        assert_null(strstr(f->report.lines[i], SECRET));
    snprintf(path, sizeof path, "%s/secret", f->dir);
    unlink(path);
    assert_int_equal(rmdir(f->dir), 0);
    info_free(f->info);
    report_clear(&f->report);
    free(f);
    return 0;
}

/* The only line of the report is "CONF:LINE: text". */
static void assert_told(struct fixture *f, unsigned line, const char *text)
{
    char expected[1024];
    snprintf(expected, sizeof expected, "%s:%u: %s", f->conf, line, text);
    assert_int_equal(f->report.count, 1);
    assert_string_equal(f->report.lines[0], expected);
    report_clear(&f->report);
}

static void write_secret(struct fixture *f, const void *bytes, size_t len, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/secret", f->dir);
    assert_true(unlink(path) == 0 || errno == ENOENT);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void test_string(void **state)
{
    struct fixture *f = *state;
    char *value = NULL;
    assert_int_equal(info_take_string(f->info, "a", 5, &value, &f->report), 0);
    info_add_string(f->info, "a", "hello", 11);
    info_add_integer(f->info, "n", 1, 12);
    assert_int_equal(info_take_string(f->info, "a", 5, &value, &f->report), 1);
    assert_string_equal(value, "hello");
    free(value);
    value = NULL;
    assert_int_equal(info_take_string(f->info, "a", 4, &value, &f->report), -1);
    assert_null(value);
    assert_told(f, 11, "a: longer than 4 bytes");
    assert_int_equal(info_take_string(f->info, "n", 9, &value, &f->report), -1);
    assert_told(f, 12, "n: expected a string (in double quotes)");
}

static void test_integer(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",  "-",  "6 ",  "0x10", "1.5", "99999999999999999999",
                                      "0", "11", "five"};
    long long value = 77;
    assert_int_equal(info_take_integer(f->info, "a", 1, 10, &value, &f->report), 0);
    info_add_integer(f->info, "a", 10, 11);
    info_add_string(f->info, "b", "7", 12);
    info_add_string(f->info, "negative", "-7", 12);
    info_add_boolean(f->info, "c", true, 13);
    assert_int_equal(info_take_integer(f->info, "a", 1, 10, &value, &f->report), 1);
    assert_int_equal(value, 10);
    assert_int_equal(info_take_integer(f->info, "b", 1, 10, &value, &f->report), 1);
    assert_int_equal(value, 7);
    assert_int_equal(info_take_integer(f->info, "negative", -8, 10, &value, &f->report), 1);
    assert_int_equal(value, -7);
    assert_int_equal(info_take_integer(f->info, "a", 1, 9, &value, &f->report), -1);
    assert_told(f, 11, "a: expected an integer from 1 to 9");
    assert_int_equal(info_take_integer(f->info, "c", 1, 9, &value, &f->report), -1);
    assert_told(f, 13, "c: expected an integer from 1 to 9");
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char key[16];
        snprintf(key, sizeof key, "bad%u", i);
        info_add_string(f->info, key, bad[i], 20 + i);
        assert_int_equal(info_take_integer(f->info, key, 1, 10, &value, &f->report), -1);
        assert_int_equal(f->report.count, 1);
        report_clear(&f->report);
    }
    assert_int_equal(value, -7);
}

static void test_boolean(void **state)
{
    struct fixture *f = *state;
    bool value = false;
    info_add_boolean(f->info, "a", true, 11);
    info_add_string(f->info, "b", "False", 12);
    info_add_string(f->info, "c", "true", 13);
    info_add_string(f->info, "d", "maybe", 14);
    info_add_integer(f->info, "e", 1, 15);
    assert_int_equal(info_take_boolean(f->info, "absent", &value, &f->report), 0);
    assert_int_equal(info_take_boolean(f->info, "a", &value, &f->report), 1);
    assert_true(value);
    assert_int_equal(info_take_boolean(f->info, "b", &value, &f->report), 1);
    assert_false(value);
    assert_int_equal(info_take_boolean(f->info, "c", &value, &f->report), 1);
    assert_true(value);
    assert_int_equal(info_take_boolean(f->info, "d", &value, &f->report), -1);
    assert_told(f, 14, "d: expected true or false");
    assert_int_equal(info_take_boolean(f->info, "e", &value, &f->report), -1);
    assert_told(f, 15, "e: expected true or false");
}

static void test_secret_inline(void **state)
{
    struct fixture *f = *state;
    struct secret *secret = NULL;
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), 0);
    assert_int_equal(info_secret_line(f->info), 0);
    info_add_string(f->info, "password", SECRET, 11);
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), 1);
    assert_int_equal(secret->len, strlen(SECRET));
    assert_string_equal((char *)secret->bytes, SECRET);
    assert_int_equal(info_secret_line(f->info), 11);
    secret_free(secret);
    secret = NULL;
    assert_int_equal(info_take_secret(f->info, "password", 16, &secret, &f->report), -1);
    assert_told(f, 11, "password: longer than 16 bytes");
    info_add_integer(f->info, "token", 1234, 12);
    assert_int_equal(info_take_secret(f->info, "token", 16, &secret, &f->report), -1);
    assert_told(f, 12, "token: expected a string (in double quotes)");
    info_add_string(f->info, "password_file", "secret", 13);
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), -1);
    assert_told(f, 13, "password_file: stands beside password: expected one of them");
    assert_null(secret);
}

static void take_file(struct fixture *f, const char *expected)
{
    struct secret *secret = NULL;
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), 1);
    assert_int_equal(f->report.count, 0);
    assert_string_equal((char *)secret->bytes, expected);
    assert_int_equal(secret->len, strlen(expected));
    secret_free(secret);
}

static void test_secret_file(void **state)
{
    struct fixture *f = *state;
    info_add_string(f->info, "password_file", "secret", 11); /* beside the configuration */
    write_secret(f, SECRET "\n", strlen(SECRET) + 1, 0640);
    take_file(f, SECRET);
    write_secret(f, SECRET, strlen(SECRET), 0600);
    take_file(f, SECRET);
    write_secret(f, SECRET "\n\n", strlen(SECRET) + 2, 0600);
    take_file(f, SECRET "\n");                      /* one newline less, not two */
    assert_int_equal(info_secret_line(f->info), 0); /* the configuration itself holds none */
}

static void refuse_file(struct fixture *f, const char *told)
{
    struct secret *secret = NULL;
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), -1);
    assert_null(secret);
    assert_told(f, 11, told);
}

/* "$CREDENTIALS_DIRECTORY/NAME": a credential of systemd's, which is its owner's to read, by mode
 * or by an access control list (then the group's bits are the list's mask). */
static void test_credential(void **state)
{
    static const mode_t modes[] = {0400, 0440};
    static const char expected[] =
        "password_file: expected $CREDENTIALS_DIRECTORY/NAME, with the name of a credential (one "
        "part, which does not begin with a dot)";
    static const char *const bad[] = {"$CREDENTIALS_DIRECTORY",     "$CREDENTIALS_DIRECTORY/",
                                      "$CREDENTIALS_DIRECTORY/..",  "$CREDENTIALS_DIRECTORY/.x",
                                      "$CREDENTIALS_DIRECTORY/a/b", "$CREDENTIALS_DIRECTORYX/a",
                                      "$CREDENTIALS_DIRECTORY//a"};
    struct fixture *f = *state;
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    info_add_string(f->info, "password_file", "$CREDENTIALS_DIRECTORY/secret", 11);
    for (size_t i = 0; i < 2; i++) {
        write_secret(f, SECRET, strlen(SECRET), modes[i]);
        take_file(f, SECRET);
    }
    setenv("CREDENTIALS_DIRECTORY", "relative", 1);
    for (int unset = 0; unset < 2; unset++) {
        refuse_file(f, "password_file: the environment has no CREDENTIALS_DIRECTORY: is there a "
                       "LoadCredential= in the unit, and does systemd start nmid?");
        unsetenv("CREDENTIALS_DIRECTORY");
    }
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct info *info = info_new(f->conf, 7);
        struct secret *secret = NULL;
        info_add_string(info, "password_file", bad[i], 11);
        assert_int_equal(info_take_secret(info, "password", 20, &secret, &f->report), -1);
        assert_told(f, 11, expected);
        info_free(info);
    }
    unsetenv("CREDENTIALS_DIRECTORY");
    /* No other variable: this is a file beside the configuration. */
    struct info *info = info_new(f->conf, 7);
    struct secret *secret = NULL;
    info_add_string(info, "password_file", "$HOME/secret", 11);
    assert_int_equal(info_take_secret(info, "password", 20, &secret, &f->report), -1);
    info_free(info);
    report_clear(&f->report);
}

static void test_secret_file_refused(void **state)
{
    struct fixture *f = *state;
    char path[128], told[512], big[5000];
    snprintf(path, sizeof path, "%s/secret", f->dir);
    info_add_string(f->info, "password_file", path, 11);
    snprintf(told, sizeof told, "password_file: %s: cannot open: No such file or directory", path);
    refuse_file(f, told);
    write_secret(f, SECRET, strlen(SECRET), 0644);
    snprintf(told, sizeof told,
             "password_file: %s holds a secret and is readable by others: chmod o-r %s", path,
             path);
    refuse_file(f, told);
    write_secret(f, "\n", 1, 0600);
    snprintf(told, sizeof told, "password_file: %s is empty", path);
    refuse_file(f, told);
    write_secret(f, SECRET "\0x", strlen(SECRET) + 2, 0600);
    snprintf(told, sizeof told, "password_file: %s holds a NUL byte", path);
    refuse_file(f, told);
    write_secret(f, SECRET SECRET, 2 * strlen(SECRET), 0600);
    snprintf(told, sizeof told, "password_file: %s holds more than 20 bytes", path);
    refuse_file(f, told);
    memset(big, 'x', sizeof big);
    write_secret(f, big, sizeof big, 0600);
    snprintf(told, sizeof told, "password_file: %s: larger than 4096 bytes", path);
    refuse_file(f, told);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* does not hang */
    snprintf(told, sizeof told, "password_file: %s: not a regular file", path);
    refuse_file(f, told);
    info_set_section(f->info, "auth.");
    snprintf(told, sizeof told, "auth.password_file: %s: not a regular file", path);
    refuse_file(f, told);
}

static void test_password_for_path(void **state)
{
    struct fixture *f = *state;
    struct secret *secret = NULL;
    info_add_string(f->info, "password_file", SECRET, 11);
    info_add_integer(f->info, "key_file", 3, 12);
    info_add_string(f->info, "slash_file", "/" SECRET, 13);
    assert_int_equal(info_take_secret(f->info, "password", 20, &secret, &f->report), -1);
    assert_told(f, 11, "password_file: cannot open: No such file or directory");
    assert_int_equal(info_take_secret(f->info, "key", 20, &secret, &f->report), -1);
    assert_told(f, 12, "key_file: expected the path of a file (in double quotes)");
    assert_int_equal(info_take_secret(f->info, "slash", 20, &secret, &f->report), -1);
    assert_told(f, 13, "slash_file: cannot open: No such file or directory");
}

static void test_unknown(void **state)
{
    struct fixture *f = *state;
    info_add_string(f->info, "known", "x", 11);
    info_add_string(f->info, "pasword", SECRET, 12);
    info_add_integer(f->info, "other", 1, 13);
    assert_int_equal(info_skip(f->info, "known"), 1);
    assert_int_equal(info_skip(f->info, "absent"), 0);
    assert_int_equal(info_report_unknown(f->info, &f->report), 2);
    assert_int_equal(f->report.count, 2);
    assert_non_null(strstr(f->report.lines[0], "nmid.conf:12: pasword: unknown key"));
    assert_non_null(strstr(f->report.lines[1], "nmid.conf:13: other: unknown key"));
}

static void test_complain(void **state)
{
    struct fixture *f = *state;
    info_add_boolean(f->info, "a", true, 11);
    assert_int_equal(info_complain(f->info, "a", &f->report, "bad %d", 1), -1);
    assert_told(f, 11, "a: bad 1");
    assert_int_equal(info_complain(f->info, "b", &f->report, "missing"), -1);
    assert_told(f, 10, "b: missing"); /* the block's own line */
    info_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_string),        TEST(test_integer),           TEST(test_boolean),
        TEST(test_secret_inline), TEST(test_secret_file),       TEST(test_secret_file_refused),
        TEST(test_credential),    TEST(test_password_for_path), TEST(test_unknown),
        TEST(test_complain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

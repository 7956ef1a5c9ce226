/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Users and hashes: files as the htpasswd program makes them, every way in which one is refused,
 * one that changes while it is used; and the header that brings a log-in. The clock is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/htpasswd.h"

/* One that only looks like a hash, and a known vector of bcrypt (of "U*U"). */
#define HASH_A "$2y$04$3bQeUWr9E3gQp1kwRrVx8.aoUZlTHL1WF9/8Fs3cqdVo5u4pgsQe2"
#define HASH_U "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static int64_t mono_us, wall_us;

int64_t clock_mono_us(void)
{
    return mono_us;
}

int64_t clock_wall_us(void)
{
    return wall_us;
}

char *clock_text(int64_t us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "%lld", (long long)us);
    return text;
}

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/nmid-test-htpasswd-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/htpasswd", dir);
    mono_us = 1000000000;
    wall_us = (int64_t)time(NULL) * 1000000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* ---- The file ---- */

static struct htpasswd *parse(const char *text, struct report *errors)
{
    return htpasswd_parse("f", text, strlen(text), errors);
}

static void test_lines(void **state)
{
    struct report errors = {0};
    (void)state;
    struct htpasswd *users = parse("# a comment: with a colon\n\n  \t\r\nalice:" HASH_A "\r\n"
                                   "  bj\xc3\xb6rn:" HASH_U "  \nal ice:" HASH_A,
                                   &errors);
    assert_non_null(users);
    assert_int_equal(htpasswd_count(users), 3);
    assert_string_equal(htpasswd_find(users, "alice"), HASH_A);
    assert_string_equal(htpasswd_find(users, "bj\xc3\xb6rn"), HASH_U);
    assert_string_equal(htpasswd_find(users, "al ice"), HASH_A);
    assert_null(htpasswd_find(users, "Alice"));
    assert_null(htpasswd_find(users, ""));
    assert_string_equal(htpasswd_decoy(users, 1), HASH_U);
    assert_string_equal(htpasswd_decoy(users, 4), HASH_U);
    htpasswd_free(users);
    users = parse("", &errors);
    assert_non_null(users);
    assert_int_equal(htpasswd_count(users), 0);
    assert_null(htpasswd_decoy(users, 7));
    htpasswd_free(users);
    htpasswd_free(NULL);
}

#define NO_USER "expected USER:HASH, with a user of 1 to 255 bytes of UTF-8"
#define NO_HASH "expected a bcrypt hash ($2y$, $2b$ or $2a$), as htpasswd -B makes it"
#define REST    "3bQeUWr9E3gQp1kwRrVx8.aoUZlTHL1WF9/8Fs3cqdVo5u4pgsQe2"

static void test_refused(void **state)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"alice", "f:1: " NO_USER},
        {"\n:" HASH_A, "f:2: " NO_USER},
        {"a\x01:" HASH_A, "f:1: " NO_USER},
        {"a\xff:" HASH_A, "f:1: " NO_USER},
        {"alice:", "f:1: " NO_HASH},
        {"alice:secret", "f:1: " NO_HASH},
        {"alice:$apr1$nE8a/VMu$ULTVFJlD5R3RpnV.ck6Zz1", "f:1: " NO_HASH},
        {"alice:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "f:1: " NO_HASH},
        {"alice:$2x$05$" REST, "f:1: " NO_HASH},
        {"alice:$2$05$" REST "x", "f:1: " NO_HASH},
        {"alice:$2y$5$" REST "x", "f:1: " NO_HASH},
        {"alice:" HASH_A "x", "f:1: " NO_HASH},
        {"alice:" HASH_A ":x", "f:1: " NO_HASH},
        {"alice:$2y$05$=" REST, "f:1: " NO_HASH},
        {"alice:$2y$03$" REST, "f:1: expected a bcrypt cost from 4 to 16"},
        {"alice:$2y$17$" REST, "f:1: expected a bcrypt cost from 4 to 16"},
        {"a:" HASH_A "\nb:" HASH_A "\na:" HASH_U, "f:3: this user stands twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report errors = {0};
        assert_null(parse(rows[i].text, &errors));
        assert_int_equal(errors.count, 1);
        assert_string_equal(errors.lines[0], rows[i].told);
        report_clear(&errors);
    }
}

/* Wherever a NUL stands, a line with one is refused. */
static void test_nul(void **state)
{
    static const char line[] = "alice:" HASH_A;
    (void)state;
    for (size_t i = 0; i < sizeof line - 1; i++) {
        char text[sizeof line];
        struct report errors = {0};
        memcpy(text, line, sizeof text);
        text[i] = '\0';
        assert_null(htpasswd_parse("f", text, sizeof line - 1, &errors));
        assert_int_equal(errors.count, 1);
        report_clear(&errors);
    }
}

static void test_all_mistakes_and_limits(void **state)
{
    struct report errors = {0};
    char text[1024], name[257];
    (void)state;
    assert_null(parse("a\nb:x\nc:" HASH_A "\nd", &errors));
    assert_int_equal(errors.count, 3);
    assert_string_equal(errors.lines[2], "f:4: " NO_USER);
    report_clear(&errors);
    assert_null(htpasswd_parse("f", "a\0b:" HASH_A, 4 + 60, &errors));
    assert_int_equal(errors.count, 1);
    report_clear(&errors);
    memset(name, 'u', 256);
    name[255] = '\0';
    snprintf(text, sizeof text, "%s:" HASH_A, name);
    struct htpasswd *users = parse(text, &errors);
    assert_non_null(users);
    assert_non_null(htpasswd_find(users, name));
    htpasswd_free(users);
    snprintf(text, sizeof text, "u%s:" HASH_A, name);
    assert_null(parse(text, &errors));
    report_clear(&errors);
}

/* ---- Passwords ---- */

static void test_known_hashes(void **state)
{
    char long_hash[] = HASH_U;
    (void)state;
    assert_true(htpasswd_matches(HASH_U, "U*U"));
    assert_false(htpasswd_matches(HASH_U, "U*U*"));
    assert_false(htpasswd_matches(HASH_U, ""));
    long_hash[59] ^= 1;
    assert_false(htpasswd_matches(long_hash, "U*U"));
    assert_false(htpasswd_matches("*0", "U*U"));
    assert_false(htpasswd_matches("", ""));
}

/* What the program writes, this reads. */
static void test_program(void **state)
{
    static const char *const passwords[] = {
        "wonderland", "p\xc3\xa4ss w:rd",
        "72-bytes-5678901234567890123456789012345678901234567890123456789012345672"};
    struct report errors = {0};
    char command[256];
    (void)state;
    write_file("", 0600);
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "htpasswd -iB -C 4 %s user%zu 2>/dev/null", path, i);
        FILE *program = popen(command, "w");
        assert_non_null(program);
        fprintf(program, "%s\n", passwords[i]);
        assert_int_equal(pclose(program), 0); /* apache2-utils is not installed? */
    }
    struct htpasswd_file *file = htpasswd_file_new(path, &errors);
    assert_non_null(file);
    const struct htpasswd *users = htpasswd_file_users(file);
    assert_int_equal(htpasswd_count(users), 3);
    for (size_t i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "user%zu", i);
        const char *hash = htpasswd_find(users, name);
        assert_non_null(hash);
        assert_true(htpasswd_matches(hash, passwords[i]));
        assert_false(htpasswd_matches(hash, passwords[(i + 1) % 3]));
    }
    htpasswd_file_free(file);
}

/* ---- A file that changes ---- */

static void later(int64_t us)
{
    mono_us += us;
    wall_us += us;
}

static struct htpasswd_file *open_good(void)
{
    struct report errors = {0};
    write_file("alice:" HASH_A "\n", 0640);
    struct htpasswd_file *file = htpasswd_file_new(path, &errors);
    assert_non_null(file);
    return file;
}

static void test_file_refused(void **state)
{
    struct report errors = {0};
    char told[400];
    (void)state;
    assert_null(htpasswd_file_new(path, &errors));
    snprintf(told, sizeof told, "%s: cannot open: No such file or directory", path);
    assert_string_equal(errors.lines[0], told);
    report_clear(&errors);
    write_file("alice:" HASH_A "\n", 0644);
    assert_null(htpasswd_file_new(path, &errors));
    snprintf(told, sizeof told,
             "%s: the file holds the hashes of passwords and is readable by others: chmod o-r %s",
             path, path);
    assert_string_equal(errors.lines[0], told);
    report_clear(&errors);
    write_file("alice:" HASH_A "\nbob:x\n", 0600);
    assert_null(htpasswd_file_new(path, &errors));
    snprintf(told, sizeof told, "%s:2: " NO_HASH, path);
    assert_string_equal(errors.lines[0], told);
    report_clear(&errors);
}

static void test_change(void **state)
{
    (void)state;
    struct htpasswd_file *file = open_good();
    later(10000000);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "alice"));
    write_file("bob:" HASH_U "\n", 0600);
    later(900000); /* it was looked at less than a second ago */
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "alice"));
    later(100000);
    assert_null(htpasswd_find(htpasswd_file_users(file), "alice"));
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "bob"));
    htpasswd_file_free(file);
}

/* Whatever is wrong with it, the users of before stay, until it is good again. */
static void test_broken(void **state)
{
    (void)state;
    struct htpasswd_file *file = open_good();
    static const struct {
        const char *text;
        mode_t mode;
    } broken[] = {{"bob:x\n", 0600}, {"bob:" HASH_U "\n", 0604}, {NULL, 0}};
    for (size_t i = 0; i < 3; i++) {
        later(10000000);
        if (broken[i].text == NULL)
            assert_int_equal(unlink(path), 0);
        else
            write_file(broken[i].text, broken[i].mode);
        assert_non_null(htpasswd_find(htpasswd_file_users(file), "alice"));
        assert_null(htpasswd_find(htpasswd_file_users(file), "bob"));
    }
    later(10000000);
    write_file("bob:" HASH_U "\n", 0600);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "bob"));
    /* A chmod alone changes it too. */
    later(10000000);
    assert_int_equal(unlink(path), 0);
    write_file("carol:" HASH_U "\n", 0604);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "bob"));
    later(10000000);
    assert_int_equal(chmod(path, 0600), 0);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "carol"));
    htpasswd_file_free(file);
}

/* The program empties the file before it writes it: for an instant there is no user in it. One that
 * stays empty counts. */
static void test_empty(void **state)
{
    (void)state;
    struct htpasswd_file *file = open_good();
    later(10000000);
    wall_us = (int64_t)time(NULL) * 1000000;
    write_file("", 0600);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "alice"));
    later(1000000);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "alice"));
    later(9000000);
    assert_int_equal(htpasswd_count(htpasswd_file_users(file)), 0);
    htpasswd_file_free(file);
}

/* Two changes within one tick of the file system's clock look alike: what was young when it was
 * read is read again. The second change here keeps size, inode and times. */
static void test_young(void **state)
{
    struct stat st;
    (void)state;
    struct htpasswd_file *file = open_good();
    assert_int_equal(stat(path, &st), 0);
    later(1000000);
    write_file("alicf:" HASH_A "\n", 0640);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_non_null(htpasswd_find(htpasswd_file_users(file), "alicf"));
    htpasswd_file_free(file);
}

/* ---- The header ---- */

static int parse_header(const char *header, struct basic_login *login, char *told)
{
    struct fault fault = {0};
    memset(login, 'x', sizeof *login);
    int result = basic_login_parse(header, login, &fault);
    assert_int_equal(result == 0 ? FAULT_NONE : FAULT_UNAUTHORIZED, fault.code);
    strcpy(told, fault.message);
    return result;
}

static void test_logins(void **state)
{
    static const struct {
        const char *header, *user, *password;
    } rows[] = {
        {"Basic YWxpY2U6d29uZGVybGFuZA==", "alice", "wonderland"},
        {"basic YWxpY2U6d29uZGVybGFuZA==", "alice", "wonderland"},
        {"BASIC    YWxpY2U6d29uZGVybGFuZA==  ", "alice", "wonderland"},
        {"Basic YTo=", "a", ""},
        {"Basic YTpi", "a", "b"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"Basic w7Y6/w==", "\xc3\xb6", "\xff"},
    };
    struct basic_login login;
    char told[FAULT_MESSAGE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse_header(rows[i].header, &login, told), 0);
        assert_string_equal(login.user, rows[i].user);
        assert_string_equal(login.password, rows[i].password);
    }
}

#define NO_SCHEME "Unsupported Authorization header: expected Basic"
#define NO_BASE64 "Could not decode the Authorization header"
#define NO_NAME   "Expected a user name of 1 to 255 bytes of UTF-8"

static void test_no_logins(void **state)
{
    static const struct {
        const char *header, *told;
    } rows[] = {
        {"", NO_SCHEME},
        {"Basic", NO_BASE64},
        {"Basic ", NO_BASE64},
        {"Basi YTpi", NO_SCHEME},
        {"Basicx YTpi", NO_SCHEME},
        {"Basic\tYTpi", NO_SCHEME},
        {" Basic YTpi", NO_SCHEME},
        {"Bearer YTpi", NO_SCHEME},
        {"Basic YTp", NO_BASE64},
        {"Basic YTo", NO_BASE64},  /* no padding */
        {"Basic YTp=", NO_BASE64}, /* bits left over */
        {"Basic YR==", NO_BASE64}, /* the same */
        {"Basic Y===", NO_BASE64},
        {"Basic ====", NO_BASE64},
        {"Basic YT=i", NO_BASE64},
        {"Basic YTpi=", NO_BASE64},
        {"Basic YTpi====", NO_BASE64},
        {"Basic YT pi", NO_BASE64},
        {"Basic YTpi YTpi", NO_BASE64},
        {"Basic YT-_", NO_BASE64},     /* of URLs */
        {"Basic YWI=", NO_BASE64},     /* "ab": no colon */
        {"Basic YQA6Yg==", NO_BASE64}, /* NUL */
        {"Basic YTpiAA==", NO_BASE64},
        {"Basic OmI=", NO_NAME},     /* ":b" */
        {"Basic /zpi", NO_NAME},     /* no UTF-8 */
        {"Basic YQo6Yg==", NO_NAME}, /* a newline */
    };
    struct basic_login login;
    char told[FAULT_MESSAGE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse_header(rows[i].header, &login, told), -1);
        assert_string_equal(told, rows[i].told);
        assert_int_equal(login.user[0], 'x'); /* untouched */
    }
}

/* "Basic " and the base64 of a user and a password of so many bytes. */
static void make_header(char *header, size_t user, size_t password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = user + 1 + password;
    unsigned char *bytes = calloc(1, len + 3);
    memset(bytes, 'a', len);
    bytes[user] = ':';
    char *out = header + sprintf(header, "Basic ");
    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (int j = 0; j < 4; j++)
            *out++ = i + (size_t)j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    *out = '\0';
    free(bytes);
}

static void test_long_logins(void **state)
{
    static char header[40000];
    struct basic_login login;
    char told[FAULT_MESSAGE_MAX];
    (void)state;
    make_header(header, 255, 72);
    assert_int_equal(parse_header(header, &login, told), 0);
    assert_int_equal(strlen(login.user), 255);
    assert_int_equal(strlen(login.password), 72);
    make_header(header, 256, 1);
    assert_int_equal(parse_header(header, &login, told), -1);
    assert_string_equal(told, NO_NAME);
    make_header(header, 1, 73);
    assert_int_equal(parse_header(header, &login, told), -1);
    assert_string_equal(told, "The password is longer than the 72 bytes that bcrypt can check");
    make_header(header, 5, 1018); /* the most that is decoded, and one more */
    assert_int_equal(parse_header(header, &login, told), -1);
    assert_string_equal(told, "The password is longer than the 72 bytes that bcrypt can check");
    make_header(header, 5, 20000);
    assert_int_equal(parse_header(header, &login, told), -1);
    assert_string_equal(told, NO_BASE64);
}

#define FILE_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_all_mistakes_and_limits),
        cmocka_unit_test(test_known_hashes),
        FILE_CASE(test_program),
        FILE_CASE(test_file_refused),
        FILE_CASE(test_change),
        FILE_CASE(test_broken),
        FILE_CASE(test_empty),
        FILE_CASE(test_young),
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_no_logins),
        cmocka_unit_test(test_long_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables, key-value lines and the escaping of what a terminal must not see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/table.h"
#include "cli/text.h"

struct capture {
    FILE *file;
    char *text;
    size_t size;
};

static FILE *capture_open(struct capture *capture)
{
    capture->file = open_memstream(&capture->text, &capture->size);
    assert_non_null(capture->file);
    return capture->file;
}

static void capture_expect(struct capture *capture, const char *wanted)
{
    fclose(capture->file);
    assert_string_equal(capture->text, wanted);
    free(capture->text);
}

static void test_columns(void **state)
{
    static const char *const titles[] = {"NAME", "N", "LAST", NULL};
    struct capture capture = {0};
    struct table *table = table_new(titles);
    (void)state;
    assert_non_null(table);
    assert_int_equal(table_add(table, (const char *[]){"rack1-n1", "1", "a longer text"}), 0);
    assert_int_equal(table_add(table, (const char *[]){"", NULL, ""}), 0);
    assert_int_equal(table_add(table, (const char *[]){"k\xc3\xb6ln", "12345", "x"}), 0);
    table_print(table, capture_open(&capture));
    capture_expect(&capture, "NAME      N      LAST\n"
                             "rack1-n1  1      a longer text\n"
                             "-         -      -\n"
                             "k\xc3\xb6ln      12345  x\n");
    table_free(table);
}

/* A long list in parts: one header, and no column becomes narrower. */
static void test_parts(void **state)
{
    static const char *const titles[] = {"ID", "NODE", NULL};
    struct capture capture = {0};
    struct table *table = table_new(titles);
    FILE *file = capture_open(&capture);
    (void)state;
    assert_int_equal(table_add(table, (const char *[]){"long-1", "a"}), 0);
    table_flush(table, file);
    assert_int_equal(table_add(table, (const char *[]){"2", "b"}), 0);
    assert_int_equal(table_add(table, (const char *[]){"longer-3", "c"}), 0);
    table_flush(table, file);
    table_flush(table, file);
    capture_expect(&capture, "ID      NODE\nlong-1  a\n2         b\nlonger-3  c\n");
    table_free(table);
}

static void test_no_rows(void **state)
{
    static const char *const titles[] = {"ID", "NODE", NULL};
    struct capture capture = {0};
    struct table *table = table_new(titles);
    (void)state;
    table_print(table, capture_open(&capture));
    capture_expect(&capture, "ID  NODE\n");
    table_free(table);
    table_free(NULL);
}

static void test_many_rows(void **state)
{
    static const char *const titles[] = {"A", NULL};
    struct capture capture = {0};
    struct table *table = table_new(titles);
    size_t lines = 0;
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(table_add(table, (const char *[]){"x"}), 0);
    table_print(table, capture_open(&capture));
    fclose(capture.file);
    for (const char *at = capture.text; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 1001);
    free(capture.text);
    table_free(table);
}

static void expect_text(const char *text, const char *wanted)
{
    struct capture capture = {0};
    text_put(capture_open(&capture), text);
    capture_expect(&capture, wanted);
    struct capture padded = {0};
    text_put_padded(capture_open(&padded), text, text_width(text) + 1);
    fclose(padded.file);
    assert_int_equal(padded.size, strlen(wanted) + 1);
    assert_int_equal(padded.text[padded.size - 1], ' ');
    free(padded.text);
}

static void test_escapes(void **state)
{
    (void)state;
    expect_text("plain \\x1b", "plain \\x1b");
    expect_text("\x1b[2J", "\\x1b[2J");
    expect_text("a\nb\r\t\x07\x7f", "a\\x0ab\\x0d\\x09\\x07\\x7f");
    expect_text("\xc2\x9b", "\\xc2\\x9b");                   /* CSI as one character, C1 */
    expect_text("\xe2\x80\xae", "\\xe2\\x80\\xae");          /* right-to-left override */
    expect_text("\xe2\x80\xa8", "\\xe2\\x80\\xa8");          /* line separator */
    expect_text("\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81"); /* invisible tag letters */
    expect_text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    /* No UTF-8: a byte alone, overlong, surrogate, past the end, cut short. */
    expect_text("\x9b", "\\x9b");
    expect_text("\xc0\x9b", "\\xc0\\x9b");
    expect_text("\xe0\x82\x9b", "\\xe0\\x82\\x9b");
    expect_text("\xed\xa0\x80", "\\xed\\xa0\\x80");
    expect_text("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    expect_text("\xe2\x82", "\\xe2\\x82");
    expect_text("\xf0", "\\xf0");
    expect_text("\xff", "\\xff");
    assert_int_equal(text_width("\xe2\x82\xac"), 1);
    assert_int_equal(text_width("\xe2\x80\xae"), 12);
    assert_int_equal(text_width(""), 0);
}

static void test_escaped_cells(void **state)
{
    static const char *const titles[] = {"A", "B", NULL};
    struct capture capture = {0};
    struct table *table = table_new(titles);
    (void)state;
    table_add(table, (const char *[]){"\x1b\n", "\x1b"});
    table_add(table, (const char *[]){"x", "y"});
    table_print(table, capture_open(&capture));
    capture_expect(&capture, "A         B\n\\x1b\\x0a  \\x1b\nx         y\n");
    table_free(table);
}

static void test_object(void **state)
{
    struct capture capture = {0};
    json_t *object = json_loads("{\"name\": \"n\\u001b1\", \"n\": 3, \"no\": null, \"yes\": true,"
                                " \"in\": {\"a\": {\"b\\n\": 1.5}, \"e\": {}},"
                                " \"list\": [1, \"x\\u009b\"]}",
                                0, NULL);
    (void)state;
    assert_non_null(object);
    table_print_object(object, capture_open(&capture));
    capture_expect(&capture, "name: n\\x1b1\nn: 3\nno: -\nyes: true\nin.a.b\\x0a: 1.5\nin.e: {}\n"
                             "list: [1,\"x\\xc2\\x9b\"]\n");
    json_decref(object);
}

/* A chain of keys that is longer than a line may be ends, and ends in a value. */
static void test_deep_object(void **state)
{
    struct capture capture = {0};
    json_t *object = json_string("bottom");
    (void)state;
    for (int i = 0; i < 1000; i++)
        object = json_pack("{s:o}", "key", object);
    assert_non_null(object);
    table_print_object(object, capture_open(&capture));
    fclose(capture.file);
    assert_non_null(strstr(capture.text, "bottom"));
    assert_int_equal(strncmp(capture.text, "key.key.key.", 12), 0);
    free(capture.text);
    json_decref(object);
}

static void test_json(void **state)
{
    struct capture capture = {0};
    json_t *object = json_pack("{s:s}", "a", "\x7f\x1b\xc2\x9b\xe2\x80\xae");
    (void)state;
    assert_int_equal(text_put_json(capture_open(&capture), object), 0);
    capture_expect(&capture, "{\n  \"a\": \"\\u007f\\u001B\\u009B\\u202E\"\n}\n");
    json_decref(object);

    json_t *text = text_json("a\xff"
                             "b\xc3\xa9\xe2\x82");
    assert_string_equal(json_string_value(text), "a?b\xc3\xa9??");
    json_decref(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns), cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_escapes), cmocka_unit_test(test_escaped_cells),
        cmocka_unit_test(test_object),  cmocka_unit_test(test_deep_object),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

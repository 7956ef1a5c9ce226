/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host lists: what they make, in which order, and what they refuse before they make anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/hostlist.h"

/* The names of text with spaces between them; freed by the caller. */
static char *expanded(const char *text)
{
    struct hostlist list = {0};
    struct fault fault = {0};
    char *joined = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&joined, &size);
    assert_non_null(file);
    if (hostlist_add(&list, text, &fault) < 0)
        fprintf(file, "fault %d", fault.code);
    for (size_t i = 0; fault.code == FAULT_NONE && i < list.count; i++)
        fprintf(file, "%s%s", i > 0 ? " " : "", list.names[i]);
    fclose(file);
    hostlist_clear(&list);
    assert_int_equal(list.count, 0);
    return joined;
}

static void expect(const char *text, const char *names)
{
    char *got = expanded(text);
    assert_string_equal(got, names);
    free(got);
}

static void test_names(void **state)
{
    (void)state;
    expect("n1", "n1");
    expect("b,a,b", "b a b");
    expect("1be26c0b-03f2-4d2e-ae87-c02d7f33c781", "1be26c0b-03f2-4d2e-ae87-c02d7f33c781");
    expect("n[1-3]", "n1 n2 n3");
    expect("n[7]", "n7");
    expect("n[01-04,7]", "n01 n02 n03 n04 n7");
    expect("a[1-2]b[1-2]", "a1b1 a1b2 a2b1 a2b2");
    expect("x[3,1-2]y,z", "x3y x1y x2y z");
    expect("[1-2][1-2]", "11 12 21 22");
    expect("r[9-11]", "r9 r10 r11");
    expect("n[1,1]", "n1 n1");
}

static void test_padding(void **state)
{
    (void)state;
    expect("n[098-101]", "n098 n099 n100 n101");
    expect("n[08-10]", "n08 n09 n10");
    expect("n[99-101]", "n99 n100 n101");
    expect("n[0-2]", "n0 n1 n2");
    expect("n[00]", "n00");
    expect("n[007,7]", "n007 n7");
    expect("n[09-100]", "n09 n10 n11 n12 n13 n14 n15 n16 n17 n18 n19 n20 n21 n22 n23 n24 n25 n26 "
                        "n27 n28 n29 n30 n31 n32 n33 n34 n35 n36 n37 n38 n39 n40 n41 n42 n43 n44 "
                        "n45 n46 n47 n48 n49 n50 n51 n52 n53 n54 n55 n56 n57 n58 n59 n60 n61 n62 "
                        "n63 n64 n65 n66 n67 n68 n69 n70 n71 n72 n73 n74 n75 n76 n77 n78 n79 n80 "
                        "n81 n82 n83 n84 n85 n86 n87 n88 n89 n90 n91 n92 n93 n94 n95 n96 n97 n98 "
                        "n99 n100");
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "",          ",",        "a,",       ",a",         "a,,b",       "n[",           "n]",
        "n[]",       "n[1",      "n[1-",     "n[1-]",      "n[-1]",      "n[1-2-3]",     "n[1,]",
        "n[,1]",     "n[a]",     "n[1-a]",   "n[2-1]",     "n[ 1]",      "n[1]]",        "n[[1]]",
        "n[001-10]", "n[1-010]", "n[0-010]", "n[10-0200]", "a[1-2]b,c[", "n[1234567890]"};
    char wanted[32];
    (void)state;
    snprintf(wanted, sizeof wanted, "fault %d", FAULT_USAGE);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *got = expanded(texts[i]);
        if (strcmp(got, wanted) != 0)
            fail_msg("'%s' made '%s'", texts[i], got);
        free(got);
    }
}

static void refuse_count(const char *text)
{
    struct hostlist list = {0};
    struct fault fault = {0};
    assert_int_equal(hostlist_add(&list, text, &fault), -1);
    assert_int_equal(fault.code, FAULT_USAGE);
    assert_string_equal(fault.message, "more than 65536 names in a host list");
    assert_int_equal(list.count, 0); /* counted before the first was made */
    assert_null(list.names);
}

static void test_cap(void **state)
{
    struct hostlist list = {0};
    struct fault fault = {0};
    char many[8192] = "n[";
    (void)state;
    refuse_count("n[1-65537]");
    refuse_count("n[0-999999999]");
    refuse_count("n[1-65536],m");
    refuse_count("a[0-255]b[0-255]c[0-1]");
    refuse_count("a[0-999999999]b[0-999999999]c[0-999999999]d[0-999999999]e[0-999999999]");
    for (int i = 0; i < 500; i++) /* sums and products that would pass 64 bits */
        strcat(many, "0-999999999,");
    strcat(many, "1]x[1-65536]");
    refuse_count(many);

    assert_int_equal(hostlist_add(&list, "a[0-255]b[0-255]", &fault), 0);
    assert_int_equal(list.count, HOSTLIST_MAX);
    assert_string_equal(list.names[65535], "a255b255");
    assert_int_equal(hostlist_add(&list, "one-more", &fault), -1); /* over all arguments */
    assert_int_equal(fault.code, FAULT_USAGE);
    assert_int_equal(list.count, HOSTLIST_MAX);
    hostlist_clear(&list);
}

static void test_long_names(void **state)
{
    char text[400] = {0};
    struct hostlist list = {0};
    struct fault fault = {0};
    (void)state;
    memset(text, 'x', 253);
    strcat(text, "[9-10]");
    assert_int_equal(hostlist_add(&list, text, &fault), 0);
    assert_int_equal(strlen(list.names[1]), HOSTLIST_NAME_MAX);
    strcpy(text + 253, "y[9-10]");
    assert_int_equal(hostlist_add(&list, text, &fault), -1);
    assert_int_equal(fault.code, FAULT_USAGE);
    hostlist_clear(&list);

    memset(&fault, 0, sizeof fault);
    memset(text, 'x', 256);
    text[256] = '\0';
    assert_int_equal(hostlist_add(&list, text, &fault), -1);
    assert_int_equal(fault.code, FAULT_USAGE);
    hostlist_clear(&list);
}

static void test_unique(void **state)
{
    static const char *const wanted[] = {"n2", "n1", "n3", "N1", "n01"};
    struct hostlist list = {0};
    (void)state;
    assert_int_equal(hostlist_unique(&list, NULL), 0);
    assert_int_equal(hostlist_add(&list, "n2,n[1-3],n1", NULL), 0);
    assert_int_equal(hostlist_add(&list, "n[3,2],N1,n[01]", NULL), 0);
    assert_int_equal(hostlist_unique(&list, NULL), 0);
    assert_int_equal(list.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(list.names[i], wanted[i]);
    hostlist_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_padding),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_cap),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

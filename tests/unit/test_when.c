/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/when.h"

static void test_good(void **state)
{
    static const struct {
        const char *text, *means;
    } times[] = {
        {"2026-11-22T21:28:23Z", "2026-11-22T21:28:23.000000Z"},
        {"2026-11-22t21:28:23.5z", "2026-11-22T21:28:23.500000Z"},
        {"2026-11-22T21:28:23.1234567890123456789012345Z", "2026-11-22T21:28:23.123456Z"},
        {"2026-11-22T00:28:23+05:30", "2026-11-21T18:58:23.000000Z"},
        {"2026-12-31T23:59:60-00:30", "2027-01-01T00:30:00.000000Z"},
        {"2024-02-29", "2024-02-29T00:00:00.000000Z"},
        {"2000-03-01", "2000-03-01T00:00:00.000000Z"},
        {"1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000001Z"},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"},
    };
    char text[CLOCK_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t wall_us = -1;
        if (when_parse(times[i].text, &wall_us) < 0)
            fail_msg("%s", times[i].text);
        assert_string_equal(clock_text(wall_us, text), times[i].means);
    }
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "2026",
        "2026-11-",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "1969-12-31",
        "1970-01-01",
        "12026-01-01",
        "2026-1-1",
        "2026-11-22T21:28:23",
        "2026-11-22 21:28:23Z",
        "2026-11-22T21:28Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T21:60:00Z",
        "2026-11-22T21:28:61Z",
        "2026-11-22T21:28:23.Z",
        "2026-11-22T21:28:23ZZ",
        "2026-11-22T21:28:23+0530",
        "2026-11-22T21:28:23+24:00",
        "2026-11-22T21:28:23 05:30",
        "2026-11-22T-1:28:23Z",
        "1970-01-01T00:00:00+00:01",
        " 2026-11-22",
        "2026-11-22 ",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t wall_us = 42;
        if (when_parse(texts[i], &wall_us) == 0)
            fail_msg("taken: \"%s\"", texts[i]);
        assert_int_equal(wall_us, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}

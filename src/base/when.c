/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/when.h"

#include <stdbool.h>
#include <stddef.h>

/* A number of exactly so many digits, from min to max. */
static bool take_number(const char **at, int digits, int min, int max, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        number = number * 10 + (**at - '0');
    }
    *ret_number = number;
    return number >= min && number <= max;
}

static bool take_one_of(const char **at, char a, char b)
{
    if (**at == '\0' || (**at != a && **at != b))
        return false;
    ++*at;
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 of a date that may not be one: then false. */
static bool take_date(const char **at, int64_t *ret_days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_number(at, 4, 1970, 9999, &year) || !take_one_of(at, '-', '-') ||
        !take_number(at, 2, 1, 12, &month) || !take_one_of(at, '-', '-') ||
        !take_number(at, 2, 1, 31, &day))
        return false;
    if (day > lengths[month - 1] + (month == 2 && is_leap(year)))
        return false;
    int64_t days = 0;
    for (int y = 1970; y < year; y++)
        days += 365 + is_leap(y);
    for (int m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && is_leap(year));
    *ret_days = days + day - 1;
    return true;
}

/* ".123": any number of digits, of which six count. */
static bool take_fraction(const char **at, int64_t *ret_us)
{
    int64_t us = 0, unit = 100000;
    if (**at != '.')
        return true;
    ++*at;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        us += (**at - '0') * unit;
    *ret_us = us;
    return true;
}

static bool take_offset(const char **at, int64_t *ret_seconds)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;
    if (take_one_of(at, 'Z', 'z'))
        return true;
    if (!take_one_of(at, '+', '-') || !take_number(at, 2, 0, 23, &hours) ||
        !take_one_of(at, ':', ':') || !take_number(at, 2, 0, 59, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

int when_parse(const char *text, int64_t *ret_wall_us)
{
    int64_t days = 0, us = 0, offset = 0;
    int hour = 0, minute = 0, second = 0;
    const char *at = text;
    if (!take_date(&at, &days))
        return -1;
    if (*at != '\0') {
        if (!take_one_of(&at, 'T', 't') || !take_number(&at, 2, 0, 23, &hour) ||
            !take_one_of(&at, ':', ':') || !take_number(&at, 2, 0, 59, &minute) ||
            !take_one_of(&at, ':', ':') || !take_number(&at, 2, 0, 60, &second) ||
            !take_fraction(&at, &us) || !take_offset(&at, &offset) || *at != '\0')
            return -1;
    }
    int64_t wall_us =
        (days * 86400 + hour * 3600 + minute * 60 + second - offset) * INT64_C(1000000) + us;
    if (wall_us < 1)
        return -1;
    *ret_wall_us = wall_us;
    return 0;
}

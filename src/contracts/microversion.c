/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/microversion.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAXIMUM_MINOR 93
#define BLANKS        " \t"

struct piece {
    const char *text;
    size_t len;
};

static struct piece trim(const char *text, size_t len)
{
    while (len > 0 && strchr(BLANKS, text[0]) != NULL) {
        text++;
        len--;
    }
    while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
        len--;
    return (struct piece){text, len};
}

/* The last entry of a list with commas. */
static struct piece last_of(const char *list, size_t len)
{
    size_t start = len;
    while (start > 0 && list[start - 1] != ',')
        start--;
    return trim(list + start, len - start);
}

/* The last "compute X" of "service X, service X". */
static bool find_compute(const char *list, struct piece *ret_version)
{
    static const char service[] = "compute";
    size_t len = strlen(list);
    for (;;) {
        struct piece entry = last_of(list, len);
        size_t word = 0;
        while (word < entry.len && strchr(BLANKS, entry.text[word]) == NULL)
            word++;
        struct piece version = trim(entry.text + word, entry.len - word);
        if (version.len > 0 && word == sizeof service - 1 &&
            strncasecmp(entry.text, service, word) == 0) {
            *ret_version = version;
            return true;
        }
        while (len > 0 && list[len - 1] != ',')
            len--;
        if (len-- == 0)
            return false;
    }
}

/* One number without leading zeros (zero itself only where it may be), then end or '.'. */
static bool take_number(const char **text, bool zero, unsigned *ret_number)
{
    const char *p = *text;
    size_t digits = strspn(p, "0123456789");
    if (digits == 0 || (p[0] == '0' && (!zero || digits > 1)))
        return false;
    *ret_number = digits > 6 ? 999999 : (unsigned)strtoul(p, NULL, 10);
    *text = p + digits;
    return true;
}

static bool take_version(struct microversion *version)
{
    const char *p = version->text;
    return take_number(&p, false, &version->major) && *p++ == '.' &&
           take_number(&p, true, &version->minor) && *p == '\0';
}

int microversion_parse(const char *standard, const char *legacy, struct microversion *ret_version,
                       unsigned *ret_status, struct fault *fault)
{
    struct microversion version = {.major = 2, .minor = 1, .text = MICROVERSION_MINIMUM};
    struct piece asked = {NULL, 0};
    if (standard == NULL || !find_compute(standard, &asked)) {
        if (legacy != NULL)
            asked = last_of(legacy, strlen(legacy));
    }
    if (asked.text != NULL) {
        snprintf(version.text, sizeof version.text, "%.*s", (int)asked.len, asked.text);
        if (strcmp(version.text, "latest") == 0)
            snprintf(version.text, sizeof version.text, "%s", MICROVERSION_MAXIMUM);
    }
    if (asked.len >= sizeof version.text || !take_version(&version)) {
        for (char *p = version.text; *p != '\0'; p++) {
            if ((unsigned char)*p >= 0x80)
                *p = '?'; /* an answer is UTF-8, a header may be anything */
        }
        *ret_status = 400;
        fault_set(fault, FAULT_MALFORMED,
                  "API Version String %s is of invalid format. Must be of format "
                  "MajorNum.MinorNum.",
                  version.text);
        ret_version->text[0] = '\0';
        return -1;
    }
    *ret_version = version;
    if (version.major == 2 && version.minor >= 1 && version.minor <= MAXIMUM_MINOR)
        return 0;
    *ret_status = 406;
    return fault_set(fault, FAULT_MALFORMED,
                     "Version %s is not supported by the API. Minimum is %s and maximum is %s.",
                     version.text, MICROVERSION_MINIMUM, MICROVERSION_MAXIMUM);
}

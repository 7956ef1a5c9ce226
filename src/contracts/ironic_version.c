/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/ironic_version.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 9
#define BLANKS     " \t"

static bool take_number(const char **text, unsigned *ret_number)
{
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    *ret_number = (unsigned)strtoul(*text, NULL, 10);
    *text += digits;
    return true;
}

/* "1.X" or "latest", with blanks around it. */
static bool take_version(const char *text, unsigned *ret_major, unsigned *ret_minor)
{
    static const char latest[] = "latest";
    text += strspn(text, BLANKS);
    if (strncasecmp(text, latest, sizeof latest - 1) == 0) {
        *ret_major = 1;
        *ret_minor = IRONIC_MINOR_MAXIMUM;
        text += sizeof latest - 1;
    } else if (!take_number(&text, ret_major) || *text++ != '.' || !take_number(&text, ret_minor)) {
        return false;
    }
    return text[strspn(text, BLANKS)] == '\0';
}

int ironic_version_parse(const char *text, unsigned *ret_minor, struct fault *fault)
{
    unsigned major = 1, minor = 1;
    bool asked = text != NULL && text[strspn(text, BLANKS)] != '\0';
    if (asked && !take_version(text, &major, &minor))
        return fault_set(fault, FAULT_MALFORMED,
                         "Invalid value for " IRONIC_VERSION_HEADER " header");
    if (major == 1 && minor >= 1 && minor <= IRONIC_MINOR_MAXIMUM) {
        *ret_minor = minor;
        return 0;
    }
    return fault_set(fault, FAULT_MALFORMED,
                     major != 1
                         ? "Mutually exclusive versions requested. Version %u.%u requested but not "
                           "supported by this service. The supported version range is: "
                           "[" IRONIC_VERSION_MINIMUM ", " IRONIC_VERSION_MAXIMUM "]."
                         : "Version %u.%u was requested but the minor version is not supported by "
                           "this service. The supported version range is: "
                           "[" IRONIC_VERSION_MINIMUM ", " IRONIC_VERSION_MAXIMUM "].",
                     major, minor);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nova's microversions, as OpenStack's own parser reads them from the two headers. Pure. */
#ifndef NMID_CONTRACTS_MICROVERSION_H
#define NMID_CONTRACTS_MICROVERSION_H

#include <stddef.h>
#include "base/fault.h"

#define MICROVERSION_TEXT    128
#define MICROVERSION_MINIMUM "2.1"
#define MICROVERSION_MAXIMUM "2.93"

struct microversion {
    unsigned major, minor;
    char text[MICROVERSION_TEXT]; /* "2.17"; "" when none was understood */
};

/* standard: the values of OpenStack-API-Version, joined; legacy: of X-OpenStack-Nova-API-Version;
 * either may be NULL. 0, or -1 with the HTTP status 400 or 406. In the latter case the version was
 * understood and is in *ret_version, for the answer's headers. */
int microversion_parse(const char *standard, const char *legacy, struct microversion *ret_version,
                       unsigned *ret_status, struct fault *fault);

#endif

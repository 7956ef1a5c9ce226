/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ironic's API versions: 1.X, in a header of its own. Pure. */
#ifndef NMID_CONTRACTS_IRONIC_VERSION_H
#define NMID_CONTRACTS_IRONIC_VERSION_H

#include "base/fault.h"

#define IRONIC_VERSION_HEADER  "X-OpenStack-Ironic-API-Version"
#define IRONIC_VERSION_MINIMUM "1.1"
#define IRONIC_VERSION_MAXIMUM "1.82"
#define IRONIC_MINOR_MAXIMUM   82

/* text: the header's value; NULL or "": the minimum. 0 and *ret_minor; or -1, which is a 406, with
 * Ironic's words. */
int ironic_version_parse(const char *text, unsigned *ret_minor, struct fault *fault);

#endif

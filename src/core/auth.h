/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Authentication: who asks. With the strategy "none", whoever reaches a listener is administrator;
 * that is why such a listener is a UNIX socket or a loopback address. */
#ifndef NMID_CORE_AUTH_H
#define NMID_CORE_AUTH_H

#include "core/action.h"

/* The principal of a request from this address (borrowed). */
void auth_none(const char *address, struct principal *ret_principal);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy: who may do what to which node. */
#ifndef NMID_CORE_POLICY_H
#define NMID_CORE_POLICY_H

#include <stdbool.h>
#include "core/action.h"

/* May the caller know of the node at all? Administrators and the node's own project may; for all
 * others it must look absent (404, as in Nova). */
bool policy_sees(const struct principal *caller, const struct node *node);

/* A locked node is for administrators only (Nova: locked servers). 0, or -1 with FAULT_LOCKED. */
int policy_check_lock(const struct principal *caller, const struct node *node, bool locked,
                      struct fault *fault);

#endif

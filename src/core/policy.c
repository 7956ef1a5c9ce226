/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/policy.h"

#include <string.h>

bool policy_sees(const struct principal *caller, const struct node *node)
{
    if (caller->administrator)
        return true;
    return caller->project_id != NULL && node->project_id != NULL &&
           strcmp(caller->project_id, node->project_id) == 0;
}

int policy_check_lock(const struct principal *caller, const struct node *node, bool locked,
                      struct fault *fault)
{
    if (!locked || caller->administrator)
        return 0;
    return fault_set(fault, FAULT_LOCKED, "Instance %s is locked", node->uuid);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What conf_node.c asks of info.c beyond info.h: drivers have no business with it. */
#ifndef NMID_CORE_INFO_PARTS_H
#define NMID_CORE_INFO_PARTS_H

#include "core/info.h"

/* The line of the first secret that was taken and stands in the configuration itself; 0: none. */
unsigned info_secret_line(const struct info *info);

#endif

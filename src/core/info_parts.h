/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What conf_node.c and conf_secret.c ask of info.c beyond info.h: drivers have no business with it. */
#ifndef NMID_CORE_INFO_PARTS_H
#define NMID_CORE_INFO_PARTS_H

#include "core/info.h"

/* The line of the first secret that was taken and stands in the configuration itself; 0: none. */
unsigned info_secret_line(const struct info *info);

/* "auth.": stands before the key in messages. Borrowed. */
void info_set_section(struct info *info, const char *section);

#endif

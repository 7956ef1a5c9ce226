/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ipmi driver: IPMI over LAN, 2.0 and 1.5. */
#ifndef NMID_DRIVERS_IPMI_H
#define NMID_DRIVERS_IPMI_H

#include "core/driver.h"

extern const struct driver ipmi_driver;

#endif

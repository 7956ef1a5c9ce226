/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The noop driver, named after Ironic's interface of that name: a node that nmid knows of but has no
 * way to reach. Every injection is refused as unsupported. */
#ifndef NMID_DRIVERS_NOOP_H
#define NMID_DRIVERS_NOOP_H

#include "core/driver.h"

extern const struct driver noop_driver;

#endif

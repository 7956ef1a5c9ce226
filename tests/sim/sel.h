/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The System Event Log of one simulated BMC, as it keeps it. */
#ifndef BMCSIM_SEL_H
#define BMCSIM_SEL_H

#include <stdbool.h>
#include <stdint.h>

/* A window on the newest records, the oldest first. */
#define SEL_MAX 16
struct sel_record {
    uint32_t time;
    uint16_t id;
    uint8_t type, offset;
};
struct sel {
    struct sel_record records[SEL_MAX];
    uint32_t added, erased; /* when */
    uint16_t last_id, reservation;
    uint8_t count;
    bool overflow;
};

#endif

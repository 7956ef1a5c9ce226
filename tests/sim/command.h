/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bmcsim: what the functions of command.c's table share. */
#ifndef BMCSIM_COMMAND_H
#define BMCSIM_COMMAND_H

#include "flow.h"

#define APP      0x06
#define CHASSIS  0x00
#define STORAGE  0x0a
#define OUTSIDE  0 /* the privilege of what needs no session */
#define USER     2
#define OPERATOR 3

enum {
    CC_OK = 0x00,
    CC_INVALID = 0xc1,
    CC_RESERVATION = 0xc5,
    CC_LENGTH = 0xc7,
    CC_TOO_LONG = 0xc8,
    CC_RANGE = 0xc9,
    CC_TOO_MANY = 0xca,
    CC_ABSENT = 0xcb,
    CC_FIELD = 0xcc,
    CC_PRIVILEGE = 0xd4,
    CC_STATE = 0xd5
};

struct call {
    const struct request *request;
    struct bmc *bmc;
    struct session *session; /* NULL outside */
    const uint8_t *in;
    uint8_t *out;
    size_t length; /* of out */
};

/* sel.c; storage commands 40h to 48h */
uint8_t get_sel_info(struct call *call);
uint8_t reserve_sel(struct call *call);
uint8_t get_sel_entry(struct call *call);
uint8_t erase_sel(struct call *call);
uint8_t get_sel_time(struct call *call);

#endif

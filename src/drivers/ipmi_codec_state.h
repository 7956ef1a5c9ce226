/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two halves of the codec (out: ipmi_codec.c, in: ipmi_codec_in.c) share, and nobody else.
 */
#ifndef NMID_DRIVERS_IPMI_CODEC_STATE_H
#define NMID_DRIVERS_IPMI_CODEC_STATE_H

#include <freeipmi/freeipmi.h>
#include "drivers/ipmi_codec.h"
#include "drivers/ipmi_seal.h"

/* The scratch objects, by what they hold. */
enum object {
    RMCP,
    RMCP_IN,
    LAN_SESSION, /* 1.5 */
    LAN_SESSION_IN,
    MESSAGE_HEADER,
    MESSAGE_HEADER_IN,
    MESSAGE_TRAILER_IN,
    REQUEST,
    ANSWER,
    OBJECTS
};

struct ipmi_codec {
    fiid_obj_t object[OBJECTS];
    struct ipmi_seal *seal;
    uint8_t proof[64]; /* of the newest RAKP 2 or 4 that was read */
    size_t proof_len;
};

/* The two's complement checksum of section 13.8. */
uint8_t ipmi_codec_checksum(const uint8_t *bytes, size_t len);

/* The user name for the RAKP messages; NULL when there is none. */
const char *ipmi_codec_name(const struct ipmi_channel *channel, unsigned *ret_len);

/* Tag, one byte of the message's own, two reserved, a session id. Their length. */
size_t ipmi_codec_setup(uint8_t *bytes, uint8_t tag, uint8_t second, uint32_t id);

#endif

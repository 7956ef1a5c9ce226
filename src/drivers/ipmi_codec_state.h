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
    RAKP_2,
    RAKP_4,
    OBJECTS
};

struct ipmi_codec {
    fiid_obj_t object[OBJECTS];
    struct ipmi_seal *seal;
};

/* Algorithm numbers of a cipher suite (table 22-20; 17 from DCMI 1.1). Both use AES-CBC-128. */
struct suite {
    uint8_t authentication, integrity;
    unsigned code_len; /* of the key exchange authentication code */
};

/* The two's complement checksum of section 13.8. */
uint8_t ipmi_codec_checksum(const uint8_t *bytes, size_t len);

const struct suite *ipmi_codec_suite(const struct ipmi_channel *channel);

/* The user name for the RAKP messages; NULL when there is none. */
const char *ipmi_codec_name(const struct ipmi_channel *channel, unsigned *ret_len);

/* The password as libfreeipmi wants it; NULL when there is none. */
const void *ipmi_codec_password(const struct ipmi_channel *channel);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec's way out: IPMI packets to bytes. 1.5 packets are libfreeipmi's; commands and answers
 * go through two templates of our own (command byte, completion code, data), so that one object
 * serves every command and the data is read by us to the byte. All objects are shared by the
 * sessions of the thread: filling one again costs a tenth of creating it. 2.0 packets are of
 * ipmi_seal.c, their proofs and keys of ipmi_codec_proof.c. */
#include "drivers/ipmi_codec.h"

#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "drivers/ipmi_codec_state.h"
#include "drivers/ipmi_info.h"

/* Only its fields' flags and lengths matter; see tmpl_cmd_* of libfreeipmi. */
static fiid_template_t request_template = {
    {8, "cmd", FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED},
    {8 * IPMI_DATA_MAX, "data", FIID_FIELD_OPTIONAL | FIID_FIELD_LENGTH_VARIABLE},
    {0, "", 0}};

static fiid_template_t answer_template = {
    {8, "cmd", FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED | FIID_FIELD_MAKES_PACKET_SUFFICIENT},
    {8, "comp_code",
     FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED | FIID_FIELD_MAKES_PACKET_SUFFICIENT},
    {8 * IPMI_DATA_MAX, "data", FIID_FIELD_OPTIONAL | FIID_FIELD_LENGTH_VARIABLE},
    {0, "", 0}};

static int create_objects(struct ipmi_codec *codec)
{
    fiid_field_t *templates[OBJECTS] = {
        [RMCP] = tmpl_rmcp_hdr,
        [RMCP_IN] = tmpl_rmcp_hdr,
        [LAN_SESSION] = tmpl_lan_session_hdr,
        [LAN_SESSION_IN] = tmpl_lan_session_hdr,
        [MESSAGE_HEADER] = tmpl_lan_msg_hdr_rq,
        [MESSAGE_HEADER_IN] = tmpl_lan_msg_hdr_rs,
        [MESSAGE_TRAILER_IN] = tmpl_lan_msg_trlr,
        [REQUEST] = request_template,
        [ANSWER] = answer_template,
    };
    for (int i = 0; i < OBJECTS; i++) {
        codec->object[i] = fiid_obj_create(templates[i]);
        if (codec->object[i] == NULL)
            return -1;
    }
    return fill_rmcp_hdr_ipmi(codec->object[RMCP]) < 0 ? -1 : 0; /* constant: filled once */
}

struct ipmi_codec *ipmi_codec_new(struct fault *fault)
{
    if (ipmi_rmcpplus_init() < 0) {
        fault_set(fault, FAULT_SYSTEM, "libfreeipmi's cryptography could not be initialised");
        return NULL;
    }
    struct ipmi_codec *codec = calloc(1, sizeof *codec);
    if (codec == NULL || create_objects(codec) < 0 ||
        (codec->seal = ipmi_seal_new(fault)) == NULL) {
        ipmi_codec_free(codec);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    return codec;
}

void ipmi_codec_free(struct ipmi_codec *codec)
{
    if (codec == NULL)
        return;
    ipmi_seal_free(codec->seal);
    for (int i = 0; i < OBJECTS; i++) {
        if (codec->object[i] != NULL) {
            fiid_obj_clear(codec->object[i]);
            fiid_obj_destroy(codec->object[i]);
        }
    }
    free(codec);
}

/* ---- Out ---- */

#define REMOTE_CONSOLE 0x81 /* our software id (table 5-4) as an address */
#define MESSAGE_MAX    (8 + IPMI_DATA_MAX)

static uint32_t swap32(uint32_t x)
{
    return __builtin_bswap32(x);
}

#define MESSAGE_HEADER_LEN 5

/* A request message to the byte (section 13.8): header, command, data, checksum. Its length. */
static size_t put_message(uint8_t *bytes, const struct ipmi_command *command, uint8_t rq_seq)
{
    size_t len = MESSAGE_HEADER_LEN;
    bytes[0] = IPMI_SLAVE_ADDRESS_BMC;
    bytes[1] = (uint8_t)(command->net_fn << 2);
    bytes[2] = (uint8_t) - (bytes[0] + bytes[1]);
    bytes[3] = REMOTE_CONSOLE;
    bytes[4] = (uint8_t)(rq_seq << 2);
    bytes[len++] = command->cmd;
    for (size_t i = 0; i < command->len; i++)
        bytes[len++] = command->data[i];
    bytes[len] = ipmi_codec_checksum(bytes + 3, len - 3);
    return len + 1;
}

uint8_t ipmi_codec_checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += bytes[i];
    return (uint8_t)-sum;
}

/* The same for libfreeipmi, which adds the checksum itself. */
static int fill_request(struct ipmi_codec *codec, const struct ipmi_command *command,
                        uint8_t rq_seq)
{
    uint8_t bytes[MESSAGE_MAX];
    size_t len = put_message(bytes, command, rq_seq) - 1 - MESSAGE_HEADER_LEN;
    fiid_obj_t request = codec->object[REQUEST], header = codec->object[MESSAGE_HEADER];
    return fiid_obj_clear(request) < 0 ||
                   fiid_obj_set_all(request, bytes + MESSAGE_HEADER_LEN, (unsigned)len) < 0 ||
                   fiid_obj_set_all(header, bytes, MESSAGE_HEADER_LEN) != MESSAGE_HEADER_LEN
               ? -1
               : 0;
}

static void put(struct ipmi_datagram *out, int len)
{
    out->len = len > 0 ? (size_t)len : 0;
}

/* A 1.5 packet around REQUEST and MESSAGE_HEADER. */
static void assemble_1_5(struct ipmi_codec *codec, uint8_t auth_type, uint32_t sequence,
                         uint32_t id, const struct ipmi_channel *channel, struct ipmi_datagram *out)
{
    fiid_obj_t header = codec->object[LAN_SESSION];
    bool secret = auth_type != IPMI_AUTHENTICATION_TYPE_NONE && channel->password_len > 0;
    if (fiid_obj_clear(header) < 0 || fill_lan_session_hdr(auth_type, sequence, id, header) < 0) {
        put(out, -1);
        return;
    }
    put(out, assemble_ipmi_lan_pkt(codec->object[RMCP], header, codec->object[MESSAGE_HEADER],
                                   codec->object[REQUEST], secret ? channel->password : NULL,
                                   secret ? channel->password_len : 0, out->bytes,
                                   sizeof out->bytes, IPMI_INTERFACE_FLAGS_DEFAULT));
    fiid_obj_clear(header); /* it may have the password in clear */
}

void ipmi_codec_command(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                        const struct ipmi_command *command, uint8_t rq_seq, uint32_t sequence,
                        struct ipmi_datagram *ret_out)
{
    ret_out->len = 0;
    if (command->len > IPMI_DATA_MAX)
        return;
    if (channel->active && !channel->ipmi_1_5) {
        uint8_t message[MESSAGE_MAX];
        size_t len = put_message(message, command, rq_seq);
        ipmi_seal(codec->seal, channel, sequence, message, len, ret_out);
        return;
    }
    if (fill_request(codec, command, rq_seq) < 0)
        return;
    if (!channel->active) {
        assemble_1_5(codec, IPMI_AUTHENTICATION_TYPE_NONE, 0, 0, channel, ret_out);
        return;
    }
    uint8_t type = channel->per_message ? channel->auth_type : IPMI_AUTHENTICATION_TYPE_NONE;
    /* Quirk "endianseq": the Sun Fire 4100 counts in the other byte order. */
    if (channel->workarounds & IPMI_WORKAROUND_ENDIANSEQ)
        sequence = swap32(sequence);
    assemble_1_5(codec, type, sequence, channel->bmc_id, channel, ret_out);
}

void ipmi_codec_activate(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                         uint32_t first_sequence, uint8_t rq_seq, struct ipmi_datagram *ret_out)
{
    uint8_t data[22] = {channel->auth_type, channel->privilege}; /* table 22-23 */
    memcpy(data + 2, channel->challenge, 16);
    for (int i = 0; i < 4; i++)
        data[18 + i] = (uint8_t)(first_sequence >> (8 * i));
    struct ipmi_command command = {IPMI_NET_FN_APP_RQ, IPMI_CMD_ACTIVATE_SESSION, data,
                                   sizeof data};
    if (fill_request(codec, &command, rq_seq) < 0)
        put(ret_out, -1);
    else
        assemble_1_5(codec, channel->auth_type, 0, channel->bmc_id, channel, ret_out);
}

size_t ipmi_codec_setup(uint8_t *bytes, uint8_t tag, uint8_t second, uint32_t id)
{
    bytes[0] = tag;
    bytes[1] = second;
    bytes[2] = bytes[3] = 0;
    for (int i = 0; i < 4; i++)
        bytes[4 + i] = (uint8_t)(id >> (8 * i));
    return 8;
}

void ipmi_codec_open(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                     struct ipmi_datagram *ret_out)
{
    (void)codec;
    /* Table 22-20; 17 is from DCMI 1.1. */
    bool is_17 = channel->suite == 17;
    const uint8_t algorithms[3] = {is_17 ? IPMI_AUTHENTICATION_ALGORITHM_RAKP_HMAC_SHA256
                                         : IPMI_AUTHENTICATION_ALGORITHM_RAKP_HMAC_SHA1,
                                   is_17 ? IPMI_INTEGRITY_ALGORITHM_HMAC_SHA256_128
                                         : IPMI_INTEGRITY_ALGORITHM_HMAC_SHA1_96,
                                   IPMI_CONFIDENTIALITY_ALGORITHM_AES_CBC_128};
    uint8_t payload[32] = {0}; /* table 13-9 */
    size_t len = ipmi_codec_setup(payload, tag, channel->privilege, channel->console_id);
    for (uint8_t i = 0; i < 3; i++, len += 8) {
        payload[len] = i; /* authentication, integrity, confidentiality */
        payload[len + 3] = 8;
        payload[len + 4] = algorithms[i];
    }
    ipmi_frame(IPMI_PAYLOAD_TYPE_RMCPPLUS_OPEN_SESSION_REQUEST, payload, len, ret_out);
}

/* The user name for the RAKP messages. Quirk "intel20": the SE7520AF2 wants it padded. */
const char *ipmi_codec_name(const struct ipmi_channel *channel, unsigned *ret_len)
{
    bool padded = (channel->workarounds & IPMI_WORKAROUND_INTEL20) != 0;
    *ret_len = padded ? 16 : channel->username_len;
    return *ret_len > 0 ? channel->username : NULL;
}

void ipmi_codec_rakp_1(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                       struct ipmi_datagram *ret_out)
{
    (void)codec;
    unsigned name_len;
    const char *name = ipmi_codec_name(channel, &name_len);
    uint8_t payload[44] = {0}; /* table 13-11 */
    ipmi_codec_setup(payload, tag, 0, channel->bmc_id);
    memcpy(payload + 8, channel->console_random, 16);
    payload[24] = channel->privilege | 0x10; /* look the user up by the name only */
    payload[27] = (uint8_t)name_len;
    if (name != NULL)
        memcpy(payload + 28, name, name_len);
    ipmi_frame(IPMI_PAYLOAD_TYPE_RAKP_MESSAGE_1, payload, 28 + name_len, ret_out);
}

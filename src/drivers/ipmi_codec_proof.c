/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The proofs of RAKP 2, 3 and 4, and a session's keys (IPMI 2.0, sections 13.31 and 13.32). Ours
 * and not libfreeipmi's: its HMACs copy the password, allocate, and end the process (libgcrypt
 * does) or look like a wrong password when there is no memory; these cannot run out of it. */
#include <string.h>
#include "base/digest.h"
#include "drivers/ipmi_codec_state.h"
#include "drivers/ipmi_info.h"

#define NAME_ONLY   0x10 /* look the user up by the name alone (table 13-11) */
#define INPUT_MAX   128  /* of the longest, RAKP 2's: 4 + 4 + 16 + 16 + 16 + 2 + 16 */
#define RANDOM_LEN  16
#define KG_LEN      20
#define CONST_LEN   20 /* K1 is of 20 bytes 01h, K2 of 20 bytes 02h, with SHA-256 too */
#define K2_USED_LEN 16 /* AES takes so much of K2 (section 13.29.2) */

/* What a proof is of. */
struct input {
    uint8_t bytes[INPUT_MAX];
    size_t len;
};

static void put(struct input *input, const void *bytes, size_t len)
{
    memcpy(input->bytes + input->len, bytes, len);
    input->len += len;
}

static void put_id(struct input *input, uint32_t id)
{
    for (int i = 0; i < 4; i++)
        input->bytes[input->len++] = (uint8_t)(id >> (8 * i));
}

/* Privilege and lookup, the user name's length, the user name. */
static void put_role(struct input *input, const struct ipmi_channel *channel, uint8_t lookup)
{
    unsigned len;
    const char *name = ipmi_codec_name(channel, &len);
    input->bytes[input->len++] = channel->privilege | lookup;
    input->bytes[input->len++] = (uint8_t)len;
    if (name != NULL)
        put(input, name, len);
}

static enum digest kind_of(const struct ipmi_channel *channel)
{
    return channel->suite == 17 ? DIGEST_SHA256 : DIGEST_SHA1;
}

static int with_password(const struct ipmi_channel *channel, const struct input *input,
                         uint8_t ret_code[DIGEST_MAX])
{
    return digest_hmac(kind_of(channel), channel->password, channel->password_len, input->bytes,
                       input->len, ret_code);
}

bool ipmi_codec_proves_rakp_2(struct ipmi_codec *codec, const struct ipmi_channel *channel)
{
    struct input input = {.len = 0};
    uint8_t code[DIGEST_MAX];
    size_t want = digest_len(kind_of(channel)), len = codec->proof_len;
    /* Quirks "supermicro20" (H8QME: the code is one byte too long) and "sun20" (Sun Fire 4100: too
     * long with SHA1). */
    bool cut = (channel->workarounds & (IPMI_WORKAROUND_SUPERMICRO20 | IPMI_WORKAROUND_SUN20)) != 0;
    put_id(&input, channel->console_id);
    put_id(&input, channel->bmc_id);
    put(&input, channel->console_random, RANDOM_LEN);
    put(&input, channel->bmc_random, RANDOM_LEN);
    put(&input, channel->bmc_guid, RANDOM_LEN);
    put_role(&input, channel, NAME_ONLY);
    return with_password(channel, &input, code) == 0 &&
           secret_equal(code, want, codec->proof, cut && len > want ? want : len);
}

void ipmi_codec_rakp_3(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                       uint8_t status, struct ipmi_datagram *ret_out)
{
    uint8_t payload[8 + DIGEST_MAX]; /* table 13-13 */
    struct input input = {.len = 0};
    size_t len = ipmi_codec_setup(payload, tag, status, channel->bmc_id);
    (void)codec;
    /* Quirk "intel20": this code is made as if the lookup were by name and privilege. */
    uint8_t lookup = (channel->workarounds & IPMI_WORKAROUND_INTEL20) != 0 ? 0 : NAME_ONLY;
    put(&input, channel->bmc_random, RANDOM_LEN);
    put_id(&input, channel->console_id);
    put_role(&input, channel, lookup);
    ret_out->len = 0;
    if (with_password(channel, &input, payload + len) == 0) /* who gives up proves nothing */
        ipmi_frame(IPMI_PAYLOAD_TYPE_RAKP_MESSAGE_3, payload,
                   status == 0 ? len + digest_len(kind_of(channel)) : len, ret_out);
    secret_wipe(payload, sizeof payload);
}

bool ipmi_codec_proves_rakp_4(struct ipmi_codec *codec, const struct ipmi_channel *channel)
{
    struct input input = {.len = 0};
    uint8_t code[DIGEST_MAX];
    put(&input, channel->console_random, RANDOM_LEN);
    put_id(&input, channel->bmc_id);
    put(&input, channel->bmc_guid, RANDOM_LEN);
    return digest_hmac(kind_of(channel), channel->sik, channel->sik_len, input.bytes, input.len,
                       code) == 0 &&
           secret_equal(code, channel->suite == 17 ? 16 : 12, codec->proof, codec->proof_len);
}

int ipmi_codec_keys(struct ipmi_codec *codec, struct ipmi_channel *channel)
{
    static const uint8_t const_1[CONST_LEN] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                               1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint8_t const_2[CONST_LEN] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
                                               2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    enum digest kind = kind_of(channel);
    unsigned len = (unsigned)digest_len(kind);
    const uint8_t *key = channel->has_k_g ? channel->k_g : channel->password;
    size_t key_len = channel->has_k_g ? KG_LEN : channel->password_len;
    struct input input = {.len = 0};
    (void)codec;
    put(&input, channel->console_random, RANDOM_LEN);
    put(&input, channel->bmc_random, RANDOM_LEN);
    put_role(&input, channel, NAME_ONLY);
    channel->sik_len = channel->integrity_len = len;
    channel->confidentiality_len = K2_USED_LEN;
    return digest_hmac(kind, key, key_len, input.bytes, input.len, channel->sik) < 0 ||
                   digest_hmac(kind, channel->sik, len, const_1, CONST_LEN,
                               channel->integrity_key) < 0 ||
                   digest_hmac(kind, channel->sik, len, const_2, CONST_LEN,
                               channel->confidentiality_key) < 0
               ? -1
               : 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_seal.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/secret.h"

#define HEADER        16 /* RMCP, format, payload type, session id, sequence number, length */
#define PAYLOAD_TYPE  5
#define SESSION_ID    6
#define SEQUENCE      10
#define LENGTH        14
#define BLOCK         16 /* of AES; the initialisation vector too */
#define MESSAGE_MAX   200
#define NEXT_HEADER   0x07
#define ENCRYPTED     0x80
#define AUTHENTICATED 0x40

struct ipmi_seal {
    gcry_cipher_hd_t aes; /* with a key only while it works */
};

static void put32(uint8_t *bytes, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(x >> (8 * i));
}

static uint32_t get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

struct ipmi_seal *ipmi_seal_new(struct fault *fault)
{
    struct ipmi_seal *seal = calloc(1, sizeof *seal);
    if (seal == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    uint8_t code[DIGEST_MAX];
    if (gcry_cipher_open(&seal->aes, GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_CBC, 0) != 0 ||
        digest_hmac(DIGEST_SHA1, "", 0, "", 0, code) < 0 ||
        digest_hmac(DIGEST_SHA256, "", 0, "", 0, code) < 0) {
        fault_set(fault, FAULT_SYSTEM, "libgcrypt has no AES-128, SHA-1 or SHA-256 (FIPS mode?)");
        ipmi_seal_free(seal);
        return NULL;
    }
    return seal;
}

void ipmi_seal_free(struct ipmi_seal *seal)
{
    if (seal == NULL)
        return;
    gcry_cipher_close(seal->aes);
    free(seal);
}

/* The 16 bytes before every payload. */
static void put_header(uint8_t *bytes, uint8_t payload_type, uint32_t id, uint32_t sequence,
                       size_t len)
{
    static const uint8_t start[5] = {0x06, 0x00, 0xff, 0x07, 0x06}; /* RMCP, no ack, IPMI; RMCP+ */
    memcpy(bytes, start, sizeof start);
    bytes[PAYLOAD_TYPE] = payload_type;
    put32(bytes + SESSION_ID, id);
    put32(bytes + SEQUENCE, sequence);
    bytes[LENGTH] = (uint8_t)len;
    bytes[LENGTH + 1] = (uint8_t)(len >> 8);
}

static size_t payload_len(const uint8_t *bytes)
{
    return bytes[LENGTH] | (size_t)bytes[LENGTH + 1] << 8;
}

void ipmi_frame(uint8_t payload_type, const uint8_t *payload, size_t len,
                struct ipmi_datagram *ret_out)
{
    ret_out->len = 0;
    if (len > MESSAGE_MAX)
        return;
    put_header(ret_out->bytes, payload_type, 0, 0, len);
    memcpy(ret_out->bytes + HEADER, payload, len);
    ret_out->len = HEADER + len;
}

int ipmi_unframe(const uint8_t *bytes, size_t len, bool one_less, uint8_t *ret_type,
                 const uint8_t **ret_payload, size_t *ret_len)
{
    if (len < HEADER || (bytes[PAYLOAD_TYPE] & (ENCRYPTED | AUTHENTICATED)) != 0 ||
        get32(bytes + SESSION_ID) != 0 || get32(bytes + SEQUENCE) != 0)
        return -1;
    size_t size = payload_len(bytes);
    if (one_less && size == len - HEADER + 1)
        size--;
    if (size > len - HEADER)
        return -1;
    *ret_type = bytes[PAYLOAD_TYPE];
    *ret_payload = bytes + HEADER;
    *ret_len = size;
    return 0;
}

/* HMAC-SHA1-96 (suite 3) or HMAC-SHA256-128 (suite 17) over bytes 4 to len; how long it is. */
static size_t authenticate(const struct ipmi_channel *channel, const uint8_t *bytes, size_t len,
                           uint8_t code[16])
{
    uint8_t digest[DIGEST_MAX];
    bool is_17 = channel->suite == 17;
    size_t code_len = is_17 ? 16 : 12;
    if (digest_hmac(is_17 ? DIGEST_SHA256 : DIGEST_SHA1, channel->integrity_key,
                    channel->integrity_len, bytes + 4, len - 4, digest) < 0)
        return 0;
    memcpy(code, digest, code_len);
    return code_len;
}

static bool set_cipher(struct ipmi_seal *seal, const struct ipmi_channel *channel,
                       const uint8_t *vector)
{
    return gcry_cipher_setkey(seal->aes, channel->confidentiality_key, BLOCK) == 0 &&
           gcry_cipher_setiv(seal->aes, vector, BLOCK) == 0;
}

/* The schedule of the session's key gives way to that of no key. */
static void clear_cipher(struct ipmi_seal *seal)
{
    static const uint8_t nothing[BLOCK];
    (void)!gcry_cipher_setkey(seal->aes, nothing, BLOCK);
}

void ipmi_seal(struct ipmi_seal *seal, const struct ipmi_channel *channel, uint32_t sequence,
               const uint8_t *message, size_t len, struct ipmi_datagram *ret_out)
{
    uint8_t *bytes = ret_out->bytes, *vector = bytes + HEADER, *body = vector + BLOCK;
    ret_out->len = 0;
    if (len > MESSAGE_MAX)
        return;
    /* Padded with 1, 2, 3 ... and the number of these, to whole blocks (table 13-20). */
    size_t pad = (BLOCK - (len + 1) % BLOCK) % BLOCK, size = len + pad + 1;
    memcpy(body, message, len);
    for (size_t i = 0; i < pad; i++)
        body[len + i] = (uint8_t)(i + 1);
    body[size - 1] = (uint8_t)pad;
    secret_random(vector, BLOCK);
    bool encrypted = set_cipher(seal, channel, vector) &&
                     gcry_cipher_encrypt(seal->aes, body, size, NULL, 0) == 0;
    clear_cipher(seal);
    if (!encrypted)
        return;
    put_header(bytes, ENCRYPTED | AUTHENTICATED, channel->bmc_id, sequence, BLOCK + size);
    /* The trailer (table 13-8): filled to whole words from the authentication type on, which the
     * encrypted payload's length makes two bytes, always. */
    size_t at = HEADER + BLOCK + size;
    bytes[at++] = 0xff;
    bytes[at++] = 0xff;
    bytes[at++] = 2;
    bytes[at++] = NEXT_HEADER;
    size_t code_len = authenticate(channel, bytes, at, bytes + at);
    if (code_len > 0)
        ret_out->len = at + code_len;
}

enum ipmi_ignored ipmi_unseal(struct ipmi_seal *seal, const struct ipmi_channel *channel,
                              const uint8_t *bytes, size_t len, uint8_t *message, size_t *ret_len,
                              uint32_t *ret_sequence)
{
    size_t code_len = channel->suite == 17 ? 16 : 12;
    uint8_t code[16];
    /* At least one block behind the vector, and the trailer's two bytes before the code. */
    if (len < HEADER + 2 * BLOCK + 2 + code_len || len > IPMI_DATAGRAM_MAX)
        return IPMI_IGNORED_MALFORMED;
    size_t size = payload_len(bytes);
    if (get32(bytes + SESSION_ID) != channel->console_id)
        return IPMI_IGNORED_SESSION;
    if (size < 2 * BLOCK || size % BLOCK != 0 || size > len - HEADER - 2 - code_len)
        return IPMI_IGNORED_MALFORMED;
    if (bytes[PAYLOAD_TYPE] != (ENCRYPTED | AUTHENTICATED) ||
        authenticate(channel, bytes, len - code_len, code) != code_len ||
        !secret_equal(code, code_len, bytes + len - code_len, code_len))
        return IPMI_IGNORED_AUTHCODE;
    size -= BLOCK;
    bool decrypted =
        set_cipher(seal, channel, bytes + HEADER) &&
        gcry_cipher_decrypt(seal->aes, message, size, bytes + HEADER + BLOCK, size) == 0;
    clear_cipher(seal);
    if (!decrypted)
        return IPMI_IGNORED_MALFORMED;
    size_t pad = message[size - 1];
    if (pad + 1 > size || pad >= BLOCK)
        return IPMI_IGNORED_MALFORMED;
    *ret_len = size - pad - 1;
    *ret_sequence = get32(bytes + SEQUENCE);
    return IPMI_GOOD;
}

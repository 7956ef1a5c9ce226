/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IPMI 2.0 packets to the byte: the frame of every RMCP+ packet (section 13.6), and the encryption
 * and authentication of those within a session (sections 13.28, 13.29): HMAC over all from the
 * authentication type on, AES-CBC-128 inside.
 *
 * Ours and not libfreeipmi's: its assemble_ and unassemble_ipmi_rmcpplus_pkt() make and clear a 64
 * KB object and open /dev/urandom for each packet, which was half of the CPU of an injection, and
 * decrypt before they authenticate. */
#ifndef NMID_DRIVERS_IPMI_SEAL_H
#define NMID_DRIVERS_IPMI_SEAL_H

#include "drivers/ipmi_codec.h"

/* The ciphers of a thread; NULL with a fault. */
struct ipmi_seal;
struct ipmi_seal *ipmi_seal_new(struct fault *fault);
void ipmi_seal_free(struct ipmi_seal *seal); /* NULL-safe */

/* Outside a session: the payload of this type (section 13.27.3) in its frame. */
void ipmi_frame(uint8_t payload_type, const uint8_t *payload, size_t len,
                struct ipmi_datagram *ret_out);

/* The same way back: 0 when the frame is good, whole and of no session. Points into bytes.
 * one_less: quirk "supermicro20", the H8QME claims one byte more than it sends. */
int ipmi_unframe(const uint8_t *bytes, size_t len, bool one_less, uint8_t *ret_type,
                 const uint8_t **ret_payload, size_t *ret_len);

/* Within a session: an encrypted, authenticated packet around a message (at most 200 bytes). */
void ipmi_seal(struct ipmi_seal *seal, const struct ipmi_channel *channel, uint32_t sequence,
               const uint8_t *message, size_t len, struct ipmi_datagram *ret_out);

/* The message of a packet whose session id and authentication code are right: first authenticated,
 * then decrypted. message has IPMI_DATAGRAM_MAX bytes. */
enum ipmi_ignored ipmi_unseal(struct ipmi_seal *seal, const struct ipmi_channel *channel,
                              const uint8_t *bytes, size_t len, uint8_t *message, size_t *ret_len,
                              uint32_t *ret_sequence);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets of the BMC in a test: bytes to fields and back. */
#ifndef NMID_TESTS_IPMI_WIRE_H
#define NMID_TESTS_IPMI_WIRE_H

#include "bmc.h"

uint32_t wire_get32(const uint8_t *bytes);
void wire_put(struct ipmi_datagram *to, const void *bytes, size_t len);
void wire_put8(struct ipmi_datagram *to, uint8_t byte);
void wire_put32(struct ipmi_datagram *to, uint32_t value);

/* The payload of a 2.0 message from the console: its code checked, decrypted in place.
 * False: not authentic or not well formed. */
bool wire_open_2_0(unsigned suite, const struct bmc_session *session, const uint8_t *bytes,
                   size_t len, uint8_t *payload, size_t *ret_len);

/* Is the authentication code of this 1.5 packet right? */
bool wire_check_1_5(const char *password, const uint8_t *bytes, size_t len);

#endif

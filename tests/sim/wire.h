/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers on the wire: IPMI is little-endian. */
#ifndef BMCSIM_WIRE_H
#define BMCSIM_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RMCP_HEADER "\x06\x00\xff\x07" /* version 1, no ACK wanted, class IPMI */

static inline uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void le32_put(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

/* Appends; returns the new end. */
static inline uint8_t *put(uint8_t *p, const void *data, size_t length)
{
    memcpy(p, data, length);
    return p + length;
}

/* The checksum of IPMI messages: all bytes and it add up to 0. */
static inline uint8_t checksum(const uint8_t *p, size_t length)
{
    uint8_t sum = 0;

    while (length-- > 0)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

#endif

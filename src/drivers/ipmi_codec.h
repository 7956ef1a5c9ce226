/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec: IPMI packets to and from bytes. No sockets, no clock, no state but scratch objects
 * that all sessions of a thread share (libfreeipmi's, which is known nowhere else). Network bytes
 * are hostile: what is malformed, foreign or not authentic is told apart and never acted upon.
 * Rules: IPMI 2.0 rev 1.1, sections 13.6 (1.5 packets), 13.17-13.32 (RMCP+, RAKP), 22 (commands).
 */
#ifndef NMID_DRIVERS_IPMI_CODEC_H
#define NMID_DRIVERS_IPMI_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fault.h"

#define IPMI_DATAGRAM_MAX 512 /* longer than any packet of these exchanges */
#define IPMI_DATA_MAX     64  /* of a command or an answer, behind command and completion code */

struct ipmi_codec;

struct ipmi_datagram {
    size_t len; /* 0: nothing */
    uint8_t bytes[IPMI_DATAGRAM_MAX];
};

/* What both ends of a session know: numbers, keys, secrets. Wipe it when the session ends. */
struct ipmi_channel {
    bool ipmi_1_5;
    bool active;         /* messages carry the session's numbers and are authenticated */
    unsigned suite;      /* 2.0: 3 or 17 */
    uint8_t privilege;   /* asked for: 3 operator, 4 administrator */
    uint32_t console_id; /* 2.0: ours, in what the BMC sends */
    uint32_t bmc_id;     /* the BMC's, in what we send; 1.5: the session's one id */
    uint8_t console_random[16], bmc_random[16], bmc_guid[16];
    uint8_t sik[32], integrity_key[32], confidentiality_key[32];
    unsigned sik_len, integrity_len, confidentiality_len;
    uint8_t auth_type;     /* 1.5: of Activate Session and, with per_message, of all later ones */
    bool per_message;      /* 1.5: each message is authenticated */
    uint8_t challenge[16]; /* 1.5 */
    char username[17];     /* padded with NULs */
    unsigned username_len;
    uint8_t password[20]; /* padded with NULs */
    unsigned password_len;
    uint8_t k_g[20];
    bool has_k_g;
    unsigned workarounds; /* enum ipmi_workaround */
};

struct ipmi_command {
    uint8_t net_fn, cmd;
    const uint8_t *data;
    size_t len;
};

enum ipmi_packet_kind {
    IPMI_PACKET_MESSAGE,
    IPMI_PACKET_OPEN,
    IPMI_PACKET_RAKP_2,
    IPMI_PACKET_RAKP_4
};

/* A packet from the BMC whose form, checksum and (in a session) authentication code are right. */
struct ipmi_packet {
    enum ipmi_packet_kind kind;
    /* Messages. */
    bool in_session;
    uint32_t sequence;
    uint8_t net_fn, rq_seq, cmd, completion;
    uint8_t data[IPMI_DATA_MAX];
    size_t len;
    /* Open Session and RAKP. */
    uint8_t tag, status;
    bool has_console_id; /* false: an error that ends behind the status, as some BMCs send it */
    uint32_t console_id, bmc_id;
    uint8_t bmc_random[16], bmc_guid[16];
};

/* Why a datagram is ignored. */
enum ipmi_ignored {
    IPMI_GOOD = 0,
    IPMI_IGNORED_MALFORMED, /* not a packet, cut off, a wrong checksum */
    IPMI_IGNORED_SESSION,   /* of another session, or outside any */
    IPMI_IGNORED_AUTHCODE,  /* not authentic */
    IPMI_IGNORED_SEQUENCE,  /* a sequence number seen before or out of the window */
    IPMI_IGNORED_UNASKED,   /* not an answer to what is being asked */
    IPMI_IGNORED_KINDS
};

/* Once per thread that uses it; the first call initialises libfreeipmi's crypto. */
struct ipmi_codec *ipmi_codec_new(struct fault *fault);
void ipmi_codec_free(struct ipmi_codec *codec);

/* Each builder fills ret_out (len 0 when the library refused, which only bad arguments cause). */
void ipmi_codec_command(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                        const struct ipmi_command *command, uint8_t rq_seq, uint32_t sequence,
                        struct ipmi_datagram *ret_out);
/* 1.5 only: with the temporary session id, sequence number 0, and always authenticated. */
void ipmi_codec_activate(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                         uint32_t first_sequence, uint8_t rq_seq, struct ipmi_datagram *ret_out);
void ipmi_codec_open(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                     struct ipmi_datagram *ret_out);
void ipmi_codec_rakp_1(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                       struct ipmi_datagram *ret_out);
/* status other than 0 tells the BMC that we give up. */
void ipmi_codec_rakp_3(struct ipmi_codec *codec, const struct ipmi_channel *channel, uint8_t tag,
                       uint8_t status, struct ipmi_datagram *ret_out);

/* Reads one datagram of len bytes. */
enum ipmi_ignored ipmi_codec_read(struct ipmi_codec *codec, const struct ipmi_channel *channel,
                                  const uint8_t *bytes, size_t len, struct ipmi_packet *ret_packet);

/* The proofs. Each must follow ipmi_codec_read() of its packet directly, and uses channel's
 * bmc_random and bmc_guid. rakp_2: does the BMC know the password? rakp_4: does it know K_g? */
bool ipmi_codec_proves_rakp_2(struct ipmi_codec *codec, const struct ipmi_channel *channel);
bool ipmi_codec_proves_rakp_4(struct ipmi_codec *codec, const struct ipmi_channel *channel);

/* SIK, K1 and K2 from what both sides know now; -1 when libgcrypt refuses. */
int ipmi_codec_keys(struct ipmi_codec *codec, struct ipmi_channel *channel);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bmcsim's nouns: a simulated BMC, its counters, a session,
 * a peer (who sent a datagram) and a request (one IPMI command, out of its packet). */
#ifndef BMCSIM_BMC_H
#define BMCSIM_BMC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sel.h"
#include "settings.h"

#define CONTROL_VALUES 6
struct counters { /* all uint64_t: summed as an array by control.c */
    uint64_t nmi, control[CONTROL_VALUES], executed[CONTROL_VALUES], sessions_opened;
    uint64_t sessions_closed, datagrams_in, datagrams_out, auth_failures, dropped;
    uint64_t sel_requests;
};

enum state { STATE_CHALLENGED, STATE_OPEN, STATE_RAKP, STATE_ACTIVE, STATE_CLOSING };

struct session {
    struct session *next;
    uint32_t id, peer_id; /* ours; RMCP+: the console's */
    enum state state;
    bool plus;       /* RMCP+ */
    bool controlled; /* a Chassis Control came */
    uint32_t probes; /* Get Chassis Status requests that came after it */
    uint8_t auth_type, suite, limit, privilege;
    uint8_t role, name_length, name[16];
    uint8_t console_random[16], random[16]; /* random: the challenge in a 1.5 session */
    uint8_t sik[32], k1[32], k2[32];
    uint32_t seq_out, seq_highest, seq_seen; /* seq_seen: bit N = highest - N came */
    int64_t used_us;
};

enum way { WAY_IN, WAY_OUT, WAYS };
#define EXECUTIONS_MAX 16
struct held;

struct bmc {
    uint32_t address; /* IPv4 in host order; 0: ::1 */
    struct settings settings;
    struct counters counters;
    struct session *sessions;
    uint64_t loss_random; /* a stream of its own, so that the losses of one BMC repeat */
    uint64_t order_random[WAYS];
    struct held *held[WAYS]; /* a datagram that the next one overtakes, or NULL */
    bool controlled;         /* a Chassis Control came since the start */
    struct sel sel;
    int64_t executions[EXECUTIONS_MAX]; /* wall clock, us, of the last interrupts: a ring */
    int64_t busy_until_us;
    uint8_t guid[16];
};

struct peer {
    int fd;
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
};

#define REQUEST_DATA_MAX 64
struct request {
    struct bmc *bmc;
    struct peer peer;
    enum kind kind;
    bool plus;           /* came in RMCP+ format */
    uint32_t session_id; /* 0: outside a session */
    uint8_t privilege;   /* the session's when it came; 0 outside */
    uint32_t probe;      /* the N-th Get Chassis Status after a Chassis Control; or 0 */
    uint8_t rs_addr, netfn, rq_addr, rq_lun, rs_lun, rq_seq, cmd;
    size_t length; /* of data; more than REQUEST_DATA_MAX: too long for any command we know */
    uint8_t data[REQUEST_DATA_MAX];
};

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A BMC in a test: what it is sent it reads, and writes answers, all in memory. It has its own
 * cryptography (libgcrypt) and derives its own keys from the password, so that what it reads does
 * not depend on the session's machine. From IPMI 2.0, sections 13.6 to 13.33 and 22.13 to 22.19. */
#ifndef NMID_TESTS_IPMI_BMC_H
#define NMID_TESTS_IPMI_BMC_H

#include "drivers/ipmi_codec.h"

#define BMC_SESSIONS_MAX 32
#define BMC_SEL_MAX      48

/* This BMC never offers MD2, which libgcrypt has not; what is sent with it (after a forged offer)
 * is read, and counted, without a look at its code. */
enum bmc_auth_type { BMC_NONE = 0, BMC_MD2 = 1, BMC_MD5 = 2, BMC_PASSWORD = 4 };

/* One session, from its Open Session or Get Session Challenge. */
struct bmc_session {
    uint32_t id, console_id;
    bool active, closed;
    uint8_t privilege;
    unsigned name_len;
    uint8_t name[16];
    uint8_t console_random[16], bmc_random[16], guid[16];
    uint8_t sik[32], k1[32], k2[32];
    uint32_t out_sequence;
};

struct bmc {
    /* How it behaves; set by bmc_init(), changed by tests. */
    bool ipmi_1_5;
    unsigned suite;     /* the one that it takes */
    uint8_t auth_types; /* 1.5, bit per type */
    bool per_message;   /* 1.5 */
    const char *user, *password;
    const uint8_t *k_g; /* 20 bytes, or NULL */
    bool fresh_random;  /* each RAKP 1 gets a new random number */
    bool power;
    uint8_t auth_cap_completion, challenge_completion, activate_completion, privilege_completion,
        status_completion, control_completion;
    uint32_t first_off; /* 1.5: begins so much off the number that it was asked to begin with */
    bool repeats_first; /* 1.5: the first answer after Activate Session's has its number again */
    unsigned busy;      /* so many Open Sessions or Activate Sessions find no slot */
    uint8_t open_status, rakp_2_status;
    unsigned rakp_4_refused; /* so many RAKP 3 get status 0Fh */
    unsigned control_busy;   /* so many Chassis Controls get C0 and are not done */
    bool busy_executes;      /* ... but are, all the same */
    uint8_t sel_completion;  /* of Get SEL Entry; 0: its SEL is read */
    bool sel_records;        /* what it does it writes into its SEL */
    uint8_t sel[BMC_SEL_MAX][16];
    unsigned sel_count;
    /* What it has seen. */
    struct bmc_session sessions[BMC_SESSIONS_MAX];
    unsigned session_count;
    unsigned controls, executed, closes;
    uint32_t last_random;
};

enum bmc_kind { BMC_MESSAGE, BMC_OPEN, BMC_RAKP_1, BMC_RAKP_3 };

/* A datagram as the BMC reads it. */
struct bmc_request {
    enum bmc_kind kind;
    struct bmc_session *session; /* NULL outside of any */
    uint8_t auth_type;
    uint32_t session_id, sequence;
    uint8_t net_fn, cmd, number; /* number: rqSeq or tag */
    uint8_t data[128];           /* of the command, or the setup payload */
    size_t len;
};

void bmc_init(struct bmc *bmc, bool ipmi_1_5, unsigned suite);

/* False: it cannot be read, or is not authentic. */
bool bmc_read(struct bmc *bmc, const struct ipmi_datagram *datagram, struct bmc_request *ret);

/* A record of a sensor-specific event, asserted, behind those that are there. */
void bmc_sel_add(struct bmc *bmc, uint8_t sensor_type, uint8_t offset);

bool bmc_is_control(const struct bmc_request *request);

/* Serves a request; the answer's len is 0 when there is none. */
void bmc_serve(struct bmc *bmc, const struct bmc_request *request, struct ipmi_datagram *ret);

/* An answer of any content to a message: in the request's session, if it has one. */
struct bmc_reply {
    uint8_t net_fn, cmd, number, completion;
    const uint8_t *data;
    size_t len;
};
void bmc_reply(struct bmc *bmc, struct bmc_session *session, const struct bmc_reply *reply,
               struct ipmi_datagram *ret);

/* The same with a session id and sequence number of the caller's choice. */
void bmc_seal(struct bmc *bmc, const struct bmc_session *session, uint32_t id, uint32_t sequence,
              const struct bmc_reply *reply, struct ipmi_datagram *ret);

/* A packet of a session's making (Open Session, RAKP). */
void bmc_plain(uint8_t payload, const uint8_t *bytes, size_t len, struct ipmi_datagram *ret);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of exchanges, for ipmi_session.c alone. */
#ifndef NMID_DRIVERS_IPMI_EXCHANGE_H
#define NMID_DRIVERS_IPMI_EXCHANGE_H

#include "drivers/ipmi_session.h"

#define IPMI_CHASSIS         0x00 /* network functions */
#define IPMI_STORAGE         0x0a
#define IPMI_CHASSIS_STATUS  0x01
#define IPMI_CHASSIS_CONTROL 0x02
#define IPMI_SEL_ENTRY       0x43 /* Get SEL Entry */
#define IPMI_ATTEMPTS_MAX    6    /* sessions tried for one action */
#define IPMI_ACTIVATIONS_MAX 2    /* 1.5: of these, with Activate Session unanswered (twice each) */
#define IPMI_RETRIES_MAX     16   /* interrupts after one that was refused as busy */

/* What a check says of an answer, and what happens to a request that is not answered. */
enum verdict {
    NEXT,         /* good: go on as the table says */
    IGNORE,       /* not for us after all */
    STAY,         /* taken: build and send this request anew */
    RESTART,      /* this attempt is spoilt: open another session */
    BUSY,         /* no free session: pause, then open another */
    FAIL,         /* the result is set: close what is open, end */
    SETTLED,      /* no more is to be heard of the interrupt, and the result is set: close, end */
    BUSY_CONTROL, /* the interrupt was refused as busy: pause, then ready for another */
    LATER         /* nothing in the SEL yet: pause, then look again */
};

/* One exchange; a row without check is a state in which nothing is asked. */
struct ipmi_row {
    const char *name;
    void (*build)(struct ipmi_session *session, uint8_t number, struct ipmi_datagram *out);
    enum verdict (*check)(struct ipmi_session *session, const struct ipmi_packet *packet);
    enum ipmi_packet_kind answer;
    uint8_t net_fn, cmd; /* of the answer, when it is a message */
    enum ipmi_state next;
    bool idempotent;        /* may be sent again */
    unsigned tries;         /* sends before `exhausted`; 0: until the deadline */
    enum verdict exhausted; /* when the tries are used up */
};

const struct ipmi_row *ipmi_row(enum ipmi_state state);

/* Sets a failed result of the present state; returns FAIL. */
enum verdict ipmi_fail(struct ipmi_session *session, enum fault_code code);

/* The same, with the answer's completion code or status. */
enum verdict ipmi_fail_completion(struct ipmi_session *session, enum fault_code code,
                                  const struct ipmi_packet *packet);

/* Takes the BMC's random number and GUID if it proves that it knows the password. */
bool ipmi_take_rakp_2(struct ipmi_session *session, const struct ipmi_packet *packet);

/* A command in the session's next datagram. */
void ipmi_build_command(struct ipmi_session *session, uint8_t net_fn, uint8_t cmd,
                        const uint8_t *data, size_t len, uint8_t number, struct ipmi_datagram *out);

/* ---- ipmi_silence.c: the interrupt, its answer, and what is done without one ---- */

void ipmi_build_probe(struct ipmi_session *session, uint8_t number, struct ipmi_datagram *out);
void ipmi_build_mark(struct ipmi_session *session, uint8_t number, struct ipmi_datagram *out);
void ipmi_build_sel(struct ipmi_session *session, uint8_t number, struct ipmi_datagram *out);
enum verdict ipmi_check_control(struct ipmi_session *session, const struct ipmi_packet *packet);
enum verdict ipmi_check_probe(struct ipmi_session *session, const struct ipmi_packet *packet);
enum verdict ipmi_check_mark(struct ipmi_session *session, const struct ipmi_packet *packet);
enum verdict ipmi_check_sel(struct ipmi_session *session, const struct ipmi_packet *packet);

/* An answer to a Chassis Control that is not being waited for (any more), and says something new.
 * Takes it. */
bool ipmi_take_late_control(struct ipmi_session *session, const struct ipmi_packet *packet);

/* An answer to a probe, when another one has already decided. */
bool ipmi_is_late_probe(const struct ipmi_session *session, const struct ipmi_packet *packet);

/* What the SEL makes of the outcome. */
void ipmi_judge_sel(struct ipmi_session *session);

/* The session is closed: may, and shall, the interrupt be sent once more? */
bool ipmi_may_resend(const struct ipmi_session *session, int64_t now);

#endif

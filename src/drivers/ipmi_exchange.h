/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of exchanges, for ipmi_session.c alone. */
#ifndef NMID_DRIVERS_IPMI_EXCHANGE_H
#define NMID_DRIVERS_IPMI_EXCHANGE_H

#include "drivers/ipmi_session.h"

#define IPMI_CHASSIS         0x00 /* network function */
#define IPMI_CHASSIS_CONTROL 0x02
#define IPMI_ATTEMPTS_MAX    6 /* sessions tried for one action */
#define IPMI_ACTIVATIONS_MAX 2 /* 1.5: of these, with Activate Session unanswered (twice each) */

/* What a check says of an answer, and what happens to a request that is not answered. */
enum verdict {
    NEXT,    /* good: go on as the table says */
    IGNORE,  /* not for us after all */
    STAY,    /* taken: build and send this request anew */
    RESTART, /* this attempt is spoilt: open another session */
    BUSY,    /* no free session: pause, then open another */
    FAIL,    /* the result is set: close what is open, end */
    SETTLED  /* the interrupt has been answered, and the result is set: close, end */
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

/* Takes the BMC's random number and GUID if it proves that it knows the password. */
bool ipmi_take_rakp_2(struct ipmi_session *session, const struct ipmi_packet *packet);

/* A command in the session's next datagram. */
void ipmi_build_command(struct ipmi_session *session, uint8_t net_fn, uint8_t cmd,
                        const uint8_t *data, size_t len, uint8_t number, struct ipmi_datagram *out);

#endif

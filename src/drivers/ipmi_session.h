/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One IPMI session that asks for the power state and, unless it is a probe, sends one Chassis
 * Control "diagnostic interrupt". A protocol without sockets and without a clock: datagrams and the
 * time go in, at most one datagram, the next deadline and at the end a result come out.
 *
 * The Chassis Control leaves once: ipmi_session_go() builds it, the state after that has no way to
 * build it again, and no other state builds it at all. Everything else may be sent again (with a
 * new session sequence number and rqSeq, RAKP with a new message tag). */
#ifndef NMID_DRIVERS_IPMI_SESSION_H
#define NMID_DRIVERS_IPMI_SESSION_H

#include "core/action.h"
#include "drivers/ipmi_codec.h"
#include "drivers/ipmi_info.h"

enum ipmi_state {
    IPMI_STATE_NEW,
    IPMI_STATE_AUTH_CAP,
    IPMI_STATE_OPEN,      /* 2.0 */
    IPMI_STATE_RAKP_1,    /* 2.0 */
    IPMI_STATE_RAKP_3,    /* 2.0 */
    IPMI_STATE_CHALLENGE, /* 1.5 */
    IPMI_STATE_ACTIVATE,  /* 1.5 */
    IPMI_STATE_PRIVILEGE,
    IPMI_STATE_STATUS,
    IPMI_STATE_READY,   /* all is prepared; waits for ipmi_session_go() */
    IPMI_STATE_CONTROL, /* the interrupt has left */
    IPMI_STATE_CLOSE,
    IPMI_STATE_PAUSE, /* the BMC had no free session; a new attempt follows */
    IPMI_STATE_DONE,
    IPMI_STATES
};

/* What a session is made from. Times in microseconds. */
struct ipmi_plan {
    const struct ipmi_info *info; /* borrowed for the session's life */
    bool probe;                   /* ends after the power state */
    int64_t timeout, answer, retransmit;
    unsigned suite; /* tried first, 0: the first of info's; remembered from an earlier session */
    int64_t round_trip; /* likewise; 0: not known */
    bool skip_auth_cap; /* likewise: 2.0 and this BMC has told its capabilities before */
    void (*random)(void *bytes, size_t len); /* secret_random() */
};

enum ipmi_power { IPMI_POWER_UNCHECKED, IPMI_POWER_ON, IPMI_POWER_OFF };

struct ipmi_session {
    struct ipmi_plan plan;
    struct ipmi_codec *codec; /* shared, borrowed */
    struct ipmi_channel channel;
    enum ipmi_state state;
    /* The exchange under way: the last 64 numbers are a bit mask each. */
    uint64_t asked;        /* rqSeq or tags that may be answered */
    uint64_t asked_rakp_1; /* tags of RAKP 1, while RAKP 3 is under way */
    uint8_t number;        /* the last rqSeq or tag used, 0..63 */
    unsigned sends;        /* of this exchange */
    int64_t sent_at[8];    /* by number & 7 */
    int64_t send_again_at, give_up_at;
    /* The session. */
    int64_t deadline;   /* for everything before the interrupt */
    int64_t round_trip; /* the longest one seen */
    uint32_t out_sequence, first_sequence;
    uint32_t in_highest, in_seen; /* the window of section 6.12.13 */
    bool open;                    /* a session to close */
    unsigned suites_refused;      /* bit i: info->suites[i] */
    unsigned suite_index, attempts, busy;
    bool heard; /* the BMC has answered anything at all */
    /* What came of it. */
    enum ipmi_power power;
    enum action_outcome outcome;
    enum fault_code code;
    enum ipmi_state failed_in;
    bool have_completion, close_acked;
    uint8_t completion; /* of the exchange that decided */
    int64_t control_at, control_answered_at;
    unsigned retransmissions, ignored[IPMI_IGNORED_KINDS];
};

/* Starts a session; ret_out is its first datagram. */
void ipmi_session_begin(struct ipmi_session *session, struct ipmi_codec *codec,
                        const struct ipmi_plan *plan, int64_t now, struct ipmi_datagram *ret_out);

/* A datagram from the BMC's address. ret_out->len is 0 when there is nothing to send. */
void ipmi_session_input(struct ipmi_session *session, const uint8_t *bytes, size_t len, int64_t now,
                        struct ipmi_datagram *ret_out);

/* The time ipmi_session_deadline() has come. */
void ipmi_session_time(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* In IPMI_STATE_READY: builds the interrupt, once. In any other state: builds nothing. */
void ipmi_session_go(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* The datagram of ipmi_session_go() was refused by the kernel: it surely did not leave. */
void ipmi_session_unsent(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* Gives up with this code, if the interrupt has not left; else changes nothing. */
void ipmi_session_abort(struct ipmi_session *session, enum fault_code code, int64_t now,
                        struct ipmi_datagram *ret_out);

/* When ipmi_session_time() wants to be called; INT64_MAX in IPMI_STATE_DONE. */
int64_t ipmi_session_deadline(const struct ipmi_session *session);

/* Wipes keys and passwords. */
void ipmi_session_end(struct ipmi_session *session);

/* The sentence for the outcome, into text (size bytes). */
void ipmi_session_explain(const struct ipmi_session *session, char *text, size_t size);

/* What was seen, into the action's evidence. */
void ipmi_session_evidence(const struct ipmi_session *session, struct action *action);

/* The name of a state in the specification's words, e.g. "RAKP Message 1". */
const char *ipmi_state_name(enum ipmi_state state);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one IPMI session is made from, and what it knows. Its functions are in ipmi_session.h. */
#ifndef NMID_DRIVERS_IPMI_STATE_H
#define NMID_DRIVERS_IPMI_STATE_H

#include "core/action.h"
#include "core/conf.h"
#include "drivers/ipmi_codec.h"
#include "drivers/ipmi_info.h"
#include "drivers/ipmi_numbers.h"
#include "drivers/ipmi_sel.h"

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
    IPMI_STATE_MARK,      /* the newest record of the SEL, before the interrupt */
    IPMI_STATE_READY,     /* all is prepared; waits for ipmi_session_go() */
    IPMI_STATE_CONTROL,   /* the interrupt has left */
    IPMI_STATE_PROBE,     /* it was not answered: is the session alive, and what has it numbered? */
    IPMI_STATE_SEL,       /* the records since */
    IPMI_STATE_SEL_PAUSE, /* until the SEL is looked at again */
    IPMI_STATE_HOLD,      /* the interrupt was refused as busy; another follows */
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
    int64_t min_interval; /* from a session's close to the one for a resend */
    unsigned suite; /* tried first, 0: the first of info's; remembered from an earlier session */
    int64_t round_trip; /* likewise; 0: not known */
    bool skip_auth_cap; /* likewise: 2.0 and this BMC has told its capabilities before */
    bool no_sel;        /* likewise: it has no SEL */
    enum conf_sel sel;
    enum conf_resend resend;
    bool retry_busy;
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
    uint8_t number;        /* the last rqSeq or tag used, 0..63; the first is random */
    unsigned sends;        /* of this exchange */
    int64_t sent_at[8];    /* by number & 7 */
    int64_t send_again_at, give_up_at;
    /* The session. */
    int64_t deadline;   /* for everything before the interrupt */
    int64_t round_trip; /* the longest one seen */
    uint32_t out_sequence, first_sequence;
    uint32_t in_highest, in_seen; /* the window of section 6.12.13 */
    bool open;                    /* a session to close */
    bool opened;                  /* there was one: user and password are right */
    unsigned suites_refused;      /* bit i: info->suites[i] */
    unsigned suite_index, attempts, busy;
    unsigned activations;    /* 1.5: Activate Sessions that stayed unanswered, one by one */
    unsigned proofs_refused; /* RAKP 3, though RAKP 1 was sent once */
    bool heard;              /* the BMC has answered anything at all */
    /* The interrupt. */
    unsigned granted;       /* that may leave: 1, and one more for each resend or retry */
    unsigned control_sends; /* that have left */
    uint64_t control_asked; /* their rqSeq in this session, which nothing else gets */
    uint8_t control_number; /* the newest one's */
    bool answered;          /* the newest one */
    bool late;              /* only when answer_ms was over */
    bool maybe;    /* one stayed unanswered and another follows: nothing is "failed" any more */
    bool retrying; /* the newest was refused as busy: the next has not left */
    bool checking; /* refused as busy: does its SEL say otherwise? */
    bool no_more;  /* given up by the engine after it had left */
    /* The silence. */
    struct ipmi_numbers numbers;
    uint64_t probe_asked; /* rqSeq of the probes */
    unsigned probes, probes_answered;
    enum ipmi_sequence sequence; /* of an earlier session of this action */
    int32_t sequence_gap;
    struct ipmi_sel sel;
    unsigned sel_passes;
    int64_t sel_until;
    /* What came of it. */
    enum ipmi_power power;
    enum action_outcome outcome;
    enum fault_code code, fail_code; /* fail_code: of the newest failure, whatever it means */
    enum ipmi_state failed_in;
    bool have_completion, close_acked;
    uint8_t completion; /* of the exchange that decided */
    int64_t control_at, control_answered_at;
    unsigned retransmissions, ignored[IPMI_IGNORED_KINDS];
};

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session and a BMC in a test, in virtual time: what leaves the session is read by the BMC (which
 * counts the interrupts, whatever the session believes), and its answers come back after a delay.
 */
#ifndef NMID_TESTS_IPMI_RIG_H
#define NMID_TESTS_IPMI_RIG_H

#include "bmc.h"
#include "drivers/ipmi_session.h"

#define RIG_OUT_MAX 400

struct rig_out {
    int64_t at;
    enum ipmi_state state; /* the session's, after it was sent */
    struct ipmi_datagram datagram;
    struct bmc_request request;
};

struct rig_answer {
    int64_t at;
    struct ipmi_datagram datagram;
};

struct rig {
    struct ipmi_info info;
    struct ipmi_plan plan;
    struct ipmi_session session;
    struct bmc bmc;
    int64_t now;
    int64_t delay;         /* of each answer */
    int64_t control_delay; /* in addition, of the answer to the Chassis Control */
    bool (*lose)(struct rig *rig, const struct bmc_request *request);        /* on its way in */
    bool (*lose_answer)(struct rig *rig, const struct bmc_request *request); /* on its way out */
    enum ipmi_state mute; /* requests of this state are lost; IPMI_STATE_NEW: none */
    bool deaf;            /* all requests are lost */
    /* What was seen. */
    unsigned controls, unreadable;
    struct rig_out outs[RIG_OUT_MAX];
    unsigned out_count;
    struct ipmi_datagram ins[RIG_OUT_MAX]; /* delivered to the session by the rig itself */
    unsigned in_count;
    struct rig_answer answers[RIG_OUT_MAX]; /* under way, by time */
    unsigned answer_count;
};

/* User admin, password secret, 20 s / 10 s / 1 s; suite is ignored for 1.5. Change what is to be
 * otherwise, then begin. */
void rig_init(struct rig *rig, bool ipmi_1_5, unsigned suite);
void rig_free(struct rig *rig);
void rig_begin(struct rig *rig);

/* One event: an answer that arrives, or the session's deadline. False: nothing is left to come. */
bool rig_step(struct rig *rig);

/* Runs until the session has this state; false when it has ended without. Never calls go. */
bool rig_run_to(struct rig *rig, enum ipmi_state state);

/* Runs to the end, with go as soon as the session is ready. */
void rig_finish(struct rig *rig);

/* Runs what happens until that time, and then it is that time. */
void rig_run_until(struct rig *rig, int64_t time);

/* The session's calls, with what they send going to the BMC. */
void rig_input(struct rig *rig, const uint8_t *bytes, size_t len);
void rig_time(struct rig *rig);
void rig_go(struct rig *rig);
void rig_abort(struct rig *rig, enum fault_code code);

/* How many datagrams left in this state's exchange. */
unsigned rig_count(const struct rig *rig, enum ipmi_state state);

/* The BMC's answer to the Chassis Control that has left, not delivered. */
void rig_control_answer(struct rig *rig, uint8_t completion, struct ipmi_datagram *ret);

unsigned rig_ignored(const struct rig *rig); /* all kinds */

/* One codec serves all tests of a program. */
int rig_setup(void **state);
int rig_teardown(void **state);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One IPMI session that asks for the power state and, unless it is a probe, sends one Chassis
 * Control "diagnostic interrupt". A protocol without sockets and without a clock: datagrams and the
 * time go in, at most one datagram, the next deadline and at the end a result come out.
 *
 * The Chassis Control leaves once: ipmi_session_go() builds it, the state after that has no way to
 * build it again, and no other state builds it at all. Only where the plan says `resend` or
 * `retry_busy` the session may come to IPMI_STATE_READY again, for another ipmi_session_go(): a
 * resend has a session of its own, and a retry may have. Everything else may be sent again (with a
 * new session sequence number and rqSeq, RAKP with a new message tag). */
#ifndef NMID_DRIVERS_IPMI_SESSION_H
#define NMID_DRIVERS_IPMI_SESSION_H

#include "drivers/ipmi_state.h"

/* Starts a session; ret_out is its first datagram. */
void ipmi_session_begin(struct ipmi_session *session, struct ipmi_codec *codec,
                        const struct ipmi_plan *plan, int64_t now, struct ipmi_datagram *ret_out);

/* A datagram from the BMC's address. ret_out->len is 0 when there is nothing to send. */
void ipmi_session_input(struct ipmi_session *session, const uint8_t *bytes, size_t len, int64_t now,
                        struct ipmi_datagram *ret_out);

/* The time ipmi_session_deadline() has come. */
void ipmi_session_time(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* In IPMI_STATE_READY: builds the interrupt, once. In any other state: builds nothing. One more
 * than the plan allows is never built: the process ends first. */
void ipmi_session_go(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* The datagram of ipmi_session_go() was refused by the kernel: it surely did not leave. */
void ipmi_session_unsent(struct ipmi_session *session, int64_t now, struct ipmi_datagram *ret_out);

/* Gives up with this code, if the interrupt has not left; else no other leaves, and the session
 * goes on to its outcome. */
void ipmi_session_abort(struct ipmi_session *session, enum fault_code code, int64_t now,
                        struct ipmi_datagram *ret_out);

/* When ipmi_session_time() wants to be called; INT64_MAX in IPMI_STATE_DONE. */
int64_t ipmi_session_deadline(const struct ipmi_session *session);

/* Wipes keys and passwords. */
void ipmi_session_end(struct ipmi_session *session);

/* The verdict on the BMC's sequence numbers that stands at the end, and the gap that it rests on.
 */
enum ipmi_sequence ipmi_session_sequence(const struct ipmi_session *session, int32_t *ret_gap);

/* The sentence for the outcome, into text (size bytes). */
void ipmi_session_explain(const struct ipmi_session *session, char *text, size_t size);

/* What was seen, into the action's evidence. */
void ipmi_session_evidence(const struct ipmi_session *session, struct action *action);

/* The name of a state in the specification's words, e.g. "RAKP Message 1". */
const char *ipmi_state_name(enum ipmi_state state);

#endif

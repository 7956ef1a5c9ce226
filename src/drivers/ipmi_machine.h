/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the session's machine share, and nobody else: ipmi_session.c (its way through
 * the table), ipmi_input.c (datagrams) and ipmi_interrupt.c (the Chassis Control and after). */
#ifndef NMID_DRIVERS_IPMI_MACHINE_H
#define NMID_DRIVERS_IPMI_MACHINE_H

#include "drivers/ipmi_exchange.h"

#define PAUSE_FIRST_US 500000 /* after "busy": then doubled */
#define PAUSE_MAX_US   4000000

/* ipmi_session.c */
void ipmi_enter(struct ipmi_session *session, enum ipmi_state state, int64_t now,
                struct ipmi_datagram *out);
void ipmi_ask(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
uint8_t ipmi_next_number(struct ipmi_session *session, int64_t now);
void ipmi_advance(struct ipmi_session *session, enum verdict verdict, int64_t now,
                  struct ipmi_datagram *out);
void ipmi_doubt_password(struct ipmi_session *session); /* when it is given up */
void ipmi_end(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);

/* ipmi_interrupt.c: what follows the interrupt. */
void ipmi_begin_probing(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
void ipmi_look_at_sel(struct ipmi_session *session, bool first, int64_t now,
                      struct ipmi_datagram *out);
void ipmi_pause_sel(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
void ipmi_leave_sel(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
void ipmi_resume(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
void ipmi_hold(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);
/* No more is to be heard of it, or an answer came late: the SEL, if it is wanted; then the close.
 */
void ipmi_settle(struct ipmi_session *session, int64_t now, struct ipmi_datagram *out);

#endif

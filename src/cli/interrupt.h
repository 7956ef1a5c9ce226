/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ctrl-C, SIGTERM and SIGHUP as something to wait for, so that nmictl can still say which actions
 * go on without it. A second signal ends the process at once. */
#ifndef NMID_CLI_INTERRUPT_H
#define NMID_CLI_INTERRUPT_H

/* Takes the signals over from here on; returns a descriptor that becomes readable, or -1 (the
 * signals then end the process as ever). */
int interrupt_open(void);

/* The signal that came, or 0. */
int interrupt_signal(void);

#endif

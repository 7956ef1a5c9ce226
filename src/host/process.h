/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the process settles with its host before it reads a secret. For main.c. */
#ifndef NMID_HOST_PROCESS_H
#define NMID_HOST_PROCESS_H

/* The first thing in main(): descriptors 0 to 2 are open, no core, nobody may look into the process,
 * files are made for its user alone, as many descriptors as it may have, memory locked if it may. What
 * the host refuses is left as it is: process_remarks() says what matters of it. */
void process_settle(void);

/* Warnings into the log: of being root for nothing, of secrets in memory that may be swapped out. Once
 * the configuration, and so the secrets, are there. */
void process_remarks(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the process settles with its host before it reads a secret. For main.c. */
#ifndef NMID_HOST_PROCESS_H
#define NMID_HOST_PROCESS_H

/* The first thing in main(): descriptors 0 to 2 are open, no core, nobody may look into the process,
 * files are made for its user alone, as many descriptors as it may have, memory locked if it may. What
 * the host refuses is left as it is: process_remarks() says what matters of it. */
void process_settle(void);

/* Gives the pages of the heap that nothing is left in back to the host. A configuration leaves many, once
 * it is read or replaced, and glibc would keep them: with 40,000 nodes, 135 of 190 MB. Of a process that
 * is locked in memory only those at the heap's end can be. */
void process_trim(void);

/* Warnings into the log: of being root for nothing, of secrets in memory that may be swapped out. Once
 * the configuration, and so the secrets, are there. */
void process_remarks(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Structured entries for the system's journal, in its native protocol: one datagram each. Never
 * waits: libsystemd's sd_journal_sendv() would, for a journal that is slow to take them. */
#ifndef NMID_BASE_RECORD_H
#define NMID_BASE_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#define RECORD_SOCKET "/run/systemd/journal/socket"

struct record;

struct record_field {
    const char *name, *value; /* value NULL: there is none */
};

/* Is stderr the system's journal? (JOURNAL_STREAM names its device and inode, systemd.exec(5).) */
bool record_is_journal(void);

/* NULL when there is no socket to be had. */
struct record *record_new(const char *path);
void record_free(struct record *record); /* NULL-safe */

/* Sends an entry of these fields; control characters come out as \xNN, so that no value can look
 * like another field. 0, or -1 when the journal does not take it now. */
int record_send(struct record *record, const struct record_field *fields, size_t count);

#endif

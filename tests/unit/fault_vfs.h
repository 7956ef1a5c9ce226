/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A SQLite VFS over the system's that fails, dies or loses the power on order. It keeps what each
 * file of the database had at its last fsync(), and what was written since: that is what a machine
 * may find after a power failure. For one thread. */
#ifndef NMID_TESTS_FAULT_VFS_H
#define NMID_TESTS_FAULT_VFS_H

#include <stdbool.h>

/* What can fail. Lengthening the file of the shared memory counts as a write. */
enum {
    FAULT_VFS_WRITE = 1,
    FAULT_VFS_SYNC = 2,
    FAULT_VFS_OPEN = 4,
    FAULT_VFS_ALL = FAULT_VFS_WRITE | FAULT_VFS_SYNC | FAULT_VFS_OPEN
};

struct fault_vfs {
    unsigned kinds;     /* which calls count */
    unsigned long from; /* the first that fails, from 1; 0: none */
    unsigned long many; /* how many fail from there on */
    bool full;          /* ENOSPC (a write does its first half), else EIO */
    bool die;           /* that call is the process's last: _exit(FAULT_VFS_DEAD) after its half */
    const char *dead_dir; /* before that, fault_vfs_power_loss() there; or NULL */
    unsigned dead_seed;
    unsigned long calls, failed; /* so far */
};

#define FAULT_VFS_DEAD 86

extern struct fault_vfs fault_vfs;

/* Makes it the process's VFS for databases that are opened from here on; they make a checkpoint
 * each few pages. */
void fault_vfs_install(void);

/* Forgets all files and orders. No database may be open. */
void fault_vfs_reset(void);

/* Writes into dir what is left of the database after a power failure now: of what was not fsync()ed
 * nothing (seed 0), or some of it, by the seed. */
void fault_vfs_power_loss(const char *dir, unsigned seed);

#endif

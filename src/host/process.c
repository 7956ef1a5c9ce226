/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/vault.h"

/* A descriptor below 3 that is closed would be the next file's, and the log would go into it: into the
 * journal's database, say. */
static void open_standard(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort(); /* no /dev/null: nowhere to say so, and the lowest free one is taken by all */
    }
}

/* A core would hold every BMC's password. One byte, not none: that is the value at which the kernel
 * leaves out a core that would go to a program, too (core(5)). Where that limit cannot be set, not being
 * dumpable does the same; it also keeps this user's other processes from ptrace(2), and from
 * /proc/PID/mem, environ and fd. */
static void forbid_looking(void)
{
    struct rlimit core = {1, 1};
    setrlimit(RLIMIT_CORE, &core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    unsetenv("SSLKEYLOGFILE"); /* GnuTLS would write every session's keys there */
}

void process_settle(void)
{
    struct rlimit files;
    open_standard();
    forbid_looking();
    umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    vault_lock_process();
}

void process_remarks(void)
{
    if (geteuid() == 0)
        log_warning("running as root, of which nmid needs nothing: it wants a user of its own");
    if (vault_locks() && !vault_locked())
        log_warning("secrets could not all be locked in memory, and may reach a swap device: "
                    "RLIMIT_MEMLOCK (ulimit -l) is too low");
}

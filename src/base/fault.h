/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fault: what went wrong, as a code that programs branch on and a sentence that people read.
 *
 * What can fail returns 0 or -1 and takes a `struct fault *` last. The first fault wins: a later
 * fault_set() on the same struct changes nothing. A NULL fault is allowed everywhere. */
#ifndef NMID_BASE_FAULT_H
#define NMID_BASE_FAULT_H

#include <stddef.h>

enum fault_code {
    FAULT_NONE = 0,
    /* The request. */
    FAULT_MALFORMED,      /* not what the contract allows */
    FAULT_TOO_LARGE,      /* a header or body over its limit */
    FAULT_MEDIA_TYPE,     /* a body that is not application/json */
    FAULT_UNAUTHORIZED,   /* no or bad credentials */
    FAULT_FORBIDDEN,      /* credentials that may not do this */
    FAULT_NOT_FOUND,      /* no such resource (route, action, batch) */
    FAULT_NODE_NOT_FOUND, /* no such node, or another project's */
    FAULT_METHOD,         /* the resource exists, the method does not */
    FAULT_KEY_REUSED,     /* an Idempotency-Key with another body */
    FAULT_TOO_MANY,       /* one caller asks for more than its limit allows */
    /* The node's condition: nothing was sent. */
    FAULT_STATUS,      /* its status does not allow the action */
    FAULT_LOCKED,      /* locked, and the caller is no administrator */
    FAULT_IN_FLIGHT,   /* another action (or probe) is under way on this node or BMC */
    FAULT_HOLD_OFF,    /* an earlier NMI was delivered, or may have been, too short a time ago */
    FAULT_POWERED_OFF, /* the BMC says that the machine is off */
    /* nmid itself: nothing was sent. */
    FAULT_OVERLOADED, /* a bounded queue is full */
    FAULT_STOPPING,   /* the daemon is shutting down */
    FAULT_JOURNAL,    /* the action could not be recorded */
    FAULT_IDENTITY,   /* Keystone cannot be asked who the caller is */
    FAULT_STATE_SOURCE, /* Ironic cannot be asked for the node's status and owner */
    FAULT_CONF,       /* the configuration */
    FAULT_SYSTEM,     /* a system call or a library failed */
    FAULT_MEMORY,     /* out of memory */
    /* The way to the BMC: surely not delivered. */
    FAULT_UNSUPPORTED, /* the driver or the BMC has no diagnostic interrupt */
    FAULT_REFUSED,     /* the BMC answered with a completion code that means "not done" */
    FAULT_ADDRESS,     /* the BMC's host name could not be resolved */
    FAULT_UNREACHABLE, /* no answer before the interrupt was sent */
    FAULT_USER,        /* the BMC does not know the user */
    FAULT_PASSWORD,    /* the BMC and nmid do not share the password */
    FAULT_KG,          /* the BMC and nmid do not share the key K_g */
    FAULT_PRIVILEGE,   /* the user may not send chassis control */
    FAULT_SUITE,       /* no cipher suite (2.0) or authentication type (1.5) in common */
    FAULT_BMC_BUSY,    /* the BMC had no free session until the deadline */
    FAULT_PROTOCOL,    /* the BMC answered what the specification does not allow */
    FAULT_DEADLINE,    /* the time ran out before the interrupt was sent */
    /* After the datagram left: it may have been delivered. */
    FAULT_NO_ANSWER,       /* silence after the interrupt */
    FAULT_COMPLETION_CODE, /* an answer that does not say whether it was done */
    FAULT_DAEMON_STOPPED,  /* nmid ended between the sending and the answer */
    /* The command line. */
    FAULT_USAGE,
    FAULT_CONNECT, /* nmid was not reached and nothing was sent */
    FAULT_CODES    /* how many there are */
};

#define FAULT_MESSAGE_MAX 512

struct fault {
    enum fault_code code;
    char message[FAULT_MESSAGE_MAX];
    char action_id[48]; /* the earlier action that this fault speaks of, or "" */
};

/* How one code is told: its name on the wire and in the journal, its HTTP status in each contract,
 * and nmictl's exit code. Statuses as in the tables of docs/ (Nova, Ironic, Redfish, agent). */
struct fault_row {
    const char *name;
    int nova, ironic, redfish, agent;
    int exit_code;
};

/* Sets code and message (printf-like) unless a fault is already there. Always returns -1. */
int fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The row of a code; a code out of range gets FAULT_SYSTEM's row. Never NULL. */
const struct fault_row *fault_row(enum fault_code code);

/* The name of a code, e.g. "hold-off". Never NULL. */
const char *fault_name(enum fault_code code);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A way of authentication for tests, in Keystone's place: the token itself says who comes, as
 * "USER:PROJECT:ROLE" or "USER::ROLE:system". "down" is a Keystone that does not answer, "nobody"
 * somebody without any right; anything else is no token. All of it belongs to the loop's thread:
 * rig_call() to look or to change. */
#ifndef NMID_TESTS_FAKE_AUTH_H
#define NMID_TESTS_FAKE_AUTH_H

#include "http_rig.h"

#define AS(token) "X-Auth-Token: " token "\r\n"

struct fake_auth {
    bool hold;                         /* checks wait for fake_auth_release() */
    unsigned opened, closed;           /* methods */
    unsigned checks, waiting, cancels; /* checks, those that wait now, those taken back */
    bool local;                        /* of the last check */
    uid_t uid;
    size_t gid_count;
    bool has_gid;   /* the process's own */
    gid_t last_gid; /* of those of the last check */
    char authorization[64], contract[16], method[8], path[64];
};
extern struct fake_auth fake_auth;

/* Sets rig->auth_conf, between rig_init() and rig_start(). */
void fake_auth_use(struct rig *rig);

/* For rig_call(): those that wait are answered. */
void fake_auth_release(void *arg);

/* Until the counter, which the loop's thread raises, is there (5 s at most: then it aborts). */
void fake_auth_await(struct rig *rig, const unsigned *counter, unsigned wanted);

#endif

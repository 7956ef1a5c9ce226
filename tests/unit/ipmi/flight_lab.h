/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ipmi driver over a real socket on loopback, with the in-memory BMC behind it, and an engine
 * and a journal of the test's own. */
#ifndef NMID_TESTS_IPMI_FLIGHT_LAB_H
#define NMID_TESTS_IPMI_FLIGHT_LAB_H

#include "bmc.h"
#include "drivers/ipmi.h"

struct flight_lab {
    struct loop *loop;
    struct loop_timer *watchdog, *journal;
    bool running, timed_out;
    void *driver;
    struct conf_ipmi settings;
    struct action *action;
    /* The journal: what waits for it, how often it was asked, and what it does. */
    loop_fn *go;
    void *go_arg;
    unsigned asked, answered, revoked;
    unsigned refuse_at; /* the n-th one cannot be recorded; 0: none */
    unsigned hold_at;   /* the n-th one gets no answer */
    /* The BMC. */
    int fd;
    struct loop_watch *watch;
    unsigned port;
    struct bmc bmc;
    unsigned received, controls, sel_requests, lose_controls;
    unsigned stop_at_controls; /* the test takes over */
    bool probed;
    enum fault_code probe_code;
};

extern struct flight_lab lab;

/* For each test: a BMC (admin, secret, suite 17), a driver with 100 ms answer_ms. */
int flight_setup(void **state);
int flight_teardown(void **state);

/* After a change of lab.settings. */
void flight_configure(void);

/* A node with this password, at the BMC; the caller's reference. */
struct node *flight_node(const char *password);

/* Begins an action, lab.action, and runs the loop until it ends or somebody stops the loop. */
void flight_inject(const char *password);
void flight_run(void);

/* What left before the loop was stopped is in the BMC's socket: counted, not served. */
void flight_drain(void);

void flight_assert_end(enum action_outcome outcome, enum fault_code code, unsigned controls);

/* The action's evidence: a number; a string, or "". */
int flight_evidence(const char *key);
const char *flight_words(const char *key);

#endif

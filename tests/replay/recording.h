/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recording: one IPMI session's settings, its datagrams in order with their times, and what came
 * of it; as a text file. Made by record.c, played back by tests/unit/test_ipmi_replay.c. */
#ifndef NMID_TESTS_RECORDING_H
#define NMID_TESTS_RECORDING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "drivers/ipmi_session.h"

#define RECORDING_LINES_MAX 256

struct recording_line {
    bool out; /* ">": from us; "<": from the BMC */
    int64_t at;
    struct ipmi_datagram datagram;
};

struct recording {
    char note[128], user[32], password[32];
    bool ipmi_1_5, probe;
    unsigned suites[IPMI_SUITES_MAX], suite_count;
    unsigned privilege;
    uint64_t seed;
    int64_t timeout, answer, retransmit;
    bool sel, resend, retry_busy; /* 0 where the file does not say: as before there were any */
    char outcome[16], code[32]; /* as action_outcome_name() and fault_name() tell them */
    unsigned count;
    struct recording_line lines[RECORDING_LINES_MAX];
};

/* Sets a field from its name and value, as in the file's header; -1 for what it does not know. */
int recording_set(struct recording *recording, const char *name, const char *value);

void recording_write(const struct recording *recording, FILE *file);

/* -1 and a line on stderr when the file cannot be read. */
int recording_read(struct recording *recording, const char *path);

/* The settings as a session's plan; info stays the caller's and owns nothing but its password. */
void recording_plan(const struct recording *recording, struct ipmi_info *ret_info,
                    struct ipmi_plan *ret_plan);

/* A generator for plan.random: the same numbers after the same seed. */
void recording_seed(uint64_t seed);
void recording_random(void *bytes, size_t len);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How one simulated BMC behaves; README.md and settings.c tell each key. */
#ifndef BMCSIM_SETTINGS_H
#define BMCSIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* What a datagram asks; lose_request and lose_response name these. */
enum kind {
    KIND_ANY,
    KIND_PING,
    KIND_AUTH_CAP,
    KIND_SUITES,
    KIND_OPEN,
    KIND_RAKP1,
    KIND_RAKP3,
    KIND_CHALLENGE,
    KIND_ACTIVATE,
    KIND_PRIVILEGE,
    KIND_STATUS,
    KIND_CONTROL,
    KIND_CLOSE,
    KIND_SEL,
    KIND_OTHER,
    KINDS
};

/* What an executed diagnostic interrupt writes into the System Event Log. */
enum records { RECORDS_NONE, RECORDS_NMI, RECORDS_OS, RECORDS_BOTH, RECORDS_NOISE };

enum version { VERSION_BOTH, VERSION_15, VERSION_20 };

struct settings {
    char user[17], password[21];
    uint8_t kg[20];
    bool has_kg, power, blackhole, control_blocks, completion_executes, duplicate_out;
    bool duplicate_executes, garbage, oversize, wrong_session, wrong_seq, wrong_rqseq;
    bool bad_authcode, bad_rakp, stray, lie, open_privilege_zero, rakp_fresh_random;
    bool rakp3_repeat, count_half_open, control_drops_session, sel, sel_full, sel_refuses_late;
    uint32_t suites, auth_types; /* bit N: suite N, authentication type N */
    int32_t privilege, version, session_limit, idle_s, mutate, truncate;
    int32_t delay_ms, control_delay_ms, execute_delay_ms, loss_in, loss_out;
    int32_t reorder, reorder_ms, jitter_ms, sel_records, sel_delay_ms, sel_completion;
    int32_t completion, status_completion, privilege_completion; /* -1: none */
    uint32_t lose_request[KINDS], lose_response[KINDS];
    uint32_t lose_probe_request, lose_probe_response; /* bit N: the N-th, 1 to 31 */
};

#endif

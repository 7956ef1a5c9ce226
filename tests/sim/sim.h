/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bmcsim: the process, its BMCs, their settings and sessions. One thread. */
#ifndef BMCSIM_SIM_H
#define BMCSIM_SIM_H

#include <stdio.h>
#include "bmc.h"

#define DATAGRAM_MAX 1024 /* of what we read, and of all answers but the oversized one */
#define ANSWER_MAX   320

struct sim {
    struct bmc *bmcs;
    uint32_t first, count; /* IPv4 BMCs: first .. first + count - 1 */
    uint32_t all;          /* with ::1 */
    struct settings defaults;
    uint64_t seed, random;
    int64_t now_us; /* monotonic, of this turn of the loop */
    bool trace, quit;
};
extern struct sim sim;

/* What the loop waits for. */
struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
};

/* bmcsim.c */
int source_add(int epoll, struct source *source, uint32_t events);
uint64_t random_next(uint64_t *state);
void random_bytes(void *out, size_t length);
bool random_percent(uint64_t *state, int32_t percent);
void trace(const struct bmc *bmc, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *bmc_name(const struct bmc *bmc);
struct bmc *bmc_find(const char *name); /* NULL: no such address here */
void bmc_start(struct bmc *bmc);        /* to the settings of the start, no sessions, no SEL */
int64_t wall_us(void);

/* settings.c */
extern const char *const kind_names[KINDS];
void settings_init(struct settings *settings);
const char *settings_set(struct settings *settings, const char *key,
                         const char *value); /* NULL: done */
void settings_help(FILE *out);

/* session.c */
struct session *session_new(struct bmc *bmc, bool plus); /* NULL: no slot free */
struct session *session_find(struct bmc *bmc, uint32_t id);
void session_free(struct bmc *bmc, struct session *session);
void sessions_free(struct bmc *bmc);
unsigned sessions_active(struct bmc *bmc);
bool session_seq_fits(const struct bmc *bmc, const struct session *session, uint32_t seq);
void session_seq_take(struct session *session, uint32_t seq);

#endif

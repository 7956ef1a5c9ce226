/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bmcsim: the way of a datagram, file by file: in, understood, executed, answered, out. */
#ifndef BMCSIM_FLOW_H
#define BMCSIM_FLOW_H

#include "bmc.h"

/* bmc15.c: RMCP, ASF, IPMI 1.5 packets */
void datagram_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length);
size_t packet15(uint8_t *out, const struct bmc *bmc, const struct session *session, uint32_t id,
                uint32_t seq, const uint8_t *message, size_t length);
int message_parse(struct request *request, const uint8_t *message, size_t length);

/* bmc20.c: RMCP+ packets; setup20.c: Open Session and RAKP */
void packet20_in(struct bmc *bmc, const struct peer *peer, const uint8_t *in, size_t length,
                 bool lost);
size_t packet20(uint8_t *out, const struct session *session, uint8_t type, uint32_t id,
                uint32_t seq, const uint8_t *payload, size_t length);
void setup20_in(struct bmc *bmc, const struct peer *peer, uint8_t type, const uint8_t *in,
                size_t length, bool lost);
struct suite {
    uint8_t id, auth, integrity, confidentiality, hash, code_length;
};
extern const struct suite suites[];
extern const size_t suites_count;

/* command.c: what a command does; answer.c: its way back */
enum kind command_kind(uint8_t netfn, uint8_t cmd);
uint8_t command_run(const struct request *request, uint8_t *data, size_t *length);
bool request_arrives(struct request *request, bool lost); /* counts; false: lost */
void request_serve(const struct request *request);        /* now, or after execute_delay_ms */
void request_execute(const struct request *request);      /* and answer, perhaps late */
struct answer {
    size_t length;
    uint8_t data[100]; /* completion code first */
};
void answer_send(const struct request *request, const struct answer *answer);

/* faults.c: the network's and the BMC's misdeeds around a datagram */
bool request_lost(struct bmc *bmc, enum kind kind, uint32_t probe, bool lost);
bool response_lost(struct bmc *bmc, enum kind kind, uint32_t probe);
void datagram_answer(struct bmc *bmc, const struct peer *peer, const uint8_t *data, size_t length);
void datagram_extra(struct bmc *bmc, const struct peer *peer, bool stray, const uint8_t *data,
                    size_t length);

/* order.c: when a datagram reaches the BMC, or the socket */
void order_datagram(struct bmc *bmc, enum way way, const struct peer *peer, bool stray,
                    const uint8_t *data, size_t length);
void order_release(struct bmc *bmc, enum way way, uint64_t number); /* if it is still held */
void order_forget(struct bmc *bmc);

/* sel.c */
void sel_interrupted(struct bmc *bmc); /* writes what the settings say, now or later */
void sel_add(struct bmc *bmc, uint8_t type, uint8_t offset);
void sel_clear(struct bmc *bmc);

/* jobs.c: what happens later; net.c: sockets; control.c: the control socket */
int jobs_init(int epoll);
void jobs_run(void);
void jobs_free(void);
void job_execute(int64_t due_us, const struct request *request);
void job_answer(int64_t due_us, const struct request *request, const struct answer *answer);
void job_datagram(int64_t due_us, enum way way, struct bmc *bmc, const struct peer *peer,
                  bool stray, const uint8_t *data, size_t length);
void job_release(int64_t due_us, struct bmc *bmc, enum way way, uint64_t number);
void job_sel(int64_t due_us, struct bmc *bmc, uint8_t type, uint8_t offset);
int net_init(int epoll, unsigned port, bool ipv6, unsigned *ret_port); /* -1: errno */
void net_send(struct bmc *bmc, const struct peer *peer, bool stray, const uint8_t *data,
              size_t length);
void net_flush(void);
int control_init(int epoll, const char *path);
void control_free(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records one session with a BMC on loopback:
 *     record ADDRESS PORT [NAME=VALUE ...] > FILE
 * The names are those of the file's header (recording.c): note, user, password, version, suites,
 * privilege, probe, seed, timeout, answer, retransmit, sel, resend, retry_busy. Without probe=1 it
 * injects. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/secret.h"
#include "recording.h"

static struct recording recording = {
    .note = "no note",
    .user = "admin",
    .password = "secret",
    .suites = {17, 3},
    .suite_count = 2,
    .privilege = IPMI_PRIVILEGE_OPERATOR,
    .seed = 1,
    .timeout = 20000000,
    .answer = 10000000,
    .retransmit = 1000000,
};

static int open_socket(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || fd < 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        fprintf(stderr, "%s port %s: no socket to that address\n", address, port);
        return -1;
    }
    return fd;
}

static void keep(bool out, int64_t at, const uint8_t *bytes, size_t len)
{
    if (recording.count == RECORDING_LINES_MAX) {
        fprintf(stderr, "more than %d datagrams\n", RECORDING_LINES_MAX);
        exit(EXIT_FAILURE);
    }
    struct recording_line *line = &recording.lines[recording.count++];
    line->out = out;
    line->at = at;
    line->datagram.len = len;
    memcpy(line->datagram.bytes, bytes, len);
}

static void put(int fd, int64_t now, const struct ipmi_datagram *out)
{
    if (out->len == 0)
        return;
    keep(true, now, out->bytes, out->len);
    if (send(fd, out->bytes, out->len, 0) < 0 && errno != ECONNREFUSED)
        fprintf(stderr, "send: %s\n", strerror(errno));
}

/* One event: a datagram, or the session's deadline. */
static void step(int fd, struct ipmi_session *session, int64_t began)
{
    struct pollfd pollfd = {fd, POLLIN, 0};
    struct ipmi_datagram in, out;
    int64_t wait = ipmi_session_deadline(session) - (clock_mono_us() - began);
    poll(&pollfd, 1, wait < 0 ? 0 : (int)(wait / 1000 + 1));
    ssize_t len = recv(fd, in.bytes, sizeof in.bytes, MSG_DONTWAIT);
    int64_t now = clock_mono_us() - began;
    if (len > 0) {
        keep(false, now, in.bytes, (size_t)len);
        ipmi_session_input(session, in.bytes, (size_t)len, now, &out);
    } else {
        ipmi_session_time(session, now, &out);
    }
    put(fd, now, &out);
}

static void run(int fd, struct ipmi_codec *codec, const struct ipmi_plan *plan)
{
    struct ipmi_session session;
    struct ipmi_datagram out;
    int64_t began = clock_mono_us();
    char text[FAULT_MESSAGE_MAX];
    recording_seed(recording.seed);
    ipmi_session_begin(&session, codec, plan, 0, &out);
    put(fd, 0, &out);
    while (session.state != IPMI_STATE_DONE) {
        if (session.state == IPMI_STATE_READY) {
            int64_t now = clock_mono_us() - began;
            ipmi_session_go(&session, now, &out);
            put(fd, now, &out);
        }
        step(fd, &session, began);
    }
    snprintf(recording.outcome, sizeof recording.outcome, "%s",
             action_outcome_name(session.outcome));
    snprintf(recording.code, sizeof recording.code, "%s", fault_name(session.code));
    ipmi_session_explain(&session, text, sizeof text);
    fprintf(stderr, "%s %s: %s\n", recording.outcome, recording.code, text);
    ipmi_session_end(&session);
}

static int set_all(char **argv)
{
    for (; *argv != NULL; argv++) {
        char *value = strchr(*argv, '=');
        if (value == NULL)
            return -1;
        *value++ = '\0';
        if (recording_set(&recording, *argv, value) < 0)
            return -1;
    }
    if (recording.ipmi_1_5)
        recording.suite_count = 0;
    return 0;
}

int main(int argc, char **argv)
{
    struct fault fault = {0};
    struct ipmi_info info;
    struct ipmi_plan plan;
    if (argc < 3 || set_all(argv + 3) < 0) {
        fprintf(stderr, "usage: %s ADDRESS PORT [NAME=VALUE ...] > FILE\n", argv[0]);
        return EXIT_FAILURE;
    }
    int fd = open_socket(argv[1], argv[2]);
    struct ipmi_codec *codec = ipmi_codec_new(&fault);
    if (fd < 0 || codec == NULL)
        return EXIT_FAILURE;
    recording_plan(&recording, &info, &plan);
    run(fd, codec, &plan);
    recording_write(&recording, stdout);
    secret_free(info.password);
    ipmi_codec_free(codec);
    close(fd);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plays the recordings of tests/replay back: with the same random numbers the session sends the
 * same datagrams and comes to the same end. What is encrypted has a random start: there the clear
 * header is compared, and the message within, which is decrypted with libgcrypt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "unit/ipmi/wire.h"
#include "recording.h"

static struct ipmi_codec *codec;
static struct recording recording;

static int group_setup(void **state)
{
    (void)state;
    codec = ipmi_codec_new(NULL);
    return codec == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    (void)state;
    ipmi_codec_free(codec);
    return 0;
}

struct playback {
    struct ipmi_info info;
    struct ipmi_plan plan;
    struct ipmi_session session;
    unsigned line;     /* the next one */
    unsigned controls; /* Chassis Controls that left */
};

/* The message in an encrypted datagram: network function, command and data. */
static bool decrypt(const struct ipmi_session *session, const struct ipmi_datagram *datagram,
                    uint8_t *message, size_t *ret_len)
{
    struct bmc_session keys = {0};
    memcpy(keys.k1, session->channel.integrity_key, 32);
    memcpy(keys.k2, session->channel.confidentiality_key, 32);
    return wire_open_2_0(session->channel.suite, &keys, datagram->bytes, datagram->len, message,
                         ret_len);
}

static void count_control(struct playback *p, const uint8_t *message, size_t len)
{
    p->controls += len >= 7 && message[1] >> 2 == 0 && message[5] == 2;
}

/* What has left must be the recording's next line. */
static void expect(struct playback *p, const struct ipmi_datagram *out)
{
    uint8_t ours[IPMI_DATAGRAM_MAX], theirs[IPMI_DATAGRAM_MAX];
    size_t our_len = 0, their_len = 0;
    if (out->len == 0)
        return;
    assert_true(p->line < recording.count);
    const struct recording_line *line = &recording.lines[p->line++];
    assert_true(line->out);
    assert_int_equal(out->len, line->datagram.len);
    assert_memory_equal(out->bytes, line->datagram.bytes, 16);
    bool plus = out->bytes[4] == 0x06;
    if (!plus || (out->bytes[5] & 0x80) == 0) {
        size_t start = out->bytes[4] == BMC_NONE ? 14 : 30;
        assert_memory_equal(out->bytes, line->datagram.bytes, out->len);
        if (!plus)
            count_control(p, out->bytes + start, out->len - start);
        return;
    }
    assert_true(decrypt(&p->session, out, ours, &our_len));
    assert_true(decrypt(&p->session, &line->datagram, theirs, &their_len));
    assert_int_equal(our_len, their_len);
    assert_memory_equal(ours, theirs, our_len);
    count_control(p, ours, our_len);
}

/* One line: a datagram comes in, or the time of the next one that goes out has come. */
static void play_line(struct playback *p)
{
    const struct recording_line *line = &recording.lines[p->line];
    struct ipmi_datagram out;
    if (!line->out) {
        p->line++;
        ipmi_session_input(&p->session, line->datagram.bytes, line->datagram.len, line->at, &out);
        assert_true(out.len == 0 || recording.lines[p->line].at == line->at);
    } else if (p->session.state == IPMI_STATE_READY) {
        ipmi_session_go(&p->session, line->at, &out);
        assert_int_not_equal(out.len, 0);
    } else {
        unsigned before = p->line;
        assert_true(ipmi_session_deadline(&p->session) <= line->at);
        ipmi_session_time(&p->session, line->at, &out);
        expect(p, &out);
        assert_int_equal(p->line, before + 1);
        return;
    }
    expect(p, &out);
}

static void play(const char *path)
{
    static struct playback playback;
    struct playback *p = &playback;
    struct ipmi_datagram out;
    assert_int_equal(recording_read(&recording, path), 0);
    assert_true(recording.count >= 2);
    memset(p, 0, sizeof *p);
    recording_plan(&recording, &p->info, &p->plan);
    recording_seed(recording.seed);
    ipmi_session_begin(&p->session, codec, &p->plan, 0, &out);
    expect(p, &out);
    while (p->line < recording.count)
        play_line(p);
    for (int i = 0; i < 4 && p->session.state != IPMI_STATE_DONE; i++) {
        ipmi_session_time(&p->session, ipmi_session_deadline(&p->session), &out);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(p->session.state, IPMI_STATE_DONE);
    assert_string_equal(action_outcome_name(p->session.outcome), recording.outcome);
    assert_string_equal(fault_name(p->session.code), recording.code);
    bool sent = !recording.probe &&
                (p->session.outcome != OUTCOME_FAILED || p->session.code == FAULT_REFUSED);
    if (recording.resend || recording.retry_busy)
        assert_true(p->controls > 1);
    else
        assert_int_equal(p->controls, sent);
    assert_int_equal(p->controls, p->session.control_sends);
    ipmi_session_end(&p->session);
    secret_free(p->info.password);
}

static void test_recordings(void **state)
{
    (void)state;
    const char *top = getenv("top_srcdir");
    char path[4096];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/tests/replay", top != NULL ? top : ".");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 4, ".txt") != 0)
            continue;
        snprintf(path, sizeof path, "%s/tests/replay/%s", top != NULL ? top : ".", entry->d_name);
        print_message("%s\n", entry->d_name);
        play(path);
        count++;
    }
    closedir(dir);
    assert_true(count >= 33); /* as many as make.sh makes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings)};
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

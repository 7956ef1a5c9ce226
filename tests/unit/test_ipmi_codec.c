/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec against packets made by other hands: the BMC of these tests, with libgcrypt; and the
 * quirks of machines that ipmi_workarounds names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>
#include "unit/ipmi/crypt.h"
#include "unit/ipmi/rig.h"
#include "unit/ipmi/wire.h"

static struct ipmi_codec *codec;

static int group_setup(void **state)
{
    codec = ipmi_codec_new(NULL);
    return codec == NULL ? -1 : rig_setup(state);
}

static int group_teardown(void **state)
{
    ipmi_codec_free(codec);
    ipmi_codec_free(NULL);
    return rig_teardown(state);
}

/* A channel and a BMC's session that share keys. */
static void share(struct ipmi_channel *channel, struct bmc *bmc, bool ipmi_1_5, unsigned suite)
{
    bmc_init(bmc, ipmi_1_5, suite);
    bmc->session_count = 1;
    struct bmc_session *session = &bmc->sessions[0];
    *channel = (struct ipmi_channel){.ipmi_1_5 = ipmi_1_5,
                                     .active = true,
                                     .suite = suite,
                                     .privilege = 3,
                                     .console_id = 0x11223344,
                                     .bmc_id = 0x55667788,
                                     .auth_type = BMC_MD5,
                                     .per_message = true,
                                     .username = "admin",
                                     .username_len = 5,
                                     .password = "secret",
                                     .password_len = 6};
    session->console_id = channel->console_id;
    session->id = channel->bmc_id;
    session->active = true;
    channel->integrity_len = channel->sik_len = (unsigned)crypt_code_len(suite);
    channel->confidentiality_len = 16;
    for (int i = 0; i < 32; i++) {
        channel->integrity_key[i] = session->k1[i] = (uint8_t)(i + 1);
        channel->confidentiality_key[i] = session->k2[i] = (uint8_t)(i + 101);
    }
}

static const struct way {
    bool ipmi_1_5;
    unsigned suite;
} ways[] = {{false, 3}, {false, 17}, {true, 0}};

/* ---- Out ---- */

static void test_commands_of_all_lengths(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram out;
    struct bmc_request request;
    uint8_t data[IPMI_DATA_MAX + 1];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (const struct way *way = ways; way < ways + 3; way++) {
        share(&channel, &bmc, way->ipmi_1_5, way->suite);
        for (size_t len = 0; len <= IPMI_DATA_MAX; len++) {
            const struct ipmi_command command = {0x2c, 0x81, data, len};
            ipmi_codec_command(codec, &channel, &command, 41, 0xfffffffe, &out);
            assert_true(bmc_read(&bmc, &out, &request));
            assert_int_equal(request.net_fn, 0x2c);
            assert_int_equal(request.cmd, 0x81);
            assert_int_equal(request.number, 41);
            assert_int_equal(request.sequence, 0xfffffffe);
            assert_int_equal(request.session_id, 0x55667788);
            /* A pad byte for old chips follows some lengths of 1.5 (section 13.6). */
            assert_true(request.len == len || (way->ipmi_1_5 && request.len == len + 1));
            assert_memory_equal(request.data, data, len);
        }
        const struct ipmi_command command = {0x2c, 0x81, data, sizeof data};
        ipmi_codec_command(codec, &channel, &command, 41, 1, &out);
        assert_int_equal(out.len, 0);
    }
}

/* The encrypted packets of one message are never alike. */
static void test_initialization_vectors(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram first, second;
    share(&channel, &bmc, false, 17);
    const struct ipmi_command command = {0, 1, NULL, 0};
    ipmi_codec_command(codec, &channel, &command, 1, 1, &first);
    ipmi_codec_command(codec, &channel, &command, 1, 1, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.bytes, second.bytes, 16);
    assert_memory_not_equal(first.bytes + 16, second.bytes + 16, 16);
    assert_memory_not_equal(first.bytes + 32, second.bytes + 32, 16);
}

/* ---- In ---- */

static void test_answers_of_all_lengths(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram in;
    uint8_t data[IPMI_DATA_MAX];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 5 + 1);
    for (const struct way *way = ways; way < ways + 3; way++) {
        share(&channel, &bmc, way->ipmi_1_5, way->suite);
        for (size_t len = 0; len <= IPMI_DATA_MAX; len++) {
            struct ipmi_packet packet = {0};
            const struct bmc_reply reply = {.net_fn = 0x2d,
                                            .cmd = 0x81,
                                            .number = 63,
                                            .completion = 0xd5,
                                            .data = data,
                                            .len = len};
            bmc_reply(&bmc, &bmc.sessions[0], &reply, &in);
            assert_int_equal(ipmi_codec_read(codec, &channel, in.bytes, in.len, &packet),
                             IPMI_GOOD);
            assert_int_equal(packet.kind, IPMI_PACKET_MESSAGE);
            assert_true(packet.in_session);
            assert_int_equal(packet.sequence, bmc.sessions[0].out_sequence - 1);
            assert_int_equal(packet.net_fn, 0x2d);
            assert_int_equal(packet.cmd, 0x81);
            assert_int_equal(packet.rq_seq, 63);
            assert_int_equal(packet.completion, 0xd5);
            assert_int_equal(packet.len, len);
            assert_memory_equal(packet.data, data, len);
        }
    }
}

/* libfreeipmi's objects are shared: nothing of an earlier packet is seen in a later one. */
static void test_nothing_is_left_over(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram in;
    struct ipmi_packet packet = {0}, untouched;
    static const uint8_t data[40] = {1, 2, 3};
    share(&channel, &bmc, false, 3);
    struct bmc_reply reply = {.net_fn = 1, .cmd = 1, .data = data, .len = sizeof data};
    bmc_reply(&bmc, &bmc.sessions[0], &reply, &in);
    assert_int_equal(ipmi_codec_read(codec, &channel, in.bytes, in.len, &packet), IPMI_GOOD);
    reply.len = 0;
    bmc_reply(&bmc, &bmc.sessions[0], &reply, &in);
    assert_int_equal(ipmi_codec_read(codec, &channel, in.bytes, in.len, &packet), IPMI_GOOD);
    assert_int_equal(packet.len, 0);
    assert_int_equal(packet.data[0], 0);
    untouched = packet;
    in.bytes[in.len - 1] ^= 1;
    assert_int_equal(ipmi_codec_read(codec, &channel, in.bytes, in.len, &packet),
                     IPMI_IGNORED_AUTHCODE);
    assert_memory_equal(&packet, &untouched, sizeof packet);
}

/* Authentic, but not well formed within: each number of pad bytes, and wrong checksums. */
static void test_badly_padded(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram good;
    struct ipmi_packet packet;
    for (unsigned suite = 3; suite <= 17; suite += 14) {
        share(&channel, &bmc, false, suite);
        const struct bmc_session *session = &bmc.sessions[0];
        const struct bmc_reply reply = {.net_fn = 1, .cmd = 2};
        bmc_reply(&bmc, &bmc.sessions[0], &reply, &good);
        assert_int_equal(good.bytes[14], 32); /* a vector, and a block: 8 bytes, 7 of padding */
        for (unsigned change = 1; change < 16 * 256; change++) {
            struct ipmi_datagram bad = good;
            uint8_t *block = bad.bytes + 32, code[32];
            size_t code_len = crypt_integrity_len(suite);
            crypt_aes(0, session->k2, bad.bytes + 16, block, 16);
            block[15 - change / 256] ^= (uint8_t)change;
            bool is_padding = change >= 256 && change < 8 * 256; /* of any content */
            crypt_aes(1, session->k2, bad.bytes + 16, block, 16);
            crypt_hmac(suite, session->k1, crypt_code_len(suite), bad.bytes + 4,
                       bad.len - 4 - code_len, code);
            memcpy(bad.bytes + bad.len - code_len, code, code_len);
            if ((change & 0xff) != 0)
                assert_int_equal(ipmi_codec_read(codec, &channel, bad.bytes, bad.len, &packet),
                                 is_padding ? IPMI_GOOD : IPMI_IGNORED_MALFORMED);
        }
    }
}

static void test_garbage(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_packet packet;
    uint8_t bytes[IPMI_DATAGRAM_MAX] = {0};
    for (const struct way *way = ways; way < ways + 3; way++) {
        share(&channel, &bmc, way->ipmi_1_5, way->suite);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            for (unsigned fill = 0; fill <= 0xff; fill += 0x33) {
                memset(bytes, (int)fill, sizeof bytes);
                assert_int_not_equal(ipmi_codec_read(codec, &channel, bytes, len, &packet), 0);
                memcpy(bytes, "\x06\x00\xff\x07\x06\xc0\x44\x33\x22\x11", len < 10 ? len : 10);
                assert_int_not_equal(ipmi_codec_read(codec, &channel, bytes, len, &packet), 0);
                if (len > 4)
                    bytes[4] = 0x02;
                assert_int_not_equal(ipmi_codec_read(codec, &channel, bytes, len, &packet), 0);
            }
        }
    }
}

/* ---- Quirks ---- */

static enum ipmi_ignored read_with(struct ipmi_channel *channel, unsigned quirks,
                                   const struct ipmi_datagram *in)
{
    struct ipmi_packet packet;
    channel->workarounds = quirks;
    return ipmi_codec_read(codec, channel, in->bytes, in->len, &packet);
}

static void test_quirks_of_1_5(void **state)
{
    (void)state;
    struct ipmi_channel channel;
    static struct bmc bmc;
    struct ipmi_datagram in;
    const struct bmc_reply reply = {.net_fn = 1, .cmd = 2};
    share(&channel, &bmc, true, 0);
    bmc_seal(&bmc, &bmc.sessions[0], 0, 1, &reply, &in);
    assert_int_equal(read_with(&channel, 0, &in), IPMI_IGNORED_SESSION);
    assert_int_equal(read_with(&channel, IPMI_WORKAROUND_IDZERO, &in), IPMI_GOOD);
    bmc_seal(&bmc, &bmc.sessions[0], channel.bmc_id, 1, &reply, &in);
    memset(in.bytes + 13, 0, 16);
    assert_int_equal(read_with(&channel, 0, &in), IPMI_IGNORED_AUTHCODE);
    assert_int_equal(read_with(&channel, IPMI_WORKAROUND_NOAUTHCODECHECK, &in), IPMI_GOOD);
    bmc_seal(&bmc, &bmc.sessions[0], channel.bmc_id, 1, &reply, &in);
    channel.per_message = false;
    assert_int_equal(read_with(&channel, 0, &in), IPMI_IGNORED_AUTHCODE);
    assert_int_equal(read_with(&channel, IPMI_WORKAROUND_UNEXPECTEDAUTH, &in), IPMI_GOOD);
    bmc.per_message = false;
    bmc_seal(&bmc, &bmc.sessions[0], channel.bmc_id, 1, &reply, &in);
    in.bytes[in.len - 1] ^= 1;
    assert_int_equal(read_with(&channel, 0, &in), IPMI_IGNORED_MALFORMED);
    assert_int_equal(read_with(&channel, IPMI_WORKAROUND_NOCHECKSUMCHECK, &in), IPMI_GOOD);
}

/* The counting of a BMC of IPMI 1.5 begins where it was asked to, or nearly. An answer with any
 * other number may be of an earlier session. */
static void test_first_number(void **state)
{
    (void)state;
    static struct rig rig;
    static const uint32_t offs[] = {
        0, 1, (uint32_t)-1, (uint32_t)-2, 2, 1000, (uint32_t)-1000, 0x7fffffff, 0x80000000};
    for (size_t i = 0; i < 2 * sizeof offs / sizeof offs[0]; i++) {
        rig_init(&rig, true, 0);
        rig.bmc.first_off = offs[i / 2];
        rig.bmc.repeats_first = i % 2; /* as ipmi_sim does */
        rig_begin(&rig);
        rig_finish(&rig);
        bool near = i / 2 < 3 || i / 2 == 4;
        assert_int_equal(rig.session.outcome, near ? OUTCOME_DELIVERED : OUTCOME_FAILED);
        assert_int_equal(rig.session.retransmissions != 0, !near);
        rig_free(&rig);
    }
}

static void test_forced_authentication(void **state)
{
    (void)state;
    static struct rig rig;
    rig_init(&rig, true, 0);
    rig.info.workarounds = IPMI_WORKAROUND_FORCEPERMSG;
    rig.bmc.per_message = false;
    rig_begin(&rig);
    rig_run_to(&rig, IPMI_STATE_PRIVILEGE);
    assert_int_equal(rig.outs[rig.out_count - 1].request.auth_type, BMC_MD5);
    rig_free(&rig);
}

static void test_authcap(void **state)
{
    (void)state;
    static struct rig rig;
    for (int quirk = 0; quirk <= 1; quirk++) {
        rig_init(&rig, false, 3);
        rig.info.workarounds = quirk ? IPMI_WORKAROUND_AUTHCAP : 0;
        rig.bmc.ipmi_1_5 = true; /* or says so */
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_OPEN);
        assert_int_equal(rig.session.state, quirk ? IPMI_STATE_OPEN : IPMI_STATE_DONE);
        rig_free(&rig);
        rig_init(&rig, false, 3); /* cannot say: try */
        rig.bmc.auth_cap_completion = 0xcc;
        rig_begin(&rig);
        rig_finish(&rig);
        assert_int_equal(rig.session.outcome, OUTCOME_DELIVERED);
        rig_free(&rig);
    }
}

static void *no_room(size_t size)
{
    (void)size;
    return NULL;
}

static void *no_more_room(void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return NULL;
}

static int is_secure(const void *bytes)
{
    (void)bytes;
    return 0;
}

/* The cryptography of 2.0 sessions needs no memory: to be out of it must neither end the process
 * nor look like a wrong password or a forged answer. The last test, for libgcrypt gets no more
 * memory after it. */
static void test_no_memory(void **state)
{
    static const unsigned suites[] = {3, 17};
    static struct bmc bmcs[2];
    struct ipmi_channel channels[2];
    struct ipmi_datagram in[2], out;
    const struct ipmi_command command = {.net_fn = 0, .cmd = 1};
    const struct bmc_reply reply = {.net_fn = 1, .cmd = 1, .number = 5};
    (void)state;
    for (int i = 0; i < 2; i++) {
        share(&channels[i], &bmcs[i], false, suites[i]);
        bmc_reply(&bmcs[i], &bmcs[i].sessions[0], &reply, &in[i]);
    }
    gcry_set_allocation_handler(no_room, no_room, is_secure, no_more_room, free);
    for (int i = 0; i < 2; i++) {
        struct ipmi_packet packet = {0};
        assert_int_equal(ipmi_codec_read(codec, &channels[i], in[i].bytes, in[i].len, &packet),
                         IPMI_GOOD);
        assert_int_equal(packet.rq_seq, 5);
        ipmi_codec_command(codec, &channels[i], &command, 1, 1, &out);
        assert_true(out.len > 0);
        ipmi_codec_rakp_3(codec, &channels[i], 1, 0, &out);
        assert_true(out.len > 0);
        assert_false(ipmi_codec_proves_rakp_2(codec, &channels[i]));
        assert_false(ipmi_codec_proves_rakp_4(codec, &channels[i]));
        assert_int_equal(ipmi_codec_keys(codec, &channels[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_of_all_lengths),
        cmocka_unit_test(test_initialization_vectors),
        cmocka_unit_test(test_answers_of_all_lengths),
        cmocka_unit_test(test_nothing_is_left_over),
        cmocka_unit_test(test_badly_padded),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_quirks_of_1_5),
        cmocka_unit_test(test_first_number),
        cmocka_unit_test(test_forced_authentication),
        cmocka_unit_test(test_authcap),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session must not take: in every state the genuine answer is held back, and damaged,
 * repeated, foreign and forged ones are given instead. They are counted as what they are, and
 * change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "unit/ipmi/rig.h"

static const struct way {
    bool ipmi_1_5;
    unsigned suite;
} ways[] = {{false, 3}, {false, 17}, {true, 0}};

#define FOR_EACH_WAY(way) for (const struct way *way = ways; way < ways + 3; way++)

/* The states in which an answer is awaited, by version. */
static const enum ipmi_state states[2][11] = {
    {IPMI_STATE_AUTH_CAP, IPMI_STATE_OPEN, IPMI_STATE_RAKP_1, IPMI_STATE_RAKP_3,
     IPMI_STATE_PRIVILEGE, IPMI_STATE_STATUS, IPMI_STATE_CONTROL, IPMI_STATE_CLOSE, IPMI_STATE_MARK,
     IPMI_STATE_PROBE, IPMI_STATE_SEL},
    {IPMI_STATE_AUTH_CAP, IPMI_STATE_CHALLENGE, IPMI_STATE_ACTIVATE, IPMI_STATE_PRIVILEGE,
     IPMI_STATE_STATUS, IPMI_STATE_CONTROL, IPMI_STATE_CLOSE, IPMI_STATE_MARK, IPMI_STATE_PROBE,
     IPMI_STATE_SEL, IPMI_STATE_DONE}};

#define STATES(way) ((way)->ipmi_1_5 ? 10 : 11)

static bool lose_control(struct rig *rig, const struct bmc_request *request)
{
    (void)rig;
    return bmc_is_control(request);
}

/* Into a state, its answer under way. */
static void run_into(struct rig *rig, enum ipmi_state state)
{
    if (state == IPMI_STATE_MARK || state == IPMI_STATE_PROBE || state == IPMI_STATE_SEL)
        rig->plan.sel = CONF_SEL_SILENCE;
    if (state == IPMI_STATE_PROBE || state == IPMI_STATE_SEL)
        rig->lose = lose_control;
    bmc_sel_add(&rig->bmc, 0x01, 7);
    rig_begin(rig);
    if (state >= IPMI_STATE_CONTROL) {
        assert_true(rig_run_to(rig, IPMI_STATE_READY));
        rig_go(rig);
    }
    assert_true(rig_run_to(rig, state));
}

/* Brings a session into a state, its answer under way: rig->answers[0]. */
static const struct ipmi_datagram *begin_in(struct rig *rig, const struct way *way,
                                            enum ipmi_state state)
{
    rig_init(rig, way->ipmi_1_5, way->suite);
    run_into(rig, state);
    assert_int_equal(rig->answer_count, 1);
    return &rig->answers[0].datagram;
}

/* A place to try things out, while the rig's session stays as it is. */
static struct ipmi_session trial;
static struct ipmi_datagram trial_out;

/* What became of a datagram: why it was ignored, or IPMI_GOOD when it was not. */
static enum ipmi_ignored try(const struct rig *rig, const uint8_t *bytes, size_t len)
{
    memcpy(&trial, &rig->session, sizeof trial);
    ipmi_session_input(&trial, bytes, len, rig->now, &trial_out);
    for (int i = IPMI_GOOD + 1; i < IPMI_IGNORED_KINDS; i++) {
        if (trial.ignored[i] == rig->session.ignored[i])
            continue;
        /* It was counted once, nothing is sent, and nothing else has changed. */
        assert_int_equal(trial.ignored[i], rig->session.ignored[i] + 1);
        assert_int_equal(trial_out.len, 0);
        trial.ignored[i]--;
        if (i == IPMI_IGNORED_SEQUENCE) { /* its numbers are no evidence any more */
            assert_true(trial.numbers.spoilt || !rig->session.channel.active);
            trial.numbers.spoilt = rig->session.numbers.spoilt;
        }
        return (enum ipmi_ignored)i;
    }
    return IPMI_GOOD;
}

static void assert_unchanged(const struct rig *rig)
{
    assert_memory_equal(&trial, &rig->session, sizeof trial);
}

/* An authentic packet that is not an answer moves the window and counts among the BMC's numbers,
 * and nothing else. */
static void assert_unchanged_but_window(const struct rig *rig)
{
    trial.in_highest = rig->session.in_highest;
    trial.in_seen = rig->session.in_seen;
    trial.numbers = rig->session.numbers;
    assert_unchanged(rig);
}

/* ---- Damaged ---- */

enum place { PROTECTED, WITHOUT_MEANING, UNPROTECTED };

/* What the specification protects of an answer, and how. */
static enum place place_of(const struct ipmi_datagram *good, size_t byte)
{
    bool plus = good->bytes[4] == 0x06,
         authenticated = plus ? (good->bytes[5] & 0x40) != 0 : good->bytes[4] != BMC_NONE;
    if (byte == 1 || byte == 2)
        return WITHOUT_MEANING; /* RMCP: reserved, and a number for acknowledges */
    if (!plus && byte == (authenticated ? 29 : 13))
        return WITHOUT_MEANING; /* the message's length: the datagram has one too */
    if (!plus && !authenticated && byte >= 5 && byte <= 8)
        return WITHOUT_MEANING; /* a session sequence number outside a session */
    if (!plus || authenticated)
        return PROTECTED;
    /* Open Session and RAKP: the tag and our session id are compared. */
    return byte < 14 || byte == 16 || (byte >= 20 && byte <= 23) ? PROTECTED : UNPROTECTED;
}

/* Where nothing protects a packet of the session's making, it may end the attempt; no more. */
static void assert_harmless(const struct rig *rig)
{
    assert_true(trial.outcome != OUTCOME_DELIVERED && trial.outcome != OUTCOME_UNKNOWN);
    assert_true(trial.state < IPMI_STATE_READY || trial.state >= IPMI_STATE_PAUSE);
    assert_int_equal(trial.control_at, 0);
    if (trial.state == IPMI_STATE_DONE)
        assert_int_equal(trial.outcome, OUTCOME_FAILED);
    if (rig->session.state == IPMI_STATE_RAKP_1 && trial.state == IPMI_STATE_DONE)
        assert_true(trial.code == FAULT_PASSWORD || trial.code == FAULT_PROTOCOL ||
                    trial.code == FAULT_PRIVILEGE || trial.code == FAULT_USER);
}

static void flip_all(const struct way *way, enum ipmi_state state)
{
    static struct rig rig;
    static struct ipmi_session genuine;
    const struct ipmi_datagram *good = begin_in(&rig, way, state);
    assert_int_equal(try(&rig, good->bytes, good->len), IPMI_GOOD);
    memcpy(&genuine, &trial, sizeof genuine);
    for (size_t bit = 0; bit < 8 * good->len; bit++) {
        struct ipmi_datagram bad = *good;
        bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum ipmi_ignored why = try(&rig, bad.bytes, bad.len);
        switch (place_of(good, bit / 8)) {
        case PROTECTED:
            if (why == IPMI_GOOD)
                fail_msg("%s: bit %zu of byte %zu", ipmi_state_name(state), bit % 8, bit / 8);
            assert_unchanged(&rig);
            break;
        case WITHOUT_MEANING:
            assert_int_equal(why, IPMI_GOOD);
            assert_memory_equal(&trial, &genuine, sizeof trial);
            break;
        case UNPROTECTED:
            assert_harmless(&rig);
        }
    }
    rig_free(&rig);
}

static void test_flipped_bits(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < STATES(way); i++)
            flip_all(way, states[way->ipmi_1_5][i]);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < STATES(way); i++) {
            const struct ipmi_datagram *good = begin_in(&rig, way, states[way->ipmi_1_5][i]);
            for (size_t len = 0; len < good->len; len++) {
                enum ipmi_ignored why = try(&rig, good->bytes, len);
                if (why != IPMI_IGNORED_MALFORMED && why != IPMI_IGNORED_AUTHCODE)
                    fail_msg("%s: %zu bytes", ipmi_state_name(rig.session.state), len);
                assert_unchanged(&rig);
            }
            rig_free(&rig);
        }
    }
}

/* Bytes behind a packet: it is ignored, or they are. */
static void test_longer(void **state)
{
    (void)state;
    static struct rig rig;
    static struct ipmi_session genuine;
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < STATES(way); i++) {
            const struct ipmi_datagram *good = begin_in(&rig, way, states[way->ipmi_1_5][i]);
            struct ipmi_datagram bad = *good;
            assert_int_equal(try(&rig, good->bytes, good->len), IPMI_GOOD);
            memcpy(&genuine, &trial, sizeof genuine);
            memset(bad.bytes + bad.len, 0x55, sizeof bad.bytes - bad.len);
            for (size_t len = good->len + 1; len <= sizeof bad.bytes; len++) {
                if (try(&rig, bad.bytes, len) == IPMI_GOOD)
                    assert_memory_equal(&trial, &genuine, sizeof trial);
                else
                    assert_unchanged(&rig);
            }
            uint8_t huge[2048] = {0};
            memcpy(huge, good->bytes, good->len);
            assert_int_equal(try(&rig, huge, sizeof huge), IPMI_IGNORED_MALFORMED);
            assert_unchanged(&rig);
            rig_free(&rig);
        }
    }
}

#define LENGTH_MAX 1500 /* what an Ethernet carries */

/* A generator of no importance, the same in each run. */
static uint8_t any_byte(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return (uint8_t)(x >> 11);
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;
    while (len > 0)
        sum = (uint8_t)(sum + bytes[--len]);
    return (uint8_t)-sum;
}

/* The good datagram's beginning, as much as fits, and anything behind it; its lengths and checksums
 * say that this is how it should be. */
static void make_plausible(const struct ipmi_datagram *good, size_t keep, uint8_t *bytes,
                           size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = i < good->len && i < keep ? good->bytes[i] : any_byte();
    if (len < 21)
        return;
    if (bytes[4] == 0x06) { /* RMCP+ */
        bytes[14] = (uint8_t)((len - 16) & 0xff);
        bytes[15] = (uint8_t)((len - 16) >> 8);
    } else if (bytes[4] == BMC_NONE) {
        bytes[13] = (uint8_t)(len - 14);
        bytes[16] = checksum(bytes + 14, 2);
        bytes[len - 1] = checksum(bytes + 17, len - 18);
    }
}

/* Answers of every length, of nothing, of anything, and of what looks right as far as one can look
 * without the keys. */
static void test_every_length(void **state)
{
    (void)state;
    static struct rig rig;
    static uint8_t bytes[LENGTH_MAX];
    unsigned believed = 0;
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < STATES(way); i++) {
            const struct ipmi_datagram good = *begin_in(&rig, way, states[way->ipmi_1_5][i]);
            bool plain =
                good.bytes[4] == 0x06 ? (good.bytes[5] & 0x40) == 0 : good.bytes[4] == BMC_NONE;
            for (size_t len = 0; len <= LENGTH_MAX; len++) {
                memset(bytes, 0, sizeof bytes);
                assert_int_not_equal(try(&rig, bytes, len), IPMI_GOOD);
                assert_unchanged(&rig);
                for (size_t keep = 0; keep <= 48; keep += 4) {
                    make_plausible(&good, keep, bytes, len);
                    if (try(&rig, bytes, len) != IPMI_GOOD) {
                        assert_unchanged(&rig);
                        continue;
                    }
                    if (len >= good.len && memcmp(bytes, good.bytes, good.len) == 0)
                        continue; /* it is the genuine one; what is behind it does not count */
                    assert_true(plain);
                    believed++;
                    assert_true(trial.outcome != OUTCOME_DELIVERED &&
                                trial.outcome != OUTCOME_UNKNOWN && trial.control_at == 0);
                }
            }
            rig_free(&rig);
        }
    }
    assert_in_range(believed, 1000, 1000000); /* so far did it get, where no key protects */
}

/* ---- Repeated and foreign ---- */

/* Every datagram of all earlier states, in every state. */
static void test_earlier_datagrams(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        for (int i = 0; i < STATES(way); i++) {
            begin_in(&rig, way, states[way->ipmi_1_5][i]);
            for (unsigned j = 0; j < rig.in_count; j++) {
                const struct ipmi_datagram *old = &rig.ins[j];
                enum ipmi_ignored why = try(&rig, old->bytes, old->len);
                bool in_session = way->ipmi_1_5 ? j >= 3 : j >= 4;
                if (in_session)
                    assert_int_equal(why, IPMI_IGNORED_SEQUENCE);
                else
                    assert_true(why == IPMI_IGNORED_UNASKED || why == IPMI_IGNORED_SESSION ||
                                why == IPMI_IGNORED_SEQUENCE || why == IPMI_IGNORED_AUTHCODE);
                if (in_session)
                    assert_unchanged(&rig);
                else
                    assert_unchanged_but_window(&rig);
            }
            rig_free(&rig);
        }
    }
}

/* Every datagram of another session with the same BMC, user and password. */
static void test_another_session(void **state)
{
    (void)state;
    static struct rig other, rig;
    FOR_EACH_WAY(way)
    {
        rig_init(&other, way->ipmi_1_5, way->suite);
        other.bmc.session_count = 5; /* so that the BMC gives other ids */
        rig_begin(&other);
        rig_finish(&other);
        assert_int_equal(other.session.outcome, OUTCOME_DELIVERED);
        for (int i = 1; i < STATES(way); i++) {
            rig_init(&rig, way->ipmi_1_5, way->suite);
            uint8_t skip[7];
            rig.plan.random(skip, sizeof skip); /* other random numbers */
            run_into(&rig, states[way->ipmi_1_5][i]);
            bool in_session = states[way->ipmi_1_5][i] >= IPMI_STATE_PRIVILEGE;
            for (unsigned j = in_session ? 0 : 2; j < other.in_count; j++) {
                const struct ipmi_datagram *old = &other.ins[j];
                assert_int_not_equal(try(&rig, old->bytes, old->len), IPMI_GOOD);
                assert_unchanged(&rig);
            }
            rig_free(&rig);
        }
        rig_free(&other);
    }
}

/* ---- Forged, with the session's own keys ---- */

struct forgery {
    uint32_t id, sequence;
    struct bmc_reply reply;
};

static enum ipmi_ignored try_forged(struct rig *rig, const struct forgery *forgery)
{
    struct ipmi_datagram bad;
    const struct bmc_session *session = &rig->bmc.sessions[rig->bmc.session_count - 1];
    bmc_seal(&rig->bmc, session, forgery->id, forgery->sequence, &forgery->reply, &bad);
    return try(rig, bad.bytes, bad.len);
}

static void test_wrong_numbers(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        begin_in(&rig, way, IPMI_STATE_CONTROL);
        const struct bmc_session *session = &rig.bmc.sessions[rig.bmc.session_count - 1];
        uint32_t id = way->ipmi_1_5 ? session->id : session->console_id;
        uint32_t next = rig.session.in_highest + 1;
        uint8_t number = rig.session.number;
        const struct bmc_reply right = {.net_fn = 1, .cmd = 2, .number = number};
        struct forgery f = {id, next, right};
        assert_int_equal(try_forged(&rig, &f), IPMI_GOOD);
        assert_int_equal(trial.outcome, OUTCOME_DELIVERED);

        f = (struct forgery){id + 1, next, right};
        assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_SESSION);
        assert_unchanged(&rig);
        f = (struct forgery){0, next, right};
        assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_SESSION);
        assert_unchanged(&rig);

        const uint32_t bad[] = {next - 1, next - 2, next + 64, next + 1000, next - 34, next - 1000};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            f = (struct forgery){id, bad[i], right};
            assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_SEQUENCE);
            assert_unchanged(&rig);
        }
        for (uint8_t other = 0; other < 64; other++) {
            f = (struct forgery){id, next, right};
            f.reply.number = other;
            if (other == number)
                continue;
            assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_UNASKED);
            assert_unchanged_but_window(&rig);
        }
        for (unsigned bit = 0; bit < 8; bit++) {
            f = (struct forgery){id, next, right};
            f.reply.cmd ^= (uint8_t)(1u << bit);
            assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_UNASKED);
            f = (struct forgery){id, next, right};
            f.reply.net_fn ^= (uint8_t)(1u << bit % 6);
            assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_UNASKED);
            assert_unchanged_but_window(&rig);
        }
        rig_free(&rig);
    }
}

/* The window of section 6.12.13: ahead by 64 at most, behind by 32 and only once. */
static void test_window(void **state)
{
    (void)state;
    static struct rig rig;
    FOR_EACH_WAY(way)
    {
        begin_in(&rig, way, IPMI_STATE_CONTROL);
        const struct bmc_session *session = &rig.bmc.sessions[rig.bmc.session_count - 1];
        uint32_t id = way->ipmi_1_5 ? session->id : session->console_id;
        uint32_t top = rig.session.in_highest + 64;
        struct forgery f = {id, top, {.net_fn = 7, .cmd = 1}};
        assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_UNASKED); /* authentic, that is */
        memcpy(&rig.session, &trial, sizeof trial);
        assert_int_equal(rig.session.in_highest, top);
        for (uint32_t back = 0; back <= 40; back++) {
            f.sequence = top - back;
            enum ipmi_ignored why = try_forged(&rig, &f);
            bool fresh = back >= 1 && back <= 32;
            assert_int_equal(why, fresh ? IPMI_IGNORED_UNASKED : IPMI_IGNORED_SEQUENCE);
            memcpy(&rig.session, &trial, sizeof trial);
            assert_int_equal(try_forged(&rig, &f), IPMI_IGNORED_SEQUENCE);
        }
        f = (struct forgery){id, top + 3, {.net_fn = 1, .cmd = 2, .number = rig.session.number}};
        assert_int_equal(try_forged(&rig, &f), IPMI_GOOD);
        assert_int_equal(trial.outcome, OUTCOME_DELIVERED);
        rig_free(&rig);
    }
}

/* ---- Forged, without any key ---- */

/* Within a 2.0 session: an answer as a 1.5 packet, unauthenticated, and plain in a 2.0 one. */
static void test_without_keys(void **state)
{
    (void)state;
    static struct rig rig;
    for (unsigned suite = 3; suite <= 17; suite += 14) {
        for (int i = 4; i < 8; i++) {
            const struct way way = {false, suite};
            const struct ipmi_datagram *good = begin_in(&rig, &way, states[0][i]);
            static const uint8_t net_fns[] = {7, 1, 1, 7}, cmds[] = {0x3b, 0x01, 0x02, 0x3c};
            struct ipmi_datagram bad, plain;
            for (uint8_t number = 0; number < 64; number++) {
                const struct bmc_reply reply = {
                    .net_fn = net_fns[i - 4], .cmd = cmds[i - 4], .number = number};
                bmc_seal(&rig.bmc, NULL, 0, 0, &reply, &bad);
                assert_int_equal(try(&rig, bad.bytes, bad.len), IPMI_IGNORED_SESSION);
                assert_unchanged(&rig);
                bmc_plain(0x00, bad.bytes + 14, bad.len - 14, &plain);
                memcpy(plain.bytes + 6, good->bytes + 6, 8); /* its session id and sequence */
                assert_int_not_equal(try(&rig, plain.bytes, plain.len), IPMI_GOOD);
                assert_unchanged(&rig);
            }
            plain = *good;
            plain.bytes[5] = 0x80; /* encrypted, not authenticated */
            assert_int_not_equal(try(&rig, plain.bytes, plain.len), IPMI_GOOD);
            assert_unchanged(&rig);
            rig_free(&rig);
        }
    }
}

/* A wrong proof in RAKP 2 is believed while RAKP 1 is asked, and not after that. */
static void test_wrong_proof(void **state)
{
    (void)state;
    static struct rig rig;
    for (unsigned suite = 3; suite <= 17; suite += 14) {
        const struct way way = {false, suite};
        struct ipmi_datagram bad = *begin_in(&rig, &way, IPMI_STATE_RAKP_1);
        bad.bytes[bad.len - 1] ^= 1;
        assert_int_equal(try(&rig, bad.bytes, bad.len), IPMI_GOOD);
        assert_int_equal(trial.state, IPMI_STATE_DONE);
        assert_int_equal(trial.code, FAULT_PASSWORD);
        assert_true(rig_run_to(&rig, IPMI_STATE_RAKP_3));
        assert_int_equal(try(&rig, bad.bytes, bad.len), IPMI_IGNORED_UNASKED);
        assert_unchanged(&rig);
        bad.bytes[24] ^= 1; /* another random number */
        assert_int_equal(try(&rig, bad.bytes, bad.len), IPMI_IGNORED_AUTHCODE);
        assert_unchanged(&rig);
        rig_finish(&rig);
        assert_int_equal(rig.session.outcome, OUTCOME_DELIVERED);
        rig_free(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bits),    cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_longer),          cmocka_unit_test(test_earlier_datagrams),
        cmocka_unit_test(test_another_session), cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_window),          cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_wrong_proof),     cmocka_unit_test(test_every_length),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The SEL as a witness: the mark, the records since, and a BMC that writes what it likes; then the
 * same within a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "unit/ipmi/rig.h"

static const struct way {
    bool ipmi_1_5;
    unsigned suite;
} ways[] = {{false, 3}, {false, 17}, {true, 0}};

#define FOR_EACH_WAY(way) for (const struct way *way = ways; way < ways + 3; way++)

static struct rig rig;

/* ---- Records by hand ---- */

struct entry {
    uint8_t bytes[18];
};

static struct entry entry(uint16_t next, uint16_t id, uint8_t sensor_type, uint8_t event,
                          uint8_t data_1)
{
    struct entry e = {{(uint8_t)next, (uint8_t)(next >> 8), (uint8_t)id, (uint8_t)(id >> 8), 0x02,
                       0x11, 0, 0, 0, 0x20, 0, 0x04, sensor_type, 7, event, data_1, 0xff, 0xff}};
    return e;
}

/* From the heap, so that a sanitizer sees one byte too many. */
static enum ipmi_sel_step give(struct ipmi_sel *sel, uint8_t completion, const struct entry *e,
                               size_t len)
{
    uint8_t *exact = malloc(len + 1);
    memcpy(exact + 1, e->bytes, len);
    enum ipmi_sel_step step = ipmi_sel_take(sel, completion, exact + 1, len);
    free(exact);
    return step;
}

static void mark(struct ipmi_sel *sel, uint16_t id)
{
    struct entry e = entry(IPMI_SEL_LAST, id, 0x01, 0x01, 0x07);
    memset(sel, 0, sizeof *sel);
    ipmi_sel_mark(sel, 0, e.bytes, sizeof e.bytes);
    assert_true(sel->marked);
    ipmi_sel_start(sel, true);
    assert_int_equal(sel->asked, id);
    assert_int_equal(sel->result, IPMI_SEL_UNREADABLE); /* nothing is read yet */
}

static void mark_and_find(struct ipmi_sel *sel)
{
    struct entry known = entry(0x21, 0x20, 0x01, 0x01, 0x07);
    mark(sel, 0x20);
    assert_int_equal(give(sel, 0, &known, 18), IPMI_SEL_MORE);
    assert_int_equal(sel->asked, 0x21);
}

static void test_mark(void **state)
{
    (void)state;
    struct ipmi_sel sel = {0};
    struct entry e = entry(0xffff, 0x20, 1, 1, 1);
    assert_int_equal(ipmi_sel_mark_id(&sel), 0xffff);
    assert_int_equal(ipmi_sel_mark(&sel, 0xcb, e.bytes, 0), IPMI_SEL_MORE);
    assert_false(sel.marked);
    assert_int_equal(ipmi_sel_mark_id(&sel), 0x0000); /* no newest record: nor an oldest one? */
    assert_int_equal(ipmi_sel_mark(&sel, 0xcb, e.bytes, 0), IPMI_SEL_STOP);
    assert_true(sel.marked && sel.empty && !sel.absent);
    sel = (struct ipmi_sel){0};
    ipmi_sel_mark(&sel, 0xcb, e.bytes, 0);
    assert_int_equal(ipmi_sel_mark(&sel, 0, e.bytes, 18), IPMI_SEL_STOP); /* it has one */
    assert_false(sel.marked || sel.empty || sel.absent);
    e = entry(0x01, 0x20, 1, 1, 1); /* a ring: the newest names the oldest */
    sel = (struct ipmi_sel){0};
    ipmi_sel_mark(&sel, 0, e.bytes, 18);
    assert_false(sel.marked);
    e = entry(0xffff, 0x20, 1, 1, 1);
    static const uint8_t absent[] = {0xc1, 0xc2};
    for (size_t i = 0; i < 2; i++) {
        sel = (struct ipmi_sel){0};
        ipmi_sel_mark(&sel, absent[i], e.bytes, 18);
        assert_true(sel.absent && !sel.marked);
        assert_int_equal(sel.result, IPMI_SEL_NONE);
    }
    static const uint8_t others[] = {0xc0, 0xc5, 0xd4, 0xff, 0x81};
    for (size_t i = 0; i < 5; i++) {
        sel = (struct ipmi_sel){0};
        ipmi_sel_mark(&sel, others[i], e.bytes, 18);
        assert_true(!sel.absent && !sel.marked);
    }
    for (size_t len = 0; len < 18; len++) {
        sel = (struct ipmi_sel){0};
        ipmi_sel_mark(&sel, 0, e.bytes, len);
        assert_false(sel.marked);
    }
    for (int bad = 0; bad <= 1; bad++) { /* ids that no record has */
        e = entry(0xffff, bad ? 0xffff : 0, 1, 1, 1);
        sel = (struct ipmi_sel){0};
        ipmi_sel_mark(&sel, 0, e.bytes, 18);
        assert_false(sel.marked);
    }
}

static void test_meanings(void **state)
{
    (void)state;
    static const struct {
        uint8_t type, record_type, event, data_1;
        enum ipmi_sel_result result;
        bool found;
    } rows[] = {
        {0x13, 0x02, 0x6f, 0x00, IPMI_SEL_INTERRUPT, true},
        {0x13, 0x02, 0x6f, 0xa0, IPMI_SEL_INTERRUPT, true},    /* with data in bytes 2 and 3 */
        {0x13, 0x02, 0x6f, 0x01, IPMI_SEL_NOTHING_NEW, false}, /* a bus timeout */
        {0x13, 0x02, 0xef, 0x00, IPMI_SEL_NOTHING_NEW, false}, /* deasserted */
        {0x13, 0x02, 0x03, 0x00, IPMI_SEL_NOTHING_NEW, false}, /* a generic event */
        {0x13, 0xc0, 0x6f, 0x00, IPMI_SEL_NOTHING_NEW, false}, /* OEM records */
        {0x13, 0xe0, 0x6f, 0x00, IPMI_SEL_NOTHING_NEW, false},
        {0x20, 0x02, 0x6f, 0x01, IPMI_SEL_OS_STOPPED, true},
        {0x20, 0x02, 0x6f, 0x00, IPMI_SEL_NOTHING_NEW, false},
        {0x1d, 0x02, 0x6f, 0x02, IPMI_SEL_NOTHING_NEW, true},
        {0x1f, 0x02, 0x6f, 0x01, IPMI_SEL_NOTHING_NEW, true},
        {0x04, 0x02, 0x6f, 0x00, IPMI_SEL_NOTHING_NEW, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ipmi_sel sel;
        struct entry e = entry(0xffff, 0x21, rows[i].type, rows[i].event, rows[i].data_1);
        e.bytes[4] = rows[i].record_type;
        mark_and_find(&sel);
        enum ipmi_sel_step step = give(&sel, 0, &e, 18);
        assert_int_equal(sel.result, rows[i].result);
        assert_int_equal(step, sel.result == IPMI_SEL_NOTHING_NEW ? IPMI_SEL_END : IPMI_SEL_STOP);
        assert_int_equal(sel.found_count, rows[i].found);
        if (rows[i].found) {
            assert_int_equal(sel.found[0].id, 0x21);
            assert_int_equal(sel.found[0].sensor_type, rows[i].type);
            assert_int_equal(sel.found[0].offset, rows[i].data_1 & 15);
            assert_true(strlen(ipmi_sel_text(&sel.found[0])) > 5);
        }
    }
}

static void assert_unreadable(struct ipmi_sel *sel, uint8_t completion, const struct entry *e,
                              size_t len)
{
    assert_int_equal(give(sel, completion, e, len), IPMI_SEL_STOP);
    assert_int_equal(sel->result, IPMI_SEL_UNREADABLE);
}

/* The mark is gone, or is another record: no conclusion, whatever follows. */
static void test_cleared(void **state)
{
    (void)state;
    struct ipmi_sel sel;
    struct entry e = entry(0xffff, 0x20, 0x13, 0x6f, 0x00);
    mark(&sel, 0x20);
    assert_unreadable(&sel, 0xcb, &e, 0);
    mark(&sel, 0x20);
    assert_unreadable(&sel, 0, &e, 18); /* the same id, another record: an interrupt */
    assert_int_equal(sel.found_count, 0);
    for (size_t byte = 2; byte < 18; byte++) {
        e = entry(0xffff, 0x20, 0x01, 0x01, 0x07);
        e.bytes[byte] ^= 1;
        mark(&sel, 0x20);
        assert_unreadable(&sel, 0, &e, 18);
    }
    mark(&sel, 0x20);
    e = entry(0x21, 0x20, 0x01, 0x01, 0x07);
    assert_int_equal(give(&sel, 0, &e, 18), IPMI_SEL_MORE);
    assert_unreadable(&sel, 0xcb, &e, 0); /* promised, and not there */
}

static void test_hostile(void **state)
{
    (void)state;
    struct ipmi_sel sel;
    struct entry e = entry(0x22, 0x21, 0x13, 0x6f, 0x00);
    for (size_t len = 0; len < 18; len++) {
        mark_and_find(&sel);
        assert_unreadable(&sel, 0, &e, len);
    }
    static const uint16_t ids[] = {0x0000, 0xffff, 0x20, 0x22, 0x2100};
    for (size_t i = 0; i < 5; i++) { /* not the record that was asked for */
        e = entry(0xffff, ids[i], 0x13, 0x6f, 0x00);
        mark_and_find(&sel);
        assert_unreadable(&sel, 0, &e, 18);
    }
    static const uint16_t nexts[] = {0x0000, 0x20, 0x21};
    for (size_t i = 0; i < 3; i++) { /* the next is none, the mark, or this one itself */
        e = entry(nexts[i], 0x21, 0x01, 0x6f, 0x00);
        mark_and_find(&sel);
        if (nexts[i] == 0) {
            assert_unreadable(&sel, 0, &e, 18);
            continue;
        }
        assert_int_equal(give(&sel, 0, &e, 18), IPMI_SEL_MORE);
        e = entry(0x21, nexts[i], 0x01, 0x6f, 0x00);
        assert_unreadable(&sel, 0, &e, 18);
    }
}

static void test_bounded(void **state)
{
    (void)state;
    struct ipmi_sel sel;
    mark_and_find(&sel);
    for (uint16_t i = 0; i < IPMI_SEL_READ_MAX; i++) { /* each names another one */
        struct entry e = entry((uint16_t)(0x22 + i), (uint16_t)(0x21 + i), 0x1d, 0x6f, 0x00);
        enum ipmi_sel_step step = give(&sel, 0, &e, 18);
        assert_int_equal(step, i + 1 < IPMI_SEL_READ_MAX ? IPMI_SEL_MORE : IPMI_SEL_STOP);
    }
    assert_int_equal(sel.result, IPMI_SEL_UNREADABLE);
    assert_int_equal(sel.read, IPMI_SEL_READ_MAX);
    assert_int_equal(sel.found_count, IPMI_SEL_FOUND_MAX);
}

/* What was found stays found when the log breaks off behind it. */
static void test_found_stays(void **state)
{
    (void)state;
    struct ipmi_sel sel;
    struct entry e = entry(0x22, 0x21, 0x20, 0x6f, 0x01);
    mark_and_find(&sel);
    assert_int_equal(give(&sel, 0, &e, 18), IPMI_SEL_MORE);
    assert_int_equal(give(&sel, 0xff, &e, 18), IPMI_SEL_STOP);
    assert_int_equal(sel.result, IPMI_SEL_OS_STOPPED);
}

static void test_passes(void **state)
{
    (void)state;
    struct ipmi_sel sel = {0};
    struct entry e = entry(0xffff, 0x05, 0x13, 0x6f, 0x00);
    ipmi_sel_mark(&sel, 0xcb, NULL, 0);
    ipmi_sel_mark(&sel, 0xcb, NULL, 0); /* empty, still empty, then the first record */
    ipmi_sel_start(&sel, true);
    assert_int_equal(sel.asked, 0);
    assert_int_equal(give(&sel, 0xcb, &e, 0), IPMI_SEL_END);
    assert_int_equal(sel.result, IPMI_SEL_NOTHING_NEW);
    ipmi_sel_start(&sel, false);
    assert_int_equal(give(&sel, 0, &e, 18), IPMI_SEL_STOP);
    assert_int_equal(sel.result, IPMI_SEL_INTERRUPT);

    struct entry known = entry(0xffff, 0x20, 0x01, 0x01, 0x07); /* nothing behind the mark */
    mark(&sel, 0x20);
    assert_int_equal(give(&sel, 0, &known, 18), IPMI_SEL_END);
    ipmi_sel_start(&sel, false);
    assert_int_equal(sel.asked, 0x20);
    assert_int_equal(sel.result, IPMI_SEL_NOTHING_NEW);
}

/* ---- Within a session ---- */

static void init(const struct way *way, enum conf_sel when)
{
    rig_init(&rig, way->ipmi_1_5, way->suite);
    rig.plan.sel = when;
    rig.bmc.sel_records = true;
    bmc_sel_add(&rig.bmc, 0x13, 0); /* an interrupt of old */
}

static void assert_end(enum action_outcome outcome, enum fault_code code)
{
    assert_int_equal(rig.session.state, IPMI_STATE_DONE);
    assert_string_equal(action_outcome_name(rig.session.outcome), action_outcome_name(outcome));
    assert_string_equal(fault_name(rig.session.code), fault_name(code));
    assert_int_equal(rig.controls, 1);
    rig_free(&rig);
}

static bool lose_control_answer(struct rig *r, const struct bmc_request *request)
{
    (void)r;
    return bmc_is_control(request);
}

static unsigned sel_requests(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < rig.out_count; i++)
        count += rig.outs[i].request.net_fn == 0x0a;
    return count;
}

static void run(void)
{
    rig_begin(&rig);
    rig_finish(&rig);
}

static void test_answer_lost(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int empty = 0; empty <= 1; empty++) {
            init(way, CONF_SEL_SILENCE);
            if (empty)
                rig.bmc.sel_count = 0;
            rig.lose_answer = lose_control_answer;
            run();
            assert_int_equal(rig.bmc.executed, 1);
            assert_true(rig.session.close_acked);
            assert_int_equal(rig.session.sel.result, IPMI_SEL_INTERRUPT);
            assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        }
    }
}

/* The request was lost: four looks a second apart find nothing, and the old record is no proof. */
static void test_request_lost(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        init(way, CONF_SEL_SILENCE);
        rig.lose = lose_control_answer;
        run();
        assert_int_equal(rig.bmc.executed, 0);
        assert_int_equal(rig.session.sel.result, IPMI_SEL_NOTHING_NEW);
        assert_int_equal(sel_requests(), 1 + 4);
        assert_true(rig.now < rig.session.control_at + rig.plan.answer + 3200000);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    }
}

/* The record comes between two looks; another one says that the system has stopped. */
static void test_later(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int stopped = 0; stopped <= 1; stopped++) {
            init(way, CONF_SEL_SILENCE);
            rig.plan.resend = CONF_RESEND_IF_UNSEEN;
            rig.lose = lose_control_answer;
            rig_begin(&rig);
            rig_run_to(&rig, IPMI_STATE_READY);
            rig_go(&rig);
            assert_true(rig_run_to(&rig, IPMI_STATE_SEL_PAUSE));
            bmc_sel_add(&rig.bmc, 0x01, 7);
            bmc_sel_add(&rig.bmc, stopped ? 0x20 : 0x13, stopped ? 1 : 0);
            rig_finish(&rig);
            assert_int_equal(rig.session.sel.read, 2);
            assert_int_equal(rig.session.sel.result,
                             stopped ? IPMI_SEL_OS_STOPPED : IPMI_SEL_INTERRUPT);
            /* Evidence only, but enough not to send another. */
            if (stopped)
                assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
            else
                assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        }
    }
}

static void test_when(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int when = CONF_SEL_NEVER; when <= CONF_SEL_ALWAYS; when++) {
            init(way, (enum conf_sel)when);
            run();
            unsigned expected = when == CONF_SEL_NEVER ? 0 : when == CONF_SEL_SILENCE ? 1 : 3;
            assert_int_equal(sel_requests(), expected);
            assert_int_equal(rig.session.sel.result,
                             when == CONF_SEL_ALWAYS ? IPMI_SEL_INTERRUPT : IPMI_SEL_UNCHECKED);
            assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        }
        init(way, CONF_SEL_SILENCE); /* a probe of the driver asks nothing */
        rig.plan.probe = true;
        run();
        assert_int_equal(sel_requests(), 0);
        rig_free(&rig);
        init(way, CONF_SEL_SILENCE); /* silent altogether: nor this */
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig.deaf = true;
        rig_go(&rig);
        rig_finish(&rig);
        assert_int_equal(sel_requests(), 1);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    }
}

/* "Not done", or what says nothing, and a record that it was: nobody knows. */
static void test_contradiction(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        for (int code = 0xd5; code <= 0xff; code += 0xff - 0xd5) {
            init(way, CONF_SEL_ALWAYS);
            rig.bmc.control_completion = (uint8_t)code;
            rig_begin(&rig);
            rig_run_to(&rig, IPMI_STATE_READY);
            rig_go(&rig);
            bmc_sel_add(&rig.bmc, 0x13, 0);
            rig_finish(&rig);
            assert_end(OUTCOME_UNKNOWN, FAULT_COMPLETION_CODE);
        }
    }
}

static bool lose_sel(struct rig *r, const struct bmc_request *request)
{
    (void)r;
    return request->net_fn == 0x0a;
}

/* No SEL, none that may be read, one that does not answer: the interrupt leaves all the same. */
static void test_without_sel(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        static const uint8_t codes[] = {0xc1, 0xd4, 0xff};
        for (size_t i = 0; i < 3; i++) {
            init(way, CONF_SEL_SILENCE);
            rig.bmc.sel_completion = codes[i];
            run();
            assert_int_equal(rig.session.sel.absent, codes[i] == 0xc1);
            assert_int_equal(sel_requests(), 1);
            assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        }
        init(way, CONF_SEL_SILENCE);
        rig.lose = lose_sel;
        run();
        assert_int_equal(sel_requests(), 2);
        assert_false(rig.session.sel.absent);
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
        init(way, CONF_SEL_SILENCE); /* remembered */
        rig.plan.no_sel = true;
        run();
        assert_int_equal(sel_requests(), 0);
        assert_int_equal(rig.session.sel.result, IPMI_SEL_NONE);
        assert_end(OUTCOME_DELIVERED, FAULT_NONE);
    }
}

static bool lose_control_and_sel(struct rig *r, const struct bmc_request *request)
{
    return bmc_is_control(request) || (r->session.control_at != 0 && request->net_fn == 0x0a);
}

/* It answers the probe and then nothing about its SEL; or so slowly that its time is over. */
static void test_silent_sel(void **state)
{
    (void)state;
    FOR_EACH_WAY(way)
    {
        init(way, CONF_SEL_SILENCE);
        rig.lose = lose_control_and_sel;
        run();
        assert_int_equal(sel_requests(), 1 + 2);
        assert_int_equal(rig.session.sel.result, IPMI_SEL_UNREADABLE);
        assert_true(rig.session.close_acked);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
        init(way, CONF_SEL_SILENCE);
        rig.lose = lose_control_answer;
        rig_begin(&rig);
        rig_run_to(&rig, IPMI_STATE_READY);
        rig_go(&rig);
        rig.delay = 1900000;
        for (int i = 0; i < 30; i++)
            bmc_sel_add(&rig.bmc, 0x01, 7);
        rig_run_to(&rig, IPMI_STATE_SEL);
        int64_t began = rig.now;
        assert_true(rig_run_to(&rig, IPMI_STATE_CLOSE));
        assert_true(rig.now - began <= 10000000);
        assert_int_equal(rig.session.sel.result, IPMI_SEL_UNREADABLE);
        rig_finish(&rig);
        assert_end(OUTCOME_UNKNOWN, FAULT_NO_ANSWER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark),         cmocka_unit_test(test_meanings),
        cmocka_unit_test(test_cleared),      cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_bounded),      cmocka_unit_test(test_found_stays),
        cmocka_unit_test(test_passes),       cmocka_unit_test(test_answer_lost),
        cmocka_unit_test(test_request_lost), cmocka_unit_test(test_later),
        cmocka_unit_test(test_when),         cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_without_sel),  cmocka_unit_test(test_silent_sel),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}

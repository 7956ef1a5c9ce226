/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The System Event Log of a simulated BMC (IPMI 2.0, 31.2 to 31.11; a record: 32.1). It keeps the
 * newest SEL_MAX records, so that thousands of BMCs stay small. */
#include <string.h>
#include "command.h"
#include "sim.h"
#include "wire.h"

#define RECORD        16
#define ID_FIRST      0x0000 /* as asked for */
#define ID_LAST       0xffff
#define TYPE_FAN      0x04
#define TYPE_CRITICAL 0x13 /* offset 0: front panel NMI, diagnostic interrupt */
#define TYPE_STOP     0x20 /* offset 1: the operating system stopped */
#define SENSOR_EVENTS 0x6f /* sensor-specific offsets */
#define THRESHOLD     0x01
#define WHOLE_RECORD  0xff
#define ERASE         0xaa
#define ERASE_STATUS  0x00

static void put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t now_s(void)
{
    return (uint32_t)(wall_us() / 1000000);
}

void sel_add(struct bmc *bmc, uint8_t type, uint8_t offset)
{
    struct sel *sel = &bmc->sel;

    if (bmc->settings.sel_full || !bmc->settings.sel) {
        sel->overflow = bmc->settings.sel_full;
        return;
    }
    if (sel->count == SEL_MAX)
        memmove(sel->records, sel->records + 1, sizeof(*sel->records) * --sel->count);
    sel->last_id = sel->last_id >= 0xfffe ? 1 : (uint16_t)(sel->last_id + 1);
    sel->added = now_s();
    sel->reservation++; /* a record added cancels what is reserved (31.4.1) */
    sel->records[sel->count++] = (struct sel_record){sel->added, sel->last_id, type, offset};
    trace(bmc, "SEL record %u: %02x offset %u", sel->last_id, type, offset);
}

void sel_clear(struct bmc *bmc)
{
    bmc->sel.count = 0;
    bmc->sel.last_id = 0; /* many BMCs number from 1 again */
    bmc->sel.overflow = false;
    bmc->sel.reservation++;
    bmc->sel.erased = now_s();
}

void sel_interrupted(struct bmc *bmc)
{
    static const struct {
        uint32_t when; /* bits of enum records */
        uint8_t type, offset;
    } writes[] = {
        {1U << RECORDS_NMI | 1U << RECORDS_BOTH, TYPE_CRITICAL, 0},
        {1U << RECORDS_OS | 1U << RECORDS_BOTH, TYPE_STOP, 1},
        {1U << RECORDS_NOISE, TYPE_FAN, 2},
        {1U << RECORDS_NOISE, TYPE_CRITICAL, 2}, /* an I/O channel check NMI: not ours */
    };
    const struct settings *set = &bmc->settings;

    for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++)
        if (!(writes[i].when & 1U << set->sel_records))
            continue;
        else if (set->sel_delay_ms > 0)
            job_sel(sim.now_us + set->sel_delay_ms * 1000LL, bmc, writes[i].type, writes[i].offset);
        else
            sel_add(bmc, writes[i].type, writes[i].offset);
}

/* 00, or why there is no log to talk to. */
static uint8_t refusal(const struct call *call)
{
    const struct settings *set = &call->bmc->settings;

    if (!set->sel)
        return CC_INVALID;
    if (set->sel_completion > 0 && (!set->sel_refuses_late || call->bmc->controlled))
        return (uint8_t)set->sel_completion;
    return CC_OK;
}

uint8_t get_sel_info(struct call *call)
{
    const struct sel *sel = &call->bmc->sel;

    if (refusal(call) != CC_OK)
        return refusal(call);
    call->out[0] = 0x51;
    put16(call->out + 1, sel->count);
    put16(call->out + 3, (uint16_t)((SEL_MAX - sel->count) * RECORD));
    le32_put(call->out + 5, sel->added ? sel->added : UINT32_MAX);
    le32_put(call->out + 9, sel->erased ? sel->erased : UINT32_MAX);
    call->out[13] = (uint8_t)(0x02 | (sel->overflow ? 0x80 : 0)); /* Reserve SEL is supported */
    call->length = 14;
    return CC_OK;
}

uint8_t reserve_sel(struct call *call)
{
    struct sel *sel = &call->bmc->sel;

    if (refusal(call) != CC_OK)
        return refusal(call);
    if (++sel->reservation == 0)
        sel->reservation = 1;
    put16(call->out, sel->reservation);
    call->length = 2;
    return CC_OK;
}

static void record_put(uint8_t out[RECORD], const struct sel_record *record)
{
    bool threshold = record->type == TYPE_FAN;

    put16(out, record->id);
    out[2] = 0x02; /* a system event */
    le32_put(out + 3, record->time);
    put16(out + 7, 0x0020); /* by the BMC */
    out[9] = 0x04;
    out[10] = record->type;
    out[11] = record->type; /* the sensor's number: any */
    out[12] = threshold ? THRESHOLD : SENSOR_EVENTS;
    out[13] = record->offset;
    out[14] = out[15] = 0xff;
}

uint8_t get_sel_entry(struct call *call)
{
    const struct sel *sel = &call->bmc->sel;
    uint16_t reservation = get16(call->in), id = get16(call->in + 2);
    uint8_t record[RECORD], from = call->in[4], n = call->in[5];
    unsigned i = id == ID_LAST && sel->count ? sel->count - 1U : 0;

    if (refusal(call) != CC_OK)
        return refusal(call);
    while (id != ID_FIRST && id != ID_LAST && i < sel->count && sel->records[i].id != id)
        i++;
    if (i >= sel->count)
        return CC_ABSENT;
    if ((from != 0 || reservation != 0) && reservation != sel->reservation)
        return CC_RESERVATION;
    if (from >= RECORD)
        return CC_RANGE;
    if (n == WHOLE_RECORD)
        n = (uint8_t)(RECORD - from);
    if (n > RECORD - from)
        return CC_TOO_MANY;
    record_put(record, &sel->records[i]);
    put16(call->out, i + 1 < sel->count ? sel->records[i + 1].id : ID_LAST);
    memcpy(call->out + 2, record + from, n);
    call->length = 2U + n;
    return CC_OK;
}

uint8_t erase_sel(struct call *call)
{
    if (refusal(call) != CC_OK)
        return refusal(call);
    if (get16(call->in) != call->bmc->sel.reservation)
        return CC_RESERVATION;
    if (memcmp(call->in + 2, "CLR", 3) != 0 ||
        (call->in[5] != ERASE && call->in[5] != ERASE_STATUS))
        return CC_FIELD;
    if (call->in[5] == ERASE)
        sel_clear(call->bmc);
    call->out[0] = 1; /* erased */
    call->length = 1;
    return CC_OK;
}

uint8_t get_sel_time(struct call *call)
{
    if (refusal(call) != CC_OK)
        return refusal(call);
    le32_put(call->out, now_s());
    call->length = 4;
    return CC_OK;
}

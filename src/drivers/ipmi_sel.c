/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drivers/ipmi_sel.h"

#include <string.h>

#define FIRST 0x0000 /* asks for the oldest record */

#define NOT_PRESENT     0xcb /* completion codes, table 5-2 */
#define INVALID_COMMAND 0xc1
#define INVALID_FOR_LUN 0xc2

#define SYSTEM_EVENT    0x02 /* record type */
#define SENSOR_SPECIFIC 0x6f /* event type, with bit 7 clear: an assertion */

#define CRITICAL_INTERRUPT 0x13 /* sensor types */
#define BOOT_INITIATED     0x1d
#define OS_BOOT            0x1f
#define OS_STOP            0x20

static uint16_t le16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* An answer is the next record's id and a whole record, which begins with its own id. */
static bool is_whole(uint8_t completion, const uint8_t *data, size_t len)
{
    return completion == 0 && len >= 2 + IPMI_SEL_RECORD && le16(data + 2) != FIRST &&
           le16(data + 2) != IPMI_SEL_LAST;
}

static void keep_last(struct ipmi_sel *sel, const uint8_t *record)
{
    sel->last = le16(record);
    memcpy(sel->record, record, IPMI_SEL_RECORD);
    sel->empty = false;
}

uint16_t ipmi_sel_mark_id(const struct ipmi_sel *sel)
{
    return sel->doubted ? FIRST : IPMI_SEL_LAST;
}

/* A mark is a record behind which there is none: in a log that is a ring the newest one names the
 * oldest as the next, and every old record would be a new one. A log is empty when it has neither a
 * newest nor an oldest record: some BMCs know no FFFFh. */
enum ipmi_sel_step ipmi_sel_mark(struct ipmi_sel *sel, uint8_t completion, const uint8_t *data,
                                 size_t len)
{
    bool doubted = sel->doubted;
    sel->doubted = false;
    if (completion == INVALID_COMMAND || completion == INVALID_FOR_LUN) {
        sel->absent = true;
        sel->result = IPMI_SEL_NONE;
    } else if (completion == NOT_PRESENT) {
        sel->marked = sel->empty = doubted;
        sel->doubted = !doubted;
    } else if (!doubted && is_whole(completion, data, len) && le16(data) == IPMI_SEL_LAST) {
        keep_last(sel, data + 2);
        sel->ids[0] = sel->last;
        sel->marked = true;
    }
    return sel->doubted ? IPMI_SEL_MORE : IPMI_SEL_STOP;
}

void ipmi_sel_start(struct ipmi_sel *sel, bool first)
{
    sel->resuming = !sel->empty;
    sel->asked = sel->empty ? FIRST : sel->last;
    if (first)
        sel->result = IPMI_SEL_UNREADABLE; /* until a pass has come to its end */
}

/* What a new record says. Only assertions of sensor-specific events of the standard's records
 * count: an OEM record may have any bytes where these have the sensor type. */
static void note(struct ipmi_sel *sel, const uint8_t *record)
{
    struct ipmi_sel_entry entry = {le16(record), record[10], record[13] & 0x0f};
    if (record[2] != SYSTEM_EVENT || record[12] != SENSOR_SPECIFIC)
        return;
    if (entry.sensor_type == CRITICAL_INTERRUPT && entry.offset == 0)
        sel->result = IPMI_SEL_INTERRUPT;
    else if (entry.sensor_type == OS_STOP && entry.offset == 1)
        sel->result = IPMI_SEL_OS_STOPPED;
    else if (entry.sensor_type != BOOT_INITIATED && entry.sensor_type != OS_BOOT)
        return;
    if (sel->found_count < IPMI_SEL_FOUND_MAX)
        sel->found[sel->found_count++] = entry;
}

/* No conclusion from what is not there; what was found before stays found. */
static enum ipmi_sel_step stop_unreadable(struct ipmi_sel *sel)
{
    if (sel->result != IPMI_SEL_OS_STOPPED && sel->result != IPMI_SEL_INTERRUPT)
        sel->result = IPMI_SEL_UNREADABLE;
    return IPMI_SEL_STOP;
}

static bool was_read(const struct ipmi_sel *sel, uint16_t id)
{
    for (unsigned i = 0; i <= sel->read; i++) {
        if (sel->ids[i] == id)
            return true;
    }
    return false;
}

/* A record that was not there before. */
static bool take_new(struct ipmi_sel *sel, const uint8_t *record)
{
    uint16_t id = le16(record);
    if ((sel->asked != FIRST && id != sel->asked) || was_read(sel, id))
        return false;
    sel->ids[++sel->read] = id;
    keep_last(sel, record);
    note(sel, record);
    return true;
}

enum ipmi_sel_step ipmi_sel_take(struct ipmi_sel *sel, uint8_t completion, const uint8_t *data,
                                 size_t len)
{
    bool still_empty = sel->empty && completion == NOT_PRESENT;
    if (!still_empty) {
        if (!is_whole(completion, data, len))
            return stop_unreadable(sel);
        /* The record that we know must be the same to the byte: a cleared log begins its ids anew.
         */
        if (sel->resuming ? memcmp(sel->record, data + 2, IPMI_SEL_RECORD) != 0
                          : !take_new(sel, data + 2))
            return stop_unreadable(sel);
        sel->resuming = false;
        if (sel->result == IPMI_SEL_INTERRUPT)
            return IPMI_SEL_STOP;
        sel->asked = le16(data);
    }
    if (still_empty || sel->asked == IPMI_SEL_LAST) {
        if (sel->result == IPMI_SEL_OS_STOPPED)
            return IPMI_SEL_STOP;
        sel->result = IPMI_SEL_NOTHING_NEW;
        return IPMI_SEL_END;
    }
    return sel->asked == FIRST || sel->read == IPMI_SEL_READ_MAX ? stop_unreadable(sel)
                                                                 : IPMI_SEL_MORE;
}

const char *ipmi_sel_name(enum ipmi_sel_result result)
{
    static const char *const names[] = {
        [IPMI_SEL_UNCHECKED] = "unchecked",   [IPMI_SEL_NONE] = "none",
        [IPMI_SEL_UNREADABLE] = "unreadable", [IPMI_SEL_NOTHING_NEW] = "nothing-new",
        [IPMI_SEL_OS_STOPPED] = "os-stopped", [IPMI_SEL_INTERRUPT] = "interrupt-recorded",
    };
    return names[result];
}

const char *ipmi_sel_text(const struct ipmi_sel_entry *entry)
{
    switch (entry->sensor_type) {
    case CRITICAL_INTERRUPT:
        return "diagnostic interrupt";
    case OS_STOP:
        return "run-time critical stop of the operating system";
    case BOOT_INITIATED:
        return "system boot or restart";
    default:
        return "boot of an operating system";
    }
}

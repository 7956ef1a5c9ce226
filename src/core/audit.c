/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions and outcomes on their way into the audit. Each is a row of the journal, and a line of
 * the log: an entry with fields where the log is the system's journal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/audit_state.h"

#define SECOND_US INT64_C(1000000)
#define LINE_MAX  1600
#define FIELDS    (AUDIT_TEXTS + 8)

/* docs/audit.md names them too; `journalctl MESSAGE_ID=...` finds by them. */
static const char decision_id[] = "5b0e4d1c8e0f4c0f9a5d3f2a7c61b9e4";
static const char outcome_id[] = "c1f6a2d07b3e4f6f8d19e5b4a20c7d53";

static const char *const field_names[AUDIT_TEXTS] = {
    [AUDIT_USER] = "NMID_USER",           [AUDIT_USER_ID] = "NMID_USER_ID",
    [AUDIT_PROJECT_ID] = "NMID_PROJECT_ID", [AUDIT_ROLES] = "NMID_ROLE",
    [AUDIT_METHOD] = "NMID_AUTH_METHOD",  [AUDIT_ADDRESS] = "NMID_ADDRESS",
    [AUDIT_CONTRACT] = "NMID_CONTRACT",   [AUDIT_OPERATION] = "NMID_OPERATION",
    [AUDIT_NODE_UUID] = "NMID_NODE_UUID", [AUDIT_NODE_NAME] = "NMID_NODE",
    [AUDIT_IDENT] = "NMID_IDENT",         [AUDIT_DECISION] = "NMID_DECISION",
    [AUDIT_RULE] = "NMID_RULE",           [AUDIT_CODE] = "NMID_CODE",
    [AUDIT_MESSAGE] = "NMID_REASON",      [AUDIT_ACTION_ID] = "NMID_ACTION_ID",
    [AUDIT_KEY] = "NMID_IDEMPOTENCY_KEY",
};

/* ---- The log ---- */

/* The line, and with it, where there are fields, what is in the row. */
static void say(struct audit *audit, const char *id, const struct journal_audit_row *row,
                const char *line)
{
    struct record_field fields[FIELDS];
    size_t count = 0;
    fields[count++] = (struct record_field){"MESSAGE", line};
    fields[count++] = (struct record_field){"PRIORITY", row->suppressed > 0 ? "4" : "6"};
    fields[count++] = (struct record_field){"SYSLOG_IDENTIFIER", "nmid"};
    fields[count++] = (struct record_field){"MESSAGE_ID", id};
    for (int i = 0; i < AUDIT_TEXTS; i++)
        fields[count++] = (struct record_field){field_names[i], row->texts[i]};
    fields[count++] = (struct record_field){"NMID_OUTCOME", row->outcome};
    fields[count++] = (struct record_field){"NMID_OUTCOME_CODE", row->outcome_code};
    if (row->force)
        fields[count++] = (struct record_field){"NMID_FORCE", "1"};
    if (audit->record != NULL && record_send(audit->record, fields, count) == 0)
        return;
    if (row->suppressed > 0)
        log_warning("%s", line);
    else
        log_info("%s", line);
}

static const char *or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

/* " of rack1-n1", or nothing. */
static void say_node(const struct journal_audit_row *row, char *text, size_t size)
{
    const char *name = row->texts[AUDIT_NODE_NAME];
    if (name == NULL)
        name = row->texts[AUDIT_NODE_UUID];
    if (name == NULL)
        name = row->texts[AUDIT_IDENT];
    snprintf(text, size, "%s%.200s", name != NULL ? " of " : "", name != NULL ? name : "");
}

static void say_decision(struct audit *audit, const struct audit_record *record,
                         const struct journal_audit_row *row)
{
    char line[LINE_MAX], node[224], who[640], why[FAULT_MESSAGE_MAX + 2] = "";
    bool of_action = record->allowed && record->action_id != NULL;
    say_node(row, node, sizeof node);
    snprintf(who, sizeof who, "(%.24s, user %.255s from %.64s%s)", or_dash(record->contract),
             or_dash(row->texts[AUDIT_USER]), or_dash(row->texts[AUDIT_ADDRESS]),
             record->force && record->allowed ? ", FORCED" : "");
    if (record->message != NULL)
        snprintf(why, sizeof why, ": %s", record->message);
    if (of_action)
        snprintf(line, sizeof line, "action %.48s: %.64s%s %s %s", record->action_id, record->operation,
                 node, record->repeat ? "repeated" : "accepted", who);
    else
        snprintf(line, sizeof line, "%.64s%s %s %s%s", record->operation, node,
                 record->allowed ? "allowed" : "refused", who, why);
    say(audit, decision_id, row, line);
}

/* ---- Refusals beyond the rate ---- */

static bool take_from_bucket(struct audit *audit, bool known)
{
    struct audit_bucket *bucket = &audit->buckets[known];
    int64_t now = clock_mono_us(), full = audit->conf.refusals * SECOND_US;
    int64_t passed = now - bucket->filled_at;
    if (passed > SECOND_US)
        passed = SECOND_US;
    bucket->filled_at = now;
    bucket->level += passed * audit->conf.refusals;
    if (bucket->level > full)
        bucket->level = full;
    if (bucket->level < SECOND_US)
        return false;
    bucket->level -= SECOND_US;
    return true;
}

static void suppress(struct audit *audit)
{
    if (audit->suppressed++ == 0)
        loop_timer_set(audit->timer, clock_mono_us() + SECOND_US);
    audit->counts.suppressed++;
}

/* One record for all of them. */
static void tell_suppressed(struct audit *audit)
{
    char message[160];
    if (audit->suppressed == 0)
        return;
    snprintf(message, sizeof message,
             "%" PRIu64 " refusals or reads have no record of their own: they were too many",
             audit->suppressed);
    struct journal_audit_row row = {
        .at = clock_wall_us(),
        .texts = {[AUDIT_OPERATION] = "any",
                  [AUDIT_DECISION] = "suppressed",
                  [AUDIT_MESSAGE] = message},
        .suppressed = audit->suppressed,
    };
    if (journal_audit_add(audit->journal, &row, false) != 0) {
        loop_timer_set(audit->timer, clock_mono_us() + SECOND_US); /* the disk, or the memory */
        return;
    }
    say(audit, decision_id, &row, message);
    audit->suppressed = 0;
}

static void on_timer(void *arg)
{
    tell_suppressed(arg);
}

/* ---- Life ---- */

struct audit *audit_new(struct loop *loop, struct journal *journal, const struct conf_audit *conf,
                        struct fault *fault)
{
    static const struct conf_audit defaults = {1000000, 365, 100, false};
    struct audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    audit->loop = loop;
    audit->journal = journal;
    audit->timer = loop_timer_new(loop, on_timer, audit, fault);
    if (audit->timer == NULL) {
        audit_free(audit);
        return NULL;
    }
    if (record_is_journal())
        audit->record = record_new(RECORD_SOCKET);
    audit_configure(audit, conf != NULL ? conf : &defaults);
    for (int known = 0; known < 2; known++)
        audit->buckets[known] =
            (struct audit_bucket){audit->conf.refusals * SECOND_US, clock_mono_us()};
    return audit;
}

void audit_free(struct audit *audit)
{
    if (audit == NULL)
        return;
    audit_read_end(audit);
    if (audit->timer != NULL)
        tell_suppressed(audit);
    loop_timer_free(audit->timer);
    record_free(audit->record);
    free(audit);
}

void audit_configure(struct audit *audit, const struct conf_audit *conf)
{
    audit->conf = *conf;
    journal_audit_configure(audit->journal, conf->records, conf->days);
}

void audit_counts(const struct audit *audit, struct audit_counts *ret_counts)
{
    *ret_counts = audit->counts;
}

/* ---- Decisions ---- */

/* The highest: each implies those below it. */
static const char *role_of(const struct principal *caller)
{
    if (caller->roles & ROLE_BIT(ROLE_ADMIN))
        return "admin";
    if (caller->roles & ROLE_BIT(ROLE_MEMBER))
        return "member";
    return caller->roles & ROLE_BIT(ROLE_READER) ? "reader" : NULL;
}

static void row_of(const struct audit_record *record, struct journal_audit_row *row)
{
    const struct principal *caller = record->caller;
    *row = (struct journal_audit_row){
        .at = clock_wall_us(),
        .texts = {[AUDIT_USER] = record->claimed,
                  [AUDIT_ADDRESS] = record->address,
                  [AUDIT_CONTRACT] = record->contract,
                  [AUDIT_OPERATION] = record->operation,
                  [AUDIT_NODE_UUID] = record->node_uuid,
                  [AUDIT_NODE_NAME] = record->node_name,
                  [AUDIT_IDENT] = record->ident,
                  [AUDIT_DECISION] = record->allowed ? "allowed" : "refused",
                  [AUDIT_RULE] = record->rule,
                  [AUDIT_CODE] = record->allowed ? NULL : fault_name(record->code),
                  [AUDIT_MESSAGE] = record->message,
                  [AUDIT_ACTION_ID] = record->action_id,
                  [AUDIT_KEY] = record->key},
        .repeat = record->repeat,
        .force = record->force,
    };
    if (caller == NULL)
        return;
    row->texts[AUDIT_USER] = caller->user;
    row->texts[AUDIT_USER_ID] = caller->user_id;
    row->texts[AUDIT_PROJECT_ID] = caller->project_id;
    row->texts[AUDIT_ROLES] = role_of(caller);
    row->texts[AUDIT_METHOD] = caller->method;
    row->administrator = caller->administrator;
    if (caller->address != NULL)
        row->texts[AUDIT_ADDRESS] = caller->address;
}

/* Something was done to a machine, or to a node's lock or status. Refusals anybody can make as many
 * as they like, and repeats, probes and reads any caller: none of these may push it out. */
static bool is_deed(const struct audit_record *record)
{
    return record->allowed && !record->repeat &&
           (record->action_id != NULL || record->change);
}

int audit_record(struct audit *audit, const struct audit_record *record)
{
    struct journal_audit_row row;
    if (audit == NULL)
        return 0;
    if (!record->allowed && !take_from_bucket(audit, record->caller != NULL)) {
        audit->counts.refused++;
        suppress(audit);
        return 0;
    }
    row_of(record, &row);
    row.is_deed = is_deed(record);
    bool must = record->allowed && record->action_id != NULL && !record->repeat;
    int kept = journal_audit_add(audit->journal, &row, must);
    if (kept != 0 && record->allowed && !record->read && !record->repeat)
        return -1; /* it is not done: the decision is the refusal that follows */
    *(record->allowed ? &audit->counts.allowed : &audit->counts.refused) += 1;
    if (kept > 0)
        suppress(audit);
    if (kept == 0 && record->ret_serial != NULL)
        *record->ret_serial = journal_audit_serial(audit->journal);
    say_decision(audit, record, &row);
    return kept < 0 ? -1 : 0;
}

void audit_outcome(struct audit *audit, const struct action *action)
{
    char line[LINE_MAX];
    if (audit == NULL)
        return;
    struct journal_audit_row row = {
        .texts = {[AUDIT_USER] = action->user,
                  [AUDIT_PROJECT_ID] = action->project_id,
                  [AUDIT_ADDRESS] = action->address,
                  [AUDIT_CONTRACT] = action->contract,
                  [AUDIT_OPERATION] = action->name,
                  [AUDIT_NODE_UUID] = action->node->uuid,
                  [AUDIT_NODE_NAME] = action->node->name,
                  [AUDIT_MESSAGE] = action->message,
                  [AUDIT_ACTION_ID] = action->id},
        .force = action->force,
        .outcome = action_outcome_name(action->outcome),
        .outcome_code = action->code != FAULT_NONE ? fault_name(action->code) : NULL,
    };
    /* A refused node of a batch has the record of its refusal. */
    if (!action->refusal && journal_audit_outcome(audit->journal, action) < 0)
        log_error("action %s: out of memory, its outcome is not in the audit", action->id);
    snprintf(line, sizeof line, "action %s: %s of %s %s: %s", action->id, action->name,
             node_label(action->node), row.outcome, or_dash(action->message));
    say(audit, outcome_id, &row, line);
}

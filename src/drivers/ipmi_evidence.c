/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session has seen, as the action's evidence; docs/ipmi.md has the keys. */
#include <stdio.h>
#include "core/driver.h"
#include "drivers/ipmi_session.h"

static void put_answer(const struct ipmi_session *s, struct action *action)
{
    char code[8];
    if (s->have_completion) {
        snprintf(code, sizeof code, "%02X", s->completion);
        action_evidence(action, "completion_code", json_string(code));
    }
    if (s->control_sends == 0)
        return;
    action_evidence(action, "sends", json_integer(s->control_sends));
    if (s->answered)
        action_evidence(action, "answer", json_string(s->late ? "late" : "on-time"));
    if (s->control_answered_at != 0)
        action_evidence(action, "answered_after_ms",
                        json_integer((s->control_answered_at - s->control_at) / 1000));
}

static void put_numbers(const struct ipmi_session *s, struct action *action)
{
    int32_t gap;
    enum ipmi_sequence sequence = ipmi_session_sequence(s, &gap);
    if (s->probes == 0)
        return;
    action_evidence(action, "probes", json_integer(s->probes));
    action_evidence(action, "probes_answered", json_integer(s->probes_answered));
    if (sequence == IPMI_SEQUENCE_UNASKED)
        return;
    action_evidence(action, "sequence", json_string(ipmi_sequence_name(sequence)));
    if (sequence != IPMI_SEQUENCE_DEAD)
        action_evidence(action, "sequence_gap", json_integer(gap));
}

static void put_sel(const struct ipmi_session *s, struct action *action)
{
    char id[8];
    if (s->control_sends == 0 || (s->probes == 0 && s->plan.sel != CONF_SEL_ALWAYS))
        return;
    action_evidence(action, "sel", json_string(ipmi_sel_name(s->sel.result)));
    if (s->sel.found_count == 0)
        return;
    json_t *records = json_array();
    for (unsigned i = 0; i < s->sel.found_count; i++) {
        const struct ipmi_sel_entry *entry = &s->sel.found[i];
        snprintf(id, sizeof id, "%04X", entry->id);
        json_array_append_new(records, json_pack("{s:s, s:i, s:i, s:s}", "id", id, "sensor_type",
                                                 entry->sensor_type, "offset", entry->offset,
                                                 "text", ipmi_sel_text(entry)));
    }
    action_evidence(action, "sel_records", records);
}

void ipmi_session_evidence(const struct ipmi_session *session, struct action *action)
{
    const struct ipmi_session *s = session;
    unsigned ignored = 0;
    for (int i = 0; i < IPMI_IGNORED_KINDS; i++)
        ignored += s->ignored[i];
    action_evidence(action, "protocol", json_string(s->channel.ipmi_1_5 ? "1.5" : "2.0"));
    if (!s->channel.ipmi_1_5)
        action_evidence(action, "cipher_suite", json_integer(s->channel.suite));
    if (s->power == IPMI_POWER_UNCHECKED && s->control_at != 0)
        action_evidence(action, "power", json_string("unchecked"));
    else if (s->power != IPMI_POWER_UNCHECKED)
        action_evidence(action, "power", json_string(s->power == IPMI_POWER_ON ? "on" : "off"));
    put_answer(s, action);
    put_numbers(s, action);
    put_sel(s, action);
    if (s->open || s->control_sends > 0)
        action_evidence(action, "session_closed", json_boolean(s->close_acked));
    if (s->retransmissions > 0)
        action_evidence(action, "retransmissions", json_integer(s->retransmissions));
    if (ignored > 0)
        action_evidence(action, "ignored_datagrams", json_integer(ignored));
}

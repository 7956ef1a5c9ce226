/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session's end means, in a sentence for a tired operator: which BMC, what it did, whether
 * the interrupt was sent. */
#include <stdio.h>
#include "core/driver.h"
#include "drivers/ipmi_session.h"

static const char *completion_text(uint8_t completion)
{
    /* IPMI 2.0, table 5-2. */
    static const char *const texts[256] = {
        [0xc0] = "node busy",
        [0xc1] = "invalid command",
        [0xc2] = "command invalid for the LUN",
        [0xc3] = "timeout while processing the command",
        [0xc4] = "out of space",
        [0xc5] = "reservation cancelled",
        [0xc6] = "request data truncated",
        [0xc7] = "request data length invalid",
        [0xc8] = "request data field length limit exceeded",
        [0xc9] = "parameter out of range",
        [0xca] = "cannot return the number of requested bytes",
        [0xcb] = "requested data not present",
        [0xcc] = "invalid data field in request",
        [0xcd] = "command illegal for this record",
        [0xce] = "response could not be provided",
        [0xcf] = "cannot execute duplicated request",
        [0xd0] = "SDR repository in update mode",
        [0xd1] = "device in firmware update mode",
        [0xd2] = "BMC initialization in progress",
        [0xd3] = "destination unavailable",
        [0xd4] = "insufficient privilege level",
        [0xd5] = "not supported in the present state",
        [0xd6] = "sub-function disabled",
        [0xff] = "unspecified error",
    };
    return texts[completion] != NULL ? texts[completion] : "not in the specification";
}

/* "10.0.0.1:623", "[fe80::1]:623", "bmc.example:623" */
static void name_bmc(const struct ipmi_info *info, char *text, size_t size)
{
    bool brackets = false;
    for (const char *p = info->address; *p != '\0'; p++)
        brackets = brackets || *p == ':';
    snprintf(text, size, brackets ? "[%s]:%u" : "%s:%u", info->address, info->port);
}

static const char *name_user(const struct ipmi_info *info)
{
    return info->username[0] != '\0' ? info->username : "(the null user)";
}

static void explain_password(const struct ipmi_session *s, const char *bmc, char *text, size_t size)
{
    const char *user = name_user(s->plan.info);
    if (s->failed_in == IPMI_STATE_ACTIVATE)
        snprintf(
            text, size,
            "the BMC at %s does not answer Activate Session, which is what a BMC does when the "
            "password of user %s is wrong; no interrupt was sent",
            bmc, user);
    else if (s->failed_in == IPMI_STATE_RAKP_3)
        snprintf(text, size,
                 "the BMC at %s knows the password of user %s but ends up with other session keys: "
                 "it probably wants a K_g (ipmi_hex_kg_key); no interrupt was sent",
                 bmc, user);
    else
        snprintf(text, size, "the BMC at %s refused the password of user %s; no interrupt was sent",
                 bmc, user);
}

static void explain_unreachable(const struct ipmi_session *s, const char *bmc, char *text,
                                size_t size)
{
    double seconds = (double)s->plan.timeout / 1e6;
    if (!s->heard)
        snprintf(text, size, "no answer from the BMC at %s within %.1f s; no interrupt was sent",
                 bmc, seconds);
    else
        snprintf(
            text, size,
            "the BMC at %s stopped answering at %s (%.1f s in all); the interrupt was not sent",
            bmc, ipmi_state_name(s->failed_in), seconds);
}

static void explain_suite(const struct ipmi_session *s, const char *bmc, char *text, size_t size)
{
    const struct ipmi_info *info = s->plan.info;
    if (info->ipmi_1_5)
        snprintf(text, size,
                 "the BMC at %s offers no IPMI 1.5 authentication type that nmid has; no "
                 "interrupt was sent",
                 bmc);
    else if (s->failed_in == IPMI_STATE_AUTH_CAP)
        snprintf(text, size,
                 "the BMC at %s does not speak IPMI 2.0 (ipmi_protocol_version = \"1.5\" may do); "
                 "no interrupt was sent",
                 bmc);
    else if (info->suite_count > 1)
        snprintf(text, size,
                 "the BMC at %s refused the cipher suites %u and %u; no interrupt was sent", bmc,
                 info->suites[0], info->suites[1]);
    else
        snprintf(text, size, "the BMC at %s refused cipher suite %u; no interrupt was sent", bmc,
                 info->suites[0]);
}

/* Failures whose cause is in the answer. */
static void explain_answer(const struct ipmi_session *s, const char *bmc, char *text, size_t size)
{
    const char *words = completion_text(s->completion);
    unsigned code = s->completion;
    switch (s->code) {
    case FAULT_UNSUPPORTED:
        snprintf(text, size,
                 "the BMC at %s has no diagnostic interrupt (completion code %02Xh, %s)", bmc, code,
                 words);
        break;
    case FAULT_REFUSED:
        snprintf(text, size,
                 "the BMC at %s refused the diagnostic interrupt: completion code %02Xh (%s)", bmc,
                 code, words);
        break;
    case FAULT_PRIVILEGE:
        snprintf(text, size, "user %s may not act as %s on the BMC at %s (%s, code %02Xh); %s",
                 name_user(s->plan.info),
                 s->plan.info->privilege == IPMI_PRIVILEGE_ADMINISTRATOR ? "ADMINISTRATOR"
                                                                         : "OPERATOR",
                 bmc, ipmi_state_name(s->failed_in), code,
                 s->control_at != 0 ? "the interrupt was refused" : "no interrupt was sent");
        break;
    case FAULT_COMPLETION_CODE:
        snprintf(text, size,
                 "the BMC at %s answered the diagnostic interrupt with completion code %02Xh (%s): "
                 "it may have been delivered; look at the machine before you send another",
                 bmc, code, words);
        break;
    default:
        snprintf(text, size,
                 "the BMC at %s answered %s against the specification%s; no interrupt was sent",
                 bmc, ipmi_state_name(s->failed_in), s->have_completion ? " or with an error" : "");
    }
}

void ipmi_session_explain(const struct ipmi_session *session, char *text, size_t size)
{
    const struct ipmi_session *s = session;
    char bmc[320];
    name_bmc(s->plan.info, bmc, sizeof bmc);
    switch (s->code) {
    case FAULT_NONE:
        snprintf(text, size,
                 s->plan.probe ? "the BMC at %s answers and knows user and password"
                               : "the BMC at %s took the diagnostic interrupt",
                 bmc);
        break;
    case FAULT_PASSWORD:
        explain_password(s, bmc, text, size);
        break;
    case FAULT_USER:
        snprintf(text, size, "the BMC at %s knows no user %s; no interrupt was sent", bmc,
                 name_user(s->plan.info));
        break;
    case FAULT_KG:
        snprintf(text, size,
                 "the BMC at %s does not have the configured K_g (ipmi_hex_kg_key); no interrupt "
                 "was sent",
                 bmc);
        break;
    case FAULT_UNREACHABLE:
        explain_unreachable(s, bmc, text, size);
        break;
    case FAULT_DEADLINE:
        snprintf(text, size, "the time ran out before the interrupt to the BMC at %s was sent",
                 bmc);
        break;
    case FAULT_BMC_BUSY:
        snprintf(text, size, "the BMC at %s had no free session for %.1f s; no interrupt was sent",
                 bmc, (double)s->plan.timeout / 1e6);
        break;
    case FAULT_SUITE:
        explain_suite(s, bmc, text, size);
        break;
    case FAULT_POWERED_OFF:
        snprintf(text, size,
                 "the BMC at %s says that the machine is powered off; no interrupt was sent", bmc);
        break;
    case FAULT_NO_ANSWER:
        snprintf(
            text, size,
            "the interrupt was sent to the BMC at %s, which has not answered for %.1f s: it may "
            "have been delivered; look at the machine before you send another",
            bmc, (double)s->plan.answer / 1e6);
        break;
    case FAULT_SYSTEM:
        snprintf(text, size, "the interrupt to the BMC at %s could not be sent, and was not", bmc);
        break;
    default:
        explain_answer(s, bmc, text, size);
    }
}

void ipmi_session_evidence(const struct ipmi_session *session, struct action *action)
{
    char code[8];
    unsigned ignored = 0;
    for (int i = 0; i < IPMI_IGNORED_KINDS; i++)
        ignored += session->ignored[i];
    action_evidence(action, "protocol", json_string(session->channel.ipmi_1_5 ? "1.5" : "2.0"));
    if (!session->channel.ipmi_1_5)
        action_evidence(action, "cipher_suite", json_integer(session->channel.suite));
    if (session->power == IPMI_POWER_UNCHECKED && session->control_at != 0)
        action_evidence(action, "power", json_string("unchecked"));
    else if (session->power != IPMI_POWER_UNCHECKED)
        action_evidence(action, "power",
                        json_string(session->power == IPMI_POWER_ON ? "on" : "off"));
    if (session->have_completion) {
        snprintf(code, sizeof code, "%02X", session->completion);
        action_evidence(action, "completion_code", json_string(code));
    }
    if (session->control_answered_at != 0)
        action_evidence(action, "answered_after_ms",
                        json_integer((session->control_answered_at - session->control_at) / 1000));
    if (session->open)
        action_evidence(action, "session_closed", json_boolean(session->close_acked));
    if (session->retransmissions > 0)
        action_evidence(action, "retransmissions", json_integer(session->retransmissions));
    if (ignored > 0)
        action_evidence(action, "ignored_datagrams", json_integer(ignored));
}

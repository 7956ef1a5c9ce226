/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session's end means, in a sentence for a tired operator: which BMC, what it did, whether
 * the interrupt was sent. */
#include <stdio.h>
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
                 "the BMC at %s offers neither MD5 nor MD2 for IPMI 1.5%s; no interrupt was sent",
                 bmc,
                 info->plain_password ? ", nor a plain password, nor none"
                                      : " (ipmi_plain_password = true would send it the password "
                                        "in clear, or none)");
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
                 s->control_sends > 1 ? "the BMC at %s refused the diagnostic interrupt each time "
                                        "that it was sent, at last with completion code %02Xh (%s)"
                                      : "the BMC at %s refused the diagnostic interrupt: "
                                        "completion code %02Xh (%s)",
                 bmc, code, words);
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
        snprintf(
            text, size,
            "the BMC at %s answered the diagnostic interrupt with completion code %02Xh (%s)%s: "
            "it may have been delivered; look at the machine before you send another",
            bmc, code, words,
            s->sel.result == IPMI_SEL_INTERRUPT ? ", and its event log has recorded one" : "");
        break;
    default:
        snprintf(text, size,
                 "the BMC at %s answered %s against the specification%s; no interrupt was sent",
                 bmc, ipmi_state_name(s->failed_in), s->have_completion ? " or with an error" : "");
    }
}

/* The record of the SEL that told. */
static unsigned record_of(const struct ipmi_sel *sel)
{
    for (unsigned i = sel->found_count; i > 0; i--) {
        if (sel->found[i - 1].sensor_type == 0x13)
            return sel->found[i - 1].id;
    }
    return sel->last;
}

static void explain_delivered(const struct ipmi_session *s, const char *bmc, char *text,
                              size_t size)
{
    if (s->plan.probe)
        snprintf(text, size, "the BMC at %s answers and knows user and password", bmc);
    else if (!s->answered || s->completion != 0)
        snprintf(text, size,
                 "the BMC at %s has recorded the diagnostic interrupt in its event log (record "
                 "%04Xh): it was delivered, and only the answer was lost",
                 bmc, record_of(&s->sel));
    else if (s->late)
        snprintf(text, size,
                 "the BMC at %s took the diagnostic interrupt; its answer came late, after %.1f s",
                 bmc, (double)(s->control_answered_at - s->control_at) / 1e6);
    else if (s->maybe)
        snprintf(text, size,
                 "the BMC at %s took the diagnostic interrupt when it was sent once more; the "
                 "first one was not answered, and nothing showed that the BMC had seen it",
                 bmc);
    else if (s->control_sends > 1)
        snprintf(text, size,
                 "the BMC at %s took the diagnostic interrupt when it was sent for the %u. time; "
                 "before that it was busy",
                 bmc, s->control_sends);
    else
        snprintf(text, size, "the BMC at %s took the diagnostic interrupt", bmc);
}

/* What was sent, and what was heard of it. */
static void say_sent(const struct ipmi_session *s, const char *bmc, char *text, size_t size)
{
    double seconds = (double)s->plan.answer / 1e6;
    if (!s->maybe)
        snprintf(text, size,
                 "the interrupt was sent to the BMC at %s, which did not answer within %.1f s", bmc,
                 seconds);
    else if (s->control_sends < 2)
        snprintf(
            text, size,
            "the interrupt was sent to the BMC at %s, which did not answer it; it could not be "
            "sent once more (%s)",
            bmc, fault_name(s->fail_code));
    else if (s->answered)
        snprintf(text, size,
                 "the interrupt was sent to the BMC at %s, which did not answer it, and once more, "
                 "which it refused with completion code %02Xh (%s)",
                 bmc, s->completion, completion_text(s->completion));
    else
        snprintf(text, size,
                 "the interrupt was sent to the BMC at %s twice, and neither was answered", bmc);
}

static const char *say_numbers(const struct ipmi_session *s)
{
    int32_t gap;
    switch (ipmi_session_sequence(s, &gap)) {
    case IPMI_SEQUENCE_NO_ANSWER_SEEN:
        return "; when it was asked afterwards it had not answered it yet, so it was probably lost "
               "on its way, or the BMC was still at it";
    case IPMI_SEQUENCE_ANSWERED_LOST:
        return "; its numbering shows that it did answer and that the answer was lost, so it has "
               "seen "
               "the interrupt";
    case IPMI_SEQUENCE_AMBIGUOUS:
        return "; it answers other things, and its numbering does not tell whether it answered "
               "this";
    case IPMI_SEQUENCE_DEAD:
        return "; nor has it answered anything since";
    default:
        return "";
    }
}

static const char *say_sel(const struct ipmi_session *s)
{
    switch (s->sel.result) {
    case IPMI_SEL_OS_STOPPED:
        return "; its event log shows that the operating system has stopped since";
    case IPMI_SEL_NOTHING_NEW:
        return "; its event log shows nothing of it";
    case IPMI_SEL_UNREADABLE:
        return "; its event log could not be read";
    default:
        return "";
    }
}

static void explain_silence(const struct ipmi_session *s, const char *bmc, char *text, size_t size)
{
    char sent[FAULT_MESSAGE_MAX];
    say_sent(s, bmc, sent, sizeof sent);
    snprintf(text, size,
             "%s%s%s: it may have been delivered; look at the machine before you send another",
             sent, say_numbers(s), say_sel(s));
}

void ipmi_session_explain(const struct ipmi_session *session, char *text, size_t size)
{
    const struct ipmi_session *s = session;
    char bmc[320];
    name_bmc(s->plan.info, bmc, sizeof bmc);
    switch (s->code) {
    case FAULT_NONE:
        explain_delivered(s, bmc, text, size);
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
        explain_silence(s, bmc, text, size);
        break;
    case FAULT_SYSTEM:
        snprintf(text, size, "the interrupt to the BMC at %s could not be sent, and was not", bmc);
        break;
    default:
        explain_answer(s, bmc, text, size);
    }
}

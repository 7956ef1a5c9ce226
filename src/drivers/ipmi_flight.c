/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A flight's life: start, the look-up, the session over the shared sockets, each interrupt's leave
 * from the journal, the end. */
#include "drivers/ipmi_flight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/secret.h"
#include "base/vault.h"
#include "drivers/ipmi_session.h"

#define STARTS_A_TURN 64 /* sessions begun before the loop reads again: paced sends */
#define WHY_MAX       160

struct flight {
    struct ipmi *ipmi;
    struct action *action; /* or NULL: a probe */
    struct node *node;     /* counted */
    driver_probe_fn *probe_done;
    void *probe_arg;
    struct ipmi_peer peer;
    struct ipmi_lookup *lookup; /* while the name is looked up */
    struct ipmi_session session;
    struct loop_timer *timer;
    int64_t began_at;
    bool joined, begun;
    bool waiting; /* for the journal's go */
    bool aborted;
    enum fault_code abort_code;
    char why[WHY_MAX];
    struct flight *next, **link;
    struct flight *next_starting;
};

static void on_timer(void *arg);
static void flight_step(struct flight *flight);

static int64_t ms(unsigned milliseconds)
{
    return (int64_t)milliseconds * 1000;
}

/* ---- A flight's end ---- */

static void flight_free(struct flight *flight)
{
    if (flight->joined)
        ipmi_net_leave(flight->ipmi->net, &flight->peer);
    ipmi_lookup_cancel(flight->lookup);
    loop_timer_free(flight->timer);
    ipmi_session_end(&flight->session);
    *flight->link = flight->next;
    if (flight->next != NULL)
        flight->next->link = flight->link;
    action_unref(flight->action);
    node_unref(flight->node);
    vault_give(flight);
}

static void complete_probe(struct flight *flight, enum action_outcome outcome, enum fault_code code,
                           const char *message)
{
    static const char *const powers[] = {
        [IPMI_POWER_UNCHECKED] = "unknown", [IPMI_POWER_ON] = "on", [IPMI_POWER_OFF] = "off"};
    driver_probe_fn *done = flight->probe_done;
    void *arg = flight->probe_arg;
    struct fault fault = {0};
    json_t *result = NULL;
    const struct ipmi_session *session = &flight->session;
    if (outcome == OUTCOME_DELIVERED)
        result = json_pack("{s:s, s:s?, s:s, s:s, s:o, s:I}", "node_uuid", flight->node->uuid,
                           "node_name", flight->node->name, "power", powers[session->power],
                           "protocol", session->channel.ipmi_1_5 ? "1.5" : "2.0", "cipher_suite",
                           session->channel.ipmi_1_5 ? json_null()
                                                     : json_integer(session->channel.suite),
                           "elapsed_ms", (json_int_t)((clock_mono_us() - flight->began_at) / 1000));
    if (result == NULL)
        fault_set(&fault, code != FAULT_NONE ? code : FAULT_MEMORY, "%s", message);
    flight_free(flight);
    done(arg, result, result != NULL ? NULL : &fault);
    json_decref(result);
}

static void learn(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    int64_t now = clock_mono_us();
    char address[IPMI_TARGET_MAX];
    ipmi_lookup_target(&flight->peer.address, address);
    ipmi_memory_keep(ipmi->memory, flight->node->target, &flight->session, now);
    ipmi_memory_judge(ipmi->memory, address, flight->node, &flight->session, now);
}

/* The one completion of a flight. */
static void complete(struct flight *flight, enum action_outcome outcome, enum fault_code code,
                     const char *message)
{
    if (flight->begun)
        learn(flight);
    if (flight->action == NULL) {
        complete_probe(flight, outcome, code, message);
        return;
    }
    struct action *action = action_ref(flight->action);
    if (flight->begun)
        ipmi_session_evidence(&flight->session, action);
    flight_free(flight);
    action_finish(action, outcome, code, "%s", message);
    action_unref(action);
}

static void complete_session(struct flight *flight)
{
    char message[FAULT_MESSAGE_MAX];
    const struct ipmi_session *session = &flight->session;
    if (flight->aborted && session->control_sends == 0 && session->code == flight->abort_code)
        snprintf(message, sizeof message, "%s", flight->why);
    else
        ipmi_session_explain(session, message, sizeof message);
    complete(flight, session->outcome, session->code, message);
}

/* ---- A flight's way ---- */

/* Sends what the session wants sent, and wipes it: a 1.5 packet may have the password in clear. -1:
 * the kernel refuses it. But for the interrupt, the session's own timer then sends it again. */
static int flight_send(struct flight *flight, struct ipmi_datagram *out)
{
    if (out->len == 0)
        return 0;
    int result = ipmi_net_send(flight->ipmi->net, &flight->peer, out->bytes, out->len);
    secret_wipe(out->bytes, out->len);
    return result;
}

/* *sent* is on disk: the one irreversible datagram. Another one asks the journal again. */
static void on_go(void *arg)
{
    struct flight *flight = arg;
    struct ipmi_datagram out;
    flight->waiting = false;
    ipmi_session_go(&flight->session, clock_mono_us(), &out);
    if (flight_send(flight, &out) < 0) {
        ipmi_session_unsent(&flight->session, clock_mono_us(), &out);
        flight_send(flight, &out);
    }
    flight_step(flight);
}

static void flight_step(struct flight *flight)
{
    const struct ipmi_session *session = &flight->session;
    bool ready = session->state == IPMI_STATE_READY;
    if (flight->waiting && !ready) { /* given up, or answered after all, while it waited */
        flight->waiting = false;
        action_revoke(flight->action);
    }
    if (session->state == IPMI_STATE_DONE) {
        complete_session(flight);
        return;
    }
    loop_timer_set(flight->timer, ipmi_session_deadline(session));
    if (ready && !flight->waiting) {
        flight->waiting = true;
        action_sending(flight->action, on_go, flight); /* it may give the flight up at once */
    }
}

static void on_datagram(void *arg, const uint8_t *bytes, size_t len)
{
    struct flight *flight = arg;
    struct ipmi_datagram out;
    if (!flight->begun)
        return;
    ipmi_session_input(&flight->session, bytes, len, clock_mono_us(), &out);
    flight_send(flight, &out);
    flight_step(flight);
}

/* A new session from the settings and from what is known of the BMC. */
static void begin_session(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    const struct ipmi_known *known = ipmi_memory_find(ipmi->memory, flight->node->target);
    int64_t now = clock_mono_us();
    struct ipmi_datagram out;
    struct ipmi_plan plan = {
        .info = flight->node->driver_info,
        .probe = flight->action == NULL,
        .timeout = flight->began_at + ms(ipmi->settings.timeout_ms) - now,
        .answer = ms(ipmi->settings.answer_ms),
        .retransmit = ms(ipmi->settings.retransmit_ms),
        .min_interval = ms(ipmi->settings.min_interval_ms),
        .sel = ipmi->settings.sel,
        .resend = ipmi->settings.resend,
        .retry_busy = ipmi->settings.retry_busy,
        .random = secret_random,
    };
    if (known != NULL) {
        plan.suite = known->suite;
        plan.round_trip = known->round_trip;
        plan.no_sel = known->no_sel;
        plan.skip_auth_cap = known->has_2_0 && !plan.info->ipmi_1_5;
    }
    flight->begun = true;
    ipmi_session_begin(&flight->session, ipmi->codec, &plan, now, &out);
    flight_send(flight, &out);
    flight_step(flight);
}

/* The BMC's address is known and nobody else is at it: was it given an interrupt meanwhile, under
 * another name? Completes the flight then. */
static bool is_held_off(struct flight *flight)
{
    char target[IPMI_TARGET_MAX];
    struct fault fault = {0};
    if (flight->action == NULL)
        return false;
    ipmi_lookup_target(&flight->peer.address, target);
    if (action_resolved(flight->action, target, &fault) == 0)
        return false;
    complete(flight, OUTCOME_FAILED, fault.code, fault.message);
    return true;
}

/* Has the BMC refused these credentials of late? Completes the flight then. */
static bool is_refused(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    char address[IPMI_TARGET_MAX];
    struct fault fault = {0};
    ipmi_lookup_target(&flight->peer.address, address);
    if (ipmi_memory_check(ipmi->memory, address, flight->node,
                          (int64_t)ipmi->settings.auth_pause_s * 1000000, clock_mono_us(),
                          &fault) == 0)
        return false;
    complete(flight, OUTCOME_FAILED, fault.code, fault.message);
    return true;
}

static void flight_begin(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    if (is_refused(flight))
        return;
    const struct ipmi_known *known = ipmi_memory_find(ipmi->memory, flight->node->target);
    int64_t earliest = known == NULL ? 0 : known->ended_at + ms(ipmi->settings.min_interval_ms);
    if (known != NULL && ipmi->settings.min_interval_ms > 0 && clock_mono_us() < earliest) {
        loop_timer_set(flight->timer, earliest);
        return;
    }
    if (!flight->joined) {
        flight->peer.receive = on_datagram;
        flight->peer.arg = flight;
        if (ipmi_net_join(ipmi->net, &flight->peer) < 0) {
            complete(
                flight, OUTCOME_FAILED, FAULT_IN_FLIGHT,
                "another node's action is under way at the same BMC address: two nodes share a "
                "BMC; no interrupt was sent");
            return;
        }
        flight->joined = true;
    }
    if (is_held_off(flight))
        return;
    begin_session(flight);
}

static void flight_time_out_lookup(struct flight *flight)
{
    const struct ipmi_info *info = flight->node->driver_info;
    char message[FAULT_MESSAGE_MAX];
    snprintf(message, sizeof message,
             "the look-up of the BMC's name %s took too long; no interrupt was sent",
             info->address);
    complete(flight, OUTCOME_FAILED, FAULT_ADDRESS, message);
}

static void on_timer(void *arg)
{
    struct flight *flight = arg;
    struct ipmi_datagram out;
    if (flight->lookup != NULL) {
        flight_time_out_lookup(flight);
    } else if (!flight->begun) {
        flight_begin(flight);
    } else {
        ipmi_session_time(&flight->session, clock_mono_us(), &out);
        flight_send(flight, &out);
        flight_step(flight);
    }
}

/* ---- A flight's start ---- */

static void queue_start(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    flight->next_starting = NULL;
    *ipmi->starting_end = flight;
    ipmi->starting_end = &flight->next_starting;
    loop_wake(ipmi->loop);
}

static struct flight *take_start(struct ipmi *ipmi)
{
    struct flight *flight = ipmi->starting;
    if (flight != NULL) {
        ipmi->starting = flight->next_starting;
        if (ipmi->starting == NULL)
            ipmi->starting_end = &ipmi->starting;
    }
    return flight;
}

void ipmi_flights_begin(void *arg)
{
    struct ipmi *ipmi = arg;
    struct flight *flight;
    for (int i = 0; i < STARTS_A_TURN && (flight = take_start(ipmi)) != NULL; i++)
        flight_begin(flight);
    if (ipmi->starting != NULL)
        loop_wake(ipmi->loop);
}

static void on_lookup(void *arg, const struct sockaddr_storage *address, const char *error)
{
    struct flight *flight = arg;
    const struct ipmi_info *info = flight->node->driver_info;
    char message[FAULT_MESSAGE_MAX];
    flight->lookup = NULL;
    loop_timer_clear(flight->timer);
    if (address == NULL) {
        snprintf(message, sizeof message,
                 "the BMC's name %s could not be resolved (%s); no interrupt was sent",
                 info->address, error);
        complete(flight, OUTCOME_FAILED, FAULT_ADDRESS, message);
        return;
    }
    flight->peer.address = *address;
    queue_start(flight);
}

struct flight *ipmi_flight_new(struct ipmi *ipmi, struct node *node, struct action *action,
                               driver_probe_fn *done, void *arg)
{
    struct flight *flight = vault_take(sizeof *flight); /* its session has a password and keys */
    if (flight == NULL)
        return NULL;
    flight->timer = loop_timer_new(ipmi->loop, on_timer, flight, NULL);
    if (flight->timer == NULL) {
        vault_give(flight);
        return NULL;
    }
    flight->ipmi = ipmi;
    flight->node = node_ref(node);
    flight->action = action == NULL ? NULL : action_ref(action);
    flight->probe_done = done;
    flight->probe_arg = arg;
    flight->began_at = clock_mono_us();
    flight->next = ipmi->flights;
    flight->link = &ipmi->flights;
    if (flight->next != NULL)
        flight->next->link = &flight->next;
    ipmi->flights = flight;
    return flight;
}

void ipmi_flight_start(struct flight *flight)
{
    struct ipmi *ipmi = flight->ipmi;
    const struct ipmi_info *info = flight->node->driver_info;
    struct fault fault = {0};
    if (ipmi_lookup_numeric(info->address, info->port, &flight->peer.address)) {
        queue_start(flight);
        return;
    }
    flight->lookup =
        ipmi_lookup_start(ipmi->lookups, info->address, info->port, on_lookup, flight, &fault);
    if (flight->lookup == NULL)
        complete(flight, OUTCOME_FAILED, fault.code, fault.message);
    else
        loop_timer_set(flight->timer, flight->began_at + ms(ipmi->settings.timeout_ms));
}

/* ---- Giving up ---- */

static void remove_start(struct ipmi *ipmi, struct flight *flight)
{
    struct flight **link = &ipmi->starting;
    while (*link != NULL && *link != flight)
        link = &(*link)->next_starting;
    if (*link == NULL)
        return;
    *link = flight->next_starting;
    if (*link == NULL)
        ipmi->starting_end = link;
}

static void flight_abort(struct flight *flight, enum fault_code code, const char *why)
{
    struct ipmi_datagram out;
    if (!flight->begun) {
        remove_start(flight->ipmi, flight);
        complete(flight, OUTCOME_FAILED, code, why);
        return;
    }
    flight->aborted = true;
    flight->abort_code = code;
    snprintf(flight->why, sizeof flight->why, "%s", why);
    ipmi_session_abort(&flight->session, code, clock_mono_us(), &out);
    flight_send(flight, &out);
    flight_step(flight);
}

void ipmi_flights_abort(struct ipmi *ipmi, struct action *action, enum fault_code code,
                        const char *why)
{
    struct flight *next;
    for (struct flight *flight = ipmi->flights; flight != NULL; flight = next) {
        next = flight->next;
        if (flight->action != NULL && (action == NULL || flight->action == action))
            flight_abort(flight, code, why);
    }
}

/* nmid ends, and does not wait for those that were sent. An interrupt whose fate the BMC has told
 * is told; one that is still out is unknown. */
static void flight_stop(struct flight *flight)
{
    const struct ipmi_session *session = &flight->session;
    if (!flight->begun || session->control_sends == 0)
        complete(flight, OUTCOME_FAILED, FAULT_STOPPING, "nmid was stopped");
    else if (session->state == IPMI_STATE_CONTROL)
        complete(
            flight, OUTCOME_UNKNOWN, FAULT_DAEMON_STOPPED,
            "nmid was stopped while the BMC's answer to the interrupt was awaited: it may have "
            "been delivered; look at the machine before you send another");
    else
        complete_session(flight);
}

void ipmi_flights_stop(struct ipmi *ipmi)
{
    while (ipmi->flights != NULL)
        flight_stop(ipmi->flights);
}

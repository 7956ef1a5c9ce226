/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /metrics: what /healthz counts and the audit's own, in Prometheus' text format 0.0.4. */
#include <stdarg.h>
#include <stdio.h>

#include "base/heap.h"
#include "contracts/agent_state.h"
#include "core/audit.h"
#include "core/limits.h"
#include "http/certificates.h"

#define TYPE     "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_MAX 16384

struct text {
    size_t len;
    char bytes[TEXT_MAX];
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->bytes + text->len, TEXT_MAX - text->len, format, args);
    va_end(args);
    if (len > 0)
        text->len += (size_t)len;
    if (text->len >= TEXT_MAX)
        text->len = TEXT_MAX - 1;
}

static void add_family(struct text *text, const char *name, const char *type, const char *help)
{
    add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_gauge(struct text *text, const char *name, const char *help, size_t value)
{
    add_family(text, name, "gauge", help);
    add(text, "%s %zu\n", name, value);
}

static void add_actions(struct text *text, const struct engine_counts *counts)
{
    static const char name[] = "nmid_actions_finished_total";
    add_family(text, name, "counter", "Actions that have ended, by outcome.");
    add(text, "%s{outcome=\"delivered\"} %zu\n", name, counts->delivered);
    add(text, "%s{outcome=\"failed\"} %zu\n", name, counts->failed);
    add(text, "%s{outcome=\"unknown\"} %zu\n", name, counts->unknown);
}

static void add_audit(struct text *text, const struct audit_counts *counts)
{
    add_family(text, "nmid_decisions_total", "counter", "What callers asked for, by decision.");
    add(text, "nmid_decisions_total{decision=\"allowed\"} %llu\n",
        (unsigned long long)counts->allowed);
    add(text, "nmid_decisions_total{decision=\"refused\"} %llu\n",
        (unsigned long long)counts->refused);
    add_family(text, "nmid_audit_suppressed_total", "counter",
               "Decisions that have no record of their own in the audit.");
    add(text, "nmid_audit_suppressed_total %llu\n", (unsigned long long)counts->suppressed);
}

static void add_limits(struct text *text, const struct limits *limits)
{
    static const char name[] = "nmid_limit_reached_total";
    add_family(text, name, "counter",
               "How often a limit was reached, by the name of its setting in limits.");
    for (enum limit limit = 0; limit < LIMITS; limit++)
        add(text, "%s{limit=\"%s\"} %llu\n", name, limit_name(limit),
            (unsigned long long)limits_count(limits, limit));
}

static void add_connections(struct text *text, const struct http_exchange *exchange)
{
    static const char name[] = "nmid_connections";
    add_family(text, name, "gauge", "Connections that stand, by kind of socket.");
    add(text, "%s{socket=\"tcp\"} %zu\n", name, http_connections(exchange, false));
    add(text, "%s{socket=\"unix\"} %zu\n", name, http_connections(exchange, true));
}

static void add_heap(struct text *text)
{
    static const char name[] = "nmid_heap_bytes";
    struct heap_bytes heap = heap_bytes();
    add_family(text, name, "gauge", "The heap: what is in use, and what is free in it.");
    add(text, "%s{state=\"used\"} %zu\n", name, heap.used);
    add(text, "%s{state=\"free\"} %zu\n", name, heap.idle);
}

static void add_tls(struct text *text, const struct http_exchange *exchange)
{
    static const char failed[] = "nmid_tls_handshakes_failed_total";
    static const char expires[] = "nmid_tls_certificate_expires_seconds";
    const char *label;
    int64_t when_s;
    add_family(text, failed, "counter", "TLS handshakes that failed, by cause.");
    for (enum tls_cause cause = 0; cause < TLS_CAUSES; cause++)
        add(text, "%s{cause=\"%s\"} %llu\n", failed, tls_cause_name(cause),
            (unsigned long long)http_tls_failures(exchange, cause));
    add_family(text, expires, "gauge",
               "When the certificate of a listener, or one behind it, expires: UNIX time.");
    for (size_t n = 0; http_tls_expires(exchange, n, &label, &when_s); n++) {
        if (label != NULL)
            add(text, "%s{listener=\"%s\"} %lld\n", expires, label, (long long)when_s);
    }
}

void agent_on_metrics(void *self, struct http_exchange *exchange)
{
    const struct agent *agent = self;
    struct text text = {0};
    struct fault fault = {0};
    struct engine_counts counts;
    struct audit_counts audit = {0};
    const struct access access = {NULL,      http_principal(exchange), POLICY_METRICS,
                                  "metrics", agent_contract.name,      NULL};
    if (engine_may(agent->engine, &access, &fault) < 0) {
        agent_fault(exchange, &fault);
        return;
    }
    engine_counts(agent->engine, &counts);
    if (engine_audit(agent->engine) != NULL)
        audit_counts(engine_audit(agent->engine), &audit);
    add_family(&text, "nmid_info", "gauge", "Always 1; the version is its label.");
    add(&text, "nmid_info{version=\"%s\"} 1\n", agent->version);
    add_gauge(&text, "nmid_ready", "1 while new actions can be recorded.",
              journal_check(engine_journal(agent->engine), NULL) == 0);
    add_gauge(&text, "nmid_nodes", "Nodes of the configuration.",
              node_table_count(engine_nodes(agent->engine)));
    add_gauge(&text, "nmid_actions_queued", "Actions that wait for the window.", counts.queued);
    add_gauge(&text, "nmid_actions_in_flight", "Actions at their BMC.", counts.in_flight);
    add_actions(&text, &counts);
    add_audit(&text, &audit);
    add_connections(&text, exchange);
    add_heap(&text);
    add_limits(&text, engine_limits(agent->engine));
    add_tls(&text, exchange);
    http_answer_text(exchange, 200, TYPE, text.bytes);
}

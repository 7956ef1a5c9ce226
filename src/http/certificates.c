/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/certificates.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/tls.h"
#include "http/exchange_state.h"

#define DAY_US INT64_C(86400000000)
#define SOON_S (30 * 86400)

void certificates_log_listening(const struct listener *listener)
{
    char date[TLS_DATE_MAX];
    if (listener->tls == NULL)
        log_info("listening on %s", listener->label);
    else
        log_info("listening on %s with TLS: %s, until %s", listener->label, tls_name(listener->tls),
                 tls_date(tls_expires(listener->tls), date));
}

void certificates_log_change(const struct listener *listener)
{
    char date[TLS_DATE_MAX];
    log_info("TLS of %s has another certificate now: %s, until %s", listener->label,
             tls_name(listener->tls), tls_date(tls_expires(listener->tls), date));
}

int certificates_check_next(const struct listener *listener, const struct conf_tls *next,
                            struct fault *fault)
{
    char begins[TLS_DATE_MAX], ends[TLS_DATE_MAX], kept[TLS_DATE_MAX];
    int64_t now_s = clock_wall_us() / 1000000;
    if (listener->tls == NULL || next->tls == NULL)
        return 0;
    if (tls_ca_in_date(listener->tls, now_s) && !tls_ca_in_date(next->tls, now_s))
        return fault_set(fault, FAULT_CONF,
                         "listen.tls.client_ca_file: %.150s: it has no CA that is valid now, so no "
                         "client's certificate would be: %s keeps those before",
                         next->client_ca_file, listener->label);
    if (!tls_in_date(listener->tls, now_s) || tls_in_date(next->tls, now_s))
        return 0;
    return fault_set(fault, FAULT_CONF,
                     "listen.tls.certificate_file: %.150s: %.80s is good from %s until %s, which is "
                     "not now: %s keeps %.80s, until %s",
                     next->certificate_file, tls_name(next->tls),
                     tls_date(tls_begins(next->tls), begins), tls_date(tls_expires(next->tls), ends),
                     listener->label, tls_name(listener->tls),
                     tls_date(tls_expires(listener->tls), kept));
}

/* At the start and at a reload, nmid.conf's own warnings say it. */
static void warn_if_soon(const struct listener *listener)
{
    char date[TLS_DATE_MAX];
    int64_t now = clock_wall_us() / 1000000;
    if (listener->tls == NULL || tls_expires(listener->tls) - now >= SOON_S)
        return;
    log_warning("TLS of %s: the certificate of %s %s %s", listener->label, tls_name(listener->tls),
                tls_expires(listener->tls) < now ? "expired on" : "expires on",
                tls_date(tls_expires(listener->tls), date));
}

static void on_day(void *arg)
{
    struct http_server *server = arg;
    for (const struct listener *listener = server->listeners; listener != NULL;
         listener = listener->next)
        warn_if_soon(listener);
    loop_timer_set(server->certificate_timer, clock_mono_us() + DAY_US);
}

int certificates_watch(struct http_server *server, struct fault *fault)
{
    server->certificate_timer = loop_timer_new(server->loop, on_day, server, fault);
    if (server->certificate_timer == NULL)
        return -1;
    loop_timer_set(server->certificate_timer, clock_mono_us() + DAY_US);
    return 0;
}

uint64_t http_tls_failures(const struct http_exchange *exchange, enum tls_cause cause)
{
    return tls_failures_count(exchange->server->failures, cause);
}

bool http_tls_expires(const struct http_exchange *exchange, size_t n, const char **ret_label,
                      int64_t *ret_when_s)
{
    for (const struct listener *listener = exchange->server->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->number != n)
            continue;
        *ret_label = listener->tls == NULL ? NULL : listener->label;
        *ret_when_s = listener->tls == NULL ? 0 : tls_expires(listener->tls);
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From when on and until when what was loaded is good. */
#include <string.h>
#include <time.h>
#include "core/tls.h"
#include "core/tls_state.h"

const char *tls_date(int64_t when_s, char text[TLS_DATE_MAX])
{
    struct tm broken;
    time_t when = (time_t)when_s;
    if (gmtime_r(&when, &broken) == NULL ||
        strftime(text, TLS_DATE_MAX, "%Y-%m-%dT%H:%M:%SZ", &broken) == 0)
        memcpy(text, "?", 2);
    return text;
}

int64_t tls_begins(const struct tls *tls)
{
    return tls->begins;
}

int64_t tls_expires(const struct tls *tls)
{
    return tls->expires;
}

bool tls_in_date(const struct tls *tls, int64_t now_s)
{
    return tls->begins <= now_s && now_s <= tls->expires;
}

bool tls_ca_in_date(const struct tls *tls, int64_t now_s)
{
    return tls->verify == CONF_VERIFY_NONE ||
           (tls->ca_begins <= now_s && now_s <= tls->ca_expires);
}

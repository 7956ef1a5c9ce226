/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Faults, and the one table that tells each code's name, HTTP statuses and exit code.
 * The statuses are those of docs/contract-*.md: what a real Nova, Ironic 21.4 and sushy expect. */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

static const struct fault_row rows[FAULT_CODES] = {
    /*                          name                 nova ironic redfish agent exit */
    [FAULT_NONE] = {"ok", 202, 204, 204, 200, 0},
    [FAULT_MALFORMED] = {"malformed", 400, 400, 400, 400, 1},
    [FAULT_TOO_LARGE] = {"too-large", 413, 413, 413, 413, 1},
    [FAULT_MEDIA_TYPE] = {"media-type", 400, 400, 400, 415, 1},
    [FAULT_UNAUTHORIZED] = {"unauthorized", 401, 401, 401, 401, 1},
    [FAULT_FORBIDDEN] = {"forbidden", 403, 403, 403, 403, 1},
    [FAULT_NOT_FOUND] = {"not-found", 404, 404, 404, 404, 1},
    [FAULT_NODE_NOT_FOUND] = {"node-not-found", 404, 404, 404, 404, 1},
    [FAULT_METHOD] = {"method-not-allowed", 405, 405, 405, 405, 1},
    [FAULT_KEY_REUSED] = {"idempotency-key", 422, 422, 422, 422, 1},
    [FAULT_TOO_MANY] = {"too-many-requests", 429, 429, 429, 429, 1},
    [FAULT_STATUS] = {"status", 409, 400, 409, 409, 1},
    [FAULT_LOCKED] = {"locked", 409, 400, 409, 409, 1},
    [FAULT_IN_FLIGHT] = {"in-flight", 409, 409, 409, 409, 1},
    [FAULT_HOLD_OFF] = {"hold-off", 409, 400, 409, 409, 1},
    [FAULT_POWERED_OFF] = {"powered-off", 409, 400, 409, 409, 1},
    [FAULT_OVERLOADED] = {"overloaded", 503, 500, 503, 503, 1},
    [FAULT_STOPPING] = {"stopping", 503, 500, 503, 503, 1},
    [FAULT_JOURNAL] = {"journal", 500, 500, 500, 503, 1},
    [FAULT_IDENTITY] = {"identity-service", 503, 500, 503, 503, 1},
    [FAULT_STATE_SOURCE] = {"state-source", 503, 500, 503, 503, 1},
    [FAULT_CONF] = {"configuration", 500, 500, 500, 500, 1},
    [FAULT_SYSTEM] = {"system", 500, 500, 500, 500, 1},
    [FAULT_MEMORY] = {"memory", 500, 500, 500, 500, 1},
    [FAULT_UNSUPPORTED] = {"unsupported", 400, 400, 400, 400, 1},
    [FAULT_REFUSED] = {"refused", 400, 500, 400, 502, 1},
    [FAULT_ADDRESS] = {"address", 400, 500, 500, 502, 1},
    [FAULT_UNREACHABLE] = {"unreachable", 400, 500, 500, 502, 1},
    [FAULT_USER] = {"user", 400, 500, 500, 502, 1},
    [FAULT_PASSWORD] = {"password", 400, 500, 500, 502, 1},
    [FAULT_KG] = {"k-g", 400, 500, 500, 502, 1},
    [FAULT_PRIVILEGE] = {"privilege", 400, 500, 500, 502, 1},
    [FAULT_SUITE] = {"cipher-suite", 400, 500, 500, 502, 1},
    [FAULT_BMC_BUSY] = {"bmc-busy", 400, 500, 500, 502, 1},
    [FAULT_PROTOCOL] = {"protocol", 400, 500, 500, 502, 1},
    [FAULT_DEADLINE] = {"deadline", 400, 500, 500, 502, 1},
    [FAULT_NO_ANSWER] = {"no-answer", 400, 500, 500, 502, 3},
    [FAULT_COMPLETION_CODE] = {"completion-code", 400, 500, 500, 502, 3},
    [FAULT_DAEMON_STOPPED] = {"daemon-stopped", 400, 500, 500, 502, 3},
    [FAULT_USAGE] = {"usage", 400, 400, 400, 400, 2},
    [FAULT_CONNECT] = {"not-reached", 500, 500, 500, 500, 4},
};

int fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
{
    if (fault == NULL || fault->code != FAULT_NONE)
        return -1;
    va_list args;
    va_start(args, format);
    fault->code = code;
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    return -1;
}

const struct fault_row *fault_row(enum fault_code code)
{
    if ((unsigned)code >= FAULT_CODES || rows[code].name == NULL)
        code = FAULT_SYSTEM;
    return &rows[code];
}

const char *fault_name(enum fault_code code)
{
    return fault_row(code)->name;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Of a head that is too large there is an exchange, whose answer was not ours. Of a request line
 * there is none: libmicrohttpd tells nobody but its log, and not whose it was. But after MHD_run()
 * that connection has an answer without ever having had a request. Where it was closed at once, no
 * address is named rather than a wrong one. */
#include "http/refused.h"

#include <stdio.h>
#include "http/exchange_state.h"

/* Of the answer that libmicrohttpd is about to give; 0: none. */
static unsigned status_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    return info == NULL ? 0 : info->http_status;
}

void refused_line(struct listener *listener, const char *line)
{
    unsigned status = 0;
    if (sscanf(line, "Error processing request (HTTP response code is %u", &status) == 1 &&
        status == MHD_HTTP_URI_TOO_LONG)
        listener->refused++;
}

void refused_exchange(const struct http_exchange *exchange)
{
    if (!exchange->queued && status_of(exchange->mhd) == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
        limits_reached(exchange->server->counts, LIMIT_HEADER_BYTES, exchange->connection->address);
}

/* Those that wait for a request have none. */
static void name(struct listener *listener, struct connection *connection)
{
    for (; connection != NULL && listener->refused > 0; connection = connection->behind) {
        if (connection->listener != listener || connection->refused ||
            status_of(connection->mhd) != MHD_HTTP_URI_TOO_LONG)
            continue;
        limits_reached(listener->server->counts, LIMIT_URL_BYTES, connection->address);
        connection->refused = true;
        listener->refused--;
    }
}

void refused_settle(struct listener *listener)
{
    struct http_server *server = listener->server;
    if (listener->refused == 0)
        return;
    for (enum wait_of wait = WAIT_STRANGER; wait < WAITS; wait++) {
        name(listener, server->places[0].first[wait]);
        name(listener, server->places[1].first[wait]);
    }
    for (; listener->refused > 0; listener->refused--)
        limits_reached(server->counts, LIMIT_URL_BYTES, NULL);
}

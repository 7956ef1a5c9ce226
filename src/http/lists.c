/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists take turns: a thousand entries are tens of milliseconds of work, in which the loop does nothing
 * else. So one of them is made in a turn of the loop, and others wait, in the order in which they came,
 * whoever asks: many who ask at once do not stop everybody else. Whoever has too much of earlier answers
 * to read is refused without one being made. */
#include "http/exchange_state.h"

/* Out of the queue. */
static void leave(void *arg)
{
    struct http_exchange *exchange = arg;
    TAILQ_REMOVE(&exchange->server->lists, exchange, turn);
}

static void make(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct fault fault = {0};
    if (limits_may_list(server->counts, exchange->account, &fault) < 0) {
        exchange_refuse(exchange, 0, &fault);
        return;
    }
    server->listed = true;
    exchange->route->handler(exchange->mount->self, exchange);
}

void lists_turn(struct http_server *server)
{
    server->listed = false;
    while (!TAILQ_EMPTY(&server->lists) && !server->listed) {
        struct http_exchange *exchange = TAILQ_FIRST(&server->lists);
        leave(exchange);
        exchange->gone = NULL;
        make(exchange);
    }
    if (!TAILQ_EMPTY(&server->lists))
        loop_wake(server->loop);
}

void exchange_list(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (!server->listed) {
        make(exchange);
        return;
    }
    TAILQ_INSERT_TAIL(&server->lists, exchange, turn);
    http_on_gone(exchange, leave, exchange);
}

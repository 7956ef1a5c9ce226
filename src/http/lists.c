/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists and batches take turns: a thousand entries are tens of milliseconds of work, in which the loop
 * does nothing else. So one of them is made in a turn of the loop, and others wait. The turns go round
 * by caller: whoever asks for hundreds has one, then each other caller who waits has one; a batch, which
 * is an order, comes before the lists of its own caller. What has to wait for Ironic first, or for the
 * disk, takes a turn again when that has come. Whoever has too much of earlier answers to read gets no
 * list, and none is made; an order is never refused for that. */
#include <stdlib.h>

#include "http/exchange_state.h"

/* Those of one account that wait. */
struct turns {
    struct account *account;
    TAILQ_HEAD(, http_exchange) waiting; /* whose is next, first */
    TAILQ_ENTRY(turns) entry;
};

static bool takes_turns(const struct http_exchange *exchange)
{
    return exchange->route->kind == HTTP_LIST || exchange->route->kind == HTTP_BATCH;
}

/* The account's, which are new when none of it waits. NULL when memory is out. */
static struct turns *turns_of(struct http_server *server, struct account *account)
{
    struct turns *turns;
    TAILQ_FOREACH(turns, &server->turns, entry)
    {
        if (turns->account == account)
            return turns;
    }
    if ((turns = calloc(1, sizeof *turns)) == NULL)
        return NULL;
    turns->account = account;
    TAILQ_INIT(&turns->waiting);
    TAILQ_INSERT_TAIL(&server->turns, turns, entry);
    return turns;
}

/* An order before a list; and what was begun is ended before another is begun: a batch that waits for
 * its answer is megabytes. */
static bool goes_before(const struct http_exchange *one, const struct http_exchange *other)
{
    if (one->route->kind != other->route->kind)
        return one->route->kind == HTTP_BATCH;
    return one->turns_had > other->turns_had;
}

static int join(struct http_exchange *exchange)
{
    struct http_exchange *behind;
    struct turns *turns = turns_of(exchange->server, exchange->account);
    if (turns == NULL)
        return -1;
    TAILQ_FOREACH(behind, &turns->waiting, turn)
    {
        if (goes_before(exchange, behind))
            break;
    }
    if (behind != NULL)
        TAILQ_INSERT_BEFORE(behind, exchange, turn);
    else
        TAILQ_INSERT_TAIL(&turns->waiting, exchange, turn);
    exchange->turns = turns;
    return 0;
}

/* Of a batch that left before its turn nothing was begun, and nothing is: as of one whose body was
 * not read to its end. */
void exchange_leave(struct http_exchange *exchange)
{
    struct turns *turns = exchange->turns;
    if (turns == NULL)
        return;
    exchange->turns = NULL;
    TAILQ_REMOVE(&turns->waiting, exchange, turn);
    if (!TAILQ_EMPTY(&turns->waiting))
        return;
    TAILQ_REMOVE(&exchange->server->turns, turns, entry);
    free(turns);
}

/* Its turn has come. Who waited with it hears when it is refused: for him it is as if it had left. */
static void take(struct http_exchange *exchange, loop_fn *fn, void *arg)
{
    struct http_server *server = exchange->server;
    struct fault fault = {0};
    if (exchange->route->kind == HTTP_LIST &&
        limits_may_list(server->counts, exchange->account, &fault) < 0) {
        exchange_over(exchange);
        exchange_refuse(exchange, 0, &fault);
        return;
    }
    server->listed = true;
    exchange->turns_had++;
    fn(arg);
}

void lists_turn(struct http_server *server)
{
    struct turns *turns;
    server->listed = false;
    while (!server->listed && (turns = TAILQ_FIRST(&server->turns)) != NULL) {
        struct http_exchange *exchange = TAILQ_FIRST(&turns->waiting);
        TAILQ_REMOVE(&server->turns, turns, entry);
        TAILQ_INSERT_TAIL(&server->turns, turns, entry);
        exchange_leave(exchange);
        take(exchange, exchange->turn_fn, exchange->turn_arg);
    }
    if (!TAILQ_EMPTY(&server->turns))
        loop_wake(server->loop);
}

void http_turn(struct http_exchange *exchange, loop_fn *fn, void *arg)
{
    if (!takes_turns(exchange) || join(exchange) < 0) {
        fn(arg);
        return;
    }
    exchange->turn_fn = fn;
    exchange->turn_arg = arg;
    loop_wake(exchange->server->loop);
}

static void call_handler(void *arg)
{
    struct http_exchange *exchange = arg;
    exchange->route->handler(exchange->mount->self, exchange);
}

/* At once, when it is nobody's turn: a client that has closed its own side can be answered yet. */
void exchange_call(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (takes_turns(exchange) && !server->listed && TAILQ_EMPTY(&server->turns))
        take(exchange, call_handler, exchange);
    else
        http_turn(exchange, call_handler, exchange);
}

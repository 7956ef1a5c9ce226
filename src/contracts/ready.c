/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/ready.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "core/node_state.h"

/* An exchange whose handler waits to be called again. */
struct ready {
    struct http_exchange *exchange;
    http_handler_fn *again;
    void *self;
    struct state_wait *wait;
};

/* The exchange whose handler is being called again, all in the loop's thread: it has waited once,
 * and that is enough, whatever came of it. */
static struct http_exchange *called_again;

static void on_gone(void *arg)
{
    struct ready *ready = arg;
    state_wait_cancel(ready->wait);
    free(ready);
}

static void call_again(void *arg)
{
    const struct ready *ready = arg;
    struct http_exchange *outer = called_again;
    called_again = ready->exchange;
    ready->again(ready->self, ready->exchange);
    called_again = outer;
}

/* So old may be what came when it is the turn of who would begin something: a machine may have been
 * given to somebody else meanwhile. Who only reads takes it as it was when he asked. */
#define ORDER_US 5000000

/* What came may be lost by now: then it begins anew. */
static void on_turn(void *arg)
{
    struct ready ready = *(struct ready *)arg;
    free(arg);
    http_on_gone(ready.exchange, NULL, NULL);
    bool reads = strcmp(http_method(ready.exchange), "GET") == 0;
    if (!state_wait_lost(ready.wait, reads ? INT64_MAX : ORDER_US)) {
        state_wait_use(ready.wait, call_again, &ready);
        return;
    }
    state_wait_cancel(ready.wait);
    ready.again(ready.self, ready.exchange);
}

/* One answer of Ironic's is what a hundred lists wait for: they are not all made now. */
static void on_states(void *arg)
{
    struct ready *ready = arg;
    http_turn(ready->exchange, on_turn, ready);
}

bool ready_for(struct engine *engine, struct http_exchange *exchange, const char *const *idents,
               size_t count, http_handler_fn *again, void *self)
{
    struct fault fault = {0};
    if (exchange == called_again)
        return true;
    struct ready *ready = calloc(1, sizeof *ready);
    if (ready == NULL)
        return true; /* what is not known is refused */
    *ready = (struct ready){.exchange = exchange, .again = again, .self = self};
    int result = engine_refresh(engine, idents, count, on_states, ready, &ready->wait, &fault);
    if (result > 0) {
        http_on_gone(exchange, on_gone, ready);
        return false;
    }
    if (result < 0)
        log_warning("Ironic: %s", fault.message);
    free(ready);
    return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/ready.h"

#include <stdlib.h>
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

static void on_states(void *arg)
{
    struct ready *ready = arg;
    struct http_exchange *exchange = ready->exchange, *outer = called_again;
    http_handler_fn *again = ready->again;
    void *self = ready->self;
    free(ready);
    http_on_gone(exchange, NULL, NULL);
    called_again = exchange;
    again(self, exchange);
    called_again = outer;
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a datagram passes between the network and a BMC, each way: delay_ms (answers only),
 * jitter_ms, and reorder, which holds a datagram back until the next one has overtaken it. Each BMC
 * has a random stream for each way, so that one way does not change the other's. */
#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "sim.h"

struct held {
    uint64_t number;
    struct peer peer;
    bool stray;
    size_t length;
    uint8_t data[];
};

static void pass(struct bmc *bmc, enum way way, const struct peer *peer, bool stray,
                 const uint8_t *data, size_t length)
{
    const struct settings *set = &bmc->settings;
    int64_t late_us = way == WAY_OUT ? set->delay_ms * 1000LL : 0;

    if (set->jitter_ms > 0)
        late_us +=
            (int64_t)(random_next(&bmc->order_random[way]) % ((uint64_t)set->jitter_ms * 1000 + 1));
    if (late_us > 0)
        job_datagram(sim.now_us + late_us, way, bmc, peer, stray, data, length);
    else if (way == WAY_IN)
        datagram_in(bmc, peer, data, length);
    else
        net_send(bmc, peer, stray, data, length);
}

static void hold(struct bmc *bmc, enum way way, const struct peer *peer, bool stray,
                 const uint8_t *data, size_t length)
{
    static uint64_t number;
    struct held *held = malloc(sizeof(*held) + length);

    if (!held)
        abort();
    held->number = ++number;
    held->peer = *peer;
    held->stray = stray;
    held->length = length;
    memcpy(held->data, data, length);
    bmc->held[way] = held;
    trace(bmc, "held back on the way %s", way == WAY_IN ? "in" : "out");
    if (bmc->settings.reorder_ms > 0)
        job_release(sim.now_us + bmc->settings.reorder_ms * 1000LL, bmc, way, held->number);
}

static void release(struct bmc *bmc, enum way way)
{
    struct held *held = bmc->held[way];

    if (!held)
        return;
    bmc->held[way] = NULL;
    pass(bmc, way, &held->peer, held->stray, held->data, held->length);
    free(held);
}

void order_release(struct bmc *bmc, enum way way, uint64_t number)
{
    if (bmc->held[way] && bmc->held[way]->number == number)
        release(bmc, way);
}

void order_datagram(struct bmc *bmc, enum way way, const struct peer *peer, bool stray,
                    const uint8_t *data, size_t length)
{
    if (!bmc->held[way] && random_percent(&bmc->order_random[way], bmc->settings.reorder)) {
        hold(bmc, way, peer, stray, data, length);
        return;
    }
    pass(bmc, way, peer, stray, data, length);
    release(bmc, way);
}

void order_forget(struct bmc *bmc)
{
    for (enum way way = 0; way < WAYS; way++) {
        free(bmc->held[way]);
        bmc->held[way] = NULL;
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The misdeeds of a network around one datagram: loss, duplicates, strays, garbage, truncation,
 * flipped bits. When it goes is in order.c; misdeeds that need a session's keys are in answer.c. */
#include <string.h>
#include "flow.h"
#include "sim.h"

static bool lose(uint32_t *counts, enum kind kind)
{
    enum kind which = counts[kind] ? kind : KIND_ANY;

    if (!counts[which])
        return false;
    counts[which]--;
    return true;
}

static bool probe_in(uint32_t set, uint32_t probe)
{
    return probe > 0 && probe < 32 && set & 1U << probe;
}

/* `lost`: the network had lost it anyway; then it uses up no count. */
bool request_lost(struct bmc *bmc, enum kind kind, uint32_t probe, bool lost)
{
    lost = lost || probe_in(bmc->settings.lose_probe_request, probe) ||
           lose(bmc->settings.lose_request, kind);
    trace(bmc, "in %s%s", kind_names[kind], lost ? ", lost" : "");
    return lost;
}

bool response_lost(struct bmc *bmc, enum kind kind, uint32_t probe)
{
    return probe_in(bmc->settings.lose_probe_response, probe) ||
           lose(bmc->settings.lose_response, kind);
}

void datagram_extra(struct bmc *bmc, const struct peer *peer, bool stray, const uint8_t *data,
                    size_t length)
{
    order_datagram(bmc, WAY_OUT, peer, stray, data, length);
}

static void send_garbage(struct bmc *bmc, const struct peer *peer)
{
    uint8_t garbage[200];

    random_bytes(garbage, sizeof(garbage));
    order_datagram(bmc, WAY_OUT, peer, false, garbage, 1 + garbage[0] % (sizeof(garbage) - 1));
}

static void send_oversize(struct bmc *bmc, const struct peer *peer)
{
    static uint8_t huge[60000];

    memcpy(huge, "\x06\x00\xff\x07\x06", 5);
    order_datagram(bmc, WAY_OUT, peer, false, huge, sizeof(huge));
}

void datagram_answer(struct bmc *bmc, const struct peer *peer, const uint8_t *data, size_t length)
{
    const struct settings *set = &bmc->settings;
    uint8_t copy[ANSWER_MAX];

    if (random_percent(&bmc->loss_random, set->loss_out)) {
        trace(bmc, "answer lost");
        return;
    }
    if (set->garbage)
        send_garbage(bmc, peer);
    if (set->oversize)
        send_oversize(bmc, peer);
    if (set->stray && !set->lie)
        order_datagram(bmc, WAY_OUT, peer, true, data, length);
    memcpy(copy, data, length);
    if (random_percent(&bmc->loss_random, set->mutate))
        for (uint64_t flips = 1 + random_next(&bmc->loss_random) % 4; flips > 0; flips--) {
            uint64_t bit = random_next(&bmc->loss_random) % (length * 8);

            copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    if (set->truncate >= 0 && (size_t)set->truncate < length)
        length = (size_t)set->truncate;
    order_datagram(bmc, WAY_OUT, peer, false, copy, length);
    if (set->duplicate_out)
        order_datagram(bmc, WAY_OUT, peer, false, copy, length);
}

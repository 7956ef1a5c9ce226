/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys at the top of nmid.conf, their defaults and ranges, as nmid.conf(5) lists them. */
#include <stdlib.h>
#include <string.h>
#include "core/conf_parts.h"

#define DEFAULT_STATE_DIR "/var/lib/nmid"
#define DEFAULT_SOCKET    "/run/nmid/nmid.sock"
#define HOLD_OFF_MIN_S    150 /* nova-compute repeats for 120 s */
#define HOLD_OFF_MAX_S    604800
#define ANSWER_MIN_MS     100

/* A number of a settings group: where it goes and what it may be. */
struct number_key {
    const char *name;
    size_t offset;
    unsigned min, max, value; /* value: the default */
};

#define IPMI(member)   offsetof(struct conf_ipmi, member)
#define LIMITS(member) offsetof(struct conf_limits, member)

static const struct number_key ipmi_keys[] = {
    {"window", IPMI(window), 1, 65536, 4096},
    {"timeout_ms", IPMI(timeout_ms), 1000, 600000, 20000},
    {"answer_ms", IPMI(answer_ms), ANSWER_MIN_MS, 600000, 10000},
    {"retransmit_ms", IPMI(retransmit_ms), 50, 60000, 1000},
    {"min_interval_ms", IPMI(min_interval_ms), 0, 3600000, 0},
    {"auth_pause_s", IPMI(auth_pause_s), 0, 86400, 300},
    {NULL, 0, 0, 0, 0},
};

static const struct number_key limits_keys[] = {
    {"connections", LIMITS(connections), 1, 65536, 1024},
    {"connections_per_address", LIMITS(connections_per_address), 1, 65536, 64},
    {"url_bytes", LIMITS(url_bytes), 256, 65536, 8192},
    {"header_bytes", LIMITS(header_bytes), 1024, 1048576, 16384},
    {"token_bytes", LIMITS(token_bytes), 64, 65536, 8192},
    {"body_bytes", LIMITS(body_bytes), 1024, 16777216, 65536},
    {"request_s", LIMITS(request_s), 1, 3600, 10},
    {"idle_s", LIMITS(idle_s), 1, 86400, 60},
    {"requests_per_principal", LIMITS(requests_per_principal), 1, 65536, 512},
    {"answer_bytes_per_principal", LIMITS(answer_bytes_per_principal), 65536, 1u << 30, 32u << 20},
    {"actions_per_minute", LIMITS(actions_per_minute), 0, 10000000, 6000},
    {"login_failures_per_address", LIMITS(login_failures_per_address), 0, 1000000, 20},
    {"login_failures_per_user", LIMITS(login_failures_per_user), 0, 1000000, 10},
    {"login_failures_s", LIMITS(login_failures_s), 1, 86400, 300},
    {"history", LIMITS(history), 1, 1000000, 10000},
    {"history_days", LIMITS(history_days), 0, 36500, 90},
    {"queue", LIMITS(queue), 1, 10000000, 100000},
    {"queue_s", LIMITS(queue_s), 1, 86400, 300},
    {NULL, 0, 0, 0, 0},
};

static unsigned *number_at(void *settings, const struct number_key *key)
{
    return (unsigned *)(void *)((char *)settings + key->offset);
}

static void set_defaults(void *settings, const struct number_key *keys)
{
    for (; keys->name != NULL; keys++)
        *number_at(settings, keys) = keys->value;
}

static void read_numbers(struct conf_block *block, void *settings, const struct number_key *keys)
{
    for (; keys->name != NULL; keys++)
        block_unsigned(block, keys->name, keys->min, keys->max, number_at(settings, keys));
}

int conf_defaults(struct conf *conf)
{
    conf->hold_off_s = 300;
    set_defaults(&conf->ipmi, ipmi_keys);
    conf->ipmi.sel = CONF_SEL_SILENCE;
    set_defaults(&conf->limits, limits_keys);
    conf->callback.timeout_ms = CONF_CALLBACK_TIMEOUT_MS;
    conf->state_dir = strdup(DEFAULT_STATE_DIR);
    conf->listeners = calloc(1, sizeof *conf->listeners);
    conf->nodes = node_table_new();
    conf->auths = calloc(1, sizeof *conf->auths);
    conf->auth_count = conf->auths == NULL ? 0 : 1;
    if (conf->auths == NULL || conf_policy_defaults(conf) < 0 || conf->state_dir == NULL || conf->listeners == NULL || conf->nodes == NULL)
        return -1;
    conf->listener_count = 1;
    conf->listeners[0].socket = strdup(DEFAULT_SOCKET);
    return conf->listeners[0].socket == NULL ? -1 : 0;
}

static void read_hold_off(struct conf_block *root)
{
    unsigned *hold_off_s = &root->reader->conf->hold_off_s;
    unsigned value;
    int got = block_unsigned(root, "hold_off_s", 0, HOLD_OFF_MAX_S, &value);
    if (got <= 0)
        return;
    if (value == 0) {
        block_warn(root, "hold_off_s",
                   "0 is for labs only: a repeated request injects again, into the crash dump");
    } else if (value < HOLD_OFF_MIN_S) {
        block_complain(root, "hold_off_s", "expected 0 or an integer from %d to %d", HOLD_OFF_MIN_S,
                       HOLD_OFF_MAX_S);
    }
    *hold_off_s = value;
}

static void read_care(struct conf_block *block, struct conf_ipmi *ipmi)
{
    static const char *const resends[] = {"never", "if-unseen", NULL};
    static const char *const sels[] = {"never", "silence", "always", NULL};
    unsigned resend = ipmi->resend, sel = ipmi->sel;
    block_word(block, "resend", resends, "\"never\" or \"if-unseen\"", &resend);
    block_word(block, "sel_evidence", sels, "\"never\", \"silence\" or \"always\"", &sel);
    ipmi->resend = (enum conf_resend)resend;
    ipmi->sel = (enum conf_sel)sel;
    block_boolean(block, "retry_busy", &ipmi->retry_busy);
    if (ipmi->resend != CONF_RESEND_NEVER)
        block_warn(block, "resend",
                   "a BMC that acts later than answer_ms executes both interrupts, and the second "
                   "destroys the dump: see nmid.conf(5)");
    if (ipmi->retry_busy)
        block_warn(block, "retry_busy",
                   "a BMC that says busy and acts executes more than one interrupt, and the second "
                   "destroys the dump: see nmid.conf(5)");
}

static void read_ipmi(struct conf_block *root)
{
    struct conf_ipmi *ipmi = &root->reader->conf->ipmi;
    struct conf_block block;
    if (block_group(root, "ipmi", "ipmi.", &block) <= 0)
        return;
    read_numbers(&block, ipmi, ipmi_keys);
    read_care(&block, ipmi);
    bool answer_given = block_take(&block, "answer_ms") != NULL;
    if (ipmi->answer_ms > ipmi->timeout_ms) {
        if (answer_given)
            block_complain(&block, "answer_ms",
                           "expected a decimal integer from %d to ipmi.timeout_ms (%u)",
                           ANSWER_MIN_MS, ipmi->timeout_ms);
        else
            ipmi->answer_ms = ipmi->timeout_ms; /* the default must not break a short timeout */
    }
    /* The wait for its turn counts: with more, an action could never be in time. */
    if (ipmi->min_interval_ms > ipmi->timeout_ms / 2)
        block_complain(&block, "min_interval_ms",
                       "expected a decimal integer from 0 to half of ipmi.timeout_ms (%u)",
                       ipmi->timeout_ms);
    block_finish(&block);
}

/* What is a part of the head cannot be larger than it; and where only the head was made small, the
 * default is half of it, as it is of the head's own default. */
static void fit_into_head(struct conf_block *block, const char *key, unsigned *value)
{
    unsigned most = block->reader->conf->limits.header_bytes;
    bool given = block_take(block, key) != NULL;
    if (!given && *value > most / 2)
        *value = most / 2;
    else if (given && *value > most)
        block_complain(block, key, "expected no more than limits.header_bytes (%u)", most);
}

static void read_limits(struct conf_block *root)
{
    struct conf_limits *limits = &root->reader->conf->limits;
    struct conf_block block;
    if (block_group(root, "limits", "limits.", &block) <= 0)
        return;
    read_numbers(&block, limits, limits_keys);
    fit_into_head(&block, "url_bytes", &limits->url_bytes);
    fit_into_head(&block, "token_bytes", &limits->token_bytes);
    block_finish(&block);
}

void conf_read_main(struct conf_block *root)
{
    struct conf *conf = root->reader->conf;
    conf_read_policy(root);
    conf_read_auth(root, 0);
    conf_read_listen(root);
    block_path(root, "state_dir", &conf->state_dir);
    conf_read_ironic(root);
    block_path(root, "include_dir", &conf->include_dir);
    root->reader->include_line = block_line(root, "include_dir");
    read_hold_off(root);
    read_ipmi(root);
    read_limits(root);
    conf_read_callback(root);
    conf_warn_unused(root);
    conf_read_nodes(root);
    block_finish(root);
}

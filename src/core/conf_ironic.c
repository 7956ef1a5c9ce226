/* SPDX-License-Identifier: GPL-3.0-or-later */
/* state_source and ironic = { ... }: where the status and the owners of nodes come from, as
 * nmid.conf(5) describes it. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/url.h"
#include "core/conf_parts.h"

#define USERNAME_MAX       255
#define PASSWORD_MAX       1024
#define DEFAULT_CACHE_S    5
#define DEFAULT_TIMEOUT_MS 5000

static const char *const strategies[] = {"none", "http_basic", "keystone", NULL};

/* Cuts what nmid puts behind it itself. */
static void cut_end(char *url, const char *end)
{
    size_t len = strlen(url), end_len = strlen(end);
    if (len > end_len && strcmp(url + len - end_len, end) == 0)
        url[len - end_len] = '\0';
}

static void read_url(struct conf_block *block, struct conf_ironic *ironic)
{
    const char *value;
    struct url url;
    struct fault fault = {0};
    int got = block_string(block, "url", &value);
    if (got == 0)
        block_complain(block, "url", "missing: where is Ironic?");
    if (got <= 0)
        return;
    if (url_parse(value, &url, &fault) < 0) {
        block_complain(block, "url", "expected a URL: %s", fault.message);
        return;
    }
    if (strchr(url.text, '?') != NULL) {
        block_complain(block, "url", "expected a URL without a query");
        return;
    }
    if (!url.encrypted && ironic->auth != AUTH_NONE && !url_is_loopback(&url))
        block_warn(block, "url",
                   "http: whoever listens on the way reads nmid's credentials, and may answer in "
                   "Ironic's place");
    else if (!url.encrypted && !url_is_loopback(&url))
        block_warn(block, "url", "http: who is on the way may answer in Ironic's place");
    cut_end(url.text, "/");
    cut_end(url.text, "/v1");
    if ((ironic->url = strdup(url.text)) == NULL)
        block_complain(block, "url", "out of memory");
}

static void read_basic(struct conf_block *block, struct conf_ironic *ironic)
{
    const char *name;
    int got = block_string(block, "username", &name);
    if (got == 0)
        block_complain(block, "username", "missing: auth = \"http_basic\" needs one");
    if (got > 0 && (name[0] == '\0' || strlen(name) > USERNAME_MAX || strchr(name, ':') != NULL))
        block_complain(block, "username", "expected 1 to %d characters, none of them a colon",
                       USERNAME_MAX);
    else if (got > 0 && (ironic->username = strdup(name)) == NULL)
        block_complain(block, "username", "out of memory");
    got = block_secret(block, "password", PASSWORD_MAX, &ironic->password);
    if (got == 0)
        block_complain(block, "password",
                       "missing: auth = \"http_basic\" needs one (or password_file)");
    else if (got > 0 && strlen((const char *)ironic->password->bytes) != ironic->password->len)
        block_complain(block, "password", "it has a NUL in it");
}

/* Keystone's group has a ca_file, an insecure and a timeout_ms of its own: they are the same keys.
 */
static void read_keystone(struct conf_block *block, struct conf_ironic *ironic)
{
    conf_read_keystone(block, &ironic->keystone);
    if (ironic->keystone.timeout_ms > 0)
        ironic->timeout_ms = ironic->keystone.timeout_ms;
    if (ironic->keystone.ca_file != NULL &&
        (ironic->ca_file = strdup(ironic->keystone.ca_file)) == NULL)
        block_complain(block, "ca_file", "out of memory");
    ironic->insecure = ironic->keystone.insecure;
}

static void read_auth(struct conf_block *block, struct conf_ironic *ironic)
{
    unsigned strategy = AUTH_NONE;
    block_word(block, "auth", strategies, "\"none\", \"http_basic\" or \"keystone\"", &strategy);
    ironic->auth = (enum auth_strategy)strategy;
    if (ironic->auth == AUTH_KEYSTONE) {
        read_keystone(block, ironic);
        return;
    }
    if (ironic->auth == AUTH_HTTP_BASIC)
        read_basic(block, ironic);
    conf_read_trust(
        block,
        "whoever is on the way to Ironic reads nmid's credentials, and can answer in its "
        "place",
        &ironic->ca_file, &ironic->insecure);
    block_unsigned(block, "timeout_ms", 100, 60000, &ironic->timeout_ms);
}

/* True when there is such a group. */
static bool read_group(struct conf_block *root)
{
    struct conf *conf = root->reader->conf;
    struct conf_ironic *ironic = &conf->ironic;
    struct conf_block block;
    if (block_take(root, "ironic") == NULL)
        return false;
    if (block_group(root, "ironic", "ironic.", &block) <= 0)
        return true;
    read_auth(&block, ironic);
    read_url(&block, ironic);
    block_unsigned(&block, "cache_s", 0, 3600, &ironic->cache_s);
    block_boolean(&block, "ignore_reservation", &ironic->ignore_reservation);
    if (block_boolean(&block, "fail_open", &ironic->fail_open) > 0 && ironic->fail_open)
        block_warn(
            &block, "fail_open",
            "while Ironic is down the configuration's project_id and status count: a machine "
            "that was given to another project may be injected into by its former one");
    block_finish(&block);
    return true;
}

void conf_read_ironic(struct conf_block *root)
{
    static const char *const sources[] = {"configuration", "ironic", NULL};
    struct conf *conf = root->reader->conf;
    unsigned source = 0;
    conf->ironic.cache_s = DEFAULT_CACHE_S;
    conf->ironic.timeout_ms = DEFAULT_TIMEOUT_MS;
    block_word(root, "state_source", sources, "\"configuration\" or \"ironic\"", &source);
    conf->state_source_ironic = source == 1;
    conf->ironic_given = read_group(root);
    if (conf->state_source_ironic && !conf->ironic_given)
        block_complain(root, "state_source",
                       "\"ironic\" needs a group ironic = { url = \"...\"; }");
}

void conf_warn_unused(struct conf_block *root)
{
    const struct conf *conf = root->reader->conf;
    if (conf->ironic_given && !conf->state_source_ironic && conf->callback.ironic == NULL)
        block_warn(root, "ironic",
                   "state_source is \"configuration\": Ironic is not asked for anything");
}

/* Once, and not for each of ten thousand nodes. */
void conf_warn_overruled(struct conf_block *block)
{
    static const char *const keys[] = {"project_id", "status", "instance_uuid"};
    struct conf_reader *reader = block->reader;
    if (!reader->conf->state_source_ironic || reader->conf->ironic.fail_open || reader->overruled)
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (block_take(block, keys[i]) == NULL)
            continue;
        reader->overruled = true;
        block_warn(block, keys[i],
                   "not used, here and in other nodes: state_source is \"ironic\", and without "
                   "ironic.fail_open only Ironic's count");
        return;
    }
}

void conf_ironic_clear(struct conf_ironic *ironic)
{
    free(ironic->url);
    free(ironic->username);
    secret_free(ironic->password);
    conf_keystone_clear(&ironic->keystone);
    free(ironic->ca_file);
    *ironic = (struct conf_ironic){0};
}

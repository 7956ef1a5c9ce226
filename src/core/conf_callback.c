/* SPDX-License-Identifier: GPL-3.0-or-later */
/* callback = { ... }: where finished actions are posted, as nmid.conf(5) describes it. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/url.h"
#include "core/conf_parts.h"

#define HEADERS_MAX      32
#define ALLOW_MAX        256
#define HEADER_NAME_MAX  64
#define HEADER_VALUE_MAX 4096
#define KEY_MAX          1024
#define KEY_SHORT        16

/* ---- Headers ---- */

/* What nmid or libcurl writes itself. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {
        "Connection", "Content-Length",    "Content-Type",     "Expect",     "Host",
        "TE",         "Transfer-Encoding", "Idempotency-Key",  "User-Agent", "X-Nmid-Signature",
        "Trailer",    "Upgrade",           "Proxy-Connection", "Keep-Alive", "Content-Encoding",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* A token of RFC 9110, section 5.6.2. */
static bool is_token(const char *name)
{
    size_t len = strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return len > 0 && len <= HEADER_NAME_MAX && name[len] == '\0';
}

static void read_header_name(struct conf_block *block, struct conf_callback *callback,
                             struct conf_header *header)
{
    const char *name;
    int got = block_string(block, "name", &name);
    if (got == 0)
        block_complain(block, "name", "missing: every header needs one");
    if (got <= 0)
        return;
    if (!is_token(name)) {
        block_complain(block, "name", "expected 1 to %d letters, digits and hyphens",
                       HEADER_NAME_MAX);
        return;
    }
    if (is_reserved(name)) {
        block_complain(block, "name", "nmid sets this header itself");
        return;
    }
    for (size_t i = 0; i + 1 < callback->header_count; i++) {
        const char *other = callback->headers[i].name;
        if (other != NULL && strcasecmp(other, name) == 0) {
            block_complain(block, "name", "this header stands twice");
            return;
        }
    }
    if ((header->name = strdup(name)) == NULL)
        block_complain(block, "name", "out of memory");
}

static void read_header_value(struct conf_block *block, struct conf_header *header)
{
    int got = block_secret(block, "value", HEADER_VALUE_MAX, &header->value);
    if (got == 0)
        block_complain(block, "value", "missing: every header needs one (or value_file)");
    if (got <= 0)
        return;
    const struct secret *value = header->value;
    bool good = value->len > 0 && value->bytes[0] != ' ' && value->bytes[value->len - 1] != ' ';
    for (size_t i = 0; i < value->len; i++)
        good = good && value->bytes[i] >= ' ' && value->bytes[i] != 0x7f;
    if (!good)
        block_complain(block, "value",
                       "expected text without control characters and without a blank at its ends");
}

static void read_headers(struct conf_block *block, struct conf_callback *callback)
{
    struct config_setting_t *list;
    struct conf_block group;
    if (block_list(block, "headers", &list) <= 0)
        return;
    unsigned count = (unsigned)config_setting_length(list);
    if (count > HEADERS_MAX) {
        block_complain(block, "headers", "more than %d", HEADERS_MAX);
        return;
    }
    callback->headers = calloc(count + 1, sizeof callback->headers[0]);
    if (callback->headers == NULL) {
        block_complain(block, "headers", "out of memory");
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (block_list_group(block, list, i, "callback.headers.", &group) <= 0)
            continue;
        struct conf_header *header = &callback->headers[callback->header_count++];
        read_header_name(&group, callback, header);
        read_header_value(&group, header);
        block_finish(&group);
    }
}

/* ---- URLs ---- */

static void read_url(struct conf_block *block, struct conf_callback *callback)
{
    const char *value;
    struct url url;
    struct fault fault = {0};
    if (block_string(block, "url", &value) <= 0)
        return;
    if (url_parse(value, &url, &fault) < 0)
        block_complain(block, "url", "expected a URL: %s", fault.message);
    else if ((callback->url = strdup(url.text)) == NULL)
        block_complain(block, "url", "out of memory");
    else if (!url.encrypted && callback->header_count > 0 && !url_is_loopback(&url))
        block_warn(block, "url", "http: whoever listens on the way reads the headers");
}

static void add_allow(struct conf_block *block, struct conf_callback *callback,
                      const config_setting_t *element)
{
    const char *file = block->reader->file;
    struct report *errors = block->reader->errors;
    unsigned line = config_setting_source_line(element);
    struct url url;
    struct fault fault = {0};
    const char *value = config_setting_get_string(element); /* NULL: no string, or an empty one */
    if (value == NULL) {
        report_add(errors, file, line, "callback.allow: expected strings (in double quotes)");
        return;
    }
    const char *host = strstr(value, "://");
    if (url_parse(value, &url, &fault) < 0) {
        report_add(errors, file, line, "callback.allow: expected a URL: %s", fault.message);
    } else if (strchr(value, '?') != NULL || strchr(host + 3, '/') == NULL) {
        /* Without the slash, "https://good.example" might be thought to begin
         * "https://good.example.net/". */
        report_add(errors, file, line,
                   "callback.allow: expected a scheme, a host, a slash and no query, as in "
                   "\"https://hooks.example/nmid/\"");
    } else if ((callback->allow[callback->allow_count] = strdup(url.text)) == NULL) {
        report_add(errors, file, line, "callback.allow: out of memory");
    } else {
        callback->allow_count++;
    }
}

static void read_allow(struct conf_block *block, struct conf_callback *callback)
{
    const config_setting_t *list = block_take(block, "allow");
    if (list == NULL)
        return;
    if (!config_setting_is_list(list) && !config_setting_is_array(list)) {
        block_complain(block, "allow", "expected a list ( \"URL\", \"URL\" )");
        return;
    }
    unsigned count = (unsigned)config_setting_length(list);
    if (count > ALLOW_MAX) {
        block_complain(block, "allow", "more than %d", ALLOW_MAX);
        return;
    }
    callback->allow = calloc(count + 1, sizeof callback->allow[0]);
    if (callback->allow == NULL) {
        block_complain(block, "allow", "out of memory");
        return;
    }
    for (unsigned i = 0; i < count; i++)
        add_allow(block, callback, config_setting_get_elem(list, i));
}

/* ---- The section ---- */

static void read_key(struct conf_block *block, struct conf_callback *callback)
{
    if (block_secret(block, "hmac_key", KEY_MAX, &callback->hmac_key) <= 0)
        return;
    if (callback->hmac_key->len == 0)
        block_complain(block, "hmac_key", "expected 1 to %d bytes", KEY_MAX);
    else if (callback->hmac_key->len < KEY_SHORT)
        block_warn(block, "hmac_key", "shorter than %d bytes: it can be guessed", KEY_SHORT);
}

/* After ironic = { ... }, which says where Ironic is and how nmid logs in. */
static void read_ironic(struct conf_block *block, struct conf_callback *callback)
{
    const struct conf *conf = block->reader->conf;
    bool told = false;
    if (block_boolean(block, "ironic", &told) <= 0 || !told)
        return;
    if (!conf->ironic_given)
        block_complain(block, "ironic", "needs a group ironic = { url = \"...\"; }");
    else if (conf->ironic.url != NULL)
        callback->ironic = &conf->ironic;
}

void conf_read_callback(struct conf_block *root)
{
    struct conf_callback *callback = &root->reader->conf->callback;
    struct conf_block block;
    if (block_group(root, "callback", "callback.", &block) <= 0)
        return;
    read_headers(&block, callback);
    read_url(&block, callback);
    conf_read_trust(
        &block,
        "whoever is on the way reads each callback with its headers, and can take it in "
        "the receiver's place",
        &callback->ca_file, &callback->insecure);
    read_key(&block, callback);
    read_allow(&block, callback);
    block_unsigned(&block, "timeout_ms", 100, 600000, &callback->timeout_ms);
    read_ironic(&block, callback);
    if (callback->header_count > 0 && block_take(&block, "url") == NULL)
        block_warn(&block, "headers", "without a url they go nowhere");
    block_finish(&block);
}

void conf_callback_clear(struct conf_callback *callback)
{
    for (size_t i = 0; i < callback->header_count; i++) {
        free(callback->headers[i].name);
        secret_free(callback->headers[i].value);
    }
    for (size_t i = 0; i < callback->allow_count; i++)
        free(callback->allow[i]);
    free(callback->headers);
    free(callback->allow);
    free(callback->url);
    free(callback->ca_file);
    secret_free(callback->hmac_key);
    *callback = (struct conf_callback){0};
}

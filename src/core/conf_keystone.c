/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How nmid logs in to Keystone, with the names that [keystone_authtoken] and openrc files have: a
 * user with a password, for a project or for the system; or an application credential. */
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include "base/url.h"
#include "core/conf_parts.h"

#define TEXT_MAX   255
#define SECRET_MAX 4096
#define TIMEOUT_MS 5000

static bool has(struct conf_block *block, const char *key)
{
    return block_take(block, key) != NULL;
}

/* ---- auth_url ---- */

/* The last segment of the path, of a URL whose query and closing slashes are cut off. */
static const char *last_segment(const struct url *url)
{
    const char *slash = strrchr(url->text + url->origin_len, '/');
    return slash == NULL ? "" : slash + 1;
}

/* "v3" or "v2.0", and not "identity" or "vault". */
static bool is_version(const char *segment)
{
    return segment[0] == 'v' && segment[1] >= '0' && segment[1] <= '9';
}

static char *versioned(const char *text, bool has_version)
{
    char *url = malloc(strlen(text) + sizeof "/v3");
    if (url != NULL)
        strcat(strcpy(url, text), has_version ? "" : "/v3");
    return url;
}

static void read_url(struct conf_block *block, struct conf_keystone *keystone)
{
    const char *value;
    struct url url;
    struct fault fault = {0};
    int got = block_string(block, "auth_url", &value);
    if (got == 0)
        block_complain(block, "auth_url",
                       "missing: expected Keystone's URL, as in \"https://keystone.example:5000\"");
    if (got <= 0)
        return;
    if (url_parse(value, &url, &fault) < 0) {
        block_complain(block, "auth_url", "expected a URL: %s", fault.message);
        return;
    }
    if (strchr(url.text, '?') != NULL) {
        block_complain(block, "auth_url", "expected a URL without a query");
        return;
    }
    for (size_t len = strlen(url.text); len > 0 && url.text[len - 1] == '/'; len--)
        url.text[len - 1] = '\0';
    const char *version = last_segment(&url);
    if (is_version(version) && strcmp(version, "v3") != 0)
        block_complain(block, "auth_url",
                       "expected the Identity API v3: a URL that ends in /v3, "
                       "or in no version");
    else if ((keystone->auth_url = versioned(url.text, is_version(version))) == NULL)
        block_complain(block, "auth_url", "out of memory");
    else if (!url.encrypted && !url_is_loopback(&url))
        block_warn(block, "auth_url",
                   "http: whoever listens on the way reads nmid's password and every token");
}

/* ---- Names ---- */

static void read_text(struct conf_block *block, const char *key, char **ret_text)
{
    const char *value;
    if (block_string(block, key, &value) <= 0)
        return;
    size_t len = strlen(value);
    bool good = len > 0 && len <= TEXT_MAX;
    for (size_t i = 0; i < len; i++)
        good = good && (unsigned char)value[i] >= ' ' && value[i] != 0x7f;
    if (!good)
        block_complain(block, key, "expected 1 to %d bytes, none of them a control character",
                       TEXT_MAX);
    else if ((*ret_text = strdup(value)) == NULL)
        block_complain(block, key, "out of memory");
}

/* Complains of `key` when `other` is there too. */
static void exclude(struct conf_block *block, const char *key, const char *other)
{
    if (has(block, key) && has(block, other))
        block_complain(block, key, "stands beside %s: expected one of them", other);
}

/* The keys of a user, or of a project. */
struct entity {
    const char *name, *id, *domain_name, *domain_id;
};

static const struct entity user_keys = {"username", "user_id", "user_domain_name",
                                        "user_domain_id"};
static const struct entity project_keys = {"project_name", "project_id", "project_domain_name",
                                           "project_domain_id"};

/* One of name and id; with a name, and only with one, one of the domain's. */
static void check_entity(struct conf_block *block, const struct entity *keys)
{
    exclude(block, keys->id, keys->name);
    exclude(block, keys->domain_id, keys->domain_name);
    bool has_domain = has(block, keys->domain_name) || has(block, keys->domain_id);
    const char *domain = has(block, keys->domain_id) ? keys->domain_id : keys->domain_name;
    if (has(block, keys->name) && !has_domain)
        block_complain(block, keys->name, "needs a domain: %s (as in \"Default\") or %s",
                       keys->domain_name, keys->domain_id);
    if (!has(block, keys->name) && has_domain)
        block_complain(block, domain, "stands without %s", keys->name);
}

static void refuse_entity(struct conf_block *block, const struct entity *keys, const char *beside)
{
    const char *const all[] = {keys->name, keys->id, keys->domain_name, keys->domain_id};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        exclude(block, all[i], beside);
}

/* ---- Credentials ---- */

static bool read_secret(struct conf_block *block, const char *key, struct secret **ret_secret)
{
    int got = block_secret(block, key, SECRET_MAX, ret_secret);
    if (got > 0 && ((*ret_secret)->len == 0 ||
                    strlen((const char *)(*ret_secret)->bytes) != (*ret_secret)->len))
        block_complain(block, key, "expected 1 to %d bytes, none of them NUL", SECRET_MAX);
    return got != 0;
}

static void check_user(struct conf_block *block, const char *what)
{
    check_entity(block, &user_keys);
    if (!has(block, "username") && !has(block, "user_id"))
        block_complain(block, "username", "missing: %s needs a user (or user_id)", what);
}

/* [keystone_authtoken] has system_scope = all. */
static void read_system_scope(struct conf_block *block, struct conf_keystone *keystone)
{
    const config_setting_t *setting = block_take(block, "system_scope");
    const char *value = "";
    if (setting == NULL)
        return;
    if (config_setting_type(setting) == CONFIG_TYPE_STRING)
        block_string(block, "system_scope", &value);
    keystone->system_scope = strcmp(value, "all") == 0;
    if (!keystone->system_scope)
        block_complain(block, "system_scope", "expected \"all\"");
}

static void read_application_credential(struct conf_block *block, struct conf_keystone *keystone)
{
    static const char *const id = "application_credential_id";
    static const char *const name = "application_credential_name";
    read_text(block, id, &keystone->application_credential_id);
    read_text(block, name, &keystone->application_credential_name);
    const char *given = has(block, id) ? id : name;
    if (!read_secret(block, "application_credential_secret",
                     &keystone->application_credential_secret))
        block_complain(block, given,
                       "needs application_credential_secret (or "
                       "application_credential_secret_file)");
    exclude(block, name, id);
    exclude(block, "password", given);
    exclude(block, "password_file", given);
    exclude(block, "system_scope", given);
    refuse_entity(block, &project_keys, given);
    if (given == id)
        refuse_entity(block, &user_keys, given);
    else
        check_user(block, name);
}

static void read_password(struct conf_block *block, struct conf_keystone *keystone)
{
    if (has(block, "application_credential_secret") ||
        has(block, "application_credential_secret_file"))
        block_complain(block, "application_credential_secret",
                       "needs application_credential_id, or application_credential_name");
    else if (!read_secret(block, "password", &keystone->password))
        block_complain(block, "password",
                       "missing: expected password, password_file or application_credential_id");
    else
        check_user(block, "a password");
    check_entity(block, &project_keys);
    exclude(block, "system_scope", "project_name");
    exclude(block, "system_scope", "project_id");
    if (!has(block, "project_name") && !has(block, "project_id") && !has(block, "system_scope"))
        block_complain(block, "project_name",
                       "missing: expected project_name, project_id or system_scope");
}

/* ---- The whole ---- */

void conf_read_keystone(struct conf_block *block, struct conf_keystone *keystone)
{
    keystone->timeout_ms = TIMEOUT_MS;
    read_url(block, keystone);
    read_text(block, "username", &keystone->username);
    read_text(block, "user_id", &keystone->user_id);
    read_text(block, "user_domain_name", &keystone->user_domain_name);
    read_text(block, "user_domain_id", &keystone->user_domain_id);
    read_text(block, "project_name", &keystone->project_name);
    read_text(block, "project_id", &keystone->project_id);
    read_text(block, "project_domain_name", &keystone->project_domain_name);
    read_text(block, "project_domain_id", &keystone->project_domain_id);
    read_system_scope(block, keystone);
    if (has(block, "application_credential_id") || has(block, "application_credential_name"))
        read_application_credential(block, keystone);
    else
        read_password(block, keystone);
    conf_read_trust(block,
                    "whoever is on the way to Keystone reads nmid's password and every token, and "
                    "can let in whom they like",
                    &keystone->ca_file, &keystone->insecure);
    block_unsigned(block, "timeout_ms", 100, 60000, &keystone->timeout_ms);
}

void conf_keystone_clear(struct conf_keystone *keystone)
{
    free(keystone->auth_url);
    free(keystone->username);
    free(keystone->user_id);
    free(keystone->user_domain_name);
    free(keystone->user_domain_id);
    free(keystone->project_name);
    free(keystone->project_id);
    free(keystone->project_domain_name);
    free(keystone->project_domain_id);
    free(keystone->application_credential_id);
    free(keystone->application_credential_name);
    free(keystone->ca_file);
    secret_free(keystone->password);
    secret_free(keystone->application_credential_secret);
    *keystone = (struct conf_keystone){0};
}

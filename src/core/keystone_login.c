/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The body of a log-in. It is written by hand and not by a JSON library, which would leave copies
 * of the password in memory that nobody wipes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/keystone_parse.h"

#define ESCAPE_MAX 6   /* "\u001f": the most that one byte becomes */
#define FRAME_MAX  512 /* what stands around the strings */

/* Room is made for the worst case at first: text that grew would leave pieces of itself behind. */
struct text {
    char *bytes;
    size_t len;
};

static void put(struct text *text, const char *bytes)
{
    size_t len = strlen(bytes);
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void put_string(struct text *text, const char *bytes, size_t len)
{
    text->bytes[text->len++] = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < ' ') {
            text->len += (size_t)sprintf(text->bytes + text->len, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            text->bytes[text->len++] = '\\';
        text->bytes[text->len++] = (char)c;
    }
    text->bytes[text->len++] = '"';
}

/* "KEY":"VALUE", and nothing without a value. */
static void put_member(struct text *text, const char *key, const char *value)
{
    if (value == NULL)
        return;
    put_string(text, key, strlen(key));
    put(text, ":");
    put_string(text, value, strlen(value));
}

static void put_secret(struct text *text, const char *key, const struct secret *secret)
{
    put_string(text, key, strlen(key));
    put(text, ":");
    put_string(text, (const char *)secret->bytes, secret->len);
}

/* {"id":...}, or {"name":...,"domain":{...}} without the closing brace. */
static void put_entity(struct text *text, const char *id, const char *name, const char *domain_id,
                       const char *domain_name)
{
    put(text, "{");
    if (id != NULL) {
        put_member(text, "id", id);
        return;
    }
    put_member(text, "name", name);
    put(text, ",\"domain\":{");
    put_member(text, domain_id != NULL ? "id" : "name",
               domain_id != NULL ? domain_id : domain_name);
    put(text, "}");
}

static void put_user(struct text *text, const struct conf_keystone *conf)
{
    put_entity(text, conf->user_id, conf->username, conf->user_domain_id, conf->user_domain_name);
}

/* Its scope is that of its making: none may be asked for. */
static void put_application_credential(struct text *text, const struct conf_keystone *conf)
{
    put(text, "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],"
              "\"application_credential\":{");
    put_member(text, "id", conf->application_credential_id);
    if (conf->application_credential_id == NULL) {
        put_member(text, "name", conf->application_credential_name);
        put(text, ",\"user\":");
        put_user(text, conf);
        put(text, "}");
    }
    put(text, ",");
    put_secret(text, "secret", conf->application_credential_secret);
    put(text, "}}}}");
}

static void put_password(struct text *text, const struct conf_keystone *conf)
{
    put(text, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":");
    put_user(text, conf);
    put(text, ",");
    put_secret(text, "password", conf->password);
    put(text, "}}},\"scope\":{");
    if (conf->system_scope) {
        put(text, "\"system\":{\"all\":true}");
    } else {
        put(text, "\"project\":");
        put_entity(text, conf->project_id, conf->project_name, conf->project_domain_id,
                   conf->project_domain_name);
        put(text, "}");
    }
    put(text, "}}}");
}

static size_t length(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

struct secret *keystone_login_body(const struct conf_keystone *conf)
{
    const struct secret *secret = conf->application_credential_secret != NULL
                                      ? conf->application_credential_secret
                                      : conf->password;
    size_t room = secret->len + length(conf->username) + length(conf->user_id) +
                  length(conf->user_domain_name) + length(conf->user_domain_id) +
                  length(conf->project_name) + length(conf->project_id) +
                  length(conf->project_domain_name) + length(conf->project_domain_id) +
                  length(conf->application_credential_id) +
                  length(conf->application_credential_name);
    struct text text = {.bytes = malloc(FRAME_MAX + ESCAPE_MAX * room)};
    if (text.bytes == NULL)
        return NULL;
    if (conf->application_credential_secret != NULL)
        put_application_credential(&text, conf);
    else
        put_password(&text, conf);
    struct secret *body = secret_new(text.bytes, text.len);
    secret_wipe(text.bytes, text.len);
    free(text.bytes);
    return body;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the OS_* variables mean is what OpenStack's own command line makes of them (keystoneauth's
 * options). The body is written by hand: a JSON library would leave copies of the password in
 * memory that nobody wipes. */
#include "cli/openrc.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX 32768

/* ---- Reading ---- */

/* The first of the names that is set. */
static const char *first_of(openrc_get_fn *get, const char *a, const char *b)
{
    const char *value = get(a);
    return value != NULL ? value : get(b);
}

/* OS_AUTH_URL, as keystoneauth takes it: with or without a version. */
static int url_take(openrc_get_fn *get, struct openrc *openrc, struct fault *fault)
{
    struct url url;
    struct fault why = {0};
    const char *text = get("OS_AUTH_URL"), *version = get("OS_IDENTITY_API_VERSION");
    if (text == NULL)
        return fault_set(fault, FAULT_UNAUTHORIZED, "OS_AUTH_URL is not set");
    if (url_parse(text, &url, &why) < 0)
        return fault_set(fault, FAULT_UNAUTHORIZED, "OS_AUTH_URL: %s", why.message);
    if (strchr(url.text, '?') != NULL)
        return fault_set(fault, FAULT_UNAUTHORIZED, "OS_AUTH_URL: a query has no place in it");
    if (version != NULL && strcmp(version, "3") != 0 && strncmp(version, "3.", 2) != 0)
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "OS_IDENTITY_API_VERSION is %.16s, and only version 3 is spoken", version);
    size_t length = strlen(url.text);
    while (length > 0 && url.text[length - 1] == '/')
        url.text[--length] = '\0';
    /* Old openrc files name version 2.0, which no Keystone has any more. */
    if (length > 5 && strcmp(url.text + length - 5, "/v2.0") == 0)
        url.text[length -= 5] = '\0';
    bool versioned = length > 3 && strcmp(url.text + length - 3, "/v3") == 0;
    snprintf(openrc->auth_url, sizeof openrc->auth_url, "%s%s", url.text, versioned ? "" : "/v3");
    openrc->exposed = !url.encrypted && !url_is_loopback(&url);
    return 0;
}

/* Which way of logging in. */
static int type_take(openrc_get_fn *get, struct openrc *openrc, struct fault *fault)
{
    const char *type = get("OS_AUTH_TYPE");
    if (type == NULL)
        openrc->application_credential =
            openrc->application_credential_secret != NULL && openrc->password == NULL;
    else if (strcmp(type, "v3applicationcredential") == 0)
        openrc->application_credential = true;
    else if (strcmp(type, "password") != 0 && strcmp(type, "v3password") != 0)
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "OS_AUTH_TYPE is %.40s, which nmictl does not speak: set OS_TOKEN to what "
                         "'openstack token issue -f value -c id' prints",
                         type);
    return 0;
}

static int user_check(const struct openrc *openrc, struct fault *fault)
{
    const char *missing = NULL;
    bool user = openrc->user_id != NULL || openrc->username != NULL;
    if (openrc->application_credential && openrc->application_credential_secret == NULL)
        missing = "OS_APPLICATION_CREDENTIAL_SECRET";
    else if (openrc->application_credential && openrc->application_credential_id == NULL &&
             openrc->application_credential_name == NULL)
        missing = "OS_APPLICATION_CREDENTIAL_ID";
    else if (openrc->application_credential && openrc->application_credential_id == NULL && !user)
        missing = "OS_USERNAME (OS_APPLICATION_CREDENTIAL_NAME needs it)";
    else if (!openrc->application_credential && !user)
        missing = "OS_USERNAME";
    else if (!openrc->application_credential && openrc->password == NULL)
        missing = "OS_PASSWORD";
    if (missing != NULL)
        return fault_set(fault, FAULT_UNAUTHORIZED, "%s is not set", missing);
    return 0;
}

static int scope_take(openrc_get_fn *get, struct openrc *openrc, struct fault *fault)
{
    const char *system = get("OS_SYSTEM_SCOPE");
    openrc->project_id = first_of(get, "OS_PROJECT_ID", "OS_TENANT_ID");
    openrc->project_name = first_of(get, "OS_PROJECT_NAME", "OS_TENANT_NAME");
    openrc->project_domain_id = get("OS_PROJECT_DOMAIN_ID");
    openrc->project_domain_name = get("OS_PROJECT_DOMAIN_NAME");
    openrc->system_scope = system != NULL;
    if (system != NULL && strcmp(system, "all") != 0)
        return fault_set(fault, FAULT_UNAUTHORIZED, "OS_SYSTEM_SCOPE can only be 'all'");
    if (system != NULL && (openrc->project_id != NULL || openrc->project_name != NULL))
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "OS_SYSTEM_SCOPE and OS_PROJECT_%s exclude each other: unset one",
                         openrc->project_id != NULL ? "ID" : "NAME");
    return 0;
}

int openrc_read(openrc_get_fn *get, const struct secret *password,
                const struct secret *application_credential_secret, struct openrc *ret_openrc,
                struct fault *fault)
{
    struct openrc openrc = {.password = password,
                            .application_credential_secret = application_credential_secret};
    openrc.user_id = get("OS_USER_ID");
    openrc.username = get("OS_USERNAME");
    openrc.user_domain_id = get("OS_USER_DOMAIN_ID");
    openrc.user_domain_name = get("OS_USER_DOMAIN_NAME");
    openrc.application_credential_id = get("OS_APPLICATION_CREDENTIAL_ID");
    openrc.application_credential_name = get("OS_APPLICATION_CREDENTIAL_NAME");
    openrc.ca_file = get("OS_CACERT");
    if (url_take(get, &openrc, fault) < 0 || type_take(get, &openrc, fault) < 0 ||
        user_check(&openrc, fault) < 0 || scope_take(get, &openrc, fault) < 0)
        return -1;
    *ret_openrc = openrc;
    return 0;
}

/* ---- Writing ---- */

struct writer {
    struct secret *secret; /* room for BODY_MAX bytes */
    bool full;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t count)
{
    struct secret *secret = writer->secret;
    if (writer->full || count > BODY_MAX - secret->len) {
        writer->full = true;
        return;
    }
    memcpy(secret->bytes + secret->len, bytes, count);
    secret->len += count;
    secret->bytes[secret->len] = '\0';
}

static void put(struct writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

/* KEY: a string. What is no UTF-8 goes as it is: it is Keystone's to refuse. */
static void put_member(struct writer *writer, const char *key, const char *value)
{
    put(writer, "\"");
    put(writer, key);
    put(writer, "\":\"");
    for (; *value != '\0'; value++) {
        char escaped[8];
        unsigned char c = (unsigned char)*value;
        if (c < 0x20)
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", c);
        else
            snprintf(escaped, sizeof escaped, "%c", c);
        put(writer, escaped);
        secret_wipe(escaped, sizeof escaped);
    }
    put(writer, "\"");
}

/* An id, or a name with its domain; without one the domain that each Keystone begins with. */
static void put_named(struct writer *writer, const char *id, const char *name,
                      const char *domain_id, const char *domain_name)
{
    if (id != NULL) {
        put_member(writer, "id", id);
        return;
    }
    put_member(writer, "name", name);
    put(writer, ",\"domain\":{");
    if (domain_id != NULL || domain_name == NULL)
        put_member(writer, "id", domain_id != NULL ? domain_id : "default");
    else
        put_member(writer, "name", domain_name);
    put(writer, "}");
}

static void put_user(struct writer *writer, const struct openrc *openrc)
{
    put_named(writer, openrc->user_id, openrc->username, openrc->user_domain_id,
              openrc->user_domain_name);
}

static void put_application_credential(struct writer *writer, const struct openrc *openrc)
{
    put(writer, "\"methods\":[\"application_credential\"],\"application_credential\":{");
    if (openrc->application_credential_id != NULL) {
        put_member(writer, "id", openrc->application_credential_id);
    } else {
        put_member(writer, "name", openrc->application_credential_name);
        put(writer, ",\"user\":{");
        put_user(writer, openrc);
        put(writer, "}");
    }
    put(writer, ",");
    put_member(writer, "secret", (const char *)openrc->application_credential_secret->bytes);
    put(writer, "}}");
}

static void put_password(struct writer *writer, const struct openrc *openrc)
{
    put(writer, "\"methods\":[\"password\"],\"password\":{\"user\":{");
    put_user(writer, openrc);
    put(writer, ",");
    put_member(writer, "password", (const char *)openrc->password->bytes);
    put(writer, "}}}");
    if (openrc->system_scope) {
        put(writer, ",\"scope\":{\"system\":{\"all\":true}}");
    } else if (openrc->project_id != NULL || openrc->project_name != NULL) {
        put(writer, ",\"scope\":{\"project\":{");
        put_named(writer, openrc->project_id, openrc->project_name, openrc->project_domain_id,
                  openrc->project_domain_name);
        put(writer, "}}");
    }
}

struct secret *openrc_body(const struct openrc *openrc)
{
    static char nothing[BODY_MAX];
    struct writer writer = {.secret = secret_new(nothing, sizeof nothing)};
    if (writer.secret == NULL)
        return NULL;
    writer.secret->len = 0;
    put(&writer, "{\"auth\":{\"identity\":{");
    if (openrc->application_credential)
        put_application_credential(&writer, openrc);
    else
        put_password(&writer, openrc);
    put(&writer, "}}");
    if (writer.full) {
        secret_free(writer.secret);
        return NULL;
    }
    return writer.secret;
}

void openrc_describe(const struct openrc *openrc, char *text, size_t size)
{
    const char *who = openrc->user_id != NULL ? openrc->user_id : openrc->username;
    const char *project = openrc->project_id != NULL ? openrc->project_id : openrc->project_name;
    if (openrc->application_credential && openrc->application_credential_id != NULL)
        snprintf(text, size, "the application credential %.80s", openrc->application_credential_id);
    else if (openrc->application_credential)
        snprintf(text, size, "the application credential '%.80s' of the user '%.80s'",
                 openrc->application_credential_name, who);
    else if (openrc->system_scope)
        snprintf(text, size, "the user '%.80s' (system scope)", who);
    else if (project != NULL)
        snprintf(text, size, "the user '%.80s' (project '%.80s')", who, project);
    else
        snprintf(text, size, "the user '%.80s' (no project)", who);
}

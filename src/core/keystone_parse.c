/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/keystone_parse.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX         255
#define NAME_MAX_BYTES 1020 /* 255 characters of UTF-8, as Keystone's column has room for */
#define SECOND         INT64_C(1000000)

bool keystone_is_token(const char *text)
{
    size_t len = 0;
    while (len <= KEYSTONE_TOKEN_MAX && text[len] > ' ' && text[len] < 0x7f)
        len++;
    return len > 0 && len <= KEYSTONE_TOKEN_MAX && text[len] == '\0';
}

/* ---- Times ---- */

/* So many digits at *at, which moves on; -1 when there are other characters. */
static int take_number(const char **at, unsigned digits)
{
    int value = 0;
    for (; digits > 0; digits--, ++*at) {
        if (!isdigit((unsigned char)**at))
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

/* A date of the proleptic Gregorian calendar as days since 1970-01-01. */
static int64_t days_of(int year, int month, int day)
{
    /* Years that begin in March put the leap day at their end. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t shifted = (month + 9) % 12;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Digits of a fraction as microseconds; what is finer is dropped. */
static int64_t take_fraction(const char **at)
{
    int64_t us = 0, unit = SECOND / 10;
    for (; isdigit((unsigned char)**at); ++*at, unit /= 10)
        us += (**at - '0') * unit;
    return us;
}

int keystone_parse_time(const char *text, int64_t *ret_us)
{
    static const struct {
        unsigned digits;
        char after; /* '\0': a fraction or the end */
        int min, max;
    } parts[] = {{4, '-', 1970, 9999}, {2, '-', 1, 12}, {2, 'T', 1, 31},
                 {2, ':', 0, 23},      {2, ':', 0, 59}, {2, '\0', 0, 60}};
    int v[6];
    for (size_t i = 0; i < 6; i++) {
        v[i] = take_number(&text, parts[i].digits);
        if (v[i] < parts[i].min || v[i] > parts[i].max)
            return -1;
        if (parts[i].after != '\0' && *text++ != parts[i].after)
            return -1;
    }
    int64_t fraction = 0;
    if (v[2] > days_in(v[0], v[1]))
        return -1;
    if (*text == '.') {
        text++;
        if (!isdigit((unsigned char)*text))
            return -1;
        fraction = take_fraction(&text);
    }
    if (strcmp(text, "Z") != 0)
        return -1;
    int64_t seconds = days_of(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5];
    *ret_us = seconds * SECOND + fraction;
    return 0;
}

/* ---- What Keystone says of a token ---- */

static int wrong(struct fault *fault, const char *what)
{
    return fault_set(fault, FAULT_IDENTITY, "Keystone's answer is not understood: %s.", what);
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

/* An identifier: what decisions hang on, and therefore exactly as it is, or not at all. */
static int take_id(const json_t *object, const char *what, char **ret_id, struct fault *fault)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    if (id == NULL || id[0] == '\0' || strlen(id) > ID_MAX || has_control(id))
        return wrong(fault, what);
    *ret_id = strdup(id);
    return *ret_id != NULL ? 0 : fault_set(fault, FAULT_MEMORY, "out of memory");
}

/* A name, which only people read. */
static int take_user(const json_t *user, struct keystone_token *token, struct fault *fault)
{
    const char *name = json_string_value(json_object_get(user, "name"));
    if (take_id(user, "\"user\" has no good \"id\"", &token->user_id, fault) < 0)
        return -1;
    if (name == NULL || name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return wrong(fault, "\"user\" has no good \"name\"");
    if ((token->user = strdup(name)) == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (char *at = token->user; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
    return 0;
}

/* A member; NULL also for null. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int take_scope(const json_t *json, struct keystone_token *token, struct fault *fault)
{
    const json_t *project = member(json, "project"), *domain = member(json, "domain");
    const json_t *system = member(json, "system");
    if ((project != NULL) + (domain != NULL) + (system != NULL) > 1)
        return wrong(fault, "the token has two scopes");
    token->scope = project != NULL  ? KEYSTONE_PROJECT
                   : domain != NULL ? KEYSTONE_DOMAIN
                   : system != NULL ? KEYSTONE_SYSTEM
                                    : KEYSTONE_UNSCOPED;
    if (system != NULL && !json_is_true(json_object_get(system, "all")))
        return wrong(fault, "\"system\" is not {\"all\": true}");
    return project == NULL
               ? 0
               : take_id(project, "\"project\" has no good \"id\"", &token->project_id, fault);
}

/* The names of the roles; a token without any has no "roles". */
static int take_roles(const json_t *json, struct keystone_token *token, struct fault *fault)
{
    const json_t *roles = member(json, "roles");
    size_t count = json_array_size(roles);
    if (roles == NULL)
        return 0;
    if (!json_is_array(roles))
        return wrong(fault, "\"roles\" is no array");
    token->roles.names = calloc(count + 1, sizeof *token->roles.names);
    if (token->roles.names == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(roles, i), "name"));
        if (name == NULL)
            return wrong(fault, "a role has no \"name\"");
        if ((token->roles.names[i] = strdup(name)) == NULL)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        token->roles.count++;
    }
    return 0;
}

static int take_time(const json_t *json, const char *key, const char *what, int64_t *ret_us,
                     struct fault *fault)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL && keystone_parse_time(text, ret_us) == 0 ? 0 : wrong(fault, what);
}

static int take_token(const json_t *json, struct keystone_token *token, struct fault *fault)
{
    if (!json_is_object(json))
        return wrong(fault, "there is no \"token\" in it");
    token->access_rules = member(member(json, "application_credential"), "access_rules") != NULL;
    if (take_user(json_object_get(json, "user"), token, fault) < 0 ||
        take_scope(json, token, fault) < 0 || take_roles(json, token, fault) < 0 ||
        take_time(json, "issued_at", "no good \"issued_at\"", &token->issued_at, fault) < 0 ||
        take_time(json, "expires_at", "no good \"expires_at\"", &token->expires_at, fault) < 0)
        return -1;
    return token->issued_at < token->expires_at
               ? 0
               : wrong(fault, "the token expired before it was issued");
}

int keystone_parse_token(const char *body, size_t len, struct keystone_token *ret_token,
                         struct fault *fault)
{
    struct keystone_token token = {0};
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL)
        return wrong(fault, "it is no JSON");
    int result = take_token(json_object_get(json, "token"), &token, fault);
    json_decref(json);
    if (result < 0)
        keystone_token_clear(&token);
    else
        *ret_token = token;
    return result;
}

void keystone_token_clear(struct keystone_token *token)
{
    for (size_t i = 0; i < token->roles.count; i++)
        free(token->roles.names[i]);
    free(token->roles.names);
    free(token->user);
    free(token->user_id);
    free(token->project_id);
    *token = (struct keystone_token){0};
}

const char *keystone_token_useless(const struct keystone_token *token)
{
    if (token->access_rules)
        return "Tokens of application credentials with access rules are not taken here.";
    if (token->scope == KEYSTONE_DOMAIN || token->scope == KEYSTONE_UNSCOPED)
        return "The token has no right here: it is neither for a project nor for the system.";
    return NULL;
}

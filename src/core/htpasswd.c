/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/htpasswd.h"

#include <crypt.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/map.h"
#include "base/secret.h"
#include "base/vault.h"

#define USERS_MAX 10000

struct user {
    char hash[HTPASSWD_HASH_LEN + 1];
    char name[];
};

struct htpasswd {
    struct map *map; /* by name */
    struct user **users;
    size_t count;
};

/* jansson knows what UTF-8 is. */
static bool is_utf8(const char *text, size_t len)
{
    json_t *json = json_stringn(text, len);
    bool good = json != NULL;
    json_decref(json);
    return good;
}

/* 1 to 255 bytes of UTF-8 without control characters. */
static bool is_user(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    }
    return len >= 1 && len <= HTPASSWD_USER_MAX && is_utf8(text, len);
}

/* ---- The file's lines ---- */

#define SALT_AND_HASH "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* "$2y$05$" and 53 characters. *ret_cost is set when all but the cost is right. */
static bool is_bcrypt(const char *text, size_t len, unsigned *ret_cost)
{
    if (len != HTPASSWD_HASH_LEN || text[0] != '$' || text[1] != '2' || text[2] == '\0' ||
        strchr("aby", text[2]) == NULL || text[3] != '$' || text[6] != '$')
        return false;
    if (text[4] < '0' || text[4] > '9' || text[5] < '0' || text[5] > '9')
        return false;
    for (size_t i = 7; i < len; i++) {
        if (text[i] == '\0' || strchr(SALT_AND_HASH, text[i]) == NULL)
            return false;
    }
    *ret_cost = (unsigned)(text[4] - '0') * 10 + (unsigned)(text[5] - '0');
    return true;
}

static int add_user(struct htpasswd *users, const char *name, size_t name_len, const char *hash)
{
    struct user *user = calloc(1, sizeof *user + name_len + 1);
    if (user == NULL)
        return -1;
    memcpy(user->name, name, name_len);
    memcpy(user->hash, hash, HTPASSWD_HASH_LEN);
    if (map_put(users->map, user->name, user) < 0) {
        free(user);
        return -1;
    }
    users->users[users->count++] = user;
    return 0;
}

/* One line, without the blanks at its ends. */
static void read_line(struct htpasswd *users, const char *file, unsigned line, const char *text,
                      size_t len, struct report *errors)
{
    char name[HTPASSWD_USER_MAX + 1] = "";
    unsigned cost = 0;
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - text);
    if (colon == NULL || !is_user(text, name_len)) {
        report_add(errors, file, line, "expected USER:HASH, with a user of 1 to %d bytes of UTF-8",
                   HTPASSWD_USER_MAX);
        return;
    }
    if (!is_bcrypt(colon + 1, len - name_len - 1, &cost)) {
        report_add(errors, file, line,
                   "expected a bcrypt hash ($2y$, $2b$ or $2a$), as htpasswd -B makes it");
        return;
    }
    if (cost < 4 || cost > HTPASSWD_COST_MAX) {
        report_add(errors, file, line, "expected a bcrypt cost from 4 to %d", HTPASSWD_COST_MAX);
        return;
    }
    memcpy(name, text, name_len);
    if (map_get(users->map, name) != NULL)
        report_add(errors, file, line, "this user stands twice");
    else if (users->count == USERS_MAX)
        report_add(errors, file, line, "more than %d users", USERS_MAX);
    else if (add_user(users, name, name_len, colon + 1) < 0)
        report_add(errors, file, line, "out of memory");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void read_lines(struct htpasswd *users, const char *file, const char *text, size_t len,
                       struct report *errors)
{
    const char *end = text + len;
    for (unsigned line = 1; text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        const char *next = newline == NULL ? end : newline + 1;
        while (text < stop && is_blank(*text))
            text++;
        while (stop > text && is_blank(stop[-1]))
            stop--;
        if (stop > text && *text != '#')
            read_line(users, file, line, text, (size_t)(stop - text), errors);
        text = next;
    }
}

struct htpasswd *htpasswd_parse(const char *name, const char *text, size_t len,
                                struct report *errors)
{
    size_t before = errors->count + errors->dropped;
    struct htpasswd *users = calloc(1, sizeof *users);
    if (users != NULL) {
        users->map = map_new();
        users->users = calloc(USERS_MAX, sizeof(struct user *));
    }
    if (users == NULL || users->map == NULL || users->users == NULL)
        report_add(errors, name, 0, "out of memory");
    else
        read_lines(users, name, text, len, errors);
    if (errors->count + errors->dropped == before)
        return users;
    htpasswd_free(users);
    return NULL;
}

void htpasswd_free(struct htpasswd *users)
{
    if (users == NULL)
        return;
    map_free(users->map);
    for (size_t i = 0; i < users->count; i++) {
        secret_wipe(users->users[i]->hash, HTPASSWD_HASH_LEN);
        free(users->users[i]);
    }
    free(users->users);
    free(users);
}

size_t htpasswd_count(const struct htpasswd *users)
{
    return users->count;
}

/* The hashes have passed is_bcrypt(). */
size_t htpasswd_count_below(const struct htpasswd *users, unsigned cost)
{
    size_t count = 0;
    for (size_t i = 0; i < users->count; i++)
        count += strtoul(users->users[i]->hash + 4, NULL, 10) < cost;
    return count;
}

const char *htpasswd_find(const struct htpasswd *users, const char *name)
{
    const struct user *user = map_get(users->map, name);
    return user == NULL ? NULL : user->hash;
}

const char *htpasswd_decoy(const struct htpasswd *users, size_t number)
{
    return users->count == 0 ? NULL : users->users[number % users->count]->hash;
}

/* ---- A password ---- */

int htpasswd_matches(const char *hash, const char *password)
{
    struct crypt_data *data = vault_take(sizeof *data); /* 32 KB */
    if (data == NULL)
        return -1;
    /* A failure is a string that begins with an asterisk, or NULL. */
    const char *made = crypt_r(password, hash, data);
    bool good = made != NULL && made[0] == '$' && strlen(made) == HTPASSWD_HASH_LEN &&
                secret_equal(made, HTPASSWD_HASH_LEN, hash, strlen(hash));
    vault_give(data);
    return good;
}

/* ---- Authorization: Basic ---- */

/* The longest log-in that is looked into, to say what is wrong with it. */
#define DECODED_MAX 1024

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Strict base64 (RFC 4648, 3.2 to 3.5): padded, nothing else between, no bits left over. The number
 * of bytes, or -1. */
static long base64_decode(const char *text, size_t len, unsigned char *bytes, size_t size)
{
    size_t pad = 0, out = 0;
    uint32_t bits = 0;
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > size)
        return -1;
    while (pad < 2 && text[len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < len - pad; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 0)
            bytes[out++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    /* Two digits bring 12 bits for one byte, three 18 for two: what is over must be zero. */
    if ((pad == 2 && (bits & 0xf) != 0) || (pad == 1 && (bits & 0x3) != 0))
        return -1;
    return (long)out;
}

/* Splits what was decoded. */
static int read_login(const char *bytes, size_t len, struct basic_login *ret_login,
                      struct fault *fault)
{
    const char *colon = memchr(bytes, ':', len);
    if (colon == NULL || memchr(bytes, '\0', len) != NULL)
        return fault_set(fault, FAULT_UNAUTHORIZED, "Could not decode the Authorization header");
    size_t user_len = (size_t)(colon - bytes), password_len = len - user_len - 1;
    if (!is_user(bytes, user_len))
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "Expected a user name of 1 to %d bytes of UTF-8", HTPASSWD_USER_MAX);
    if (password_len > HTPASSWD_PASSWORD_MAX)
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "The password is longer than the %d bytes that bcrypt can check",
                         HTPASSWD_PASSWORD_MAX);
    memset(ret_login, 0, sizeof *ret_login);
    memcpy(ret_login->user, bytes, user_len);
    memcpy(ret_login->password, colon + 1, password_len);
    return 0;
}

int basic_login_parse(const char *header, struct basic_login *ret_login, struct fault *fault)
{
    unsigned char bytes[DECODED_MAX + 3];
    size_t scheme = strcspn(header, " ");
    if (scheme != 5 || strncasecmp(header, "Basic", scheme) != 0)
        return fault_set(fault, FAULT_UNAUTHORIZED,
                         "Unsupported Authorization header: expected Basic");
    const char *text = header + scheme;
    text += strspn(text, " ");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    long decoded = base64_decode(text, len, bytes, sizeof bytes);
    int result = decoded < 0 ? fault_set(fault, FAULT_UNAUTHORIZED,
                                         "Could not decode the Authorization header")
                             : read_login((const char *)bytes, (size_t)decoded, ret_login, fault);
    secret_wipe(bytes, sizeof bytes);
    return result;
}

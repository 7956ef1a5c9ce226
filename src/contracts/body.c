/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/body.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/action.h"

/* Longer canonical forms are kept as a digest: a batch's body would be kept once per node. */
#define FINGERPRINT_PLAIN_MAX 200

/* jansson recurses as deep as the text nests: so the depth is counted first. */
static bool too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '[' || text[i] == '{') {
            if (++depth > BODY_DEPTH_MAX)
                return true;
        } else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *body_parse(const char *text, size_t len, struct fault *fault)
{
    json_error_t error;
    if (too_deep(text, len)) {
        fault_set(fault, FAULT_MALFORMED, "The body is nested too deeply.");
        return NULL;
    }
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL)
        fault_set(fault, FAULT_MALFORMED, "The body is not valid JSON.");
    return value;
}

bool body_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    if (content_type == NULL || strncasecmp(content_type, json, sizeof json - 1) != 0)
        return false;
    const char *rest = content_type + sizeof json - 1;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

json_t *body_text(const char *text)
{
    json_t *value = json_string(text);
    char *copy = value == NULL ? strdup(text) : NULL;
    if (copy == NULL)
        return value;
    for (char *p = copy; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

/* FNV-1a, from a basis of the caller's: two of them make 128 bits. It tells a mistake from a
 * repeat; it guards nothing. */
static uint64_t digest(const char *text, uint64_t hash)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

char *body_fingerprint(const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (text == NULL || strlen(text) <= FINGERPRINT_PLAIN_MAX)
        return text;
    char *short_form = NULL;
    if (asprintf(&short_form, "#%zu:%016" PRIx64 "%016" PRIx64, strlen(text),
                 digest(text, UINT64_C(0xcbf29ce484222325)),
                 digest(text, UINT64_C(0x6c62272e07bb0142))) < 0)
        short_form = NULL;
    free(text);
    return short_form;
}

int body_key(const struct http_exchange *exchange, char *buffer, const char **ret_key,
             struct fault *fault)
{
    static const char name[] = "Idempotency-Key";
    if (http_header(exchange, name) == NULL) {
        *ret_key = NULL;
        return 0;
    }
    char *key = http_header_joined(exchange, name, buffer, ACTION_KEY_MAX + 1);
    bool good = key != NULL && key[0] != '\0';
    for (size_t i = 0; good && key[i] != '\0'; i++)
        good = key[i] >= 0x20 && key[i] <= 0x7e;
    if (!good)
        return fault_set(fault, FAULT_MALFORMED,
                         "The Idempotency-Key must be 1 to %d printable ASCII characters.",
                         ACTION_KEY_MAX);
    *ret_key = key;
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing what nmictl reads. The first byte picks: 'u' the URL of nmid; 'o' an openrc's variables,
 * one NAME=value a line; 't' a token; any other an answer of a server that may be anybody's.
 * Nothing of it may reach the terminal but as visible text, and nothing of it may end in another
 * place of what is sent on. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "cli/answer.h"
#include "cli/client_url.h"
#include "cli/evidence.h"
#include "cli/header.h"
#include "cli/openrc.h"
#include "cli/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARIABLES 32

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Printable ASCII, or a part of UTF-8; a newline only where the printer itself makes one. */
static void check_visible(const char *text, size_t len, bool lines)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        require((c >= 0x20 && c != 0x7f) || (lines && c == '\n'));
        require(c != 0x1b && (c != 0xc2 || i + 1 == len || (unsigned char)text[i + 1] >= 0xa0));
    }
}

static void check_url(const char *text)
{
    struct client_url url = {0};
    struct fault fault = {0};
    int result = client_url_take(&url, text, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    if (result == 0) {
        require(url.base != NULL && url.shown != NULL);
        require(strncmp(url.base, "http", 4) == 0 || strncasecmp(url.base, "http", 4) == 0 ||
                strstr(url.base, "://") == NULL);
        require(url.socket == NULL || !url.exposed);
    }
    client_url_clear(&url);
}

/* ---- openrc ---- */

static struct {
    const char *name, *value;
} variables[VARIABLES];
static size_t variable_count;

static const char *get(const char *name)
{
    for (size_t i = 0; i < variable_count; i++) {
        if (strcmp(variables[i].name, name) == 0 && variables[i].value[0] != '\0')
            return variables[i].value;
    }
    return NULL;
}

static struct secret *get_secret(const char *name)
{
    const char *value = get(name);
    return value == NULL ? NULL : secret_new(value, strlen(value));
}

static const char *text_at(const json_t *body, const char *way, const char *in, const char *key)
{
    const json_t *at =
        json_object_get(json_object_get(json_object_get(body, "auth"), "identity"), way);
    return json_string_value(json_object_get(in == NULL ? at : json_object_get(at, in), key));
}

/* The body is JSON (unless a value is no UTF-8), and the secret stands where it belongs, whole. */
static void check_body(const struct openrc *openrc)
{
    struct secret *written = openrc_body(openrc);
    require(written != NULL && written->len == strlen((const char *)written->bytes));
    json_t *body =
        json_loadb((const char *)written->bytes, written->len, JSON_REJECT_DUPLICATES, NULL);
    json_t *plain = json_stringn((const char *)written->bytes, written->len);
    require((body == NULL) == (plain == NULL)); /* both, when it is no UTF-8 */
    if (body != NULL && openrc->application_credential)
        require(strcmp(text_at(body, "application_credential", NULL, "secret"),
                       (const char *)openrc->application_credential_secret->bytes) == 0);
    else if (body != NULL)
        require(strcmp(text_at(body, "password", "user", "password"),
                       (const char *)openrc->password->bytes) == 0);
    json_decref(plain);
    json_decref(body);
    secret_free(written);
}

static void check_openrc(char *text)
{
    struct openrc openrc;
    struct fault fault = {0};
    char described[300];
    variable_count = 0;
    for (char *rest = text, *line; variable_count < VARIABLES && (line = strsep(&rest, "\n"));) {
        variables[variable_count].name = strsep(&line, "=");
        variables[variable_count++].value = line == NULL ? "" : line;
    }
    struct secret *password = get_secret("OS_PASSWORD");
    struct secret *secret = get_secret("OS_APPLICATION_CREDENTIAL_SECRET");
    int result = openrc_read(get, password, secret, &openrc, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    if (result == 0) {
        require(strlen(openrc.auth_url) >= 3 &&
                strcmp(openrc.auth_url + strlen(openrc.auth_url) - 3, "/v3") == 0);
        openrc_describe(&openrc, described, sizeof described);
        check_body(&openrc);
    }
    secret_free(password);
    secret_free(secret);
}

static void check_token(const char *text, size_t len)
{
    struct fault fault = {0};
    struct secret *header = header_token(text, len, "it", &fault);
    require((header == NULL) == (fault.code == FAULT_USAGE));
    if (header != NULL)
        check_visible((const char *)header->bytes, header->len, false);
    secret_free(header);
}

/* ---- Answers ---- */

static void check_printed(void (*print)(const json_t *json, FILE *file), const json_t *json,
                          bool lines)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    require(file != NULL);
    print(json, file);
    require(fclose(file) == 0);
    check_visible(text, len, lines);
    free(text);
}

static void print_evidence(const json_t *json, FILE *file)
{
    evidence_print(json_object_get(json, "evidence"), "  ", file);
}

static void print_brief(const json_t *json, FILE *file)
{
    char text[200];
    evidence_brief(json_object_get(json, "evidence"), text, sizeof text);
    require(strlen(text) < sizeof text);
    text_put(file, text);
}

static void print_text(const json_t *json, FILE *file)
{
    text_put_padded(file, answer_text(json, "message"), 20);
}

static void print_json(const json_t *json, FILE *file)
{
    require(text_put_json(file, json) == 0);
}

static void check_answer(const char *text, size_t len, long status)
{
    struct client_answer answer = {.status = status};
    struct fault fault = {0};
    answer.body = json_loadb(text, len, 0, NULL);
    int result = answer_check(&answer, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    require(result < 0 || json_is_object(answer.body));
    if (result == 0) {
        const json_t *list = answer_list(answer.body, "actions", &fault);
        require((list == NULL) == (fault.code == FAULT_PROTOCOL));
        check_printed(print_evidence, answer.body, true);
        check_printed(print_brief, answer.body, false);
        check_printed(print_text, answer.body, false);
        check_printed(print_json, answer.body, true);
    }
    json_decref(answer.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = strndup((const char *)data + 1, size - 1);
    require(text != NULL);
    if (data[0] == 'u')
        check_url(text);
    else if (data[0] == 'o')
        check_openrc(text);
    else if (data[0] == 't')
        check_token((const char *)data + 1, size - 1);
    else
        check_answer((const char *)data + 1, size - 1, data[0] < 'm' ? 200 : 403);
    free(text);
    return 0;
}

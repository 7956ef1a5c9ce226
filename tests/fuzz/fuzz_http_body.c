/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing what contracts do with a body and with their headers' texts: JSON within bounds, its
 * fingerprint, how Python would print it, Nova's microversions, query strings. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "contracts/body.h"
#include "contracts/microversion.h"
#include "contracts/pyrepr.h"
#include "http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_utf8(const char *text)
{
    json_t *value = json_string(text);
    require(value != NULL);
    json_decref(value);
}

/* The same value, written another way, has the same fingerprint. */
static void check_fingerprint(const json_t *body)
{
    char *text = json_dumps(body, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    json_t *again = text == NULL ? NULL : body_parse(text, strlen(text), NULL);
    char *a = body_fingerprint(body), *b = again == NULL ? NULL : body_fingerprint(again);
    require(text != NULL && again != NULL && a != NULL && b != NULL && strcmp(a, b) == 0);
    require(strlen(a) <= 200);
    json_decref(again);
    free(text);
    free(a);
    free(b);
}

static void check_body(const uint8_t *data, size_t size)
{
    struct fault fault = {0};
    json_t *body = body_parse((const char *)data, size, &fault);
    require((body == NULL) == (fault.code == FAULT_MALFORMED));
    if (body == NULL)
        return;
    char text[64];
    check_utf8(pyrepr(body, 0, text, sizeof text));
    check_utf8(pyrepr(body, 1, text, sizeof text));
    require(strlen(text) < sizeof text);
    check_fingerprint(body);
    json_decref(body);
}

static void check_version(const char *standard, const char *legacy)
{
    struct microversion version;
    struct fault fault = {0};
    unsigned status = 0;
    int result = microversion_parse(standard, legacy, &version, &status, &fault);
    require((result == 0) == (fault.code == FAULT_NONE));
    require(result == 0 || status == 400 || status == 406);
    check_utf8(fault.message);
    if (result == 0)
        require(version.major == 2 && version.minor >= 1 && version.minor <= 93);
    require(strspn(version.text, "0123456789.") == strlen(version.text));
}

static void check_query(const char *query)
{
    struct http_argument *arguments = NULL;
    size_t count = 0;
    if (route_query(query, &arguments, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        check_utf8(arguments[i].name);
        check_utf8(arguments[i].value);
    }
    route_query_free(arguments, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    require(text != NULL);
    check_body(data, size);
    check_version(text, NULL);
    check_version(NULL, text);
    check_query(text);
    body_is_json(text);
    free(text);
    return 0;
}

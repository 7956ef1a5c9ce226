/* SPDX-License-Identifier: GPL-3.0-or-later */
/* URLs from callers. What is taken must be read in the same way when it is read again, and by
 * libcurl, which will ask it: else the allow-list would guard another host than the one asked. */
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/url.h"
#include "core/callback_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static char *part(CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, what, &text, flags) == CURLUE_OK ? text : NULL;
}

static void compare(const struct url *ours)
{
    CURLU *theirs = curl_url();
    char origin[URL_TEXT];
    require(curl_url_set(theirs, CURLUPART_URL, ours->text, CURLU_PATH_AS_IS) == CURLUE_OK);
    char *scheme = part(theirs, CURLUPART_SCHEME, 0), *host = part(theirs, CURLUPART_HOST, 0);
    char *port = part(theirs, CURLUPART_PORT, 0), *path = part(theirs, CURLUPART_PATH, 0);
    char *query = part(theirs, CURLUPART_QUERY, 0);
    require(part(theirs, CURLUPART_USER, 0) == NULL);
    require(part(theirs, CURLUPART_FRAGMENT, 0) == NULL);
    snprintf(origin, sizeof origin, "%s://%s%s%s", scheme, host, port == NULL ? "" : ":",
             port == NULL ? "" : port);
    require(strlen(origin) == ours->origin_len);
    require(strncmp(ours->text, origin, ours->origin_len) == 0);
    require(strncmp(ours->text + ours->origin_len, path, strlen(path)) == 0);
    require(query == NULL || strstr(ours->text, query) != NULL);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(theirs);
}

/* What a caller may name is on the host, and below the path, that the list has: as libcurl sees it.
 */
static void check_allowed(const char *text)
{
    static char prefix[] = "https://hooks.example/nmi", *allow[] = {prefix};
    static const struct conf_callback conf = {.allow = allow, .allow_count = 1};
    const struct callbacks callbacks = {.conf = &conf};
    struct fault fault = {0};
    if (callbacks_check_url(&callbacks, text, &fault) < 0) {
        require(fault.code == FAULT_MALFORMED || fault.code == FAULT_FORBIDDEN);
        return;
    }
    CURLU *theirs = curl_url();
    require(curl_url_set(theirs, CURLUPART_URL, text, 0) == CURLUE_OK);
    char *scheme = part(theirs, CURLUPART_SCHEME, 0), *host = part(theirs, CURLUPART_HOST, 0);
    char *port = part(theirs, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *path = part(theirs, CURLUPART_PATH, 0);
    require(strcmp(scheme, "https") == 0 && strcasecmp(host, "hooks.example") == 0);
    require(strcmp(port, "443") == 0 && part(theirs, CURLUPART_USER, 0) == NULL);
    require(strcmp(path, "/nmi") == 0 || strncmp(path, "/nmi/", 5) == 0);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_url_cleanup(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct url url, again;
    struct fault fault = {0};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (url_parse(text, &url, &fault) == 0) {
        require(url_parse(url.text, &again, NULL) == 0);
        require(strcmp(url.text, again.text) == 0 && url.origin_len == again.origin_len);
        require(url_below(&url, &url));
        compare(&url);
    } else {
        require(fault.code == FAULT_MALFORMED && fault.message[0] != '\0');
    }
    check_allowed(text);
    free(text);
    return 0;
}

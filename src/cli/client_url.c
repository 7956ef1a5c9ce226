/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/url.h"

/* Takes what the user gave apart. Credentials in a URL would be seen by everyone who runs ps. */
static int url_check(const char *url, bool *ret_encrypted, struct fault *fault)
{
    static const struct {
        CURLUPart part;
        const char *what;
    } refused[] = {{CURLUPART_USER, "a user name"},
                   {CURLUPART_PASSWORD, "a password"},
                   {CURLUPART_QUERY, "a query"},
                   {CURLUPART_FRAGMENT, "a fragment"}};
    int rc = 0;
    char *text = NULL;
    CURLU *parts = curl_url();
    if (parts == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    CURLUcode bad = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (bad != CURLUE_OK || curl_url_get(parts, CURLUPART_SCHEME, &text, 0) != CURLUE_OK ||
        (strcmp(text, "http") != 0 && strcmp(text, "https") != 0))
        rc = fault_set(fault, FAULT_USAGE,
                       "'%s' is no URL of nmid: https://HOST:PORT, http://HOST:PORT or unix:PATH",
                       url);
    *ret_encrypted = rc == 0 && strcmp(text, "https") == 0;
    curl_free(text);
    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof refused[0]; i++) {
        if (curl_url_get(parts, refused[i].part, &text, 0) != CURLUE_OK)
            continue;
        curl_free(text);
        rc = fault_set(fault, FAULT_USAGE, "the URL of nmid must not have %s in it",
                       refused[i].what);
    }
    curl_url_cleanup(parts);
    return rc;
}

int client_url_take(struct client_url *ret_url, const char *url, struct fault *fault)
{
    struct url parts;
    if (strncmp(url, "unix:", 5) == 0) {
        size_t length = strlen(url + 5);
        if (length == 0 || length >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return fault_set(fault, FAULT_USAGE, "the path of a unix: URL has 1 to %zu bytes",
                             sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
        struct stat found;
        if (stat(url + 5, &found) == 0 && !S_ISSOCK(found.st_mode))
            return fault_set(fault, FAULT_USAGE, "%s is not a socket", url + 5);
        ret_url->socket = strdup(url + 5);
        ret_url->base = strdup("http://localhost");
    } else {
        if (url_check(url, &ret_url->encrypted, fault) < 0)
            return -1;
        size_t length = strlen(url);
        while (length > 0 && url[length - 1] == '/')
            length--;
        ret_url->base = strndup(url, length);
        /* What url_parse() is too strict for is taken for the worst. */
        ret_url->exposed =
            url_parse(url, &parts, NULL) < 0 || (!parts.encrypted && !url_is_loopback(&parts));
    }
    ret_url->shown = strdup(url);
    if (ret_url->base == NULL || ret_url->shown == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    return 0;
}

/* What keeps this user out, the socket or the directory that it is in: *ret_open_to_group says
 * whether its group is let in. -1: it is something else. */
static int barrier_stat(const char *path, struct stat *ret_found, bool *ret_open_to_group)
{
    char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
    mode_t enough = S_IWGRP;
    if (stat(path, ret_found) < 0) {
        snprintf(folder, sizeof folder, "%s", path);
        if (errno != EACCES || stat(dirname(folder), ret_found) < 0)
            return -1;
        enough = S_IXGRP;
    }
    /* Nobody should join root's group for this. */
    *ret_open_to_group = ret_found->st_gid != 0 && (ret_found->st_mode & enough) != 0;
    return 0;
}

const char *client_url_explain(const struct client_url *url, int error, char *text, size_t size)
{
    struct stat found;
    bool open_to_group = false;
    snprintf(text, size, "%s", strerror(error));
    if (error != EACCES || url->socket == NULL ||
        barrier_stat(url->socket, &found, &open_to_group) < 0)
        return text;
    const struct group *group = open_to_group ? getgrgid(found.st_gid) : NULL;
    if (group != NULL)
        snprintf(text, size,
                 "%s: it is open to its owner and the group '%.64s' (adduser USER %.64s, and log "
                 "in anew)",
                 strerror(error), group->gr_name, group->gr_name);
    else
        snprintf(text, size, "%s: it is open to its owner and root alone", strerror(error));
    return text;
}

void client_url_clear(struct client_url *url)
{
    free(url->shown);
    free(url->base);
    free(url->socket);
}

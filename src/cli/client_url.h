/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where nmid listens, as the user gives it: http://, https:// (with a path, if any) or unix:PATH.
 */
#ifndef NMID_CLI_CLIENT_URL_H
#define NMID_CLI_CLIENT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"

struct client_url {
    char *shown;    /* as the user gave it */
    char *base;     /* what a path is appended to */
    char *socket;   /* of unix:PATH, or NULL */
    bool encrypted; /* https: */
    bool exposed;   /* what is sent there could be read on the way */
};

/* -1: FAULT_USAGE for a URL that cannot be, FAULT_MEMORY. Clear it in either case. */
int client_url_take(struct client_url *url, const char *text, struct fault *fault);

/* What a refused connection means, in text; for a socket that is not this user's with how to get
 * in. Returns text. */
const char *client_url_explain(const struct client_url *url, int error, char *text, size_t size);

void client_url_clear(struct client_url *url);

#endif

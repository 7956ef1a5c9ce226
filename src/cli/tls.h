/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS to nmid: whom nmictl trusts (the system's CAs, or those of --cacert alone), the certificate
 * that it shows (--cert, --key), and what a failure means. There is no way to do without
 * verification: who can answer in nmid's place can say "delivered". */
#ifndef NMID_CLI_TLS_H
#define NMID_CLI_TLS_H

#include <curl/curl.h>
#include "base/fault.h"
#include "cli/client_url.h"

/* Paths, borrowed from argv and the environment; NULL: not given. */
struct tls_options {
    const char *ca;          /* PEM: a file, or a directory of them */
    const char *certificate; /* PEM: the client's own first */
    const char *key;         /* PEM; complete: NULL only without a certificate */
};

/* Adds what stands in the environment, and checks the files. For a URL that is not https: options
 * are a mistake, and the environment's are left out. -1: FAULT_USAGE. */
int tls_complete(struct tls_options *options, const struct client_url *url, struct fault *fault);

/* Sets all of it for one request. */
CURLcode tls_apply(const struct tls_options *options, CURL *easy);

/* Why there is no TLS connection, or why it ended; words: libcurl's. answered: this nmid has
 * answered something before, so it is not for a certificate that a connection ends. away: it ended
 * without a word. False: TLS had no part in it. */
bool tls_explain(const struct tls_options *options, const struct client_url *url, CURL *easy,
                 CURLcode rc, bool answered, bool away, const char *words, struct fault *fault);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the HTTP client (client.c) trusts, and what it says of a peer that it does not. */
#ifndef NMID_LOOP_CLIENT_TLS_H
#define NMID_LOOP_CLIENT_TLS_H

#include <curl/curl.h>
#include "loop/client.h"

/* Before curl_global_init(): takes out of the environment what would have GnuTLS write the keys of
 * each session to a file. Nothing there says whom to trust: libcurl on GnuTLS reads neither
 * SSL_CERT_FILE nor SSL_CERT_DIR (test_outgoing_tls.py). */
void client_tls_begin(void);

/* TLS 1.2 and later; the peer must have a certificate for its name, of a CA of the system's or of
 * ca_file alone; or, when the request is insecure, any. */
CURLcode client_tls_set(CURL *easy, const struct client_request *request);

/* Writes what was wrong with the peer's certificate. False: that was not it, or libcurl's own words
 * say it. */
bool client_tls_explain(CURL *easy, CURLcode code, char *why, size_t size);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "loop/client_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/verify.h"

void client_tls_begin(void)
{
    unsetenv("SSLKEYLOGFILE");
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if ((code = curl_easy_setopt(easy, option, value)) != CURLE_OK)                            \
            return code;                                                                           \
    } while (0)

CURLcode client_tls_set(CURL *easy, const struct client_request *request)
{
    CURLcode code;
    SET(CURLOPT_SSL_VERIFYPEER, request->insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, request->insecure ? 0L : 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_file != NULL) {
        SET(CURLOPT_CAINFO, request->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    return CURLE_OK;
}

#undef SET

bool client_tls_explain(CURL *easy, CURLcode code, char *why, size_t size)
{
    long result = 0;
    if (code != CURLE_PEER_FAILED_VERIFICATION ||
        curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result) != CURLE_OK)
        return false;
    const char *what = verify_explain(curl_version_info(CURLVERSION_NOW)->ssl_version, result);
    if (what == NULL)
        return false;
    snprintf(why, size, "its certificate %s", what);
    return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a TLS peer's certificate was refused, for people. */
#ifndef NMID_BASE_VERIFY_H
#define NMID_BASE_VERIFY_H

/* What is wrong with the certificate, as the end of a sentence that begins with it ("has expired"),
 * from what CURLINFO_SSL_VERIFYRESULT gives: with a libcurl on GnuTLS (`library` is
 * curl_version_info()'s ssl_version) the bits of gnutls_certificate_verify_peers2(). NULL: it does
 * not say. */
const char *verify_explain(const char *library, long result);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A certificate's subject as text (RFC 4514), in one form: so that what a person copies from
 * openssl, from nmid's own log or from a directory is the same as what TLS finds in the
 * certificate, by strcmp(). */
#ifndef NMID_CORE_SUBJECT_H
#define NMID_CORE_SUBJECT_H

#include <stdbool.h>
#include "base/fault.h"

#define SUBJECT_MAX 1024 /* with its end */

/* Rewrites a subject in its one form: "CN=a\, b,OU=ops+UID=7,O=example". The order of its parts
 * counts, and so does the case of values.
 *
 * Types are read by their names in RFC 4514, in OpenSSL and in GnuTLS, whatever their case, or as
 * dotted OIDs, and written by one name (or the OID, where none is known). Values may have the
 * escapes of RFC 4514 and the quotes of RFC 2253, and are written with "\" before , + " \ < > ;
 * and, at an end, # and blanks; "#hex" is written as text where it is the DER of a plain string,
 * else kept in small letters. The values of one part ("a=1+b=2") are sorted. Blanks around , + =
 * are left out.
 *
 * -1 with FAULT_CONF, which says what was expected and does not repeat the text: what is no
 * subject; what is longer; what is no UTF-8, or has control characters, for it goes into the log,
 * answers and the audit. */
int subject_normalise(const char *text, char subject[SUBJECT_MAX], struct fault *fault);

/* Of a subject in that form: does it look as if its most general part stood first ("C=DE,O=example,
 * CN=bob"), as openssl prints it without -nameopt RFC2253? */
bool subject_looks_turned(const char *subject);

#endif

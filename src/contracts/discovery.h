/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /: the one document in which the clients of Nova and of Ironic find their versions; and the
 * words of both for one version. Everybody may read it. */
#ifndef NMID_CONTRACTS_DISCOVERY_H
#define NMID_CONTRACTS_DISCOVERY_H

#include "http/exchange.h"

/* For http_server_mount(), with NULL: it owns the path "/" alone. */
extern const struct http_contract discovery_contract;

/* A version as Nova lists it. href: where it is, seen from the document; a client joins it to the
 * URL that it asked, and so keeps a scheme, a host and a prefix that only a proxy before nmid
 * knows. A new reference, or NULL when memory is out. */
json_t *discovery_nova(const char *href);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The header lines of a request, as libcurl borrows them. They hold tokens and passwords: so they
 * are in the memory of secrets, where curl_slist_append() would put them on the heap. Of
 * loop/client.c only. */
#ifndef NMID_LOOP_CLIENT_HEADERS_H
#define NMID_LOOP_CLIENT_HEADERS_H

#include <curl/curl.h>

/* Puts a line before the others; value "" is an empty one, and with NULL libcurl leaves out the
 * header that it would send by itself. -1 when memory is out: the list is as it was. */
int client_headers_add(struct curl_slist **list, const char *name, const char *value);

/* Authorization: Basic (RFC 7617), for which libcurl would keep copies of its own. */
int client_headers_add_basic(struct curl_slist **list, const char *user, const char *password);

/* Wipes and frees all of them; NULL is allowed. */
void client_headers_free(struct curl_slist *list);

#endif

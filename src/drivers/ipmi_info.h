/* SPDX-License-Identifier: GPL-3.0-or-later */
/* driver_info of the ipmi driver: how one BMC is reached. Ironic's key names (ipmi_*), as in
 * nmid.conf(5). Knows nothing of libfreeipmi. */
#ifndef NMID_DRIVERS_IPMI_INFO_H
#define NMID_DRIVERS_IPMI_INFO_H

#include <jansson.h>
#include <stdbool.h>
#include "base/report.h"
#include "base/secret.h"
#include "core/info.h"

#define IPMI_USERNAME_MAX     16
#define IPMI_PASSWORD_MAX_1_5 16
#define IPMI_PASSWORD_MAX_2_0 20
#define IPMI_KG_LEN           20
#define IPMI_SUITES_MAX       2

enum ipmi_privilege { IPMI_PRIVILEGE_OPERATOR = 3, IPMI_PRIVILEGE_ADMINISTRATOR = 4 };

/* FreeIPMI's workaround flags, by its names; see WORKAROUNDS in ipmipower(8). */
enum ipmi_workaround {
    IPMI_WORKAROUND_AUTHCAP = 1u << 0,
    IPMI_WORKAROUND_NOCHECKSUMCHECK = 1u << 1,
    IPMI_WORKAROUND_IDZERO = 1u << 2,
    IPMI_WORKAROUND_UNEXPECTEDAUTH = 1u << 3,
    IPMI_WORKAROUND_FORCEPERMSG = 1u << 4,
    IPMI_WORKAROUND_ENDIANSEQ = 1u << 5,
    IPMI_WORKAROUND_NOAUTHCODECHECK = 1u << 6,
    IPMI_WORKAROUND_INTEL20 = 1u << 7,
    IPMI_WORKAROUND_SUPERMICRO20 = 1u << 8,
    IPMI_WORKAROUND_SUN20 = 1u << 9, /* comes with OPENSESSPRIV set */
    IPMI_WORKAROUND_OPENSESSPRIV = 1u << 10,
    IPMI_WORKAROUND_INTEGRITYCHECKVALUE = 1u << 11
};

struct ipmi_info {
    char *address; /* numeric IPv4 or IPv6 in inet_ntop()'s form, or a host name in lower case */
    unsigned port;
    char *username;                   /* "" is the null user */
    struct secret *password;          /* or NULL */
    struct secret *k_g;               /* IPMI_KG_LEN bytes, or NULL */
    unsigned char privilege;          /* enum ipmi_privilege */
    unsigned suites[IPMI_SUITES_MAX]; /* cipher suites in the order to try; none for IPMI 1.5 */
    unsigned suite_count;
    bool ipmi_1_5;
    bool plain_password;  /* 1.5: without MD5 and MD2, too */
    unsigned workarounds; /* enum ipmi_workaround, or-ed */
};

/* For struct driver. The target is "ADDRESS:PORT", IPv6 in brackets. */
int ipmi_info_parse(struct info *info, void **ret_info, char **ret_target, struct report *report);
void ipmi_info_free(void *ipmi_info); /* NULL-safe */
json_t *ipmi_info_json(const void *ipmi_info);

/* The name of one workaround bit, or NULL. */
const char *ipmi_workaround_name(unsigned workaround);

#endif

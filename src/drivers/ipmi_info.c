/* SPDX-License-Identifier: GPL-3.0-or-later */
/* driver_info of the ipmi driver. The keys are those of Ironic's ipmitool driver; what concerns no
 * NMI is taken and ignored, what would change the way to the BMC and is not there is refused. The
 * lengths are IPMI v2.0's (22.26 to 22.30). */
#include "drivers/ipmi_info.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX        253
#define PORT_DEFAULT    623
#define WORKAROUNDS_MAX 256

/* Ironic's keys for a node with this driver that do not concern an NMI. */
static const char *const ignored_keys[] = {
    "agent_verify_ca",
    "bootloader",
    "cleaning_network",
    "console_port",
    "deploy_forces_oob_reboot",
    "deploy_iso",
    "deploy_kernel",
    "deploy_ramdisk",
    "force_persistent_boot_device",
    "image_download_source",
    "inspection_network",
    "ipmi_disable_boot_timeout",
    "ipmi_force_boot_device",
    "ipmi_local_address",
    "ipmi_target_address",
    "ipmi_target_channel",
    "ipmi_terminal_port",
    "ipmi_transit_address",
    "ipmi_transit_channel",
    "kernel_append_params",
    "provisioning_network",
    "ramdisk_kernel_arguments",
    "rescue_kernel",
    "rescue_ramdisk",
    "rescuing_network",
    NULL,
};

/* FreeIPMI's names, in the order of the bits. */
static const char *const workaround_names[] = {
    "authcap",      "nochecksumcheck", "idzero",          "unexpectedauth",
    "forcepermsg",  "endianseq",       "noauthcodecheck", "intel20",
    "supermicro20", "sun20",           "opensesspriv",    "integritycheckvalue",
};
#define WORKAROUND_COUNT (sizeof workaround_names / sizeof workaround_names[0])

const char *ipmi_workaround_name(unsigned workaround)
{
    for (unsigned i = 0; i < WORKAROUND_COUNT; i++) {
        if (workaround == 1u << i)
            return workaround_names[i];
    }
    return NULL;
}

/* A host name in lower case without its last dot, or NULL. Letters, digits, hyphens (and the
 * underscore that some sites use) in labels of 1 to 63; the last label is no number, so that a
 * mistyped IPv4 address is not looked up. */
static char *host_name(const char *text)
{
    char name[HOST_MAX + 2];
    size_t len = strlen(text), label = 0;
    bool number = true;
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > HOST_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '.' && (label == 0 || text[i - 1] == '-'))
            return NULL;
        if (c != '.' && (c > '~' || (!isalnum(c) && c != '_' && (c != '-' || label == 0))))
            return NULL;
        number = c == '.' || ((label == 0 || number) && isdigit(c));
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return NULL;
        name[i] = (char)tolower(c);
    }
    name[len] = '\0';
    /* "10.0.0.0x1" is a number too, for getaddrinfo(): a second name of a BMC that nobody sees. */
    struct in_addr old_form;
    number = number || inet_aton(name, &old_form) != 0;
    return label == 0 || number || name[len - 1] == '-' ? NULL : strdup(name);
}

/* An address in its one form, so that two spellings of one BMC are seen. */
static char *address_copy(const char *text, bool *ret_v6)
{
    struct in_addr v4;
    struct in6_addr v6;
    char numeric[INET6_ADDRSTRLEN];
    *ret_v6 = false;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        inet_ntop(AF_INET, &v4, numeric, sizeof numeric);
        return strdup(numeric);
    }
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return host_name(text);
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, &v6.s6_addr[12], numeric, sizeof numeric);
    } else {
        inet_ntop(AF_INET6, &v6, numeric, sizeof numeric);
        *ret_v6 = true;
    }
    return strdup(numeric);
}

static int take_address(struct info *info, struct ipmi_info *ipmi, char **ret_target,
                        struct report *report)
{
    char *text, *target;
    bool v6;
    long long port = PORT_DEFAULT;
    int port_got = info_take_integer(info, "ipmi_port", 1, 65535, &port, report);
    int got = info_take_string(info, "ipmi_address", HOST_MAX + 1, &text, report);
    if (got == 0)
        return info_complain(info, "ipmi_address", report,
                             "missing: expected the BMC's address or host name");
    if (got < 0)
        return -1;
    ipmi->port = (unsigned)port;
    ipmi->address = address_copy(text, &v6);
    free(text);
    if (ipmi->address == NULL)
        return info_complain(info, "ipmi_address", report,
                             "expected an IPv4 address, an IPv6 address or a host name");
    if (asprintf(&target, v6 ? "[%s]:%u" : "%s:%u", ipmi->address, ipmi->port) < 0)
        return info_complain(info, "ipmi_address", report, "out of memory");
    *ret_target = target;
    return port_got < 0 ? -1 : 0;
}

static int take_version(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    char *text;
    int got = info_take_string(info, "ipmi_protocol_version", 16, &text, report);
    if (got <= 0)
        return got;
    ipmi->ipmi_1_5 = strcmp(text, "1.5") == 0;
    bool good = ipmi->ipmi_1_5 || strcmp(text, "2.0") == 0;
    free(text);
    if (!good)
        return info_complain(info, "ipmi_protocol_version", report, "expected \"2.0\" or \"1.5\"");
    return 0;
}

static int take_plain_password(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    if (info_take_boolean(info, "ipmi_plain_password", &ipmi->plain_password, report) < 0)
        return -1;
    if (ipmi->plain_password && !ipmi->ipmi_1_5)
        return info_complain(info, "ipmi_plain_password", report,
                             "IPMI 2.0 sends no password: only with ipmi_protocol_version \"1.5\"");
    return 0;
}

static int take_user(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    size_t max = ipmi->ipmi_1_5 ? IPMI_PASSWORD_MAX_1_5 : IPMI_PASSWORD_MAX_2_0;
    int got = info_take_string(info, "ipmi_username", IPMI_USERNAME_MAX, &ipmi->username, report);
    int result = got < 0 ? -1 : 0;
    if (got == 0 && (ipmi->username = strdup("")) == NULL)
        result = info_complain(info, "ipmi_username", report, "out of memory");
    for (const char *p = got > 0 ? ipmi->username : ""; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            result =
                info_complain(info, "ipmi_username", report, "expected printable ASCII characters");
            break;
        }
    }
    if (info_take_secret(info, "ipmi_password", max, &ipmi->password, report) < 0)
        result = -1;
    return result;
}

static int hex_value(unsigned char c)
{
    if (isdigit(c))
        return c - '0';
    return isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* K_g is only for IPMI 2.0; a key that silently protects nothing is an error. */
static int take_k_g(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    unsigned char key[IPMI_KG_LEN];
    struct secret *hex;
    int got = info_take_secret(info, "ipmi_hex_kg_key", 2 * IPMI_KG_LEN, &hex, report);
    if (got <= 0)
        return got;
    bool good = hex->len == 2 * IPMI_KG_LEN;
    for (size_t i = 0; good && i < IPMI_KG_LEN; i++) {
        int high = hex_value(hex->bytes[2 * i]), low = hex_value(hex->bytes[2 * i + 1]);
        good = high >= 0 && low >= 0;
        key[i] = (unsigned char)(((unsigned)high & 15u) << 4 | ((unsigned)low & 15u));
    }
    secret_free(hex);
    if (good)
        ipmi->k_g = secret_new(key, sizeof key);
    secret_wipe(key, sizeof key);
    if (!good)
        return info_complain(info, "ipmi_hex_kg_key", report, "expected 40 hexadecimal digits");
    if (ipmi->k_g == NULL)
        return info_complain(info, "ipmi_hex_kg_key", report, "out of memory");
    if (ipmi->ipmi_1_5)
        return info_complain(info, "ipmi_hex_kg_key", report, "IPMI 1.5 has no K_g");
    return 0;
}

static int take_privilege(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    char *text;
    int got = info_take_string(info, "ipmi_priv_level", 32, &text, report);
    ipmi->privilege = IPMI_PRIVILEGE_OPERATOR;
    if (got <= 0)
        return got;
    bool little = strcmp(text, "USER") == 0 || strcmp(text, "CALLBACK") == 0;
    bool good = strcmp(text, "OPERATOR") == 0 || strcmp(text, "ADMINISTRATOR") == 0;
    if (strcmp(text, "ADMINISTRATOR") == 0)
        ipmi->privilege = IPMI_PRIVILEGE_ADMINISTRATOR;
    free(text);
    if (little)
        return info_complain(info, "ipmi_priv_level", report,
                             "may not send chassis control: expected OPERATOR or ADMINISTRATOR");
    if (!good)
        return info_complain(info, "ipmi_priv_level", report, "expected OPERATOR or ADMINISTRATOR");
    return 0;
}

static int take_suite(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    long long suite;
    int got = info_take_integer(info, "ipmi_cipher_suite", 0, 255, &suite, report);
    if (got < 0)
        return -1;
    if (got == 0) {
        ipmi->suites[0] = 17;
        ipmi->suites[1] = 3;
        ipmi->suite_count = ipmi->ipmi_1_5 ? 0 : 2;
        return 0;
    }
    if (suite != 3 && suite != 17)
        return info_complain(info, "ipmi_cipher_suite", report, "expected 3 or 17");
    if (ipmi->ipmi_1_5)
        return info_complain(info, "ipmi_cipher_suite", report, "IPMI 1.5 has no cipher suites");
    ipmi->suites[0] = (unsigned)suite;
    ipmi->suite_count = 1;
    return 0;
}

static int complain_workarounds(const struct info *info, struct report *report)
{
    char names[256] = "";
    for (size_t i = 0, len = 0; i < WORKAROUND_COUNT; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i == 0 ? "" : ", ",
                                workaround_names[i]);
    return info_complain(info, "ipmi_workarounds", report,
                         "expected \"none\" or names of this list, separated by commas: %s", names);
}

/* The bit of one name; 0 when it is unknown. */
static unsigned workaround_bit(const char *name)
{
    for (unsigned i = 0; i < WORKAROUND_COUNT; i++) {
        if (strcmp(workaround_names[i], name) == 0)
            return 1u << i;
    }
    return 0;
}

static int take_workarounds(struct info *info, struct ipmi_info *ipmi, struct report *report)
{
    char *text, *rest = NULL;
    bool good = true;
    int got = info_take_string(info, "ipmi_workarounds", WORKAROUNDS_MAX, &text, report);
    if (got <= 0)
        return got;
    if (strcmp(text, "none") != 0) {
        for (char *name = strtok_r(text, ", ", &rest); name != NULL;
             name = strtok_r(NULL, ", ", &rest)) {
            unsigned bit = workaround_bit(name);
            good = good && bit != 0;
            ipmi->workarounds |= bit;
        }
    }
    free(text);
    if ((ipmi->workarounds & IPMI_WORKAROUND_SUN20) != 0)
        ipmi->workarounds |= IPMI_WORKAROUND_OPENSESSPRIV;
    return good ? 0 : complain_workarounds(info, report);
}

static int take_bridging(struct info *info, struct report *report)
{
    char *text;
    int got = info_take_string(info, "ipmi_bridging", 16, &text, report);
    if (got <= 0)
        return got;
    bool none = strcmp(text, "no") == 0;
    free(text);
    if (!none)
        return info_complain(info, "ipmi_bridging", report,
                             "bridging is not supported in this version: expected \"no\"");
    return 0;
}

int ipmi_info_parse(struct info *info, void **ret_info, char **ret_target, struct report *report)
{
    struct ipmi_info *ipmi = calloc(1, sizeof *ipmi);
    char *target = NULL;
    if (ipmi == NULL)
        return info_complain(info, "driver_info", report, "out of memory");
    int wrong = take_version(info, ipmi, report); /* first: it decides on lengths */
    wrong |= take_address(info, ipmi, &target, report);
    wrong |= take_plain_password(info, ipmi, report);
    wrong |= take_user(info, ipmi, report);
    wrong |= take_k_g(info, ipmi, report);
    wrong |= take_privilege(info, ipmi, report);
    wrong |= take_suite(info, ipmi, report);
    wrong |= take_workarounds(info, ipmi, report);
    wrong |= take_bridging(info, report);
    for (const char *const *key = ignored_keys; *key != NULL; key++)
        info_skip(info, *key);
    if (wrong != 0) {
        ipmi_info_free(ipmi);
        free(target);
        return -1;
    }
    *ret_info = ipmi;
    *ret_target = target;
    return 0;
}

void ipmi_info_free(void *ipmi_info)
{
    struct ipmi_info *ipmi = ipmi_info;
    if (ipmi == NULL)
        return;
    secret_free(ipmi->password);
    secret_free(ipmi->k_g);
    free(ipmi->username);
    free(ipmi->address);
    free(ipmi);
}

static json_t *workarounds_json(unsigned workarounds)
{
    char text[WORKAROUNDS_MAX] = "";
    size_t len = 0;
    for (unsigned i = 0; i < WORKAROUND_COUNT; i++) {
        if ((workarounds & 1u << i) != 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len == 0 ? "" : ",",
                                    workaround_names[i]);
    }
    return json_string(text);
}

json_t *ipmi_info_json(const void *ipmi_info)
{
    const struct ipmi_info *ipmi = ipmi_info;
    json_t *json = json_object();
    int wrong = json_object_set_new(json, "ipmi_address", json_string(ipmi->address));
    wrong |= json_object_set_new(json, "ipmi_port", json_integer(ipmi->port));
    wrong |= json_object_set_new(json, "ipmi_username", json_string(ipmi->username));
    if (ipmi->password != NULL)
        wrong |= json_object_set_new(json, "ipmi_password", json_string("******"));
    if (ipmi->k_g != NULL)
        wrong |= json_object_set_new(json, "ipmi_hex_kg_key", json_string("******"));
    wrong |= json_object_set_new(json, "ipmi_priv_level",
                                 json_string(ipmi->privilege == IPMI_PRIVILEGE_ADMINISTRATOR
                                                 ? "ADMINISTRATOR"
                                                 : "OPERATOR"));
    wrong |= json_object_set_new(json, "ipmi_protocol_version",
                                 json_string(ipmi->ipmi_1_5 ? "1.5" : "2.0"));
    if (ipmi->plain_password)
        wrong |= json_object_set_new(json, "ipmi_plain_password", json_true());
    if (ipmi->suite_count == 1)
        wrong |= json_object_set_new(json, "ipmi_cipher_suite", json_integer(ipmi->suites[0]));
    if (ipmi->workarounds != 0)
        wrong |= json_object_set_new(json, "ipmi_workarounds", workarounds_json(ipmi->workarounds));
    if (wrong == 0)
        return json;
    json_decref(json);
    return NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* driver_info of the ipmi driver: defaults, each key, what is refused and what is ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/ipmi_info.h"

#define KG_HEX "000102030405060708090a0B0C0D0E0F10111213"

struct fixture {
    struct info *info;
    unsigned line;
    struct report report;
    struct ipmi_info *ipmi;
    char *target;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->info = info_new("nmid.conf", 1);
    f->line = 1;
    *state = f;
    return 0;
}

static void clear(struct fixture *f)
{
    info_free(f->info);
    ipmi_info_free(f->ipmi);
    free(f->target);
    report_clear(&f->report);
    f->ipmi = NULL;
    f->target = NULL;
    f->info = info_new("nmid.conf", 1);
    f->line = 1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    clear(f);
    info_free(f->info);
    free(f);
    return 0;
}

static void add(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(info_add_string(f->info, key, value, ++f->line), 0);
}

static int parse(struct fixture *f)
{
    void *ipmi = NULL;
    int result = ipmi_info_parse(f->info, &ipmi, &f->target, &f->report);
    info_report_unknown(f->info, &f->report);
    f->ipmi = ipmi;
    assert_int_equal(result == 0, ipmi != NULL);
    assert_int_equal(result == 0, f->target != NULL);
    return result;
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    add(f, "ipmi_address", "10.0.0.1");
    assert_int_equal(parse(f), 0);
    assert_int_equal(f->report.count, 0);
    assert_string_equal(f->target, "10.0.0.1:623");
    assert_string_equal(f->ipmi->address, "10.0.0.1");
    assert_int_equal(f->ipmi->port, 623);
    assert_string_equal(f->ipmi->username, "");
    assert_null(f->ipmi->password);
    assert_null(f->ipmi->k_g);
    assert_int_equal(f->ipmi->privilege, IPMI_PRIVILEGE_OPERATOR);
    assert_int_equal(f->ipmi->suite_count, 2);
    assert_int_equal(f->ipmi->suites[0], 17);
    assert_int_equal(f->ipmi->suites[1], 3);
    assert_false(f->ipmi->ipmi_1_5);
    assert_int_equal(f->ipmi->workarounds, 0);
}

static void test_every_key(void **state)
{
    struct fixture *f = *state;
    add(f, "ipmi_address", "bmc");
    add(f, "ipmi_port", "6230");
    add(f, "ipmi_username", "sixteen-bytes-ab");
    add(f, "ipmi_password", "twenty-bytes-abcdefg");
    add(f, "ipmi_hex_kg_key", KG_HEX);
    add(f, "ipmi_priv_level", "ADMINISTRATOR");
    add(f, "ipmi_cipher_suite", "3");
    add(f, "ipmi_protocol_version", "2.0");
    add(f, "ipmi_workarounds", "sun20, authcap,endianseq");
    add(f, "ipmi_bridging", "no");
    assert_int_equal(parse(f), 0);
    assert_string_equal(f->target, "bmc:6230");
    assert_string_equal(f->ipmi->username, "sixteen-bytes-ab");
    assert_string_equal((char *)f->ipmi->password->bytes, "twenty-bytes-abcdefg");
    assert_int_equal(f->ipmi->k_g->len, IPMI_KG_LEN);
    for (unsigned i = 0; i < IPMI_KG_LEN; i++)
        assert_int_equal(f->ipmi->k_g->bytes[i], i);
    assert_int_equal(f->ipmi->privilege, IPMI_PRIVILEGE_ADMINISTRATOR);
    assert_int_equal(f->ipmi->suite_count, 1);
    assert_int_equal(f->ipmi->suites[0], 3);
    assert_int_equal(f->ipmi->workarounds, IPMI_WORKAROUND_SUN20 | IPMI_WORKAROUND_OPENSESSPRIV |
                                               IPMI_WORKAROUND_AUTHCAP | IPMI_WORKAROUND_ENDIANSEQ);

    json_t *json = ipmi_info_json(f->ipmi);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(
        text, "{\"ipmi_address\":\"bmc\",\"ipmi_cipher_suite\":3,\"ipmi_hex_kg_key\":\"******\","
              "\"ipmi_password\":\"******\",\"ipmi_port\":6230,"
              "\"ipmi_priv_level\":\"ADMINISTRATOR\",\"ipmi_protocol_version\":\"2.0\","
              "\"ipmi_username\":\"sixteen-bytes-ab\","
              "\"ipmi_workarounds\":\"authcap,endianseq,sun20,opensesspriv\"}");
    free(text);
    json_decref(json);
}

static void test_ipmi_1_5(void **state)
{
    struct fixture *f = *state;
    add(f, "ipmi_address", "bmc");
    add(f, "ipmi_protocol_version", "1.5");
    add(f, "ipmi_password", "sixteen-bytes-ab");
    assert_int_equal(parse(f), 0);
    assert_true(f->ipmi->ipmi_1_5);
    assert_int_equal(f->ipmi->suite_count, 0);
    json_t *json = ipmi_info_json(f->ipmi);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text,
                        "{\"ipmi_address\":\"bmc\",\"ipmi_password\":\"******\",\"ipmi_port\":623,"
                        "\"ipmi_priv_level\":\"OPERATOR\",\"ipmi_protocol_version\":\"1.5\","
                        "\"ipmi_username\":\"\"}");
    free(text);
    json_decref(json);
}

static void test_plain_password(void **state)
{
    struct fixture *f = *state;
    add(f, "ipmi_address", "bmc");
    add(f, "ipmi_protocol_version", "1.5");
    add(f, "ipmi_plain_password", "true");
    assert_int_equal(parse(f), 0);
    assert_true(f->ipmi->plain_password);
    json_t *json = ipmi_info_json(f->ipmi);
    assert_true(json_is_true(json_object_get(json, "ipmi_plain_password")));
    json_decref(json);
}

static void test_addresses(void **state)
{
    static const char *const rows[][2] = {
        {"127.0.0.1", "127.0.0.1:623"},
        {"2001:DB8:0:0::1", "[2001:db8::1]:623"},
        {"::ffff:10.0.0.1", "10.0.0.1:623"},
        {"BMC1.Example.ORG", "bmc1.example.org:623"},
        {"bmc1.example.org.", "bmc1.example.org:623"},
        {"rack_1-n1", "rack_1-n1:623"},
        {"3com", "3com:623"},
        {"1.2.3.a4", "1.2.3.a4:623"},
        {"10.0.0.300", NULL},
        {"10.1", NULL},
        {"1234", NULL},
        {"", NULL},
        {".", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"-a", NULL},
        {"a-.b", NULL},
        {"a-", NULL},
        {"a b", NULL},
        {"a/b", NULL},
        {"user@bmc", NULL},
        {"[::1]", NULL},
        /* Spellings that resolve to 127.0.0.1: two nodes could share a BMC unseen. */
        {"127.0.0.0x1", NULL},
        {"0x7f000001", NULL},
        {"fe80::1%eth0", NULL},
        {"n\xc3\xb6.example", NULL},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.org", NULL}, /* 64 */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        add(f, "ipmi_address", rows[i][0]);
        int result = parse(f);
        if (rows[i][1] != NULL) {
            assert_int_equal(result, 0);
            assert_string_equal(f->target, rows[i][1]);
        } else {
            assert_int_equal(f->report.count, 1);
            assert_string_equal(f->report.lines[0],
                                "nmid.conf:2: ipmi_address: expected an IPv4 address, an IPv6 "
                                "address or a host name");
        }
        clear(f);
    }
}

static void test_complaints(void **state)
{
    static const struct {
        const char *key, *value, *told;
    } rows[] = {
        {"ipmi_port", "0", "expected an integer from 1 to 65535"},
        {"ipmi_port", "65536", "expected an integer from 1 to 65535"},
        {"ipmi_username", "seventeen-bytes-x", "longer than 16 bytes"},
        {"ipmi_username", "m\xc3\xbcller", "expected printable ASCII characters"},
        {"ipmi_password", "twenty-one-bytes-abcd", "longer than 20 bytes"},
        {"ipmi_hex_kg_key", "00", "expected 40 hexadecimal digits"},
        {"ipmi_hex_kg_key", "g00102030405060708090a0B0C0D0E0F10111213",
         "expected 40 hexadecimal digits"},
        {"ipmi_hex_kg_key", KG_HEX "00", "longer than 40 bytes"},
        {"ipmi_priv_level", "USER",
         "may not send chassis control: expected OPERATOR or ADMINISTRATOR"},
        {"ipmi_priv_level", "CALLBACK",
         "may not send chassis control: expected OPERATOR or ADMINISTRATOR"},
        {"ipmi_priv_level", "root", "expected OPERATOR or ADMINISTRATOR"},
        {"ipmi_cipher_suite", "0", "expected 3 or 17"},
        {"ipmi_cipher_suite", "8", "expected 3 or 17"},
        {"ipmi_protocol_version", "2", "expected \"2.0\" or \"1.5\""},
        {"ipmi_workarounds", "authcap,magic",
         "expected \"none\" or names of this list, separated by commas: authcap, "
         "nochecksumcheck, idzero, unexpectedauth, forcepermsg, endianseq, noauthcodecheck, "
         "intel20, supermicro20, sun20, opensesspriv, integritycheckvalue"},
        {"ipmi_bridging", "single", "bridging is not supported in this version: expected \"no\""},
        {"ipmi_adress", "x", "unknown key"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[512];
        add(f, "ipmi_address", "bmc");
        add(f, rows[i].key, rows[i].value);
        parse(f);
        snprintf(expected, sizeof expected, "nmid.conf:3: %s: %s", rows[i].key, rows[i].told);
        assert_int_equal(f->report.count, 1);
        assert_string_equal(f->report.lines[0], expected);
        clear(f);
    }
}

static void test_all_at_once(void **state)
{
    static const char *const told[] = {
        "nmid.conf:1: ipmi_address: missing: expected the BMC's address or host name",
        "nmid.conf:4: ipmi_password: longer than 16 bytes",
        "nmid.conf:5: ipmi_hex_kg_key: IPMI 1.5 has no K_g",
        "nmid.conf:3: ipmi_priv_level: expected OPERATOR or ADMINISTRATOR",
        "nmid.conf:6: ipmi_cipher_suite: IPMI 1.5 has no cipher suites",
    };
    struct fixture *f = *state;
    add(f, "ipmi_protocol_version", "1.5");
    add(f, "ipmi_priv_level", "x");
    add(f, "ipmi_password", "seventeen-bytes-x");
    add(f, "ipmi_hex_kg_key", KG_HEX);
    add(f, "ipmi_cipher_suite", "17");
    assert_int_equal(parse(f), -1);
    assert_int_equal(f->report.count, sizeof told / sizeof told[0]);
    for (size_t i = 0; i < f->report.count; i++)
        assert_string_equal(f->report.lines[i], told[i]);
}

static void test_ignored(void **state)
{
    static const char *const keys[] = {
        "ipmi_terminal_port",
        "ipmi_force_boot_device",
        "ipmi_disable_boot_timeout",
        "deploy_kernel",
        "deploy_ramdisk",
        "rescue_kernel",
        "rescue_ramdisk",
        "bootloader",
        "force_persistent_boot_device",
    };
    struct fixture *f = *state;
    add(f, "ipmi_address", "bmc");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        add(f, keys[i], "x");
    assert_int_equal(parse(f), 0);
    assert_int_equal(f->report.count, 0);
}

static void test_workaround_names(void **state)
{
    struct fixture *f = *state;
    for (unsigned bit = 0; bit < 12; bit++) {
        const char *name = ipmi_workaround_name(1u << bit);
        add(f, "ipmi_address", "bmc");
        add(f, "ipmi_workarounds", name);
        assert_int_equal(parse(f), 0);
        assert_true((f->ipmi->workarounds & 1u << bit) != 0);
        clear(f);
    }
    assert_null(ipmi_workaround_name(1u << 12));
    assert_null(ipmi_workaround_name(0));
    assert_string_equal(ipmi_workaround_name(IPMI_WORKAROUND_INTEL20), "intel20");
    assert_string_equal(ipmi_workaround_name(IPMI_WORKAROUND_INTEGRITYCHECKVALUE),
                        "integritycheckvalue");
    add(f, "ipmi_address", "bmc");
    add(f, "ipmi_workarounds", "none");
    assert_int_equal(parse(f), 0);
    assert_int_equal(f->ipmi->workarounds, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),       TEST(test_every_key), TEST(test_ipmi_1_5),
        TEST(test_plain_password), TEST(test_addresses), TEST(test_complaints),
        TEST(test_all_at_once),    TEST(test_ignored),   TEST(test_workaround_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

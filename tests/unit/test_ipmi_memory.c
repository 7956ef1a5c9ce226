/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The circuit breaker: credentials that a BMC has refused are not tried again until the pause is
 * over or they are others; and what is remembered of a BMC besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/driver.h"
#include "drivers/ipmi_memory.h"
#include "unit/ipmi/rig.h"

#define BMC    "192.0.2.7:623"
#define SECOND 1000000
#define PAUSE  (300 * (int64_t)SECOND)

static struct ipmi_memory *memory;
static struct ipmi_session session;

static int setup(void **state)
{
    (void)state;
    memory = ipmi_memory_new();
    memset(&session, 0, sizeof session);
    return memory == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    ipmi_memory_free(memory);
    return 0;
}

/* A node as a configuration makes it, with these credentials. */
static struct node *make_node(const char *user, const char *password, const char *k_g)
{
    static const struct driver driver = {.name = "ipmi", .info_free = ipmi_info_free};
    struct node *node = node_new();
    struct ipmi_info *info = calloc(1, sizeof *info);
    info->username = strdup(user);
    info->password = password == NULL ? NULL : secret_new(password, strlen(password));
    info->k_g = k_g == NULL ? NULL : secret_new(k_g, strlen(k_g));
    info->suites[0] = 17;
    info->suites[1] = 3;
    info->suite_count = 2;
    node->driver = &driver;
    node->driver_info = info;
    return node;
}

static struct ipmi_info *info_of(struct node *node)
{
    return node->driver_info;
}

static void refuse(struct node *node, enum fault_code code, int64_t now)
{
    session.fail_code = code;
    session.opened = false;
    ipmi_memory_judge(memory, BMC, node, &session, now);
}

/* FAULT_NONE: it may begin. */
static enum fault_code check(struct node *node, int64_t now)
{
    struct fault fault = {0};
    int result = ipmi_memory_check(memory, BMC, node, PAUSE, now, &fault);
    assert_int_equal(result, fault.code == FAULT_NONE ? 0 : -1);
    return fault.code;
}

static void test_codes(void **state)
{
    (void)state;
    for (int code = 0; code < FAULT_CODES; code++) {
        struct node *node = make_node("admin", "secret", NULL);
        bool refused = code == FAULT_PASSWORD || code == FAULT_USER || code == FAULT_KG;
        refuse(node, (enum fault_code)code, 1000);
        assert_int_equal(check(node, 1000), refused ? code : FAULT_NONE);
        session.opened = true; /* it knows them now */
        session.fail_code = FAULT_NONE;
        ipmi_memory_judge(memory, BMC, node, &session, 2000);
        assert_int_equal(check(node, 2000), FAULT_NONE);
        node_unref(node);
    }
}

static void test_pause(void **state)
{
    (void)state;
    struct node *node = make_node("admin", "secret", NULL);
    struct fault fault = {0};
    assert_int_equal(check(node, 0), FAULT_NONE);
    refuse(node, FAULT_PASSWORD, 5 * SECOND);
    assert_int_equal(check(node, 5 * SECOND), FAULT_PASSWORD);
    assert_int_equal(check(node, 5 * SECOND + PAUSE - 1), FAULT_PASSWORD);
    assert_int_equal(check(node, 5 * SECOND + PAUSE), FAULT_NONE);
    assert_int_equal(ipmi_memory_check(memory, BMC, node, 0, 6 * SECOND, &fault), 0);
    assert_int_equal(ipmi_memory_check(memory, "192.0.2.8:623", node, PAUSE, 6 * SECOND, &fault),
                     0);
    assert_int_equal(ipmi_memory_check(memory, BMC, node, PAUSE, 17 * SECOND, &fault), -1);
    assert_non_null(strstr(fault.message, BMC));
    assert_non_null(strstr(fault.message, "12 s ago"));
    assert_non_null(strstr(fault.message, "288 s"));
    assert_non_null(strstr(fault.message, "nothing was sent"));
    assert_null(strstr(fault.message, "secret"));
    refuse(node, FAULT_USER, 400 * SECOND); /* tried again, refused again */
    assert_int_equal(check(node, 401 * SECOND), FAULT_USER);
    ipmi_memory_clear(memory); /* a reload alone does not help */
    assert_int_equal(check(node, 402 * SECOND), FAULT_USER);
    node_unref(node); /* the memory keeps what it compares with */
    node = make_node("admin", "secret", NULL);
    assert_int_equal(check(node, 403 * SECOND), FAULT_USER);
    node_unref(node);
}

static void test_other_credentials(void **state)
{
    (void)state;
    struct node *node = make_node("admin", "secret", NULL), *other;
    refuse(node, FAULT_PASSWORD, 0);
    static const char *const others[][3] = {
        {"admin2", "secret", NULL}, {"admin", "Secret", NULL},
        {"admin", "secret1", NULL}, {"admin", NULL, NULL},
        {"admin", "", NULL},        {"admin", "secret", "12345678901234567890"},
        {"", "secret", NULL},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        other = make_node(others[i][0], others[i][1], others[i][2]);
        assert_int_equal(check(other, 1), FAULT_NONE);
        node_unref(other);
    }
    other = make_node("admin", "secret", NULL);
    assert_int_equal(check(other, 1), FAULT_PASSWORD);
    info_of(other)->ipmi_1_5 = true;
    assert_int_equal(check(other, 1), FAULT_NONE);
    info_of(other)->ipmi_1_5 = false;
    info_of(other)->suite_count = 1;
    assert_int_equal(check(other, 1), FAULT_NONE);
    info_of(other)->suite_count = 2;
    info_of(other)->suites[1] = 8;
    assert_int_equal(check(other, 1), FAULT_NONE);
    info_of(other)->suites[1] = 3;
    info_of(other)->workarounds = IPMI_WORKAROUND_INTEL20;
    assert_int_equal(check(other, 1), FAULT_NONE);
    info_of(other)->workarounds = 0;
    info_of(other)->privilege = IPMI_PRIVILEGE_ADMINISTRATOR; /* no part of the log-in's secret */
    assert_int_equal(check(other, 1), FAULT_PASSWORD);
    node_unref(other);
    node_unref(node);
}

/* Sixteen kinds at one BMC, one after the other: none is tried again. */
static void test_many_credentials(void **state)
{
    (void)state;
    struct node *nodes[16];
    char password[32];
    for (int i = 0; i < 16; i++) {
        snprintf(password, sizeof password, "wrong %d", i);
        nodes[i] = make_node("admin", password, NULL);
        refuse(nodes[i], FAULT_PASSWORD, i);
    }
    for (int i = 0; i < 16; i++) {
        assert_int_equal(check(nodes[i], 16), FAULT_PASSWORD);
        node_unref(nodes[i]);
    }
}

/* Two nodes at one BMC, each with wrong credentials: trying one does not free the other. */
static void test_two_nodes(void **state)
{
    (void)state;
    struct node *a = make_node("a", "x", NULL), *b = make_node("b", "y", NULL);
    refuse(a, FAULT_PASSWORD, 0);
    refuse(b, FAULT_USER, 1);
    assert_int_equal(check(a, 2), FAULT_PASSWORD);
    assert_int_equal(check(b, 2), FAULT_USER);
    session.fail_code = FAULT_NONE;
    session.opened = true;
    ipmi_memory_judge(memory, BMC, a, &session, 3);
    assert_int_equal(check(a, 4), FAULT_NONE);
    assert_int_equal(check(b, 4), FAULT_USER);
    for (int i = 0; i < 20; i++) { /* however many: bounded, the newest stays */
        char user[4] = {'u', (char)('a' + i), '\0'};
        struct node *node = make_node(user, "z", NULL);
        refuse(node, FAULT_USER, 5);
        assert_int_equal(check(node, 6), FAULT_USER);
        node_unref(node);
    }
    assert_int_equal(check(b, 6), FAULT_NONE); /* the oldest went */
    node_unref(a);
    node_unref(b);
}

/* A real session's end, by each of the three refusals and both versions. */
static void test_real_refusals(void **state)
{
    (void)state;
    static struct rig rig;
    static const uint8_t k_g[20] = "other";
    for (int i = 0; i < 5; i++) {
        static const enum fault_code codes[] = {FAULT_PASSWORD, FAULT_USER, FAULT_KG,
                                                FAULT_PASSWORD, FAULT_USER};
        struct node *node = make_node("admin", "secret", NULL);
        rig_setup(NULL);
        rig_init(&rig, i >= 3, 17);
        if (codes[i] == FAULT_PASSWORD)
            rig.bmc.password = "another";
        if (codes[i] == FAULT_USER)
            rig.bmc.user = "somebody";
        if (codes[i] == FAULT_KG) {
            rig.bmc.k_g = k_g;
            rig.info.k_g = secret_new("12345678901234567890", 20);
        }
        rig_begin(&rig);
        rig_finish(&rig);
        ipmi_memory_judge(memory, BMC, node, &rig.session, i);
        assert_int_equal(check(node, i), codes[i]);
        if (i >= 3) /* 1.5: Activate Session, or Get Session Challenge, and not without end */
            assert_true(rig.out_count <= 8);
        secret_free(rig.info.k_g);
        rig_free(&rig);
        rig_teardown(NULL);
        node_unref(node);
    }
}

static void test_no_sel(void **state)
{
    (void)state;
    assert_null(ipmi_memory_find(memory, BMC));
    session.sel.absent = true;
    ipmi_memory_keep(memory, BMC, &session, 1);
    assert_true(ipmi_memory_find(memory, BMC)->no_sel);
    session.sel.absent = false; /* the next one did not ask */
    ipmi_memory_keep(memory, BMC, &session, 2);
    assert_true(ipmi_memory_find(memory, BMC)->no_sel);
    ipmi_memory_clear(memory);
    assert_false(ipmi_memory_find(memory, BMC)->no_sel);
    assert_int_equal(ipmi_memory_find(memory, BMC)->ended_at, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_real_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_sel, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

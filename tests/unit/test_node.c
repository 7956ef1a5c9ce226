/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes and their table: references, the shared space of names and UUIDs, the order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/driver.h"
#include "core/node.h"

#define UUID_A "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
#define UUID_B "2be26c0b-03f2-4d2e-ae87-c02d7f33c782"
#define UUID_C "3be26c0b-03f2-4d2e-ae87-c02d7f33c783"

static int infos_freed;

static void fake_free(void *info)
{
    infos_freed++;
    free(info);
}

static const struct driver fake = {.name = "fake", .info_free = fake_free};

static struct node *make(const char *uuid, const char *name, const char *instance,
                         const char *target)
{
    struct node *node = node_new();
    assert_non_null(node);
    strcpy(node->uuid, uuid);
    strcpy(node->instance_uuid, instance);
    node->name = name == NULL ? NULL : strdup(name);
    node->target = target == NULL ? NULL : strdup(target);
    node->file = strdup("nmid.conf");
    node->driver = &fake;
    node->driver_info = malloc(1);
    return node;
}

static void add(struct node_table *table, struct node *node)
{
    const struct node *other = NULL;
    const char *what = NULL;
    assert_int_equal(node_table_add(table, node, &other, &what), 0);
    assert_null(other);
    assert_null(what);
}

static void refuse(struct node_table *table, struct node *node, const struct node *expected,
                   const char *expected_what)
{
    const struct node *other = NULL;
    const char *what = NULL;
    size_t count = node_table_count(table);
    assert_int_equal(node_table_add(table, node, &other, &what), -1);
    assert_ptr_equal(other, expected);
    assert_string_equal(what, expected_what);
    assert_int_equal(node_table_count(table), count);
    assert_int_equal(node->references, 1);
    node_unref(node);
}

static void test_references(void **state)
{
    (void)state;
    infos_freed = 0;
    struct node *node = make(UUID_A, "a", "", "bmc:1");
    assert_ptr_equal(node_ref(node), node);
    node_unref(node);
    assert_int_equal(infos_freed, 0);
    node_unref(node);
    assert_int_equal(infos_freed, 1);
    node_unref(NULL);
    node_unref(node_new()); /* neither driver nor info */
}

static void test_status(void **state)
{
    (void)state;
    for (int i = 0; i < NODE_STATUSES; i++)
        assert_int_equal(node_status_parse(node_status_name((enum node_status)i)), i);
    assert_string_equal(node_status_name(NODE_SHELVED_OFFLOADED), "SHELVED_OFFLOADED");
    assert_string_equal(node_status_name(NODE_STATUSES), "UNKNOWN");
    assert_int_equal(node_status_parse("active"), -1);
    assert_int_equal(node_status_parse(""), -1);
}

static void test_find(void **state)
{
    (void)state;
    struct node_table *table = node_table_new();
    struct node *a = make(UUID_A, "rack1-n1", UUID_B, "bmc:1");
    struct node *c = make(UUID_C, NULL, "", "bmc:2");
    add(table, a);
    add(table, c);
    assert_ptr_equal(node_table_find(table, UUID_A), a);
    assert_ptr_equal(node_table_find(table, "1BE26C0B-03F2-4D2E-AE87-C02D7F33C781"), a);
    assert_ptr_equal(node_table_find(table, UUID_B), a);
    assert_ptr_equal(node_table_find(table, "rack1-n1"), a);
    assert_null(node_table_find(table, "RACK1-N1"));
    assert_ptr_equal(node_table_find(table, UUID_C), c);
    assert_null(node_table_find(table, ""));
    assert_null(node_table_find(table, "bmc:1"));
    assert_string_equal(node_label(a), "rack1-n1");
    assert_string_equal(node_label(c), UUID_C);
    assert_int_equal(node_table_count(table), 2);
    assert_ptr_equal(node_table_at(table, 0), a);
    assert_ptr_equal(node_table_at(table, 1), c);
    assert_null(node_table_at(table, 2));
    node_table_free(table);
}

static void test_collisions(void **state)
{
    (void)state;
    struct node_table *table = node_table_new();
    struct node *a = make(UUID_A, "n1", UUID_B, "bmc:1");
    add(table, a);
    refuse(table, make(UUID_A, "n2", "", "bmc:2"), a, "uuid");
    refuse(table, make(UUID_B, "n2", "", "bmc:2"), a, "uuid"); /* A's instance */
    refuse(table, make(UUID_C, "n1", "", "bmc:2"), a, "name");
    refuse(table, make(UUID_C, UUID_A, "", "bmc:2"), a, "name");
    refuse(table, make(UUID_C, "n2", UUID_A, "bmc:2"), a, "instance_uuid");
    refuse(table, make(UUID_C, "n2", UUID_B, "bmc:2"), a, "instance_uuid");
    refuse(table, make(UUID_C, "n2", "", "bmc:1"), a, "BMC");
    /* What was refused left no key behind. */
    assert_null(node_table_find(table, "n2"));
    assert_null(node_table_find(table, UUID_C));
    add(table, make(UUID_C, "n2", "", "bmc:2"));
    node_table_free(table);
}

static void test_own_names(void **state)
{
    (void)state;
    struct node_table *table = node_table_new();
    struct node *a = make(UUID_A, "1BE26C0B-03F2-4D2E-AE87-C02D7F33C781", UUID_A, NULL);
    struct node *b = make(UUID_B, NULL, "", NULL);
    add(table, a); /* named by its own UUID, and its own instance */
    add(table, b); /* without a BMC, like the one before */
    assert_ptr_equal(node_table_find(table, UUID_A), a);
    node_table_free(table);
    node_table_free(NULL);
}

static void test_table_drops_references(void **state)
{
    (void)state;
    infos_freed = 0;
    struct node_table *table = node_table_new();
    struct node *a = node_ref(make(UUID_A, "a", "", NULL));
    add(table, a);
    add(table, make(UUID_B, "b", "", NULL));
    node_table_free(table);
    assert_int_equal(infos_freed, 1);
    assert_string_equal(a->name, "a");
    node_unref(a);
    assert_int_equal(infos_freed, 2);
}

static void test_order(void **state)
{
    (void)state;
    struct node_table *table = node_table_new();
    char name[32], target[32], uuid[UUID_TEXT];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        snprintf(target, sizeof target, "bmc:%d", i);
        uuid_random(uuid);
        add(table, make(uuid, name, "", target));
    }
    assert_int_equal(node_table_count(table), 5000);
    for (int i = 0; i < 5000; i++) {
        struct node *node = node_table_at(table, (size_t)i);
        snprintf(name, sizeof name, "n%d", i);
        assert_string_equal(node->name, name);
        assert_ptr_equal(node_table_find(table, name), node);
        assert_ptr_equal(node_table_find(table, node->uuid), node);
    }
    node_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references), cmocka_unit_test(test_status),
        cmocka_unit_test(test_find),       cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_own_names),  cmocka_unit_test(test_table_drops_references),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

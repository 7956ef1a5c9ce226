/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The map against a plain array that does the same slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/map.h"

#define ALARM_S 60
#define KEYS    300
#define STEPS   60000

static void test_empty(void **state)
{
    struct map *map = map_new();
    size_t position = 0;
    (void)state;
    assert_non_null(map);
    assert_int_equal(map_count(map), 0);
    assert_null(map_get(map, "a"));
    assert_null(map_get(map, ""));
    assert_null(map_remove(map, "a"));
    assert_null(map_next(map, &position));
    map_free(map);
    map_free(NULL);
}

/* A later value takes over the key too: the earlier one may be freed with its value. */
static void test_replace(void **state)
{
    struct map *map = map_new();
    char *first = strdup("key"), *second = strdup("key");
    int one = 1, two = 2;
    (void)state;
    assert_int_equal(map_put(map, first, &one), 0);
    assert_int_equal(map_put(map, second, &two), 0);
    memset(first, 'x', strlen(first));
    free(first);
    assert_int_equal(map_count(map), 1);
    assert_ptr_equal(map_get(map, "key"), &two);
    assert_ptr_equal(map_remove(map, "key"), &two);
    assert_int_equal(map_count(map), 0);
    free(second);
    map_free(map);
}

/* Keys that are a prefix of each other, empty, or not ASCII. */
static void test_keys(void **state)
{
    static const char *const keys[] = {"", "a", "aa", "aaa", "\xc3\xa9", "\n", "a\nb", "A"};
    enum { COUNT = sizeof keys / sizeof keys[0] };
    int values[COUNT];
    struct map *map = map_new();
    (void)state;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(map_put(map, keys[i], &values[i]), 0);
    assert_int_equal(map_count(map), COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(map_get(map, keys[i]), &values[i]);
    map_free(map);
}

/* Absent keys are found absent at every fill: there is always a gap where the search ends. */
static void test_every_fill(void **state)
{
    static char keys[600][16];
    struct map *map = map_new();
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        snprintf(keys[i], sizeof keys[i], "bmc-%u", i);
        assert_int_equal(map_put(map, keys[i], keys[i]), 0);
        assert_null(map_get(map, "absent"));
        assert_null(map_remove(map, "absent"));
        assert_int_equal(map_count(map), i + 1);
    }
    map_free(map);
}

static struct model {
    char keys[KEYS][32];
    int values[2]; /* only their addresses matter */
    void *value[KEYS];
    size_t count;
} model;

static void check_walk(const struct map *map)
{
    size_t position = 0, walked = 0, ones = 0, expected = 0;
    for (void *value; (value = map_next(map, &position)) != NULL; walked++)
        ones += value == &model.values[1];
    for (int i = 0; i < KEYS; i++)
        expected += model.value[i] == &model.values[1];
    assert_int_equal(walked, model.count);
    assert_int_equal(ones, expected);
}

static void check_all(const struct map *map)
{
    assert_int_equal(map_count(map), model.count);
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(map, model.keys[i]), model.value[i]);
    check_walk(map);
}

static void step(struct map *map, unsigned random, bool growing)
{
    unsigned k = random / 8 % KEYS;
    void *value = &model.values[random / 4 % 2];
    if (growing ? random % 4 != 0 : random % 4 == 0) {
        assert_int_equal(map_put(map, model.keys[k], value), 0);
        model.count += model.value[k] == NULL;
        model.value[k] = value;
    } else {
        assert_ptr_equal(map_remove(map, model.keys[k]), model.value[k]);
        model.count -= model.value[k] != NULL;
        model.value[k] = NULL;
    }
}

/* It fills and empties in waves. The steps are the same in each run; the map's own seed is random,
 * so that the collisions are others. */
static void test_against_model(void **state)
{
    struct map *map = map_new();
    uint32_t random = 12345;
    (void)state;
    for (int i = 0; i < KEYS; i++)
        snprintf(model.keys[i], sizeof model.keys[i], "10.0.%d.%d", i / 16, i % 16);
    for (unsigned i = 0; i < STEPS; i++) {
        random = random * 1664525u + 1013904223u;
        step(map, random >> 8, i / 2000 % 2 == 0);
        if (i % 97 == 0)
            check_all(map);
    }
    check_all(map);
    map_free(map);
}

#define MANY (1u << 18)

/* Who replaces an entry relies on it: the key before may be freed a moment later. In a map that is
 * just full, while the process gets no more memory. */
static void test_replace_without_memory(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    (void)state;
    skip(); /* the sanitizer's own memory is beyond every limit */
#else
    struct map *map = map_new();
    char(*keys)[16] = calloc(MANY, sizeof *keys), again[16];
    struct rlimit before, limit;
    size_t count = 0;
    long pages = 0;
    (void)state;
    assert_non_null(keys);
    while (count < MANY / 3 * 2) {
        snprintf(keys[count], sizeof keys[count], "%zu", count);
        assert_int_equal(map_put(map, keys[count], keys[count]), 0);
        count++;
    }
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%ld", &pages), 1);
    fclose(statm);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (1u << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    snprintf(again, sizeof again, "%s", keys[7]);
    int fresh = map_put(map, "one more", again), replaced = map_put(map, again, again);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(fresh, -1); /* the map is full, and there is no memory */
    assert_int_equal(replaced, 0);
    assert_ptr_equal(map_get(map, "7"), again);
    assert_int_equal(map_count(map), count);
    map_free(map);
    free(keys);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_replace),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_every_fill),
        cmocka_unit_test(test_against_model), cmocka_unit_test(test_replace_without_memory),
    };
    alarm(ALARM_S); /* a search that never ends */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host lists, in two passes over each word: the first checks and counts, the second makes the
 * names. The notation is pdsh's and Slurm's. */
#include "cli/hostlist.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"

#define DIGITS_MAX 9 /* a number fits 32 bits */

struct range {
    uint32_t first, last;
    int width;        /* of the number with its padding; 0: no padding */
    const char *next; /* past the range: at ',' or ']' */
};

static size_t digits_read(const char *text, uint32_t *ret_number)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > DIGITS_MAX)
        return 0;
    uint32_t number = 0;
    for (size_t i = 0; i < n; i++)
        number = number * 10 + (uint32_t)(text[i] - '0');
    *ret_number = number;
    return n;
}

/* Reads "7", "1-64" or "001-010" at text. */
static int range_read(const char *text, struct range *ret_range, struct fault *fault)
{
    struct range range = {0};
    size_t first = digits_read(text, &range.first), last = first;
    if (first == 0)
        return fault_set(fault, FAULT_USAGE, "a range in brackets wants numbers of 1 to %d digits",
                         DIGITS_MAX);
    range.last = range.first;
    range.next = text + first;
    if (*range.next == '-') {
        last = digits_read(range.next + 1, &range.last);
        if (last == 0)
            return fault_set(fault, FAULT_USAGE,
                             "a range in brackets wants numbers of 1 to %d digits", DIGITS_MAX);
        range.next += 1 + last;
    }
    if (*range.next != ',' && *range.next != ']')
        return fault_set(fault, FAULT_USAGE, "a range in brackets ends with a comma or a bracket");
    if (range.last < range.first)
        return fault_set(fault, FAULT_USAGE, "the range %u-%u runs backwards", range.first,
                         range.last);
    bool first_padded = text[0] == '0' && first > 1;
    bool last_padded = range.next[-(ptrdiff_t)last] == '0' && last > 1;
    if ((last_padded && first != last) || (first_padded && last < first))
        return fault_set(fault, FAULT_USAGE, "the ends of a padded range differ in width");
    if (first_padded || last_padded)
        range.width = (int)first;
    *ret_range = range;
    return 0;
}

/* Counts the numbers of the brackets at text ('['); *ret_end is past ']'. */
static int brackets_count(const char *text, uint64_t *ret_count, const char **ret_end,
                          struct fault *fault)
{
    struct range range = {.next = text};
    uint64_t count = 0;
    do {
        if (range_read(range.next + 1, &range, fault) < 0)
            return -1;
        count += (uint64_t)range.last - range.first + 1;
        if (count > HOSTLIST_MAX)
            return fault_set(fault, FAULT_USAGE, "more than %d names in a host list", HOSTLIST_MAX);
    } while (*range.next == ',');
    *ret_count = count;
    *ret_end = range.next + 1;
    return 0;
}

/* Counts the names of one word; *ret_end is at the comma or NUL after it. */
static int word_count(const char *text, uint64_t *ret_count, const char **ret_end,
                      struct fault *fault)
{
    const char *at = text;
    uint64_t count = 1;
    while (*at != '\0' && *at != ',') {
        uint64_t numbers = 1;
        if (*at == ']')
            return fault_set(fault, FAULT_USAGE, "a bracket is closed that was not opened");
        if (*at != '[')
            at++;
        else if (brackets_count(at, &numbers, &at, fault) < 0)
            return -1;
        count *= numbers; /* each is at most HOSTLIST_MAX: no overflow */
        if (count > HOSTLIST_MAX)
            return fault_set(fault, FAULT_USAGE, "more than %d names in a host list", HOSTLIST_MAX);
    }
    if (at == text)
        return fault_set(fault, FAULT_USAGE, "an empty name in a host list");
    *ret_count = count;
    *ret_end = at;
    return 0;
}

/* Appends what stands for rest (up to end) to the first length bytes of name, in every way that the
 * brackets allow, and adds each result. Every level of the recursion makes the name longer, so it
 * is at most HOSTLIST_NAME_MAX deep. */
static int word_expand(struct hostlist *list, char name[HOSTLIST_NAME_MAX + 1], size_t length,
                       const char *rest, const char *end, struct fault *fault)
{
    while (rest < end && *rest != '[') {
        if (length == HOSTLIST_NAME_MAX)
            return fault_set(fault, FAULT_USAGE, "a name longer than %d bytes", HOSTLIST_NAME_MAX);
        name[length++] = *rest++;
    }
    name[length] = '\0';
    if (rest == end) {
        list->names[list->count] = strdup(name);
        if (list->names[list->count] == NULL)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        list->count++;
        return 0;
    }
    const char *past = strchr(rest, ']') + 1; /* the first pass has seen it */
    struct range range = {.next = rest};
    do {
        if (range_read(range.next + 1, &range, fault) < 0)
            return -1;
        for (uint32_t number = range.first; number <= range.last; number++) {
            char digits[16];
            size_t n = (size_t)snprintf(digits, sizeof digits, "%0*u", range.width, number);
            if (length + n > HOSTLIST_NAME_MAX)
                return fault_set(fault, FAULT_USAGE, "a name longer than %d bytes",
                                 HOSTLIST_NAME_MAX);
            memcpy(name + length, digits, n);
            if (word_expand(list, name, length + n, past, end, fault) < 0)
                return -1;
        }
    } while (*range.next == ',');
    return 0;
}

int hostlist_add(struct hostlist *list, const char *text, struct fault *fault)
{
    uint64_t total = 0, count = 0;
    const char *at = text, *end = NULL;
    for (;; at = end + 1) {
        if (word_count(at, &count, &end, fault) < 0)
            return -1;
        total += count;
        if (total + list->count > HOSTLIST_MAX)
            return fault_set(fault, FAULT_USAGE, "more than %d names in a host list", HOSTLIST_MAX);
        if (*end == '\0')
            break;
    }
    char **names = realloc(list->names, (list->count + (size_t)total) * sizeof *names);
    if (names == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    list->names = names;
    for (at = text;; at = end + 1) {
        char name[HOSTLIST_NAME_MAX + 1];
        if (word_count(at, &count, &end, fault) < 0 ||
            word_expand(list, name, 0, at, end, fault) < 0)
            return -1;
        if (*end == '\0')
            return 0;
    }
}

int hostlist_unique(struct hostlist *list, struct fault *fault)
{
    struct map *seen = map_new();
    size_t kept = 0, i = 0;
    bool memory = seen == NULL;
    for (; !memory && i < list->count; i++) {
        char *name = list->names[i];
        if (map_get(seen, name) != NULL) {
            free(name);
            continue;
        }
        list->names[kept++] = name;
        memory = map_put(seen, name, name) < 0;
    }
    while (i < list->count)
        list->names[kept++] = list->names[i++];
    list->count = kept;
    map_free(seen);
    return memory ? fault_set(fault, FAULT_MEMORY, "out of memory") : 0;
}

void hostlist_clear(struct hostlist *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct hostlist){0};
}

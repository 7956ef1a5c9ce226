/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table from strings to pointers, seeded at random (keys may come from clients).
 * Look-up, insertion and removal in constant time. Keys are borrowed: they must live as long as
 * their entry, usually inside the value. */
#ifndef NMID_BASE_MAP_H
#define NMID_BASE_MAP_H

#include <stddef.h>

struct map;

struct map *map_new(void); /* NULL when memory is out */
void map_free(struct map *map);

/* The value of key, or NULL. */
void *map_get(const struct map *map, const char *key);

/* Sets key to value (not NULL), replacing key and value of an entry that is there; that needs no
 * memory. -1 when memory is out (nothing changed). */
int map_put(struct map *map, const char *key, void *value);

/* Removes key; returns its value or NULL. */
void *map_remove(struct map *map, const char *key);

size_t map_count(const struct map *map);

/* Walks all entries in no order: start with *position = 0; returns the value or NULL at the end.
 * The map must not change meanwhile. */
void *map_next(const struct map *map, size_t *position);

#endif

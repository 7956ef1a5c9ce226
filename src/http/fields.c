/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The head of a request as libmicrohttpd keeps it.
 *
 * Before 1.0, libmicrohttpd reads obs-fold, bare LF and raw NULs leniently and does not tell: a
 * folded line changes the *name* before it, a NUL cuts a value short. But it parses in place, so
 * that in a clean head each line starts two bytes (CR, LF) after the end of the one before, only
 * blanks stand between a colon and its value, and all of it adds up to the size that it tells.
 * Anything else was a line that it bent. From 1.0
 * on it refuses these by itself (MHD_OPTION_STRICT_FOR_CLIENT). */
#include <string.h>

#include "http/exchange_state.h"

struct collect {
    struct guard_field *fields;
    size_t count, bytes;
    const char *expected; /* where the next line must start; NULL: not checked */
    bool clean;
};

static bool only_blanks(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    return from == to;
}

/* Libmicrohttpd puts a NUL in the place of each of the two bytes of a line's end. */
static bool was_line_end(const char *end)
{
    return end[0] == '\0' && end[1] == '\0';
}

static void check_place(struct collect *collect, const struct guard_field *field)
{
    if (collect->expected == NULL)
        return;
    const char *after_name = field->name + field->name_len + 1;
    const char *end = field->value + field->value_len;
    if (field->name != collect->expected || field->value < after_name ||
        !only_blanks(after_name, field->value) || !was_line_end(end))
        collect->clean = false;
    collect->expected = end + 2;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                size_t name_len, const char *value, size_t value_len)
{
    struct collect *collect = cls;
    (void)kind;
    struct guard_field field = {
        .name = name,
        .name_len = name_len,
        .value = value != NULL ? value : "",
        .value_len = value != NULL ? value_len : 0,
    };
    if (collect->clean && value != NULL)
        check_place(collect, &field);
    collect->bytes += field.name_len + field.value_len + 4;
    if (collect->count < GUARD_FIELDS_MAX)
        collect->fields[collect->count] = field;
    collect->count++;
    return MHD_YES;
}

bool fields_are_in_place(void)
{
    static int known; /* 1 yes, 2 no */
    if (known == 0)
        known = strncmp(MHD_get_version(), "0.", 2) == 0 ? 1 : 2;
    return known == 1;
}

bool fields_collect(struct MHD_Connection *mhd, const struct request_line *line,
                    struct guard_field fields[GUARD_FIELDS_MAX], size_t *ret_count,
                    size_t *ret_bytes)
{
    struct collect collect = {.fields = fields, .clean = true};
    if (fields_are_in_place()) {
        collect.clean = line->target == line->method + strlen(line->method) + 1 &&
                        line->version == line->target + line->target_len + 1 &&
                        was_line_end(line->version + strlen(line->version));
        collect.expected = line->version + strlen(line->version) + 2;
    }
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_field, &collect);
    *ret_count = collect.count;
    *ret_bytes = collect.bytes;
    if (collect.expected == NULL)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return collect.clean && info != NULL &&
           line->method + info->header_size == collect.expected + 2 &&
           was_line_end(collect.expected); /* the empty line's */
}

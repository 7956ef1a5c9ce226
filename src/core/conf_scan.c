/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A look over a configuration before libconfig 1.5 parses it, for what that library does not say
 * or does not survive well: a comment that never ends is taken for the end of the file, "\x00"
 * vanishes from a string, a NUL ends the text, brackets may nest as deep as the stack lasts, each
 * key of a group is compared with all before it, a token is scanned again from its start for every
 * 8 KiB, and a string where none may stand (perhaps a password) is never freed. Follows
 * lib/scanner.l of libconfig 1.5. */
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include "core/conf_parts.h"

#define DEPTH_MAX  8       /* nodes, a node, its driver_info: 3 */
#define KEYS_MAX   256     /* in one group */
#define VALUES_MAX 4000000 /* in one file; libconfig takes about 100 bytes for each */
#define TOKEN_MAX  65536   /* bytes of a string; of a line */

struct scan {
    const char *at, *end;
    const char *line_start;
    unsigned line;
    unsigned depth;
    unsigned keys[DEPTH_MAX + 1]; /* in each open group */
    unsigned long values;
    char last; /* the last byte that was no blank; '"' after a string */
};

static const char too_long[] = "a line of more than 65536 bytes";

static const char *next_line(struct scan *scan)
{
    if (scan->at - scan->line_start > TOKEN_MAX)
        return too_long;
    scan->line++;
    scan->line_start = scan->at + 1;
    return NULL;
}

/* From the opening quote to the closing one. An error is told at the line where it began. */
static const char *scan_string(struct scan *scan)
{
    const char *start = scan->at++;
    unsigned line = scan->line;
    if (scan->last == '\0' || strchr("=:,([\"", scan->last) == NULL)
        return "a string where none may stand (is a \"=\" or a \",\" missing?)";
    scan->last = '"';
    for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
        const char *what = NULL;
        if (scan->at - start > TOKEN_MAX)
            return "a string of more than 65536 bytes";
        if (*scan->at == '\0')
            return "a NUL byte";
        if (*scan->at == '\n' && (what = next_line(scan)) != NULL)
            return what;
        if (*scan->at != '\\' || scan->end - scan->at < 2)
            continue;
        if (scan->end - scan->at >= 4 && strncasecmp(scan->at, "\\x00", 4) == 0)
            return "a NUL character in a string";
        if (scan->at[1] == '"' || scan->at[1] == '\\')
            scan->at++;
    }
    if (scan->at >= scan->end) {
        scan->line = line;
        return "a string that never ends";
    }
    return NULL; /* at the closing quote */
}

static const char *scan_comment(struct scan *scan)
{
    unsigned line = scan->line;
    for (scan->at += 2; scan->end - scan->at >= 2; scan->at++) {
        const char *what = NULL;
        if (*scan->at == '\0')
            return "a NUL byte";
        if (*scan->at == '\n' && (what = next_line(scan)) != NULL)
            return what;
        if (scan->at[0] == '*' && scan->at[1] == '/') {
            scan->at++;
            return NULL; /* at the slash */
        }
    }
    scan->line = line;
    return "a comment that never ends";
}

static const char *scan_line_comment(struct scan *scan)
{
    const char *newline = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
    const char *stop = newline == NULL ? scan->end : newline;
    if (memchr(scan->at, '\0', (size_t)(stop - scan->at)) != NULL)
        return "a NUL byte";
    if (stop - scan->line_start > TOKEN_MAX)
        return too_long;
    scan->at = stop - 1; /* the newline is the caller's */
    return NULL;
}

static const char *scan_byte(struct scan *scan)
{
    if (strchr(" \t\r\n\f", *scan->at) == NULL)
        scan->last = *scan->at;
    switch (*scan->at) {
    case '\0':
        return "a NUL byte";
    case '\n':
        return next_line(scan);
    case '@':
        return "@include is not supported: use include_dir";
    case '{':
    case '(':
    case '[':
        if (scan->depth == DEPTH_MAX)
            return "brackets nested more than 8 deep";
        scan->keys[++scan->depth] = 0;
        return NULL;
    case '}':
    case ')':
    case ']':
        if (scan->depth > 0)
            scan->depth--;
        return NULL;
    case '=':
    case ':':
        if (++scan->keys[scan->depth] > KEYS_MAX)
            return "more than 256 keys in one group";
        break;
    case ',':
        break;
    default:
        return NULL;
    }
    return ++scan->values > VALUES_MAX ? "more than 4000000 values" : NULL;
}

int conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_what)
{
    struct scan scan = {.at = text, .end = text + len, .line_start = text, .line = 1};
    const char *what = NULL;
    for (; scan.at < scan.end && what == NULL; scan.at++) {
        bool two = scan.end - scan.at >= 2;
        if (*scan.at == '"')
            what = scan_string(&scan);
        else if (two && scan.at[0] == '/' && scan.at[1] == '*')
            what = scan_comment(&scan);
        else if (*scan.at == '#' || (two && scan.at[0] == '/' && scan.at[1] == '/'))
            what = scan_line_comment(&scan);
        else
            what = scan_byte(&scan);
    }
    if (what == NULL && scan.end - scan.line_start > TOKEN_MAX)
        what = too_long;
    if (what == NULL)
        return 0;
    *ret_line = scan.line;
    *ret_what = what;
    return -1;
}

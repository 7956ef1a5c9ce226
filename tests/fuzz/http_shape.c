/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http_shape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t len;
};

enum line { LINE_WHOLE, LINE_OPEN, LINE_BENT };

/* What comes before the next CRLF. A bare CR, a bare LF or a NUL in it is bent; but for a NUL
 * before an LF: libmicrohttpd 0.9.75 puts NULs where CRLF was, and so leaves no trace of the
 * difference. Who takes an LF for the end of a line, and who does not but refuses NULs, sees the
 * same requests. */
static enum line take_line(struct text *rest, struct text *ret_line)
{
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->at[i];
        if ((c == '\r' || c == '\0') && i + 1 == rest->len)
            return c == '\r' ? LINE_OPEN : LINE_BENT;
        if ((c == '\r' || c == '\0') && rest->at[i + 1] == '\n') {
            *ret_line = (struct text){rest->at, i};
            rest->at += i + 2;
            rest->len -= i + 2;
            return LINE_WHOLE;
        }
        if (c == '\r' || c == '\n' || c == '\0')
            return LINE_BENT;
    }
    return LINE_OPEN;
}

static bool in_set(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

#define DIGITS  "0123456789"
#define HEX     DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool all_of(struct text text, const char *set)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!in_set(text.at[i], set))
            return false;
    }
    return text.len > 0;
}

static bool same(struct text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

static struct text trim(struct text text)
{
    while (text.len > 0 && in_set(text.at[0], " \t")) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && in_set(text.at[text.len - 1], " \t"))
        text.len--;
    return text;
}

/* Cuts off what comes before c; false when there is no c. */
static bool cut(struct text *text, char c, struct text *ret_before)
{
    const char *at = text->len == 0 ? NULL : memchr(text->at, c, text->len);
    if (at == NULL)
        return false;
    *ret_before = (struct text){text->at, (size_t)(at - text->at)};
    text->len -= ret_before->len + 1;
    text->at = at + 1;
    return true;
}

static bool has_member(struct text list, const char *word)
{
    struct text member;
    while (cut(&list, ',', &member)) {
        if (same(trim(member), word))
            return true;
    }
    return same(trim(list), word);
}

struct head {
    struct shape_request *request;
    bool old; /* HTTP/1.0 */
    unsigned hosts, lengths, encodings, authorizations, tokens;
    bool keep, close;
    uint64_t length;
};

static bool read_target(struct text target)
{
    if (target.len == 0 || target.at[0] != '/')
        return false;
    for (size_t i = 0; i < target.len; i++) {
        if (target.at[i] == '%' && (target.len - i < 3 || !in_set(target.at[i + 1], HEX) ||
                                    !in_set(target.at[i + 2], HEX)))
            return false;
        if (target.at[i] != '%' && !in_set(target.at[i], LETTERS DIGITS "/?-._~!$&'()*+,;=:@"))
            return false;
    }
    return true;
}

static bool read_request_line(struct text line, struct head *head)
{
    struct text method, target;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target))
        return false;
    if (!all_of(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") || method.len > 16 || same(method, "CONNECT"))
        return false;
    snprintf(head->request->method, sizeof head->request->method, "%.*s", (int)method.len,
             method.at);
    head->request->head = same(method, "HEAD");
    head->request->target = target.at;
    head->request->target_len = target.len;
    head->old = line.len == 8 && memcmp(line.at, "HTTP/1.0", 8) == 0;
    return read_target(target) &&
           (head->old || (line.len == 8 && memcmp(line.at, "HTTP/1.1", 8) == 0));
}

static bool read_length(struct text value, struct head *head)
{
    if (!all_of(value, DIGITS) || value.len > 18)
        return false;
    for (size_t i = 0; i < value.len; i++)
        head->length = head->length * 10 + (uint64_t)(value.at[i] - '0');
    return head->lengths++ == 0;
}

static bool read_field(struct text line, struct head *head)
{
    struct text name, value = line;
    if (!cut(&value, ':', &name) || !all_of(name, LETTERS DIGITS "!#$%&'*+-.^_`|~"))
        return false;
    value = trim(value);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    if (head == NULL)
        return true; /* of a trailer nothing counts */
    if (same(name, "Content-Length"))
        return read_length(value, head);
    if (same(name, "Transfer-Encoding"))
        return same(value, "chunked") && head->encodings++ == 0;
    if (same(name, "Host"))
        return head->hosts++ == 0 &&
               (value.len == 0 || all_of(value, LETTERS DIGITS "-._~!$&'()*+,;=:[]%"));
    if (same(name, "Authorization"))
        return head->authorizations++ == 0;
    if (same(name, "X-Auth-Token"))
        return head->tokens++ == 0;
    if (same(name, "Connection")) {
        head->close |= has_member(value, "close");
        head->keep |= has_member(value, "keep-alive");
    }
    head->request->expects |= same(name, "Expect");
    return true;
}

/* After a first field libmicrohttpd 0.9.75 takes a line that begins with a colon for the last one,
 * and where all that ends the head is four bytes it leaves no trace: CR LF ":" LF, or LF ":" CR LF.
 * *ret_line is the field before it in the second. */
static bool take_colon_end(struct text *rest, unsigned before, struct text *ret_line)
{
    const char *at = rest->at, *lf = rest->len == 0 ? NULL : memchr(at, '\n', rest->len);
    size_t left = lf == NULL ? 0 : rest->len - (size_t)(lf - at);
    *ret_line = (struct text){at, 0};
    if (before > 0 && left > 0 && lf == at + 1 && at[0] == ':') {
        *rest = (struct text){lf + 1, left - 1};
        return true;
    }
    if (left < 4 || lf == at || lf[1] != ':' || (lf[2] != '\r' && lf[2] != '\0') || lf[3] != '\n')
        return false;
    ret_line->len = (size_t)(lf - at);
    *rest = (struct text){lf + 4, left - 4};
    return true;
}

static enum line read_fields(struct text *rest, struct head *head)
{
    for (unsigned before = 0;; before++) {
        struct text line;
        if (take_colon_end(rest, before, &line))
            return line.len == 0 || read_field(line, head) ? LINE_WHOLE : LINE_BENT;
        enum line result = take_line(rest, &line);
        if (result != LINE_WHOLE)
            return result;
        if (line.len == 0)
            return LINE_WHOLE;
        if (!read_field(line, head))
            return LINE_BENT;
    }
}

/* A chunk's size and what may come after it. */
static bool read_size(struct text line, uint64_t *ret_size)
{
    struct text size = line, extension = line;
    *ret_size = 0;
    if (cut(&extension, ';', &size)) {
        for (size_t i = 0; i < extension.len; i++) {
            if ((unsigned char)extension.at[i] < 0x20 && extension.at[i] != '\t')
                return false;
        }
    }
    if (!all_of(size, HEX))
        return false;
    for (size_t i = 0; i < size.len; i++) {
        char digit[2] = {size.at[i], '\0'};
        if (*ret_size >> 56 != 0)
            return false;
        *ret_size = *ret_size * 16 + strtoul(digit, NULL, 16);
    }
    return true;
}

static enum line read_chunks(struct text *rest)
{
    for (;;) {
        struct text line;
        uint64_t size;
        enum line result = take_line(rest, &line);
        if (result != LINE_WHOLE)
            return result;
        if (!read_size(line, &size))
            return LINE_BENT;
        if (size == 0)
            return read_fields(rest, NULL);
        if (rest->len < size)
            return LINE_OPEN;
        rest->at += size;
        rest->len -= size;
        result = take_line(rest, &line);
        if (result != LINE_WHOLE)
            return result;
        if (line.len != 0)
            return LINE_BENT;
    }
}

static enum line read_body(struct text *rest, const struct head *head)
{
    if (head->encodings > 0)
        return read_chunks(rest);
    if (rest->len < head->length)
        return LINE_OPEN;
    rest->at += head->length;
    rest->len -= head->length;
    return LINE_WHOLE;
}

/* Empty lines before a request are nothing (RFC 9112, 2.2); libmicrohttpd 0.9.75 skips one that
 * ends with a bare LF or begins with a NUL as well, of which nothing comes either. */
static void skip_empty(struct text *rest)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->at, '\n', rest->len);
        size_t skip = end == NULL ? 0 : (size_t)(end - rest->at) + 1;
        if (skip == 0 || !(rest->at[0] == '\n' || rest->at[0] == '\0' ||
                           (rest->at[0] == '\r' && rest->at[1] == '\n')))
            return;
        rest->at += skip;
        rest->len -= skip;
    }
}

static enum shape_tail read_request(struct text *rest, struct shape_request *request)
{
    struct head head = {.request = request};
    struct text line;
    memset(request, 0, sizeof *request);
    enum line result = take_line(rest, &line);
    if (result == LINE_WHOLE)
        result = read_request_line(line, &head) ? read_fields(rest, &head) : LINE_BENT;
    if (result == LINE_WHOLE &&
        (head.lengths + head.encodings > 1 || (head.hosts == 0 && !head.old) ||
         (head.encodings > 0 && head.old)))
        result = LINE_BENT;
    if (result != LINE_WHOLE)
        return result == LINE_OPEN ? TAIL_OPEN : TAIL_BENT;
    request->chunked = head.encodings > 0;
    request->closes = head.close || (head.old && !head.keep);
    result = read_body(rest, &head);
    if (result == LINE_BENT)
        return TAIL_CHUNK;
    return result == LINE_OPEN ? TAIL_OPEN : TAIL_NONE;
}

void shape_read(const char *bytes, size_t len, struct shape *ret_shape)
{
    struct text rest = {bytes, len};
    ret_shape->count = 0;
    ret_shape->tail = TAIL_NONE;
    for (;;) {
        struct shape_request *request = &ret_shape->requests[ret_shape->count];
        skip_empty(&rest);
        if (rest.len == 0)
            return;
        if (ret_shape->count == SHAPE_MAX) {
            ret_shape->tail = TAIL_OPEN;
            return;
        }
        ret_shape->tail = read_request(&rest, request);
        if (ret_shape->tail != TAIL_NONE)
            return;
        ret_shape->count++;
        if (request->closes || request->chunked)
            return;
    }
}

/* ---- Answers ---- */

struct answer_head {
    unsigned lengths;
    size_t length;
    bool close;
};

static bool read_answer_field(struct text line, struct answer_head *head)
{
    struct text name, value = line;
    if (!read_field(line, NULL) || !cut(&value, ':', &name))
        return false;
    value = trim(value);
    if (same(name, "Content-Length")) {
        head->length = strtoul(value.at, NULL, 10);
        return all_of(value, DIGITS) && value.len < 10 && head->lengths++ == 0;
    }
    head->close |= same(name, "Connection") && same(value, "close");
    return !same(name, "Transfer-Encoding"); /* nmid has no use for it */
}

static bool read_answer(struct text *rest, unsigned *ret_status, struct answer_head *head)
{
    struct text line;
    memset(head, 0, sizeof *head);
    if (take_line(rest, &line) != LINE_WHOLE || line.len < 13 ||
        memcmp(line.at, "HTTP/1.", 7) != 0 || line.at[8] != ' ' || line.at[12] != ' ' ||
        !all_of((struct text){line.at + 9, 3}, DIGITS))
        return false;
    *ret_status = (unsigned)strtoul(line.at + 9, NULL, 10);
    for (;;) {
        if (take_line(rest, &line) != LINE_WHOLE)
            return false;
        if (line.len == 0)
            return true;
        if (!read_answer_field(line, head))
            return false;
    }
}

/* Of a request that is bent nobody knows whether it was a HEAD. */
static bool skip_body(struct text *rest, const struct answer_head *head, bool sure, bool no_body)
{
    if (no_body || (!sure && rest->len == 0))
        return true;
    if (rest->len < head->length)
        return false;
    rest->at += head->length;
    rest->len -= head->length;
    return true;
}

/* libmicrohttpd 0.9.75 sends the head of its answer to a malformed Content-Length twice (and
 * closes). */
bool shape_answers(const char *bytes, size_t len, const struct shape *shape,
                   struct shape_answer answers[SHAPE_MAX + 1], size_t *ret_count)
{
    struct text rest = {bytes, len};
    *ret_count = 0;
    while (rest.len > 0) {
        struct answer_head head;
        const struct text from = rest;
        struct shape_answer *answer = &answers[*ret_count];
        const struct shape_request *request = &shape->requests[*ret_count];
        bool sure = *ret_count < shape->count;
        if (*ret_count > SHAPE_MAX || !read_answer(&rest, &answer->status, &head))
            return false;
        if (answer->status == 100) {
            if (sure && !request->expects)
                return false;
            continue;
        }
        answer->close = head.close;
        if (head.lengths != 1 && answer->status != 204)
            return false;
        struct text whole = {from.at, from.len - rest.len};
        if (head.close && answer->status >= 400 && rest.len >= whole.len &&
            memcmp(whole.at, rest.at, whole.len) == 0)
            rest = (struct text){rest.at + whole.len, rest.len - whole.len};
        if (!skip_body(&rest, &head, sure, sure && request->head))
            return false;
        (*ret_count)++;
    }
    return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing the guards: the bytes are the head of a request, split as a lenient server would. What
 * the guards let through must be what they promise. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "http/guard.h"
#include "http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Cuts one piece off *text, up to the character; an empty one at the end. */
static char *cut(char **text, const char *at)
{
    char *piece = *text;
    size_t len = strcspn(piece, at);
    *text += len;
    if (**text != '\0')
        *(*text)++ = '\0';
    return piece;
}

static size_t split_fields(char *text, struct guard_field *fields)
{
    size_t count = 0;
    while (*text != '\0' && count < GUARD_FIELDS_MAX) {
        char *line = cut(&text, "\n");
        char *name = cut(&line, ":");
        line += strspn(line, " \t");
        fields[count].name = name;
        fields[count].name_len = strlen(name);
        fields[count].value = line;
        fields[count].value_len = strlen(line);
        count++;
    }
    return count;
}

static unsigned count_of(const struct guard_head *head, const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < head->count; i++)
        count += strcasecmp(head->fields[i].name, name) == 0;
    return count;
}

static void check_accepted(const struct guard_head *head, const struct guard_body *body)
{
    unsigned lengths = count_of(head, "Content-Length");
    unsigned encodings = count_of(head, "Transfer-Encoding");
    require(head->target[0] == '/' && strpbrk(head->target, " \t\r\n\"<>\\^`{|}#") == NULL);
    require(lengths + encodings <= 1);
    require(body->chunked == (encodings == 1));
    require(count_of(head, "Host") <= 1);
    require(count_of(head, "Host") == 1 || strcmp(head->version, "HTTP/1.0") == 0);
    for (size_t i = 0; i < head->count; i++) {
        require(head->fields[i].name_len > 0);
        require(strpbrk(head->fields[i].name, " \t\r\n") == NULL);
        require(strpbrk(head->fields[i].value, "\r\n\x01\x7f") == NULL);
    }
}

static void check_route(const char *target)
{
    struct route_match match;
    if (!route_matches("/v2.1/servers/{id}/action", target, &match))
        return;
    require(match.count == 1 && match.params[0].raw[0] != '\0');
    require(strchr(match.params[0].text, '/') == NULL && strchr(match.params[0].raw, '/') == NULL);
    route_match_free(&match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard_field fields[GUARD_FIELDS_MAX];
    char *text = strndup((const char *)data, size), *rest = text;
    struct guard_head head = {.fields = fields, .own_address = "127.0.0.1"};
    require(text != NULL);
    char *line = cut(&rest, "\n");
    head.method = cut(&line, " ");
    head.target = cut(&line, " ");
    head.version = line;
    head.count = split_fields(rest, fields);
    for (int foreign = 0; foreign < 3; foreign++) {
        struct guard_body body = {0};
        struct fault fault = {0};
        unsigned status = 0;
        head.refuse_foreign = foreign == 1;
        head.same_origin = foreign == 2;
        if (guard_check(&head, &body, &status, &fault) == 0)
            check_accepted(&head, &body);
        else
            require(fault.code != FAULT_NONE && (status == 400 || status == 403 || status == 415 ||
                                                 status == 417 || status == 421));
    }
    check_route(head.target);
    free(text);
    return 0;
}

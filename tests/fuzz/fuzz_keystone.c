/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keystone's answers: what is taken has an id that can be kept and compared, and times in order;
 * what is not has a reason without anything of the answer in it. And the first line as a token and
 * as a time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/keystone_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_printable(const char *text, size_t max)
{
    require(text != NULL && text[0] != '\0' && strlen(text) <= max);
    for (; *text != '\0'; text++)
        require((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_token(const uint8_t *data, size_t size)
{
    struct keystone_token token;
    struct fault fault = {0};
    if (keystone_parse_token((const char *)data, size, &token, &fault) < 0) {
        require(fault.code == FAULT_IDENTITY && strstr(fault.message, "not understood") != NULL);
        return;
    }
    require(fault.code == FAULT_NONE);
    check_printable(token.user_id, 255);
    check_printable(token.user, 1020);
    require((token.project_id != NULL) == (token.scope == KEYSTONE_PROJECT));
    if (token.project_id != NULL)
        check_printable(token.project_id, 255);
    require(0 <= token.issued_at && token.issued_at < token.expires_at);
    for (size_t i = 0; i < token.roles.count; i++)
        require(token.roles.names[i] != NULL);
    if (keystone_token_useless(&token) == NULL)
        require(!token.access_rules &&
                (token.scope == KEYSTONE_PROJECT || token.scope == KEYSTONE_SYSTEM));
    keystone_token_clear(&token);
}

static void check_line(const char *line)
{
    int64_t us = -1;
    if (keystone_is_token(line))
        require(strlen(line) <= KEYSTONE_TOKEN_MAX && strpbrk(line, " \t\r\n") == NULL);
    if (keystone_parse_time(line, &us) == 0)
        require(us >= 0 && us <= INT64_C(253402300800) * 1000000);
    else
        require(us == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    require(line != NULL);
    memcpy(line, data, size);
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    check_line(line);
    free(line);
    check_token(data, size);
    return 0;
}

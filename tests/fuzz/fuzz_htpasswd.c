/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing: the bytes are a file of users. What is taken has only hashes that crypt_r() knows, each
 * found under its name; what is not says why, without a part of the file. */
#include <crypt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/htpasswd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report errors = {0};
    struct htpasswd *users = htpasswd_parse("f", (const char *)data, size, &errors);
    require((users == NULL) == (errors.count > 0));
    for (size_t i = 0; i < errors.count; i++)
        require(strncmp(errors.lines[i], "f:", 2) == 0 && strchr(errors.lines[i], '\n') == NULL);
    for (size_t i = 0; users != NULL && i < htpasswd_count(users); i++) {
        const char *hash = htpasswd_decoy(users, i);
        require(strlen(hash) == HTPASSWD_HASH_LEN && hash[0] == '$' && hash[1] == '2');
        /* A salt that it does not take is a method that it does not know. */
        require(crypt_checksalt(hash) == CRYPT_SALT_OK);
    }
    htpasswd_free(users);
    report_clear(&errors);
    return 0;
}

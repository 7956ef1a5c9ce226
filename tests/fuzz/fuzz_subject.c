/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subjects of certificates. What has been brought into its one form stays as it is when that is
 * done again, is no longer than it may be, and holds no control character. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {0};
    char *text = malloc(size + 1);
    char *once = malloc(SUBJECT_MAX),
         *twice = malloc(SUBJECT_MAX); /* a sanitizer sees their ends */
    memcpy(text, data, size);
    text[size] = '\0';
    if (subject_normalise(text, once, &fault) == 0) {
        require(strlen(once) > 0 && strlen(once) < SUBJECT_MAX);
        for (const char *at = once; *at != '\0'; at++)
            require((unsigned char)*at >= ' ' && *at != 0x7f);
        require(subject_normalise(once, twice, NULL) == 0);
        require(strcmp(once, twice) == 0);
        (void)subject_looks_turned(once);
    } else {
        require(fault.code == FAULT_CONF && fault.message[0] != '\0');
    }
    free(text);
    free(once);
    free(twice);
    return 0;
}

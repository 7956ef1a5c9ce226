/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times from callers. What is taken is the same time when nmid writes it and reads it again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t wall_us = 0, again = 0;
    char text[CLOCK_TEXT_MAX], *input = malloc(size + 1);
    memcpy(input, data, size);
    input[size] = '\0';
    /* An offset may reach into the year 10000, which nmid does not write. */
    if (when_parse(input, &wall_us) == 0 && wall_us < INT64_C(253402300800000000)) {
        if (when_parse(clock_text(wall_us, text), &again) < 0 || again != wall_us)
            abort();
    }
    free(input);
    return 0;
}

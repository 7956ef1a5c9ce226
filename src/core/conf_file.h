/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files of the configuration: each is opened once, judged by its descriptor, read whole within
 * a limit, and wiped after use. Of core's conf*.c, info.c and htpasswd_file.c only. */
#ifndef NMID_CORE_CONF_FILE_H
#define NMID_CORE_CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fault.h"

struct conf_text {
    char *bytes; /* len bytes, then a NUL */
    size_t len;
    bool public; /* readable by others */
};

/* Reads a regular file of at most max bytes. The fault's message leaves the path out. */
int conf_file_read(const char *path, size_t max, struct conf_text *ret_text, struct fault *fault);

/* Wipes and frees the bytes. */
void conf_text_wipe(struct conf_text *text);

/* path, or when it is relative, path beside the file it was written in. NULL when memory is out. */
char *conf_path(const char *file, const char *path);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files of the configuration: each is opened once, judged by its descriptor, read whole within
 * a limit, and wiped after use. Of core's conf*.c, info.c, htpasswd_file.c and tls.c only. */
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

/* Wipes and frees the bytes, which are of vault_take(). */
void conf_text_wipe(struct conf_text *text);

/* Into a new string: path; when it is relative, path beside the file it was written in; and
 * "$CREDENTIALS_DIRECTORY/NAME" is the credential of that name which systemd has put there
 * (systemd.exec(5), LoadCredential=). No other variable is expanded. */
int conf_path(const char *file, const char *path, char **ret_path, struct fault *fault);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void state_dir_make(char dir[STATE_DIR_MAX])
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > STATE_DIR_MAX - 20)
        base = "/tmp";
    snprintf(dir, STATE_DIR_MAX, "%s/nmid-XXXXXX", base);
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        abort();
    }
}

void state_dir_remove(const char *dir)
{
    char path[STATE_DIR_MAX + 260];
    DIR *open = opendir(dir);
    for (struct dirent *entry; open != NULL && (entry = readdir(open)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (strncmp(entry->d_name, "nmid.", 5) == 0)
            unlink(path);
    }
    if (open != NULL)
        closedir(open);
    rmdir(dir);
}

struct journal *state_dir_journal(const char *dir, struct loop *loop, size_t history,
                                  struct fault *fault)
{
    const struct journal_settings settings = {dir, history, 0};
    return journal_new(loop, &settings, fault);
}

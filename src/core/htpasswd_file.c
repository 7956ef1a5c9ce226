/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of users, which is read again when it has changed. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/conf_file.h"
#include "core/htpasswd.h"

#define FILE_MAX        ((size_t)2 << 20)
#define LOOK_EVERY_US   1000000
#define SETTLED_AFTER_S 2

/* By what a change is seen. */
struct looks {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, written; /* a chmod is a change too */
};

struct htpasswd_file {
    char *path;
    struct htpasswd *users;
    struct looks looks; /* when it was read last, well or not */
    bool settled;       /* these looks were old enough to be told from those of a later change */
    bool broken;        /* and the log has said so */
    int64_t look_next_us;
};

/* All zero when there is no such file. */
static void look(const char *path, struct looks *ret_looks)
{
    struct stat st;
    memset(ret_looks, 0, sizeof *ret_looks);
    if (stat(path, &st) < 0)
        return;
    ret_looks->device = st.st_dev;
    ret_looks->inode = st.st_ino;
    ret_looks->size = st.st_size;
    ret_looks->changed = st.st_ctim;
    ret_looks->written = st.st_mtim;
}

/* The clock of files is coarse: what was written within its last tick may change once more without
 * another look. */
static bool is_settled(const struct looks *looks)
{
    int64_t age_s = clock_wall_us() / 1000000 - (int64_t)looks->changed.tv_sec;
    return age_s > SETTLED_AFTER_S || age_s < -SETTLED_AFTER_S;
}

static struct htpasswd *read_users(const char *path, struct report *errors)
{
    struct conf_text text;
    struct fault fault = {0};
    struct htpasswd *users = NULL;
    if (conf_file_read(path, FILE_MAX, &text, &fault) < 0) {
        report_add(errors, path, 0, "%s", fault.message);
        return NULL;
    }
    if (text.public)
        report_add(errors, path, 0,
                   "the file holds the hashes of passwords and is readable by others: chmod o-r %s",
                   path);
    else
        users = htpasswd_parse(path, text.bytes, text.len, errors);
    conf_text_wipe(&text);
    return users;
}

struct htpasswd_file *htpasswd_file_new(const char *path, struct report *errors)
{
    struct htpasswd_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        report_add(errors, path, 0, "out of memory");
        htpasswd_file_free(file);
        return NULL;
    }
    look(path, &file->looks); /* before it is read: what changes meanwhile is seen later */
    file->settled = is_settled(&file->looks);
    file->look_next_us = clock_mono_us() + LOOK_EVERY_US;
    if ((file->users = read_users(path, errors)) != NULL)
        return file;
    htpasswd_file_free(file);
    return NULL;
}

void htpasswd_file_free(struct htpasswd_file *file)
{
    if (file == NULL)
        return;
    htpasswd_free(file->users);
    free(file->path);
    free(file);
}

static void take(struct htpasswd_file *file, struct htpasswd *users)
{
    htpasswd_free(file->users);
    file->users = users;
    if (file->broken)
        log_info("%s: good again", file->path);
    file->broken = false;
}

static void complain(struct htpasswd_file *file, const struct report *errors)
{
    if (!file->broken)
        log_error("%s%s; the users of before stay in force",
                  errors->count > 0 ? errors->lines[0] : file->path,
                  errors->count > 1 ? " (and more)" : "");
    file->broken = true;
}

static void read_again(struct htpasswd_file *file)
{
    struct report errors = {0};
    struct htpasswd *users = read_users(file->path, &errors);
    if (users == NULL)
        complain(file, &errors);
    else if (htpasswd_count(users) == 0 && !file->settled)
        htpasswd_free(users); /* somebody writes it just now, and has emptied it before */
    else
        take(file, users);
    report_clear(&errors);
}

const struct htpasswd *htpasswd_file_users(struct htpasswd_file *file)
{
    int64_t now_us = clock_mono_us();
    struct looks looks;
    if (now_us < file->look_next_us)
        return file->users;
    file->look_next_us = now_us + LOOK_EVERY_US;
    look(file->path, &looks);
    if (file->settled && memcmp(&looks, &file->looks, sizeof looks) == 0)
        return file->users;
    file->looks = looks;
    file->settled = is_settled(&looks);
    read_again(file);
    return file->users;
}

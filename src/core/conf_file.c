/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a configuration or secret file. What is checked is the descriptor, never the path again,
 * so that nobody can swap the file in between; and its bytes are read into the memory of secrets.
 */
#include "core/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/vault.h"

/* Reads until the end of the file or room bytes; -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t room)
{
    size_t len = 0;
    while (len < room) {
        ssize_t n = read(fd, bytes + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int read_open(int fd, size_t max, struct conf_text *ret_text, struct fault *fault)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fault_set(fault, FAULT_SYSTEM, "cannot stat: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fault_set(fault, FAULT_CONF, "not a regular file");
    if ((unsigned long long)st.st_size > max)
        return fault_set(fault, FAULT_CONF, "larger than %zu bytes", max);

    size_t size = (size_t)st.st_size;
    char *bytes =
        vault_take(size + 2); /* one more than expected, to see that it grew, and the NUL */
    if (bytes == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    ssize_t len = read_all(fd, bytes, size + 1);
    if (len < 0 || (size_t)len > size) {
        int error = errno;
        vault_give(bytes);
        if (len < 0)
            return fault_set(fault, FAULT_SYSTEM, "cannot read: %s", strerror(error));
        return fault_set(fault, FAULT_CONF, "it grew while it was read");
    }
    bytes[len] = '\0';
    *ret_text = (struct conf_text){bytes, (size_t)len, (st.st_mode & S_IROTH) != 0};
    return 0;
}

int conf_file_read(const char *path, size_t max, struct conf_text *ret_text, struct fault *fault)
{
    /* O_NONBLOCK: a FIFO must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fault_set(fault, FAULT_CONF, "cannot open: %s", strerror(errno));
    int result = read_open(fd, max, ret_text, fault);
    close(fd);
    return result;
}

void conf_text_wipe(struct conf_text *text)
{
    vault_give(text->bytes);
    text->bytes = NULL;
    text->len = 0;
}

/* ---- Paths ---- */

#define CREDENTIALS "$CREDENTIALS_DIRECTORY"

/* The file of a credential of systemd's. Its name is systemd's too (systemd.exec(5),
 * LoadCredential=): of one part, so that it cannot lead out of the directory. */
static char *credential_path(const char *name, struct fault *fault)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;
    if (name[0] != '/' || name[1] == '\0' || name[1] == '.' || strchr(name + 1, '/') != NULL)
        fault_set(fault, FAULT_CONF,
                  "expected " CREDENTIALS "/NAME, with the name of a credential (one part, which "
                  "does not begin with a dot)");
    else if (dir == NULL || dir[0] != '/')
        fault_set(fault, FAULT_CONF,
                  "the environment has no CREDENTIALS_DIRECTORY: is there a LoadCredential= in the "
                  "unit, and does systemd start nmid?");
    else if (asprintf(&path, "%s%s", dir, name) < 0)
        path = NULL;
    return path;
}

int conf_path(const char *file, const char *path, char **ret_path, struct fault *fault)
{
    static const char prefix[] = CREDENTIALS;
    const char *slash = strrchr(file, '/');
    char *made = NULL;
    if (strncmp(path, prefix, sizeof prefix - 1) == 0)
        made = credential_path(path + sizeof prefix - 1, fault);
    else if (path[0] == '/' || slash == NULL)
        made = strdup(path);
    else if (asprintf(&made, "%.*s/%s", (int)(slash - file), file, path) < 0)
        made = NULL;
    if (made == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory"); /* unless it is set */
    *ret_path = made;
    return 0;
}

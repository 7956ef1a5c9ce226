/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRY_MAX 16384

struct record {
    int fd;
    struct sockaddr_un address;
};

struct entry {
    size_t len;
    char bytes[ENTRY_MAX];
};

bool record_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device = 0, inode = 0;
    struct stat status;
    return stream != NULL && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && (uintmax_t)status.st_dev == device &&
           (uintmax_t)status.st_ino == inode;
}

struct record *record_new(const char *path)
{
    struct record *record = calloc(1, sizeof *record);
    if (record == NULL)
        return NULL;
    record->address.sun_family = AF_UNIX;
    record->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (record->fd >= 0 && strlen(path) < sizeof record->address.sun_path) {
        memcpy(record->address.sun_path, path, strlen(path) + 1);
        return record;
    }
    record_free(record);
    return NULL;
}

void record_free(struct record *record)
{
    if (record == NULL)
        return;
    if (record->fd >= 0)
        close(record->fd);
    free(record);
}

static bool put(struct entry *entry, const char *bytes, size_t len)
{
    if (len > ENTRY_MAX - entry->len)
        return false;
    memcpy(entry->bytes + entry->len, bytes, len);
    entry->len += len;
    return true;
}

static bool put_value(struct entry *entry, const char *value)
{
    static const char hex[] = "0123456789abcdef";
    for (const char *p = value; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        const char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        bool control = c < 0x20 || c == 0x7f;
        if (!put(entry, control ? escaped : p, control ? sizeof escaped : 1))
            return false;
    }
    return true;
}

/* "NAME=value\n"; one that does not fit is left out. */
static void put_field(struct entry *entry, const struct record_field *field)
{
    size_t before = entry->len;
    if (field->value == NULL)
        return;
    if (!put(entry, field->name, strlen(field->name)) || !put(entry, "=", 1) ||
        !put_value(entry, field->value) || !put(entry, "\n", 1))
        entry->len = before;
}

int record_send(struct record *record, const struct record_field *fields, size_t count)
{
    struct entry entry;
    entry.len = 0;
    for (size_t i = 0; i < count; i++)
        put_field(&entry, &fields[i]);
    /* With its address each time: a journal that was started anew has another socket there. */
    ssize_t sent = sendto(record->fd, entry.bytes, entry.len, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&record->address, sizeof record->address);
    return sent == (ssize_t)entry.len ? 0 : -1;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fault_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECKPOINT_PAGES 12 /* SQLite's own is 1000 */

struct fault_vfs fault_vfs;

/* ---- What would survive ---- */

struct bytes {
    unsigned char *at;
    size_t len;
};

/* One write or (data.at == NULL) truncation that was not fsync()ed. */
struct change {
    size_t offset;
    struct bytes data;
};

struct shadow {
    char name[64]; /* without the directory */
    bool deleted;
    struct bytes synced;
    struct change *changes;
    size_t count;
};

#define SHADOWS 8

static struct shadow shadows[SHADOWS];

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void resize(struct bytes *bytes, size_t len)
{
    bytes->at = must(realloc(bytes->at, len + 1));
    if (len > bytes->len)
        memset(bytes->at + bytes->len, 0, len - bytes->len);
    bytes->len = len;
}

static void apply(struct bytes *bytes, const struct change *change)
{
    if (change->data.at == NULL) {
        if (change->offset < bytes->len)
            resize(bytes, change->offset);
        return;
    }
    if (change->offset + change->data.len > bytes->len)
        resize(bytes, change->offset + change->data.len);
    memcpy(bytes->at + change->offset, change->data.at, change->data.len);
}

static void forget_changes(struct shadow *shadow)
{
    for (size_t i = 0; i < shadow->count; i++)
        free(shadow->changes[i].data.at);
    free(shadow->changes);
    shadow->changes = NULL;
    shadow->count = 0;
}

static struct shadow *shadow_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    for (int i = 0; i < SHADOWS; i++) {
        if (shadows[i].name[0] == '\0')
            snprintf(shadows[i].name, sizeof shadows[i].name, "%s", name);
        if (strcmp(shadows[i].name, name) == 0)
            return &shadows[i];
    }
    abort();
}

static void shadow_change(struct shadow *shadow, size_t offset, const void *data, size_t len)
{
    shadow->changes =
        must(reallocarray(shadow->changes, shadow->count + 1, sizeof *shadow->changes));
    struct change *change = &shadow->changes[shadow->count++];
    *change = (struct change){.offset = offset};
    if (data == NULL)
        return;
    change->data.at = must(malloc(len + 1));
    change->data.len = len;
    memcpy(change->data.at, data, len);
}

static void shadow_sync(struct shadow *shadow)
{
    shadow->deleted = false;
    for (size_t i = 0; i < shadow->count; i++)
        apply(&shadow->synced, &shadow->changes[i]);
    forget_changes(shadow);
}

/* The system may have written any of the rest by itself, in any order. */
static void write_out(const char *dir, const struct shadow *shadow, unsigned *seed)
{
    char path[1024];
    struct bytes left = {0};
    resize(&left, shadow->synced.len);
    if (left.len > 0)
        memcpy(left.at, shadow->synced.at, left.len);
    for (size_t i = 0; *seed != 0 && i < shadow->count; i++) {
        if (rand_r(seed) & 0x10)
            apply(&left, &shadow->changes[i]);
    }
    snprintf(path, sizeof path, "%s/%s", dir, shadow->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, left.at, left.len) != (ssize_t)left.len)
        abort();
    close(fd);
    free(left.at);
}

void fault_vfs_power_loss(const char *dir, unsigned seed)
{
    char path[1024];
    for (int i = 0; i < SHADOWS && shadows[i].name[0] != '\0'; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, shadows[i].name);
        unlink(path);
        bool some = shadows[i].synced.len > 0 || (seed != 0 && shadows[i].count > 0);
        if (!shadows[i].deleted && some)
            write_out(dir, &shadows[i], &seed);
    }
    snprintf(path, sizeof path, "%s/nmid.db-shm", dir);
    unlink(path);
}

void fault_vfs_reset(void)
{
    for (int i = 0; i < SHADOWS; i++) {
        forget_changes(&shadows[i]);
        free(shadows[i].synced.at);
        shadows[i] = (struct shadow){0};
    }
    fault_vfs = (struct fault_vfs){0};
}

/* ---- The faults ---- */

static bool is_due(unsigned kind)
{
    if ((fault_vfs.kinds & kind) == 0)
        return false;
    unsigned long call = ++fault_vfs.calls;
    if (fault_vfs.from == 0 || call < fault_vfs.from || call - fault_vfs.from >= fault_vfs.many)
        return false;
    fault_vfs.failed++;
    return true;
}

static int failure(int io_error)
{
    if (fault_vfs.die && fault_vfs.dead_dir != NULL)
        fault_vfs_power_loss(fault_vfs.dead_dir, fault_vfs.dead_seed);
    if (fault_vfs.die)
        _exit(FAULT_VFS_DEAD);
    return fault_vfs.full ? SQLITE_FULL : io_error;
}

/* ---- Files ---- */

struct file {
    sqlite3_file base;
    struct shadow *shadow;
    sqlite3_file *real; /* behind this */
};

static struct file *file_of(sqlite3_file *file)
{
    return (struct file *)file;
}

static int file_close(sqlite3_file *f)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xClose(real);
}

static int file_read(sqlite3_file *f, void *to, int len, sqlite3_int64 offset)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xRead(real, to, len, offset);
}

static int file_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 offset)
{
    struct file *file = file_of(f);
    sqlite3_file *real = file->real;
    bool fails = is_due(FAULT_VFS_WRITE);
    int some = !fails ? len : fault_vfs.full || fault_vfs.die ? len / 2 : 0;
    int code = some == 0 ? SQLITE_OK : real->pMethods->xWrite(real, from, some, offset);
    if (code == SQLITE_OK && some > 0)
        shadow_change(file->shadow, (size_t)offset, from, (size_t)some);
    return fails ? failure(SQLITE_IOERR_WRITE) : code;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct file *file = file_of(f);
    if (is_due(FAULT_VFS_WRITE))
        return failure(SQLITE_IOERR_TRUNCATE);
    shadow_change(file->shadow, (size_t)size, NULL, 0);
    return file->real->pMethods->xTruncate(file->real, size);
}

/* Its fsync() itself is left out: the tests' files need not outlive the machine. */
static int file_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    if (is_due(FAULT_VFS_SYNC))
        return failure(SQLITE_IOERR_FSYNC);
    shadow_sync(file_of(f)->shadow);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xFileSize(real, ret_size);
}

static int file_lock(sqlite3_file *f, int lock)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xLock(real, lock);
}

static int file_unlock(sqlite3_file *f, int lock)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xUnlock(real, lock);
}

static int file_check_lock(sqlite3_file *f, int *ret_lock)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xCheckReservedLock(real, ret_lock);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xFileControl(real, op, arg);
}

static int file_sector(sqlite3_file *f)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xSectorSize(real);
}

static int file_traits(sqlite3_file *f)
{
    (void)f;
    return 0; /* a disk that promises nothing: no atomic writes, no order, no safe append */
}

static int file_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret_map)
{
    sqlite3_file *real = file_of(f)->real;
    if (extend && is_due(FAULT_VFS_WRITE))
        return failure(SQLITE_IOERR_SHMSIZE);
    return real->pMethods->xShmMap(real, region, size, extend, ret_map);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xShmLock(real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    sqlite3_file *real = file_of(f)->real;
    real->pMethods->xShmBarrier(real);
}

static int file_shm_unmap(sqlite3_file *f, int remove_it)
{
    sqlite3_file *real = file_of(f)->real;
    return real->pMethods->xShmUnmap(real, remove_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The VFS ---- */

static sqlite3_vfs *system_vfs, ours;

/* What a file has when it is first opened was written by somebody before. */
static void shadow_begin(struct file *file)
{
    struct bytes *synced = &file->shadow->synced;
    sqlite3_int64 size = 0;
    if (synced->len > 0 || file->shadow->count > 0 || file_size(&file->base, &size) != SQLITE_OK ||
        size == 0)
        return;
    resize(synced, (size_t)size);
    if (file_read(&file->base, synced->at, (int)size, 0) != SQLITE_OK)
        abort();
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret_flags)
{
    struct file *file = file_of(f);
    (void)vfs;
    f->pMethods = NULL;
    if (path == NULL)
        return SQLITE_CANTOPEN; /* a temporary file: the journal needs none */
    if (is_due(FAULT_VFS_OPEN))
        return failure(SQLITE_CANTOPEN);
    file->shadow = shadow_of(path);
    file->real = (sqlite3_file *)(file + 1);
    int code = system_vfs->xOpen(system_vfs, path, file->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    f->pMethods = &methods;
    shadow_begin(file);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    struct shadow *shadow = shadow_of(path);
    (void)vfs;
    (void)sync;
    if (is_due(FAULT_VFS_WRITE))
        return failure(SQLITE_IOERR_DELETE);
    shadow->deleted = true;
    shadow->synced.len = 0;
    forget_changes(shadow);
    return system_vfs->xDelete(system_vfs, path, 0);
}

/* Checkpoints, and with them a WAL that begins again, within a small scenario. */
static int on_connection(sqlite3 *connection, const char **ret_error, const void *api)
{
    (void)ret_error;
    (void)api;
    return sqlite3_wal_autocheckpoint(connection, CHECKPOINT_PAGES);
}

void fault_vfs_install(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    if (system_vfs == NULL)
        abort();
    ours = *system_vfs;
    ours.zName = "fault";
    ours.pNext = NULL;
    ours.szOsFile += (int)sizeof(struct file);
    ours.xOpen = vfs_open;
    ours.xDelete = vfs_delete;
    if (sqlite3_vfs_register(&ours, 1) != SQLITE_OK ||
        sqlite3_auto_extension((void (*)(void))on_connection) != SQLITE_OK)
        abort();
}

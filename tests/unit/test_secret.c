/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of secrets: locked, left out of core dumps, wiped when it is given back, and cheap;
 * and a heap that wipes what is freed. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/secret.h"
#include "base/vault.h"

/* What lies there now, whoever has it: without a use after free that a compiler could see. */
static void peek(uintptr_t at, void *bytes, size_t len)
{
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, len, (off_t)at), len);
    close(fd);
}

/* The number behind "NAME:" in a file of /proc/self. */
static long proc_number(const char *file, const char *name)
{
    char line[256];
    long number = -1;
    FILE *stream = fopen(file, "re");
    assert_non_null(stream);
    while (number < 0 && fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtol(line + strlen(name) + 1, NULL, 10);
    }
    fclose(stream);
    return number;
}

/* The flags of the mapping that this address is in, as smaps has them. */
static void mapping_flags(const void *address, char *flags, size_t size)
{
    char line[256];
    unsigned long start, end;
    bool here = false;
    FILE *stream = fopen("/proc/self/smaps", "re");
    assert_non_null(stream);
    flags[0] = '\0';
    while (fgets(line, sizeof line, stream) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = (uintptr_t)address >= start && (uintptr_t)address < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, size, "%s", line + 8);
    }
    fclose(stream);
}

static bool is_zero(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static const size_t sizes[] = {0,   1,    16,   31,   32,   33,    100,   256,   257,
                               900, 2048, 2049, 4096, 8000, 65472, 65473, 200000};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void test_every_size(void **state)
{
    unsigned char *taken[SIZES];
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        taken[i] = vault_take(sizes[i]);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % 16, 0);
        assert_true(is_zero(taken[i], sizes[i]));
        memset(taken[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(taken[i][at], i + 1); /* nobody else's */
        vault_give(taken[i]);
    }
    for (size_t i = 0; i < SIZES; i++) { /* the same places again, and zeros again */
        taken[i] = vault_take(sizes[i]);
        assert_true(is_zero(taken[i], sizes[i]));
        memset(taken[i], 0xff, sizes[i]);
    }
    for (size_t i = 0; i < SIZES; i++)
        vault_give(taken[i]);
    vault_give(NULL);
    assert_null(secret_new(NULL, SIZE_MAX));
    if (!vault_locks())
        return; /* the sanitizer ends who asks for so much */
    assert_null(vault_take(SIZE_MAX));
    assert_null(vault_take(SIZE_MAX / 2 - 1));
}

static void test_wiped(void **state)
{
    unsigned char bytes[40];
    (void)state;
    if (!vault_locks())
        skip();
    struct secret *stays = secret_new("x", 1);
    struct secret *secret = secret_new("a password of its own, forty bytes long", 40);
    uintptr_t at = (uintptr_t)secret->bytes;
    peek(at, bytes, sizeof bytes);
    assert_memory_equal(bytes, "a password of its own, forty bytes long", 40);
    secret_free(secret);
    peek(at, bytes, sizeof bytes);
    assert_true(is_zero(bytes, sizeof bytes));
    secret_free(stays);
}

static void test_locked(void **state)
{
    char flags[256];
    (void)state;
    if (!vault_locks() || !vault_locked())
        skip();
    struct secret *small = secret_new("small", 5), *large = secret_new(NULL, 20000);
    struct secret *both[] = {small, large};
    for (size_t i = 0; i < 2; i++) {
        mapping_flags(both[i], flags, sizeof flags);
        assert_non_null(strstr(flags, " lo")); /* locked */
        assert_non_null(strstr(flags, " dd")); /* not dumped */
    }
    mapping_flags(flags, flags, sizeof flags); /* the stack is neither */
    assert_null(strstr(flags, " dd"));
    assert_true(proc_number("/proc/self/status", "VmLck") > 0);
    secret_free(small);
    secret_free(large);
}

/* 10,000 nodes with a password and a K_g each. */
static void test_cheap(void **state)
{
    enum { COUNT = 20000 };
    static struct secret *secrets[COUNT];
    (void)state;
    if (!vault_locks() || !vault_locked())
        skip();
    memset(secrets, 0xff, sizeof secrets); /* its own pages count before */
    long locked = proc_number("/proc/self/status", "VmLck");
    long before = proc_number("/proc/self/status", "VmRSS");
    for (int i = 0; i < COUNT; i++)
        secrets[i] = secret_new("sixteen bytes !!and 4", i % 2 == 0 ? 16 : 20);
    long grown = proc_number("/proc/self/status", "VmRSS") - before;
    long grown_locked = proc_number("/proc/self/status", "VmLck") - locked;
    print_message("20,000 secrets: %ld KiB resident, %ld KiB locked\n", grown, grown_locked);
    assert_in_range(grown, 300, 1100);
    assert_in_range(grown_locked, 300, 1100);
    for (int i = 0; i < COUNT; i++)
        secret_free(secrets[(i * 7919) % COUNT]); /* in another order */
    assert_in_range(proc_number("/proc/self/status", "VmLck"), locked, locked + 64);
}

/* Runs it in a child; what wait() tells of its end. */
static int in_child(void (*run)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {1, 1};
        setrlimit(RLIMIT_CORE, &none);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void without_locks(void)
{
    const struct rlimit none = {0, 0};
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        _exit(77);
    setrlimit(RLIMIT_MEMLOCK, &none);
    struct secret *secret = secret_new("still kept", 10);
    struct secret *large = secret_new(NULL, 100000);
    bool good = secret != NULL && large != NULL && memcmp(secret->bytes, "still kept", 11) == 0 &&
                !vault_locked() && !vault_lock_process();
    secret_free(secret);
    secret_free(large);
    _exit(good ? 0 : 1);
}

/* Nothing to lock with: it goes on, and says so. */
static void test_no_locks(void **state)
{
    (void)state;
    if (!vault_locks())
        skip();
    int status = in_child(without_locks);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void give_what_is_not_ours(void)
{
    static _Alignas(65536) unsigned char foreign[65536 + 100];
    vault_give(foreign + 64);
}

static void give_the_middle(void)
{
    unsigned char *bytes = vault_take(100);
    vault_give(bytes + 16);
}

static void test_foreign(void **state)
{
    (void)state;
    if (!vault_locks())
        skip();
    int status = in_child(give_what_is_not_ours);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    status = in_child(give_the_middle);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void *many_times(void *arg)
{
    enum { HELD = 64, TURNS = 20000 };
    unsigned char *held[HELD] = {NULL};
    size_t lens[HELD] = {0};
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int turn = 0; turn < TURNS; turn++) {
        int at = rand_r(&seed) % HELD;
        for (size_t i = 0; held[at] != NULL && i < lens[at]; i++) {
            if (held[at][i] != (unsigned char)(at + (int)(uintptr_t)arg))
                return (void *)"somebody else wrote here";
        }
        vault_give(held[at]);
        lens[at] = (size_t)rand_r(&seed) % (turn % 100 == 0 ? 9000 : 300);
        if ((held[at] = vault_take(lens[at])) == NULL || !is_zero(held[at], lens[at]))
            return (void *)"not fresh";
        memset(held[at], at + (int)(uintptr_t)arg, lens[at]);
    }
    for (int at = 0; at < HELD; at++)
        vault_give(held[at]);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_times, (void *)(i * 64 + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *what;
        assert_int_equal(pthread_join(threads[i], &what), 0);
        if (what != NULL)
            fail_msg("%s", (const char *)what);
    }
}

/* ---- The heap ---- */

static const char mark[] = "a-mark-that-nobody-else-writes-0123456789abcdef";

/* Are these bytes of the mark still there? The allocator itself writes into the first 16. */
static bool is_left(uintptr_t at, size_t from)
{
    char bytes[sizeof mark];
    peek(at, bytes, sizeof bytes);
    return memcmp(bytes + from, mark + from, sizeof mark - from) == 0;
}

static char *marked(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    memcpy(bytes, mark, sizeof mark);
    assert_true(is_left((uintptr_t)bytes, 0));
    return bytes;
}

/* False with a sanitizer, which has an allocator of its own. */
static bool heap_wipes(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    return vault_locks();
#endif
}

/* Whatever library it is that frees: the process has one free(). */
static void test_heap_is_wiped(void **state)
{
    static const size_t lens[] = {sizeof mark, 200, 1500, 20000};
    (void)state;
    if (!heap_wipes())
        skip();
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        char *bytes = marked(lens[i]), *behind = malloc(100); /* nothing is given to the kernel */
        uintptr_t at = (uintptr_t)bytes;
        free(bytes);
        assert_false(is_left(at, 16));
        bytes = marked(lens[i]);
        at = (uintptr_t)bytes;
        char *moved = realloc(bytes, lens[i] * 3);
        assert_non_null(moved);
        assert_memory_equal(moved, mark, sizeof mark);
        assert_true((uintptr_t)moved != at);
        assert_false(is_left(at, 16));
        moved = realloc(moved, lens[i] * 3 - 1); /* stays */
        assert_memory_equal(moved, mark, sizeof mark);
        at = (uintptr_t)moved;
        moved = realloc(moved, sizeof mark); /* goes, when it was much larger */
        assert_memory_equal(moved, mark, sizeof mark);
        free(moved);
        assert_false(is_left(at, 16));
        free(behind);
    }
    free(NULL);
    char *fresh = realloc(NULL, 10);
    assert_non_null(fresh);
    free(fresh);
}

/* What a library gives back, too: here the C library a stream's buffer. */
static void test_libraries_wipe(void **state)
{
    (void)state;
    if (!heap_wipes())
        skip();
    FILE *stream = fopen("/dev/null", "we");
    assert_non_null(stream);
    fputs(mark, stream);
    uintptr_t at = (uintptr_t)stream->_IO_buf_base;
    assert_true(is_left(at, 0));
    char *behind = malloc(100);
    fclose(stream);
    assert_false(is_left(at, 16));
    free(behind);
}

static void give_twice(void)
{
    void *bytes = malloc(100);
    void *volatile again = bytes;
    (void)!freopen("/dev/null", "we", stderr); /* glibc says why */
    memset(bytes, 'x', 100);
    free(bytes);
    free(again);
}

/* A piece of memory that is given back twice ends the process, wiped or not: else two owners got
 * it. */
static void test_twice_is_noticed(void **state)
{
    (void)state;
    if (!heap_wipes())
        skip();
    int status = in_child(give_twice);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* What a library lengthens step by step is not copied and wiped at each step. */
static void test_steps_are_cheap(void **state)
{
    enum { STEP = 256, END = 4 << 20 };
    unsigned char *bytes = NULL;
    unsigned moves = 0;
    (void)state;
    if (!heap_wipes())
        skip();
    for (size_t size = STEP; size <= END; size += STEP) {
        uintptr_t at = (uintptr_t)bytes;
        bytes = realloc(bytes, size);
        assert_non_null(bytes);
        moves += (uintptr_t)bytes != at;
        bytes[size - 1] = (unsigned char)(size / STEP);
    }
    for (size_t size = STEP; size <= END; size += STEP)
        assert_int_equal(bytes[size - 1], (unsigned char)(size / STEP));
    free(bytes);
    assert_in_range(moves, 1, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),     cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_locked),         cmocka_unit_test(test_cheap),
        cmocka_unit_test(test_no_locks),       cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_heap_is_wiped),
        cmocka_unit_test(test_libraries_wipe), cmocka_unit_test(test_twice_is_noticed),
        cmocka_unit_test(test_steps_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

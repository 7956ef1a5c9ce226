/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "http_basic" behind auth.h: who is let in and as whom, what is remembered and when it is
 * forgotten, equal log-ins at once, a full queue, and reloads and cancellations in between. Hashes
 * are real, of the least cost. The clock, the pool (whose worker works when the test says so) and
 * the audit are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/vault.h"
#include "core/audit.h"
#include "core/auth.h"
#include "loop/pool.h"

/* ---- The clock ---- */

static int64_t mono_us, wall_us;

int64_t clock_mono_us(void)
{
    return mono_us;
}

int64_t clock_wall_us(void)
{
    return wall_us;
}

char *clock_text(int64_t us, char text[CLOCK_TEXT_MAX])
{
    snprintf(text, CLOCK_TEXT_MAX, "%lld", (long long)us);
    return text;
}

static void later(int64_t us)
{
    mono_us += us;
    wall_us += us;
}

/* ---- The pool ---- */

struct job {
    loop_fn *work, *done;
    void *arg;
};

struct pool {
    struct job jobs[100];
    size_t count, max;
};

static struct pool *pool; /* the one there is */
static unsigned pools, worked;

struct pool *pool_new(struct loop *loop, unsigned threads, size_t queue_max, struct fault *fault)
{
    (void)loop, (void)threads, (void)fault;
    assert_null(pool);
    pool = calloc(1, sizeof *pool);
    pool->max = queue_max;
    pools++;
    return pool;
}

void pool_free(struct pool *self)
{
    if (self == NULL)
        return;
    assert_ptr_equal(self, pool);
    for (size_t i = 0; i < self->count; i++)
        self->jobs[i].done(self->jobs[i].arg); /* as the real one: what never ran, too */
    free(self);
    pool = NULL;
}

int pool_submit(struct pool *self, loop_fn *work, loop_fn *done, void *arg, struct fault *fault)
{
    if (self->count == self->max || self->count == 100)
        return fault_set(fault, FAULT_OVERLOADED, "too much waits for a worker");
    self->jobs[self->count++] = (struct job){work, done, arg};
    return 0;
}

int pool_submit_ranked(struct pool *self, unsigned rank, loop_fn *work, loop_fn *done, void *arg,
                       struct fault *fault)
{
    assert_int_equal(rank, POOL_RANKS - 1); /* nobody is trusted where nothing is counted */
    return pool_submit(self, work, done, arg, fault);
}

/* The worker takes the first job, and works. */
static void work(void)
{
    assert_true(pool->count > 0);
    pool->jobs[0].work(pool->jobs[0].arg);
    worked++;
}

/* The loop hears of it. */
static void finish(void)
{
    struct job job = pool->jobs[0];
    memmove(pool->jobs, pool->jobs + 1, --pool->count * sizeof job);
    job.done(job.arg);
}

static void work_all(void)
{
    while (pool->count > 0) {
        work();
        finish();
    }
}

/* ---- The audit ---- */

static struct {
    unsigned count;
    char message[FAULT_MESSAGE_MAX], user[64], claimed[64], address[64], ident[64];
    enum fault_code code;
} audited;

int audit_record(struct audit *audit, const struct audit_record *record)
{
    (void)audit;
    audited.count++;
    assert_string_equal(record->operation, "authenticate");
    assert_false(record->allowed);
    audited.code = record->code;
    snprintf(audited.message, sizeof audited.message, "%s", record->message);
    snprintf(audited.address, sizeof audited.address, "%s", record->address);
    snprintf(audited.ident, sizeof audited.ident, "%s", record->ident);
    snprintf(audited.user, sizeof audited.user, "%s",
             record->caller == NULL ? "" : record->caller->user);
    snprintf(audited.claimed, sizeof audited.claimed, "%s",
             record->claimed == NULL ? "" : record->claimed);
    if (record->caller != NULL)
        assert_string_equal(record->caller->address, record->address);
    return 0;
}

/* ---- One auth with alice, bob and carol; carol has no roles ---- */

static char dir[64], path[96];
static struct conf_auth conf;
static struct conf_policy policy;
static struct auth *auth;

static const char *hash_of(const char *password, const char *salt)
{
    static struct crypt_data data;
    char setting[64];
    snprintf(setting, sizeof setting, "$2y$04$%s", salt);
    return crypt_r(password, setting, &data);
}

#define SALT_1 "abcdefghijklmnopqrstuu"
#define SALT_2 "ABCDEFGHIJKLMNOPQRSTUu"

/* user, password, salt; ...; NULL */
static void write_users(const char *user, ...)
{
    va_list args;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    va_start(args, user);
    for (; user != NULL; user = va_arg(args, const char *)) {
        const char *password = va_arg(args, const char *);
        const char *salt = va_arg(args, const char *);
        dprintf(fd, "%s:%s\n", user, hash_of(password, salt));
    }
    va_end(args);
    close(fd);
}

static char *member[] = {(char *)"member"}, *admin[] = {(char *)"admin"},
            *reader[] = {(char *)"reader"};
static struct conf_user users[] = {
    {.name = (char *)"alice", .project_id = (char *)"demo", .roles = {member, 1}},
    {.name = (char *)"bob", .roles = {admin, 1}, .system = true},
};

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/nmid-test-basic-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/htpasswd", dir);
    mono_us = 1000000000;
    wall_us = (int64_t)time(NULL) * 1000000;
    worked = pools = 0;
    memset(&audited, 0, sizeof audited);
    write_users("alice", "wonderland", SALT_1, "bob", "builder", SALT_2, "carol", "sings", SALT_1,
                NULL);
    policy = (struct conf_policy){
        .roles = {
            [ROLE_READER] = {reader, 1}, [ROLE_MEMBER] = {member, 1}, [ROLE_ADMIN] = {admin, 1}}};
    conf = (struct conf_auth){.strategy = AUTH_HTTP_BASIC,
                              .users = users,
                              .user_count = 2,
                              .user_file = path,
                              .cache_s = 60};
    auth = auth_new(NULL, &conf, &policy, NULL, &pool, NULL);
    assert_non_null(auth);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(auth);
    pool_free(pool);
    assert_null(pool);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

/* As a reload does it: those that the old one sends away may come again to the new one. */
static int reload(const struct conf_auth *next, struct fault *fault)
{
    struct auth *old = auth, *opened = auth_new(NULL, next, &policy, NULL, &pool, fault);
    if (opened == NULL)
        return -1;
    auth = opened;
    auth_free(old);
    return 0;
}

/* ---- One who asks ---- */

struct asker {
    unsigned answers;
    enum fault_code code; /* FAULT_NONE: let in */
    char message[FAULT_MESSAGE_MAX];
    struct identity *identity;
    struct auth_call *call;
    void (*then)(struct asker *asker);
    struct asker *other;
};

static void on_done(void *arg, struct identity *identity, const struct fault *fault)
{
    struct asker *asker = arg;
    asker->answers++;
    asker->call = NULL;
    assert_true((identity == NULL) == (fault != NULL));
    identity_unref(asker->identity);
    asker->identity = identity == NULL ? NULL : identity_ref(identity);
    asker->code = fault == NULL ? FAULT_NONE : fault->code;
    snprintf(asker->message, sizeof asker->message, "%s", fault == NULL ? "" : fault->message);
    if (asker->then != NULL)
        asker->then(asker);
}

/* NULL user: no header. */
static void ask(struct asker *asker, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char pair[256] = "", header[400] = "Basic ", *out = header + 6;
    if (user != NULL)
        snprintf(pair, sizeof pair, "%s:%s", user, password);
    size_t len = strlen(pair);
    for (size_t i = 0; i < len; i += 3) {
        const unsigned char *p = (const unsigned char *)pair + i;
        unsigned bits = (unsigned)p[0] << 16 | (i + 1 < len ? (unsigned)p[1] << 8 : 0) |
                        (i + 2 < len ? p[2] : 0);
        for (unsigned j = 0; j < 4; j++)
            *out++ = i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    *out = '\0';
    const struct credentials credentials = {.address = "192.0.2.1",
                                            .authorization = user == NULL ? NULL : header,
                                            .token = "ignored",
                                            .contract = "nova",
                                            .method = "GET",
                                            .path = "/v2.1/servers"};
    unsigned before = asker->answers;
    asker->code = FAULT_CODES;
    struct auth_call *call = auth_check(auth, &credentials, on_done, asker);
    assert_int_equal(call == NULL ? 1 : 0, asker->answers - before);
    if (call != NULL)
        asker->call = call;
}

static void forget(struct asker *asker)
{
    identity_unref(asker->identity);
    *asker = (struct asker){0};
}

static void assert_code(const char *user, const char *password, enum fault_code code)
{
    struct asker asker = {0};
    ask(&asker, user, password);
    work_all();
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.code, code);
    forget(&asker);
}

/* ---- The tests ---- */

static void test_let_in(void **state)
{
    struct asker asker = {0};
    (void)state;
    assert_int_equal(auth_strategy(auth), AUTH_HTTP_BASIC);
    assert_string_equal(auth_challenge(auth), "Basic realm=\"Baremetal API\"");
    ask(&asker, "alice", "wonderland");
    assert_int_equal(asker.answers, 0);
    work_all();
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.code, FAULT_NONE);
    const struct principal *alice = &asker.identity->principal;
    assert_string_equal(alice->user, "alice");
    assert_null(alice->user_id);
    assert_string_equal(alice->project_id, "demo");
    assert_string_equal(alice->method, "http_basic");
    assert_int_equal(alice->roles, ROLE_BIT(ROLE_MEMBER) | ROLE_BIT(ROLE_READER));
    assert_false(alice->system || alice->administrator);
    ask(&asker, "bob", "builder");
    work_all();
    assert_true(asker.identity->principal.system && asker.identity->principal.administrator);
    assert_null(asker.identity->principal.project_id);
    assert_int_equal(audited.count, 0);
    forget(&asker);
}

#define WRONG "Incorrect username or password"

static void test_refused(void **state)
{
    static const struct {
        const char *user, *password, *told, *claimed;
        enum fault_code code;
    } rows[] = {
        {NULL, NULL, "Authorization required", "", FAULT_UNAUTHORIZED},
        {"alice", "wonderlan", WRONG, "alice", FAULT_UNAUTHORIZED},
        {"alice", "wonderlandd", WRONG, "alice", FAULT_UNAUTHORIZED},
        {"alice", "", WRONG, "alice", FAULT_UNAUTHORIZED},
        {"bob", "wonderland", WRONG, "bob", FAULT_UNAUTHORIZED},
        /* A password in the wrong field is said to nobody. */
        {"wonderland", "wonderland", WRONG, "", FAULT_UNAUTHORIZED},
        {"", "wonderland", "Expected a user name of 1 to 255 bytes of UTF-8", "",
         FAULT_UNAUTHORIZED},
        {"carol", "sings", "The user carol has no entry in auth.users of nmid.conf.", "",
         FAULT_FORBIDDEN},
        {"carol", "sinks", WRONG, "carol", FAULT_UNAUTHORIZED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct asker asker = {0};
        ask(&asker, rows[i].user, rows[i].password);
        work_all();
        assert_int_equal(asker.code, rows[i].code);
        assert_string_equal(asker.message, rows[i].told);
        assert_int_equal(audited.count, i + 1);
        assert_string_equal(audited.message, rows[i].told);
        assert_string_equal(audited.user, rows[i].code == FAULT_FORBIDDEN ? "carol" : "");
        assert_string_equal(audited.claimed, rows[i].claimed);
        assert_string_equal(audited.address, "192.0.2.1");
        assert_string_equal(audited.ident, "GET /v2.1/servers");
        forget(&asker);
    }
    /* One that no user of the file matches costs a check like the others. */
    worked = 0;
    assert_code("nobody", "builder", FAULT_UNAUTHORIZED);
    assert_code("nobody", "wonderland", FAULT_UNAUTHORIZED);
    assert_code("nobody", "sings", FAULT_UNAUTHORIZED);
    assert_int_equal(worked, 3);
}

static void test_remembered(void **state)
{
    struct asker asker = {0};
    (void)state;
    assert_code("alice", "wonderland", FAULT_NONE);
    later(59999999);
    for (int i = 0; i < 5; i++)
        ask(&asker, "alice", "wonderland");
    assert_int_equal(asker.answers, 5); /* at once */
    assert_int_equal(asker.code, FAULT_NONE);
    assert_int_equal(worked, 1);
    /* Another password is not, nor the same of another user. */
    assert_code("alice", "wonderlane", FAULT_UNAUTHORIZED);
    assert_code("bob", "wonderland", FAULT_UNAUTHORIZED);
    assert_int_equal(worked, 3);
    /* A wrong one is checked each time. */
    assert_code("alice", "wonderlane", FAULT_UNAUTHORIZED);
    assert_int_equal(worked, 4);
    /* Use does not prolong it. */
    later(1);
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_int_equal(worked, 5);
    /* And one without roles is remembered too, and stays forbidden. */
    assert_code("carol", "sings", FAULT_FORBIDDEN);
    assert_code("carol", "sings", FAULT_FORBIDDEN);
    assert_int_equal(worked, 6);
    forget(&asker);
}

static void test_not_remembered(void **state)
{
    (void)state;
    conf.cache_s = 0;
    assert_int_equal(reload(&conf, NULL), 0);
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_int_equal(worked, 2);
}

/* Out at once although remembered: who left the file, or has another password there. */
static void test_file_changes(void **state)
{
    (void)state;
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_code("bob", "builder", FAULT_NONE);
    later(1000000);
    write_users("bob", "builder2", SALT_1, NULL);
    assert_code("alice", "wonderland", FAULT_UNAUTHORIZED);
    assert_code("bob", "builder", FAULT_UNAUTHORIZED);
    assert_code("bob", "builder2", FAULT_NONE);
    /* The same password under another salt is checked anew. */
    later(1000000);
    worked = 0;
    write_users("bob", "builder2", SALT_2, "alice", "wonderland", SALT_1, NULL);
    assert_code("bob", "builder2", FAULT_NONE);
    assert_int_equal(worked, 1);
    /* And who comes back with the hash of before was right before. */
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_int_equal(worked, 1);
}

/* Also while the worker is at it. */
static void test_file_changes_under_way(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask(&asker, "alice", "wonderland");
    work();
    later(1000000);
    write_users("alice", "wonderland", SALT_2, NULL);
    finish();
    assert_int_equal(asker.code, FAULT_UNAUTHORIZED);
    ask(&asker, "alice", "wonderland");
    work();
    later(1000000);
    write_users("bob", "builder", SALT_2, NULL);
    finish();
    assert_int_equal(asker.code, FAULT_UNAUTHORIZED);
    assert_code("alice", "wonderland", FAULT_UNAUTHORIZED);
    forget(&asker);
}

static void test_empty_file(void **state)
{
    (void)state;
    later(1000000);
    write_users(NULL);
    later(10000000);
    assert_code("alice", "wonderland", FAULT_UNAUTHORIZED);
    assert_int_equal(worked, 0);
}

/* Equal log-ins share one check, right or wrong; others do not. */
static void test_at_once(void **state)
{
    struct asker right[3] = {{0}}, wrong[3] = {{0}}, other = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        ask(&right[i], "alice", "wonderland");
        ask(&wrong[i], "alice", "x");
    }
    ask(&other, "nobody", "wonderland");
    assert_int_equal(pool->count, 3);
    work_all();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(right[i].answers, 1);
        assert_int_equal(right[i].code, FAULT_NONE);
        assert_int_equal(wrong[i].answers, 1);
        assert_int_equal(wrong[i].code, FAULT_UNAUTHORIZED);
        forget(&right[i]);
    }
    assert_int_equal(other.code, FAULT_UNAUTHORIZED);
}

static void test_overloaded(void **state)
{
    struct asker askers[65] = {{0}};
    char password[24];
    (void)state;
    assert_code("alice", "wonderland", FAULT_NONE);
    for (int i = 0; i < 65; i++) {
        snprintf(password, sizeof password, "guess %d", i);
        ask(&askers[i], "alice", password);
    }
    assert_int_equal(askers[63].answers, 0);
    assert_int_equal(askers[64].code, FAULT_OVERLOADED);
    /* Who has been here before does not notice, and who asks what is under way waits for that. */
    forget(&askers[64]);
    ask(&askers[64], "alice", "wonderland");
    assert_int_equal(askers[64].code, FAULT_NONE);
    forget(&askers[64]);
    /* Also when that is longer ago than cache_s, as long as the workers are swamped; but not when it
     * has never been seen to be right, or the file says now that it is another. */
    later(60000000);
    ask(&askers[64], "alice", "wonderland");
    assert_int_equal(askers[64].code, FAULT_NONE);
    forget(&askers[64]);
    ask(&askers[64], "bob", "builder");
    assert_int_equal(askers[64].code, FAULT_OVERLOADED);
    forget(&askers[64]);
    later(INT64_C(86400000000));
    ask(&askers[64], "alice", "wonderland");
    assert_int_equal(askers[64].code, FAULT_OVERLOADED);
    forget(&askers[64]);
    ask(&askers[64], "alice", "guess 0");
    work_all();
    for (int i = 0; i < 65; i++) {
        assert_int_equal(askers[i].answers, 1);
        assert_int_equal(askers[i].code, FAULT_UNAUTHORIZED);
    }
    assert_code("bob", "builder", FAULT_NONE);
}

static void test_cancel(void **state)
{
    struct asker a = {0}, b = {0}, c = {0};
    (void)state;
    ask(&a, "alice", "wonderland");
    ask(&b, "alice", "wonderland");
    auth_cancel(a.call);
    /* Nobody waits: the check is dropped, and an equal log-in begins one of its own. */
    ask(&c, "bob", "builder");
    auth_cancel(c.call);
    ask(&c, "bob", "builder");
    assert_int_equal(pool->count, 3);
    work_all();
    assert_int_equal(a.answers, 0);
    assert_int_equal(b.code, FAULT_NONE);
    assert_int_equal(c.code, FAULT_NONE);
    auth_cancel(NULL);
    /* Cancelled behind the worker's back. */
    c.answers = 0;
    ask(&c, "bob", "wrong");
    work();
    auth_cancel(c.call);
    finish();
    assert_int_equal(c.answers, 0);
    forget(&b);
    forget(&c);
}

static void cancel_other(struct asker *asker)
{
    if (asker->other->call != NULL)
        auth_cancel(asker->other->call);
    asker->other->call = NULL;
}

/* From within a done: of one with the same log-in, whichever comes first. */
static void test_cancel_within(void **state)
{
    struct asker a = {.then = cancel_other}, b = {.then = cancel_other};
    (void)state;
    a.other = &b;
    b.other = &a;
    ask(&a, "alice", "wonderland");
    ask(&b, "alice", "wonderland");
    work_all();
    assert_int_equal(a.answers + b.answers, 1);
    forget(&a);
    forget(&b);
}

static void test_reload(void **state)
{
    struct asker a = {0}, b = {0};
    (void)state;
    assert_code("alice", "wonderland", FAULT_NONE);
    ask(&a, "bob", "builder");
    ask(&b, "bob", "builder");
    work();
    users[0].project_id = (char *)"other";
    assert_int_equal(reload(&conf, NULL), 0);
    users[0].project_id = (char *)"demo"; /* the auth has its own copy */
    assert_int_equal(a.code, FAULT_IDENTITY);
    assert_int_equal(b.code, FAULT_IDENTITY);
    finish();
    assert_int_equal(a.answers, 1);
    assert_int_equal(pools, 1); /* a reload waits for no worker */
    worked = 0;
    ask(&a, "alice", "wonderland");
    work_all();
    assert_int_equal(worked, 1); /* what was remembered is forgotten */
    assert_string_equal(a.identity->principal.project_id, "other");
    forget(&a);
}

static void ask_again(struct asker *asker)
{
    if (asker->code == FAULT_IDENTITY)
        ask(asker, "bob", "builder");
}

static void test_reload_within(void **state)
{
    struct asker a = {.then = ask_again}, b = {.then = cancel_other}, c = {0};
    (void)state;
    b.other = &c;
    ask(&a, "bob", "builder");
    ask(&c, "alice", "wonderland");
    ask(&b, "alice", "wonderland"); /* comes before c */
    assert_int_equal(reload(&conf, NULL), 0);
    work_all();
    assert_int_equal(a.answers, 2);
    assert_int_equal(a.code, FAULT_NONE);
    assert_int_equal(b.code, FAULT_IDENTITY);
    assert_int_equal(c.answers, 0);
    forget(&a);
}

/* A reload that cannot be: everything is as it was. */
static void test_reload_fails(void **state)
{
    struct asker asker = {0};
    struct fault fault = {0};
    (void)state;
    assert_code("alice", "wonderland", FAULT_NONE);
    ask(&asker, "bob", "builder");
    struct conf_auth worse = conf;
    worse.user_file = (char *)"/nonexistent/htpasswd";
    worse.user_count = 0;
    assert_int_equal(reload(&worse, &fault), -1);
    assert_int_equal(fault.code, FAULT_CONF);
    assert_string_equal(fault.message,
                        "/nonexistent/htpasswd: cannot open: No such file or directory");
    work_all();
    assert_int_equal(asker.code, FAULT_NONE);
    worked = 0;
    assert_code("alice", "wonderland", FAULT_NONE);
    assert_int_equal(worked, 0);
    forget(&asker);
}

static void test_other_strategy(void **state)
{
    struct asker asker = {0};
    (void)state;
    struct conf_auth none = {.strategy = AUTH_NONE};
    ask(&asker, "alice", "wonderland");
    assert_int_equal(reload(&none, NULL), 0);
    assert_int_equal(asker.code, FAULT_IDENTITY);
    assert_null(auth_challenge(auth));
    ask(&asker, NULL, NULL);
    assert_int_equal(asker.code, FAULT_NONE);
    assert_string_equal(asker.identity->principal.method, "none");
    assert_int_equal(reload(&conf, NULL), 0);
    assert_code("alice", "wonderland", FAULT_NONE); /* after the job that nobody awaits */
    forget(&asker);
}

/* The end, with a job that runs for nobody: the pool hands it back. */
/* No memory for the worker: the right password is not called wrong, and is right again with
 * memory. */
static void test_no_memory_for_the_worker(void **state)
{
    struct rlimit limit, none;
    struct asker asker = {0};
    (void)state;
    if (!vault_locks())
        skip(); /* the sanitizer ends who has no memory */
    ask(&asker, "alice", "wonderland");
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    none = limit;
    none.rlim_cur = 1; /* no mapping more */
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    work();
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    finish();
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.code, FAULT_MEMORY);
    assert_int_equal(audited.code, FAULT_MEMORY);
    forget(&asker);
    assert_code("alice", "wonderland", FAULT_NONE);
}

static void test_end(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask(&asker, "alice", "wonderland");
    auth_cancel(asker.call);
    ask(&asker, "bob", "builder");
    work();
    auth_cancel(asker.call);
    auth_free(auth);
    auth = NULL;
    auth_free(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_let_in),         CASE(test_refused),
        CASE(test_remembered),     CASE(test_not_remembered),
        CASE(test_file_changes),   CASE(test_file_changes_under_way),
        CASE(test_empty_file),     CASE(test_at_once),
        CASE(test_overloaded),     CASE(test_cancel),
        CASE(test_cancel_within),  CASE(test_reload),
        CASE(test_reload_within),  CASE(test_reload_fails),
        CASE(test_other_strategy), CASE(test_no_memory_for_the_worker),
        CASE(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

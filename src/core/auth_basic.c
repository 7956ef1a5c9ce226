/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "http_basic": users and bcrypt hashes from a file, as Ironic has them. A password is checked on a
 * worker, which takes a quarter of a second and more on purpose; one that was right is remembered
 * for a while under a keyed hash of user, password and the file's hash, so that a change of the
 * file makes it useless. Equal log-ins under way share one check. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/map.h"
#include "core/auth_state.h"
#include "core/htpasswd.h"
#include "loop/pool.h"

#define KEY_BYTES      32
#define REMEMBERED_MAX 4096
#define KNOWN_US       INT64_C(86400000000)

/* A password that was right, until when that is believed, and until when it is while the workers are
 * swamped: whoever guesses passwords must not shut those out who know theirs. Oldest first: all live
 * equally long. */
struct remembered {
    char digest[DIGEST_SHA256_TEXT];
    int64_t until_us, known_until_us;
    struct remembered *next;
};

struct basic {
    const struct conf_auth *conf;
    struct pool *pool;
    struct htpasswd_file *file;
    struct secret *key;
    struct map *identities; /* of conf's users, by name */
    struct map *remembered; /* by digest; the newest of each */
    struct remembered *oldest, **newest_end;
    size_t remembered_count;
    struct map *flights; /* by digest */
};

/* One log-in that a worker checks, for all who came with it. */
struct flight {
    struct basic *basic; /* NULL: no longer under its digest in flights */
    char digest[DIGEST_SHA256_TEXT];
    struct basic_login login;
    char hash[HTPASSWD_HASH_LEN + 1]; /* the user's, or anyone's when there is no such user */
    bool known;                       /* there is such a user */
    atomic_bool abandoned;            /* nobody waits any more: not worth the work */
    bool good;                        /* what the worker found */
    struct waiting *first;
};

struct waiting {
    struct flight *flight;
    auth_done_fn *done;
    void *arg;
    struct waiting *next;
};

/* ---- The users that may something ---- */

static int add_identity(struct basic *basic, const struct conf_user *user,
                        const struct conf_policy *policy)
{
    struct principal principal = {.user = user->name,
                                  .project_id = user->project_id,
                                  .method = "http_basic",
                                  .system = user->system};
    policy_assign(policy, (const char *const *)user->roles.names, user->roles.count, &principal);
    struct identity *identity = identity_new(&principal);
    if (identity == NULL)
        return -1;
    if (map_put(basic->identities, identity->principal.user, identity) == 0)
        return 0;
    identity_unref(identity);
    return -1;
}

static void free_identities(struct basic *basic)
{
    size_t position = 0;
    struct identity *identity;
    while (basic->identities != NULL && (identity = map_next(basic->identities, &position)) != NULL)
        identity_unref(identity);
    map_free(basic->identities);
}

/* ---- Passwords that were right ---- */

static void forget_oldest(struct basic *basic)
{
    struct remembered *oldest = basic->oldest;
    if (map_get(basic->remembered, oldest->digest) == oldest)
        map_remove(basic->remembered, oldest->digest);
    if ((basic->oldest = oldest->next) == NULL)
        basic->newest_end = &basic->oldest;
    basic->remembered_count--;
    free(oldest);
}

static bool is_known(struct basic *basic, const char *digest)
{
    int64_t now_us = clock_mono_us();
    while (basic->oldest != NULL && basic->oldest->known_until_us <= now_us)
        forget_oldest(basic);
    return map_get(basic->remembered, digest) != NULL;
}

static bool is_remembered(struct basic *basic, const char *digest)
{
    const struct remembered *known =
        is_known(basic, digest) ? map_get(basic->remembered, digest) : NULL;
    return known != NULL && clock_mono_us() < known->until_us;
}

/* What cannot be remembered is checked again: no fault. */
static void remember(struct basic *basic, const char *digest)
{
    if (basic->conf->cache_s == 0 || is_remembered(basic, digest))
        return;
    if (basic->remembered_count == REMEMBERED_MAX)
        forget_oldest(basic);
    struct remembered *newest = calloc(1, sizeof *newest);
    if (newest == NULL)
        return;
    memcpy(newest->digest, digest, sizeof newest->digest);
    newest->until_us = clock_mono_us() + (int64_t)basic->conf->cache_s * 1000000;
    newest->known_until_us =
        newest->until_us + (basic->conf->cache_s * INT64_C(1000000) < KNOWN_US ? KNOWN_US : 0);
    if (map_put(basic->remembered, newest->digest, newest) < 0) {
        free(newest);
        return;
    }
    *basic->newest_end = newest;
    basic->newest_end = &newest->next;
    basic->remembered_count++;
}

/* ---- Opening and closing ---- */

/* Nobody waits for it any more; on_matched() frees it. */
static void abandon(struct flight *flight)
{
    map_remove(flight->basic->flights, flight->digest);
    flight->basic = NULL;
    atomic_store(&flight->abandoned, true);
}

static struct flight *any_flight(const struct basic *basic)
{
    size_t position = 0;
    return basic->flights == NULL ? NULL : map_next(basic->flights, &position);
}

static void basic_close(void *self)
{
    struct basic *basic = self;
    struct flight *flight;
    while ((flight = any_flight(basic)) != NULL) {
        struct waiting *waiting = flight->first;
        if ((flight->first = waiting->next) == NULL)
            abandon(flight);
        auth_refuse(waiting->done, waiting->arg, FAULT_IDENTITY,
                    "The configuration has just been read again: ask once more.");
        free(waiting);
    }
    map_free(basic->flights);
    while (basic->oldest != NULL)
        forget_oldest(basic);
    map_free(basic->remembered);
    free_identities(basic);
    htpasswd_file_free(basic->file);
    secret_free(basic->key);
    free(basic);
}

static int open_file(struct basic *basic, struct fault *fault)
{
    struct report errors = {0};
    basic->file = htpasswd_file_new(basic->conf->user_file, &errors);
    if (basic->file == NULL)
        fault_set(fault, FAULT_CONF, "%s", errors.count > 0 ? errors.lines[0] : "out of memory");
    report_clear(&errors);
    return basic->file == NULL ? -1 : 0;
}

static int fill(struct basic *basic, const struct conf_policy *policy, struct fault *fault)
{
    unsigned char key[KEY_BYTES];
    secret_random(key, sizeof key);
    basic->key = secret_new(key, sizeof key);
    secret_wipe(key, sizeof key);
    basic->identities = map_new();
    basic->remembered = map_new();
    basic->flights = map_new();
    bool good = basic->key != NULL && basic->identities != NULL && basic->remembered != NULL &&
                basic->flights != NULL;
    for (size_t i = 0; good && i < basic->conf->user_count; i++)
        good = add_identity(basic, &basic->conf->users[i], policy) == 0;
    if (!good)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    return open_file(basic, fault);
}

static void *basic_open(const struct auth_settings *settings, struct fault *fault)
{
    struct basic *basic = calloc(1, sizeof *basic);
    if (basic == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    basic->conf = settings->conf;
    basic->pool = settings->pool;
    basic->newest_end = &basic->oldest;
    if (fill(basic, settings->policy, fault) == 0)
        return basic;
    basic_close(basic);
    return NULL;
}

/* ---- Answers ---- */

/* The password is right; identity is NULL when the user has no entry in the configuration. */
static void answer_good(struct identity *identity, const char *user, auth_done_fn *done, void *arg)
{
    if (identity != NULL) {
        done(arg, identity, NULL);
        return;
    }
    struct principal principal = {.user = user, .method = "http_basic"};
    struct identity *nobody = identity_new(&principal); /* NULL: only the audit misses it */
    struct fault fault = {0};
    fault_set(&fault, FAULT_FORBIDDEN, "The user %s has no entry in auth.users of nmid.conf.",
              user);
    done(arg, nobody, &fault);
    identity_unref(nobody);
}

/* The name of somebody who is not in the file stays unsaid, in the audit too: it may be a password
 * in the wrong place. The caller hears the same words in either case. */
static void answer_bad(const char *user, bool known, auth_done_fn *done, void *arg)
{
    struct principal principal = {.user = user, .method = "http_basic"};
    struct identity *claimed = known ? identity_new(&principal) : NULL;
    struct fault fault = {0};
    fault_set(&fault, FAULT_UNAUTHORIZED, "Incorrect username or password");
    done(arg, claimed, &fault);
    identity_unref(claimed);
}

/* ---- Checks ---- */

static void match(void *arg)
{
    struct flight *flight = arg;
    if (!atomic_load(&flight->abandoned))
        flight->good = htpasswd_matches(flight->hash, flight->login.password) && flight->known;
}

static void free_flight(struct flight *flight)
{
    secret_wipe(flight, sizeof *flight);
    free(flight);
}

/* The user may have left the file, or got another hash, while the worker was at it. */
static bool still_counts(struct basic *basic, const struct flight *flight)
{
    const char *hash = htpasswd_find(htpasswd_file_users(basic->file), flight->login.user);
    return hash != NULL && strcmp(hash, flight->hash) == 0;
}

/* Everything that the method is needed for comes before the first done, which may close it. */
static void on_matched(void *arg)
{
    struct flight *flight = arg;
    struct basic *basic = flight->basic;
    struct identity *identity = NULL;
    struct waiting *waiting;
    bool good = basic != NULL && flight->good && still_counts(basic, flight);
    if (basic != NULL) {
        map_remove(basic->flights, flight->digest);
        flight->basic = NULL;
    }
    if (good) {
        remember(basic, flight->digest);
        if ((identity = map_get(basic->identities, flight->login.user)) != NULL)
            identity_ref(identity);
    }
    while ((waiting = flight->first) != NULL) {
        flight->first = waiting->next;
        if (good)
            answer_good(identity, flight->login.user, waiting->done, waiting->arg);
        else
            answer_bad(flight->login.user, flight->known, waiting->done, waiting->arg);
        free(waiting);
    }
    identity_unref(identity);
    free_flight(flight);
}

/* Under way, or begun now; NULL with a fault. */
static struct flight *find_flight(struct basic *basic, const struct basic_login *login,
                                  const char *hash, bool known, const char *digest,
                                  struct fault *fault)
{
    struct flight *flight = map_get(basic->flights, digest);
    if (flight != NULL)
        return flight;
    flight = calloc(1, sizeof *flight);
    if (flight == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    flight->basic = basic;
    flight->login = *login;
    flight->known = known;
    memcpy(flight->hash, hash, sizeof flight->hash);
    memcpy(flight->digest, digest, sizeof flight->digest);
    if (map_put(basic->flights, flight->digest, flight) < 0)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if (pool_submit(basic->pool, match, on_matched, flight, fault) == 0)
        return flight;
    else
        map_remove(basic->flights, flight->digest);
    free_flight(flight);
    return NULL;
}

static void *begin(struct basic *basic, const struct basic_login *login, const char *hash,
                   bool known, const char *digest, auth_done_fn *done, void *arg)
{
    struct fault fault = {0};
    struct waiting *waiting = calloc(1, sizeof *waiting);
    struct flight *flight =
        waiting == NULL ? NULL : find_flight(basic, login, hash, known, digest, &fault);
    if (flight == NULL) {
        free(waiting);
        fault_set(&fault, FAULT_MEMORY, "out of memory");
        if (fault.code == FAULT_OVERLOADED && is_known(basic, digest))
            answer_good(map_get(basic->identities, login->user), login->user, done, arg);
        else
            done(arg, NULL, &fault);
        return NULL;
    }
    *waiting = (struct waiting){flight, done, arg, flight->first};
    flight->first = waiting;
    return waiting;
}

/* user, NUL, password, NUL, hash: none holds a NUL. -1 when libgcrypt refuses. */
static int digest_login(const struct basic *basic, const struct basic_login *login,
                        const char *hash, char digest[DIGEST_SHA256_TEXT])
{
    char text[sizeof login->user + sizeof login->password + HTPASSWD_HASH_LEN + 1];
    size_t len = 0;
    const char *const parts[] = {login->user, login->password, hash};
    for (size_t i = 0; i < 3; i++) {
        size_t part = strlen(parts[i]) + 1;
        memcpy(text + len, parts[i], part);
        len += part;
    }
    int result = digest_hmac_sha256(basic->key, text, len, digest);
    secret_wipe(text, sizeof text);
    return result;
}

/* Which user's hash stands in for that of an unknown one: always the same for the same name. */
static size_t decoy_number(const struct basic *basic, const struct basic_login *login)
{
    char digest[DIGEST_SHA256_TEXT] = "";
    digest_hmac_sha256(basic->key, login->user, strlen(login->user), digest);
    digest[12] = '\0';
    return (size_t)strtoull(digest, NULL, 16);
}

static void *check_login(struct basic *basic, const struct basic_login *login, auth_done_fn *done,
                         void *arg)
{
    char digest[DIGEST_SHA256_TEXT];
    const struct htpasswd *users = htpasswd_file_users(basic->file);
    const char *hash = htpasswd_find(users, login->user);
    bool known = hash != NULL;
    size_t decoy = decoy_number(basic, login);
    if (!known)
        hash = htpasswd_decoy(users, decoy);
    if (hash == NULL) { /* the file is empty */
        answer_bad(login->user, false, done, arg);
        return NULL;
    }
    if (digest_login(basic, login, known ? hash : "", digest) < 0) {
        auth_refuse(done, arg, FAULT_SYSTEM, "the log-in cannot be digested");
        return NULL;
    }
    if (is_remembered(basic, digest)) {
        struct identity *identity = map_get(basic->identities, login->user);
        answer_good(identity, login->user, done, arg);
        return NULL;
    }
    return begin(basic, login, hash, known, digest, done, arg);
}

static void *basic_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                         void *arg)
{
    struct basic_login login;
    struct fault fault = {0};
    void *check = NULL;
    if (credentials->authorization == NULL)
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, "Authorization required");
    else if (basic_login_parse(credentials->authorization, &login, &fault) < 0)
        done(arg, NULL, &fault);
    else
        check = check_login(self, &login, done, arg);
    secret_wipe(&login, sizeof login);
    return check;
}

static void basic_cancel(void *self, void *check)
{
    struct waiting *waiting = check;
    struct flight *flight = waiting->flight;
    struct waiting **at = &flight->first;
    (void)self;
    while (*at != waiting)
        at = &(*at)->next;
    *at = waiting->next;
    free(waiting);
    /* An equal log-in that comes now begins anew: this one may already have been passed over. */
    if (flight->first == NULL && flight->basic != NULL)
        abandon(flight);
}

const struct auth_method auth_basic = {basic_open, basic_close, basic_check, basic_cancel};

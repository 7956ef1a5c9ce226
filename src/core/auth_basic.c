/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "http_basic": users and bcrypt hashes from a file, as Ironic has them. A password is checked on a
 * worker, which takes a quarter of a second and more on purpose; one that was right is remembered
 * for a while under a keyed hash of user, password and the file's hash, so that a change of the
 * file makes it useless. Equal log-ins under way share one check. Who guesses is met by attempts.h:
 * before anything is compared, for a password that is remembered would be a quick oracle. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/map.h"
#include "core/attempts.h"
#include "base/vault.h"
#include "core/auth_state.h"
#include "core/htpasswd.h"
#include "core/remembered.h"
#include "loop/pool.h"

#define KEY_BYTES 32

struct basic {
    const struct conf_auth *conf;
    struct pool *pool;
    struct htpasswd_file *file;
    struct secret *key;
    struct map *identities;        /* of conf's users, by name */
    struct remembered *remembered; /* digests of log-ins that were right */
    struct map *flights;           /* by digest */
};

/* One log-in that a worker checks, for all who came with it. */
struct flight {
    struct basic *basic; /* NULL: no longer under its digest in flights */
    char digest[DIGEST_SHA256_TEXT];
    char wrong[DIGEST_SHA256_TEXT]; /* the same under attempts_key() */
    struct attempt attempt;         /* of the first who came with it */
    struct basic_login login;
    char hash[HTPASSWD_HASH_LEN + 1]; /* the user's, or anyone's when there is no such user */
    bool known;                       /* there is such a user */
    atomic_bool abandoned;            /* nobody waits any more: not worth the work */
    bool worked, good;                /* what the worker did, and found */
    struct waiting *first;
};

/* One that comes: all borrowed for the call. */
struct coming {
    const struct basic_login *login;
    const char *hash; /* the user's, or anyone's */
    bool known;
    const char *digest, *wrong;
    struct attempt *attempt; /* until it is done or cancelled */
    auth_done_fn *done;
    void *arg;
};

struct waiting {
    struct flight *flight;
    struct attempt *attempt;
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
    remembered_free(basic->remembered);
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
    basic->remembered = remembered_new(basic->conf->cache_s);
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
static void answer_fault(const char *user, bool known, const struct fault *fault,
                         auth_done_fn *done, void *arg)
{
    struct principal principal = {.user = user, .method = "http_basic"};
    struct identity *claimed = known ? identity_new(&principal) : NULL;
    done(arg, claimed, fault);
    identity_unref(claimed);
}

static void answer_bad(const char *user, bool known, struct attempt *attempt, auth_done_fn *done,
                       void *arg)
{
    struct fault fault = {0};
    fault_set(&fault, FAULT_UNAUTHORIZED, "Incorrect username or password");
    attempt_slow(attempt);
    answer_fault(user, known, &fault, done, arg);
}

/* ---- Checks ---- */

static void match(void *arg)
{
    struct flight *flight = arg;
    if (atomic_load(&flight->abandoned))
        return;
    int matches = htpasswd_matches(flight->hash, flight->login.password);
    flight->good = matches > 0 && flight->known;
    flight->worked = matches >= 0; /* out of memory: nobody has guessed wrong */
}

static void free_flight(struct flight *flight)
{
    vault_give(flight);
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
    attempt_leave(&flight->attempt);
    if (flight->worked && !flight->good) /* also when nobody has waited for the answer */
        attempt_wrong(&flight->attempt, flight->wrong, flight->known ? flight->login.user : NULL);
    if (basic != NULL) {
        map_remove(basic->flights, flight->digest);
        flight->basic = NULL;
    }
    if (good) {
        remembered_add(basic->remembered, flight->digest);
        if ((identity = map_get(basic->identities, flight->login.user)) != NULL)
            identity_ref(identity);
    }
    while ((waiting = flight->first) != NULL) {
        flight->first = waiting->next;
        if (good) {
            attempt_right(waiting->attempt, true);
            answer_good(identity, flight->login.user, waiting->done, waiting->arg);
        } else if (!flight->worked) {
            auth_refuse(waiting->done, waiting->arg, FAULT_MEMORY, "out of memory");
        } else {
            answer_bad(flight->login.user, flight->known, waiting->attempt, waiting->done,
                       waiting->arg);
        }
        free(waiting);
    }
    identity_unref(identity);
    free_flight(flight);
}

/* Under way, or begun now; NULL with a fault. */
static struct flight *find_flight(struct basic *basic, const struct coming *coming,
                                  struct fault *fault)
{
    struct flight *flight = map_get(basic->flights, coming->digest);
    if (flight != NULL)
        return flight;
    flight = vault_take(sizeof *flight);
    if (flight == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    flight->basic = basic;
    flight->login = *coming->login;
    flight->known = coming->known;
    flight->attempt = *coming->attempt;
    memcpy(flight->hash, coming->hash, sizeof flight->hash);
    memcpy(flight->digest, coming->digest, sizeof flight->digest);
    memcpy(flight->wrong, coming->wrong, sizeof flight->wrong);
    bool entered = attempt_enter(&flight->attempt, fault) == 0;
    if (entered && map_put(basic->flights, flight->digest, flight) < 0)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if (entered && pool_submit_ranked(basic->pool, attempt_rank(&flight->attempt), match,
                                           on_matched, flight, fault) == 0)
        return flight;
    else if (entered)
        map_remove(basic->flights, flight->digest);
    attempt_leave(&flight->attempt);
    free_flight(flight);
    return NULL;
}

/* While the queue is full, a wrong password is not counted: only who is trusted may try another. */
static bool passes_queue(struct basic *basic, const struct coming *coming)
{
    return (coming->attempt->attempts == NULL || attempt_is_trusted(coming->attempt)) &&
           remembered_knows(basic->remembered, coming->digest);
}

static void *begin(struct basic *basic, const struct coming *coming)
{
    struct fault fault = {0};
    struct waiting *waiting = calloc(1, sizeof *waiting);
    struct flight *flight = waiting == NULL ? NULL : find_flight(basic, coming, &fault);
    const char *user = coming->login->user;
    if (flight == NULL) {
        free(waiting);
        fault_set(&fault, FAULT_MEMORY, "out of memory");
        if (fault.code == FAULT_OVERLOADED && passes_queue(basic, coming))
            answer_good(map_get(basic->identities, user), user, coming->done, coming->arg);
        else
            answer_fault(user, coming->known, &fault, coming->done, coming->arg);
        return NULL;
    }
    *waiting = (struct waiting){flight, coming->attempt, coming->done, coming->arg, flight->first};
    flight->first = waiting;
    return waiting;
}

/* user, NUL, password, NUL, hash: none holds a NUL. -1 when libgcrypt refuses. */
static int digest_login(const struct secret *key, const struct basic_login *login, const char *hash,
                        char digest[DIGEST_SHA256_TEXT])
{
    char text[sizeof login->user + sizeof login->password + HTPASSWD_HASH_LEN + 1];
    size_t len = 0;
    const char *const parts[] = {login->user, login->password, hash};
    for (size_t i = 0; i < 3; i++) {
        size_t part = strlen(parts[i]) + 1;
        memcpy(text + len, parts[i], part);
        len += part;
    }
    int result = digest_hmac_sha256(key, text, len, digest);
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

/* A log-in that is admitted; coming's hash is the user's, or a decoy. */
static void *check_admitted(struct basic *basic, struct coming *coming)
{
    const struct basic_login *login = coming->login;
    const struct attempts *attempts = coming->attempt->attempts;
    const char *own = coming->known ? coming->hash : "";
    char digest[DIGEST_SHA256_TEXT], wrong[DIGEST_SHA256_TEXT] = "";
    if (digest_login(basic->key, login, own, digest) < 0 ||
        (attempts != NULL && digest_login(attempts_key(attempts), login, own, wrong) < 0)) {
        auth_refuse(coming->done, coming->arg, FAULT_SYSTEM, "the log-in cannot be digested");
        return NULL;
    }
    coming->digest = digest;
    coming->wrong = wrong;
    if (remembered_believes(basic->remembered, digest)) {
        attempt_right(coming->attempt, false);
        answer_good(map_get(basic->identities, login->user), login->user, coming->done,
                    coming->arg);
        return NULL;
    }
    if (attempt_was_wrong(coming->attempt, wrong)) {
        answer_bad(login->user, coming->known, coming->attempt, coming->done, coming->arg);
        return NULL;
    }
    return begin(basic, coming);
}

static void *check_login(struct basic *basic, struct coming *coming)
{
    const char *user = coming->login->user;
    struct fault fault = {0};
    const struct htpasswd *users = htpasswd_file_users(basic->file);
    coming->hash = htpasswd_find(users, user);
    coming->known = coming->hash != NULL;
    size_t decoy = decoy_number(basic, coming->login);
    if (!coming->known)
        coming->hash = htpasswd_decoy(users, decoy);
    attempt_name(coming->attempt, user);
    if (attempt_admit(coming->attempt, &fault) < 0)
        answer_fault(user, coming->known, &fault, coming->done, coming->arg);
    else if (coming->hash == NULL) /* the file is empty */
        answer_bad(user, false, coming->attempt, coming->done, coming->arg);
    else
        return check_admitted(basic, coming);
    return NULL;
}

/* What cannot be a log-in is a failure of its address. */
static void refuse_header(const struct coming *coming, const char *header, struct fault *malformed)
{
    const struct attempts *attempts = coming->attempt->attempts;
    char digest[DIGEST_SHA256_TEXT];
    struct fault fault = {0};
    if (attempt_admit(coming->attempt, &fault) < 0) {
        coming->done(coming->arg, NULL, &fault);
        return;
    }
    if (attempts != NULL &&
        digest_hmac_sha256(attempts_key(attempts), header, strlen(header), digest) == 0)
        attempt_wrong(coming->attempt, digest, NULL);
    attempt_slow(coming->attempt);
    coming->done(coming->arg, NULL, malformed);
}

static void *basic_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                         void *arg)
{
    const char *header = credentials->authorization;
    struct basic_login login;
    struct coming coming = {
        .login = &login, .attempt = credentials->attempt, .done = done, .arg = arg};
    struct fault fault = {0};
    void *check = NULL;
    if (header == NULL)
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, "Authorization required");
    else if (basic_login_parse(header, &login, &fault) < 0)
        refuse_header(&coming, header, &fault);
    else
        check = check_login(self, &coming);
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

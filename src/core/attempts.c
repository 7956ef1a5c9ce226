/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/attempts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"

#define SECOND      INT64_C(1000000)
#define TRUSTED_US  (86400 * SECOND)
#define ENTRIES_MAX 65536 /* of each kind; what was touched longest ago goes first */
#define KEY_BYTES   32
#define BUSY_MAX    4   /* checks under way of one address */
#define HELD_MAX    256 /* refusals that are held back */
#define WARN_US     (10 * SECOND)

#define SLOW_FROM       4 /* the first failures are typing mistakes */
#define SLOW_FIRST_US   INT64_C(100000)
#define SLOW_LONGEST_US (5 * SECOND)

/* Nobody guesses a token, but a site has many, and each goes bad some day: an address that brings
 * good ones may bring so many times as many bad ones. */
#define TOKENS_FACTOR 10

/* What is counted by: the first three count failures, WRONG knows what failed. */
enum kind { ADDRESSES, USERS, PAIRS, WRONG, KINDS };
#define BIT(kind) (1u << (kind))

struct entry {
    TAILQ_ENTRY(entry) link;
    int64_t touched_us;
    int64_t failed_us;            /* when the last failure was, */
    unsigned failures;            /* how many there were since a pause, */
    unsigned under_way;           /* and how many checks may yet become one */
    int64_t right_us, cleared_us; /* of a pair; 0: never */
    char key[ATTEMPT_KEY];
};

struct table {
    struct map *map;
    TAILQ_HEAD(entries, entry) entries; /* touched longest ago first */
};

struct attempts {
    struct conf_limits conf;
    struct limits *limits;
    struct delays *delays;
    struct secret *key;
    struct table tables[KINDS];
    int64_t warned_us; /* 0: never */
    unsigned unwarned; /* since */
};

/* ---- The tables ---- */

static int64_t window_us(const struct attempts *attempts)
{
    return attempts->conf.login_failures_s * SECOND;
}

static void entry_drop(struct table *table, struct entry *entry)
{
    map_remove(table->map, entry->key);
    TAILQ_REMOVE(&table->entries, entry, link);
    free(entry);
}

/* Makes room for one more, and gives back memory that a flood has left: two entries leave for each
 * that comes, so that no turn of the loop is long. */
static void table_prune(struct attempts *attempts, enum kind kind)
{
    struct table *table = &attempts->tables[kind];
    int64_t lifetime = kind == PAIRS ? TRUSTED_US : window_us(attempts);
    for (int i = 0; i < 2; i++) {
        struct entry *oldest = TAILQ_FIRST(&table->entries);
        if (oldest == NULL ||
            (map_count(table->map) < ENTRIES_MAX &&
             (oldest->under_way > 0 || clock_mono_us() - oldest->touched_us < lifetime)))
            return;
        entry_drop(table, oldest);
    }
}

static struct entry *entry_find(const struct attempts *attempts, enum kind kind, const char *key)
{
    return map_get(attempts->tables[kind].map, key);
}

/* Found or made, and touched; NULL when memory is out. */
static struct entry *entry_take(struct attempts *attempts, enum kind kind, const char *key)
{
    struct table *table = &attempts->tables[kind];
    struct entry *entry = map_get(table->map, key);
    if (entry != NULL) {
        TAILQ_REMOVE(&table->entries, entry, link);
    } else {
        table_prune(attempts, kind);
        if ((entry = calloc(1, sizeof *entry)) == NULL)
            return NULL;
        snprintf(entry->key, sizeof entry->key, "%s", key);
        if (map_put(table->map, entry->key, entry) < 0) {
            free(entry);
            return NULL;
        }
    }
    entry->touched_us = clock_mono_us();
    TAILQ_INSERT_TAIL(&table->entries, entry, link);
    return entry;
}

/* ---- Life ---- */

struct attempts *attempts_new(struct loop *loop, const struct conf_limits *conf,
                              struct limits *limits, struct fault *fault)
{
    unsigned char random[KEY_BYTES];
    struct attempts *attempts = calloc(1, sizeof *attempts);
    if (attempts == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    attempts->conf = *conf;
    attempts->limits = limits;
    secret_random(random, sizeof random);
    attempts->key = secret_new(random, sizeof random);
    secret_wipe(random, sizeof random);
    bool good = attempts->key != NULL;
    for (int kind = 0; kind < KINDS; kind++) {
        TAILQ_INIT(&attempts->tables[kind].entries);
        attempts->tables[kind].map = map_new();
        good = good && attempts->tables[kind].map != NULL;
    }
    if (!good)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    else if ((attempts->delays = delays_new(loop, HELD_MAX, fault)) != NULL)
        return attempts;
    attempts_free(attempts);
    return NULL;
}

void attempts_free(struct attempts *attempts)
{
    if (attempts == NULL)
        return;
    delays_free(attempts->delays);
    for (int kind = 0; kind < KINDS; kind++) {
        struct table *table = &attempts->tables[kind];
        while (!TAILQ_EMPTY(&table->entries))
            entry_drop(table, TAILQ_FIRST(&table->entries));
        map_free(table->map);
    }
    secret_free(attempts->key);
    free(attempts);
}

void attempts_configure(struct attempts *attempts, const struct conf_limits *conf)
{
    attempts->conf = *conf;
}

void attempts_hurry(struct attempts *attempts)
{
    delays_hurry(attempts->delays);
}

struct delays *attempts_delays(struct attempts *attempts)
{
    return attempts->delays;
}

const struct secret *attempts_key(const struct attempts *attempts)
{
    return attempts->key;
}

/* ---- Who ---- */

/* The address as a key: IPv6 by the /64, all of which one machine can have. */
static void read_address(struct attempt *attempt, const char *text)
{
    struct in_addr v4;
    struct in6_addr v6;
    char half[INET6_ADDRSTRLEN];
    snprintf(attempt->address, sizeof attempt->address, "%s", text);
    if (inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6)) {
        attempt->exempt = IN6_IS_ADDR_LOOPBACK(&v6);
        memset(&v6.s6_addr[8], 0, 8);
        inet_ntop(AF_INET6, &v6, half, sizeof half);
        if (!attempt->exempt)
            snprintf(attempt->address, sizeof attempt->address, "%s/64", half);
        return;
    }
    const char *last = strrchr(text, ':'); /* ::ffff:192.0.2.1 */
    if (inet_pton(AF_INET, last == NULL ? text : last + 1, &v4) != 1) {
        attempt->exempt = true;
        return;
    }
    attempt->exempt = ntohl(v4.s_addr) >> 24 == 127;
    inet_ntop(AF_INET, &v4, attempt->address, sizeof attempt->address);
}

void attempt_begin(struct attempt *attempt, struct attempts *attempts, const char *address)
{
    *attempt = (struct attempt){.attempts = attempts};
    if (attempts != NULL)
        read_address(attempt, address);
}

/* Half of a hash is plenty. Without one (libgcrypt refuses) all share a counter. */
static void key_of(const struct attempts *attempts, const char *text, size_t len,
                   char key[ATTEMPT_KEY])
{
    char digest[DIGEST_SHA256_TEXT] = "-";
    digest_hmac_sha256(attempts->key, text, len, digest);
    snprintf(key, ATTEMPT_KEY, "%.32s", digest);
}

void attempt_name(struct attempt *attempt, const char *user)
{
    char text[512];
    if (attempt->attempts == NULL)
        return;
    attempt->token = user == NULL;
    if (user != NULL)
        key_of(attempt->attempts, user, strlen(user), attempt->user);
    int len = snprintf(text, sizeof text, "%s %s", attempt->address, user == NULL ? "" : user);
    key_of(attempt->attempts, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1,
           attempt->pair);
}

static const char *key_in(const struct attempt *attempt, enum kind kind)
{
    return kind == ADDRESSES ? attempt->address : kind == USERS ? attempt->user : attempt->pair;
}

bool attempt_is_trusted(const struct attempt *attempt)
{
    if (attempt->attempts == NULL || attempt->pair[0] == '\0')
        return false;
    const struct entry *pair = entry_find(attempt->attempts, PAIRS, attempt->pair);
    return pair != NULL && pair->right_us != 0 && clock_mono_us() - pair->right_us < TRUSTED_US;
}

/* ---- What counts ---- */

/* How many failures of this kind are too many; 0: none are. */
static unsigned most(const struct attempt *attempt, enum kind kind)
{
    const struct conf_limits *conf = &attempt->attempts->conf;
    if (kind == ADDRESSES)
        return conf->login_failures_per_address;
    if (kind == USERS)
        return conf->login_failures_per_user;
    if (attempt->token)
        return conf->login_failures_per_address * TOKENS_FACTOR;
    return conf->login_failures_per_user > 0 ? conf->login_failures_per_user
                                             : conf->login_failures_per_address;
}

/* The kinds that apply to it, as BIT()s. */
static unsigned kinds_of(const struct attempt *attempt)
{
    unsigned kinds = 0;
    if (attempt->attempts == NULL || (attempt->token && attempt->exempt))
        return 0; /* a proxy's tokens are everybody's */
    if (attempt_is_trusted(attempt))
        return most(attempt, PAIRS) > 0 ? BIT(PAIRS) : 0;
    if (!attempt->exempt && most(attempt, ADDRESSES) > 0)
        kinds |= BIT(ADDRESSES);
    if (attempt->user[0] != '\0' && most(attempt, USERS) > 0)
        kinds |= BIT(USERS);
    return kinds;
}

/* Those that count now: a pause forgets them. */
static unsigned failures_of(const struct attempt *attempt, enum kind kind)
{
    const struct entry *entry = entry_find(attempt->attempts, kind, key_in(attempt, kind));
    return entry == NULL || clock_mono_us() - entry->failed_us >= window_us(attempt->attempts)
               ? 0
               : entry->failures;
}

static int refuse(const struct attempt *attempt, enum kind kind, struct fault *fault,
                  const char *text)
{
    limits_reached(attempt->attempts->limits,
                   kind == ADDRESSES || attempt->token ? LIMIT_LOGIN_FAILURES_PER_ADDRESS
                                                       : LIMIT_LOGIN_FAILURES_PER_USER,
                   attempt->address); /* not the name: it may be a password */
    return fault_set(fault, FAULT_TOO_MANY, "%s", text);
}

/* Whether the user or the address is refused is nobody's business: the words are the same. */
int attempt_admit(const struct attempt *attempt, struct fault *fault)
{
    unsigned kinds = kinds_of(attempt);
    char text[96];
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        if ((kinds & BIT(kind)) == 0 || failures_of(attempt, kind) < most(attempt, kind))
            continue;
        const struct entry *entry = entry_find(attempt->attempts, kind, key_in(attempt, kind));
        int64_t left = entry->failed_us + window_us(attempt->attempts) - clock_mono_us();
        snprintf(text, sizeof text, "Too many failed log-ins: try again in %lld s.",
                 (long long)((left + SECOND - 1) / SECOND));
        return refuse(attempt, kind, fault, text);
    }
    return 0;
}

/* ---- Checks under way ---- */

static int may_enter(const struct attempt *attempt, enum kind kind, struct fault *fault)
{
    const struct entry *entry = entry_find(attempt->attempts, kind, key_in(attempt, kind));
    unsigned failures = failures_of(attempt, kind), room = most(attempt, kind);
    room = failures < room ? room - failures : 0;
    if (kind == ADDRESSES && room > BUSY_MAX)
        room = BUSY_MAX;
    if ((entry == NULL ? 0 : entry->under_way) < room)
        return 0;
    return refuse(attempt, kind, fault,
                  "Too many log-ins are being checked: try again in a moment.");
}

int attempt_enter(struct attempt *attempt, struct fault *fault)
{
    unsigned kinds = kinds_of(attempt);
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        if ((kinds & BIT(kind)) != 0 && may_enter(attempt, kind, fault) < 0)
            return -1;
    }
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        struct entry *entry = (kinds & BIT(kind)) == 0
                                  ? NULL
                                  : entry_take(attempt->attempts, kind, key_in(attempt, kind));
        if ((kinds & BIT(kind)) == 0)
            continue;
        if (entry == NULL) {
            attempt_leave(attempt);
            return fault_set(fault, FAULT_MEMORY, "out of memory");
        }
        entry->under_way++;
        attempt->entered |= BIT(kind);
    }
    return 0;
}

/* An entry may have been pushed out, and made anew, in the meantime. One that says nothing goes:
 * names that are never checked (the queue is full) would push out the failures of others. */
void attempt_leave(struct attempt *attempt)
{
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        struct entry *entry = (attempt->entered & BIT(kind)) == 0
                                  ? NULL
                                  : entry_find(attempt->attempts, kind, key_in(attempt, kind));
        if (entry != NULL && entry->under_way > 0)
            entry->under_way--;
        if (entry != NULL && entry->under_way == 0 && entry->failures == 0 && entry->right_us == 0)
            entry_drop(&attempt->attempts->tables[kind], entry);
    }
    attempt->entered = 0;
}

unsigned attempt_rank(const struct attempt *attempt)
{
    if (attempt_is_trusted(attempt))
        return 0;
    if (attempt->attempts == NULL || attempt->exempt || failures_of(attempt, ADDRESSES) > 0)
        return 2;
    const struct entry *entry = entry_find(attempt->attempts, ADDRESSES, attempt->address);
    return entry == NULL || entry->under_way > 1 ? 2 : 1;
}

/* ---- What came of it ---- */

static bool is_wrong(const struct attempts *attempts, const char *key)
{
    const struct entry *entry = entry_find(attempts, WRONG, key);
    return entry != NULL && clock_mono_us() - entry->touched_us < window_us(attempts);
}

bool attempt_was_wrong(const struct attempt *attempt, const char *digest)
{
    char key[ATTEMPT_KEY];
    snprintf(key, sizeof key, "%.32s", digest);
    return attempt->attempts != NULL && is_wrong(attempt->attempts, key);
}

/* A name that is in no file may be a password: the log has none of these. */
static void warn(const struct attempt *attempt, enum kind kind, const char *known_user)
{
    struct attempts *attempts = attempt->attempts;
    int64_t now = clock_mono_us();
    char who[640], more[64] = "";
    const char *user = known_user != NULL ? known_user : "an unknown user";
    if (kind == ADDRESSES || attempt->token)
        snprintf(who, sizeof who, "from %s", attempt->address);
    else if (kind == USERS)
        snprintf(who, sizeof who, "as %s", user);
    else
        snprintf(who, sizeof who, "as %s from %s", user, attempt->address);
    if (attempts->warned_us != 0 && now - attempts->warned_us < WARN_US) {
        attempts->unwarned++;
        return;
    }
    if (attempts->unwarned > 0)
        snprintf(more, sizeof more, " (%u others since the last such line)", attempts->unwarned);
    log_warning("log-ins %s are refused for %u s: %u have failed%s", who,
                attempts->conf.login_failures_s, most(attempt, kind), more);
    attempts->warned_us = now;
    attempts->unwarned = 0;
}

static void count_failure(const struct attempt *attempt, enum kind kind, const char *known_user)
{
    unsigned before = failures_of(attempt, kind);
    struct entry *entry = entry_take(attempt->attempts, kind, key_in(attempt, kind));
    if (entry == NULL)
        return; /* memory is out: it does not count */
    entry->failures = before + 1;
    entry->failed_us = clock_mono_us();
    if (entry->failures == most(attempt, kind))
        warn(attempt, kind, known_user);
}

void attempt_wrong(const struct attempt *attempt, const char *digest, const char *known_user)
{
    unsigned kinds = kinds_of(attempt);
    char key[ATTEMPT_KEY];
    if (attempt->attempts == NULL)
        return;
    snprintf(key, sizeof key, "%.32s", digest);
    if (is_wrong(attempt->attempts, key))
        return;
    entry_take(attempt->attempts, WRONG, key);
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        if ((kinds & BIT(kind)) != 0)
            count_failure(attempt, kind, known_user);
    }
}

void attempt_slow(struct attempt *attempt)
{
    unsigned kinds = kinds_of(attempt), failures = 0;
    for (enum kind kind = ADDRESSES; kind <= PAIRS; kind++) {
        unsigned here = (kinds & BIT(kind)) == 0 ? 0 : failures_of(attempt, kind);
        if (here > failures)
            failures = here;
    }
    if (failures < SLOW_FROM)
        return;
    unsigned doubled = failures - SLOW_FROM;
    attempt->delay_us = doubled < 6 ? SLOW_FIRST_US << doubled : SLOW_LONGEST_US;
}

int attempt_may_wait(const struct attempt *attempt, struct fault *fault)
{
    return !delays_full(attempt->attempts->delays)
               ? 0
               : refuse(attempt, ADDRESSES, fault,
                        "Too many log-ins have failed: try again in a moment.");
}

/* Forgets the pair's failures, but not more often than they would be forgotten anyway: somebody
 * else at the same address could guess on between two log-ins. */
void attempt_right(const struct attempt *attempt, bool checked)
{
    struct attempts *attempts = attempt->attempts;
    struct entry *pair = attempts == NULL || attempt->pair[0] == '\0'
                             ? NULL
                             : entry_take(attempts, PAIRS, attempt->pair);
    int64_t now = clock_mono_us();
    if (pair == NULL)
        return;
    pair->right_us = now;
    if (!checked || pair->failures == 0 ||
        (pair->cleared_us != 0 && now - pair->cleared_us < window_us(attempts)))
        return;
    pair->failures = 0;
    pair->cleared_us = now;
}

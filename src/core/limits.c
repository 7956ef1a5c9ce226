/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/map.h"
#include "core/trouble.h"

#define MINUTE_NS    INT64_C(60000000000)
#define SMALL_ANSWER ((size_t)16384)
#define WHO_MAX      256 /* in the log */

/* full_at: when its bucket of actions will be full again; each action puts that off by a minute's
 * part. It is forgotten when it has nothing in flight and the bucket is full, which is a minute
 * after its last action at the latest. */
struct account {
    unsigned in_flight;
    size_t unread; /* bytes of answers */
    int64_t full_at;                 /* ns of the monotonic clock */
    struct account *before, *behind; /* in the order of their last action; when aging */
    bool aging;                      /* it has begun an action, and stands in that order */
    char *who;                       /* for the log; behind the key */
    char key[];
};

struct limits {
    struct conf_limits conf;
    uint64_t counts[LIMITS];
    struct trouble troubles[LIMITS], fields; /* fields: too many of them in a head */
    struct map *accounts; /* by key */
    struct account *oldest, *newest;
};

static const struct {
    const char *name;
    size_t value; /* where conf_limits has it */
} rows[LIMITS] = {
#define ROW(limit, member) [limit] = {#member, offsetof(struct conf_limits, member)}
    ROW(LIMIT_CONNECTIONS, connections),
    ROW(LIMIT_CONNECTIONS_PER_ADDRESS, connections_per_address),
    ROW(LIMIT_URL_BYTES, url_bytes),
    ROW(LIMIT_HEADER_BYTES, header_bytes),
    ROW(LIMIT_TOKEN_BYTES, token_bytes),
    ROW(LIMIT_BODY_BYTES, body_bytes),
    ROW(LIMIT_REQUEST_S, request_s),
    ROW(LIMIT_IDLE_S, idle_s),
    ROW(LIMIT_REQUESTS_PER_PRINCIPAL, requests_per_principal),
    ROW(LIMIT_ANSWER_BYTES_PER_PRINCIPAL, answer_bytes_per_principal),
    ROW(LIMIT_ACTIONS_PER_MINUTE, actions_per_minute),
    ROW(LIMIT_LOGIN_FAILURES_PER_ADDRESS, login_failures_per_address),
    ROW(LIMIT_LOGIN_FAILURES_PER_USER, login_failures_per_user),
    ROW(LIMIT_QUEUE, queue),
    ROW(LIMIT_QUEUE_S, queue_s),
#undef ROW
};

struct limits *limits_new(const struct conf_limits *conf, struct fault *fault)
{
    struct limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL || (limits->accounts = map_new()) == NULL) {
        free(limits);
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    limits->conf = *conf;
    return limits;
}

void limits_free(struct limits *limits)
{
    size_t position = 0;
    if (limits == NULL)
        return;
    for (struct account *account; (account = map_next(limits->accounts, &position)) != NULL;)
        free(account);
    map_free(limits->accounts);
    free(limits);
}

void limits_configure(struct limits *limits, const struct conf_limits *conf)
{
    if (limits != NULL)
        limits->conf = *conf;
}

/* ---- Counters ---- */

const char *limit_name(enum limit limit)
{
    return rows[limit].name;
}

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static const char *label_of(const struct principal *principal)
{
    if (principal->user != NULL)
        return principal->user;
    return principal->user_id != NULL ? principal->user_id : "the caller";
}

/* "alice (project demo)"; log.h makes control characters visible. */
static const char *who_text(const struct principal *principal, char who[WHO_MAX])
{
    if (principal->project_id == NULL)
        snprintf(who, WHO_MAX, "%.100s", label_of(principal));
    else
        snprintf(who, WHO_MAX, "%.100s (project %.100s)", label_of(principal),
                 principal->project_id);
    return who;
}

static void reach(struct limits *limits, enum limit limit, const char *who)
{
    limits->counts[limit]++;
    /* Every connection that is kept open ends so: nobody has to hear of that. */
    if (limit == LIMIT_IDLE_S)
        return;
    unsigned value;
    memcpy(&value, (const char *)&limits->conf + rows[limit].value, sizeof value);
    trouble_warn(&limits->troubles[limit], "limits.%s (%u) reached%s%s", rows[limit].name, value,
                 who[0] != '\0' ? " by " : "", who);
}

/* A UNIX socket's clients have no address of their own. */
static const char *client_text(const char *address)
{
    if (address == NULL)
        return "";
    return strcmp(address, "unix") == 0 ? "a client of a UNIX socket" : address;
}

void limits_reached(struct limits *limits, enum limit limit, const char *address)
{
    if (limits != NULL)
        reach(limits, limit, client_text(address));
}

void limits_reached_by(struct limits *limits, enum limit limit, const struct principal *principal)
{
    char who[WHO_MAX];
    if (limits != NULL)
        reach(limits, limit, who_text(principal, who));
}

void limits_fields_reached(struct limits *limits, unsigned most, const char *address)
{
    if (limits == NULL)
        return;
    limits->counts[LIMIT_HEADER_BYTES]++;
    trouble_warn(&limits->fields, "a request with more than %u header fields was refused, from %s",
                 most, client_text(address));
}

uint64_t limits_count(const struct limits *limits, enum limit limit)
{
    return limits == NULL ? 0 : limits->counts[limit];
}

/* ---- Accounts ---- */

/* Each part with its length before it, so that no two callers run together, whatever is in a name;
 * and an id is no name. */
static char *key_of(const struct principal *principal)
{
    char *key = NULL;
    bool by_id = principal->user_id != NULL;
    const char *user = text_of(by_id ? principal->user_id : principal->user);
    const char *project = text_of(principal->project_id);
    if (asprintf(&key, "%s,%s,%zu:%s,%zu:%s", text_of(principal->method), by_id ? "id" : "name",
                 strlen(user), user, strlen(project), project) < 0)
        return NULL;
    return key;
}

static void order_remove(struct limits *limits, struct account *account)
{
    if (!account->aging)
        return;
    *(account->before != NULL ? &account->before->behind : &limits->oldest) = account->behind;
    *(account->behind != NULL ? &account->behind->before : &limits->newest) = account->before;
    account->before = account->behind = NULL;
    account->aging = false;
}

static void order_append(struct limits *limits, struct account *account)
{
    order_remove(limits, account);
    account->before = limits->newest;
    *(limits->newest != NULL ? &limits->newest->behind : &limits->oldest) = account;
    limits->newest = account;
    account->aging = true;
}

static int64_t now_ns(void)
{
    return clock_mono_us() * 1000;
}

static void forget_if_idle(struct limits *limits, struct account *account)
{
    if (account->in_flight > 0 || account->full_at > now_ns())
        return;
    order_remove(limits, account);
    map_remove(limits->accounts, account->key);
    free(account);
}

/* Those that have stood there for long enough; one that is in flight goes when it no more is. */
static void forget_old(struct limits *limits)
{
    int64_t now = now_ns();
    for (struct account *account; (account = limits->oldest) != NULL && account->full_at <= now;) {
        order_remove(limits, account);
        forget_if_idle(limits, account);
    }
}

static struct account *account_of(struct limits *limits, const struct principal *principal,
                                  struct fault *fault)
{
    forget_old(limits);
    char *key = key_of(principal);
    struct account *account = key == NULL ? NULL : map_get(limits->accounts, key);
    if (key != NULL && account == NULL) {
        char who[WHO_MAX];
        size_t size = strlen(key) + 1, who_size = strlen(who_text(principal, who)) + 1;
        account = calloc(1, sizeof *account + size + who_size);
        if (account != NULL) {
            memcpy(account->key, key, size);
            account->who = memcpy(account->key + size, who, who_size);
            if (map_put(limits->accounts, account->key, account) < 0) {
                free(account);
                account = NULL;
            }
        }
    }
    free(key);
    if (account == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory; nothing was sent");
    return account;
}

struct account *limits_enter(struct limits *limits, const struct principal *principal,
                             struct fault *fault)
{
    struct account *account = limits == NULL ? NULL : account_of(limits, principal, fault);
    if (account == NULL)
        return NULL;
    if (account->in_flight < limits->conf.requests_per_principal) {
        account->in_flight++;
        return account;
    }
    reach(limits, LIMIT_REQUESTS_PER_PRINCIPAL, account->who);
    fault_set(fault, FAULT_TOO_MANY,
              "%.100s has %u requests under way (limits.requests_per_principal is %u): again when "
              "one of them is answered",
              label_of(principal), account->in_flight, limits->conf.requests_per_principal);
    forget_if_idle(limits, account);
    return NULL;
}

void limits_leave(struct limits *limits, struct account *account)
{
    if (limits == NULL || account == NULL)
        return;
    account->in_flight--;
    forget_if_idle(limits, account);
}

int limits_hold_answer(struct limits *limits, struct account *account, size_t bytes,
                       struct fault *fault)
{
    if (limits == NULL || account == NULL)
        return 0;
    unsigned most = limits->conf.answer_bytes_per_principal;
    bool room = account->unread < most && bytes <= most - account->unread;
    if (room || account->unread == 0 || bytes <= SMALL_ANSWER) {
        account->unread += bytes;
        return 0;
    }
    reach(limits, LIMIT_ANSWER_BYTES_PER_PRINCIPAL, account->who);
    return fault_set(fault, FAULT_TOO_MANY,
                     "this answer has %zu bytes, and %zu of earlier ones are still to be read "
                     "(limits.answer_bytes_per_principal is %u)",
                     bytes, account->unread, most);
}

int limits_may_list(struct limits *limits, const struct account *account, struct fault *fault)
{
    if (limits == NULL || account == NULL || account->unread == 0 ||
        account->unread < limits->conf.answer_bytes_per_principal)
        return 0;
    reach(limits, LIMIT_ANSWER_BYTES_PER_PRINCIPAL, account->who);
    return fault_set(fault, FAULT_TOO_MANY,
                     "%zu bytes of earlier answers are still to be read "
                     "(limits.answer_bytes_per_principal is %u)",
                     account->unread, limits->conf.answer_bytes_per_principal);
}

void limits_drop_answer(struct account *account, size_t bytes)
{
    if (account != NULL)
        account->unread -= bytes;
}

int limits_take_action(struct limits *limits, const struct principal *principal,
                       struct fault *fault)
{
    if (limits == NULL || limits->conf.actions_per_minute == 0)
        return 0;
    struct account *account = account_of(limits, principal, fault);
    if (account == NULL)
        return -1;
    unsigned most = limits->conf.actions_per_minute;
    int64_t now = now_ns();
    int64_t full_at = (account->full_at > now ? account->full_at : now) + MINUTE_NS / most;
    int64_t early = full_at - now - MINUTE_NS;
    if (early <= 0) {
        account->full_at = full_at;
        order_append(limits, account);
        return 0;
    }
    reach(limits, LIMIT_ACTIONS_PER_MINUTE, account->who);
    return fault_set(fault, FAULT_TOO_MANY,
                     "%.100s has begun as many actions as limits.actions_per_minute (%u) allows; "
                     "nothing was sent; the next may begin in %lld s",
                     label_of(principal), most, (long long)((early + 999999999) / 1000000000));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/auth_state.h"

struct fake_auth fake_auth;

struct check {
    const struct conf_policy *policy;
    char token[128];
    auth_done_fn *done;
    void *arg;
    void *method;
    struct check *next;
};
static struct check *checks;

static void *fake_open(const struct auth_settings *settings, struct fault *fault)
{
    const struct conf_policy **self = calloc(1, sizeof *self);
    (void)fault;
    *self = settings->policy;
    fake_auth.opened++;
    return self;
}

static void answer_identity(const struct check *check)
{
    char token[128], *parts[4] = {NULL}, *rest = token;
    memcpy(token, check->token, sizeof token);
    for (size_t i = 0; i < 4 && rest != NULL; i++)
        parts[i] = strsep(&rest, ":");
    if (parts[2] == NULL) {
        auth_refuse(check->done, check->arg, FAULT_UNAUTHORIZED, "the token is not valid");
        return;
    }
    const char *role = parts[2];
    struct principal principal = {.user = parts[0],
                                  .project_id = parts[1][0] != '\0' ? parts[1] : NULL,
                                  .method = "keystone",
                                  .system = parts[3] != NULL};
    policy_assign(check->policy, &role, 1, &principal);
    struct identity *identity = identity_new(&principal);
    check->done(check->arg, identity, NULL);
    identity_unref(identity);
}

static void answer(const struct check *check)
{
    if (check->token[0] == '\0')
        auth_refuse(check->done, check->arg, FAULT_UNAUTHORIZED, "there is no token");
    else if (strcmp(check->token, "down") == 0)
        auth_refuse(check->done, check->arg, FAULT_IDENTITY, "no route to Keystone");
    else if (strcmp(check->token, "nobody") == 0)
        auth_refuse(check->done, check->arg, FAULT_FORBIDDEN, "nobody has no right here");
    else
        answer_identity(check);
}

static void notice(const struct credentials *credentials)
{
    const char *authorization = credentials->authorization;
    fake_auth.checks++;
    fake_auth.local = credentials->local;
    fake_auth.uid = credentials->uid;
    fake_auth.gid_count = credentials->gid_count;
    fake_auth.has_gid = credentials->gid_count > 0 && credentials->gids[0] == getgid();
    if (credentials->gid_count > 0)
        fake_auth.last_gid = credentials->gids[credentials->gid_count - 1];
    snprintf(fake_auth.authorization, sizeof fake_auth.authorization, "%s",
             authorization != NULL ? authorization : "");
    snprintf(fake_auth.contract, sizeof fake_auth.contract, "%s", credentials->contract);
    snprintf(fake_auth.method, sizeof fake_auth.method, "%s", credentials->method);
    snprintf(fake_auth.path, sizeof fake_auth.path, "%s", credentials->path);
}

static void *fake_check(void *self, const struct credentials *credentials, auth_done_fn *done,
                        void *arg)
{
    struct check check = {
        .policy = *(const struct conf_policy **)self, .done = done, .arg = arg, .method = self};
    snprintf(check.token, sizeof check.token, "%s",
             credentials->token != NULL ? credentials->token : "");
    notice(credentials);
    if (!fake_auth.hold) {
        answer(&check);
        return NULL;
    }
    struct check *kept = malloc(sizeof *kept);
    *kept = check;
    kept->next = checks;
    checks = kept;
    fake_auth.waiting++;
    return kept;
}

static void drop(struct check *check)
{
    struct check **link = &checks;
    while (*link != check)
        link = &(*link)->next;
    *link = check->next;
    fake_auth.waiting--;
}

static void fake_cancel(void *self, void *check)
{
    (void)self;
    drop(check);
    free(check);
    fake_auth.cancels++;
}

static void fake_close(void *self)
{
    for (struct check *check = checks, *next; check != NULL; check = next) {
        next = check->next;
        if (check->method != self)
            continue;
        drop(check);
        auth_refuse(check->done, check->arg, FAULT_IDENTITY, "reloaded: ask again");
        free(check);
    }
    fake_auth.closed++;
    free(self);
}

/* This is the one that auth.c finds: the archive's stays in the archive. */
const struct auth_method auth_keystone = {fake_open, fake_close, fake_check, fake_cancel};

void fake_auth_use(struct rig *rig)
{
    static char uri[] = "http://keystone.example/v3";
    memset(&fake_auth, 0, sizeof fake_auth);
    rig->auth_conf = (struct conf_auth){.strategy = AUTH_KEYSTONE, .www_authenticate_uri = uri};
}

void fake_auth_release(void *arg)
{
    (void)arg;
    fake_auth.hold = false;
    while (checks != NULL) {
        struct check *check = checks;
        drop(check);
        answer(check);
        free(check);
    }
}

struct look {
    const unsigned *counter;
    unsigned seen;
};

static void look(void *arg)
{
    struct look *look = arg;
    look->seen = *look->counter;
}

void fake_auth_await(struct rig *rig, const unsigned *counter, unsigned wanted)
{
    struct look at = {.counter = counter};
    int64_t end = clock_mono_us() + 5000000;
    for (;;) {
        rig_call(rig, look, &at);
        if (at.seen == wanted)
            return;
        if (clock_mono_us() > end) {
            fprintf(stderr, "waited in vain: %u, not %u\n", at.seen, wanted);
            abort();
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

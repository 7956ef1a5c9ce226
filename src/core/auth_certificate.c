/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "client_certificate": the listener's TLS has verified the certificate (core/tls.h: chain, time,
 * purpose, revocation) and proved that the client holds its key; here its subject is looked up
 * among the configuration's users. Nothing of it waits, and nothing is remembered. */
#include <stdlib.h>
#include "base/map.h"
#include "core/auth_state.h"

struct certificates {
    struct map *identities; /* by subject */
};

static void certificate_close(void *self)
{
    struct certificates *certificates = self;
    size_t position = 0;
    struct identity *identity;
    while (certificates->identities != NULL &&
           (identity = map_next(certificates->identities, &position)) != NULL)
        identity_unref(identity);
    map_free(certificates->identities);
    free(certificates);
}

static int add_identity(struct certificates *certificates, const struct conf_user *user,
                        const struct conf_policy *policy)
{
    struct principal principal = {.user = user->name,
                                  .project_id = user->project_id,
                                  .method = "client_certificate",
                                  .system = user->system};
    policy_assign(policy, (const char *const *)user->roles.names, user->roles.count, &principal);
    struct identity *identity = identity_new(&principal);
    if (identity == NULL)
        return -1;
    /* The configuration's subject lives as long as this method. */
    if (map_put(certificates->identities, user->subject, identity) == 0)
        return 0;
    identity_unref(identity);
    return -1;
}

static void *certificate_open(const struct auth_settings *settings, struct fault *fault)
{
    struct certificates *certificates = calloc(1, sizeof *certificates);
    if (certificates == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    certificates->identities = map_new();
    bool good = certificates->identities != NULL;
    for (size_t i = 0; good && i < settings->conf->user_count; i++)
        good = add_identity(certificates, &settings->conf->users[i], settings->policy) == 0;
    if (good)
        return certificates;
    fault_set(fault, FAULT_MEMORY, "out of memory");
    certificate_close(certificates);
    return NULL;
}

/* The certificate is good, so this is who asks; the configuration just does not know it. */
static void refuse_unlisted(const char *subject, auth_done_fn *done, void *arg)
{
    struct principal principal = {.user = subject, .method = "client_certificate"};
    struct fault fault = {0};
    struct identity *identity = identity_new(&principal);
    if (identity == NULL) {
        auth_refuse(done, arg, FAULT_MEMORY, "out of memory");
        return;
    }
    fault_set(&fault, FAULT_FORBIDDEN,
              "The client certificate of %.400s is in no entry of auth.users of nmid.conf.",
              subject);
    done(arg, identity, &fault);
    identity_unref(identity);
}

static void *certificate_check(void *self, const struct credentials *credentials,
                               auth_done_fn *done, void *arg)
{
    const struct certificates *certificates = self;
    if (credentials->subject == NULL) {
        auth_refuse(done, arg, FAULT_UNAUTHORIZED, "A client certificate is required.");
        return NULL;
    }
    struct identity *identity = map_get(certificates->identities, credentials->subject);
    if (identity == NULL)
        refuse_unlisted(credentials->subject, done, arg);
    else
        done(arg, identity, NULL);
    return NULL;
}

static void certificate_cancel(void *self, void *check)
{
    (void)self, (void)check; /* no check waits */
}

const struct auth_method auth_certificate = {certificate_open, certificate_close, certificate_check,
                                             certificate_cancel};

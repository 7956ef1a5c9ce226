/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/principal.h"

#include <stdlib.h>
#include <string.h>

/* Copies text; false when memory is out. */
static bool copy(const char *text, const char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *ret_copy != NULL;
}

struct identity *identity_new(const struct principal *principal)
{
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL)
        return NULL;
    struct principal *own = &identity->principal;
    identity->references = 1;
    *own = *principal;
    own->user = own->user_id = own->project_id = own->address = NULL;
    if (copy(principal->user, &own->user) && copy(principal->user_id, &own->user_id) &&
        copy(principal->project_id, &own->project_id))
        return identity;
    identity_unref(identity);
    return NULL;
}

struct identity *identity_ref(struct identity *identity)
{
    identity->references++;
    return identity;
}

void identity_unref(struct identity *identity)
{
    if (identity == NULL || --identity->references > 0)
        return;
    free((char *)identity->principal.user);
    free((char *)identity->principal.user_id);
    free((char *)identity->principal.project_id);
    free(identity);
}

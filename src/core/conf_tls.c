/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls = { ... } of a listener: which files, and what is asked of clients. The files are loaded
 * here, so that `nmid -t` and a reload find every mistake in them. */
#include <stdlib.h>
#include <string.h>
#include "core/conf_parts.h"
#include "core/tls.h"

#define PATH "listen.tls."

static int read_version(struct conf_block *block, struct conf_tls *tls)
{
    const char *text;
    int got = block_string(block, "version_min", &text);
    if (got <= 0)
        return got;
    if (strcmp(text, "1.2") == 0)
        tls->version_min = 12;
    else if (strcmp(text, "1.3") == 0)
        tls->version_min = 13;
    else
        return block_complain(block, "version_min", "expected \"1.2\" or \"1.3\"");
    return 0;
}

static int read_verify(struct conf_block *block, struct conf_tls *tls)
{
    const char *text;
    int got = block_string(block, "verify_client", &text);
    tls->verify = tls->client_ca_file == NULL ? CONF_VERIFY_NONE : CONF_VERIFY_REQUIRED;
    if (got <= 0)
        return got;
    if (tls->client_ca_file == NULL)
        return block_complain(block, "verify_client",
                              "there is no client_ca_file to verify clients by");
    if (strcmp(text, "optional") == 0)
        tls->verify = CONF_VERIFY_OPTIONAL;
    else if (strcmp(text, "required") != 0)
        return block_complain(block, "verify_client", "expected \"required\" or \"optional\"");
    return 0;
}

/* Everything that the keys say of each other, before a file is looked at. */
static int read_keys(struct conf_block *block, struct conf_tls *tls)
{
    int result = block_path(block, "certificate_file", &tls->certificate_file) < 0 ? -1 : 0;
    result |= block_path(block, "key_file", &tls->key_file) < 0 ? -1 : 0;
    int authority = block_path(block, "client_ca_file", &tls->client_ca_file);
    result |= block_path(block, "client_crl_file", &tls->client_crl_file) < 0 ? -1 : 0;
    result |= read_version(block, tls) < 0 ? -1 : 0;
    if (authority >= 0)
        result |= read_verify(block, tls) < 0 ? -1 : 0;
    else
        block_take(block, "verify_client"); /* what is said of it hangs on client_ca_file */
    if (block_take(block, "certificate_file") == NULL)
        result = block_complain(block, "certificate_file", "missing");
    if (block_take(block, "key_file") == NULL)
        result = block_complain(block, "key_file", "missing");
    if (tls->client_crl_file != NULL && authority == 0)
        result = block_complain(block, "client_crl_file",
                                "there is no client_ca_file whose certificates it could revoke");
    return authority < 0 ? -1 : result;
}

static void load(struct conf_block *block, struct conf_tls *tls)
{
    struct tls_notes notes;
    struct fault fault = {0};
    tls->tls = tls_load(tls, &notes, &fault);
    if (tls->tls == NULL)
        block_complain(block, notes.wrong != NULL ? notes.wrong : "certificate_file", "%s",
                       fault.message);
    for (size_t i = 0; i < notes.count; i++)
        block_warn(block, notes.notes[i].key, "%s", notes.notes[i].text);
}

void conf_read_tls(struct conf_block *block, struct conf_tls *tls)
{
    struct conf_block group;
    tls->version_min = 12;
    int got = block_group(block, "tls", PATH, &group);
    if (got <= 0)
        return;
    if (read_keys(&group, tls) == 0)
        load(&group, tls);
    block_finish(&group);
}

void conf_tls_clear(struct conf_tls *tls)
{
    tls_unref(tls->tls);
    free(tls->certificate_file);
    free(tls->key_file);
    free(tls->client_ca_file);
    free(tls->client_crl_file);
    *tls = (struct conf_tls){0};
}

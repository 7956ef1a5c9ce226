/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ca_file and insecure: which certificates nmid trusts where it asks others. The same two keys in
 * auth = { strategy = "keystone" }, ironic = { } and callback = { }; "insecure" is OpenStack's
 * name. */
#include <string.h>
#include "core/conf_file.h"
#include "core/conf_parts.h"

#define CA_FILE_MAX ((size_t)16 << 20)

static bool holds(const struct conf_text *text, const char *what)
{
    return memmem(text->bytes, text->len, what, strlen(what)) != NULL;
}

/* One that cannot be read is better found now than by every request. */
static void check_ca_file(struct conf_block *block, const char *path)
{
    struct conf_text text;
    struct fault fault = {0};
    if (conf_file_read(path, CA_FILE_MAX, &text, &fault) < 0) {
        block_complain(block, "ca_file", "%s: %s", path, fault.message);
        return;
    }
    if (!holds(&text, "-----BEGIN CERTIFICATE-----") &&
        !holds(&text, "-----BEGIN TRUSTED CERTIFICATE-----") &&
        !holds(&text, "-----BEGIN X509 CERTIFICATE-----"))
        block_complain(block, "ca_file", "%s: it holds no certificate (PEM)", path);
    conf_text_wipe(&text);
}

void conf_read_trust(struct conf_block *block, const char *meaning, char **ret_ca_file,
                     bool *ret_insecure)
{
    if (block_path(block, "ca_file", ret_ca_file) > 0)
        check_ca_file(block, *ret_ca_file);
    if (block_boolean(block, "insecure", ret_insecure) <= 0 || !*ret_insecure)
        return;
    if (block_take(block, "ca_file") != NULL)
        block_complain(block, "insecure",
                       "stands beside ca_file: no certificate is verified with it, so expected one "
                       "of them");
    else
        block_warn(block, "insecure", "certificates are not verified: %s", meaning);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the conf*.c files share. A block is one libconfig group that is being read: its keys are
 * taken one by one, and block_finish() complains of those that nobody took. Each taker returns 1
 * (there and good), 0 (absent) or -1 (wrong, and reported). */
#ifndef NMID_CORE_CONF_PARTS_H
#define NMID_CORE_CONF_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/conf.h"

struct config_setting_t; /* libconfig's */

/* One load: the configuration that grows, and one file after the other. */
struct conf_reader {
    struct conf *conf;
    const struct driver *const *drivers;
    const char *file;      /* the one being read */
    unsigned secret_line;  /* of the first secret in it, 0: none */
    unsigned include_line; /* where nmid.conf names its include_dir */
    bool overruled;        /* a node's key that does not count was warned about */
    struct report *errors, *warnings;
    size_t errors_before; /* what was in errors when the load began */
};

struct conf_block {
    struct conf_reader *reader;
    struct config_setting_t *group;
    const char *path; /* "ipmi." before the key in messages, or "" */
};

/* Looks over a text before libconfig sees it: 0, or -1 with the line and what is wrong. */
int conf_scan(const char *text, size_t len, unsigned *ret_line, const char **ret_what);

/* conf_block.c */
struct config_setting_t *block_take(struct conf_block *block, const char *key);
/* Reports "FILE:LINE: PATH.KEY: message" at the line of the key, or of the group without it. */
int block_complain(const struct conf_block *block, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int block_warn(const struct conf_block *block, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int block_string(struct conf_block *block, const char *key, const char **ret_value);
int block_path(struct conf_block *block, const char *key, char **ret_path);
int block_unsigned(struct conf_block *block, const char *key, unsigned min, unsigned max,
                   unsigned *ret_value);
int block_boolean(struct conf_block *block, const char *key, bool *ret_value);
int block_group(struct conf_block *block, const char *key, const char *path,
                struct conf_block *ret_group);
int block_list(struct conf_block *block, const char *key, struct config_setting_t **ret_list);
/* The group at i of a list; -1 (reported) when it is something else. */
int block_list_group(const struct conf_block *block, struct config_setting_t *list, unsigned i,
                     const char *path, struct conf_block *ret_group);
unsigned block_line(const struct conf_block *block, const char *key);
void block_finish(const struct conf_block *block);

/* True when text is 1 to max printable ASCII characters without a blank. */
bool conf_word(const char *text, size_t max);

/* conf_secret.c. KEY or KEY_file: 1, 0 or -1 as above. */
int block_secret(struct conf_block *block, const char *key, size_t max, struct secret **ret_secret);
/* A string that is one of these words (NULL-terminated); *value is its place among them. */
void block_word(struct conf_block *block, const char *key, const char *const *words,
                const char *expected, unsigned *value);
/* A list of names, which replaces what is there. */
int block_names(struct conf_block *block, const char *key, struct conf_names *ret_names);
void conf_names_clear(struct conf_names *names);
/* "project_id", into a copy that is NULL so far. */
void block_project_id(struct conf_block *block, char **ret_project_id);
/* Adds ", NAME" to a list that goes into a message; what no longer fits is left out. */
void conf_list_add(char *list, size_t size, const char *name);

/* conf_text.c: parses one file's text; hands its root block to read, then wipes the tree. */
typedef void conf_read_fn(struct conf_block *root);
void conf_text_parse(struct conf_reader *reader, const struct conf_source *source,
                     conf_read_fn *read);

/* conf_main.c: every key of nmid.conf. */
void conf_read_main(struct conf_block *root);
int conf_defaults(struct conf *conf); /* -1 when memory is out */

/* conf_listen.c, conf_tls.c */
void conf_read_listen(struct conf_block *root);
void conf_read_tls(struct conf_block *block, struct conf_tls *tls); /* tls = { ... } of a listener */
void conf_tls_clear(struct conf_tls *tls);

/* conf_auth.c: auth = { ... } at the top (at 0 of conf->auths) or of a listener. True when the block
 * has one, whether or not it is good; then conf->auths[at] is it. */
bool conf_read_auth(struct conf_block *block, size_t at);
void conf_auth_clear(struct conf_auth *auth); /* wipes and frees what is in it */
/* Warns of users' projects that no node has, when all nodes have been read. */
void conf_compare_projects(struct conf_reader *reader, const char *file);

/* conf_keystone.c: the keys by which nmid logs in to Keystone, of a block that holds others too. */
void conf_read_keystone(struct conf_block *block, struct conf_keystone *keystone);
void conf_keystone_clear(struct conf_keystone *keystone);

/* conf_trust.c: ca_file and insecure; meaning is the end of the warning that insecure draws. */
void conf_read_trust(struct conf_block *block, const char *meaning, char **ret_ca_file,
                     bool *ret_insecure);

/* conf_policy.c: policy = { ... } and audit = { ... }. */
int conf_policy_defaults(struct conf *conf);
void conf_read_policy(struct conf_block *root);
void conf_policy_clear(struct conf_policy *policy);

/* conf_ironic.c: state_source and ironic = { ... }. */
void conf_read_ironic(struct conf_block *root);
void conf_warn_unused(struct conf_block *root); /* after conf_read_callback() */
void conf_ironic_clear(struct conf_ironic *ironic);
void conf_warn_overruled(struct conf_block *block); /* of a node's keys that do not count */

/* conf_node.c */
void conf_read_nodes(struct conf_block *root);

/* conf_callback.c */
void conf_read_callback(struct conf_block *root);
void conf_callback_clear(struct conf_callback *callback); /* wipes and frees what is in it */
#define CONF_CALLBACK_TIMEOUT_MS 10000

#endif

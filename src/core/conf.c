/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Loading the configuration: nmid.conf, then every *.conf of include_dir in the order of their
 * names. One bad file never hides the mistakes of another. */
#include "core/conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/conf_file.h"
#include "core/conf_parts.h"

#define FILE_MAX ((size_t)64 << 20)

static int reader_begin(struct conf_reader *reader, const char *name,
                        const struct driver *const *drivers, struct report *errors,
                        struct report *warnings)
{
    *reader = (struct conf_reader){.drivers = drivers,
                                   .file = name,
                                   .errors = errors,
                                   .warnings = warnings,
                                   .errors_before = errors->count + errors->dropped};
    reader->conf = calloc(1, sizeof *reader->conf);
    if (reader->conf != NULL && conf_defaults(reader->conf) == 0)
        return 0;
    conf_free(reader->conf);
    return report_add(errors, name, 0, "out of memory");
}

/* Hands the configuration over, or throws it away when anything was wrong with it. */
static int reader_end(struct conf_reader *reader, const char *name, struct conf **ret_conf)
{
    const struct report *errors = reader->errors;
    if (errors->count + errors->dropped != reader->errors_before) {
        conf_free(reader->conf);
        return -1;
    }
    if (node_table_count(reader->conf->nodes) == 0)
        report_add(reader->warnings, name, 0, "nodes: there are none");
    conf_compare_projects(reader, name);
    *ret_conf = reader->conf;
    return 0;
}

static void read_file(struct conf_reader *reader, const char *path, conf_read_fn *read)
{
    struct conf_text text;
    struct fault fault = {0};
    if (conf_file_read(path, FILE_MAX, &text, &fault) < 0) {
        report_add(reader->errors, path, 0, "%s", fault.message);
        return;
    }
    struct conf_source source = {path, text.bytes, text.len, text.public};
    conf_text_parse(reader, &source, read);
    conf_text_wipe(&text);
}

/* A file of include_dir holds nodes and nothing else. */
static void read_included(struct conf_block *root)
{
    conf_read_nodes(root);
    block_finish(root);
}

/* *.conf without what hides: an editor's ".#x.conf" is no configuration. */
static int is_conf(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_include_dir(struct conf_reader *reader, const char *main_file)
{
    const char *dir = reader->conf->include_dir;
    struct dirent **entries;
    if (dir == NULL)
        return;
    int count = scandir(dir, &entries, is_conf, by_bytes);
    if (count < 0) {
        report_add(reader->errors, main_file, reader->include_line,
                   "include_dir: cannot read %s: %s", dir, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
            report_add(reader->errors, dir, 0, "out of memory");
        } else {
            read_file(reader, path, read_included);
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
}

int conf_load(const char *path, const struct driver *const *drivers, struct conf **ret_conf,
              struct report *errors, struct report *warnings)
{
    struct conf_reader reader;
    if (reader_begin(&reader, path, drivers, errors, warnings) < 0)
        return -1;
    read_file(&reader, path, conf_read_main);
    read_include_dir(&reader, path);
    return reader_end(&reader, path, ret_conf);
}

int conf_parse(const struct conf_source *source, const struct driver *const *drivers,
               struct conf **ret_conf, struct report *errors, struct report *warnings)
{
    struct conf_reader reader;
    if (reader_begin(&reader, source->name, drivers, errors, warnings) < 0)
        return -1;
    conf_text_parse(&reader, source, conf_read_main);
    return reader_end(&reader, source->name, ret_conf);
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    for (size_t i = 0; i < conf->listener_count; i++) {
        free(conf->listeners[i].address);
        free(conf->listeners[i].socket);
        conf_tls_clear(&conf->listeners[i].tls);
    }
    free(conf->listeners);
    free(conf->state_dir);
    free(conf->include_dir);
    for (size_t i = 0; i < conf->auth_count; i++)
        conf_auth_clear(&conf->auths[i]);
    free(conf->auths);
    conf_policy_clear(&conf->policy);
    conf_ironic_clear(&conf->ironic);
    conf_callback_clear(&conf->callback);
    node_table_free(conf->nodes);
    free(conf);
}

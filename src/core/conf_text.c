/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file's text through libconfig. libconfig reads it as a stream from the memory of secrets, so
 * that there is no other whole copy, and the strings of its tree are wiped before they are freed.
 * (What its scanner frees as it is, base/wipe.c wipes.) */
#include <libconfig.h>
#include <stdio.h>
#include <string.h>
#include "base/secret.h"
#include "core/conf_parts.h"

static void wipe_tree(config_setting_t *setting)
{
    if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
        const char *value = config_setting_get_string(setting);
        if (value != NULL)
            secret_wipe((char *)value, strlen(value));
        return;
    }
    if (!config_setting_is_aggregate(setting))
        return;
    unsigned count = (unsigned)config_setting_length(setting);
    for (unsigned i = 0; i < count; i++)
        wipe_tree(config_setting_get_elem(setting, i));
}

static void parse_stream(struct conf_reader *reader, FILE *stream, conf_read_fn *read)
{
    config_t config;
    config_init(&config);
    if (config_read(&config, stream) != CONFIG_TRUE) {
        const char *text = config_error_text(&config);
        report_add(reader->errors, reader->file, (unsigned)config_error_line(&config), "%s",
                   text == NULL ? "syntax error" : text);
    } else {
        struct conf_block root = {reader, config_root_setting(&config), ""};
        read(&root);
    }
    wipe_tree(config_root_setting(&config));
    config_destroy(&config);
}

/* ---- The text as a stream ---- */

/* libconfig 1.5 knows a comment only by the newline behind it: one is added to the end. */
struct stream {
    const struct conf_source *source;
    size_t at; /* up to source->len + 1 */
};

static ssize_t stream_read(void *cookie, char *bytes, size_t room)
{
    struct stream *stream = cookie;
    size_t left = stream->source->len - stream->at;
    if (stream->at > stream->source->len || room == 0)
        return 0;
    if (left == 0) {
        bytes[0] = '\n';
        stream->at++;
        return 1;
    }
    if (left > room)
        left = room;
    memcpy(bytes, stream->source->text + stream->at, left);
    stream->at += left;
    return (ssize_t)left;
}

void conf_text_parse(struct conf_reader *reader, const struct conf_source *source,
                     conf_read_fn *read)
{
    unsigned line;
    const char *what;
    reader->file = source->name;
    reader->secret_line = 0;
    if (conf_scan(source->text, source->len, &line, &what) < 0) {
        report_add(reader->errors, source->name, line, "%s", what);
        return;
    }
    struct stream cookie = {.source = source};
    FILE *stream = fopencookie(&cookie, "r", (cookie_io_functions_t){.read = stream_read});
    if (stream == NULL) {
        report_add(reader->errors, source->name, 0, "out of memory");
    } else {
        setvbuf(stream, NULL, _IONBF, 0); /* no copy in a buffer of stdio's */
        parse_stream(reader, stream, read);
        fclose(stream);
    }
    if (reader->secret_line != 0 && source->public)
        report_add(reader->errors, source->name, reader->secret_line,
                   "the file holds a secret and is readable by others: chmod o-r %s", source->name);
}

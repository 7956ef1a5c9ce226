/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each key of an action's evidence means: docs/ipmi.md, "The rule". */
#include "cli/evidence.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "cli/answer.h"
#include "cli/text.h"

#define LINE_MAX_BYTES 640

/* A value that is one of several words: its sentence, and its few words for one line. */
struct word {
    const char *key, *value, *sentence, *brief;
};

static const struct word words[] = {
    {"power", "on", "The machine was switched on before the interrupt.", NULL},
    {"power", "off", "The machine was switched off.", NULL},
    {"power", "unchecked", "The BMC did not tell whether the machine was on.", NULL},
    {"answer", "on-time", "The BMC answered in time.", NULL},
    {"answer", "late", "The answer came late, while the BMC was already being probed.",
     "answered late"},
    {"sequence", "no-answer-seen",
     "The session's sequence numbers show that the BMC had not answered yet: it never got the "
     "interrupt command, or was still busy with it (no-answer-seen).",
     "not answered by its sequence numbers"},
    {"sequence", "answered-but-lost",
     "The session's sequence numbers show that the BMC did answer, and that its answer was lost on "
     "the way; what it said is not known (answered-but-lost).",
     "answered, the answer was lost"},
    {"sequence", "ambiguous",
     "The session's sequence numbers do not tell whether the BMC answered (ambiguous).",
     "sequence numbers ambiguous"},
    {"sequence", "session-dead", "The BMC answered no probe after the interrupt (session-dead).",
     "session dead"},
    {"sel", "interrupt-recorded", "The BMC's event log has a new record of the interrupt.",
     "SEL: interrupt recorded"},
    {"sel", "os-stopped",
     "The BMC's event log has a new record which says that the operating system stopped: a trace "
     "of the interrupt, and no proof.",
     "SEL: the system stopped"},
    {"sel", "nothing-new",
     "The BMC's event log has nothing new about it; not every BMC records an interrupt.",
     "SEL: nothing new"},
    {"sel", "unreadable", "The BMC's event log could not be read.", "SEL: unreadable"},
    {"sel", "none", "The BMC has no event log.", NULL},
    {"sel", "unchecked", "The BMC's event log was not read.", NULL},
};

/* Keys that have a sentence of their own below, or belong to another key's. */
static const char *const spoken[] = {"sends",           "protocol",          "cipher_suite",
                                     "completion_code", "answered_after_ms", "probes",
                                     "probes_answered", "sel_records",       "session_closed",
                                     "retransmissions", "sequence_gap",      "ignored_datagrams"};

static const struct word *word_find(const char *key, const json_t *value)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].key, key) == 0 && strcmp(words[i].value, text) == 0)
            return &words[i];
    return NULL;
}

/* A number from 0 up, or -1. */
static long long number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (long long)json_integer_value(value)
               : -1;
}

static const char *plural(long long count)
{
    return count == 1 ? "" : "s";
}

/* Any value as text: strings bare, the rest as JSON. */
static void value_text(const json_t *value, char *text, size_t size)
{
    char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(text, size, "%s",
             json_is_string(value) ? json_string_value(value)
             : dumped != NULL      ? dumped
                                   : "-");
    free(dumped);
}

struct speech {
    const json_t *evidence;
    const char *indent;
    FILE *file;
};

static void say(const struct speech *speech, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct speech *speech, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fputs(speech->indent, speech->file);
    text_put(speech->file, line);
    fputc('\n', speech->file);
}

static void say_word(const struct speech *speech, const char *key)
{
    const struct word *word = word_find(key, json_object_get(speech->evidence, key));
    if (word != NULL)
        say(speech, "%s", word->sentence);
}

static void say_sending(const struct speech *speech)
{
    const char *protocol = answer_text(speech->evidence, "protocol");
    long long suite = number(speech->evidence, "cipher_suite");
    long long sends = number(speech->evidence, "sends");
    if (protocol[0] != '\0' && suite >= 0)
        say(speech, "The session with the BMC was IPMI %.16s, cipher suite %lld.", protocol, suite);
    else if (protocol[0] != '\0')
        say(speech, "The session with the BMC was IPMI %.16s.", protocol);
    say_word(speech, "power");
    if (sends == 0)
        say(speech, "The interrupt command was not sent.");
    else if (sends == 1)
        say(speech, "The interrupt command was sent once.");
    else if (sends > 1)
        say(speech, "The interrupt command was sent %lld times, as the configuration allows.",
            sends);
}

static void say_answer(const struct speech *speech)
{
    const char *code = answer_text(speech->evidence, "completion_code");
    long long after = number(speech->evidence, "answered_after_ms");
    if (code[0] != '\0' && after >= 0)
        say(speech, "The BMC answered after %lld ms, with completion code %.16s.", after, code);
    else if (code[0] != '\0')
        say(speech, "The BMC answered with completion code %.16s.", code);
    else if (after >= 0)
        say(speech, "The BMC answered after %lld ms.", after);
    if (after < 0 || strcmp(answer_text(speech->evidence, "answer"), "on-time") != 0)
        say_word(speech, "answer");
}

static void say_probes(const struct speech *speech)
{
    long long probes = number(speech->evidence, "probes");
    long long answered = number(speech->evidence, "probes_answered");
    if (probes > 0)
        say(speech,
            "After that it was asked for its status %lld time%s in the same session, and answered "
            "%lld.",
            probes, plural(probes), answered < 0 ? 0 : answered);
    say_word(speech, "sequence");
}

static void say_log(const struct speech *speech)
{
    const json_t *record;
    size_t i;
    say_word(speech, "sel");
    json_array_foreach(json_object_get(speech->evidence, "sel_records"), i, record)
    {
        char id[32], type[32], offset[32];
        value_text(json_object_get(record, "id"), id, sizeof id);
        value_text(json_object_get(record, "offset"), offset, sizeof offset);
        long long sensor_type = number(record, "sensor_type");
        if (sensor_type >= 0)
            snprintf(type, sizeof type, "%02llXh", sensor_type);
        else
            value_text(json_object_get(record, "sensor_type"), type, sizeof type);
        say(speech, "  record %s: %.200s (sensor type %s, offset %s)", id,
            answer_text(record, "text"), type, offset);
    }
}

static void say_end(const struct speech *speech)
{
    const json_t *closed = json_object_get(speech->evidence, "session_closed");
    long long again = number(speech->evidence, "retransmissions");
    long long ignored = number(speech->evidence, "ignored_datagrams");
    if (json_is_true(closed) && number(speech->evidence, "probes") > 0)
        say(speech, "The session was closed, and the BMC confirmed it: what may still have been "
                    "under way in the network counts no more.");
    else if (json_is_true(closed))
        say(speech, "The session was closed, and the BMC confirmed it.");
    else if (json_is_false(closed))
        say(speech, "The BMC did not confirm that the session was closed.");
    if (again > 0)
        say(speech, "%lld other request%s, never the interrupt, had to be repeated.", again,
            plural(again));
    if (ignored > 0)
        say(speech, "%lld datagram%s that %s no authentic answer of the BMC's %s ignored.", ignored,
            plural(ignored), ignored == 1 ? "was" : "were", ignored == 1 ? "was" : "were");
}

/* What has had no sentence. */
static void say_rest(const struct speech *speech)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)speech->evidence, key, value)
    {
        char text[512];
        bool said = word_find(key, value) != NULL;
        for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++)
            said = said || strcmp(spoken[i], key) == 0;
        if (said)
            continue;
        value_text(value, text, sizeof text);
        say(speech, "%.64s: %s", key, text);
    }
}

void evidence_print(const json_t *evidence, const char *indent, FILE *file)
{
    struct speech speech = {.evidence = evidence, .indent = indent, .file = file};
    say_sending(&speech);
    say_answer(&speech);
    say_probes(&speech);
    say_log(&speech);
    say_end(&speech);
    say_rest(&speech);
}

/* ---- In brief ---- */

static void brief_add(char *text, size_t size, const char *words_of_it)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", words_of_it);
}

static void brief_word(const json_t *evidence, const char *key, char *text, size_t size)
{
    const json_t *value = json_object_get(evidence, key);
    const struct word *word = word_find(key, value);
    char own[80];
    if (word != NULL && word->brief != NULL) {
        brief_add(text, size, word->brief);
    } else if (word == NULL && json_is_string(value)) {
        snprintf(own, sizeof own, "%s: %.48s", key, json_string_value(value));
        brief_add(text, size, own);
    }
}

void evidence_brief(const json_t *evidence, char *text, size_t size)
{
    char own[80];
    long long sends = number(evidence, "sends");
    const char *code = answer_text(evidence, "completion_code");
    const json_t *closed = json_object_get(evidence, "session_closed");
    text[0] = '\0';
    snprintf(own, sizeof own, "sent %lld times", sends);
    if (sends > 0)
        brief_add(text, size, sends == 1 ? "sent once" : own);
    snprintf(own, sizeof own, "completion code %.16s", code);
    if (code[0] != '\0')
        brief_add(text, size, own);
    brief_word(evidence, "answer", text, size);
    brief_word(evidence, "sequence", text, size);
    brief_word(evidence, "sel", text, size);
    if (json_is_boolean(closed))
        brief_add(text, size, json_is_true(closed) ? "session closed" : "session not closed");
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recordings to and from text: "NAME VALUE" lines, then "> MICROSECONDS HEX" and "< ...". */
#include "recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"

/* ---- Random numbers ---- */

static uint64_t generator;

void recording_seed(uint64_t seed)
{
    generator = seed;
}

/* Steele, Lea and Flood's SplitMix64. */
void recording_random(void *bytes, size_t len)
{
    uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        generator += 0x9e3779b97f4a7c15u;
        uint64_t x = generator;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        p[i] = (uint8_t)(x >> 56);
    }
}

/* ---- Header ---- */

static int set_text(char *field, size_t size, const char *value)
{
    int len = snprintf(field, size, "%s", value);
    return len < 0 || (size_t)len >= size ? -1 : 0;
}

static int set_suites(struct recording *r, const char *value)
{
    r->suite_count = 0;
    for (const char *p = value; *p != '\0'; p += *p == ',') {
        char *end;
        unsigned long suite = strtoul(p, &end, 10);
        if (end == p || r->suite_count == IPMI_SUITES_MAX)
            return -1;
        r->suites[r->suite_count++] = (unsigned)suite;
        p = end;
    }
    return 0;
}

int recording_set(struct recording *r, const char *name, const char *value)
{
    int64_t number = strtoll(value, NULL, 10);
    if (strcmp(name, "note") == 0)
        return set_text(r->note, sizeof r->note, value);
    if (strcmp(name, "user") == 0)
        return set_text(r->user, sizeof r->user, value);
    if (strcmp(name, "password") == 0)
        return set_text(r->password, sizeof r->password, value);
    if (strcmp(name, "outcome") == 0)
        return set_text(r->outcome, sizeof r->outcome, value);
    if (strcmp(name, "code") == 0)
        return set_text(r->code, sizeof r->code, value);
    if (strcmp(name, "suites") == 0)
        return set_suites(r, value);
    if (strcmp(name, "version") == 0)
        r->ipmi_1_5 = strcmp(value, "1.5") == 0;
    else if (strcmp(name, "probe") == 0)
        r->probe = number != 0;
    else if (strcmp(name, "privilege") == 0)
        r->privilege = (unsigned)number;
    else if (strcmp(name, "seed") == 0)
        r->seed = (uint64_t)number;
    else if (strcmp(name, "timeout") == 0)
        r->timeout = number;
    else if (strcmp(name, "answer") == 0)
        r->answer = number;
    else if (strcmp(name, "retransmit") == 0)
        r->retransmit = number;
    else if (strcmp(name, "sel") == 0)
        r->sel = number != 0;
    else if (strcmp(name, "resend") == 0)
        r->resend = number != 0;
    else if (strcmp(name, "retry_busy") == 0)
        r->retry_busy = number != 0;
    else
        return -1;
    return 0;
}

static void write_header(const struct recording *r, FILE *file)
{
    fprintf(file, "note %s\nuser %s\npassword %s\n", r->note, r->user, r->password);
    fprintf(file, "version %s\n", r->ipmi_1_5 ? "1.5" : "2.0");
    if (r->suite_count > 0) {
        fprintf(file, "suites");
        for (unsigned i = 0; i < r->suite_count; i++)
            fprintf(file, "%c%u", i == 0 ? ' ' : ',', r->suites[i]);
        fprintf(file, "\n");
    }
    fprintf(file, "privilege %u\nprobe %d\nseed %" PRIu64 "\n", r->privilege, r->probe, r->seed);
    fprintf(file, "timeout %" PRId64 "\nanswer %" PRId64 "\nretransmit %" PRId64 "\n", r->timeout,
            r->answer, r->retransmit);
    if (r->sel || r->resend || r->retry_busy)
        fprintf(file, "sel %d\nresend %d\nretry_busy %d\n", r->sel, r->resend, r->retry_busy);
    fprintf(file, "outcome %s\ncode %s\n", r->outcome, r->code);
}

void recording_write(const struct recording *r, FILE *file)
{
    write_header(r, file);
    for (unsigned i = 0; i < r->count; i++) {
        const struct recording_line *line = &r->lines[i];
        fprintf(file, "%c %" PRId64 " ", line->out ? '>' : '<', line->at);
        for (size_t j = 0; j < line->datagram.len; j++)
            fprintf(file, "%02x", line->datagram.bytes[j]);
        fprintf(file, "\n");
    }
}

/* ---- Reading ---- */

static int read_hex(const char *text, struct ipmi_datagram *datagram)
{
    size_t digits = strlen(text);
    if (digits % 2 != 0 || digits / 2 > sizeof datagram->bytes)
        return -1;
    datagram->len = digits / 2;
    for (size_t i = 0; i < datagram->len; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'}, *end;
        datagram->bytes[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2)
            return -1;
    }
    return 0;
}

static int read_line(struct recording *r, char *text)
{
    text[strcspn(text, "\n")] = '\0';
    char *value = strchr(text, ' ');
    if (value == NULL)
        return -1;
    *value++ = '\0';
    if (strcmp(text, ">") != 0 && strcmp(text, "<") != 0)
        return recording_set(r, text, value);
    char *end;
    int64_t at = strtoll(value, &end, 10);
    if (*end != ' ' || r->count == RECORDING_LINES_MAX)
        return -1;
    struct recording_line *line = &r->lines[r->count++];
    line->out = text[0] == '>';
    line->at = at;
    return read_hex(end + 1, &line->datagram);
}

int recording_read(struct recording *r, const char *path)
{
    char text[2 * IPMI_DATAGRAM_MAX + 64];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    memset(r, 0, sizeof *r);
    int result = 0;
    for (unsigned number = 1; result == 0 && fgets(text, sizeof text, file) != NULL; number++) {
        result = read_line(r, text);
        if (result < 0)
            fprintf(stderr, "%s:%u: not a line of a recording\n", path, number);
    }
    fclose(file);
    return result;
}

/* ---- Playing ---- */

void recording_plan(const struct recording *r, struct ipmi_info *ret_info,
                    struct ipmi_plan *ret_plan)
{
    *ret_info = (struct ipmi_info){
        .address = (char *)"192.0.2.7", /* as the messages name it */
        .port = 623,
        .username = (char *)r->user,
        .password = secret_new(r->password, strlen(r->password)),
        .privilege = (unsigned char)r->privilege,
        .suite_count = r->suite_count,
        .ipmi_1_5 = r->ipmi_1_5,
    };
    memcpy(ret_info->suites, r->suites, sizeof r->suites);
    *ret_plan = (struct ipmi_plan){
        .info = ret_info,
        .probe = r->probe,
        .timeout = r->timeout,
        .answer = r->answer,
        .retransmit = r->retransmit,
        .sel = r->sel ? CONF_SEL_SILENCE : CONF_SEL_NEVER,
        .resend = r->resend ? CONF_RESEND_IF_UNSEEN : CONF_RESEND_NEVER,
        .retry_busy = r->retry_busy,
        .random = recording_random,
    };
}

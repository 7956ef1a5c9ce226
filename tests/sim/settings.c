/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The switches of a simulated BMC: one table, from which --set, the control socket's `set` and
 * --help are all served. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "flow.h"
#include "sim.h"

const char *const kind_names[KINDS] = {
    [KIND_ANY] = "any",
    [KIND_PING] = "ping",
    [KIND_AUTH_CAP] = "auth_cap",
    [KIND_SUITES] = "suites",
    [KIND_OPEN] = "open",
    [KIND_RAKP1] = "rakp1",
    [KIND_RAKP3] = "rakp3",
    [KIND_CHALLENGE] = "challenge",
    [KIND_ACTIVATE] = "activate",
    [KIND_STATUS] = "status",
    [KIND_PRIVILEGE] = "privilege",
    [KIND_CONTROL] = "control",
    [KIND_CLOSE] = "close",
    [KIND_SEL] = "sel",
    [KIND_OTHER] = "other",
};

struct key {
    const char *name;
    int (*parse)(void *field, const char *value, const struct key *key);
    size_t offset;
    long min, max;
    const char *values, *help;
};

static int flag_parse(void *field, const char *value, const struct key *key)
{
    bool on = !strcmp(value, "on") || !strcmp(value, "1");

    (void)key;
    if (!on && strcmp(value, "off") && strcmp(value, "0"))
        return -1;
    *(bool *)field = on;
    return 0;
}

static int number_parse(void *field, const char *value, const struct key *key)
{
    char *end;
    long number = strtol(value, &end, 10);

    if (!*value || *end || number < key->min || number > key->max)
        return -1;
    *(int32_t *)field = (int32_t)number;
    return 0;
}

/* "off" is -1. */
static int hex_parse(void *field, const char *value, const struct key *key)
{
    char *end;
    long number = strtol(value, &end, 16);

    if (!strcmp(value, "off")) {
        *(int32_t *)field = -1;
        return 0;
    }
    if (!*value || *end || number < key->min || number > key->max)
        return -1;
    *(int32_t *)field = (int32_t)number;
    return 0;
}

static int off_number_parse(void *field, const char *value, const struct key *key)
{
    return number_parse(field, strcmp(value, "off") ? value : "-1", key);
}

static int percent_parse(void *field, const char *value, const struct key *key)
{
    return number_parse(field,
                        !strcmp(value, "on")    ? "100"
                        : !strcmp(value, "off") ? "0"
                                                : value,
                        key);
}

static int text_parse(void *field, const char *value, const struct key *key)
{
    if (strlen(value) > (size_t)key->max)
        return -1;
    memset(field, 0, (size_t)key->max + 1);
    memcpy(field, value, strlen(value));
    return 0;
}

static int kg_parse(void *field, const char *value, const struct key *key)
{
    uint8_t kg[20] = {0};
    size_t n = 0;
    const char *p = value;

    (void)key;
    if (!strncmp(p, "0x", 2))
        p += 2;
    if (!strcmp(p, "off"))
        p = "";
    for (; *p; p += 2, n++) {
        char digits[3] = {p[0], p[1], 0};

        if (n == sizeof(kg) || !isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]))
            return -1;
        kg[n] = (uint8_t)strtoul(digits, NULL, 16);
    }
    memcpy(field, kg, sizeof(kg));
    return 0;
}

static int suite_known(long id)
{
    for (size_t i = 0; i < suites_count; i++)
        if (suites[i].id == id)
            return 1;
    return 0;
}

static int suites_parse(void *field, const char *value, const struct key *key)
{
    uint32_t mask = 0;
    char *end;

    (void)key;
    do {
        long id = strtol(value, &end, 10);

        if (end == value || !suite_known(id) || (*end && *end != ','))
            return -1;
        mask |= 1U << id;
        value = end + 1;
    } while (*end);
    *(uint32_t *)field = mask;
    return 0;
}

/* A word of `words` ("name=number name=number ..."). */
static int word_find(const char *words, const char *word, size_t length)
{
    for (const char *p = words; *p; p += strcspn(p, " "), p += *p == ' ')
        if (!strncmp(p, word, length) && p[length] == '=')
            return atoi(p + length + 1);
    return -1;
}

static int auth_types_parse(void *field, const char *value, const struct key *key)
{
    uint32_t mask = 0;

    (void)key;
    for (;;) {
        size_t length = strcspn(value, ",");
        int type = word_find("none=0 md5=2 password=4", value, length);

        if (type < 0)
            return -1;
        mask |= 1U << type;
        if (!value[length])
            break;
        value += length + 1;
    }
    *(uint32_t *)field = mask;
    return 0;
}

static int privilege_parse(void *field, const char *value, const struct key *key)
{
    int level = word_find("callback=1 user=2 operator=3 administrator=4", value, strlen(value));

    (void)key;
    if (level < 0)
        return -1;
    *(int32_t *)field = level;
    return 0;
}

static int version_parse(void *field, const char *value, const struct key *key)
{
    int version = word_find("both=0 1.5=1 2.0=2", value, strlen(value));

    (void)key;
    if (version < 0)
        return -1;
    *(int32_t *)field = version;
    return 0;
}

static int duplicate_parse(void *field, const char *value, const struct key *key)
{
    int executes = word_find("drop=0 execute=1", value, strlen(value));

    (void)key;
    if (executes < 0)
        return -1;
    *(bool *)field = executes;
    return 0;
}

static int records_parse(void *field, const char *value, const struct key *key)
{
    int records = word_find("none=0 nmi=1 os=2 both=3 noise=4", value, strlen(value));

    (void)key;
    if (records < 0)
        return -1;
    *(int32_t *)field = records;
    return 0;
}

/* N,N... of 1 to 31, all or off. */
static int probes_parse(void *field, const char *value, const struct key *key)
{
    uint32_t mask = 0;
    char *end;

    (void)key;
    if (!strcmp(value, "all") || !strcmp(value, "off")) {
        *(uint32_t *)field = *value == 'a' ? UINT32_MAX : 0;
        return 0;
    }
    do {
        long n = strtol(value, &end, 10);

        if (end == value || n < 1 || n > 31 || (*end && *end != ','))
            return -1;
        mask |= 1U << n;
        value = end + 1;
    } while (*end);
    *(uint32_t *)field = mask;
    return 0;
}

/* KIND:N, and off for all kinds. */
static int lose_parse(void *field, const char *value, const struct key *key)
{
    uint32_t *lose = field;
    size_t length = strcspn(value, ":");

    (void)key;
    if (!strcmp(value, "off")) {
        memset(lose, 0, sizeof(uint32_t) * KINDS);
        return 0;
    }
    for (unsigned k = 0; k < KINDS; k++)
        if (strlen(kind_names[k]) == length && !strncmp(kind_names[k], value, length)) {
            char *end;
            long n = value[length] ? strtol(value + length + 1, &end, 10) : -1;

            if (n < 0 || *end || end == value + length + 1)
                return -1;
            lose[k] = (uint32_t)n;
            return 0;
        }
    return -1;
}

#define AT(field) offsetof(struct settings, field)
#define FLAG(name, text)                                                                           \
    {                                                                                              \
#name, flag_parse, AT(name), 0, 1, "on|off", text                                          \
    }
#define NUMBER(name, lo, hi, text)                                                                 \
    {                                                                                              \
#name, number_parse, AT(name), lo, hi, "N", text                                           \
    }
#define PERCENT(name, text)                                                                        \
    {                                                                                              \
#name, percent_parse, AT(name), 0, 100, "PERCENT", text                                    \
    }
#define HEX(name, text)                                                                            \
    {                                                                                              \
#name, hex_parse, AT(name), 0, 255, "HEX|off", text                                        \
    }
static const struct key keys[] = {
    {"user", text_parse, AT(user), 0, 16, "NAME", "the one user (admin)"},
    {"password", text_parse, AT(password), 0, 20, "TEXT", "its password (secret)"},
    {"k_g", kg_parse, AT(kg), 0, 0, "HEX|off", "the BMC key, to 20 bytes (none)"},
    {"suites", suites_parse, AT(suites), 0, 0, "N,N...", "cipher suites of 0-3, 15-17 (3,17)"},
    {"auth_types", auth_types_parse, AT(auth_types), 0, 0, "none,md5,password",
     "of 1.5 (md5,password)"},
    {"privilege", privilege_parse, AT(privilege), 0, 0, "user|operator|administrator",
     "the user's limit (administrator)"},
    {"version", version_parse, AT(version), 0, 0, "both|1.5|2.0",
     "which sessions it speaks (both)"},
    FLAG(power, "the machine's power (on)"),
    NUMBER(session_limit, 0, 255, "sessions at a time (16)"),
    FLAG(count_half_open, "half-open sessions hold their slots (off: the oldest makes room)"),
    NUMBER(idle_s, 0, 100000, "an idle session ends (60)"),
    {"lose_request", lose_parse, AT(lose_request), 0, 0, "KIND:N|off",
     "the next N requests get lost"},
    {"lose_response", lose_parse, AT(lose_response), 0, 0, "KIND:N|off",
     "the next N are executed, their answers lost"},
    {"lose_probe_request", probes_parse, AT(lose_probe_request), 0, 0, "N,N...|all|off",
     "... the N-th Get Chassis Status after the Chassis Control, in each session"},
    {"lose_probe_response", probes_parse, AT(lose_probe_response), 0, 0, "N,N...|all|off",
     "... its answer"},
    PERCENT(loss_in, "so many requests get lost"),
    PERCENT(loss_out, "so many answers get lost"),
    NUMBER(delay_ms, 0, 600000, "every answer comes so late (the round trip)"),
    NUMBER(jitter_ms, 0, 600000, "every datagram, each way, comes 0 to N ms later, at random"),
    PERCENT(reorder, "so many datagrams, each way, are overtaken by the next one"),
    NUMBER(reorder_ms, 0, 600000, "... and wait so long for it at most (1000; 0: however long)"),
    NUMBER(control_delay_ms, 0, 600000, "Chassis Control is executed at once and answered late"),
    NUMBER(execute_delay_ms, 0, 600000, "Chassis Control is executed, and then answered, late"),
    FLAG(control_blocks, "while a Chassis Control waits for its answer, so do later requests"),
    FLAG(control_drops_session, "a Chassis Control ends its session, unanswered"),
    FLAG(blackhole, "hears nothing"),
    {"duplicate_in", duplicate_parse, AT(duplicate_executes), 0, 0, "drop|execute",
     "a request that came before (drop)"},
    FLAG(duplicate_out, "every answer comes twice"),
    HEX(completion, "completion code of Chassis Control; not executed unless 00"),
    FLAG(completion_executes, "... executed whatever the code"),
    HEX(status_completion, "completion code of Get Chassis Status"),
    HEX(privilege_completion, "completion code of Set Session Privilege Level"),
    FLAG(sel, "it has a System Event Log (on; off: C1)"),
    {"sel_records", records_parse, AT(sel_records), 0, 0, "nmi|os|both|none|noise",
     "what an interrupt writes there (nmi)"},
    NUMBER(sel_delay_ms, 0, 600000, "... so long after it was executed"),
    FLAG(sel_full, "... which is full: nothing is added"),
    HEX(sel_completion, "completion code of all SEL commands"),
    FLAG(sel_refuses_late, "... only once a Chassis Control has come"),
    {"truncate", off_number_parse, AT(truncate), -1, ANSWER_MAX, "N|off",
     "answers are cut to N bytes"},
    PERCENT(mutate, "so many answers have some bits flipped"),
    FLAG(garbage, "random bytes before each answer"),
    FLAG(oversize, "60000 bytes before each answer"),
    FLAG(wrong_session, "before each answer a copy with another session id"),
    FLAG(wrong_seq, "... with a sequence number out of the window (setup: another tag)"),
    FLAG(wrong_rqseq, "... with another rqSeq (its session sequence number is in order)"),
    FLAG(bad_authcode, "... with a flipped authentication code (in a session)"),
    FLAG(bad_rakp, "... RAKP 2 and 4 with a flipped authentication code"),
    FLAG(stray, "... from another source address"),
    FLAG(lie, "these copies tell the opposite completion code"),
    FLAG(open_privilege_zero, "Open Session echoes privilege level 0, as ipmi_sim does"),
    FLAG(rakp_fresh_random, "each RAKP 1 gets a new random number (on)"),
    FLAG(rakp3_repeat, "a RAKP 3 that comes again is answered again (on; off: status 02)"),
};

void settings_init(struct settings *settings)
{
    *settings = (struct settings){
        .user = "admin",
        .password = "secret",
        .power = true,
        .suites = 1U << 3 | 1U << 17,
        .auth_types = 1U << 2 | 1U << 4,
        .privilege = 4,
        .session_limit = 16,
        .idle_s = 60,
        .completion = -1,
        .status_completion = -1,
        .privilege_completion = -1,
        .truncate = -1,
        .sel = true,
        .sel_records = RECORDS_NMI,
        .sel_completion = -1,
        .reorder_ms = 1000,
        .rakp_fresh_random = true,
        .rakp3_repeat = true,
    };
}

const char *settings_set(struct settings *settings, const char *key, const char *value)
{
    static const uint8_t no_kg[sizeof(settings->kg)];

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (!strcmp(keys[i].name, key)) {
            if (keys[i].parse((char *)settings + keys[i].offset, value, &keys[i]) != 0)
                return "bad value";
            settings->has_kg = memcmp(settings->kg, no_kg, sizeof(no_kg)) != 0;
            return NULL;
        }
    return "no such key";
}

void settings_help(FILE *out)
{
    fputs("Keys of --set and of the control socket's set:\n", out);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        int n = fprintf(out, "  %s=%s", keys[i].name, keys[i].values);

        fprintf(out, "%*s %s\n", n < 38 ? 38 - n : 0, "", keys[i].help);
    }
    fputs("Kinds:", out);
    for (unsigned k = 0; k < KINDS; k++)
        fprintf(out, " %s", kind_names[k]);
    fputs("\n", out);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subjects in one form. Every byte of them may be a stranger's: whoever can have a certificate
 * signed chooses its subject. Nothing is copied without its length being known to fit. */
#include "core/subject.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX  ((size_t)4 * SUBJECT_MAX) /* "\C3" for each byte, and the types' long names */
#define TYPE_MAX  80
#define PARTS_MAX 16 /* of "a=1+b=2" */

/* The name that is written stands first; then others that are read. */
static const struct {
    const char *oid, *names;
} types[] = {
    /* RFC 4514, section 3 */
    {"2.5.4.3", "CN commonName"},
    {"2.5.4.7", "L localityName"},
    {"2.5.4.8", "ST stateOrProvinceName S"},
    {"2.5.4.10", "O organizationName"},
    {"2.5.4.11", "OU organizationalUnitName"},
    {"2.5.4.6", "C countryName"},
    {"2.5.4.9", "STREET streetAddress"},
    {"0.9.2342.19200300.100.1.25", "DC domainComponent"},
    {"0.9.2342.19200300.100.1.1", "UID userId"},
    /* As OpenSSL has them; and what GnuTLS and others call them. */
    {"1.2.840.113549.1.9.1", "emailAddress EMAIL E"},
    {"1.2.840.113549.1.9.2", "unstructuredName"},
    {"1.2.840.113549.1.9.8", "unstructuredAddress"},
    {"0.9.2342.19200300.100.1.3", "mail rfc822Mailbox"},
    {"2.5.4.4", "SN surname"},
    {"2.5.4.5", "serialNumber"},
    {"2.5.4.12", "title T"},
    {"2.5.4.13", "description"},
    {"2.5.4.15", "businessCategory"},
    {"2.5.4.16", "postalAddress"},
    {"2.5.4.17", "postalCode"},
    {"2.5.4.18", "postOfficeBox"},
    {"2.5.4.20", "telephoneNumber"},
    {"2.5.4.41", "name"},
    {"2.5.4.42", "GN givenName"},
    {"2.5.4.43", "initials"},
    {"2.5.4.44", "generationQualifier"},
    {"2.5.4.45", "x500UniqueIdentifier"},
    {"2.5.4.46", "dnQualifier"},
    {"2.5.4.51", "houseIdentifier"},
    {"2.5.4.65", "pseudonym"},
    {"2.5.4.72", "role"},
    {"2.5.4.97", "organizationIdentifier"},
    {"1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL jurisdictionLocalityName "
                                 "jurisdictionOfIncorporationLocalityName"},
    {"1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST jurisdictionStateOrProvinceName "
                                 "jurisdictionOfIncorporationStateOrProvinceName"},
    {"1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC jurisdictionCountryName "
                                 "jurisdictionOfIncorporationCountryName"},
    {"1.3.6.1.5.5.7.9.2", "placeOfBirth id-pda-placeOfBirth"},
    {"1.3.6.1.5.5.7.9.3", "gender id-pda-gender"},
    {"1.3.6.1.5.5.7.9.4", "countryOfCitizenship id-pda-countryOfCitizenship"},
    {"1.3.6.1.5.5.7.9.5", "countryOfResidence id-pda-countryOfResidence"},
    {"1.3.6.1.5.5.7.8.5", "XmppAddr id-on-xmppAddr"},
    {"1.2.643.100.1", "OGRN"},
    {"1.2.643.100.3", "SNILS"},
    {"1.2.643.100.5", "OGRNIP"},
    {"1.2.643.3.131.1.1", "INN"},
};

struct value {
    size_t len;
    bool hex; /* the bytes are DER of something that is no plain text */
    unsigned char bytes[SUBJECT_MAX];
};

/* What is written. values: where each TYPE=VALUE of its last part begins. */
struct writer {
    char *text;
    size_t len;
    size_t values[PARTS_MAX], value_count;
    const char *why; /* what is wrong; static */
};

static int wrong(struct writer *writer, const char *why)
{
    if (writer->why == NULL)
        writer->why = why;
    return -1;
}

static int put(struct writer *writer, const char *bytes, size_t len)
{
    if (len >= SUBJECT_MAX - writer->len)
        return wrong(writer, "it is longer than 1023 bytes");
    memcpy(writer->text + writer->len, bytes, len);
    writer->len += len;
    writer->text[writer->len] = '\0';
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits; -1: they are none. */
static int hex_byte(const char *at)
{
    int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
    return low < 0 ? -1 : high * 16 + low;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

/* ---- Types ---- */

/* Is text one of these words? */
static bool is_among(const char *words, const char *text, size_t len)
{
    for (const char *word = words; *word != '\0';) {
        size_t word_len = strcspn(word, " ");
        if (word_len == len && strncasecmp(word, text, len) == 0)
            return true;
        word += word_len + (word[word_len] == ' ');
    }
    return false;
}

/* Numbers with dots between them, two at least, without leading zeros. */
static bool is_oid(const char *text, size_t len)
{
    size_t numbers = 0, at = 0;
    for (;;) {
        size_t begin = at;
        while (at < len && is_digit(text[at]))
            at++;
        if (at == begin || (text[begin] == '0' && at - begin > 1))
            return false;
        numbers++;
        if (at == len)
            return numbers >= 2;
        if (text[at++] != '.')
            return false;
    }
}

static int put_type(struct writer *writer, const char *text, size_t len)
{
    if (len > 4 && strncasecmp(text, "OID.", 4) == 0) {
        text += 4;
        len -= 4;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (is_among(types[i].names, text, len) ||
            (strlen(types[i].oid) == len && memcmp(types[i].oid, text, len) == 0))
            return put(writer, types[i].names, strcspn(types[i].names, " "));
    }
    return is_oid(text, len) ? put(writer, text, len) : -1;
}

/* "type =" */
static const char *read_type(struct writer *writer, const char *at)
{
    const char *begin = at = skip_blanks(at);
    while (is_letter(*at) || is_digit(*at) || *at == '.' || *at == '-')
        at++;
    size_t len = (size_t)(at - begin);
    at = skip_blanks(at);
    if (*begin == '/')
        wrong(writer, "commas stand between its parts, not slashes");
    else if (len == 0 || *at != '=')
        wrong(writer, "each part is TYPE=VALUE");
    else if (len == 7 && strncasecmp(begin, "subject", len) == 0)
        wrong(writer, "\"subject=\" is no part of it");
    else if (len > TYPE_MAX || put_type(writer, begin, len) < 0)
        wrong(writer, "a type is not known by this name: its OID always is");
    return writer->why != NULL ? NULL : at + 1;
}

/* ---- Values ---- */

static int add_byte(struct writer *writer, struct value *value, int byte)
{
    if (value->len == sizeof value->bytes)
        return wrong(writer, "it is longer than 1023 bytes");
    value->bytes[value->len++] = (unsigned char)byte;
    return 0;
}

/* Behind a "\". */
static const char *read_escape(struct writer *writer, struct value *value, const char *at)
{
    int byte = hex_byte(at);
    if (byte >= 0)
        return add_byte(writer, value, byte) < 0 ? NULL : at + 2;
    if (*at == '\0' || strchr(" \"#+,;<=>\\", *at) == NULL) {
        wrong(writer, "behind \"\\\" stands a special character or two hexadecimal digits");
        return NULL;
    }
    return add_byte(writer, value, *at) < 0 ? NULL : at + 1;
}

static const char *read_quoted(struct writer *writer, struct value *value, const char *at)
{
    while (at != NULL && *at != '"') {
        if (*at == '\0') {
            wrong(writer, "a quote does not end");
            return NULL;
        }
        if (*at == '\\')
            at = read_escape(writer, value, at + 1);
        else
            at = add_byte(writer, value, *at) < 0 ? NULL : at + 1;
    }
    return at == NULL ? NULL : at + 1;
}

static const char *read_plain(struct writer *writer, struct value *value, const char *at)
{
    size_t keep = 0; /* so much of it is no blank at its end */
    while (at != NULL && *at != '\0' && *at != ',' && *at != '+') {
        if (strchr("\";<>", *at) != NULL) {
            wrong(writer, "a \" ; < > in a value has a \"\\\" before it");
            return NULL;
        }
        bool blank = *at == ' ';
        if (*at == '\\')
            at = read_escape(writer, value, at + 1);
        else
            at = add_byte(writer, value, *at) < 0 ? NULL : at + 1;
        if (!blank)
            keep = value->len;
    }
    value->len = keep;
    return at;
}

/* No control characters, also not those above ASCII, and each character in its one, shortest form.
 */
static bool is_text(const unsigned char *bytes, size_t len)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < len;) {
        unsigned char first = bytes[at++];
        unsigned more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        uint32_t code = more == 0 ? first : first & (0x3fu >> more);
        if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || len - at < more)
            return false;
        for (unsigned i = 0; i < more; i++, at++) {
            if ((bytes[at] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (bytes[at] & 0x3fu);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        if (code < ' ' || (code >= 0x7f && code < 0xa0))
            return false;
    }
    return true;
}

/* The DER of a UTF8String, PrintableString or IA5String becomes its text: openssl writes a type
 * that it knows by name so, and GnuTLS, which may not know it, in hexadecimal digits. Not one with
 * a NUL, nor any other kind of string. */
static void decode(struct value *value)
{
    const unsigned char *der = value->bytes;
    value->hex = true;
    if (value->len < 2 || (der[0] != 0x0c && der[0] != 0x13 && der[0] != 0x16))
        return;
    size_t head = der[1] == 0x81 ? 3 : der[1] == 0x82 ? 4 : 2;
    if (value->len < head || (head == 2 && der[1] >= 0x80))
        return;
    size_t len = head == 4 ? (size_t)der[2] << 8 | der[3] : der[head - 1];
    if (len != value->len - head || !is_text(der + head, len))
        return;
    memmove(value->bytes, value->bytes + head, len);
    value->len = len;
    value->hex = false;
}

static const char *read_hex(struct writer *writer, struct value *value, const char *at)
{
    for (int byte; (byte = hex_byte(at)) >= 0; at += 2) {
        if (add_byte(writer, value, byte) < 0)
            return NULL;
    }
    if (value->len == 0) {
        wrong(writer, "behind \"#\" stand pairs of hexadecimal digits");
        return NULL;
    }
    decode(value);
    return at;
}

static const char *read_value(struct writer *writer, struct value *value, const char *at)
{
    value->len = 0;
    value->hex = false;
    at = skip_blanks(at);
    if (*at == '#')
        at = read_hex(writer, value, at + 1);
    else if (*at == '"')
        at = read_quoted(writer, value, at + 1);
    else
        at = read_plain(writer, value, at);
    if (at == NULL)
        return NULL;
    at = skip_blanks(at);
    if (*at != '\0' && *at != ',' && *at != '+')
        wrong(writer, "behind a value stands a comma or the end");
    else if (!value->hex && !is_text(value->bytes, value->len))
        wrong(writer, "it is UTF-8 without control characters");
    return writer->why != NULL ? NULL : at;
}

static int put_value(struct writer *writer, const struct value *value)
{
    char pair[3] = "#";
    if (value->hex && put(writer, pair, 1) < 0)
        return -1;
    for (size_t i = 0; i < value->len; i++) {
        char byte = (char)value->bytes[i];
        bool end = (i == 0 && (byte == '#' || byte == ' ')) || (i + 1 == value->len && byte == ' ');
        if (value->hex)
            snprintf(pair, sizeof pair, "%02x", value->bytes[i]);
        else if (end || strchr(",+\"\\<>;", byte) != NULL)
            snprintf(pair, sizeof pair, "\\%c", byte);
        else
            snprintf(pair, sizeof pair, "%c", byte);
        if (put(writer, pair, strlen(pair)) < 0)
            return -1;
    }
    return 0;
}

/* ---- Parts ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The values of the part that ends here, in their order. */
static void sort_part(struct writer *writer)
{
    char copy[SUBJECT_MAX];
    const char *sorted[PARTS_MAX];
    size_t count = writer->value_count, begin = writer->values[0];
    if (count < 2)
        return;
    memcpy(copy, writer->text, writer->len + 1);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = copy + writer->values[i];
        if (i > 0)
            copy[writer->values[i] - 1] = '\0'; /* the "+" */
    }
    qsort(sorted, count, sizeof sorted[0], compare);
    writer->len = begin; /* what is written is as long as it was */
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            put(writer, "+", 1);
        put(writer, sorted[i], strlen(sorted[i]));
    }
}

/* One TYPE=VALUE, and what stands behind it. */
static const char *read_one(struct writer *writer, const char *at)
{
    struct value value;
    if (writer->value_count == PARTS_MAX) {
        wrong(writer, "a part has too many values");
        return NULL;
    }
    writer->values[writer->value_count++] = writer->len;
    at = read_type(writer, at);
    if (at == NULL || put(writer, "=", 1) < 0)
        return NULL;
    at = read_value(writer, &value, at);
    return at == NULL || put_value(writer, &value) < 0 ? NULL : at;
}

static int read_all(struct writer *writer, const char *at)
{
    while ((at = read_one(writer, at)) != NULL) {
        if (*at != '+') {
            sort_part(writer);
            writer->value_count = 0;
        }
        if (*at == '\0')
            return 0;
        if (put(writer, at++, 1) < 0)
            return -1;
    }
    return -1;
}

int subject_normalise(const char *text, char subject[SUBJECT_MAX], struct fault *fault)
{
    struct writer writer = {.text = subject};
    subject[0] = '\0';
    if (strlen(text) >= TEXT_MAX)
        wrong(&writer, "it is longer than 1023 bytes");
    else if (read_all(&writer, text) == 0)
        return 0;
    subject[0] = '\0';
    return fault_set(fault, FAULT_CONF,
                     "expected a certificate's subject as in RFC 4514, e.g. "
                     "\"CN=name,O=example\": %s",
                     writer.why);
}

static bool begins_with_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strncmp(text, *words, strlen(*words)) == 0)
            return true;
    }
    return false;
}

bool subject_looks_turned(const char *subject)
{
    static const char *const general[] = {"C=", "O=", "DC=", "ST=", "L=", NULL};
    static const char *const special[] = {"CN=", "UID=", "emailAddress=", NULL};
    const char *last = subject;
    for (const char *at = subject; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (*at == ',')
            last = at + 1;
    }
    return last != subject && begins_with_one_of(subject, general) &&
           begins_with_one_of(last, special);
}

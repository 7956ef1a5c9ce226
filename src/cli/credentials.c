/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which credentials go along: HTTP basic, a token, or a log-in at Keystone. */
#include "cli/credentials.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/header.h"
#include "cli/prompt.h"
#include "cli/text.h"

#define USER_MAX   255
#define LOGINS_MAX 100

enum kind { KIND_NONE, KIND_BASIC, KIND_TOKEN, KIND_LOGIN };

struct credentials {
    enum kind kind;
    bool chosen;   /* on the command line: nothing else is tried */
    bool settled;  /* the caller stays the same */
    bool answered; /* nmid let something in, or refused it for good */
    bool worked;   /* the token of the log-in did */
    unsigned generation, logins;
    char user[USER_MAX + 1];
    const char *user_source;                                 /* "--user", "NMID_USER" */
    const char *token_source;                                /* "OS_TOKEN", "--token-file" */
    struct secret *basic, *token, *login;                    /* whole header lines */
    struct secret *password, *application_credential_secret; /* of the openrc */
    struct openrc openrc;
    bool has_openrc;
    struct fault openrc_fault; /* why it cannot be used */
};

/* ---- The environment ---- */

static const char *environment_get(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* A copy; the environment's own, which /proc shows, is wiped. NULL: it is not set. */
static struct secret *environment_secret(const char *name, struct fault *fault)
{
    char *value = getenv(name);
    if (value == NULL || value[0] == '\0')
        return NULL;
    struct secret *secret = secret_new(value, strlen(value));
    if (secret == NULL)
        fault_set(fault, FAULT_MEMORY, "out of memory");
    secret_wipe(value, strlen(value));
    return secret;
}

/* ---- What the user named ---- */

/* What is the matter with NMID_PASSWORD when there is none in it. */
static const char *password_missing(void)
{
    return getenv("NMID_PASSWORD") != NULL ? "empty" : "not set";
}

static int user_take(struct credentials *credentials, const char *user, const char *option,
                     struct secret *password, struct fault *fault)
{
    size_t len = strlen(user);
    bool good = len > 0 && len <= USER_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = (unsigned char)user[i] >= ' ' && user[i] != 0x7f && user[i] != ':';
    if (!good)
        return fault_set(fault, FAULT_USAGE,
                         "%s: a user's name has 1 to %d characters, and no colon among them",
                         option, USER_MAX);
    if (password == NULL && !isatty(STDIN_FILENO))
        return fault_set(fault, FAULT_USAGE,
                         "%s wants a password: NMID_PASSWORD is %s, and there is no terminal to "
                         "ask for the password on",
                         option, password_missing());
    snprintf(credentials->user, sizeof credentials->user, "%s", user);
    credentials->user_source = option;
    credentials->kind = KIND_BASIC;
    if (password != NULL && (credentials->basic = header_basic(user, password)) == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    return 0;
}

/* A nmid that asks for none is not worth typing one: it is asked for when that is known. */
int credentials_complete(struct credentials *credentials, struct fault *fault)
{
    char question[USER_MAX + 64];
    struct fault why = {0};
    if (credentials->kind != KIND_BASIC || credentials->basic != NULL)
        return 0;
    snprintf(question, sizeof question, "Password of %s: ", credentials->user);
    struct secret *asked = prompt_password(question, &why);
    if (asked == NULL)
        return fault_set(fault, why.code, "%s wants a password: NMID_PASSWORD is %s, and %s",
                         credentials->user_source, password_missing(), why.message);
    credentials->basic = header_basic(credentials->user, asked);
    secret_free(asked);
    return credentials->basic != NULL ? 0 : fault_set(fault, FAULT_MEMORY, "out of memory");
}

/* A file that others may read is no place for a token. A pipe is nobody else's. */
static int token_file_check(FILE *file, const char *path, struct fault *fault)
{
    struct stat found;
    if (fstat(fileno(file), &found) < 0)
        return fault_set(fault, FAULT_USAGE, "--token-file %.200s: %s", path, strerror(errno));
    if (S_ISREG(found.st_mode) && (found.st_mode & S_IROTH) != 0)
        return fault_set(fault, FAULT_USAGE,
                         "--token-file %.200s is readable by others: chmod 600 it", path);
    return 0;
}

static int token_file_take(struct credentials *credentials, const char *path, struct fault *fault)
{
    static char text[TOKEN_MAX + 2]; /* one more than a token and a newline have room in */
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL && strlen(path) > 100 &&
        strchr(path, '/') == NULL) /* a mistake not to print */
        return fault_set(fault, FAULT_USAGE,
                         "--token-file takes the name of a file, or '-', and not a token");
    if (file == NULL)
        return fault_set(fault, FAULT_USAGE, "--token-file %.200s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); /* no copy in a buffer that nobody wipes */
    int rc = token_file_check(file, path, fault);
    size_t len = rc == 0 ? fread(text, 1, sizeof text, file) : 0;
    if (rc == 0 && ferror(file))
        rc = fault_set(fault, FAULT_USAGE, "--token-file %.200s: %s", path, strerror(errno));
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (rc == 0)
        credentials->token = header_token(text, len, "--token-file", fault);
    secret_wipe(text, sizeof text);
    if (!is_stdin)
        fclose(file);
    if (credentials->token == NULL)
        return -1;
    credentials->token_source = "--token-file";
    credentials->kind = KIND_TOKEN;
    return 0;
}

/* There is something of an openrc. Without OS_AUTH_URL it is of no use, which is then said. */
static bool openrc_begun(const struct credentials *credentials)
{
    static const char *const names[] = {"OS_AUTH_URL", "OS_USERNAME", "OS_USER_ID",
                                        "OS_APPLICATION_CREDENTIAL_ID",
                                        "OS_APPLICATION_CREDENTIAL_NAME"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (environment_get(names[i]) != NULL)
            return true;
    return credentials->password != NULL || credentials->application_credential_secret != NULL;
}

/* What of the environment may be asked for later. */
static int cloud_take(struct credentials *credentials, struct fault *fault)
{
    struct secret *token = environment_secret("OS_TOKEN", fault);
    credentials->password = environment_secret("OS_PASSWORD", fault);
    credentials->application_credential_secret =
        environment_secret("OS_APPLICATION_CREDENTIAL_SECRET", fault);
    if (fault->code != FAULT_NONE) {
        secret_free(token);
        return -1;
    }
    /* What is wrong with these is said when nmid asks for them, and not before. */
    credentials->has_openrc = token != NULL || openrc_begun(credentials);
    if (token != NULL && credentials->token == NULL) {
        credentials->token_source = "OS_TOKEN";
        credentials->token = header_token((const char *)token->bytes, token->len, "OS_TOKEN",
                                          &credentials->openrc_fault);
    }
    secret_free(token);
    if (credentials->openrc_fault.code == FAULT_NONE)
        openrc_read(environment_get, credentials->password,
                    credentials->application_credential_secret, &credentials->openrc,
                    &credentials->openrc_fault);
    return 0;
}

struct credentials *credentials_new(const char *user, const char *token_file, struct fault *fault)
{
    struct fault why = {0};
    struct credentials *credentials = calloc(1, sizeof *credentials);
    struct secret *password = environment_secret("NMID_PASSWORD", &why);
    const char *nmid_user = environment_get("NMID_USER");
    if (credentials == NULL)
        fault_set(&why, FAULT_MEMORY, "out of memory");
    else if (user != NULL && token_file != NULL)
        fault_set(&why, FAULT_USAGE, "--user and --token-file exclude each other");
    else if (user != NULL)
        user_take(credentials, user, "--user", password, &why);
    else if (token_file != NULL)
        token_file_take(credentials, token_file, &why);
    else if (nmid_user != NULL)
        user_take(credentials, nmid_user, "NMID_USER", password, &why);
    secret_free(password);
    if (why.code != FAULT_NONE || cloud_take(credentials, &why) < 0) {
        fault_set(fault, why.code, "%s", why.message);
        credentials_free(credentials);
        return NULL;
    }
    credentials->chosen = user != NULL || token_file != NULL;
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    secret_free(credentials->basic);
    secret_free(credentials->token);
    secret_free(credentials->login);
    secret_free(credentials->password);
    secret_free(credentials->application_credential_secret);
    free(credentials);
}

/* ---- Requests ---- */

const struct secret *credentials_header(const struct credentials *credentials)
{
    switch (credentials->kind) {
    case KIND_BASIC:
        return credentials->basic;
    case KIND_TOKEN:
        return credentials->token;
    case KIND_LOGIN:
        return credentials->login;
    default:
        return NULL;
    }
}

unsigned credentials_generation(const struct credentials *credentials)
{
    return credentials->generation;
}

const char *credentials_secret_name(const struct credentials *credentials)
{
    return credentials->kind == KIND_BASIC ? "the password" : "the token";
}

bool credentials_open(const struct credentials *credentials)
{
    return !credentials->answered && (credentials->kind != KIND_NONE || credentials->has_openrc);
}

bool credentials_wants_login(const struct credentials *credentials)
{
    return credentials->kind == KIND_LOGIN && credentials->login == NULL;
}

const struct openrc *credentials_openrc(const struct credentials *credentials)
{
    return &credentials->openrc;
}

int credentials_logged_in(struct credentials *credentials, const char *token, struct fault *fault)
{
    struct secret *header = header_token(token, strlen(token), "Keystone's answer", NULL);
    if (header == NULL)
        return fault_set(fault, FAULT_PROTOCOL, "Keystone at %s gave no token",
                         credentials->openrc.auth_url);
    secret_free(credentials->login);
    credentials->login = header;
    credentials->worked = false;
    credentials->generation++;
    credentials->logins++;
    return 0;
}

void credentials_worked(struct credentials *credentials, unsigned generation)
{
    credentials->answered = true;
    if (generation == credentials->generation)
        credentials->worked = true;
}

void credentials_settle(struct credentials *credentials)
{
    credentials->settled = true;
}

/* ---- What nmid asks for ---- */

enum challenge challenge_parse(const char *value)
{
    static const struct {
        const char *scheme;
        enum challenge challenge;
    } rows[] = {{"Basic", CHALLENGE_BASIC}, {"Keystone", CHALLENGE_KEYSTONE}};
    size_t len = value == NULL ? 0 : strcspn(value, " \t,");
    if (len == 0)
        return CHALLENGE_NONE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].scheme) == len && strncasecmp(rows[i].scheme, value, len) == 0)
            return rows[i].challenge;
    return CHALLENGE_OTHER;
}

/* What nmid asks for, when that is not what it got. */
static void explain_wanted(const struct credentials *credentials, enum challenge challenge,
                           char *text, size_t size)
{
    const char *got = credentials->kind == KIND_BASIC   ? ", and not for a user and a password"
                      : credentials->kind == KIND_TOKEN ? ", and not for a token"
                                                        : "";
    if (credentials->settled)
        snprintf(text, size, "nmid asks for other credentials than it did at the beginning");
    else if (challenge == CHALLENGE_KEYSTONE && credentials->has_openrc)
        snprintf(text, size,
                 "nmid asks for Keystone credentials%s, and those of the environment "
                 "cannot be used: %.200s",
                 got, credentials->openrc_fault.message);
    else if (challenge == CHALLENGE_KEYSTONE)
        snprintf(text, size,
                 "nmid asks for Keystone credentials%s: load an openrc, or set "
                 "OS_TOKEN%s",
                 got,
                 environment_get("OS_CLOUD") != NULL ? " (nmictl does not read OS_CLOUD's file)"
                                                     : "");
    else if (challenge == CHALLENGE_BASIC)
        snprintf(text, size, "nmid asks for a user and a password%s: --user NAME and NMID_PASSWORD",
                 credentials->kind == KIND_LOGIN ? ", and not for a token" : got);
    else
        snprintf(text, size, "nmid asks for credentials%s, and does not say for which",
                 credentials->kind == KIND_NONE ? "" : " other than those it got");
}

static void explain(const struct credentials *credentials, enum challenge challenge,
                    const char *words, struct fault *fault)
{
    char text[400], who[200];
    bool wanted = credentials->kind == KIND_NONE ||
                  (credentials->kind == KIND_BASIC && challenge == CHALLENGE_KEYSTONE) ||
                  (credentials->kind != KIND_BASIC && challenge == CHALLENGE_BASIC);
    if (wanted && !(credentials->chosen && challenge == CHALLENGE_KEYSTONE))
        explain_wanted(credentials, challenge, text, sizeof text);
    else if (wanted)
        snprintf(text, sizeof text,
                 "nmid asks for Keystone credentials, and not for a user and a "
                 "password: leave --user out, and load an openrc or set "
                 "OS_TOKEN");
    else if (credentials->kind == KIND_BASIC)
        snprintf(text, sizeof text, "nmid refused the user '%s', or the password",
                 credentials->user);
    else if (credentials->kind == KIND_TOKEN)
        snprintf(text, sizeof text, "nmid refused the token of %s; it may have expired",
                 credentials->token_source);
    else {
        openrc_describe(&credentials->openrc, who, sizeof who);
        snprintf(text, sizeof text, "nmid refused the token that Keystone at %.100s gave %s",
                 credentials->openrc.auth_url, who);
    }
    if (credentials->kind == KIND_NONE && challenge != CHALLENGE_NONE) /* nmid's say the same */
        words = "";
    fault_set(fault, FAULT_UNAUTHORIZED, "%s%s%.120s%s", text, words[0] != '\0' ? " (" : "", words,
              words[0] != '\0' ? ")" : "");
}

/* Takes what the environment has for Keystone. False: there is nothing of use. */
static bool cloud_use(struct credentials *credentials)
{
    if (credentials->token != NULL) {
        credentials->kind = KIND_TOKEN;
        credentials->generation++;
        return true;
    }
    if (!credentials->has_openrc || credentials->openrc_fault.code != FAULT_NONE)
        return false;
    credentials->kind = KIND_LOGIN;
    return true;
}

bool credentials_any(const struct credentials *credentials)
{
    return credentials->kind != KIND_NONE || credentials->has_openrc;
}

/* Whoever names a user must not become another one, and on a UNIX socket perhaps an administrator,
 * without a word. */
static int told_none(struct credentials *credentials, const char *url, struct fault *fault)
{
    const char *secret = credentials->kind == KIND_TOKEN ? "token" : "password";
    const char *option = credentials->kind == KIND_TOKEN ? "--token-file" : "--user";
    if (credentials->chosen && strncmp(url, "unix:", 5) == 0)
        return fault_set(
            fault, FAULT_USAGE,
            "nmid asks for no %s at %.200s: without %s you are known by your local user", secret,
            url, option);
    if (credentials->chosen)
        return fault_set(
            fault, FAULT_USAGE,
            "nmid asks for no %s at %.200s: leave %s out, whoever reaches it is administrator",
            secret, url, option);
    if (credentials->kind == KIND_BASIC)
        cli_say("warning: nmid asks for no password at %.200s: NMID_USER is not used", url);
    credentials->kind = KIND_NONE;
    return 0;
}

/* What else the environment has is not sent. */
static int told_certificate(struct credentials *credentials, bool certificate, const char *url,
                            struct fault *fault)
{
    if (credentials->chosen)
        return fault_set(
            fault, FAULT_USAGE,
            "nmid at %.200s asks for a client certificate (--cert), and not for a %s: leave "
            "%s out",
            url, credentials->kind == KIND_TOKEN ? "token" : "user and a password",
            credentials->kind == KIND_TOKEN ? "--token-file" : "--user");
    if (!certificate)
        return fault_set(fault, FAULT_CONNECT,
                         "nmid at %.200s wants a client certificate: --cert FILE (and --key FILE)",
                         url);
    if (credentials->kind == KIND_BASIC)
        cli_say("warning: nmid asks for no password at %.200s: NMID_USER is not used", url);
    credentials->kind = KIND_NONE;
    return 0;
}

int credentials_told(struct credentials *credentials, const char *strategy, bool certificate,
                     const char *url, struct fault *fault)
{
    struct fault why = {0};
    if (strcmp(strategy, "none") == 0)
        return told_none(credentials, url, fault);
    if (strcmp(strategy, "client_certificate") == 0)
        return told_certificate(credentials, certificate, url, fault);
    bool basic = strcmp(strategy, "http_basic") == 0;
    if ((!basic && strcmp(strategy, "keystone") != 0) ||
        credentials->kind == (basic ? KIND_BASIC : KIND_TOKEN) ||
        (!basic && !credentials->chosen && cloud_use(credentials)))
        return 0;
    explain(credentials, basic ? CHALLENGE_BASIC : CHALLENGE_KEYSTONE, "", &why);
    return fault_set(fault, credentials->chosen ? FAULT_USAGE : FAULT_UNAUTHORIZED, "%s",
                     why.message);
}

enum credentials_next credentials_refused(struct credentials *credentials, unsigned generation,
                                          enum challenge challenge, const char *words,
                                          struct fault *fault)
{
    if (generation != credentials->generation)
        return CREDENTIALS_AGAIN;
    if (credentials_wants_login(credentials))
        return CREDENTIALS_LOGIN;
    bool free_choice = !credentials->chosen && !credentials->settled &&
                       challenge == CHALLENGE_KEYSTONE &&
                       (credentials->kind == KIND_NONE || credentials->kind == KIND_BASIC);
    if (credentials->kind == KIND_LOGIN && challenge != CHALLENGE_BASIC && credentials->worked &&
        credentials->logins < LOGINS_MAX) {
        secret_free(credentials->login);
        credentials->login = NULL;
        return CREDENTIALS_LOGIN;
    }
    if (free_choice && cloud_use(credentials))
        return credentials->kind == KIND_LOGIN ? CREDENTIALS_LOGIN : CREDENTIALS_AGAIN;
    credentials->answered = true;
    explain(credentials, challenge, words, fault);
    return CREDENTIALS_FINAL;
}

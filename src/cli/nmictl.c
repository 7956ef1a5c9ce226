/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl, the command line of nmid: options, verbs, help. */
#include <config.h>
#include <commit.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "cli/cli.h"

#define TIMEOUT_MAX_S 86400
#define PARALLEL_MAX  512
#define LIMIT_MAX     1000000

static const struct verb *const verbs[] = {&verb_inject_nmi, &verb_nodes,   &verb_show,
                                           &verb_probe,      &verb_lock,    &verb_unlock,
                                           &verb_status,     &verb_actions, &verb_audit,
                                           &verb_version};
#define VERBS (sizeof verbs / sizeof verbs[0])

/* Long options without a short one; their values say where they stand in `rows`. */
enum {
    LONG_FIRST = 256,
    LONG_TIMEOUT,
    LONG_FORCE,
    LONG_PARALLEL,
    LONG_NODE,
    LONG_STATE,
    LONG_LIMIT,
    LONG_ALL,
    LONG_MARKER,
    LONG_CALLBACK,
    LONG_DEFAULT,
    LONG_USER,
    LONG_TOKEN_FILE,
    LONG_CACERT,
    LONG_CERT,
    LONG_CERT_KEY,
    LONG_TOKEN,
    LONG_PASSWORD,
    LONG_ACTION,
    LONG_KEY,
    LONG_BY,
    LONG_PROJECT,
    LONG_REFUSED,
    LONG_SINCE,
    LONG_UNTIL
};

/* What the help says of an option, and which bit a verb needs to take it (0: every verb). */
static const struct option_row {
    int value;
    unsigned bit;
    const char *name, *usage, *what;
} rows[] = {
    {'u', 0, "url", "-u, --url URL", "nmid's address: https://HOST:PORT, http:... or unix:PATH"},
    {LONG_USER, 0, "user", "--user NAME", "as this user, with the password in NMID_PASSWORD"},
    {LONG_TOKEN_FILE, 0, "token-file", "--token-file FILE",
     "with the Keystone token in FILE; '-' is stdin"},
    {LONG_CACERT, 0, "cacert", "--cacert FILE", "https: trust these CAs, and not the system's"},
    {LONG_CERT, 0, "cert", "--cert FILE", "https: show this client certificate"},
    {LONG_CERT_KEY, 0, "key", "--key FILE", "and this is its key, when that is not in FILE too"},
    {'f', OPTION_FORMAT, "format", "-f, --format FORMAT",
     "table (for people) or json (for programs)"},
    {LONG_TIMEOUT, OPTION_TIMEOUT, "timeout", "--timeout S",
     "give up after so many seconds (inject-nmi 120, probe 60, else 30)"},
    {LONG_FORCE, OPTION_FORCE, "force", "--force", "pass the hold-off and the node's status"},
    {LONG_PARALLEL, OPTION_PARALLEL, "parallel", "--parallel N", "nodes under way at a time (32)"},
    {LONG_NODE, OPTION_NODE, "node", "--node NODE", "only those of this node"},
    {LONG_STATE, OPTION_STATE, "state", "--state STATE", "only those accepted, sent or finished"},
    {LONG_LIMIT, OPTION_LIMIT, "limit", "--limit N", "at most so many (100)"},
    {LONG_ALL, OPTION_ALL, "all", "--all", "the whole history"},
    {LONG_MARKER, OPTION_MARKER, "marker", "--marker ID", "only those older than this one"},
    {LONG_CALLBACK, OPTION_CALLBACK, "callback-url", "--callback-url URL",
     "nmid posts each finished action there too"},
    {LONG_DEFAULT, OPTION_DEFAULT, "default", "--default", "back to the configuration's lock"},
    {LONG_ACTION, OPTION_AUDIT, "action", "--action ID", "only what concerns this action"},
    {LONG_KEY, OPTION_AUDIT, "idempotency-key", "--idempotency-key KEY",
     "only what was asked under this Idempotency-Key"},
    {LONG_BY, OPTION_AUDIT, "by", "--by USER", "only what this user asked for"},
    {LONG_PROJECT, OPTION_AUDIT, "project", "--project ID", "only what this project asked for"},
    {LONG_REFUSED, OPTION_AUDIT, "refused", "--refused", "only refusals"},
    {LONG_SINCE, OPTION_AUDIT, "since", "--since TIME", "since then: 2h, 7d, or 2026-11-22T21:28:23Z"},
    {LONG_UNTIL, OPTION_AUDIT, "until", "--until TIME", "before then"},
    {'h', 0, "help", "-h, --help", "this help"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static const struct option options[] = {{"url", required_argument, NULL, 'u'},
                                        {"user", required_argument, NULL, LONG_USER},
                                        {"token-file", required_argument, NULL, LONG_TOKEN_FILE},
                                        {"cacert", required_argument, NULL, LONG_CACERT},
                                        {"cert", required_argument, NULL, LONG_CERT},
                                        {"key", required_argument, NULL, LONG_CERT_KEY},
                                        /* Refused, and not taken for the start of another. */
                                        {"token", optional_argument, NULL, LONG_TOKEN},
                                        {"password", optional_argument, NULL, LONG_PASSWORD},
                                        {"format", required_argument, NULL, 'f'},
                                        {"timeout", required_argument, NULL, LONG_TIMEOUT},
                                        {"force", no_argument, NULL, LONG_FORCE},
                                        {"parallel", required_argument, NULL, LONG_PARALLEL},
                                        {"node", required_argument, NULL, LONG_NODE},
                                        {"state", required_argument, NULL, LONG_STATE},
                                        {"limit", required_argument, NULL, LONG_LIMIT},
                                        {"all", no_argument, NULL, LONG_ALL},
                                        {"marker", required_argument, NULL, LONG_MARKER},
                                        {"callback-url", required_argument, NULL, LONG_CALLBACK},
                                        {"default", no_argument, NULL, LONG_DEFAULT},
                                        {"action", required_argument, NULL, LONG_ACTION},
                                        {"idempotency-key", required_argument, NULL, LONG_KEY},
                                        {"by", required_argument, NULL, LONG_BY},
                                        {"project", required_argument, NULL, LONG_PROJECT},
                                        {"refused", no_argument, NULL, LONG_REFUSED},
                                        {"since", required_argument, NULL, LONG_SINCE},
                                        {"until", required_argument, NULL, LONG_UNTIL},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

struct parsed {
    bool help, version;
    unsigned seen; /* cli_option bits */
};

static const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

/* ---- Help ---- */

static void options_print(unsigned mask)
{
    puts("\nOptions, before or after the verb:");
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].bit == 0 || (rows[i].bit & mask) != 0)
            printf("  %-20s %s\n", rows[i].usage, rows[i].what);
}

static void help_print(const struct verb *verb)
{
    if (verb != NULL) {
        printf("Usage: nmictl [OPTION...] %s%s%s\n%c%s.\n\n%s", verb->name,
               verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary[0] - 'a' + 'A',
               verb->summary + 1, verb->help);
        options_print(verb->options);
        return;
    }
    puts("Usage: nmictl [OPTION...] VERB [ARGUMENT...]\n"
         "Asks nmid to inject a non-maskable interrupt into stalled machines.\n");
    for (size_t i = 0; i < VERBS; i++)
        printf("  %-10s %-14s %s\n", verbs[i]->name, verbs[i]->arguments, verbs[i]->summary);
    puts("  help       [VERB]         this help, or a verb's own with an example");
    options_print(OPTION_FORMAT | OPTION_TIMEOUT);
    puts("  -V, --version        the version of nmictl\n\n"
         "NMID_URL in the environment stands for --url. The default is unix:" CLI_SOCKET "\n"
         "or, where there is no such file, " CLI_URL ".\n"
         "NMID_USER stands for --user, NMID_CACERT for --cacert, NMID_CERT and NMID_KEY for --cert\n"
         "and --key. For a nmid with Keystone: OS_TOKEN, or an openrc's OS_*.\n"
         "NODE is a name, a UUID or a host list: 'rack1-n[1-64]'.\n\n"
         "Example: nmictl inject-nmi rack1-n1");
}

static int help_run(const struct cli *cli)
{
    struct fault fault = {0};
    const struct verb *verb = cli->arg_count > 0 ? verb_find(cli->args[0]) : NULL;
    if (cli->arg_count > 1)
        fault_set(&fault, FAULT_USAGE, "help takes one verb");
    else if (cli->arg_count == 1 && verb == NULL && strcmp(cli->args[0], "help") != 0)
        fault_set(&fault, FAULT_USAGE, "there is no verb '%.64s'", cli->args[0]);
    if (fault.code != FAULT_NONE)
        return cli_usage(&fault, NULL);
    help_print(verb);
    return 0;
}

/* ---- Options ---- */

static int number_parse(const char *name, const char *text, long most, long *ret_number,
                        struct fault *fault)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < 1 || number > most)
        return fault_set(fault, FAULT_USAGE, "--%s is a number from 1 to %ld, not '%.64s'", name,
                         most, text);
    *ret_number = number;
    return 0;
}

static int format_parse(const char *text, bool *ret_json, struct fault *fault)
{
    if (strcmp(text, "json") != 0 && strcmp(text, "table") != 0)
        return fault_set(fault, FAULT_USAGE, "--format is table or json, not '%.64s'", text);
    *ret_json = strcmp(text, "json") == 0;
    return 0;
}

static void option_take_audit(int value, struct cli *cli)
{
    if (value == LONG_ACTION)
        cli->action = optarg;
    else if (value == LONG_KEY)
        cli->key = optarg;
    else if (value == LONG_BY)
        cli->by = optarg;
    else if (value == LONG_PROJECT)
        cli->project = optarg;
    else if (value == LONG_SINCE)
        cli->since = optarg;
    else if (value == LONG_UNTIL)
        cli->until = optarg;
    else if (value == LONG_REFUSED)
        cli->refused = true;
}

/* Those that need no check here. */
static void option_take_text(int value, struct cli *cli)
{
    if (value == LONG_NODE)
        cli->node = optarg;
    else if (value == LONG_STATE)
        cli->state = optarg;
    else if (value == LONG_MARKER)
        cli->marker = optarg;
    else if (value == LONG_CALLBACK)
        cli->callback_url = optarg;
    else if (value == LONG_USER)
        cli->user = optarg;
    else if (value == LONG_TOKEN_FILE)
        cli->token_file = optarg;
    else if (value == LONG_CACERT)
        cli->tls.ca = optarg;
    else if (value == LONG_CERT)
        cli->tls.certificate = optarg;
    else if (value == LONG_CERT_KEY)
        cli->tls.key = optarg;
    else if (value == LONG_ALL)
        cli->all = true;
    else if (value == LONG_DEFAULT)
        cli->configured = true;
    else
        option_take_audit(value, cli);
}

/* Takes one option; -1 with a fault. */
static int option_take(int value, struct cli *cli, struct parsed *parsed, struct fault *fault)
{
    long number = 0;
    int rc = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].value == value)
            parsed->seen |= rows[i].bit;
    if (value == 'u') {
        cli->url = optarg;
    } else if (value == 'f') {
        rc = format_parse(optarg, &cli->json, fault);
    } else if (value == LONG_TIMEOUT) {
        rc = number_parse("timeout", optarg, TIMEOUT_MAX_S, &cli->timeout_s, fault);
    } else if (value == LONG_FORCE) {
        cli->force = true;
    } else if (value == LONG_PARALLEL) {
        rc = number_parse("parallel", optarg, PARALLEL_MAX, &number, fault);
        cli->parallel = (size_t)number;
    } else if (value == LONG_LIMIT) {
        rc = number_parse("limit", optarg, LIMIT_MAX, &number, fault);
        cli->limit = (size_t)number;
    } else if (value == 'h') {
        parsed->help = true;
    } else if (value == 'V') {
        parsed->version = true;
    } else if (value == LONG_TOKEN || value == LONG_PASSWORD) {
        rc = fault_set(fault, FAULT_USAGE, "everybody on this host sees the arguments: %s instead",
                       value == LONG_TOKEN ? "--token-file or OS_TOKEN" : "NMID_PASSWORD");
    } else {
        option_take_text(value, cli);
    }
    return rc;
}

/* getopt found something that is no option or misses its value. */
static int option_refuse(int value, char **argv, struct fault *fault)
{
    const char *text = argv[optind - 1];
    /* Without its value, which may be a secret that nobody should have put there. */
    int length = (int)strcspn(text, "=");
    if (length > 64)
        length = 64;
    if (value == ':')
        return fault_set(fault, FAULT_USAGE, "the option '%.*s' wants a value", length, text);
    if (optopt > 0 && optopt < LONG_FIRST && strncmp(text, "--", 2) != 0)
        return fault_set(fault, FAULT_USAGE, "there is no option '-%c'", optopt);
    if (optopt > 0)
        return fault_set(fault, FAULT_USAGE, "the option '%.*s' takes no value", length, text);
    return fault_set(fault, FAULT_USAGE, "there is no option '%.*s', or it is cut too short",
                     length, text);
}

static int options_parse(int argc, char **argv, struct cli *cli, struct parsed *parsed,
                         struct fault *fault)
{
    opterr = 0;
    for (int value; (value = getopt_long(argc, argv, ":u:f:hV", options, NULL)) != -1;) {
        if (value == '?' || value == ':')
            return option_refuse(value, argv, fault);
        if (option_take(value, cli, parsed, fault) < 0)
            return -1;
    }
    cli->args = argv + optind;
    cli->arg_count = (size_t)(argc - optind);
    return 0;
}

/* ---- Verbs ---- */

static int verb_check(const struct cli *cli, const struct verb *verb, unsigned seen,
                      struct fault *fault)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((seen & rows[i].bit) != 0 && (verb->options & rows[i].bit) == 0)
            return fault_set(fault, FAULT_USAGE, "%s takes no --%s", verb->name, rows[i].name);
    if (cli->arg_count < verb->args_min)
        return fault_set(fault, FAULT_USAGE, "%s wants %s", verb->name, verb->arguments);
    if (cli->arg_count > verb->args_max)
        return fault_set(fault, FAULT_USAGE, "'%.64s' is one argument too many",
                         cli->args[verb->args_max]);
    return 0;
}

static int verb_run(struct cli *cli, const struct parsed *parsed)
{
    struct fault fault = {0};
    const struct verb *verb = NULL;
    if (parsed->version) {
        puts("nmictl " PACKAGE_VERSION COMMIT);
        return 0;
    }
    if (cli->arg_count == 0 && !parsed->help) {
        fault_set(&fault, FAULT_USAGE, "a verb is missing");
        return cli_usage(&fault, NULL);
    }
    if (cli->arg_count > 0) {
        const char *name = *cli->args++;
        cli->arg_count--;
        if (strcmp(name, "help") == 0)
            return help_run(cli);
        verb = verb_find(name);
        if (verb == NULL) {
            fault_set(&fault, FAULT_USAGE, "there is no verb '%.64s'", name);
            return cli_usage(&fault, NULL);
        }
    }
    if (parsed->help) {
        help_print(verb);
        return 0;
    }
    if (verb_check(cli, verb, parsed->seen, &fault) < 0)
        return cli_usage(&fault, verb->name);
    return verb->run(cli);
}

/* Whose help tells more of a mistake in the options; NULL: everybody's. */
static const char *verb_named(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (verb_find(argv[i]) != NULL)
            return argv[i];
    return NULL;
}

/* The socket of the packaged daemon; loopback only where there surely is none. Anybody on this host
 * may listen on a port: who may not look for the socket must not show a password there. */
static const char *default_url(void)
{
    struct stat found;
    bool none = stat(CLI_SOCKET, &found) < 0 && (errno == ENOENT || errno == ENOTDIR);
    return none ? CLI_URL : "unix:" CLI_SOCKET;
}

int main(int argc, char **argv)
{
    struct cli cli = {.url = getenv("NMID_URL"), .parallel = CLI_PARALLEL};
    struct parsed parsed = {0};
    struct fault fault = {0};
    if (cli.url == NULL || cli.url[0] == '\0')
        cli.url = default_url();
    /* No core: it could hold a password or a token. */
    const struct rlimit core = {1, 1};
    setrlimit(RLIMIT_CORE, &core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    unsetenv("SSLKEYLOGFILE"); /* else GnuTLS would write the keys of its sessions there */
    /* A reader of stdout that goes away must not end nmictl while actions are under way. */
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(argc, argv, &cli, &parsed, &fault) < 0)
        return cli_usage(&fault, verb_named(argc, argv));
    int code = verb_run(&cli, &parsed);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        cli_say("stdout could not be written");
        code = EXIT_ONE_FAILED;
    }
    return code;
}

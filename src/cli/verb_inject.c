/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmictl inject-nmi: the lines, the colours and the progress; the work is in inject.c. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/evidence.h"
#include "cli/inject.h"
#include "cli/interrupt.h"
#include "cli/targets.h"
#include "cli/text.h"

#define TIMEOUT_S      120
#define PROGRESS_US    100000
#define PROGRESS_NODES 2 /* from so many on there is a progress line */

struct view {
    const struct cli *cli;
    size_t width;
    bool colour, progress, progress_shown;
    int64_t progress_next;
};

static void progress_clear(struct view *view)
{
    if (view->progress_shown)
        fputs("\r\033[K", stderr);
    view->progress_shown = false;
}

static void progress_show(void *arg, const struct injection *injection)
{
    struct view *view = arg;
    int64_t now = clock_mono_us();
    if (!view->progress || now < view->progress_next)
        return;
    view->progress_next = now + PROGRESS_US;
    fprintf(stderr, "\r\033[K%zu of %zu nodes finished, %zu under way", injection->finished,
            injection->count, injection->active_count);
    fflush(stderr);
    view->progress_shown = true;
}

static void line_print(void *arg, const struct job *job)
{
    static const struct {
        const char *word, *colour;
    } verdicts[] = {[VERDICT_NONE] = {"", ""},
                    [VERDICT_DELIVERED] = {"delivered", "\033[32m"},
                    [VERDICT_FAILED] = {"failed", "\033[31m"},
                    [VERDICT_UNKNOWN] = {"UNKNOWN", "\033[1;33m"}};
    struct view *view = arg;
    if (view->cli->json)
        return;
    progress_clear(view);
    text_put_padded(stdout, job->target->label, view->width);
    printf("  %s%s%s", view->colour ? verdicts[job->verdict].colour : "",
           verdicts[job->verdict].word, view->colour ? "\033[0m" : "");
    if (job->verdict != VERDICT_DELIVERED) {
        fputs("  ", stdout);
        text_put(stdout, job->message);
    }
    if (job->verdict == VERDICT_FAILED && job->earlier_id[0] != '\0' &&
        strstr(job->message, job->earlier_id) == NULL) {
        fputs(" (nmictl actions ", stdout);
        text_put(stdout, job->earlier_id);
        fputc(')', stdout);
    }
    if (job->verdict == VERDICT_UNKNOWN) {
        char evidence[256];
        evidence_brief(json_object_get(job->action, "evidence"), evidence, sizeof evidence);
        fputs(evidence[0] != '\0' ? " [" : "", stdout);
        text_put(stdout, evidence);
        fputs(evidence[0] != '\0' ? "]" : "", stdout);
        /* nmid's own words end with this advice; nmictl's (a lost connection) do not. */
        if (strstr(job->message, "before you send another") == NULL)
            fputs("; do not send again before you have looked at the machine", stdout);
        fputs(" (nmictl actions ", stdout);
        fputs(job->id[0] != '\0' ? "" : "--node ", stdout);
        text_put(stdout, job->id[0] != '\0' ? job->id : job->target->label);
        fputc(')', stdout);
    }
    fputc('\n', stdout);
    fflush(stdout);
}

static void summary_print(const struct injection *injection)
{
    size_t counts[4] = {0};
    for (size_t i = 0; i < injection->count; i++)
        counts[injection->jobs[i].verdict]++;
    printf("%zu nodes: %zu delivered, %zu failed, %zu unknown\n", injection->count,
           counts[VERDICT_DELIVERED], counts[VERDICT_FAILED], counts[VERDICT_UNKNOWN]);
}

static int results_print_json(const struct injection *injection)
{
    json_t *list = json_array();
    for (size_t i = 0; i < injection->count; i++) {
        if (json_array_append_new(list, job_json(&injection->jobs[i])) < 0) {
            json_decref(list);
            return cli_print_json(NULL);
        }
    }
    int rc = cli_print_json(list);
    json_decref(list);
    return rc;
}

/* Nothing was sent to anybody, and every argument says so: because some names are no nodes (whole
 * is NULL), or because of what stopped the look-up as a whole. */
static void unsent_print_json(const struct targets *targets, const struct fault *whole)
{
    json_t *list = json_array();
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        bool missing = target->uuid[0] == '\0';
        const struct fault *why = whole != NULL ? whole : missing ? &target->fault : NULL;
        json_t *item = json_object();
        json_object_set_new(item, "id", json_null());
        json_object_set_new(item, "node_uuid", missing ? json_null() : json_string(target->uuid));
        json_object_set_new(item, "node_name", text_json(target->label));
        json_object_set_new(item, "action", json_string("inject_nmi"));
        json_object_set_new(item, "state", json_string("finished"));
        json_object_set_new(item, "outcome", json_string("failed"));
        json_object_set_new(item, "code",
                            json_string(why != NULL ? fault_name(why->code) : "not-sent"));
        json_object_set_new(item, "message",
                            why != NULL
                                ? text_json(why->message)
                                : json_string("nothing was sent: other names are no nodes"));
        json_array_append_new(list, item);
    }
    cli_print_json(list);
    json_decref(list);
}

static int targets_inject(void *arg, const struct cli *cli, struct client *client,
                          const struct targets *targets)
{
    (void)arg;
    struct fault fault = {0};
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct view view = {.cli = cli, .width = targets_width(targets)};
    view.colour = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
                  (term == NULL || strcmp(term, "dumb") != 0);
    view.progress = isatty(STDERR_FILENO) && targets->count >= PROGRESS_NODES;
    struct injection injection = {.client = client,
                                  .force = cli->force,
                                  .callback_url = cli->callback_url,
                                  .parallel = cli->parallel,
                                  .timeout_us = cli_timeout_ms(cli, TIMEOUT_S) * INT64_C(1000),
                                  .wake_fd = interrupt_open(),
                                  .on_finished = line_print,
                                  .on_turn = progress_show,
                                  .arg = &view};
    int code = injection_run(&injection, targets, &fault);
    progress_clear(&view);
    if (code < 0) {
        code = cli_fail(&fault);
    } else {
        code = injection_exit_code(&injection);
        int printed = 0;
        if (cli->json)
            printed = results_print_json(&injection);
        else if (injection.count > 1)
            summary_print(&injection);
        if (code == EXIT_DELIVERED)
            code = printed;
    }
    injection_clear(&injection);
    return code;
}

static int run(const struct cli *cli)
{
    static const struct targets_use use = {.verb = &verb_inject_nmi,
                                           .nothing = "nothing was sent to any node",
                                           .run = targets_inject,
                                           .unsent = unsent_print_json};
    return targets_use(cli, &use);
}

const struct verb verb_inject_nmi = {
    .name = "inject-nmi",
    .arguments = "NODE...",
    .summary = "send each node one non-maskable interrupt and say what came of it",
    .help =
        "NODE is a name, a UUID or a host list such as rack1-n[1-64]. Every name is looked up\n"
        "first: if one is no node, nothing is sent to any. A node that is named twice gets one\n"
        "interrupt. One line per node, as soon as it is known:\n"
        "  delivered  the BMC took the interrupt\n"
        "  failed     it surely was not delivered; the reason follows\n"
        "  UNKNOWN    it may have been: look at the machine before you send another; the evidence\n"
        "             stands in brackets, and in full in 'nmictl actions ID'\n"
        "Exit code: 0 all delivered, 1 one failed, 2 usage, 3 one unknown (wins over 1), 4 nmid "
        "was\n"
        "not reached and nothing was sent, 130 interrupted with nothing left open.\n"
        "\n"
        "Example: nmictl inject-nmi 'rack1-n[1-64]'\n",
    .options = OPTION_FORCE | OPTION_CALLBACK | OPTION_PARALLEL | OPTION_TIMEOUT | OPTION_FORMAT,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .run = run,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nmid's action object in words. */
#include "cli/action_show.h"

#include <string.h>
#include "cli/answer.h"
#include "cli/evidence.h"
#include "cli/table.h"
#include "cli/text.h"

/* "UNKNOWN (no-answer): ..." */
static void verdict_print(const json_t *action, FILE *file)
{
    const char *state = answer_text(action, "state"), *outcome = answer_text(action, "outcome");
    const char *code = answer_text(action, "code"), *message = answer_text(action, "message");
    if (strcmp(state, "finished") != 0) {
        text_put(file, state);
        fputs(strcmp(state, "sent") == 0 ? ": its outcome is awaited\n"
                                         : ": it has no outcome yet\n",
              file);
        return;
    }
    text_put(file, strcmp(outcome, "unknown") == 0 ? "UNKNOWN" : outcome);
    if (code[0] != '\0') {
        fputs(" (", file);
        text_put(file, code);
        fputc(')', file);
    }
    if (message[0] != '\0') {
        fputs(": ", file);
        text_put(file, message);
    }
    fputc('\n', file);
}

int action_show(const json_t *action, FILE *file)
{
    json_t *rest = json_copy((json_t *)action); /* shallow */
    if (rest == NULL)
        return -1;
    verdict_print(action, file);
    evidence_print(json_object_get(action, "evidence"), "  ", file);
    json_object_del(rest, "evidence");
    json_object_del(rest, "message");
    fputc('\n', file);
    table_print_object(rest, file);
    json_decref(rest);
    return 0;
}

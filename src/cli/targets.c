/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking up the nodes of a command. Two names of one machine must never make two interrupts, so
 * what counts is the UUID that nmid gives. */
#include "cli/targets.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "cli/answer.h"
#include "cli/text.h"

#define ANSWER_S 30

struct lookup {
    struct targets *targets;
    struct target *target;
};

static void lookup_next(struct targets *targets);

/* Takes nmid's node object. */
static int target_take(struct target *target, const json_t *node, struct fault *fault)
{
    const char *uuid = answer_text(node, "uuid"), *name = answer_text(node, "name");
    if (!uuid_valid(uuid))
        return fault_set(fault, FAULT_PROTOCOL, "this is no answer of nmid: a node without a UUID");
    char *label = strdup(name[0] != '\0' ? name : uuid);
    if (label == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    free(target->label);
    target->label = label;
    uuid_copy(target->uuid, uuid);
    return 0;
}

static void lookup_done(void *arg, const struct client_answer *answer)
{
    struct lookup *lookup = arg;
    struct targets *targets = lookup->targets;
    struct target *target = lookup->target;
    free(lookup);
    if (answer_check(answer, &target->fault) == 0) {
        target_take(target, answer->body, &targets->fault);
    } else if (answer_error(answer) != NULL && (answer->status == 404 || answer->status == 400)) {
        targets->missing++;
    } else if (targets->fault.code == FAULT_NONE) {
        targets->fault = target->fault;
    }
    lookup_next(targets);
}

static void lookup_next(struct targets *targets)
{
    if (targets->next == targets->count || targets->fault.code != FAULT_NONE)
        return;
    struct target *target = &targets->items[targets->next++];
    struct lookup *lookup = malloc(sizeof *lookup);
    char *path = client_path("/agent/v1/nodes/", target->asked, "");
    struct client_request request = {
        .method = "GET", .path = path, .timeout_ms = cli_timeout_ms(targets->cli, ANSWER_S)};
    if (lookup == NULL || path == NULL)
        fault_set(&targets->fault, FAULT_MEMORY, "out of memory");
    else
        *lookup = (struct lookup){.targets = targets, .target = target};
    if (targets->fault.code != FAULT_NONE ||
        client_send(targets->client, &request, lookup_done, lookup, &targets->fault) < 0)
        free(lookup);
    free(path);
}

/* Keeps the first of the names that turned out to be one node. */
static int targets_unique(struct targets *targets, struct fault *fault)
{
    struct map *seen = map_new();
    size_t kept = 0;
    int rc = seen == NULL ? -1 : 0;
    /* The entries move down while the map borrows their UUIDs: a kept entry never moves again. */
    for (size_t i = 0; rc == 0 && i < targets->count; i++) {
        struct target target = targets->items[i];
        const struct target *other = target.uuid[0] != '\0' ? map_get(seen, target.uuid) : NULL;
        if (other != NULL) {
            cli_say("'%s' and '%s' are the same node, %s: it is asked once", other->asked,
                    target.asked, target.uuid);
            free(target.asked);
            free(target.label);
            targets->items[i] = (struct target){0};
            continue;
        }
        if (kept != i) {
            targets->items[kept] = target;
            targets->items[i] = (struct target){0};
        }
        if (target.uuid[0] != '\0')
            rc = map_put(seen, targets->items[kept].uuid, &targets->items[kept]);
        kept++;
    }
    map_free(seen);
    if (rc < 0)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    targets->count = kept;
    return 0;
}

/* Looks up names, which it takes over. 0: every name was looked up; `missing` of them are no nodes.
 * -1: the fault says why the look-up went no further. */
static int targets_find(struct targets *targets, const struct cli *cli, struct client *client,
                        struct hostlist *names, struct fault *fault)
{
    *targets = (struct targets){.client = client, .cli = cli};
    targets->items = calloc(names->count, sizeof *targets->items);
    if (targets->items == NULL)
        return fault_set(fault, FAULT_MEMORY, "out of memory");
    targets->count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        struct target *target = &targets->items[i];
        target->asked = names->names[i];
        names->names[i] = NULL;
        target->label = strdup(target->asked);
        if (target->label == NULL)
            return fault_set(fault, FAULT_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < cli->parallel; i++)
        lookup_next(targets);
    while (client_pending(client) > 0)
        client_turn(client, 1000, -1);
    if (targets->fault.code != FAULT_NONE)
        return fault_set(fault, targets->fault.code, "%s", targets->fault.message);
    return targets_unique(targets, fault);
}

/* The names of all of a command's arguments, each once. */
static int targets_names(const struct cli *cli, struct hostlist *ret_names, struct fault *fault)
{
    struct hostlist names = {0};
    for (size_t i = 0; i < cli->arg_count; i++) {
        struct fault why = {0};
        if (hostlist_add(&names, cli->args[i], &why) < 0) {
            hostlist_clear(&names);
            return fault_set(fault, why.code, "'%.200s': %s", cli->args[i], why.message);
        }
    }
    if (hostlist_unique(&names, fault) < 0) {
        hostlist_clear(&names);
        return -1;
    }
    *ret_names = names;
    return 0;
}

/* Says which names are no nodes, one line each. Another project's node looks like none. */
static void targets_say_missing(const struct targets *targets)
{
    const char *personal = client_is_personal(targets->client) ? " that you may see" : "";
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        if (target->uuid[0] == '\0' && target->fault.code == FAULT_NODE_NOT_FOUND)
            cli_say("no node '%s'%s", target->asked, personal);
        else if (target->uuid[0] == '\0')
            cli_say("no node '%s': %s", target->asked, target->fault.message);
    }
}

size_t targets_width(const struct targets *targets)
{
    size_t widest = 0;
    for (size_t i = 0; i < targets->count; i++) {
        size_t width = text_width(targets->items[i].label);
        if (width > widest)
            widest = width;
    }
    return widest;
}

static void targets_clear(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        free(targets->items[i].asked);
        free(targets->items[i].label);
    }
    free(targets->items);
    *targets = (struct targets){0};
}

int targets_use(const struct cli *cli, const struct targets_use *use)
{
    struct fault fault = {0};
    struct hostlist names = {0};
    struct targets targets = {0};
    struct client *client = NULL;
    int code;
    if (targets_names(cli, &names, &fault) < 0 ||
        (client = cli_connect(cli, cli->parallel, &fault)) == NULL) {
        code = cli_usage(&fault, use->verb->name);
    } else if (targets_find(&targets, cli, client, &names, &fault) < 0) {
        code = cli_fail(&fault);
        cli_say("%s", use->nothing);
        if (cli->json && use->unsent != NULL)
            use->unsent(&targets, &fault);
    } else if (targets.missing > 0) {
        targets_say_missing(&targets);
        cli_say("%s", use->nothing);
        code = EXIT_ONE_FAILED;
        if (cli->json && use->unsent != NULL)
            use->unsent(&targets, NULL);
    } else {
        code = use->run(use->arg, cli, client, &targets);
    }
    targets_clear(&targets);
    hostlist_clear(&names);
    client_free(client);
    return code;
}

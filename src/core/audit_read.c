/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the audit: on a thread of its own, for a search may go through a million records. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/audit_state.h"

#define QUEUE_MAX 16

/* One search. The thread has it from audit_list() until on_done(). */
struct audit_list {
    struct audit *audit;
    struct audit_list *next;
    audit_list_fn *done; /* NULL: cancelled */
    void *arg;
    atomic_bool stop;
    char *path;
    char *texts[AUDIT_TEXTS], *ident; /* what find points to */
    struct journal_audit_find find;
    bool tried;
    json_t *records;
    uint64_t last;
    size_t count;
    struct fault fault;
};

static void list_free(struct audit_list *list)
{
    for (int i = 0; i < AUDIT_TEXTS; i++)
        free(list->texts[i]);
    free(list->ident);
    free(list->path);
    json_decref(list->records);
    free(list);
}

/* ---- On the thread ---- */

/* What is no UTF-8 came from a network: its letters at least. */
static json_t *text_json(const char *text)
{
    json_t *json = text == NULL ? json_null() : json_string(text);
    char ascii[AUDIT_MESSAGE_MAX + 1];
    size_t len = 0;
    if (json != NULL)
        return json;
    for (; text[len] != '\0' && len < sizeof ascii - 1; len++)
        ascii[len] = (unsigned char)text[len] < 0x80 ? text[len] : '?';
    return json_stringn(ascii, len);
}

static json_t *time_json(int64_t wall_us)
{
    char text[CLOCK_TEXT_MAX];
    return wall_us == 0 ? json_null() : json_string(clock_text(wall_us, text));
}

static json_t *caller_json(const struct journal_audit_row *row)
{
    json_t *caller = json_object();
    json_object_set_new(caller, "user", text_json(row->texts[AUDIT_USER]));
    json_object_set_new(caller, "user_id", text_json(row->texts[AUDIT_USER_ID]));
    json_object_set_new(caller, "project_id", text_json(row->texts[AUDIT_PROJECT_ID]));
    json_object_set_new(caller, "role", text_json(row->texts[AUDIT_ROLES]));
    json_object_set_new(caller, "administrator", json_boolean(row->administrator));
    json_object_set_new(caller, "method", text_json(row->texts[AUDIT_METHOD]));
    json_object_set_new(caller, "address", text_json(row->texts[AUDIT_ADDRESS]));
    return caller;
}

static json_t *row_json(const struct journal_audit_row *row)
{
    static const struct {
        const char *key;
        enum audit_text text;
    } texts[] = {
        {"contract", AUDIT_CONTRACT},   {"operation", AUDIT_OPERATION},
        {"node_uuid", AUDIT_NODE_UUID}, {"node_name", AUDIT_NODE_NAME},
        {"ident", AUDIT_IDENT},         {"decision", AUDIT_DECISION},
        {"rule", AUDIT_RULE},           {"code", AUDIT_CODE},
        {"message", AUDIT_MESSAGE},     {"action_id", AUDIT_ACTION_ID},
        {"idempotency_key", AUDIT_KEY},
    };
    json_t *record = json_object();
    json_object_set_new(record, "serial", json_integer((json_int_t)row->serial));
    json_object_set_new(record, "at", time_json(row->at));
    json_object_set_new(record, "caller", caller_json(row));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        json_object_set_new(record, texts[i].key, text_json(row->texts[texts[i].text]));
    json_object_set_new(record, "repeat", json_boolean(row->repeat));
    json_object_set_new(record, "force", json_boolean(row->force));
    json_object_set_new(record, "suppressed", json_integer((json_int_t)row->suppressed));
    json_object_set_new(record, "outcome", text_json(row->outcome));
    json_object_set_new(record, "outcome_code", text_json(row->outcome_code));
    int rc = json_object_set_new(record, "finished_at", time_json(row->finished_at));
    if (rc == 0)
        return record;
    json_decref(record);
    return NULL;
}

static int on_row(void *arg, const struct journal_audit_row *row)
{
    struct audit_list *list = arg;
    if (++list->count == list->find.limit)
        return 0; /* one more than asked for: there is a next page */
    list->last = row->serial;
    return json_array_append_new(list->records, row_json(row));
}

static void read_list(void *arg)
{
    struct audit_list *list = arg;
    list->tried = true;
    list->records = json_array();
    if (list->records == NULL)
        fault_set(&list->fault, FAULT_MEMORY, "out of memory");
    else
        journal_audit_read(list->path, &list->find, on_row, list, &list->stop, &list->fault);
}

/* ---- On the loop ---- */

static json_t *page(struct audit_list *list)
{
    bool more = list->count == list->find.limit;
    json_t *records = list->records;
    list->records = NULL;
    return json_pack("{s:o, s:o}", "records", records, "next",
                     more ? json_integer((json_int_t)list->last) : json_null());
}

static void on_done(void *arg)
{
    struct audit_list *list = arg, **link = &list->audit->lists;
    while (*link != list)
        link = &(*link)->next;
    *link = list->next;
    if (!list->tried)
        fault_set(&list->fault, FAULT_STOPPING, "nmid is shutting down");
    json_t *answer = list->fault.code == FAULT_NONE ? page(list) : NULL;
    if (list->fault.code == FAULT_NONE && answer == NULL)
        fault_set(&list->fault, FAULT_MEMORY, "out of memory");
    if (list->done != NULL)
        list->done(list->arg, answer, answer != NULL ? NULL : &list->fault);
    else
        json_decref(answer);
    list_free(list);
}

static bool take(struct audit_list *list, enum audit_text text, const char *value)
{
    list->texts[text] = value == NULL ? NULL : strdup(value);
    list->find.texts[text] = list->texts[text];
    return value == NULL || list->texts[text] != NULL;
}

static struct audit_list *list_new(struct audit *audit, const struct audit_query *query)
{
    struct audit_list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    list->audit = audit;
    list->find.since = query->since;
    list->find.until = query->until;
    list->find.marker = query->marker;
    list->find.own = query->own;
    list->find.limit = query->limit + 1;
    list->path = strdup(journal_path(audit->journal));
    list->ident = query->node_ident == NULL ? NULL : strdup(query->node_ident);
    list->find.ident = list->ident;
    if (list->path != NULL && (query->node_ident == NULL || list->ident != NULL) &&
        take(list, AUDIT_NODE_UUID, query->node_uuid) &&
        take(list, AUDIT_ACTION_ID, query->action_id) && take(list, AUDIT_USER, query->user) &&
        take(list, AUDIT_PROJECT_ID, query->project_id) &&
        take(list, AUDIT_DECISION, query->decision) && take(list, AUDIT_KEY, query->key))
        return list;
    list_free(list);
    return NULL;
}

struct audit_list *audit_list(struct audit *audit, const struct audit_query *query,
                              audit_list_fn *done, void *arg, struct fault *fault)
{
    if (audit->pool == NULL && (audit->pool = pool_new(audit->loop, 1, QUEUE_MAX, fault)) == NULL)
        return NULL;
    struct audit_list *list = list_new(audit, query);
    if (list == NULL) {
        fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    list->done = done;
    list->arg = arg;
    if (pool_submit(audit->pool, read_list, on_done, list, fault) < 0) {
        list_free(list);
        return NULL;
    }
    list->next = audit->lists;
    audit->lists = list;
    return list;
}

void audit_list_cancel(struct audit_list *list)
{
    if (list == NULL)
        return;
    list->done = NULL;
    atomic_store(&list->stop, true);
}

void audit_read_end(struct audit *audit)
{
    for (struct audit_list *list = audit->lists; list != NULL; list = list->next)
        audit_list_cancel(list);
    pool_free(audit->pool);
}

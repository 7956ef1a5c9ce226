/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit: what is decided and what comes of it, as rows, as entries of the system's journal, and
 * as pages. In simulated time; the system's journal is the test's own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/record.h"
#include "core/audit.h"
#include "core/engine_state.h"
#include "core/node_state.h"
#include "journal_play.h"

/* ---- The system's journal ---- */

#define ENTRY_MAX 4096

static struct {
    bool full; /* it takes nothing */
    unsigned entries;
    char last[ENTRY_MAX]; /* "\nNAME=value\nNAME=value\n" */
} journal;

struct record {
    int unused;
};

bool record_is_journal(void)
{
    return true;
}

struct record *record_new(const char *path)
{
    assert_string_equal(path, RECORD_SOCKET);
    return calloc(1, sizeof(struct record));
}

void record_free(struct record *record)
{
    free(record);
}

int record_send(struct record *record, const struct record_field *fields, size_t count)
{
    size_t len = 1;
    assert_non_null(record);
    strcpy(journal.last, "\n");
    for (size_t i = 0; i < count; i++) {
        if (fields[i].value != NULL)
            len += (size_t)snprintf(journal.last + len, ENTRY_MAX - len, "%s=%s\n", fields[i].name,
                                    fields[i].value);
        assert_true(len < ENTRY_MAX);
    }
    if (journal.full)
        return -1;
    journal.entries++;
    return 0;
}

static void check_field(const char *name, const char *value)
{
    char wanted[700];
    snprintf(wanted, sizeof wanted, "\n%s=%s%s", name, value != NULL ? value : "",
             value != NULL ? "\n" : "");
    if ((strstr(journal.last, wanted) != NULL) != (value != NULL))
        fail_msg("%s is not \"%s\" in:%s", name, value != NULL ? value : "(absent)", journal.last);
}

static void check_message(const char *words)
{
    char line[700];
    const char *at = strstr(journal.last, "\nMESSAGE=");
    assert_non_null(at);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
    if (strstr(line, words) == NULL)
        fail_msg("no \"%s\" in \"%s\"", words, line);
}

/* ---- Pages ---- */

struct page {
    json_t *answer;
    struct fault fault;
    unsigned done;
};

static void on_page(void *arg, json_t *answer, const struct fault *fault)
{
    struct page *page = arg;
    page->done++;
    json_decref(page->answer);
    page->answer = answer;
    if (fault != NULL)
        page->fault = *fault;
}

static struct audit *audit_of(struct rig *rig)
{
    return engine_audit(rig->engine);
}

/* The records, newest first; borrowed until the next page. */
static json_t *read_page(struct rig *rig, const struct audit_query *query, struct page *page)
{
    struct fault fault = {0};
    play_pass(rig, PLAY_SOON);
    page->done = 0;
    assert_non_null(audit_list(audit_of(rig), query, on_page, page, &fault));
    assert_int_equal(page->done, 0);
    rig_until_count(rig, &page->done, 1);
    if (page->answer == NULL)
        fail_msg("%s", page->fault.message);
    return json_object_get(page->answer, "records");
}

static const char *text_of(const json_t *records, size_t i, const char *key)
{
    const json_t *record = json_array_get(records, i);
    const json_t *value = json_object_get(record, key);
    if (value == NULL)
        value = json_object_get(json_object_get(record, "caller"), key);
    assert_non_null(value);
    return json_is_null(value) ? "-" : json_string_value(value);
}

/* "key=value" for each of these keys. */
static void check_record(const json_t *records, size_t i, const char *const *wanted)
{
    for (; *wanted != NULL; wanted += 2) {
        const char *found = text_of(records, i, wanted[0]);
        if (found == NULL || strcmp(found, wanted[1]) != 0)
            fail_msg("record %zu: %s is \"%s\", not \"%s\"", i, wanted[0], found, wanted[1]);
    }
}

#define CHECK(records, i, ...)                                                                     \
    check_record(records, i, (const char *const[]){__VA_ARGS__, NULL})

static const struct audit_query newest = {.limit = 50};

static int setup(void **state)
{
    memset(&journal, 0, sizeof journal);
    return play_setup(state);
}

/* ---- Decisions ---- */

static void test_action(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    rig_add_node(rig, 0);
    struct request request = rig_request(0);
    struct principal caller = rig_demo;
    caller.user_id = "a1";
    caller.method = "keystone";
    request.caller = &caller;
    request.node_ident = "node-0";
    request.idempotency_key = "k";
    struct action *action = rig_submit(rig, &request);
    assert_int_equal(journal.entries, 1);
    check_message("action req-");
    check_message(": inject_nmi of node-0 accepted (");
    check_message(", user alice from 127.0.0.2)");
    check_field("NMID_DECISION", "allowed");
    check_field("NMID_RULE", "inject_nmi:admin_or_owner");
    check_field("NMID_ACTION_ID", action->id);
    check_field("NMID_USER", "alice");
    check_field("NMID_NODE_UUID", rig_uuid(0));
    check_field("NMID_CODE", NULL);
    check_field("NMID_OUTCOME", NULL);
    check_field("SYSLOG_IDENTIFIER", "nmid");
    check_field("PRIORITY", "6");
    rig_repeat(rig, &request);
    check_message("node-0 repeated (");
    play_pass(rig, PLAY_SOON);
    rig_deliver(rig, 0);
    check_message(": inject_nmi of node-0 delivered: ");
    check_field("NMID_OUTCOME", "delivered");
    check_field("NMID_ACTION_ID", action->id);
    check_field("NMID_DECISION", NULL);
    assert_int_equal(journal.entries, 3);
    const json_t *records = read_page(rig, &newest, &page);
    assert_int_equal(json_array_size(records), 2);
    CHECK(records, 1, "user", "alice", "user_id", "a1", "project_id", "demo", "role", "member",
          "method", "keystone", "address", "127.0.0.2", "operation", "inject_nmi", "node_name",
          "node-0", "node_uuid", rig_uuid(0), "ident", "node-0", "decision", "allowed", "rule",
          "inject_nmi:admin_or_owner", "code", "-", "message", "-", "action_id", action->id,
          "outcome", "delivered", "outcome_code", "-");
    CHECK(records, 0, "decision", "allowed", "outcome", "-", "action_id", action->id);
    assert_true(json_is_true(json_object_get(json_array_get(records, 0), "repeat")));
    assert_true(json_is_false(json_object_get(json_array_get(records, 1), "repeat")));
    assert_true(json_is_string(json_object_get(json_array_get(records, 1), "finished_at")));
    assert_true(json_is_null(json_object_get(page.answer, "next")));
    json_decref(page.answer);
}

static void refuse(struct rig *rig, const struct request *request, enum fault_code code)
{
    struct action *action = NULL;
    bool repeat = false;
    struct fault fault = {0};
    assert_int_equal(engine_submit(rig->engine, request, &action, &repeat, &fault), -1);
    assert_int_equal(fault.code, code);
}

/* Each by its rung; and a node of another project is in the record, though the caller sees none. */
static void test_refusals(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    struct node *node = rig_add_node(rig, 0);
    struct request request = rig_request(0);
    request.node_ident = "nowhere";
    refuse(rig, &request, FAULT_NODE_NOT_FOUND);
    check_message("inject_nmi of nowhere refused (");
    request.node_ident = rig_uuid(0);
    request.caller = &rig_other;
    refuse(rig, &request, FAULT_NODE_NOT_FOUND);
    request.caller = &rig_demo;
    node->locked = true;
    refuse(rig, &request, FAULT_LOCKED);
    check_field("NMID_DECISION", "refused");
    check_field("NMID_RULE", "lock");
    check_field("NMID_CODE", "locked");
    request.force = true;
    refuse(rig, &request, FAULT_FORBIDDEN);
    const json_t *records = read_page(rig, &newest, &page);
    assert_int_equal(json_array_size(records), 4);
    CHECK(records, 3, "rule", "node", "node_uuid", "-", "ident", "nowhere", "code",
          "node-not-found", "decision", "refused");
    CHECK(records, 2, "rule", "owner", "node_uuid", rig_uuid(0), "user", "bob");
    CHECK(records, 1, "rule", "lock", "code", "locked", "action_id", "-");
    CHECK(records, 0, "rule", "force:admin", "code", "forbidden");
    const struct audit_query own = {.project_id = "other", .own = true, .limit = 50};
    assert_int_equal(json_array_size(read_page(rig, &own, &page)), 0);
    json_decref(page.answer);
}

/* What an unknown client sends must neither break a line nor the JSON. */
static void test_hostile(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    const struct audit_record record = {
        .address = "127.0.0.9", .operation = "authenticate", .ident = "GET /\xff\n\x1b[2J",
        .rule = "credentials", .code = FAULT_UNAUTHORIZED, .message = "no such token"};
    journal.full = true; /* then it is a line on stderr */
    assert_int_equal(audit_record(audit_of(rig), &record), 0);
    assert_int_equal(journal.entries, 0);
    assert_int_equal(audit_record(NULL, &record), 0);
    audit_outcome(NULL, NULL);
    audit_free(NULL);
    const json_t *records = read_page(rig, &newest, &page);
    CHECK(records, 0, "ident", "GET /?\n\x1b[2J", "user", "-", "address", "127.0.0.9", "role", "-");
    json_decref(page.answer);
}

/* A name that was not proven is found by, and is no caller: it has no role, and its refusals count
 * with those of nobody. */
static void test_claimed(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    const struct audit_query by_alice = {.user = "alice", .decision = "refused", .limit = 200};
    const struct audit_record record = {
        .address = "127.0.0.9", .claimed = "alice", .operation = "authenticate",
        .rule = "credentials", .code = FAULT_UNAUTHORIZED, .message = "wrong"};
    for (int i = 0; i < 300; i++)
        assert_int_equal(audit_record(audit_of(rig), &record), 0);
    check_message("refused (-, user alice from 127.0.0.9): wrong");
    check_field("NMID_USER", "alice");
    const json_t *records = read_page(rig, &by_alice, &page);
    assert_int_equal(json_array_size(records), 100);
    CHECK(records, 0, "user", "alice", "role", "-", "method", "-", "rule", "credentials");
    const struct audit_record known = {
        .caller = &rig_admin, .operation = "force", .code = FAULT_FORBIDDEN};
    assert_int_equal(audit_record(audit_of(rig), &known), 0);
    check_field("NMID_OPERATION", "force");
    json_decref(page.answer);
}

/* ---- Floods ---- */

static struct audit_counts counts_of(struct rig *rig)
{
    struct audit_counts counts;
    audit_counts(audit_of(rig), &counts);
    return counts;
}

static void refuse_many(struct rig *rig, int count)
{
    const struct audit_record record = {.address = "127.0.0.9",
                                        .operation = "authenticate",
                                        .rule = "credentials",
                                        .code = FAULT_UNAUTHORIZED};
    for (int i = 0; i < count; i++)
        assert_int_equal(audit_record(audit_of(rig), &record), 0);
}

static long number_in(struct rig *rig, const char *sql)
{
    play_pass(rig, PLAY_SOON);
    return strtol(play_ask(rig->dir, sql, NULL), NULL, 10);
}

static void test_flood(void **state)
{
    struct rig *rig = *state;
    static const char refused[] = "SELECT count(*) FROM audit WHERE decision = 'refused'";
    static const char suppressed[] = "SELECT sum(suppressed) FROM audit";
    static const char summaries[] = "SELECT count(*) FROM audit WHERE decision = 'suppressed'";
    refuse_many(rig, 20000);
    assert_int_equal(number_in(rig, refused), 100);
    assert_int_equal(number_in(rig, summaries), 0);
    assert_int_equal(counts_of(rig).refused, 20000);
    assert_int_equal(counts_of(rig).suppressed, 19900);
    const struct audit_record allowed = {
        .caller = &rig_admin, .operation = "probe", .allowed = true};
    for (int i = 0; i < 500; i++) /* never left out */
        assert_int_equal(audit_record(audit_of(rig), &allowed), 0);
    play_pass(rig, FAKE_SECOND);
    assert_int_equal(number_in(rig, "SELECT count(*) FROM audit WHERE operation = 'probe'"), 500);
    assert_int_equal(number_in(rig, summaries), 1);
    assert_int_equal(number_in(rig, suppressed), 19900);
    check_field("NMID_DECISION", "suppressed");
    check_field("PRIORITY", "4");
    check_message("19900 ");
    unsigned entries = journal.entries;
    assert_int_equal(entries, 100 + 500 + 1);
    refuse_many(rig, 1);
    assert_int_equal(number_in(rig, refused), 101);
    play_pass(rig, 10 * FAKE_SECOND);
    refuse_many(rig, 101); /* the bucket is no deeper than a second */
    assert_int_equal(number_in(rig, refused), 201);
    play_pass(rig, FAKE_SECOND / 2);
    refuse_many(rig, 100);
    assert_in_range(number_in(rig, refused), 250, 265);
    audit_configure(audit_of(rig), &(struct conf_audit){.records = 1000, .refusals = 1});
    play_pass(rig, 2 * FAKE_SECOND);
    long before = number_in(rig, refused);
    refuse_many(rig, 5);
    assert_int_equal(number_in(rig, refused), before + 1);
}

/* A flood from outside does not hide what somebody inside tries. */
static void test_insider(void **state)
{
    struct rig *rig = *state;
    const struct audit_record refused = {.caller = &rig_admin,
                                         .operation = "force",
                                         .rule = "force:admin",
                                         .code = FAULT_FORBIDDEN};
    refuse_many(rig, 20000);
    for (int i = 0; i < 300; i++)
        assert_int_equal(audit_record(audit_of(rig), &refused), 0);
    assert_int_equal(
        number_in(rig, "SELECT count(*) FROM audit WHERE decision = 'refused' AND user IS NULL"),
        100);
    assert_int_equal(number_in(rig, "SELECT count(*) FROM audit WHERE operation = 'force'"), 100);
    assert_int_equal(counts_of(rig).suppressed, 20100);
}

/* The sum of what is written, one by one or in a summary, is what there was; also while the disk
 * fails, and to the last second. */
static void test_sum(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 40; i++) {
        fault_vfs.kinds = i >= 10 && i < 20 ? FAULT_VFS_ALL : 0;
        fault_vfs.from = 1;
        fault_vfs.many = ~0ul;
        refuse_many(rig, 300);
        play_pass(rig, FAKE_SECOND / 4);
    }
    fault_vfs.kinds = 0;
    audit_configure(audit_of(rig), &(struct conf_audit){.records = 100000, .refusals = 100000});
    play_pass(rig, 3 * FAKE_SECOND);
    fake.hold = true;
    refuse_many(rig, 6000); /* more than may wait for the disk */
    play_pass(rig, 3 * FAKE_SECOND);
    fake.hold = false;
    play_pass(rig, 3 * FAKE_SECOND);
    assert_int_equal(counts_of(rig).refused, 18000);
    assert_int_equal(
        number_in(rig, "SELECT sum(CASE decision WHEN 'refused' THEN 1 ELSE suppressed END) FROM "
                       "audit"),
        18000);
    refuse_many(rig, 0);
}

/* Nothing is done that is not recorded, and that is the decision. */
static void test_no_room(void **state)
{
    struct rig *rig = *state;
    struct fault fault = {0};
    struct node_state node;
    rig_add_node(rig, 0);
    struct access probe = {rig_uuid(0), &rig_admin, POLICY_PROBE, "probe", "agent", NULL};
    struct access show = {rig_uuid(0), &rig_admin, POLICY_READ, "show", "agent", NULL};
    rig->conf->audit.reads = true;
    audit_configure(audit_of(rig), &(struct conf_audit){.records = 100000, .refusals = 100000});
    play_pass(rig, FAKE_SECOND); /* the bucket is full */
    fake.hold = true;
    refuse_many(rig, 5000); /* more than may wait for the disk */
    unsigned entries = journal.entries;
    assert_null(engine_find(rig->engine, &probe, &node, &fault));
    assert_int_equal(fault.code, FAULT_JOURNAL);
    check_message("probe of ");
    check_field("NMID_DECISION", "refused");
    assert_int_equal(journal.entries, entries + 1);
    assert_int_equal(counts_of(rig).allowed, 0);
    assert_int_equal(counts_of(rig).refused, 5001);
    assert_non_null(engine_find(rig->engine, &show, &node, &fault)); /* a read is but counted */
    assert_int_equal(counts_of(rig).allowed, 1);
    fake.hold = false;
    play_pass(rig, 3 * FAKE_SECOND);
    assert_non_null(engine_find(rig->engine, &probe, &node, NULL));
}

/* ---- Reading ---- */

static void test_pages(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    struct audit_query query = {.limit = 3};
    unsigned pages = 0;
    size_t seen = 0;
    refuse_many(rig, 10);
    do {
        seen += json_array_size(read_page(rig, &query, &page));
        query.marker =
            (uint64_t)json_integer_value(json_object_get(page.answer, "next"));
        pages++;
    } while (query.marker != 0);
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 4);
    query.limit = 10;
    assert_int_equal(json_array_size(read_page(rig, &query, &page)), 10);
    assert_true(json_is_null(json_object_get(page.answer, "next")));
    json_decref(page.answer);
}

static void test_cancel(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    struct fault fault = {0};
    struct audit_list *list = audit_list(audit_of(rig), &newest, on_page, &page, &fault);
    assert_non_null(list);
    audit_list_cancel(list);
    audit_list_cancel(NULL);
    play_pass(rig, FAKE_SECOND);
    assert_int_equal(page.done, 0);
    fake.hold = true; /* the thread is busy: what waits for it ends with the audit */
    for (int i = 0; i < 5; i++)
        assert_non_null(audit_list(audit_of(rig), &newest, on_page, &page, &fault));
}

static void test_read_fails(void **state)
{
    struct rig *rig = *state;
    struct page page = {0};
    struct fault fault = {0};
    char path[STATE_DIR_MAX + 16], away[STATE_DIR_MAX + 16];
    snprintf(path, sizeof path, "%s/nmid.db", rig->dir);
    snprintf(away, sizeof away, "%s/nmid.old", rig->dir);
    assert_int_equal(rename(path, away), 0);
    assert_non_null(audit_list(audit_of(rig), &newest, on_page, &page, &fault));
    rig_until_count(rig, &page.done, 1);
    assert_null(page.answer);
    assert_int_equal(page.fault.code, FAULT_JOURNAL);
    assert_int_equal(rename(away, path), 0);
}

/* ---- What an earlier daemon left ---- */

static void test_recovery(void **state)
{
    char left[STATE_DIR_MAX], sent[ACTION_ID_TEXT], accepted[ACTION_ID_TEXT];
    struct page page = {0};
    struct fault fault = {0};
    const struct driver *const none[] = {NULL};
    assert_int_equal(setup(state), 0);
    struct rig *rig = *state;
    rig_add_node(rig, 0);
    rig_add_node(rig, 1);
    struct request first = rig_request(0), second = rig_request(1);
    memcpy(sent, rig_submit(rig, &first)->id, sizeof sent);
    play_pass(rig, PLAY_SOON);
    rig_send(rig, 0);
    memcpy(accepted, rig_submit(rig, &second)->id, sizeof accepted);
    play_pass(rig, PLAY_SOON);
    state_dir_make(left);
    fault_vfs_power_loss(left, 0); /* what a kill leaves, at the least */
    assert_int_equal(play_teardown(state), 0);

    const struct conf conf = {.nodes = node_table_new(), .ipmi = {.window = 1}};
    struct loop *loop = loop_new(&fault);
    struct journal *own = state_dir_journal(left, loop, 100, &fault);
    struct engine *engine = engine_new(loop, &conf, none, own, &fault);
    struct audit *audit = audit_new(loop, own, NULL, &fault);
    assert_non_null(audit);
    engine_set_audit(engine, audit);
    check_field("NMID_OUTCOME", "failed");
    check_field("NMID_ACTION_ID", accepted);
    fake_run_for(loop, FAKE_SECOND);
    assert_non_null(audit_list(audit, &newest, on_page, &page, &fault));
    fake_run_for(loop, FAKE_SECOND);
    const json_t *records = json_object_get(page.answer, "records");
    assert_int_equal(json_array_size(records), 2);
    CHECK(records, 0, "action_id", accepted, "outcome", "failed", "outcome_code", "stopping");
    CHECK(records, 1, "action_id", sent, "outcome", "unknown", "outcome_code", "daemon-stopped");
    json_decref(page.answer);
    engine_free(engine);
    audit_free(audit);
    journal_free(own);
    loop_free(loop);
    node_table_free(conf.nodes);
    state_dir_remove(left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_action, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_claimed, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_flood, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_insider, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_sum, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, play_teardown),
        cmocka_unit_test_setup_teardown(test_read_fails, setup, play_teardown),
        cmocka_unit_test(test_recovery),
    };
    fault_vfs_install();
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "agent_case.h"

struct rig rig;

int agent_setup(void **state)
{
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    return 0;
}

int agent_teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

void expect_error(struct reply reply, int status, const char *code)
{
    const json_t *error = json_object_get(reply.json, "error");
    assert_int_equal(reply.status, status);
    assert_int_equal(json_object_size(reply.json), 1);
    assert_int_equal(json_object_size(error), 3);
    assert_string_equal(reply_text(&reply, "error", "code"), code);
    assert_non_null(reply_text(&reply, "error", "message"));
    assert_non_null(json_object_get(error, "action_id"));
    assert_non_null(reply_header(&reply, "X-Openstack-Request-Id"));
    reply_clear(&reply);
}

struct reply get(const char *format, ...)
{
    char path[256];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return rig_ask(&rig, "GET", path, "", "");
}

/* POSTs one action; its id. */
const char *post(const char *node, const char *headers, char id[64])
{
    char path[128];
    snprintf(path, sizeof path, "/agent/v1/nodes/%s/actions", node);
    struct reply reply = rig_ask(&rig, "POST", path, headers, NMI);
    assert_int_equal(reply.status, 202);
    snprintf(id, 64, "%s", reply_text(&reply, "id", NULL));
    reply_clear(&reply);
    return id;
}

void await(const char *id)
{
    struct reply reply = get("/agent/v1/actions/%s?wait=20", id);
    assert_string_equal(reply_text(&reply, "state", NULL), "finished");
    reply_clear(&reply);
}

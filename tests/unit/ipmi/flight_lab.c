/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the driver calls is here, in place of the engine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "flight_lab.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "drivers/ipmi_info.h"

struct flight_lab lab;

/* ---- The engine ---- */

static void on_journal(void *arg)
{
    (void)arg;
    loop_fn *go = lab.go;
    lab.go = NULL;
    if (go == NULL)
        return;
    lab.answered++;
    go(lab.go_arg);
}

void action_sending(struct action *action, loop_fn *go, void *arg)
{
    lab.asked++;
    assert_null(lab.go);
    if (lab.asked == lab.refuse_at) {
        ipmi_driver.abort(lab.driver, action, FAULT_JOURNAL, "could not be recorded");
        return;
    }
    lab.go = go;
    lab.go_arg = arg;
    if (lab.asked == lab.hold_at)
        loop_stop(lab.loop);
    else
        loop_timer_set(lab.journal, clock_mono_us());
}

void action_revoke(struct action *action)
{
    (void)action;
    lab.revoked++;
    lab.go = NULL;
}

int action_resolved(struct action *action, const char *target, struct fault *fault)
{
    (void)action;
    (void)target;
    (void)fault;
    return 0;
}

void action_evidence(struct action *action, const char *key, json_t *value)
{
    if (action->evidence == NULL)
        action->evidence = json_object();
    assert_int_equal(json_object_set_new(action->evidence, key, value), 0);
}

void action_finish(struct action *action, enum action_outcome outcome, enum fault_code code,
                   const char *format, ...)
{
    char message[FAULT_MESSAGE_MAX];
    va_list args;
    assert_int_equal(action->outcome, OUTCOME_NONE); /* once */
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    action->outcome = outcome;
    action->code = code;
    action->message = strdup(message);
    lab.go = NULL;
    if (lab.running) /* else it would be remembered */
        loop_stop(lab.loop);
}

/* ---- The BMC ---- */

static void on_request(void *arg, unsigned events)
{
    struct ipmi_datagram in = {0}, out = {0};
    struct bmc_request request;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    (void)arg;
    (void)events;
    ssize_t len =
        recvfrom(lab.fd, in.bytes, sizeof in.bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (len <= 0)
        return;
    in.len = (size_t)len;
    lab.received++;
    if (!bmc_read(&lab.bmc, &in, &request))
        return;
    lab.sel_requests += request.net_fn == 0x0a;
    if (bmc_is_control(&request)) {
        lab.controls++;
        assert_true(lab.controls <= lab.answered); /* on disk before it leaves */
        if (lab.controls == lab.stop_at_controls)
            loop_stop(lab.loop);
        if (lab.lose_controls > 0) {
            lab.lose_controls--;
            return;
        }
    }
    bmc_serve(&lab.bmc, &request, &out);
    if (out.len > 0)
        assert_int_equal(sendto(lab.fd, out.bytes, out.len, 0, (struct sockaddr *)&from, size),
                         out.len);
}

static void on_watchdog(void *arg)
{
    (void)arg;
    lab.timed_out = true;
    loop_stop(lab.loop);
}

void flight_drain(void)
{
    uint8_t bytes[IPMI_DATAGRAM_MAX];
    while (recv(lab.fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
        lab.received++;
}

void flight_run(void)
{
    loop_timer_set(lab.watchdog, clock_mono_us() + 20000000);
    lab.running = true;
    loop_run(lab.loop);
    lab.running = false;
    assert_false(lab.timed_out);
}

struct node *flight_node(const char *password)
{
    struct node *node = node_new();
    struct ipmi_info *info = calloc(1, sizeof *info);
    info->address = strdup("127.0.0.1");
    info->port = lab.port;
    info->username = strdup("admin");
    info->password = secret_new(password, strlen(password));
    info->privilege = IPMI_PRIVILEGE_OPERATOR;
    info->suites[0] = 17;
    info->suite_count = 1;
    node->driver = &ipmi_driver;
    node->driver_info = info;
    assert_true(asprintf(&node->target, "127.0.0.1:%u", lab.port) > 0);
    return node;
}

int flight_setup(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    (void)state;
    memset(&lab, 0, sizeof lab);
    lab.loop = loop_new(NULL);
    lab.watchdog = loop_timer_new(lab.loop, on_watchdog, NULL, NULL);
    lab.journal = loop_timer_new(lab.loop, on_journal, NULL, NULL);
    lab.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(lab.fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(lab.fd, (struct sockaddr *)&in, &size), 0);
    lab.port = ntohs(in.sin_port);
    lab.watch = loop_watch_new(lab.loop, lab.fd, LOOP_READABLE, on_request, NULL, NULL);
    bmc_init(&lab.bmc, false, 17);
    lab.settings = (struct conf_ipmi){.window = 1,
                                      .timeout_ms = 20000,
                                      .answer_ms = 100,
                                      .retransmit_ms = 50,
                                      .auth_pause_s = 300};
    lab.driver = ipmi_driver.open(lab.loop, &lab.settings, NULL);
    return lab.driver == NULL ? -1 : 0;
}

int flight_teardown(void **state)
{
    (void)state;
    if (lab.driver != NULL)
        ipmi_driver.close(lab.driver);
    action_unref(lab.action);
    loop_watch_free(lab.watch);
    close(lab.fd);
    loop_timer_free(lab.journal);
    loop_timer_free(lab.watchdog);
    loop_free(lab.loop);
    return 0;
}

void flight_configure(void)
{
    ipmi_driver.configure(lab.driver, &lab.settings);
}

void flight_inject(const char *password)
{
    static const struct principal caller = {
        .user = "test", .address = "unix", .administrator = true};
    struct node *node = flight_node(password);
    action_unref(lab.action);
    lab.action = action_new(node, "inject_nmi", "agent", &caller);
    node_unref(node);
    ipmi_driver.start(lab.driver, lab.action);
    if (lab.action->outcome == OUTCOME_NONE)
        flight_run();
}

void flight_assert_end(enum action_outcome outcome, enum fault_code code, unsigned controls)
{
    assert_string_equal(action_outcome_name(lab.action->outcome), action_outcome_name(outcome));
    assert_string_equal(fault_name(lab.action->code), fault_name(code));
    assert_int_equal(lab.controls, controls);
}

int flight_evidence(const char *key)
{
    return (int)json_integer_value(json_object_get(lab.action->evidence, key));
}

const char *flight_words(const char *key)
{
    const char *text = json_string_value(json_object_get(lab.action->evidence, key));
    return text != NULL ? text : "";
}

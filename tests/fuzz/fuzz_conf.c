/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing: the bytes are an nmid.conf, read with the real parser of the ipmi driver's keys. What
 * loads must be consistent; what does not must say why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/conf.h"
#include "core/driver.h"
#include "drivers/ipmi_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets a string that stands where its grammar wants none. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static const struct driver ipmi = {.name = "ipmi",
                                   .has_nmi = true,
                                   .parse = ipmi_info_parse,
                                   .info_free = ipmi_info_free,
                                   .info_json = ipmi_info_json};
static const struct driver *const drivers[] = {&ipmi, NULL};

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_conf(const struct conf *conf)
{
    require(conf->listener_count > 0 && conf->state_dir != NULL);
    require(conf->ipmi.answer_ms <= conf->ipmi.timeout_ms);
    require(conf->hold_off_s == 0 || conf->hold_off_s >= 150);
    for (size_t i = 0; i < node_table_count(conf->nodes); i++) {
        const struct node *node = node_table_at(conf->nodes, i);
        require(node->driver == &ipmi && node->driver_info != NULL && node->target != NULL);
        require(node_table_find(conf->nodes, node->uuid) == node);
        require(node_table_find(conf->nodes, node_label(node)) == node);
        json_t *json = ipmi_info_json(node->driver_info);
        require(json != NULL);
        json_decref(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_source source = {"fuzz.conf", (const char *)data, size, false};
    struct report errors = {0}, warnings = {0};
    struct conf *conf = NULL;
    int result = conf_parse(&source, drivers, &conf, &errors, &warnings);
    require((result == 0) == (errors.count == 0));
    require((result == 0) == (conf != NULL));
    if (conf != NULL)
        check_conf(conf);
    conf_free(conf);
    report_clear(&errors);
    report_clear(&warnings);
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf_lab.h"
#include "core/driver.h"

int lab_infos;

static int fake_parse(struct info *info, void **ret_info, char **ret_target, struct report *report)
{
    char *address = NULL, *target = NULL;
    long long port = 623;
    struct secret *password = NULL;
    int wrong = info_take_integer(info, "port", 1, 65535, &port, report) < 0;
    int got = info_take_string(info, "address", 64, &address, report);
    if (got == 0)
        info_complain(info, "address", report, "missing");
    wrong |= got <= 0;
    wrong |= info_take_secret(info, "password", 20, &password, report) < 0;
    secret_free(password);
    if (!wrong) {
        assert_true(asprintf(&target, "%s:%lld", address, port) > 0);
        *ret_target = target;
        *ret_info = malloc(1);
        lab_infos++;
    }
    free(address);
    return wrong ? -1 : 0;
}

static void fake_free(void *info)
{
    lab_infos--;
    free(info);
}

static const struct driver fake = {
    .name = "fake", .has_nmi = true, .parse = fake_parse, .info_free = fake_free};

const struct driver *const lab_drivers[] = {&fake, NULL};

int lab_setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    strcpy(lab->dir, "/tmp/nmid-test-conf-XXXXXX");
    assert_non_null(mkdtemp(lab->dir));
    *state = lab;
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char child[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) < 0)
            remove_tree(child);
    }
    closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

int lab_teardown(void **state)
{
    struct lab *lab = *state;
    remove_tree(lab->dir);
    conf_free(lab->conf);
    assert_int_equal(lab_infos, 0);
    report_clear(&lab->errors);
    report_clear(&lab->warnings);
    free(lab);
    return 0;
}

void lab_write(struct lab *lab, const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", lab->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int lab_done(struct lab *lab, int result, struct conf *conf)
{
    assert_int_equal(result == 0, conf != NULL);
    assert_int_equal(result<0, lab->errors.count> 0);
    conf_free(lab->conf);
    lab->conf = conf;
    return result;
}

int lab_load(struct lab *lab)
{
    char path[256];
    struct conf *conf = NULL;
    snprintf(path, sizeof path, "%s/nmid.conf", lab->dir);
    int result = conf_load(path, lab_drivers, &conf, &lab->errors, &lab->warnings);
    return lab_done(lab, result, conf);
}

int lab_parse(struct lab *lab, const char *text)
{
    struct conf_source source = {"nmid.conf", text, strlen(text), false};
    struct conf *conf = NULL;
    int result = conf_parse(&source, lab_drivers, &conf, &lab->errors, &lab->warnings);
    return lab_done(lab, result, conf);
}

/* Replaces each "DIR/" by the lab's directory. */
static char *expand(const struct lab *lab, const char *text)
{
    char *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    while (*text != '\0') {
        if (strncmp(text, "DIR/", 4) == 0) {
            fprintf(stream, "%s/", lab->dir);
            text += 4;
        } else {
            fputc(*text++, stream);
        }
    }
    fclose(stream);
    return out;
}

void lab_assert(struct lab *lab, struct report *report, const char *const *lines)
{
    size_t i;
    for (i = 0; lines[i] != NULL && i < report->count; i++) {
        char *expected = expand(lab, lines[i]);
        assert_string_equal(report->lines[i], expected);
        assert_null(strstr(report->lines[i], LAB_SECRET));
        free(expected);
    }
    if (i < report->count)
        fail_msg("not expected: %s", report->lines[i]);
    if (lines[i] != NULL)
        fail_msg("missing: %s", lines[i]);
    report_clear(report);
}

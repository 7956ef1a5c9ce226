/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzing the entries for the system's journal: lines of the input are the fields' values. The
 * datagram that comes out must have these fields and no other, whatever stands in them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS 8

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct record *record;
static int journal;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void stop(void)
{
    unlink(address.sun_path);
    record_free(record);
    close(journal);
}

static void start(void)
{
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/nmid-fuzz-record-%ld",
             (long)getpid());
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    require(journal >= 0 && bind(journal, (struct sockaddr *)&address, sizeof address) == 0);
    record = record_new(address.sun_path);
    require(record != NULL);
    atexit(stop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[FIELDS] = {"MESSAGE", "PRIORITY",  "NMID_NODE",  "NMID_USER",
                                              "NMID_IP", "NMID_RULE", "NMID_IDENT", "NMID_WHY"};
    struct record_field fields[FIELDS] = {{NULL, NULL}};
    static char entry[65536];
    char *text = strndup((const char *)data, size), *rest = text;
    size_t count = 0;
    if (record == NULL)
        start();
    require(text != NULL);
    for (; count < FIELDS && rest != NULL;
         count++) /* by bytes 1, so that newlines can be in them */
        fields[count] = (struct record_field){names[count], strsep(&rest, "\1")};
    require(record_send(record, fields, count) == 0);
    ssize_t len = recv(journal, entry, sizeof entry - 1, MSG_DONTWAIT);
    require(len >= 0 && (size_t)len < sizeof entry - 1);
    entry[len] = '\0';
    char *lines = entry;
    for (size_t i = 0; lines[0] != '\0'; i++) {
        char *line = strsep(&lines, "\n");
        while (i < count && strncmp(line, names[i], strlen(names[i])) != 0)
            i++; /* too long: left out */
        require(i < count && line[strlen(names[i])] == '=' && lines != NULL);
        for (const char *p = line; *p != '\0'; p++)
            require((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
    free(text);
    return 0;
}

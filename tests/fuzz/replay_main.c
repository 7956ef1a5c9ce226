/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A main() for a fuzzing harness where libFuzzer is not: runs it once over every file of the
 * directories given as arguments. Options (libFuzzer's) are skipped, so that both builds can be
 * called alike. A missing or empty directory is a failure: a test of nothing is none. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return -1;
    }
    /* Exactly as large as the input, so that a sanitizer sees one byte too many. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    int result = data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size ? 0 : -1;
    if (result == 0)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    else
        fprintf(stderr, "%s: cannot be read\n", path);
    free(data);
    fclose(file);
    return result;
}

/* How many files ran, or -1. */
static int run_directory(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    if (dir == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (run_file(file) < 0) {
            closedir(dir);
            return -1;
        }
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int directories = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        int count = run_directory(argv[i]);
        printf("%s: %s: %d inputs\n", argv[0], argv[i], count < 0 ? 0 : count);
        if (count <= 0)
            return EXIT_FAILURE;
        directories++;
    }
    return directories > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

